"""Counterexamples on record: small, and within every hypothesis of the source.

`R` serves most claims: one state, actions of reward 2 and 1, gamma = 0, so that Q* = (2, 1) is positive
(Assumption 1) with a unique maximum (Assumption 3). At Q = (1, 0) the residual is 1 everywhere, and the residual
error of (2) with c = 1, p = 2 and the mean norm is eps = 1/2: pi_omega = (0.881, 0.119).
`verify/claims/hypotheses.py` lists what each claim's counterexample has to meet.
"""

import numpy as np

from virel_theory.checks import Array
from virel_theory.gradients.approximators import TabularQ
from virel_theory.mdp.tabular import TabularMDP


def one_state(*rewards: float, gamma: float) -> TabularMDP:
    """MDP of one state, whose actions have the given rewards."""
    return TabularMDP(np.ones((1, len(rewards), 1)), np.array([rewards]), gamma)


def table(*values: float) -> Array:
    """Table `[1, A]` of the values of one state's actions."""
    return np.array([values], dtype=np.float64)


R = one_state(2.0, 1.0, gamma=0.0)
R_DISCOUNTED = one_state(2.0, 1.0, gamma=0.5)
Q_STAR, Q, EPS = table(2, 1), table(1, 0), 0.5
D = np.ones(1)
UNIFORM = table(0.5, 0.5)
MODEL = (TabularQ(np.array([[True, True]])), np.array([1.0, 0.0]))
"""Tabular Q with the value `Q`, as the claims on gradients take it."""
R_WITH_Q = {"mdp": R, "q": Q, "d": D, "eps": EPS}
R_WITH_MODEL = {"mdp": R, "model": MODEL}
LARGE = {"mdp": one_state(104.0, 0.0, gamma=0.5), "q_star": table(208, 104)}
"""Two actions whose Q* has three self-consistent temperatures: 0, 130.51 and 152.22."""
