"""Folds, where two self-consistent temperatures merge and the gradient (30) has no meaning, in closed form.

One state that returns to itself, two actions, `Q = (x eps, 0)`, residual `-b` for both: then `g(eps) = eps
= b^2 / 2`, and `d g / d eps = gamma b x^2 p (1 - p)`, `p = 1 / (1 + exp(-x))`, which is 1 for `b = 1 /
(gamma x^2 p (1 - p))`. There `g - eps` touches 0 without crossing: a small change of `Q` one way gives two
roots, the other way none, and no derivative exists.
"""

import numpy as np
from hypothesis import strategies as st

from verify.engine.claim import Check, Instance
from verify.engine.verdict import Gap
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

WINDOW = 0.2
"""Share of `eps` within which roots are sought; changing `Q` by STEP shifts them by about its root, 3 %."""
STEP = 1e-3
"""Relative change of `Q` on either side of the fold."""


def fold_instance(x: float, gamma: float) -> Instance:
    """Instance where two self-consistent temperatures merge (a fold): MDP, table `q`, temperature `eps`."""
    p = 1 / (1 + np.exp(-x))
    b = 1 / (gamma * x * x * p * (1 - p))
    eps = b * b / 2
    q = np.array([[x * eps, 0.0]])
    reward = q - gamma * p * x * eps - b
    return {"mdp": TabularMDP(np.ones((1, 2, 1)), reward, gamma), "q": q, "eps": float(eps)}


def two_sided_gap(*, mdp: TabularMDP, q: Array, eps: float, perturb: float = 0.0) -> Gap:
    r"""Gap of the ablation "no fold": least `|g(eps) - eps|/eps`, to be 0, the worse of both sides of a fold.

    Roots are sought in the window around `eps`, for `q` moved by STEP to either side. It is 0 where `g - eps`
    changes sign. Bound: 1e-9, the rounding of a residual error near `eps` on a grid (1e-13) with room; a
    missing root leaves about STEP.
    """
    gaps = [_least(mdp, q * np.array([1 + sign * STEP, 1.0]), eps) for sign in (-1.0, 1.0)]
    return Gap(max(gaps) + perturb, 1e-9)


def _least(mdp: TabularMDP, q: Array, eps: float) -> float:
    grid = eps * np.linspace(1 - WINDOW, 1 + WINDOW, 401)
    weight = np.exp((q - q.max()) / grid[:, None])
    v = (weight * q).sum(axis=1) / weight.sum(axis=1)
    beta = mdp.reward + mdp.gamma * v[:, None] - q
    excess = ((beta**2).mean(axis=1) / 2 - grid) / eps
    return 0.0 if excess.min() <= 0 <= excess.max() else float(np.abs(excess).min())


FOLD = Check(
    two_sided_gap,
    st.builds(fold_instance, st.sampled_from((2.0, 3.0, 1.0, 0.5)), st.sampled_from((0.5, 0.75, 0.9, 0.99))),
    n_random=16,
)
