"""Claims on Theorem 5 i), ii) with (36), (37): the incremental target and its residual error.

T_{omega,k} backs up under p_{omega,k}, whose temperature in (36) is eps_k (eps_{omega,k} is that of
pi_{omega,k} alone). With delta = gamma eps_k min(log A, (A - 1)/e) (`boltzmann_loss`), 0 <= T* Q -
T_{omega,k} Q <= delta for *every* table, so (mean norm, p = 2, c = 1, eps_omega under T*) |eps_{omega,k} -
eps_omega| <= delta (2 mean|beta| + delta)/2 + eps_k.

Omega:  ii) assumes no Q* in Omega. With Q* both minima are 0 whatever eps is, so they are also compared on
        Omega without it.
Both sides: `virel_theory`'s operators and `incremental_residual_error`; T*, (36) and the norms by plain
        loops (`rates.py`).
Limits: of (37), Theorem 5 i) and ii) along falling eps_k > 0. |min a - min b| is at most the larger of the
        two minimisers' rates.
Bound:  the rates above, plus rounding. A residual is off by eta = 2 (4 A + S + 16) u (max|q| + max|r|), a
        mean of squares by (2 max|beta| + eta) eta, plus (|H| + 16) u relative.
Teeth:  `perturb` adds to one side.
"""

import operator
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import boltzmann_loss, integer_tables, on_mdp, solved
from verify.claims.theorem_5.rates import EPS_K, backup_by_hand, backup_rounding, eps_by_hand, rates
from verify.engine.claim import A_DEFINITION, Assumption, Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import incremental_residual_error
from virel_theory.objective.self_consistent import self_consistent_temperatures
from virel_theory.operators.bellman import bellman_incremental, bellman_optimal

FALLING = (2.0**-4, 2.0**-20, 2.0**-40)
"""Temperatures along which limits are taken. At the last one the rates of (37) are below 1e-10."""


def gap_36(*, mdp: TabularMDP, q: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (36): T_{omega,k} and eps_{omega,k} of `virel_theory` minus those by plain loops, zero."""
    on = mdp.available
    backup = backup_by_hand(mdp, q, eps_k)[on]
    error = np.abs(bellman_incremental(mdp, q, eps_k=eps_k)[on] - backup + perturb)
    eps = 0.5 * float(np.mean((backup - q[on]) ** 2)) + eps_k
    difference = abs(incremental_residual_error(mdp, q, eps_k=eps_k) - eps)
    return worst(Gap(error.max(), backup_rounding(mdp, q)), Gap(difference, rates(mdp, q, eps_k)[1]))


def gap_37(*, mdp: TabularMDP, q: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (37): |eps_{omega,k} - eps_omega| minus its derived rate in eps_k, at most 0."""
    eps_omega = eps_by_hand(mdp, q)
    rate, rounding = rates(mdp, q, eps_k)
    error = abs(incremental_residual_error(mdp, q, eps_k=eps_k) - eps_omega) + perturb * (1 + 2 * rate)
    return Gap(error, rate + rounding)


def gap_i(*, mdp: TabularMDP, q: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 i): distance of `T* Q - T_{omega,k} Q` from [0, delta]; delta -> 0 with eps_k.

    The rate is uniform in Q. As eps_k <= eps_{omega,k}, the difference goes to 0 with eps_{omega,k} too, as
    Definition 2 has it.
    """
    on = mdp.available
    short = bellman_optimal(mdp, q)[on] - bellman_incremental(mdp, q, eps_k=eps_k)[on]
    limit, rounding = mdp.gamma * boltzmann_loss(mdp.n_actions, eps_k), backup_rounding(mdp, q)
    above = Gap(short.max() + perturb * (1 + 2 * limit), limit + rounding)
    return worst(above, Gap(-short.min(), rounding))


def gap_i_fixed_k(*, mdp: TabularMDP, q_star: Array, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 i), Definition 2 read at a fixed k: `||T* Q - T_{omega,k} Q||` at Q*, to be 0.

    eps_omega of (2) is 0 there.
    """
    error = np.abs(bellman_optimal(mdp, q_star) - bellman_incremental(mdp, q_star, eps_k=eps_k)).max()
    return Gap(error + perturb, backup_rounding(mdp, q_star))


def gap_37_own_policy(*, mdp: TabularMDP, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (37), eps_omega under T^{pi_omega}: distance of lim eps_{omega,k} to the nearest eps_omega.

    The roots are those of eps = g(omega, eps).
    """
    limit = eps_by_hand(mdp, q)
    roots = self_consistent_temperatures(mdp, q).roots
    error = min((max(root.lower - limit, limit - root.upper) for root in roots), default=0.0)
    return Gap(error + perturb, rates(mdp, q, 0.0)[1])


def gap_ii(*, mdp: TabularMDP, q_star: Array, others: Array, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 ii): minimum over Omega of lim eps_{omega,k} minus that of eps_omega, zero.

    Omega is taken with Q*, and without. The limit is taken along `FALLING`, never at eps_k = 0: at each of
    its temperatures the minimum must be as near as the rates of (37) allow.
    """
    parts = [omegas for omegas in ([q_star, *others], list(others)) if len(omegas)]
    return worst(*(_gap_of_minima(mdp, omegas, eps_k, perturb) for omegas in parts for eps_k in FALLING))


def _gap_of_minima(mdp: TabularMDP, omegas: Sequence[Array], eps_k: float, perturb: float) -> Gap:
    """Difference of minima over Omega at one eps_k: it is at most the larger of the two minimisers' rates."""
    left = [incremental_residual_error(mdp, q, eps_k=eps_k) for q in omegas]
    right = [eps_by_hand(mdp, q) for q in omegas]
    ends = {int(np.argmin(left)), int(np.argmin(right))}
    bound = max(sum(rates(mdp, omegas[k], eps_k)) for k in ends)
    return Gap(abs(min(left) - min(right)) + perturb * (1 + 2 * bound), bound)


def gap_ii_own_policy(*, mdp: TabularMDP, others: Array, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 5 ii), eps_omega under T^{pi_omega}: its minimum minus that of lim eps_{omega,k}."""
    limit = min(eps_by_hand(mdp, q) for q in others)
    found = [self_consistent_temperatures(mdp, q) for q in others]
    if not all(x.complete for x in found):
        return Gap(perturb, 0.0)
    least = min((x.roots[0] for x in found), key=lambda root: root.lower)
    error = max(least.lower - limit, limit - least.upper)
    return Gap(error + perturb, max(rates(mdp, q, 0.0)[1] for q in others))


def _without_optimum() -> st.SearchStrategy[Instance]:
    drawn = solved(shape=(2, 2), others=integer_tables(-3, 6, count=2))
    return drawn.map(lambda x: {name: x[name] for name in ("mdp", "others")})


def _random(
    tables: Callable[[TabularMDP], st.SearchStrategy[Array]] = q_tables,
) -> st.SearchStrategy[Instance]:
    return instances(mdp=mdps(max_states=3, masked=True), q=tables, eps_k=st.one_of(EPS_K, st.just(0.0)))


def _of_every_size(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws tables Q with action gaps of many sizes, down to 2^-20 of the usual.

    A T_{omega,k} whose temperature stops falling shows only there.
    """
    return st.builds(operator.mul, q_tables(mdp), st.sampled_from([1.0, 2.0**-10, 2.0**-20]))


CLAIMS = (
    Claim(
        id="eq-36",
        title="The incremental Bellman operator",
        source="Eq. (36), App. F.2",
        statement=r"\mathcal T_{\omega,k}\cdot := \mathcal T^{p_{\omega,k}}\cdot = r(h) + \gamma E_{h'\sim p(s'|h)p_{\omega,k}(a'|s')}[\cdot],"
        r"\ p_{\omega,k}(a|s) \propto \exp(\hat Q_\omega(h)/\varepsilon_k),"
        r"\ \varepsilon_{\omega,k} := \tfrac cp\|\mathcal T_{\omega,k}\hat Q_\omega - \hat Q_\omega\|_p^p + \varepsilon_k",
        check=Check(gap_36, _random()),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="eq-37",
        title="The limit of the incremental residual error",
        source="Eq. (37), App. F.2",
        statement=r"\lim_{k\to\infty}\varepsilon_{\omega,k} = \tfrac cp\|\mathcal T^*\hat Q_\omega(h) - \hat Q_\omega(h)\|_p^p = \varepsilon_\omega",
        reading=r"$\varepsilon_\omega$ is the residual error of $\mathcal T_\omega = \mathcal T^*$; for $\mathcal T^{\pi_\omega}$ see `eq-37-own-policy`.",
        check=Check(gap_37, _random()),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "target",
                "eps_w is the residual error under T*; under T^{pi_w} it is that of a policy at temperature eps_w, and not the limit",
                without=Check(
                    gap_37_own_policy, instances(mdp=mdps(max_states=2, max_actions=2), q=q_tables)
                ),
            ),
        ),
    ),
    Claim(
        id="theorem-5-i",
        title="T_{w,k} is in the target set",
        source="Thm 5 i), App. F.2",
        statement=r"\mathcal T_{\omega,k} \in \mathbb T:\ \lim_{k\to\infty}\mathcal T_{\omega,k}\hat Q_\omega(h) = \mathcal T^*\hat Q_\omega(h)",
        check=Check(gap_i, _random(_of_every_size)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "own-temperature",
                "the limit of Definition 2 is that of eps_{w,k}, which takes eps_k <= eps_{w,k} along; at a fixed k, eps_w of (2) -> 0 does not turn T_{w,k} into T*",
                without=Check(gap_i_fixed_k, solved(shape=(2, 2), eps_k=on_mdp(EPS_K))),
            ),
        ),
    ),
    Claim(
        id="theorem-5-ii",
        title="Minimum of the limit",
        source="Thm 5 ii), App. F.2",
        statement=r"\min_\omega\lim_{k\to\infty}\varepsilon_{\omega,k} = \min_\omega\varepsilon_\omega",
        reading=r"$\varepsilon_\omega$ is the residual error of $\mathcal T_\omega = \mathcal T^*$; for $\mathcal T^{\pi_\omega}$ see `theorem-5-ii-own-policy`.",
        check=Check(gap_ii, solved(shape=(2, 3), others=integer_tables(-3, 6, count=2)), n_random=100),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "target",
                "eps_w is the residual error under T*; under T^{pi_w} the minima differ, unless Q* is in Omega and its temperature is taken to be 0",
                without=Check(gap_ii_own_policy, _without_optimum()),
            ),
        ),
    ),
)
