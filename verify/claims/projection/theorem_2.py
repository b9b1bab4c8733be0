"""Claim on App. F.1, after (33): does the projected residual error serve Theorem 2 without Assumption 2?

The sentence says that it "now satisfies all requirements in Theorem 2 without Assumption 2"; Theorem 2 concludes that
the Boltzmann policy at temperature 0, which is greedy for Q_omega, is optimal. Checked is that conclusion at a zero of
the projected error, where everything else holds that the theorem's proof asks for: Q* > 0 and Q_omega > 0 with unique
maxima, E[b b^T] regular.

Zero:   Q = b omega, one feature b > 0 and target T*: for omega > 0 E[b beta] = E[b r] - omega E[b (b - gamma E[max b'])],
        so omega is the quotient of the two, if it is positive.
Both sides: `projected_residual_error` of the library; Q* by construction (`solved`), policy values by a solve.
Bound:  rounding of the solve; the projected error is a square of a residual of 64 (|H| + S + 16) u (max|q| + max|r|)
        max|b|, over 2 min E[b^2], as in `convergence.py`.
Teeth:  `perturb` adds to the loss, or to the table.
"""

from typing import Any

import numpy as np

from verify.claims import recorded
from verify.claims.instances import integer_tables, policy_values, solve_rounding, solved
from verify.engine.claim import Check, Claim, Correction, Instance, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from virel_theory.checks import Array, U
from virel_theory.gradients.projection import projected_residual_error
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import bellman_optimal
from virel_theory.operators.policies import greedy_policy


def zero_of_projected_error(mdp: TabularMDP, b: Array) -> float:
    """Weight omega > 0 with E[b beta] = 0 for Q = b omega under T*, or 0 if there is none."""
    slope = float(np.sum(b * (b - mdp.gamma * (mdp.dense_transition @ b.max(axis=1)))))
    return float(np.sum(b * mdp.reward)) / slope if slope > 0 and np.sum(b * mdp.reward) > 0 else 0.0


def gap_printed(*, mdp: TabularMDP, q_star: Array, b: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 as printed: `V* - V^pi` of the greedy policy at a zero of the projected error, to be 0."""
    q = b * zero_of_projected_error(mdp, b)
    error = projected_residual_error(b[:, :, None], bellman_optimal(mdp, q) - q)
    size = float(np.abs(q).max() + np.abs(mdp.reward).max())
    residual = 64 * (mdp.n_pairs + mdp.n_states + 16) * U * size * float(b.max())
    at_zero = Gap(error, residual**2 / (2 * float(np.mean(b**2))))
    return worst(at_zero, Gap(_loss(mdp, q_star, q) + perturb, _solve_bound(mdp, q_star)))


def gap_corrected(*, mdp: TabularMDP, q_star: Array, b: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. F.1 corrected: the greedy policy's loss minus `2 ||Q_omega - Q*||/(1 - gamma)`, at most 0.

    With Q* as the feature (Assumption 2) Q_omega is Q*, and the loss is 0.
    """
    q = b * zero_of_projected_error(mdp, b)
    allowed = 2 * float(np.abs(q - q_star).max()) / (1 - mdp.gamma)
    slack = _solve_bound(mdp, q_star)
    found = [Gap(_loss(mdp, q_star, q) + perturb * (1 + 2 * allowed), allowed + slack)]
    exact = q_star * zero_of_projected_error(mdp, q_star)
    if exact.any():
        cond = float(np.sum(q_star**2)) / abs(_slope(mdp, q_star))
        found.append(Gap(np.abs(exact - q_star).max(), slack * cond))
        found.append(Gap(_loss(mdp, q_star, exact), slack))
    return worst(*found)


def _slope(mdp: TabularMDP, b: Array) -> float:
    return float(np.sum(b * (b - mdp.gamma * (mdp.dense_transition @ b.max(axis=1)))))


def _loss(mdp: TabularMDP, q_star: Array, q: Array) -> float:
    return float((q_star.max(axis=1) - policy_values(mdp, greedy_policy(q))).max())


def _solve_bound(mdp: TabularMDP, q_star: Array) -> float:
    return solve_rounding(mdp, float(np.abs(q_star).max() + np.abs(mdp.reward).max()))


def _has_a_zero(x: Instance) -> bool:
    """Whether the projected error has a zero omega > 0, with unique maxima of b, hence of Q_omega."""
    top = np.sort(x["b"], axis=1)
    unique = x["b"].shape[1] == 1 or bool((top[:, -1] > top[:, -2]).all())
    return unique and zero_of_projected_error(x["mdp"], x["b"]) > 0


_feature: Any = integer_tables(1, 3)
_INSTANCES = solved(shape=(2, 2), gaps=(1, 3), lowest=(1, 3), gammas=(0.0, 0.5), b=_feature).filter(
    _has_a_zero
)

CLAIMS = (
    Claim(
        id="app-f1-theorem-2",
        title="a zero of the projected error makes the Boltzmann policy optimal",
        source="App. F.1, after Eq. (33)",
        statement=r"\varepsilon_\omega \text{ [of (33)] now satisfies all requirements in Theorem 2 without Assumption 2:}"
        r"\ \varepsilon_{\omega^*} = 0 \implies \pi_{\omega^*} \in \Pi^*\quad\text{(the conclusion of Theorem 2)}",
        check=Check(
            gap_printed,
            _INSTANCES,
            recorded={"mdp": recorded.R, "q_star": recorded.Q_STAR, "b": recorded.table(1, 3)},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"\varepsilon_\omega = 0 \implies V^* - V^{\pi_\omega} \le \tfrac{2}{1-\gamma}\|\hat Q_\omega - Q^*\|_\infty,"
            r"\ \text{0 if } Q^* \text{ is a multiple of } b \text{ (Assumption 2)}",
            derivation=r"""A zero of the projected error is a table whose backup projects onto it, not a fixed point of $\mathcal T^*$. S = 1, A = 2,
$\gamma = 0$, r = (2, 1) = Q* > 0, b = (1, 3): $E[b\beta_\omega] = \frac12(5 - 10\omega)$, so $\omega = \frac12$ and
$\hat Q_\omega = (\frac12, \frac32)$, positive with one maximum, at the worse action: the policy loses 1. For any table the greedy policy loses
at most $2\|\hat Q - Q^*\|_\infty/(1-\gamma)$ (Singh and Yee 1994). The text says a few lines above that the point is a
sub-optimal one; Theorem 2 does not extend to it.""",
            check=Check(gap_corrected, _INSTANCES),
        ),
        not_certified=NoProof(
            "a few fractions: the example is worked out in the derivation, and in the tests"
        ),
    ),
)
