"""Figures of transfer: a prior learned on four goals behind a door, used for a fifth, against no prior.

Two rooms of a gridworld are joined by one door. Episodes start in the left room, goals lie in the right one.
The fifth task is learned by backups of the regularised optimum from Q = 0, one per iteration, with the prior
frozen.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from scipy import sparse

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import gridworld
from virel_theory.solvers.solve import policy_iteration
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.algorithms.iadp import iadp
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.iterate import certified, evaluate
from virel_theory.variational.core.regularised import bellman_regularised

HEIGHT, WIDTH, DOOR = 5, 7, 2
GAMMA, ALPHA, ITERATIONS = 0.95, 0.2, 24
GOALS, NEW_GOAL = ((0, 4), (0, 6), (4, 4), (4, 6)), (2, 6)


def task(goal: tuple[int, int]) -> TabularMDP:
    """Two rooms with one goal: every step costs 1, episodes start in the middle of the left wall."""
    walls = [(row, WIDTH // 2) for row in range(HEIGHT) if row != DOOR]
    mdp = gridworld(HEIGHT, WIDTH, gamma=GAMMA, goal=goal, walls=walls, slip=0.1)
    start = np.zeros(mdp.n_states)
    start[DOOR * WIDTH] = 1.0
    return TabularMDP(mdp.transition, mdp.reward, GAMMA, start)


def all_tasks() -> TabularMDP:
    """All four tasks as one MDP, whose state is (goal, cell); an episode's goal is drawn evenly."""
    tasks = [task(goal) for goal in GOALS]
    transition = sparse.block_diag([t.csr_transition for t in tasks], format="csr")
    reward, start = (np.concatenate([getattr(t, name) for t in tasks]) for name in ("reward", "initial"))
    return TabularMDP(sparse.csr_array(transition), reward, GAMMA, start / len(tasks))


def distral_figures(seed: int) -> Sequence[Figure]:
    """Figure of a fifth task learned with Distral's distilled policy and without."""
    tasks = [task(goal) for goal in GOALS]
    curves = []
    for rho in (0.5, 1.0):
        *_, last = islice(distral(tasks, alpha=ALPHA, exponent=rho), ITERATIONS)
        curves.append(_learning(f"distilled on four goals, rho = {rho:g}", last.prior, rho))
    return [_figure("distral-distilled-transfer", curves, "Distral", seed)]


def iadp_figures(seed: int) -> Sequence[Figure]:
    """Figure of a fifth task learned with IADP's prior, from which the goal was hidden, and without."""
    mdp = all_tasks()
    cells = np.tile(np.arange(HEIGHT * WIDTH), len(GOALS))
    *_, last = islice(iadp(mdp, alpha=ALPHA, observation=cells), ITERATIONS)
    curve = _learning("prior that could not see the goal", last.prior[: HEIGHT * WIDTH], 1.0)
    return [_figure("iadp-information-transfer", [curve], "IADP", seed)]


def _learning(label: str, prior: Array, rho: float) -> Curve:
    """Return of the posterior on the fifth task after each backup."""
    mdp = task(NEW_GOAL)
    q, found = np.zeros(mdp.shape), []
    for _ in range(ITERATIONS + 1):
        pi = posterior_policy(q, prior=prior, alpha=ALPHA, exponent=rho)
        v = evaluate(mdp, policy=pi, v=np.zeros(mdp.n_states), sweeps=None)
        found.append(certified(mdp, policy=pi, v=v).value)
        q = bellman_regularised(mdp, q, prior=prior, alpha=ALPHA, exponent=rho)
    return Curve(label, np.arange(ITERATIONS + 1.0), np.array(found))


def _figure(name: str, curves: list[Curve], algorithm: str, seed: int) -> Figure:
    mdp = task(NEW_GOAL)
    uniform = _learning("no prior (uniform)", np.full(mdp.shape, 1 / mdp.n_actions), 1.0)
    best = float(mdp.initial @ policy_iteration(mdp, atol=1e-9).value)
    optimum = Curve("optimal return", uniform.x, np.full_like(uniform.x, best), "predicted")
    panel = Panel(
        "a fifth goal behind the door", "backups on the fifth task", "return", [*curves, uniform, optimum]
    )
    caption = (
        f"{algorithm} learns a prior on four goals in the right one of two rooms ({ITERATIONS} exact iterations); "
        "then it is frozen. On a fifth goal, backups of the regularised optimum start at Q = 0, and the return is "
        f"that of the posterior. {HEIGHT} x {WIDTH} cells, slip 0.1, gamma = {GAMMA}, alpha = {ALPHA}. "
        f"Not random (seed {seed} unused)."
    )
    return Figure(name, [panel], caption)
