r"""Fixed points of the Boltzmann operator at a fixed temperature; in general it is not a contraction.

$T_\omega Q = r + \gamma P V_Q$ with $V_Q(s) = \sum_a\pi(a|s)Q(s, a)$, $\pi \propto e^{Q/\varepsilon}$. The
box $[\min r, \max r]/(1-\gamma)$ is mapped into itself, so there is a fixed point (Brouwer); there may be
several (Asadi & Littman 2017). In terms of V: $F(V) = B(Q_V) - V = 0$, $B$ the Boltzmann mean, whose
derivative along $Q(s, a)$ is $g(a|s) = \pi(a|s)(1 + (Q(s, a) - B(s))/\varepsilon)$; Newton's step solves
$(I - \gamma\sum_a g P)\Delta = F$.

Uniqueness where it can be proved: $\sum_a|g(a|s)| \le 1 + E_\pi|Q - B|/\varepsilon \le 1 + D/(2\varepsilon)$
with $D = (\max r - \min r)/(1-\gamma)$ the largest difference of two values in the box, so that the operator
contracts there if $\gamma(1 + D/(2\varepsilon)) < 1$.
"""

from dataclasses import dataclass

import numpy as np

from virel_common.arguments import as_whole
from virel_theory.checks import Array, U, as_generator, as_temperature
from virel_theory.mdp.policy_system import direct_solve, mixed_rows
from virel_theory.mdp.row_sums import Rows
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import kernels
from virel_theory.solvers.backups import Backups, backups
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.problem import Problem, problem
from virel_theory.solvers.solve import policy_evaluation, solve

N_DAMPED, N_NEWTON, MAX_HALVINGS = 30, 60, 12


@dataclass(frozen=True, eq=False)
class BoltzmannFixedPoints:
    r"""Distinct fixed points of the Boltzmann operator found by a search, and whether there is only one.

    Attributes:
        q: `[K, S, A]` tables, ordered by their mean value, `-inf` where the action does not exist.
        residual: `[K]` computed $\max|T_\omega Q - Q|$ over the pairs that exist, reward units.
        n_starts: starts tried.
        n_converged: starts that ended in a fixed point.
        unique: whether there is provably one fixed point only; False means "found K", not that there are no
            others.

    Example:
        >>> found = boltzmann_fixed_points(TabularMDP([[[1.0]]], [[1.0]], 0.5), eps=1.0)
        >>> len(found.q), found.n_converged == found.n_starts, found.unique
        (1, True, True)
    """

    q: Array
    residual: Array
    n_starts: int
    n_converged: int
    unique: bool


def boltzmann_fixed_points(
    mdp: TabularMDP, *, eps: float, n_starts: int = 20, rng: np.random.Generator | None = None
) -> BoltzmannFixedPoints:
    r"""Fixed points $Q = T_\omega Q$ of the Boltzmann operator, Asadi & Littman 2017.

    Damped Newton iteration from several starts: the optimal values, those of the uniform policy, both ends of
    the invariant box, and random tables in it. What does not reach rounding level is dropped; equal points
    are merged.

    Args:
        mdp: the MDP.
        eps: temperature > 0, reward units.
        n_starts: starts in all; the first four are those named above.
        rng: source of the random starts; None: `np.random.default_rng(0)`.

    Returns:
        `BoltzmannFixedPoints`; K may be 0 if no start converged, although a fixed point always exists.

    Raises:
        InputError: if `eps` is not positive and finite, or `n_starts` is below 1.

    Example:
        >>> found = boltzmann_fixed_points(TabularMDP([[[1.0]]], [[1.0]], 0.5), eps=1.0)
        >>> found.q.round(9).tolist(), found.unique
        ([[[2.0]]], True)
    """
    temperature = as_temperature(eps, name="eps")
    n_starts = as_whole(n_starts, name="n_starts", least=1)
    task = problem(mdp, atol=0.0, rtol=0.0, sense="max")
    search = _Search(task, backups(task), temperature)
    generator = np.random.default_rng(0) if rng is None else as_generator(rng)
    ends = [search.newton(v) for v in _starts(mdp, n_starts, generator)]
    good = [v for v in ends if v is not None]
    points = [search.table(v) for v in _distinct(good, task.r_max)]
    q = np.stack([table for table, _ in points]) if points else np.empty((0, *mdp.shape))
    residual = np.array([error for _, error in points])
    low, high = _reward_range(mdp)
    unique = mdp.gamma * (1 + (high - low) / (1 - mdp.gamma) / (2 * temperature)) < 1
    return BoltzmannFixedPoints(q, residual, n_starts, len(good), bool(unique))


@dataclass(frozen=True, eq=False)
class _Search:
    """Newton search for Boltzmann fixed points: roots of `B(r + gamma P V) - V`, B the Boltzmann mean."""

    task: Problem
    b: Backups
    eps: float

    def defect(self, v: Array) -> Array:
        """Defect of values V: the Boltzmann mean of `Q_V = r + gamma P V`, minus V; leaves `Q_V` in `b.q`."""
        out = np.empty_like(v)
        self.b.full(v, out)
        kernels.boltzmann_mean(self.b.q, self.eps, out)
        return out - v

    def newton(self, start: Array) -> Array | None:
        """Seek a fixed point from `start` by damped, then Newton steps; None if they stall above rounding."""
        v = start
        for _ in range(N_DAMPED):
            v = v + 0.5 * self.defect(v)
        f = self.defect(v)
        for _ in range(N_NEWTON):
            if peak(f) <= self.noise(v):
                return v
            step = direct_solve(self.derivative(), self.task.gamma, f)
            for k in range(MAX_HALVINGS):
                trial = v + step / 2**k
                f_trial = self.defect(trial)
                if peak(f_trial) < peak(f):
                    break
            else:
                return None
            v, f = trial, f_trial
        return None

    def derivative(self) -> Rows:
        """Derivative of the last Boltzmann backup B in V, over gamma: `sum_a dB/dQ(s, a) P(s'|s, a)`."""
        pi = np.empty_like(self.b.q)
        kernels.soft_weights(self.b.q, self.eps, pi)
        mean = np.empty(len(pi))
        kernels.boltzmann_mean(self.b.q, self.eps, mean)
        gap = np.where(pi > 0, self.b.q - mean[:, None], 0.0)
        return mixed_rows(self.task.transition, pi * (1 + gap / self.eps))

    def noise(self, v: Array) -> float:
        r"""Rounding level of the defect: a value vector whose defect is below it counts as a fixed point.

        u = 2.2e-16, M = max|r| + max|v|; valid at every temperature.

        Backup, v and the difference are off by (S + 8) u M, which moves B by at most $\sum_a|g|$ as much:
        with $x_a = (\max Q - Q_a)/\varepsilon$,
        $E_\pi|Q - B|/\varepsilon \le 2 E_\pi x \le 2\sum_a x_a e^{-x_a} \le 2 A/e$, and at most
        $M/\varepsilon$. The mean itself: (4 A + 16) u M (`operators`).
        """
        n_actions, scale = self.b.q.shape[1], self.task.r_max + peak(v)
        slope = 1 + min(n_actions, scale / self.eps)
        n_ulps = (self.task.n_terms + 8) * slope + 4 * n_actions + 16
        return float(U * scale * n_ulps)

    def table(self, v: Array) -> tuple[Array, float]:
        """Action values `Q_V` of a fixed point V, and their residual `max|T Q - Q|`."""
        w = np.empty_like(v)
        self.b.full(v, w)
        q = self.b.q.copy()
        kernels.boltzmann_mean(q, self.eps, w)
        self.b.full(w, np.empty_like(v))
        moved = np.subtract(self.b.q, q, where=np.isfinite(q), out=np.zeros_like(q))
        return q, float(np.abs(moved).max())


def _starts(mdp: TabularMDP, n_starts: int, rng: np.random.Generator) -> list[Array]:
    """Starts of the search: values of the optimal and uniform policies, extreme constants, random vectors."""
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    low, high = (end / (1 - mdp.gamma) for end in _reward_range(mdp))
    starts = [
        solve(mdp, atol=0.0, rtol=1e-6).value,
        policy_evaluation(mdp, pi=uniform).value,
        np.full(mdp.n_states, low),
        np.full(mdp.n_states, high),
    ]
    starts += [rng.uniform(low, high, mdp.n_states) for _ in range(n_starts - len(starts))]
    return starts[:n_starts]


def _reward_range(mdp: TabularMDP) -> tuple[float, float]:
    """Smallest and largest reward of the state-action pairs that exist."""
    rewards = mdp.reward[mdp.available]
    return float(rewards.min()), float(rewards.max())


def _distinct(values: list[Array], r_max: float) -> list[Array]:
    """Merge equal value vectors: keep one of each group, ordered by rising mean.

    Vectors are equal if they differ by at most 1e-6 (max|r| + max|v|).
    """
    out: list[Array] = []
    for v in sorted(values, key=lambda x: float(x.mean())):
        if all(np.abs(v - other).max() > 1e-6 * (r_max + max(peak(v), peak(other))) for other in out):
            out.append(v)
    return out
