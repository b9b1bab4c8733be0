"""Claims on Fellows et al. (2): the residual error in the five normalisations that the sources print.

Both sides: `virel_theory.objective.residual.residual_error`; a Python loop over the pairs with `math.fsum`,
        in this file only.
Bound:  |H| products and powers, each within 4 ulps, and a sum of |H| positive terms: (|H| + 16) u relative.
        The zero set is compared exactly: entries are quarters, so nothing underflows.
Teeth:  `perturb` doubles the loop's sum, and calls a zero residual positive.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.engine.claim import Assumption, Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import Normalisation, residual_error

SQUARED = (Normalisation.HALF_MEAN, Normalisation.WEIGHTED, Normalisation.MEAN_SQUARE)


def pair_distributions(*, full_support: bool = True) -> Callable[[TabularMDP], st.SearchStrategy[Array]]:
    """Function from an MDP to a Hypothesis strategy that draws a distribution d(h) of rationals, `[S, A]`."""
    low = 1 if full_support else 0

    def of(mdp: TabularMDP) -> st.SearchStrategy[Array]:
        weights = hnp.arrays(np.int64, mdp.shape, elements=st.integers(low, 4)).map(
            lambda w: w * mdp.available
        )
        return weights.map(lambda w: w / w.sum() if w.any() else mdp.available / mdp.n_pairs)

    return of


def by_hand(beta: Array, weight: float, p_norm: float, d: Array | None) -> float:
    """Residual error `weight * sum_h d(h) |beta(h)|^p` of a Bellman residual beta by a loop; None: d = 1."""
    terms = [
        (1.0 if d is None else d[s, a]) * abs(beta[s, a]) ** p_norm
        for s in range(beta.shape[0])
        for a in range(beta.shape[1])
        if math.isfinite(beta[s, a])
    ]
    return weight * math.fsum(terms)


def gap(*, mdp: TabularMDP, beta: Array, d: Array, p_norm: float, c: float, perturb: float = 0.0) -> Gap:
    """Gap of Fellows et al. (2), residual error: five normalisations minus plain loops; 0 iff beta = 0."""
    n, zero = mdp.n_pairs, not np.any(np.where(mdp.available, beta, 0.0))
    expected = {
        Normalisation.POWER: by_hand(beta, c / p_norm, p_norm, None),
        Normalisation.MEAN: by_hand(beta, c / (p_norm * n), p_norm, None),
        Normalisation.HALF_MEAN: by_hand(beta, c / (2 * n), 2.0, None),
        Normalisation.WEIGHTED: by_hand(beta, c, 2.0, d),
        Normalisation.MEAN_SQUARE: by_hand(beta, c / n, 2.0, None),
    }
    found = []
    for kind, value in expected.items():
        power = 2.0 if kind in SQUARED else p_norm
        eps = residual_error(
            beta, c=c, p_norm=power, normalisation=kind, d=d if kind is Normalisation.WEIGHTED else None
        )
        found.append(Gap(abs(eps - (1 + perturb) * value), (n + 16) * U * value))
        found.append(Gap(float((eps == 0) != (zero and perturb == 0)), 0.0))
    return worst(*found)


def gap_minimiser(*, mdp: TabularMDP, beta: Array, other: Array, perturb: float = 0.0) -> Gap:
    """Indicator, 1 or 0: do the residual errors with p = 1 and p = 2 order two residuals differently?

    It is computed in exact arithmetic: entries are quarters.
    """
    sums = [
        sum(
            Fraction(abs(float(x))) ** p * sign
            for table, sign in ((beta, 1), (other, -1))
            for x in table[mdp.available]
        )
        for p in (1, 2)
    ]
    return Gap(float(sums[0] * sums[1] < 0) + perturb, 0.0)


def sparse_tables(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws a Bellman residual table that is zero on many state-action pairs."""
    return q_tables(mdp, values=st.sampled_from([0.0, 1.0, -0.5]))


def _instances(*, full_support: bool = True) -> st.SearchStrategy[Instance]:
    return instances(
        mdp=mdps(max_states=3, masked=True),
        beta=q_tables if full_support else sparse_tables,
        d=pair_distributions(full_support=full_support),
        p_norm=st.sampled_from([2.0, 1.0, 1.5, 3.0]),
        c=st.sampled_from([1.0, 0.5, 3.0]),
    )


CLAIMS = (
    Claim(
        id="eq-02",
        title="The five printed normalisations of the residual error",
        source="Eq. (2), App. D.3, E.3, F.1, F.2; talk; poster; Algorithm 2",
        statement=r"\varepsilon_\omega := \tfrac{c}{p}\|\mathcal T_\omega\hat Q_\omega(h) - \hat Q_\omega(h)\|_p^p;"
        r"\ \tfrac{1}{2|H|}\|\cdot\|_2^2;\ \tfrac{1}{p|H|}\|\cdot\|_p^p;\ \|\cdot\|_{d(h)}^2;\ E_D[(\cdot)^2]:"
        r"\ \text{equal up to constants (d uniform), and all zero iff } \beta_\omega = 0",
        check=Check(gap, _instances()),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "full-support",
                "d(h) > 0 for every pair (poster's norm); else a zero residual error leaves pairs unconstrained",
                without=Check(gap, _instances(full_support=False)),
            ),
            Assumption(
                "one-p",
                "one p throughout: with another p, another member of a misspecified Omega minimises the error",
                without=Check(
                    gap_minimiser, instances(mdp=mdps(max_states=2), beta=q_tables, other=q_tables)
                ),
            ),
        ),
    ),
)
