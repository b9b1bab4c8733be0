r"""Claims on iterative inference with finite actions: its gap, mirror and gradient steps, the gate of (15).

Both sides: `inference_policies`, `inference_gap`, `gated_update` and `safe_step`, against divergences from
        the posterior, geometric means of prior and posterior, and parameters, all computed here from
        logarithms.
Bound:  rounding. Logarithms of size at most B = 8 + (span(Q) + |Q|)/alpha + 2 max|log p|, in n <= 8 steps of
        A terms: 16 (n + 1)(A + 16) u B in nats, times alpha in reward units. Gates 0 and 1 must give the
        same bits: 0. A return may be off by the error that the iterate certifies; what exceeds that is rounding.
        A gradient step of length t <= 1/L, L = (alpha + span g_0)/2 a bound on the second derivative along it,
        gains t(1 - tL/2)|grad|^2, that is (t/2)|grad|^2 at least: so much is asked of the library's steps. Steps
        of c times the safe length fail that for c > 2: at the posterior (1/2, 1/2), where span g_0 <= alpha and
        t = c/alpha, the second derivative is alpha/2 and the gain (1 - c/4) t|grad|^2. That J does not fall, the
        statement, stays true up to c = 4 there, so that a check of it alone can't be tighter.
Teeth:  `perturb` adds alpha/2 to the temperature of the posterior, a tenth of the contraction, ten safe
        steps to the length, 1/2 to the gate, or lowers the number of steps to 0.
"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.inference.iterative_figure import figures
from verify.claims.instances import choices, policy_values, solve_rounding
from verify.engine.claim import A_DEFINITION, Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, Mask, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.iterative import sac_iterative
from virel_theory.variational.parts.amortisation import (
    gated_update,
    inference_gap,
    inference_policies,
    safe_step,
)

STEPS = 6


def gap_is_divergence(
    *, mdp: TabularMDP, q: Array, prior: Array, pi: Array, alpha: float, share: float, perturb: float = 0.0
) -> Gap:
    """Gap of three statements: the gap is a divergence, mirror steps contract log-ratios, one step is exact."""
    log_best, exists = _log_posterior(q, prior, alpha * (1 + perturb / 2)), mdp.available
    log_pi = np.log(np.where(exists, pi, 1.0))
    divergence = (pi * np.where(exists, log_pi - log_best, 0.0)).sum(axis=1)
    found = inference_gap(q, pi=pi, prior=prior, alpha=alpha)
    path = inference_policies(q, prior=prior, alpha=alpha, iterations=STEPS, step=share / alpha)
    ratios = [_centred(np.log(np.where(exists, x, 1.0)) - log_best, exists) for x in path]
    left = np.array([(1 - share) ** n for n in range(STEPS + 1)])
    bound = _bound(q, prior, alpha)
    return worst(
        Gap(np.abs(found - alpha * divergence).max(), alpha * bound),
        Gap(max(np.abs(x - c * ratios[0]).max() for x, c in zip(ratios, left, strict=True)), bound),
        Gap(np.abs(_one_step(q, prior, alpha) - log_best)[exists].max(), bound),
    )


def ascent_gap(
    *, mdp: TabularMDP, q: Array, prior: Array, alpha: float, exponent: float, perturb: float = 0.0
) -> Gap:
    """Gap of the ascent of gradient steps of safe length: the largest fall in six steps, and the promised gain.

    The promised gain is half of the length times the squared slope.
    """
    values, promised = _climb(mdp, q, (prior, alpha, exponent), 1 + 20 * perturb)
    gains, bound = np.diff(values, axis=0), alpha * _bound(q, prior, alpha)
    return worst(Gap(-gains.min(), bound), Gap((promised - gains).max(), 2 * bound))


def long_step_gap(
    *, mdp: TabularMDP, q: Array, prior: Array, alpha: float, exponent: float, perturb: float = 0.0
) -> Gap:
    """Gap of the ascent, that J does not fall, for gradient steps of ten times the safe length."""
    values, _ = _climb(mdp, q, (prior, alpha, exponent), 10 + 20 * perturb)
    return Gap(-np.diff(values, axis=0).min(), alpha * _bound(q, prior, alpha))


def _climb(mdp: TabularMDP, q: Array, how: tuple[Array, float, float], factor: float) -> tuple[Array, Array]:
    """Objective along six gradient steps of `factor` safe lengths, `[7, S]`; promised gain of each, `[6, S]`.

    `how` is the prior, the temperature and the exponent. The promised gain is `t/2 |grad|^2`.
    """
    prior, alpha, exponent = how
    table = np.where(mdp.available, q, -np.inf)
    length = factor * float(safe_step(table, prior=prior, alpha=alpha, exponent=exponent).min())
    settings: dict[str, Any] = {"prior": prior, "alpha": alpha, "exponent": exponent}
    path = inference_policies(q, iterations=STEPS, step=length, form="gradient", **settings)
    values = np.array([_objective(q, pi, prior, alpha, exponent) for pi in path])
    slopes = np.array([_slope(q, pi, prior, alpha, exponent) for pi in path[:-1]])
    return values, length / 2 * (slopes**2).sum(axis=2)


def gate_gap(
    *, mdp: TabularMDP, q: Array, prior: Array, pi: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    """Number of parameters, of any size, whose bits differ: gate 1, gate 0, no step, direct inference.

    Direct inference proposes parameters that depend on the state alone, here `f(s) = 3 Q(s)`, whatever the
    parameters and the gradient are.
    """
    on = mdp.available
    lam, other = (np.where(on, np.log(np.where(on, x, 1.0)), -np.inf) for x in (prior, pi))
    direct = 3 * np.where(on, q, -np.inf)
    shut, wide = 1 - perturb / 2, perturb / 2
    bits = [
        gated_update(lam, direct, gate=shut) != lam,
        gated_update(lam, direct, gate=wide) != direct,
        gated_update(other, direct, gate=wide) != gated_update(lam, direct, gate=wide),
        inference_policies(q, prior=prior, alpha=alpha, iterations=0)[-1] != prior,
    ]
    return Gap(float(sum(x.sum() for x in bits)), 0.0)


def temperature_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    alpha: float,
    share: float,
    steps: int,
    gate: float,
    sweeps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of `sac_iterative` with mirror steps: its posterior against the closed form at a higher temperature."""
    settings: dict[str, Any] = {"alpha": alpha, "iterations": steps, "step": share / alpha, "gate": gate}
    left = (1 - share * (1 - gate)) ** (steps * (1 - perturb))
    pi, q, gaps = prior, np.zeros(mdp.shape), []
    for k, x in enumerate(islice(sac_iterative(mdp, prior=prior, sweeps=sweeps, **settings), 3), start=1):
        q = _charged_values(mdp, q, pi, _objective(0 * prior, pi, prior, alpha, 1.0), sweeps)
        cooled = np.where(mdp.available, (1 - left) * q, -np.inf)
        pi = np.where(mdp.available, np.exp(_log_posterior(cooled, prior, alpha)), 0.0)
        kl = -float(_objective(0 * prior, pi, prior, 1.0, 1.0).mean())
        size = 8 + 3 * float(np.abs(q[mdp.available]).max()) / alpha
        bound = size * 64 * solve_rounding(mdp, 16 + 8 * alpha) * (1 + 1 / alpha)
        value = float(mdp.initial @ policy_values(mdp, pi))
        gaps += [
            Gap(max(np.abs(x.policy - pi).max(), np.abs(x.posterior - pi).max(), abs(x.kl - kl)), bound),
            Gap(np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), bound),
            Gap(abs(x.value - value) - x.error, bound / (1 - mdp.gamma)),
            Gap(np.abs(x.prior - prior).max() + abs(x.temperature - alpha) + abs(x.step - k), 0.0),
        ]
    return worst(*gaps)


def _charged_values(mdp: TabularMDP, q: Array, pi: Array, gain: Array, sweeps: int | None) -> Array:
    """Action values of a policy that gains `gain [S]` on top: exact, or so many backups of q; 0 if missing."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    right = (pi * mdp.reward).sum(axis=1) + gain
    for _ in range(sweeps or 1):
        exact = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, right)
        v = exact if sweeps is None else (pi * q).sum(axis=1) + gain
        q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), 0.0)
    return q


def _log_posterior(q: Array, prior: Array, alpha: float) -> Array:
    """Logarithm of the posterior `p e^(Q/alpha) / Z`, 0 where the action does not exist."""
    exists = np.isfinite(q)
    scores = np.where(exists, q / alpha + np.log(np.where(exists, prior, 1.0)), -np.inf)
    return np.where(exists, scores - logsumexp(scores, axis=1, keepdims=True), 0.0)


def _one_step(q: Array, prior: Array, alpha: float) -> Array:
    """Logarithm of the policy after one mirror step of length 1/alpha, 0 where the action does not exist."""
    pi = inference_policies(q, prior=prior, alpha=alpha, iterations=1, step=1 / alpha)[1]
    return np.log(np.where(np.isfinite(q), pi, 1.0))


def _centred(x: Array, exists: Mask) -> Array:
    """Entries minus their mean over the actions that exist, 0 elsewhere."""
    mean = np.where(exists, x, 0.0).sum(axis=1) / exists.sum(axis=1)
    return np.where(exists, x - mean[:, None], 0.0)


def _objective(q: Array, pi: Array, prior: Array, alpha: float, rho: float) -> Array:
    """Objective of one step, `E_pi[Q] - alpha sum_a pi log(pi / p^rho)`, `[S]`."""
    on = pi > 0
    log_pi, log_p = (np.log(np.where(on, x, 1.0)) for x in (pi, prior))
    out: Array = (pi * (np.where(on, q, 0.0) - alpha * (log_pi - rho * log_p))).sum(axis=1)
    return out


def _slope(q: Array, pi: Array, prior: Array, alpha: float, rho: float) -> Array:
    """Gradient of `_objective` in the logits, `pi (g - E_pi g)` with `g = Q - alpha log(pi / p^rho)`, `[S, A]`."""
    on = pi > 0
    log_pi, log_p = (np.log(np.where(on, x, 1.0)) for x in (pi, prior))
    g = np.where(on, np.where(on, q, 0.0) - alpha * (log_pi - rho * log_p), 0.0)
    out: Array = pi * (g - (pi * g).sum(axis=1, keepdims=True))
    return out


def _bound(q: Array, prior: Array, alpha: float) -> float:
    largest = float(np.abs(q[np.isfinite(q)]).max()) / alpha
    size = 8 + 3 * largest + 2 * float(np.abs(np.log(prior[prior > 0])).max())
    return float(16 * (STEPS + 1) * (q.shape[1] + 16) * U * size)


_WARM = temperatures().filter(lambda alpha: 0.1 <= alpha <= 10)
_SHARES = st.sampled_from([0.5, 1.0, 0.25, 0.125])
_MDPS = choices(max_states=3, max_actions=4, masked=True)
_PARTS: dict[str, Any] = {"mdp": _MDPS, "q": q_tables, "prior": policies}
_SIMPLE = instances(
    mdp=mdps(max_states=1, max_actions=2), q=q_tables, prior=policies, alpha=_WARM, exponent=st.just(1.0)
)
_ASCENT = instances(**_PARTS, alpha=_WARM, exponent=st.sampled_from([1.0, 0.5, 0.0]))

CLAIMS = (
    Claim(
        id="iterative-gap",
        title="the gap of inference is a divergence, which mirror steps close at a fixed rate",
        source="ours, on Marino et al., Eqs. (15), (16)",
        statement=r"\max_\pi\tilde J - \tilde J(\pi) = \alpha KL(\pi\|\pi^*);\quad "
        r"\log\frac{\pi_n}{\pi^*} = (1 - \alpha t)^n\log\frac{\pi_0}{\pi^*} + c_n(s) \text{ for mirror steps of length } t \le 1/\alpha;"
        r"\quad t = 1/\alpha:\ \pi_1 = \pi^*",
        check=Check(gap_is_divergence, instances(**_PARTS, pi=policies, alpha=_WARM, share=_SHARES)),
        expected=Verdict.HOLDS,
        figures=figures,
        printed=False,
    ),
    Claim(
        id="iterative-temperature",
        title="n mirror steps from the prior are the posterior at a higher temperature",
        source="ours, on Marino et al., Eqs. (9), (15)",
        statement=r"\pi_n \propto p\,\exp\Big(\frac{1 - (1 - \alpha t(1 - \omega))^n}{\alpha}Q\Big),\ \text{while } Q = Q_{\pi} \text{ of (9) charges the divergence at } \alpha",
        check=Check(
            temperature_gap,
            instances(
                mdp=_MDPS,
                prior=policies,
                alpha=_WARM,
                share=_SHARES,
                steps=st.sampled_from([1, 2, 0, 3]),
                gate=st.sampled_from([0.0, 0.5, 0.25]),
                sweeps=st.sampled_from([None, 1, 2]),
            ),
            n_random=60,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof(
            "iterates of an algorithm in logarithms of logarithms, beyond the checker's algebra"
        ),
    ),
    Claim(
        id="iterative-ascent-finite",
        title="gradient steps of safe length never lower the objective, finite actions",
        source="ours, on Marino et al., Eqs. (15), (16)",
        statement=r"\tilde J(\lambda + t\nabla\tilde J(\lambda)) \ge \tilde J(\lambda),\quad "
        r"t \le \min\Big(\frac1\alpha, \frac{2}{\alpha + \mathrm{span}\,g_0}\Big),\ g_0 = Q - \alpha(1 - \rho)\log p,\ \lambda_0 = \log p",
        check=Check(ascent_gap, _ASCENT),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption("safe length", "t at most the safe length", without=Check(long_step_gap, _SIMPLE)),
        ),
        printed=False,
        not_certified=NoProof("gradient steps put exponentials into exponents, beyond the checker's algebra"),
    ),
    Claim(
        id="iterative-gate",
        title="limits of the gated update",
        source="ours, on Marino et al., Eq. (15)",
        statement=r"\omega = 1:\ \lambda' = \lambda;\quad \omega = 0:\ \lambda' = \delta;\quad n = 0:\ \pi = p;\quad "
        r"\text{direct inference is one step with } \omega = 0 \text{ and } \delta = f(s)",
        check=Check(gate_gap, instances(**_PARTS, pi=policies, alpha=_WARM)),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
)
