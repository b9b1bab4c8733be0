"""Figure of Theorem 2: L at Q* against the temperature, and the loss of pi_omega at the maximum."""

from collections.abc import Sequence

import numpy as np

from verify.claims.instances import boltzmann_loss
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import boltzmann_policy


def figures(seed: int) -> Sequence[Figure]:
    """Figure of L at Q* against eps for four variational policies, and of pi_omega's suboptimality.

    All go to +inf; the optimal theta at each eps is pi_omega.
    """
    q, d = np.array([[2.0, 1.0]]), np.ones(1)
    eps = np.logspace(-3, 1, 41)
    rows = {
        "pi_theta = (0, 1), worst": [0.0, 1.0],
        "pi_theta = (1/2, 1/2)": [0.5, 0.5],
        "pi_theta = (1, 0), greedy": [1.0, 0.0],
    }
    curves = [
        Curve(name, eps, np.array([elbo(q, pi_theta=np.array([row]), d=d, eps=float(e)) for e in eps]))
        for name, row in rows.items()
    ]
    best = [elbo(q, pi_theta=boltzmann_policy(q, eps=float(e)), d=d, eps=float(e)) for e in eps]
    lost = [float(2.0 - (boltzmann_policy(q, eps=float(e)) * q).sum()) for e in eps]
    curves.append(Curve("pi_theta = pi_omega", eps, np.array(best), "predicted"))
    bound = np.array([boltzmann_loss(2, float(e)) for e in eps])
    right = (
        Curve("max Q* - E[Q*] of pi_omega", eps, np.array(lost)),
        Curve("eps min(log A, (A-1)/e)", eps, bound, "predicted"),
    )
    caption = (
        f"S = 1, A = 2, gamma = 0, Q* = (2, 1): every theta has L -> +inf as eps -> 0 (seed {seed} not used)."
    )
    panels = (
        Panel("L against eps", "eps", "L", curves, "log", "log"),
        Panel("Loss of the maximiser over theta", "eps", "loss", right, "log", "log"),
    )
    return (Figure("theorem-2-objective", panels, caption),)
