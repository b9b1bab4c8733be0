"""Claim on the deep agent's temperature (Algorithm 2): residual error plus the TD target's variance.

A replay that holds every pair's k successors once each (p(s'|h) is their share) makes the minibatch's mean
the exact expectation over h ~ U(H) and s' ~ p. V_phibar is the Boltzmann mean of Q at a temperature, so
that the target is T_omega.

Both sides: `virel_deep.axes.losses.td_target`, `residual_error` and `ResidualTemperature` (two seeds; two
        critics); against `bellman_boltzmann` and `residual_error` of `virel_theory` in three
        normalisations: Algorithm 2's mean square; (2) with c = 1, p = 2, which is |H|/2 times that; and the
        talk's, which is half of it.
Bound:  rounding. A TD error of size at most M = max|r| + (1 + gamma) max|Q| is off by (4 A + S + 24) u M
        (the bound of `bellman_boltzmann`), its square by twice that, a mean of n rows by n ulps more: 4 (n
        + 4 A + S + 24) u M^2. alpha is a product and a sum of positive float32 numbers: 8 ulps of float32,
        relative.
Teeth:  `perturb` puts back the factor 1/2.
"""

from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.claims.deep.tools import largest, tensor
from verify.claims.instances import fractions
from verify.engine.claim import Assumption, Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import GAMMAS, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import Normalisation, bellman_residual, residual_error
from virel_theory.operators.bellman import bellman_boltzmann

U_32 = float(np.finfo(np.float32).eps)


def gap(
    *,
    mdp: TabularMDP,
    successors: np.ndarray,
    q: Array,
    other: Array,
    eps: float,
    scale: float,
    smoothing: float,
    perturb: float = 0.0,
    with_variance: bool = True,
) -> Gap:
    """Gap of the deep residual errors and temperatures of two Q tables: minus the exact ones, zero.

    The tables are two seeds, then two critics of one seed. Both tables share one target. Without
    `with_variance` the exact value lacks the sampled target's variance.
    """
    from virel_deep.axes.losses import residual_error as deep_residual_error  # noqa: PLC0415

    errors = _td_errors(mdp, successors, q, other, eps)  # [2, B]
    factor = 1 - perturb / 2
    as_seeds = factor * deep_residual_error(errors)
    as_critics = factor * deep_residual_error(errors[None])
    variance = mdp.gamma**2 * _variance_of_next(successors, _boltzmann_mean(q, eps))
    exact, gaps = [], []
    size = largest(mdp.reward) + (1 + mdp.gamma) * max(largest(q), largest(other))
    bound = 4 * (successors.size + 4 * mdp.n_actions + mdp.n_states + 24) * U * size**2
    for table, found in zip((q, other), as_seeds.tolist(), strict=True):
        beta = bellman_residual(bellman_boltzmann(mdp, q, eps=eps), table)
        printed = (
            residual_error(beta, normalisation=Normalisation.MEAN_SQUARE),
            residual_error(beta, c=1.0, p_norm=2.0, normalisation=Normalisation.POWER) * 2 / mdp.n_pairs,
            residual_error(beta, c=1.0, p_norm=2.0, normalisation=Normalisation.MEAN) * 2,
        )
        exact.append(printed[0] + variance)
        more = variance if with_variance else 0.0
        gaps += [Gap(abs(found - value - more), bound) for value in printed]
    if with_variance:
        gaps.append(Gap(abs(as_critics.item() - sum(exact) / 2), bound))
        gaps += _alpha_gaps(as_seeds, exact, scale, smoothing, bound)
    return worst(*gaps)


def _td_errors(mdp: TabularMDP, successors: np.ndarray, q: Array, other: Array, eps: float) -> Any:
    """TD errors `[2, B]` of two Q tables at each of the B transitions of a replay buffer."""
    from virel_deep.axes.losses import td_target  # noqa: PLC0415

    s, a, _ = np.indices(successors.shape).reshape(3, -1)
    v_next = tensor(_boltzmann_mean(q, eps)[successors.ravel()])
    y = td_target(tensor(mdp.reward[s, a]), 0 * v_next, v_next, gamma=mdp.gamma)
    return y - tensor(np.stack([q[s, a], other[s, a]]))[0]


def _boltzmann_mean(q: Array, eps: float) -> Array:
    """State values V(s) = E[Q(s, a)] under the Boltzmann policy at temperature `eps`."""
    weight = np.exp((q - q.max(axis=1, keepdims=True)) / eps)
    out: Array = (weight * q).sum(axis=1) / weight.sum(axis=1)
    return out


def _variance_of_next(successors: np.ndarray, v: Array) -> float:
    """Variance of the next state's value V(s') given the pair (s, a), averaged over all pairs."""
    sampled = v[successors]
    return float(((sampled - sampled.mean(axis=2, keepdims=True)) ** 2).mean())


def _alpha_gaps(as_seeds: Any, exact: list[float], scale: float, smoothing: float, bound: float) -> list[Gap]:
    """Gaps of each seed's temperature alpha, first and smoothed: minus `scale` times the residual error.

    The second estimate is the other seed's residual error.
    """
    import torch  # noqa: PLC0415

    from virel_deep.axes.temperature import ResidualTemperature  # noqa: PLC0415
    from virel_deep.design.temperature import Residual  # noqa: PLC0415

    beta = Residual(scale=scale, smoothing=smoothing)
    state = ResidualTemperature(beta, 2, device=torch.device("cpu"))
    state.observe_residual(as_seeds, first=True)
    first = state.alpha
    state.observe_residual(as_seeds.flip(0), first=False)
    second = state.alpha
    gaps = []
    for k in range(2):
        smoothed = smoothing * exact[k] + (1 - smoothing) * exact[1 - k]
        for alpha, eps in ((first, exact[k]), (second, smoothed)):
            value = scale * eps
            gaps.append(Gap(abs(alpha[k].item() - value), 8 * U_32 * value + scale * bound))
    return gaps


@st.composite
def _replays(draw: st.DrawFn) -> Instance:
    """Hypothesis strategy: an MDP with k equally likely successors per pair, Q tables, agent's settings."""
    n_states, n_actions, k = (draw(st.integers(1, n)) for n in (3, 3, 3))
    shape = (n_states, n_actions)
    successors = draw(hnp.arrays(np.int64, (*shape, k), elements=st.integers(0, n_states - 1)))
    reward = draw(fractions(shape, 4))
    mdp = TabularMDP(np.eye(n_states)[successors].mean(axis=2), reward, draw(st.sampled_from(GAMMAS)))
    return {
        "mdp": mdp,
        "successors": successors,
        "q": draw(q_tables(mdp)),
        "other": draw(q_tables(mdp)),
        "eps": draw(temperatures()),
        "scale": draw(st.sampled_from((1.0, 4e-3, 4e-4))),
        "smoothing": draw(st.sampled_from((0.0, 0.5, 0.9))),
    }


CLAIMS = (
    Claim(
        id="deep-residual-temperature",
        title="The deep agent's temperature is the residual error and the target's variance",
        source="virel_deep residual_error, ResidualTemperature: Eq. (2), Algorithm 2",
        statement=r"E_D[(r + \gamma V(s') - \hat Q_\omega(h))^2] = \tfrac{2}{|H|}\cdot\tfrac12\|\mathcal T_\omega\hat Q_\omega(h) - \hat Q_\omega(h)\|_2^2"
        r" + \gamma^2 E[\mathrm{Var}_{p(s'|h)}(V(s'))],\quad \alpha = \lambda\varepsilon_\omega",
        check=Check(gap, _replays()),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "variance of the target",
                r"Algorithm 2 squares sampled TD errors, so its temperature exceeds (2) by the target's variance: for stochastic transitions"
                r" it stays positive at $\hat Q_\omega = Q^*$. It is (2) itself for deterministic ones",
                Check(partial(gap, with_variance=False), _replays()),
            ),
        ),
        deep=True,
    ),
)
