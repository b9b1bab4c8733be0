"""Claim on App. B: the closer eps_omega is to zero, the closer Q_omega becomes to an optimal value function.

True on finite sets, with a rate. On continuous ones an L^p residual does not see a narrow spike.

Both sides: Q_n = Q* + a bump of height 2 and width 1/n at a = 1/2, Q* = 2 - a^2 on A = [-1, 1], one state, gamma = 0;
        eps is the mean of the bump squared, over 2, by quadrature.
Bound:  eps <= 2/n, as the bump is below 2 on a width of 2/n of an interval of length 2; where eps is below 1/16 the
        printed sentence, read with any modulus of continuity, asks for a distance below 1.
Teeth:  `perturb` adds 4.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import integer_tables, solved
from verify.claims.optima.corollary_1 import gap_i
from verify.claims.theorem_1.peaks import bump
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.continuous.quadrature import gauss_legendre


def spike_gap(*, n: int, perturb: float = 0.0) -> Gap:
    """Gap of App. B on an interval of actions: distance of Q_n to Q*, to be below 1, and eps minus 2/n."""
    nodes, weights = gauss_legendre(64)
    on_bump = 0.5 + nodes / n  # the bump lives on |a - 1/2| <= 1/n; the measure is uniform on [-1, 1]
    height = 2 * bump(on_bump, centre=0.5, radius=1 / n)
    eps = 0.5 * float(weights @ height**2) / n / 2
    distance = float(2 * bump(np.array([0.5]), centre=0.5, radius=1 / n)[0]) + 4 * perturb
    return worst(Gap(distance, 1.0), Gap(eps - 2 / n, 0.0))


CLAIMS = (
    Claim(
        id="app-b-closer",
        title="A small temperature means a table near Q*",
        source="App. B.1",
        statement=r"\text{From Theorem 2, the closer the residual error } \varepsilon_\omega \text{ is to zero, the closer } \hat Q_\omega(h)"
        r" \text{ becomes to representing an optimal action-value function}",
        reading=r"$\hat Q_\omega \to Q^*$ at every h as $\varepsilon_\omega \to 0$. Theorem 2 itself has no rate.",
        check=Check(
            spike_gap, st.fixed_dictionaries({"n": st.sampled_from((64, 256, 1024))}), recorded={"n": 64}
        ),
        expected=Verdict.REFUTED,
        weight=Weight.REMARK,
        correction=Correction(
            statement=r"|H| < \infty:\ (1-\gamma)\|\hat Q_\omega - Q^*\|_\infty \le \sqrt{2|H|\varepsilon_\omega} +"
            r" \gamma\varepsilon_\omega\min(\log A, \tfrac{A-1}{e})\quad (c = 1, p = 2)",
            derivation=r"""On finite sets the largest of |H| residuals is at most their root sum of squares, $\sqrt{2|H|\varepsilon_\omega}$, T*
contracts, and $\mathcal T^{\pi_\omega}$ differs from it by at most the last term (absent for $\mathcal T^*$): a rate that
the paper could quote. On a continuous H no L^p residual bounds a value at a point: one state, $A = [-1, 1]$,
$\gamma = 0$, $Q^* = 2 - a^2$, and a smooth bump of height 2 and width 2/n at a = 1/2 has $\varepsilon_\omega \le 2/n$, yet
$\hat Q_\omega(1/2) = Q^*(1/2) + 2$ for every n, where the greedy action is.""",
            check=Check(gap_i, solved(shape=(2, 3), shift=integer_tables(-3, 3))),
        ),
        not_certified=NoProof(ON_AN_INTERVAL.reason, form=""),
    ),
)
