r"""Claims on the iterates of the exact algorithms: MPO with a trust region, parametric MPO, and their relatives.

Both sides: the iterates of the library against values, divergences and policies written out in `tools`; the
        optima of constrained steps against their conditions of stationarity and against other policies.
Bound:  rounding, `tools.rounding` times 64, of values of rewards of size B = 1 + max|r| + alpha (1 + max|log p|);
        a policy that is an exponential of values over a temperature eta has that divided by eta. The roots of
        both trust regions are met within 1e-9 (their tolerance is 1e-13, their divergences' rounding
        1e-16/sqrt(eps)); the budget of the E-step within the bound in `tools`. A return and a distance from optimal
        may be off by what the iterate certifies; only what exceeds that is compared with rounding.
Teeth:  `perturb` moves the values; doubles the budget and the divergence; asks for a better value.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.mpo.natural import optimal_values
from verify.claims.mpo.tools import (
    MILD_ALPHAS,
    action_value,
    budget_gaps,
    divergence,
    mild,
    penalised_value,
    plain_value,
    rounding,
    size_of,
    tilted,
)
from verify.engine.claim import A_DEFINITION, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, policies
from virel_theory.checks import Array, Mask
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.classical import policy_iteration_steps, soft_policy_iteration_steps
from virel_theory.variational.algorithms.mpo import mpo, mpo_parametric
from virel_theory.variational.algorithms.natural import natural_policy_gradient
from virel_theory.variational.core.iterate import Iterate

MET = 1e-9
Reference = Callable[[Array, Array], tuple[Array, float]]
"""The policy that follows from the old one and the values of its E-step, and the temperature."""


def fields_gap(
    *,
    mdp: TabularMDP,
    pi: Array,
    d: Array,
    alpha: float,
    epsilon: float,
    sweeps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of iterates of five algorithms: values, policy, temperature, divergence, return, bound.

    MPO at a fixed temperature, MPO on a KL budget, natural policy gradient, policy iteration and soft policy
    iteration; two iterates of each.
    """
    settings: dict[str, Any] = {"prior": pi, "d": d}
    plain = settings | {"sweeps": sweeps}

    def mirror(old: Array, q: Array) -> tuple[Array, float]:
        return tilted(old, q, alpha), alpha

    def greedy(_: Array, q: Array) -> tuple[Array, float]:
        table = np.where(mdp.available, q, -np.inf)
        best = table >= table.max(axis=1, keepdims=True) - 1e-6
        return best / best.sum(axis=1, keepdims=True), 0.0

    gaps = [
        _follow(mdp, islice(mpo(mdp, eta=alpha, **plain), 2), mirror, pi, d, sweeps, perturb),
        _spend(mdp, islice(mpo(mdp, epsilon=epsilon, **plain), 2), epsilon * (1 + perturb), pi, d, sweeps),
        _follow(
            mdp,
            islice(natural_policy_gradient(mdp, step=1 / alpha, **plain), 2),
            mirror,
            pi,
            d,
            sweeps,
            perturb,
        ),
        _follow(
            mdp, islice(policy_iteration_steps(mdp, tie_tol=1e-6, **plain), 2), greedy, pi, d, sweeps, perturb
        ),
        _soft(
            mdp,
            islice(soft_policy_iteration_steps(mdp, alpha=alpha, exponent=0.5, **settings), 2),
            pi,
            d,
            alpha,
        ),
    ]
    return worst(*gaps)


def trust_gap(
    *, mdp: TabularMDP, pi: Array, other: Array, d: Array, trust: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO (12) solved by a mixture: its bound is met or the copy lies within; no policy within is better.

    `other` is moved towards the old policy until it lies within the trust region.
    """
    x = next(mpo(mdp, epsilon=0.5, trust=trust, prior=pi, d=d))
    moved = float(d @ divergence(pi, x.prior))
    copied = bool(np.array_equal(x.prior, x.posterior))
    within = next(p for p in _line(pi, other) if float(d @ divergence(pi, p)) <= trust)
    likelihood = [float(d @ (x.posterior * _log(p)).sum(axis=1)) for p in (x.prior, within, pi)]
    short = Gap(moved - trust, MET) if copied else Gap(abs(moved - trust), MET)
    better = Gap(likelihood[1] - likelihood[0] + perturb * (1 + abs(likelihood[0])), MET)
    return worst(short, better, Gap(likelihood[2] - likelihood[0], MET))


def parametric_gap(
    *, mdp: TabularMDP, pi: Array, other: Array, d: Array, trust: float, perturb: float = 0.0
) -> Gap:
    r"""Gaps of parametric MPO: its bound is met; $Q + \lambda\pi_{old}/\pi$ is constant per state; none is better."""
    x = next(mpo_parametric(mdp, trust=trust, prior=pi, d=d))
    q = action_value(mdp, plain_value(mdp, pi))
    table = np.where(mdp.available, q, 0.0)
    bound = 64 * rounding(mdp, size_of(mdp, 0.0, pi)) + MET * (1 + float(np.abs(table).max()))
    other = other * (pi > 0) / (other * (pi > 0)).sum(axis=1, keepdims=True)
    within = next(p for p in _line(pi, other) if float(d @ divergence(pi, p)) <= trust)
    gain = [float(d @ (p * table).sum(axis=1)) for p in (x.policy, within)]
    better = Gap(gain[1] - gain[0] + perturb * (1 + abs(gain[0])), bound)
    if x.temperature == 0:
        return worst(Gap(np.where(d > 0, _spread(pi > 0, q), 0.0).max(), bound), better)
    nu = table + x.temperature * np.divide(pi, x.policy, out=np.zeros_like(pi), where=pi > 0)
    uneven = _spread(pi > 0, nu) / (1 + np.abs(nu).max(axis=1))
    return worst(
        Gap(abs(float(d @ divergence(pi, x.policy)) - trust), MET),
        Gap(uneven.max(), bound),
        Gap(abs(x.kl - float(d @ divergence(x.policy, pi))), MET),
        better,
    )


def _follow(
    mdp: TabularMDP,
    steps: "islice[Iterate]",
    follow: Reference,
    pi: Array,
    d: Array,
    sweeps: int | None,
    perturb: float,
) -> Gap:
    v, gaps = np.zeros(mdp.n_states), []
    for k, x in enumerate(steps, start=1):
        v = _evaluated(mdp, pi, v, sweeps)
        q = action_value(mdp, v) + perturb
        policy, temperature = follow(pi, q)
        room = 64 * rounding(mdp, size_of(mdp, 1.0, pi))
        kl = np.inf if ((x.policy > 0) & (pi == 0)).any() else float(d @ divergence(x.policy, pi))
        gaps += [
            Gap(np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), room),
            Gap(np.abs(x.policy - policy).max(), room * max(1.0, 1 / max(temperature, 0.1))),
            Gap(np.abs(x.posterior - x.policy).max() + np.abs(x.prior - x.policy).max(), 0.0),
            Gap(abs(x.temperature - temperature), 1e-12 * temperature),
            Gap(0.0 if x.kl == kl else abs(x.kl - kl), MET),
            Gap(abs(x.step - k), 0.0),
            *_judged(mdp, x),
        ]
        pi = x.policy
    return worst(*gaps)


def _spend(
    mdp: TabularMDP, steps: "islice[Iterate]", epsilon: float, pi: Array, d: Array, sweeps: int | None
) -> Gap:
    """Gap of iterates whose temperature comes from a KL budget; the budget is checked on their own values."""
    v, gaps = np.zeros(mdp.n_states), []
    for k, x in enumerate(steps, start=1):
        v = _evaluated(mdp, pi, v, sweeps)
        q = action_value(mdp, v)
        gaps += [
            Gap(
                np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), 64 * rounding(mdp, size_of(mdp, 1.0, pi))
            ),
            *budget_gaps(x.q, pi, x.posterior, eta=x.temperature, d=d, epsilon=epsilon),
            Gap(np.abs(x.policy - x.posterior).max() + np.abs(x.prior - x.policy).max(), 0.0),
            Gap(abs(x.kl - float(d @ divergence(x.posterior, pi))), MET),
            Gap(abs(x.step - k), 0.0),
            *_judged(mdp, x),
        ]
        pi = x.policy
    return worst(*gaps)


def _soft(mdp: TabularMDP, steps: "islice[Iterate]", prior: Array, d: Array, alpha: float) -> Gap:
    pi, gaps = prior, []
    weights = np.sqrt(prior)
    for k, x in enumerate(steps, start=1):
        v = penalised_value(mdp, pi, weights, alpha)
        q = action_value(mdp, v)
        room = 64 * rounding(mdp, size_of(mdp, alpha, pi, prior))
        gaps += [
            Gap(np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), room),
            Gap(np.abs(x.policy - tilted(weights, q, alpha)).max(), room * max(1.0, 1 / alpha)),
            Gap(np.abs(x.posterior - x.policy).max() + np.abs(x.prior - prior).max(), 0.0),
            Gap(abs(x.temperature - alpha), 0.0),
            Gap(abs(x.kl - float(d @ divergence(x.policy, prior))), MET),
            Gap(abs(x.step - k), 0.0),
            *_judged(mdp, x),
        ]
        pi = x.policy
    return worst(*gaps)


def _judged(mdp: TabularMDP, x: Iterate) -> list[Gap]:
    """Gaps of the return and of the distance from optimal that an iterate reports for its policy."""
    v = plain_value(mdp, x.policy)
    room = rounding(mdp, size_of(mdp, 0.0, x.policy))
    return [
        Gap(abs(float(mdp.initial @ v) - x.value) - x.error, room),
        Gap((optimal_values(mdp) - v).max() - x.bound, room + 1e-9 / (1 - mdp.gamma)),
    ]


def _evaluated(mdp: TabularMDP, pi: Array, v: Array, sweeps: int | None) -> Array:
    if sweeps is None:
        return np.asarray(plain_value(mdp, pi))
    for _ in range(sweeps):
        v = (pi * action_value(mdp, v)).sum(axis=1)
    return v


def _line(old: Array, new: Array) -> list[Array]:
    """Policies on the line from `new` to `old`, in steps of one sixteenth; the last is `old`."""
    return [old + k / 16 * (new - old) for k in range(16, -1, -1)]


def _log(p: Array) -> Array:
    return np.log(np.where(p > 0, p, 1.0))


def _spread(taken: Mask, table: Array) -> Array:
    """Difference of the largest and the smallest entry of the actions `taken`, per state."""
    top = np.where(taken, table, -np.inf).max(axis=1)
    out: Array = top - np.where(taken, table, np.inf).min(axis=1)
    return out


_TRUST = st.sampled_from((0.1, 0.01, 0.5))
_PARTIAL_STEP = instances(
    mdp=mild(),
    pi=lambda mdp: policies(mdp, full_support=False),
    other=policies,
    d=distributions,
    trust=_TRUST,
)
_STEP = instances(mdp=mild(), pi=policies, other=policies, d=distributions, trust=_TRUST)

A_ROOT = NoProof("the multiplier of the constraint, a root without a closed form")

CLAIMS = (
    Claim(
        id="def-iterates",
        title="iterates of exact algorithms, and what they report of their policy",
        source="MPO, Eqs. (5), (8); Puterman 1994; Haarnoja et al. 2018",
        statement=r"(Q_{k-1}, \pi_k, \eta_k, E_dKL(\pi_k\|\pi_{k-1}), p_0\cdot V^{\pi_k}) \text{ by their definitions};\quad"
        r" \max(V^* - V^{\pi_k}) \le \text{bound}",
        check=Check(
            fields_gap,
            instances(
                mdp=mild(),
                pi=policies,
                d=distributions,
                alpha=MILD_ALPHAS,
                epsilon=st.sampled_from((0.1, 0.01, 0.5)),
                sweeps=st.sampled_from((None, 1, 3)),
            ),
            30,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="mpo-12",
        title="M-step in a trust region is a mixture",
        source="ours, for MPO, Eq. (12), on tables",
        statement=r"\arg\max_p E_dE_q[\log p] \text{ s.t. } E_dKL(\pi_i\|p) \le \epsilon:\quad p = \pi_i + w(q - \pi_i),\ w \in [0, 1]",
        check=Check(trust_gap, _STEP, 100),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_ROOT,
    ),
    Claim(
        id="mpo-parametric",
        title="best policy in a trust region around the old one",
        source="ours, for MPO, Eq. (7), option 1, on tables",
        statement=r"\arg\max_\pi E_dE_\pi[Q] \text{ s.t. } E_dKL(\pi_i\|\pi) \le \epsilon:\quad"
        r" \pi(a|s) = \frac{\lambda\pi_i(a|s)}{\nu_s - Q(s, a)}",
        check=Check(parametric_gap, _PARTIAL_STEP, 100),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_ROOT,
    ),
)
