"""Claims on Theorem 2: pairs (omega*, theta*) that maximise L, and which policies are optimal there.

L at eps_omega = 0 is not a value of (4). The theorem is checked by (4) alone, along a path to omega*
(`theorem_2_path.py`). Its first sentence, read for pi_theta, takes L there to be its limit: +inf, 0 or -inf with the
sign of E_{d pi_theta}[Q_omega] (the entropy is finite on finite action sets), so that the maximum over a set that
holds omega* is attained, at +inf. Omega is a finite set, Theta a finite set of policies. The target is T* (no
self-reference) unless said otherwise.

Both sides: L from the definition, here; policy values by a linear solve; Q* by construction (`solved`:
        exact, so eps = 0 is exact).
Bound:  suboptimality: rounding of the solve. Sets of maximisers: exact. Rates: `boltzmann_loss` / (1 -
        gamma), by the performance difference V* - V^pi = (I - gamma P^pi)^-1 (max Q* - E_pi[Q*]).
Teeth:  `perturb` ignores the limit at eps = 0, adds a maximiser, or adds to a loss.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.claims.instances import integer_tables, on_mdp, policy_values, solve_rounding, solved
from verify.claims.optima.theorem_2_figure import figures
from verify.claims.optima.theorem_2_path import gap_along
from verify.engine.claim import Assumption, Check, Claim, Correction, Instance, NoProof, Step
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo
from virel_theory.objective.residual import bellman_residual, residual_error
from virel_theory.objective.self_consistent import self_consistent_temperatures
from virel_theory.operators.bellman import bellman_optimal

Temperature = Callable[[TabularMDP, Array], float]


def optimal_target(mdp: TabularMDP, q: Array) -> float:
    """Temperature eps_omega of the table `q`: its residual error under the target T*."""
    return residual_error(bellman_residual(bellman_optimal(mdp, q), q))


def largest_root(mdp: TabularMDP, q: Array) -> float:
    """Temperature eps_omega of the table `q`: its largest self-consistent one under T^{pi_omega}."""
    return self_consistent_temperatures(mdp, q).roots[-1].eps


def objective(q: Array, pi_theta: Array, d: Array, eps: float, *, limit: bool = True) -> float:
    """Objective L of Fellows et al. (4), at eps = 0 its limit (-inf if `limit` is False)."""
    if eps > 0:
        return elbo(q, pi_theta=pi_theta, d=d, eps=eps)
    mean = float(d @ (pi_theta * q).sum(axis=1))
    return float(np.sign(mean)) * np.inf if limit and mean else -np.inf if not limit else 0.0


def maximisers(
    mdp: TabularMDP,
    omegas: Sequence[Array],
    thetas: Sequence[Array],
    d: Array,
    temperature: Temperature,
    *,
    limit: bool,
) -> list[tuple[Array, Array, float]]:
    """Pairs (Q_omega, pi_theta) with the largest objective L, each with its temperature eps_omega."""
    triples = [(q, pi, temperature(mdp, q)) for q in omegas for pi in thetas]
    values = [objective(q, pi, d, eps, limit=limit) for q, pi, eps in triples]
    return [triple for triple, value in zip(triples, values, strict=True) if value == max(values)]


def loss(mdp: TabularMDP, q_star: Array, pi: Array) -> float:
    """Largest loss of a policy over the states: `max_s (V* - V^pi)`."""
    return float((q_star.max(axis=1) - policy_values(mdp, pi)).max())


def gap_with(temperature: Temperature) -> Callable[..., Gap]:
    """Gap of Theorem 2's first sentence: largest `V* - V^pi` of pi_theta over the maximisers of L, to be 0.

    L at eps = 0 is its limit. For pi_omega see `theorem_2_path.py`.
    """

    def gap(
        *, mdp: TabularMDP, q_star: Array, others: Array, pi: Array, d: Array, perturb: float = 0.0
    ) -> Gap:
        omegas = [q_star, *others]
        thetas = [pi, np.full(mdp.shape, 1 / mdp.n_actions)]
        found = []
        for _, pi_theta, _ in maximisers(mdp, omegas, thetas, d, temperature, limit=perturb == 0):
            bound = solve_rounding(mdp, float(np.abs(q_star).max() + np.abs(mdp.reward).max()))
            found.append(Gap(loss(mdp, q_star, pi_theta), bound))
        return worst(*found)

    return gap


def gap_ratio_step(
    *, mdp: TabularMDP, q_star: Array, others: Array, pi: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 2's proof: number of tables where argmax E[Q]/eps, argmin eps/E[Q], argmin eps differ.

    The sets are subsets of Omega; the gap is the number of members on which the three differ.
    """
    omegas = [q_star, *others]
    eps = np.array([optimal_target(mdp, q) for q in omegas])
    mean = np.array([float(d @ (pi * q).sum(axis=1)) for q in omegas])
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ratio = np.where(mean == 0, 0.0, mean / eps), np.where(mean == 0, np.inf, eps / mean)
    sets = [value == value.max(), ratio == ratio.min(), eps == eps.min()]
    differ = (sets[0] != sets[1]) | (sets[1] != sets[2])
    return Gap(int(differ.sum()) + perturb, 0.0)


def gap_bounded_step(
    *, mdp: TabularMDP, q_star: Array, others: Array, pi: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of a step of Theorem 2's proof, for eps > 0: `L - (max Q / eps + log A)`, at most 0."""
    found = [Gap(perturb, 0.0)]
    for q in (q_star, *others):
        eps = optimal_target(mdp, q)
        if eps > 0:
            bound = float(q.max()) / eps + np.log(mdp.n_actions)
            found.append(
                Gap(
                    objective(q, pi, d, eps) - bound, 32 * (mdp.n_pairs + 8) * U * (1 + np.abs(q).max() / eps)
                )
            )
    return worst(*found)


def tables(low: int, high: int) -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws Omega = {Q*, up to 2 tables in [low, high]}, pi_theta and d.

    Maxima are unique and Q* > 0.
    """
    return solved(
        shape=(2, 2),
        gaps=(1, 3),
        others=integer_tables(low, high, count=2),
        pi=on_mdp(policies),
        d=on_mdp(distributions),
    )


def with_q_star(
    *,
    largest: tuple[int, int] = (2, 2),
    gaps: tuple[int, int] = (0, 4),
    lowest: tuple[int, int] = (1, 4),
    full_support: bool = True,
) -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws Omega, pi_theta, d as `tables` does, for Q* with ties or large gaps.

    Q* may have negative values too.
    """
    return solved(
        shape=largest,
        gaps=gaps,
        lowest=lowest,
        others=integer_tables(-4, 8, count=2),
        pi=on_mdp(policies),
        d=on_mdp(partial(distributions, full_support=full_support)),
    )


_PRINTED = r"\{\omega^*,\theta^*\} \in \arg\max_{\omega,\theta}\mathcal L(\omega,\theta) \implies \pi_{\omega^*}(a|s) \in \Pi^*"

CLAIMS = (
    Claim(
        id="theorem-2",
        title="Maximisers of L induce optimal Boltzmann policies",
        source="Thm 2, App. D.3",
        statement=_PRINTED,
        reading=r"For the target $\mathcal T^*$; for $\mathcal T^{\pi_\omega}$ see the last assumption.",
        check=Check(gap_along(optimal_target), tables(-4, 8)),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        assumptions=(
            Assumption(
                "assumption-1",
                "0 < Q*: else L falls to -inf towards omega*",
                without=Check(gap_along(optimal_target), with_q_star(gaps=(1, 3), lowest=(-12, -8))),
            ),
            Assumption(
                "assumption-2",
                "Q* is in Omega: else the maximiser has eps > 0 and a stochastic policy",
                without=Check(gap_along(optimal_target, representable=False), tables(-4, 8)),
            ),
            Assumption(
                "assumption-3",
                "unique maxima: with ties, on finite action sets, pi_omega* is uniform over optimal actions, still optimal",
                without=Check(gap_along(optimal_target), with_q_star()),
            ),
            Assumption(
                "support-of-d",
                "d(s) of (4) has support over S (App. B.1); E_d[Q*] > 0 needs no more than Assumption 1",
                without=Check(gap_along(optimal_target), with_q_star(gaps=(1, 3), full_support=False)),
            ),
            Assumption(
                "eps-is-zero-at-omega*",
                "under T^{pi_w}, where several temperatures may solve the recursion at Q*: eps_w* is 0; the check without takes the largest",
                without=Check(gap_along(largest_root), with_q_star(largest=(1, 2), gaps=(100, 128))),
            ),
        ),
        steps=(
            Step(
                "bounded",
                r"\mathcal L(\omega,\theta) \text{ is bounded above for } \varepsilon_\omega > 0",
                Check(gap_bounded_step, tables(-4, 8)),
            ),
            Step(
                "sufficiency",
                r"\arg\max_\omega \tfrac{E[\hat Q_\omega]}{\varepsilon_\omega} = \arg\min_\omega \tfrac{\varepsilon_\omega}{E[\hat Q_\omega]}"
                r" = \arg\min_\omega \varepsilon_\omega",
                Check(
                    gap_ratio_step,
                    tables(-4, 8),
                    recorded={
                        "mdp": recorded.R,
                        "q_star": recorded.Q_STAR,
                        "others": np.array([[[-1.0, -2.0]]]),
                        "pi": recorded.UNIFORM,
                        "d": recorded.D,
                    },
                ),
                repaired=Correction(
                    statement=r"\text{the same over } \{\omega : \hat Q_\omega > 0\} \ni \omega^*",
                    derivation=r"""The proof assumes $\hat Q_{\omega^*} > 0$ only. A member with $E[\hat Q_\omega] < 0$ has a negative ratio, below the 0 of
$\omega^*$: S = 1, A = 2, gamma = 0, r = (2, 1), Omega = {Q*, (-1, -2)} and the uniform policy have
$\varepsilon/E[Q] = 0$ and $4.5/(-1.5) = -3$, so the middle argmin is (-1, -2). Where every $E[\hat Q_\omega] > 0$, $x \mapsto 1/x$ reverses the order on
$(0,\infty]$, and with Assumption 2 both minima are the zeros of $\varepsilon_\omega$. Without it, the last
equality fails too. The conclusion needs none of this:
$L = +\infty$ where $\varepsilon_\omega = 0$, and the step `bounded` makes it finite elsewhere.""",
                    check=Check(gap_ratio_step, tables(1, 8)),
                ),
            ),
        ),
        figures=figures,
        not_certified=NoProof(
            "a supremum that no omega attains; `eps = 0 iff Q = Q*` alone is talk-theorem-2-i", form="printed"
        ),
    ),
)
