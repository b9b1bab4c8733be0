"""Claims on Fellows et al. (2): the residual error in the five normalisations that the sources print.

(2) is a definition and cannot be false. What can: that every normalisation is 0 at Q* and nowhere else, which
every use of (2) needs. Q* is known (`solved`: exact), so that the zero set is not read off the residual.

Both sides: `virel_theory`'s operator and `residual_error`; T* and the sums by Python loops with `math.fsum`, in
        this file only.
Bound:  T* by loops and by the library is exact on these instances (`solved`). |H| products and powers,
        each within 4 ulps, and a sum of |H| positive terms: (|H| + 16) u relative. Where the error is 0 or not
        is compared exactly: residuals are multiples of 1/32, so nothing underflows.
Teeth:  `perturb` doubles the loop's sum, and calls Q* another table.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.claims.instances import integer_tables, on_mdp, solved
from verify.engine.claim import A_DEFINITION, Assumption, Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import Normalisation, bellman_residual, residual_error
from virel_theory.operators.bellman import bellman_optimal

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


def residual_by_loops(mdp: TabularMDP, q: Array) -> Array:
    """Bellman residual `r + gamma E[max_a' Q(h')] - Q` under T*, by loops over pairs and successors."""
    dense, beta = mdp.dense_transition.tolist(), np.zeros(mdp.shape)
    for s, a in np.ndindex(*mdp.shape):
        ahead = math.fsum(p * max(q[t].tolist()) for t, p in enumerate(dense[s][a]))
        beta[s, a] = mdp.reward[s, a] + mdp.gamma * ahead - q[s, a]
    return beta


def gap(
    *,
    mdp: TabularMDP,
    q_star: Array,
    shift: Array,
    d: Array,
    p_norm: float,
    c: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Fellows et al. (2), residual error: five normalisations minus plain loops; 0 iff Q = Q*."""
    q, n, optimal = q_star + shift, mdp.n_pairs, not np.any(shift) and perturb == 0
    found_beta, beta = bellman_residual(bellman_optimal(mdp, q), q), residual_by_loops(mdp, q)
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
            found_beta, c=c, p_norm=power, normalisation=kind, d=d if kind is Normalisation.WEIGHTED else None
        )
        found.append(Gap(abs(eps - (1 + perturb) * value), (n + 16) * U * value))
        found.append(Gap(float((eps == 0) != optimal), 0.0))
    return worst(*found)


def gap_sampled(*, mdp: TabularMDP, q_star: Array, perturb: float = 0.0) -> Gap:
    """Gap of (2) as Algorithm 2 computes it, at Q*: mean of (r + gamma max Q(s') - Q)^2 over pairs and s'.

    It should be 0. The mean over s' is taken after the square, which adds gamma^2 Var(max Q(s')).
    """
    ahead = mdp.gamma * q_star.max(axis=1)
    errors = (mdp.reward - q_star)[:, :, None] + ahead
    return Gap(float(np.sum(mdp.dense_transition * errors**2)) / mdp.n_pairs + perturb, 0.0)


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


def _instances(*, full_support: bool = True) -> st.SearchStrategy[Instance]:
    return solved(
        shape=(3, 3) if full_support else (1, 2),
        shift=integer_tables(-1, 1),
        d=on_mdp(pair_distributions(full_support=full_support)),
        p_norm=on_mdp(st.sampled_from([2.0, 1.0, 1.5, 3.0])),
        c=on_mdp(st.sampled_from([1.0, 0.5, 3.0])),
    )


CLAIMS = (
    Claim(
        id="eq-02",
        title="The residual error, a definition: 0 at Q* and nowhere else in each printed normalisation",
        source="Eq. (2), App. D.3, E.3, F.1, F.2; talk; poster; Algorithm 2",
        statement=r"\varepsilon_\omega := \tfrac{c}{p}\|\mathcal T_\omega\hat Q_\omega(h) - \hat Q_\omega(h)\|_p^p;"
        r"\ \tfrac{1}{2|H|}\|\cdot\|_2^2;\ \tfrac{1}{p|H|}\|\cdot\|_p^p;\ \|\cdot\|_{d(h)}^2;\ E_D[(\cdot)^2]:"
        r"\ \text{each zero iff } \hat Q_\omega = Q^* \text{ (ours), } \mathcal T_\omega = \mathcal T^*",
        check=Check(gap, _instances(), n_random=100),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
        assumptions=(
            Assumption(
                "full-support",
                "d(h) > 0 for every pair (poster's norm); else a zero residual error leaves pairs unconstrained",
                without=Check(gap, _instances(full_support=False), n_random=300),
            ),
            Assumption(
                "expectation-inside",
                "the expectation over s' stands inside the square; Algorithm 2 squares sampled targets: at Q* its temperature is gamma^2 Var V(s')",
                without=Check(gap_sampled, solved()),
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
