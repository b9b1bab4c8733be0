"""Figure of Corollary 1: self-consistent temperatures at Q = Q* against the action gap of Q*."""

from collections.abc import Sequence

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import self_consistent_temperatures, temperature_map


def figures(seed: int) -> Sequence[Figure]:
    """Figure of self-consistent temperatures at Q = Q* by Q*'s action gap: two of three merge at 103.6.

    S = 1, A = 2, gamma = 1/2.
    """
    gaps = np.linspace(103.7, 130.0, 120)
    rows = []
    for gap in gaps:
        mdp = TabularMDP(np.ones((1, 2, 1)), np.array([[gap, 0.0]]), 0.5)
        rows.append(
            [root.eps for root in self_consistent_temperatures(mdp, np.array([[2 * gap, gap]])).roots]
        )
    zero, lower, upper = np.array(rows).T
    wide = np.array([90.0, *gaps])
    branches = (
        Curve("eps = 0", wide, np.array([0.0, *zero])),
        Curve("middle root", gaps, lower),
        Curve("largest root", gaps, upper),
    )
    mdp = TabularMDP(np.ones((1, 2, 1)), np.array([[104.0, 0.0]]), 0.5)
    eps = np.linspace(100.0, 200.0, 201)
    g = np.array([temperature_map(mdp, np.array([[208.0, 104.0]]), eps=float(e)) - e for e in eps])
    caption = f"S = 1, A = 2, gamma = 1/2, r = (D, 0), Q = Q* = (2 D, D), mean norm (seed {seed} not used)."
    roots_panel = Panel("Self-consistent temperatures at Q*", "D", "eps", branches)
    zoom = Panel(
        "D = 104", "eps", "g - eps", (Curve("g - eps", eps, g), Curve("0", eps, 0 * eps, "predicted"))
    )
    return (Figure("corollary-1-roots-at-optimum", (roots_panel, zoom), caption),)
