"""Claim on App. F.2, before Theorem 5: is minimising eps_{omega,k}, at a fixed k, the same as minimising eps_omega?

Both sides: `incremental_residual_error`; eps_omega by loops (`rates.py`), under T*.
Bound:  printed: rounding. Corrected: with a = eps_{.,k} - eps_k least at i and b = eps least at j, b(i) - b(j) <= (b(i) -
        a(i)) + (a(j) - b(j)), the rates of (37) at two members. They fall to 0 with eps_k.
Teeth:  `perturb` adds to the difference.
"""

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import integer_tables, on_mdp, solved
from verify.claims.theorem_5.rates import eps_by_hand, rate_above_eps_k, rates
from verify.engine.claim import Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import incremental_residual_error


def gap_printed(*, gap: int, gamma: float, k: int, perturb: float = 0.0) -> Gap:
    """Gap of F.2 as printed: eps_omega at the minimiser of eps_{omega,k} minus the least eps_omega, to be 0.

    S = 1, A = 2, r = (1 + gap, 1); Omega = {Q*, the fixed point of T_{omega,k}}, eps_k = 2^-k. Q* > 0, and its
    maximum is unique.
    """
    mdp = TabularMDP(np.ones((1, 2, 1)), np.array([[1.0 + gap, 1.0]]), gamma)
    mean = 1 + gap / (1 + math.exp(-gap * 2.0**k))  # of the reward under p_{omega,k}
    omegas = [mdp.reward + gamma * v / (1 - gamma) for v in (1.0 + gap, mean)]
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


_FALLING = on_mdp(st.sampled_from([1.0, 0.125, 2.0**-10, 2.0**-30]))

CLAIMS = (
    Claim(
        id="app-f2-fixed-k",
        title="Minimising the incremental residual error at a fixed k",
        source="App. F.2, before Thm 5",
        statement=r"\text{minimising } \varepsilon_{\omega,k} \text{ is the same as minimising the objective } \varepsilon_\omega:"
        r"\ \arg\min_\omega\varepsilon_{\omega,k} \subseteq \arg\min_\omega\varepsilon_\omega\quad\text{(read: at each k)}",
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
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"\varepsilon_{\tilde\omega_k} - \min_\omega\varepsilon_\omega \to 0 \ (k \to \infty),\quad"
            r" \tilde\omega_k = \arg\min_\omega\varepsilon_{\omega,k}",
            derivation=r"""At its fixed point $\mathcal T_{\omega,k}$ has residual 0, so that $\varepsilon_{\omega,k} = \varepsilon_k$ is least there, and the fixed
point is not Q*: S = 1, A = 2, $\gamma = \frac12$, r = (2, 1), $\varepsilon_k = 1$: $p_k = (0.731, 0.269)$, fixed point
(3.73, 2.73), Q* = (4, 3). The two objectives have the same minimum in the limit (Theorem 5), at a rate: that of (37) at two members of
Omega.""",
            check=Check(
                gap_corrected, solved(shape=(2, 3), others=integer_tables(-3, 6, count=2), eps_k=_FALLING)
            ),
        ),
        not_certified=NoProof("a minimiser over Omega; the rate that is used is eq-37"),
    ),
)
