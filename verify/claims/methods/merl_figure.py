"""Figure of MERL and VIREL on the VIREL talk's counterexample: probability of the worthless action."""

from collections.abc import Sequence

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.merl import merl_counterexample_probability, merl_policy
from virel_theory.models.draw import merl_counterexample
from virel_theory.operators.bellman import bellman_optimal, bellman_soft
from virel_theory.operators.policies import boltzmann_policy

GAMMA, CHOICES = 0.9, (4, 40)


def figures(seed: int) -> Sequence[Figure]:
    """Figure of the worthless action's probability: MERL (fixed point, closed form), and VIREL at Q*."""
    c = np.geomspace(0.05, 20, 41)
    curves = [curve for k1 in CHOICES for curve in _merl(k1, c)]
    curves.append(Curve("VIREL: Boltzmann policy of Q*, every k1", c, _virel(c)))
    curves.append(Curve("1/2", c, np.full_like(c, 0.5), "predicted"))
    panel = Panel(
        "the worse action's probability", "temperature c, eps (reward units)", "pi(a_1|s_0)", curves, "log"
    )
    caption = (
        "s_0: a_2 earns 1, a_1 leads to k1 actions that earn nothing. MERL prefers a_1 where c > 1/(gamma log k1); "
        "VIREL's evaluation is hard, Q* does not see k1, and at its optimum eps = 0 the probability is 0. "
        f"gamma = {GAMMA}. Not random (seed {seed} unused)."
    )
    return [Figure("merl-counterexample-temperature", [panel], caption)]


def _merl(k1: int, c: np.ndarray) -> list[Curve]:
    mdp = merl_counterexample(k1, gamma=GAMMA)
    soft = [merl_policy(_soft_fixed_point(mdp, x), c=x)[0, 0] for x in c]
    closed = [merl_counterexample_probability(k1, gamma=GAMMA, c=x) for x in c]
    return [
        Curve(f"MERL, k1 = {k1}: soft fixed point", c, np.array(soft)),
        Curve(f"MERL, k1 = {k1}: closed form", c, np.array(closed), "predicted"),
    ]


def _soft_fixed_point(mdp: TabularMDP, c: float) -> np.ndarray:
    q = np.where(mdp.available, mdp.reward, -np.inf)
    for _ in range(3):  # three decisions reach the absorbing states, whose soft value is 0
        q = bellman_soft(mdp, q, c=c)
    return q


def _virel(eps: np.ndarray) -> np.ndarray:
    mdp = merl_counterexample(CHOICES[0], gamma=GAMMA)
    q = np.where(mdp.available, 0.0, -np.inf)
    for _ in range(3):  # three decisions reach the absorbing states, whose value is 0
        q = bellman_optimal(mdp, q)
    return np.array([boltzmann_policy(q, eps=x)[0, 0] for x in eps])
