r"""Claims of your own: the Boltzmann softmax is not a non-expansion, mellowmax is (Asadi & Littman 2017).

    virel verify examples/my_claims.py       # verdicts, shrunk counterexample, figure, out/verify/report.html
    virel figures examples/my_claims.py      # SVG, PDF, PNG and CSV
    virel explain examples/my_claims.py      # what is claimed, what came out, what holds

A claim is data plus a *gap function*: it computes both sides on one instance and returns their difference as
`error`, next to the `bound` that rounding allows, derived before the first run. `perturb=1.0` plants an error
that a working check must find. Hypothesis draws the instances and shrinks the first one that fails.

Bound: rounding. The weights of a mean of A numbers of size B at inverse temperature beta carry a relative
error of (A + 2 beta B + 4) u, u = 2.2e-16, so the mean 2 B times that; mellowmax
(A + beta B + 4) u (1/beta + B).
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from verify import Check, Claim, Correction, Curve, Figure, Gap, Panel, Verdict
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory import TabularMDP

Array = NDArray[np.float64]
U = float(np.finfo(np.float64).eps)


def boltzmann(x: Array, beta: float) -> float:
    """Mean of x under weights proportional to exp(beta x)."""
    return float(softmax(beta * x) @ x)


def mellowmax(x: Array, beta: float) -> Array:
    """log(mean(exp(beta x))) / beta over the last axis."""
    return (logsumexp(beta * x, axis=-1) - np.log(x.shape[-1])) / beta


def boltzmann_gap(*, x: Array, y: Array, beta: float, perturb: float = 0.0) -> Gap:
    """|boltz(x) - boltz(y)| minus max|x - y|."""
    size = max(np.abs(x).max(), np.abs(y).max())
    left = abs(boltzmann(x, beta) - boltzmann(y, beta))
    return Gap(left - (1 - perturb) * np.abs(x - y).max(), 4 * size * (len(x) + 2 * beta * size + 4) * U)


def mellowmax_gap(*, x: Array, y: Array, beta: float, perturb: float = 0.0) -> Gap:
    """|mm(x) - mm(y)| minus max|x - y|."""
    size = max(np.abs(x).max(), np.abs(y).max())
    left = float(abs(mellowmax(x, beta) - mellowmax(y, beta)))
    bound = 2 * (len(x) + beta * size + 4) * U * (1 / beta + size)
    return Gap(left - (1 - perturb) * np.abs(x - y).max(), bound)


def contraction_gap(*, mdp: TabularMDP, q: Array, other: Array, beta: float, perturb: float = 0.0) -> Gap:
    """max|T q - T other| minus gamma max|q - other| for T q = r + gamma E[mellowmax q]."""
    difference = mdp.gamma * mdp.expect_next(mellowmax(q, beta) - mellowmax(other, beta))
    size = max(np.abs(q).max(), np.abs(other).max())
    bound = 4 * (mdp.n_actions + mdp.n_states + beta * size + 4) * U * (1 / beta + size)
    return Gap(np.abs(difference).max() - (mdp.gamma - perturb) * np.abs(q - other).max(), bound)


def figures(seed: int) -> Sequence[Figure]:
    """Lipschitz constants in the maximum norm: the sum of the absolute partial derivatives."""
    gap = np.linspace(0, 12, 121)
    points = [np.array([0.0, d]) for d in gap]
    steepness = [np.abs(softmax(x) * (1 + x - boltzmann(x, 1.0))).sum() for x in points]
    curves = [
        Curve("Boltzmann softmax", gap, np.array(steepness)),
        Curve("mellowmax", gap, np.array([softmax(x).sum() for x in points])),
        Curve("non-expansions: at most 1", gap, np.ones_like(gap), "predicted"),
    ]
    panel = Panel(
        "Lipschitz constant of two operators", "beta times the gap of two actions", "max norm", curves
    )
    return [
        Figure(
            "my-boltzmann-lipschitz", [panel], f"x = (0, gap), two actions. Not random (seed {seed} unused)."
        )
    ]


_NUMBERS = st.integers(-20, 20).map(lambda k: k / 4)
_PAIRS = st.integers(1, 3).flatmap(
    lambda n: st.fixed_dictionaries(
        {name: st.lists(_NUMBERS, min_size=n, max_size=n).map(np.array) for name in ("x", "y")}
        | {"beta": temperatures()}
    )
)
_MDPS = instances(mdp=mdps(min_actions=2), q=q_tables, other=q_tables, beta=temperatures())

CLAIMS = (
    Claim(
        id="my-boltzmann-non-expansion",
        title="The Boltzmann softmax operator is a non-expansion",
        source="Asadi & Littman 2017, Section 2 (who show that it is not)",
        statement=r"|\mathrm{boltz}_\beta(x) - \mathrm{boltz}_\beta(y)| \le \max_a |x_a - y_a|,\quad"
        r" \mathrm{boltz}_\beta(x) = \frac{\sum_a x_a e^{\beta x_a}}{\sum_a e^{\beta x_a}}",
        check=Check(boltzmann_gap, _PAIRS),
        expected=Verdict.REFUTED,
        printed=False,  # the paper shows that it is not
        correction=Correction(
            statement=r"|\mathrm{mm}_\beta(x) - \mathrm{mm}_\beta(y)| \le \max_a |x_a - y_a|,\quad"
            r" \mathrm{mm}_\beta(x) = \frac{1}{\beta}\log\Big(\frac{1}{n}\sum_a e^{\beta x_a}\Big)",
            derivation=r"The partial derivatives of $\mathrm{mm}_\beta$ are the softmax weights: positive, "
            r"with sum 1. By the mean value theorem the difference is a weighted mean of $x_a - y_a$. Those "
            r"of the Boltzmann mean are $\pi_a(1 + \beta(x_a - \mathrm{boltz}_\beta(x)))$: their sum is 1, "
            r"but some are negative.",
            check=Check(mellowmax_gap, _PAIRS),
        ),
        figures=figures,
    ),
    Claim(
        id="my-mellowmax-contraction",
        title="The mellowmax Bellman operator contracts",
        source="Asadi & Littman 2017, Section 4",
        statement=r"\max_h |\mathcal T_{mm} Q(h) - \mathcal T_{mm} Q'(h)| \le \gamma\max_h |Q(h) - Q'(h)|",
        check=Check(contraction_gap, _MDPS),
        expected=Verdict.HOLDS,
    ),
)
