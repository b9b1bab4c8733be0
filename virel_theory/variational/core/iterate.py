r"""The form of an iterate of an exact algorithm, and the evaluation of its policy with guaranteed bounds.

Bounds of `certified`, derived before the first run. V is any estimate, $\hat Q$ its computed backup, off by
at most eta (`solvers.bounds`). Monotony gives, as there, enclosures of $Q^* - Q_V$ and $Q^\pi - Q_V$ by
constants (`bracket`): $m^* \pm r^*$ from the extremes of $\max_a\hat Q - V$, and $m^\pi \pm r^\pi$ from
those of $\sum_a\pi\hat Q - V$. The policy's means are computed with an error of $\eta_\pi = \eta(1 +
\delta_\pi) + \gamma_{A+6}\|\hat Q\|_\infty$, $\delta_\pi$ the slack of its row sums. So in every state

$$V^*(s) - V^\pi(s) \le \max_a\hat Q - \sum_a\pi\hat Q + (m^* + r^*) - m^\pi + (1 + \delta_\pi)r^\pi
+ \delta_\pi|m^\pi| + \eta + \eta_\pi,$$

and $p_0\cdot V^\pi$ lies within $(1 + \delta_\pi)r^\pi + \delta_\pi|m^\pi| + \eta_\pi$ of
$p_0\cdot(\sum_a\pi\hat Q + m^\pi)$, times the slack of the sum of $p_0$. Everything is then enlarged by a
factor 1 + 64u and by 8u of the largest magnitude, for the few scalar roundings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_distribution, read_only_copy
from virel_theory.mdp.policy_system import direct_solve, mix, mixed_rows
from virel_theory.mdp.tables import as_policy, as_values, require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import backups
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.problem import Problem, problem
from virel_theory.variational.core import kernels


@dataclass(frozen=True, eq=False)
class Iterate:
    """One iteration of an exact algorithm, Marino et al., Algorithm 1.

    With N tasks every table has a leading axis: `[N, S, A]`. Tables are stored as read-only copies, so that
    nothing that is done to them can reach the iterations that follow.

    Example:
        >>> from virel_theory import iterate
        >>> first = next(iter(iterate("policy-iteration", TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5))))
        >>> first.step, first.policy.tolist()
        (1, [[1.0, 0.0]])
    """

    step: int
    """Number of the iteration, from 1."""
    q: Array
    """`[S, A]` action values of the E-step, reward units."""
    posterior: Array
    """`[S, A]` policy that the E-step infers."""
    prior: Array
    """`[S, A]` prior after the M-step."""
    policy: Array
    """`[S, A]` policy that acts after this iteration: the posterior or the prior, as the algorithm says."""
    temperature: float
    """Temperature of the E-step, reward units."""
    kl: float
    """Mean KL divergence of the posterior from the prior before this iteration's M-step, nats."""
    value: float
    """Return $p_0 \\cdot V^{policy}$, without regularisation, reward units; the mean over tasks."""
    error: float
    """Guaranteed bound on how far `value` is from the exact return."""
    bound: float
    """Guaranteed bound on $\\max_s V^*(s) - V^{policy}(s)$, over all tasks, reward units."""

    def __post_init__(self) -> None:
        """Store read-only copies of the tables; a table under several names is copied once."""
        tables = {name: x for name, x in vars(self).items() if isinstance(x, np.ndarray)}
        copies = {key: read_only_copy(x) for key, x in {id(x): x for x in tables.values()}.items()}
        for name, x in tables.items():
            object.__setattr__(self, name, copies[id(x)])


Iterates = Iterator[Iterate]
"""What an algorithm returns: its iterates from step 1 on, without end."""


@dataclass(frozen=True, eq=False)
class Certified:
    """Guarantees on a policy, from one sweep over the MDP, Puterman 1994, Section 6.6.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> found = certified(mdp, policy=[[1.0, 0.0]], v=[2.0])
        >>> found.q.tolist(), found.value
        ([[2.0, 1.0]], 2.0)
    """

    q: Array
    """`[S, A]` backup `r + gamma E[v(s')]` of the estimate v, `-inf` at missing actions."""
    value: float
    """Return $p_0 \\cdot V^\\pi$, reward units."""
    error: float
    """Bound on how far `value` is from the exact return."""
    bound: float
    """Bound on $\\max_s V^*(s) - V^\\pi(s)$, reward units."""


def evaluate(mdp: TabularMDP, *, policy: Array, v: Array, sweeps: int | None) -> Array:
    r"""Values of a policy: $V^\pi$ by a direct solve if `sweeps` is None, else that many backups of v.

    A sparse MDP's matrix $P_\pi$ is built for the solve only: with as many entries as P, or nearly, it costs
    more than the backups that it would serve.

    Returns: `[S]`, reward units; a new array.
    """
    if sweeps is not None and not isinstance(mdp.transition, np.ndarray):
        csr = mdp.transition
        for _ in range(sweeps):
            v, old = np.empty(mdp.n_states), v
            kernels.policy_backup(csr.indptr, csr.indices, csr.data, mdp.reward, mdp.gamma, policy, old, v)
        return v
    rows, gain = mixed_rows(mdp.transition, policy), mix(policy, mdp.reward)
    if sweeps is None:
        return direct_solve(rows, mdp.gamma, gain)
    for _ in range(sweeps):
        v = gain + mdp.gamma * (rows @ v)
    return v


def certified(mdp: TabularMDP, *, policy: ArrayLike, v: ArrayLike) -> Certified:
    r"""Return of a policy and its distance from optimal, guaranteed, Puterman 1994, Section 6.6.

    Args:
        mdp: finite MDP.
        policy: `[S, A]` policy.
        v: `[S]` an estimate of its values; the closer, the tighter the bounds.

    Returns: a `Certified`; with v exact the error is a few ulps of max|r|/(1 - gamma)^2.
    Raises: InputError: if `policy` or `v` does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> found = certified(mdp, policy=[[0.5, 0.5]], v=[1.0])
        >>> found.value, round(found.bound, 9)
        (1.0, 1.0)
    """
    pi, estimate = as_policy(policy, mdp, name="policy"), as_values(v, mdp, name="v")
    task = problem(mdp, atol=0.0, rtol=0.0, sense="max")
    b, top = backups(task), np.empty(mdp.n_states)
    low, high = b.full(estimate, top)
    mean = mix(pi, b.q)
    best, own = _enclosures(task, pi, estimate, (low, high), mean - estimate)
    n_actions, size = mdp.n_actions, peak(estimate)
    slack = cert.row_sum_slack(n_actions)
    q_max = task.r_max + task.beta[1] * size
    eta = cert.backup_error(task.n_terms, r_max=task.r_max, v_max=size, beta_hi=task.beta[1])
    eta_pi = eta * (1 + slack) + cert.dot_error(n_actions + 6) * q_max
    scale = q_max + abs(best.mid) + abs(own.mid)
    grow = (1 + slack) * (1 + 64 * cert.UNIT)
    bound = float((top - mean).max()) + best.mid + best.radius - own.mid + own.radius * grow
    bound = bound + slack * abs(own.mid) + eta + eta_pi + 8 * cert.UNIT * scale
    start = cert.row_sum_slack(mdp.n_states)
    error = (own.radius * grow + slack * abs(own.mid) + eta_pi) * (1 + start)
    error += (start + cert.dot_error(mdp.n_states + 8)) * (q_max + abs(own.mid))
    value = float(mdp.initial @ mean) + own.mid
    return Certified(b.q.copy(), value, _finite(error), _finite(max(bound, 0.0) * (1 + 64 * cert.UNIT)))


def state_distribution(d: ArrayLike | None, mdp: TabularMDP) -> Array:
    """Return a copy of the distribution `d [S]` over states; None is the uniform one."""
    require_mdp(mdp)
    if d is None:
        return np.full(mdp.n_states, 1 / mdp.n_states)
    return as_distribution(d, mdp.n_states, name="d").copy()


def first_prior(prior: ArrayLike | None, mdp: TabularMDP) -> Array:
    """Return a copy of an algorithm's first prior `[S, A]`; None is uniform over the actions that exist."""
    require_mdp(mdp)
    if prior is None:
        return np.asarray(mdp.available / mdp.available.sum(axis=1, keepdims=True), dtype=np.float64)
    return as_policy(prior, mdp, name="prior").copy()


def as_sweeps(sweeps: int | None) -> int | None:
    """Return the number of backups per evaluation: a positive integer, or None for exact evaluation."""
    whole = isinstance(sweeps, int | np.integer) and not isinstance(sweeps, bool) and sweeps >= 1
    require(sweeps is None or whole, "sweeps", sweeps, "must be a positive integer or None")
    return sweeps


def _enclosures(
    task: Problem, pi: Array, v: Array, extremes: tuple[float, float], d: Array
) -> tuple[cert.Bracket, cert.Bracket]:
    """Enclosures of `Q* - Q_V`, from the extremes of `max Q_V - v`, and of `Q^pi - Q_V`, from `d`."""
    n_actions, size = pi.shape[1], peak(v)
    eta = cert.backup_error(task.n_terms, r_max=task.r_max, v_max=size, beta_hi=task.beta[1])
    best = cert.bracket(*extremes, beta=task.beta, eta=eta)
    beta = cert.contraction_interval(task.gamma, task.n_terms, n_mixed=n_actions)
    n_terms, slack = task.n_terms + n_actions + 4, cert.row_sum_slack(n_actions)
    eta = cert.backup_error(n_terms, r_max=task.r_max, v_max=size, beta_hi=beta[1]) * (1 + 2 * slack)
    return best, cert.bracket(float(d.min()), float(d.max()), beta=beta, eta=eta)


def _finite(x: float) -> float:
    """The bound itself, or infinity in place of NaN."""
    return np.inf if np.isnan(x) else float(x)
