"""Figure of risk seeking: probability of a lottery worse on average than the safe reward, by temperature."""

from collections.abc import Callable, Sequence

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import pseudo_optimal_policy, pseudo_posterior_policy
from virel_theory.operators.policies import boltzmann_policy

SAFE, P, PRIZE = 3.0, 0.25, 8.0


def figures(seed: int, two_armed: Callable[..., TabularMDP]) -> Sequence[Figure]:
    """Figure of the lottery's probability by method, and of its certainty equivalent, by temperature c."""
    c = np.geomspace(0.5, 40, 60)
    mdp = two_armed(safe=SAFE, p=P, prize=PRIZE)
    uniform = np.full((4, 2), 0.5)
    forward = [pseudo_posterior_policy(mdp, prior=uniform, c=x, horizon=2)[0, 0, 1] for x in c]
    maximiser = [pseudo_optimal_policy(mdp, c=x, horizon=2)[0, 0, 1] for x in c]
    boltzmann = [boltzmann_policy([[SAFE, P * PRIZE]], eps=x)[0, 1] for x in c]
    equivalent = c * np.log1p(P * np.expm1(PRIZE / c))
    policies = [
        Curve("argmin KL(p(tau|O) || p_theta(tau))", c, np.array(forward)),
        Curve("maximiser of the evidence (EM)", c, np.array(maximiser)),
        Curve("Boltzmann policy of Q* (VIREL), eps = c", c, np.array(boltzmann)),
        Curve("optimal policy", c, np.zeros_like(c), "predicted"),
    ]
    values = [
        Curve("lottery: c log E[exp(R/c)]", c, equivalent),
        Curve(f"safe arm, {SAFE:g}", c, np.full_like(c, SAFE), "predicted"),
        Curve(f"lottery's mean, {P * PRIZE:g}", c, np.full_like(c, P * PRIZE), "predicted"),
    ]
    panels = [
        Panel("probability of the lottery", "temperature c (reward units)", "pi(lottery)", policies, "log"),
        Panel(
            "what exponential utility thinks it is worth",
            "temperature c (reward units)",
            "reward",
            values,
            "log",
        ),
    ]
    caption = (
        f"Safe arm: {SAFE:g}. Lottery: {PRIZE:g} with probability {P:g}, else 0, so a mean of {P * PRIZE:g}. "
        f"Not random (seed {seed} unused)."
    )
    return [Figure("pseudo-likelihood-risk-seeking", panels, caption)]
