"""Claim on App. F.2, before Theorem 5: is minimising eps_{omega,k}, at a fixed k, the same as minimising eps_omega?

Both sides: `incremental_residual_error`; eps_omega by loops (`rates.py`), under T*.
Omega:  printed: Q* and the fixed point of T_{omega,k}. Corrected: drawn tables, or the fixed points at several k, so that
        a minimiser that is right at a larger eps_k only is far from the least. The gap of the two rewards is drawn at
        the scales of eps_k: a minimiser moves where it is as large as eps_k.
Bound:  printed: rounding. Corrected: with a = eps_{.,k} - eps_k least at i and b = eps least at j, b(i) - b(j) <= (b(i) -
        a(i)) + (a(j) - b(j)), the rates of (37) at two members. They fall to 0 with eps_k.
Teeth:  `perturb` adds to the difference.
"""

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.claims.instances import integer_tables, on_mdp, solved
from verify.claims.theorem_5.rates import eps_by_hand, rate_above_eps_k, rates
from verify.engine.claim import Check, Claim, Correction, Instance, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import incremental_residual_error

_SCALES = tuple(2.0**-k for k in (0, 3, 7, 10, 14, 17, 20, 30))
"""Temperatures eps_k of the corrected check, and scales of the gap of two rewards."""


def mdp_of_printed(gap: float, gamma: float) -> TabularMDP:
    """MDP of the counterexample: one state, rewards (1 + gap, 1)."""
    return recorded.one_state(1.0 + gap, 1.0, gamma=gamma)


def _fixed_point(gap: float, gamma: float, eps_k: float) -> Array:
    """Fixed point of T_{omega,k} on the MDP of the counterexample; Q* for eps_k = 0."""
    mean = 1 + gap / (1 + (math.exp(-gap / eps_k) if eps_k else 0.0))  # of the reward under p_{omega,k}
    return np.asarray(mdp_of_printed(gap, gamma).reward + gamma * mean / (1 - gamma))


def _with_fixed_points(gap: int, scale: float, gamma: float, eps_k: float) -> Instance:
    """Instance of the corrected check: Q*, and the fixed points of T_{omega,k} at several k."""
    gap_of_rewards = gap * scale
    q_star, *others = (_fixed_point(gap_of_rewards, gamma, eps) for eps in (0.0, *_SCALES))
    mdp = mdp_of_printed(gap_of_rewards, gamma)
    return {"mdp": mdp, "q_star": q_star, "others": np.array(others), "eps_k": eps_k}


def gap_printed(*, gap: int, gamma: float, k: int, perturb: float = 0.0) -> Gap:
    """Gap of F.2 as printed: eps_omega at the minimiser of eps_{omega,k} minus the least eps_omega, to be 0.

    S = 1, A = 2, r = (1 + gap, 1); Omega = {Q*, the fixed point of T_{omega,k}}, eps_k = 2^-k. Q* > 0, and its
    maximum is unique.
    """
    mdp = mdp_of_printed(gap, gamma)
    omegas = [_fixed_point(gap, gamma, eps_k) for eps_k in (0.0, 2.0**-k)]
    best = int(np.argmin([incremental_residual_error(mdp, q, eps_k=2.0**-k) for q in omegas]))
    limits = [eps_by_hand(mdp, q) for q in omegas]
    return Gap(limits[best] - min(limits) + perturb, rates(mdp, omegas[best], 0.0)[1])


def gap_corrected(
    *, mdp: TabularMDP, q_star: Array, others: Array, eps_k: float, perturb: float = 0.0
) -> Gap:
    """Gap of F.2 corrected: eps_omega at the minimiser of eps_{omega,k} minus the least, at most two rates.

    Omega is taken with Q*, and without.
    """
    return worst(*(_excess(mdp, part, eps_k, perturb) for part in ([q_star, *others], list(others))))


def _excess(mdp: TabularMDP, omegas: Sequence[Array], eps_k: float, perturb: float) -> Gap:
    limits = [eps_by_hand(mdp, q) for q in omegas]
    i = int(np.argmin([incremental_residual_error(mdp, q, eps_k=eps_k) for q in omegas]))
    j = int(np.argmin(limits))
    bound = rate_above_eps_k(mdp, omegas[i], eps_k) + rate_above_eps_k(mdp, omegas[j], eps_k)
    return Gap(limits[i] - min(limits) + perturb * (1 + 2 * bound), bound)


_FALLING = st.sampled_from(_SCALES)
_DRAWN = solved(shape=(2, 3), others=integer_tables(-3, 6, count=2), eps_k=on_mdp(_FALLING))
_FIXED_POINTS = st.builds(
    _with_fixed_points,
    gap=st.integers(1, 3),
    scale=st.sampled_from(_SCALES[:-1]),
    gamma=st.sampled_from([0.5, 0.75]),
    eps_k=_FALLING,
)

CLAIMS = (
    Claim(
        id="app-f2-fixed-k",
        title="Minimising the incremental residual error at a fixed k",
        source="App. F.2, before Thm 5",
        statement=r"\text{minimising } \varepsilon_{\omega,k} \text{ is the same as minimising the objective } \varepsilon_\omega",
        reading=r"At each k, $\arg\min_\omega\varepsilon_{\omega,k} \subseteq \arg\min_\omega\varepsilon_\omega$. The sentence begins with"
        r" $\min\lim\varepsilon_{\omega,k} = \min\varepsilon_\omega$; in that limit it is Theorem 5 ii), which holds (`theorem-5-ii`).",
        check=Check(
            gap_printed,
            st.fixed_dictionaries(
                {
                    "gap": st.integers(1, 3),
                    "gamma": st.sampled_from([0.5, 0.0, 0.75]),
                    "k": st.integers(0, 3),
                }
            ),
        ),
        expected=Verdict.REFUTED,
        weight=Weight.REMARK,
        correction=Correction(
            statement=r"\varepsilon_{\tilde\omega_k} - \min_\omega\varepsilon_\omega \to 0 \ (k \to \infty),\quad"
            r" \tilde\omega_k = \arg\min_\omega\varepsilon_{\omega,k}",
            derivation=r"""At its fixed point $\mathcal T_{\omega,k}$ has residual 0, so that $\varepsilon_{\omega,k} = \varepsilon_k$ is least there, and the fixed
point is not Q*: S = 1, A = 2, $\gamma = \frac12$, r = (2, 1), $\varepsilon_k = 1$: $p_k = (0.731, 0.269)$, fixed point
(3.73, 2.73), Q* = (4, 3). The two objectives have the same minimum in the limit (Theorem 5), at a rate: that of (37) at two members of
Omega.""",
            check=Check(gap_corrected, _DRAWN | _FIXED_POINTS),
        ),
        not_certified=NoProof("a minimiser over Omega; the rate that is used is eq-37"),
    ),
)
