r"""Claim on App. F.3 and the talk's "A Simple Algorithm": L grows without end whenever eps_omega tends to 0.

Tables Q* + t u, t = 2^-4, ..., 2^-24, with entries of u in {-1, 0, 1}, lead to eps = 0 under T*.

Both sides: (4) by the library; the lower bound from Q* and t alone, in this file.
Bound:  |T* Q - Q| <= (1 + gamma) t in every pair, so that eps <= ((1 + gamma) t)^2 / 2; E_{d pi}[Q] >= E_{d pi}[Q*]
        - t, and the entropy is at least 0: L >= 2 (E_{d pi}[Q*] - t)/((1 + gamma) t)^2, which has no limit as t falls.
        Rounding: eps is a mean of squares of residuals that are exact up to 8 (S + A + 8) u (|r| + |Q|), relative to
        t: 64 (|H| + S + 8) u (1 + (max|Q*| + max|r|)/t), of L.
Teeth:  `perturb` asks for the bound at t/2, four times as much.
"""

import numpy as np

from verify.claims.optima.theorem_2 import optimal_target, tables, with_q_star
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo

STEPS = tuple(2.0**-k for k in range(4, 25, 4))


def gap_grows(
    *, mdp: TabularMDP, q_star: Array, others: Array, pi: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of F.3's limit: the lower bound of L at Q* + t u minus L there, at most 0 for every t."""
    towards = np.sign(others[0] - q_star)
    found = [Gap(-1.0, 0.0)]  # no table but Q* itself: there is no path
    for t in STEPS if np.any(towards) else ():
        q = q_star + t * towards
        left = elbo(q, pi_theta=pi, d=d, eps=optimal_target(mdp, q))
        step = t * (1 - 0.5 * perturb)
        least = 2 * (float(d @ (pi * q_star).sum(axis=1)) - t) / ((1 + mdp.gamma) * step) ** 2
        size = float(np.abs(q_star).max() + np.abs(mdp.reward).max())
        noise = 64 * (mdp.n_pairs + mdp.n_states + 8) * U * (1 + size / t)
        found.append(Gap(least - left, noise * abs(left)))
    return worst(*found)


CLAIMS = (
    Claim(
        id="app-f3-surrogate",
        title="L grows without end whenever the temperature tends to 0",
        source="App. F.3; talk, A Simple Algorithm",
        statement=r"\mathcal L(\omega,\theta) \text{ is maximised for any } \varepsilon_\omega \to 0"
        r"\text{, so } \arg\min_\omega\varepsilon_\omega \text{ can be considered a surrogate}",
        reading=r"$\mathcal L \to \infty$ along every sequence of $\omega$ with $\varepsilon_\omega \to 0$ under $\mathcal T^*$, for each policy"
        r" $\pi_\theta$. Under the target of a fixed policy, $Q^\pi > 0$ is needed in place of $Q^* > 0$ (claim `eq-39`).",
        check=Check(gap_grows, tables(-4, 8)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "assumption-1",
                "0 < Q*: else L tends to -inf",
                without=Check(gap_grows, with_q_star(gaps=(1, 3), lowest=(-12, -8))),
            ),
        ),
        not_certified=NoProof("a limit; the bound that it rests on is two inequalities of one line each"),
    ),
)
