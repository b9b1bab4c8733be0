r"""VIREL's own algorithms with exact expectations: virel (Algorithm 1) and beta (Algorithm 2).

Both iterate an M-step, the values of the policy, and an E-step, the Boltzmann policy (3) of these values.
They differ in the temperature. The prior is uniform over the actions that exist and stays so; values have no
entropy in them. With $\pi_0$ = `prior` and $v_{-1} = 0$, for k = 1, 2, ...: $v_{k-1} = V^{\pi_{k-1}}$, or
with `sweeps` n that many backups $(\mathcal T^{\pi_{k-1}})^n v_{k-2}$, and then

$$Q_{k-1}(s, a) = r(s, a) + \gamma E_{s'}[v_{k-1}(s')]$$

$$\pi_k(a|s) = \frac{\exp(Q_{k-1}(s, a)/\alpha_k)}{\sum_b\exp(Q_{k-1}(s, b)/\alpha_k)}, \qquad
\alpha_k = 0:\ \text{uniform over } \arg\max_a Q_{k-1}(s, a)$$

Deviations of both: 1. expectations over the MDP and over `d`, in place of samples from a replay buffer; 2.
the M-step is `sweeps` backups, or complete, and the E-step is complete, in place of gradient steps; 3. no
second network lags behind V: its value is that of the policy, $\sum_a\pi_{k-1}(a|s)Q_{k-1}(s, a)$.

Rounding: a log-ratio of $\pi_k$ is off by twice the error of $Q_{k-1}$ over $\alpha_k$. beta's residuals are
off by (S + A + 8) ulps of max|w| + max|v|, and its temperature has twice that over their size as a relative
error; a variance has S + 8 ulps of itself and the square of S + 2 ulps of max|w|.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from virel_common.arguments import require_flag
from virel_common.errors import require
from virel_theory.checks import Array, as_non_negative, as_positive
from virel_theory.mdp.policy_system import mix
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import boltzmann_policy, greedy_policy
from virel_theory.solvers.kernels.rows import peak
from virel_theory.variational.core import kernels
from virel_theory.variational.core.e_step import expected_kl
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.regularised import back_up

Temperature = Callable[[Array, Array, Array], float]
"""Temperature of an E-step, as a function of $\\pi_{k-1}$, $Q_{k-1}$ and $v_{k-1}$."""


def virel(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of virel with exact expectations, Fellows et al. 2019, App. H, Algorithm 1.

    The E-step of the module at the constant temperature $\alpha_k$ = `alpha`. With `alpha` 0 it is policy
    iteration.

    Deviation: 1.-3. as in the module.

    Args:
        mdp: finite MDP.
        alpha: temperature >= 0, reward units.
        prior: `[S, A]` first policy $\pi_0$, which only starts; None: uniform over the actions that exist.
        d: `[S]` state distribution of `kl`; None: uniform.
        sweeps: backups per evaluation; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$; `posterior` and `policy` $\pi_k$; `prior` uniform;
        `temperature` alpha; `kl` $E_d KL(\pi_k\|U)$. Rewards and `alpha` in another unit give the same
        policies.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> first = next(virel(mdp, alpha=1.0))
        >>> first.q.tolist(), first.policy.round(4).tolist()
        ([[1.5, 0.5]], [[0.7311, 0.2689]])
    """
    constant = as_non_negative(alpha, name="alpha")
    policy, weights = first_prior(prior, mdp), state_distribution(d, mdp)
    return _iterates(mdp, lambda *_: constant, policy, weights, as_sweeps(sweeps))


def beta(
    mdp: TabularMDP,
    *,
    scale: float = 1.0,
    sampled: bool = False,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = 1,
) -> Iterates:
    r"""Iterates of beta with exact expectations, Fellows et al. 2019, App. H, Algorithm 2.

    The E-step of the module at the temperature $\alpha_k = \lambda\varepsilon_k$, $\lambda$ = `scale`, in
    proportion to the residual error of the M-step before it:

    $$\varepsilon_k = E_{d(s)}\frac{1}{|A(s)|}\sum_{a \in A(s)}\beta_k(s, a)^2, \qquad
    \beta_k = \mathcal T^{\pi_{k-1}}Q_{k-1} - Q_{k-1} = \gamma E_{s'}[w_{k-1}(s') - v_{k-1}(s')]$$

    with $w_{k-1}(s) = \sum_a\pi_{k-1}(a|s)Q_{k-1}(s, a)$. If `sampled`, $\gamma^2Var_{s'}[w_{k-1}(s')]$ is
    added to each $\beta_k^2$. The sum is $E_{s'}[(r + \gamma w_{k-1}(s') - Q_{k-1})^2]$, what Algorithm 2
    measures with sampled next states. It does not vanish where transitions are random (claim
    `alg-2-temperature`).

    A complete M-step (`sweeps` None) has no residual: $w_{k-1} = v_{k-1}$, $\beta_k = 0$, exactly, and unless
    `sampled` the iterates are those of policy iteration, App. F.5.

    Deviation: 1.-3. as in the module; 4. unless `sampled`, $\beta_k$ is the expected residual of the
    operator, as in (2), not that of sampled next states; 5. the measure is `d` times the uniform one over
    actions.

    Args:
        mdp: finite MDP.
        scale: the paper's lambda > 0, per reward unit; its experiments have (1 - gamma)/(average reward).
        sampled: whether the residual error includes the variance over next states, True or False.
        prior: `[S, A]` first policy $\pi_0$, which only starts; None: uniform over the actions that exist.
        d: `[S]` state distribution of the residual error and of `kl`; None: uniform.
        sweeps: backups per evaluation; None: exact evaluation by a direct solve.

    Returns:
        Endless iterator of `Iterate`: `q` $Q_{k-1}$; `posterior` and `policy` $\pi_k$; `prior` uniform;
        `temperature` $\alpha_k$, 0 where it is below the range of float64; `kl` $E_d KL(\pi_k\|U)$. Rewards
        in another unit, with `scale` in its inverse, give the same policies.

    Raises:
        InputError: if a setting is out of its range, or does not fit the MDP. An iteration raises it if its
            temperature exceeds the range of float64.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> first = next(beta(mdp, scale=64.0))  # v = 1/2, Q = (5/4, 1/4), w = 3/4, so beta = 1/8
        >>> first.q.tolist(), first.temperature, first.policy.round(4).tolist()
        ([[1.25, 0.25]], 1.0, [[0.7311, 0.2689]])
    """
    rate, n_sweeps = as_positive(scale, name="scale"), as_sweeps(sweeps)
    require_flag(sampled, name="sampled")
    policy, weights = first_prior(prior, mdp), state_distribution(d, mdp)
    rows = sparse.csr_array(mdp.csr_transition) if sampled else None

    def temperature(pi: Array, q: Array, v: Array) -> float:
        w = v if n_sweeps is None else mix(pi, q)  # a complete M-step has no residual, not even of rounding
        size, share = _residual_error(mdp, v, w, weights, rows)
        out = _product(rate, size, size, share)
        rule = "must be so small that the temperature stays in the range of float64"
        require(out < np.inf, "scale", scale, rule)
        return out

    return _iterates(mdp, temperature, policy, weights, n_sweeps)


def _iterates(
    mdp: TabularMDP, temperature: Temperature, policy: Array, d: Array, sweeps: int | None
) -> Iterates:
    uniform = first_prior(None, mdp)
    v = evaluate(mdp, policy=policy, v=np.zeros(mdp.n_states), sweeps=sweeps)
    q, k = back_up(mdp, v), 0
    while True:
        alpha = temperature(policy, q, v)
        k, policy = k + 1, _e_step(q, alpha)
        v = evaluate(mdp, policy=policy, v=v, sweeps=sweeps)
        found, kl = certified(mdp, policy=policy, v=v), expected_kl(policy, uniform, d=d)
        yield Iterate(k, q, policy, uniform, policy, alpha, kl, found.value, found.error, found.bound)
        q = found.q


def _e_step(q: Array, alpha: float) -> Array:
    """Boltzmann policy (3) of the values `q`; at the temperature 0 its limit (22)."""
    return greedy_policy(q) if alpha == 0 else boltzmann_policy(q, eps=alpha)


def _residual_error(
    mdp: TabularMDP, v: Array, w: Array, d: Array, rows: sparse.csr_array | None
) -> tuple[float, float]:
    """Numbers x, y with the residual error x^2 y, of which no square leaves the range of float64.

    The variance of `w` over next states is included if `rows`, the transition in CSR format, is given.
    """
    gap = w - v
    size = peak(gap) if rows is None else max(peak(gap), peak(w))
    if size == 0:
        return 0.0, 0.0
    squares = mdp.expect_next(gap / size) ** 2
    if rows is not None:
        x, variance = w / size, np.empty(mdp.reward.size)
        mean = mdp.expect_next(x).reshape(-1)  # about which squares are summed: E[w^2] - E[w]^2 would cancel
        kernels.row_variances(rows.indptr, rows.indices, rows.data, x, mean, variance)
        squares += variance.reshape(mdp.shape)
    exists = mdp.available
    means = np.where(exists, squares, 0.0).sum(axis=1) / exists.sum(axis=1)
    return size, mdp.gamma**2 * float(d @ means)


def _product(*factors: float) -> float:
    """Product of non-negative numbers, which overflows or underflows only where the result does."""
    mantissas, exponents = zip(*map(math.frexp, factors), strict=True)
    try:
        return math.ldexp(math.prod(mantissas), sum(exponents))
    except OverflowError:
        return math.inf
