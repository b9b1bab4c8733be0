r"""Claims on App. C: the target set, and the self-consistent temperature under $\mathcal T^{\pi_\omega}$.

Both sides: operators and temperatures from `virel_theory`; limits, policy values and counts from their
        definitions here.
Bound:  app-c-1: the loss bound of `boltzmann_loss` times gamma, plus rounding of two backups, (4 A + S +
        16) u (max|q| + max|r|) each. app-c-2: with Q = Q^pi - (I - gamma P^pi)^-1 beta and eps = mean
        beta^2 / 2, ||Q - Q^pi|| >= ||beta|| / (1 + gamma) >= sqrt(2 eps) / (1 + gamma); rounding as
        `solve_rounding`. A root against its residual: eta = 2 (5 A + S + 16) u (max|q| + max|r|) in beta,
        the width of the enclosure, and 64 |H| u eps. app-c-3: a count, exact, as every root is proved by
        `self_consistent_temperatures`.
Teeth:  `perturb` shifts a backup, halves a distance, adds a root.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.claims.instances import boltzmann_loss, integer_tables, policy_values, solve_rounding, solved
from verify.engine.claim import Assumption, Check, Claim, Correction
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import self_consistent_temperatures, temperature_map
from virel_theory.operators.bellman import bellman_boltzmann, bellman_optimal
from virel_theory.operators.policies import boltzmann_policy, greedy_policy


def gap_limit(*, mdp: TabularMDP, q: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. C: distance of `T* Q - T^{pi_omega} Q` from `[0, gamma eps min(log A, (A - 1)/e)]`.

    This holds for every table and temperature.
    """
    on = mdp.available
    difference = (bellman_optimal(mdp, q)[on] - bellman_boltzmann(mdp, q, eps=eps)[on]) + perturb
    size = np.abs(q[on]).max() + np.abs(mdp.reward).max()
    rounding = 2 * (4 * mdp.n_actions + mdp.n_states + 16) * U * size
    limit = mdp.gamma * boltzmann_loss(mdp.n_actions, eps)
    return worst(Gap(difference.max(), limit + rounding), Gap(-difference.min(), rounding))


def gap_own_value(*, mdp: TabularMDP, q_star: Array, shift: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. C at a root eps > 0: `sqrt(2 eps)/(1 + gamma) - ||Q - Q^{pi_omega}||`, at most 0.

    At eps = 0: ||Q - Q*||, which is 0. Also eps minus the residual error that its own policy produces, from
    the policy's own backup.
    """
    q = q_star + shift
    found = [Gap(0.0, 0.0)]
    for root in self_consistent_temperatures(mdp, q).roots:
        pi = boltzmann_policy(q, eps=root.eps) if root.eps > 0 else greedy_policy(q)
        q_pi = mdp.reward + mdp.gamma * mdp.expect_next(policy_values(mdp, pi))
        size = float(np.abs(q).max() + np.abs(mdp.reward).max())
        distance = float(np.abs(q - q_pi).max()) * (1 - perturb)
        least = np.sqrt(2 * root.lower) / (1 + mdp.gamma) + perturb
        found.append(Gap(least - distance, solve_rounding(mdp, size)))
        beta = mdp.reward + mdp.gamma * mdp.expect_next((pi * q).sum(axis=1)) - q
        eta = 2 * (5 * mdp.n_actions + mdp.n_states + 16) * U * size
        allowed = (2 * float(np.abs(beta).max()) + eta) * eta + (1 + abs(root.slope)) * (
            root.upper - root.lower
        )
        found.append(
            Gap(abs(0.5 * float(np.mean(beta**2)) - root.eps), allowed + 64 * mdp.n_pairs * U * root.eps)
        )
        if root.lower == 0:
            found.append(Gap(float(np.abs(shift).max()), 0.0))
    return worst(*found)


def gap_single_valued(*, mdp: TabularMDP, q_star: Array, shift: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. C as printed: number of self-consistent temperatures of a table Q minus 1, to be 0."""
    return Gap(len(self_consistent_temperatures(mdp, q_star + shift).roots) - 1 + perturb, 0.0)


def gap_roots(*, mdp: TabularMDP, q_star: Array, shift: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. C corrected: above 0 if Q's number of temperatures is even, or not 1 where proved to be 1.

    It is 1 if gamma B kappa < 1. Every root is proved.
    """
    q = q_star + shift
    found = self_consistent_temperatures(mdp, q)
    n_roots = len(found.roots) + int(perturb)
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    beta = mdp.reward + mdp.gamma * mdp.expect_next((uniform * q).sum(axis=1)) - q
    steepest = mdp.gamma * max(0.0, -float(beta.min())) * (mdp.n_actions - 1) * 4 / np.e**2
    odd = Gap(float(n_roots % 2 == 0 and found.complete), 0.0)
    single = Gap(float(n_roots - 1 if steepest < 1 and found.complete else 0), 0.0)
    return worst(odd, single, Gap(-n_roots, -1.0))


def figures(seed: int) -> Sequence[Figure]:
    """Figure of g, residual error by temperature, for four tables Q: no, two, three and one positive roots.

    S = 1, A = 2, gamma = 1/2.
    """
    panels = []
    for title, reward, q in (
        ("Q = Q*, small gap: one root, eps = 0", (52.0, 0.0), (104.0, 52.0)),
        ("Q = Q*, gap 130: eps = 0 and two more", (130.0, 0.0), (260.0, 130.0)),
        ("Q near Q*: three positive roots", (138.0, -8.0), (260.0, 130.0)),
        ("Q far from Q*: one positive root", (104.0, 0.0), (190.0, 100.0)),
    ):
        mdp = TabularMDP(np.ones((1, 2, 1)), np.array([reward]), 0.5)
        table = np.array([q])
        roots = np.array([root.eps for root in self_consistent_temperatures(mdp, table).roots])
        top = 1.3 * max(float(temperature_map(mdp, table, eps=np.inf)), float(roots.max()), 1.0)
        eps = np.linspace(0.0, min(top, 500.0), 301)
        g = np.array([temperature_map(mdp, table, eps=float(e)) for e in eps])
        curves = (
            Curve("g(omega, eps)", eps, g),
            Curve("eps", eps, eps, "predicted"),
            Curve("roots", roots, roots, "points"),
        )
        panels.append(Panel(title, "eps", "g(omega, eps)", curves))
    caption = (
        f"Self-consistent temperatures, S = 1, A = 2, gamma = 1/2; every root proved (seed {seed} not used)."
    )
    return (Figure("app-c-3-temperature-map", panels, caption),)


_LARGE = solved(
    shape=(1, 2), min_actions=2, gammas=(0.5,), gaps=(64, 128), lowest=(104, 112), shift=integer_tables(0, 1)
)
_SMALL = solved(shape=(2, 3), gaps=(0, 64), shift=integer_tables(-3, 3))

_FALLING = st.one_of(temperatures(), st.sampled_from([2.0**-10, 2.0**-20, 2.0**-30]))
"""The limit is that of falling temperatures: what stops at a positive one shows only below it."""

CLAIMS = (
    Claim(
        id="app-c-1",
        title="T^{pi_w} is in the target set",
        source="App. C, Def. 2",
        statement=r"\lim_{\varepsilon_\omega\to 0}\mathcal T^{\pi_\omega}\hat Q_\omega(h) = \mathcal T^*\hat Q_\omega(h)",
        check=Check(gap_limit, instances(mdp=mdps(max_states=3, masked=True), q=q_tables, eps=_FALLING)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "unique-maximum",
                "Q_w(., s) has a unique maximum (App. C applies Theorem 1); the mean over tied maxima is their maximum",
                without=Check(
                    gap_limit,
                    instances(
                        mdp=mdps(max_states=3, min_actions=2),
                        q=lambda mdp: q_tables(mdp, values=st.sampled_from([0.0, 1.0])),
                        eps=temperatures(),
                    ),
                ),
            ),
        ),
    ),
    Claim(
        id="app-c-2",
        title="Q_w is the value of its own policy only if it is optimal",
        source="App. C",
        statement=r"Q^{\pi_\omega}(\cdot) = \hat Q_\omega(\cdot) \implies \varepsilon_\omega = 0,\ \hat Q_\omega = Q^*"
        r"\quad\text{under } \mathcal T^{\pi_\omega}",
        check=Check(gap_own_value, _SMALL),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="app-c-3",
        title="The recursion defines the temperature",
        source="App. C, F.2",
        statement=r"\text{any } \omega \text{ satisfying this recursive definition forms a constrained set } \Omega_c \subseteq \Omega",
        reading=r"The recursion $\varepsilon_\omega = \tfrac cp\|\mathcal T^{\pi_\omega}\hat Q_\omega - \hat Q_\omega\|_p^p$ has one solution"
        r" for each $\omega\in\Omega_c$, so that $\varepsilon_\omega$ and its gradient can be written.",
        check=Check(gap_single_valued, _LARGE, recorded=recorded.LARGE | {"shift": np.zeros((1, 2))}),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"\text{finite MDPs: } \Omega_c = \Omega;\ \#\{\varepsilon : \varepsilon = g(\omega,\varepsilon)\}"
            r"\ \text{is odd (unless } g \text{ touches the diagonal), and } 1 \text{ if } \gamma\,B\,\tfrac{4(A-1)}{e^2} < 1,\ B = \max_h(-\beta_\omega^{unif}(h))^+",
            derivation=r"""$F(\varepsilon) = g(\omega,\varepsilon) - \varepsilon$ is continuous on $[0,\infty)$ (the greedy limit is the value
at 0, ties included), $F(0) = g(\omega,0) \ge 0$, and $F < 0$ beyond $\sup g < \infty$: by the intermediate
value theorem there is a root, so that $\mathcal T^{\pi_\omega}$ excludes no $\omega$. Near 0 g is flat to
every order, so F falls through a root at 0, and it crosses an odd number of times in all; a fold, where
F touches 0, adds a root that is not a crossing. With $v' =
-Var_\pi(Q)/\varepsilon^2$ and $Var_\pi(Q)/\varepsilon^2 \le \sum_a x_a^2 e^{-x_a} \le 4(A-1)/e^2$, and as
$\beta_h(\varepsilon)$ falls to the uniform policy's residual, $\partial_\varepsilon g = -\gamma
|H|^{-1}\sum_h\beta_h\,P\,Var/\varepsilon^2 \le \gamma B\,4(A-1)/e^2$ (mean norm, p = 2). Below 1, F is
strictly
falling. What is wrong is uniqueness: S = A - 1 = 1, gamma = 1/2, r = (104, 0), Q = Q* = (208, 104) has
$g = \frac12 (52\,\sigma(-104/\varepsilon))^2$ and the roots 0, 130.51 and 152.22.""",
            check=Check(gap_roots, _SMALL),
        ),
        figures=figures,
    ),
)
