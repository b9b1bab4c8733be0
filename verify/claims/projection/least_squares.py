"""Claim on Eq. (33), App. F.1: the projected residual error is a least-squares value on features b_omega.

Both sides: the two printed forms from `virel_theory.gradients.projection`, against each other: the norm of
        the projection (by an orthogonal factorisation), and the quadratic form (by the Gram matrix G = E[b
        b^T]).
Bound:  rounding. Solving with G costs N^2 cond(G) ulps of its result: 64 N^2 u cond(G) mean(beta^2).
Teeth:  `perturb` doubles the quadratic form.

`gradient.py` and `convergence.py` build on the Gram matrix and the features drawn here.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import fractions
from verify.engine.claim import Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict
from verify.strategies import mdps
from virel_theory.checks import Array, U
from virel_theory.gradients.projection import projected_residual_error, projected_residual_error_quadratic
from virel_theory.mdp.tabular import TabularMDP


def forms_gap(*, mdp: TabularMDP, b: Array, beta: Array, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (33): `|P beta|^2 / (2 |H|)` minus `E[b beta]^T G^-1 E[b beta] / 2`, G = E[b b^T], zero."""
    norm = projected_residual_error(b, beta, mask=mdp.mask)
    quadratic = projected_residual_error_quadratic(b, beta, mask=mdp.mask) * (1 + perturb)
    bound = 64 * b.shape[2] ** 2 * U * condition(mdp, b) * float(np.mean(beta[mdp.available] ** 2))
    return Gap(abs(norm - quadratic), bound)


def gram(mdp: TabularMDP, b: Array) -> Array:
    """Gram matrix G = E[b b^T], `[N, N]`, of features `b [S, A, N]`: the mean over the pairs that exist."""
    rows = b[mdp.available]
    out: Array = rows.T @ rows / len(rows)
    return out


def condition(mdp: TabularMDP, b: Array) -> float:
    """Condition number of the Gram matrix of features `b [S, A, N]`."""
    return float(np.linalg.cond(gram(mdp, b)))


def features(shape: tuple[int, int], n: int, high: int = 3) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws features `[S, A, n]` with integer entries in [-high, high]."""
    return fractions((*shape, n), high)


@st.composite
def _form_instances(draw: st.DrawFn) -> Instance:
    mdp = draw(mdps(max_states=4, masked=True))
    b = draw(
        features(mdp.shape, draw(st.integers(1, min(3, mdp.n_pairs)))).filter(
            lambda b: condition(mdp, b) < 1e6
        )
    )
    beta = draw(fractions(mdp.shape, 20, over=4))
    return {"mdp": mdp, "b": b, "beta": beta}


CLAIMS = (
    Claim(
        id="eq-33",
        title="projected residual error, both forms",
        source="Eq. (33), App. F.1",
        statement=r"\varepsilon_\omega = \frac{1}{2|H|}\|P_\omega\beta_\omega(h)\|_2^2, \quad 2\varepsilon_\omega = "
        r"E[b_\omega^\top\beta_\omega] E[b_\omega b_\omega^\top]^{-1} E[\beta_\omega b_\omega]",
        check=Check(forms_gap, _form_instances()),
        expected=Verdict.HOLDS,
    ),
)
