"""Convergence plots of EM, App. F.5: error of its Q table against iteration, with the predicted rate."""

from collections.abc import Sequence

import numpy as np

from verify.claims.instances import gym_mdp
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import em_fixed_target_steps, em_steps
from virel_theory.operators.bellman import bellman_optimal


def policy_iteration_figures(seed: int) -> Sequence[Figure]:
    """Figure of the error to Q* of EM with complete steps by iteration k, below policy iteration's gamma^k.

    On FrozenLake 4x4 and on a random MDP.
    """
    panels = []
    for title, mdp in _mdps(seed):
        first = mdp.available.argmax(axis=1)
        tables = [
            step.q for step in em_steps(mdp, pi_0=np.eye(mdp.n_actions)[first], n_steps=12, tie_tol=1e-9)
        ]
        panels.append(_panel(title, mdp, {"EM, complete steps (39)-(40)": tables}, q_star=tables[-1]))
    return [
        Figure(
            "eq-39-policy-iteration",
            panels,
            _caption(
                "EM = policy iteration: the error is zero after a few steps, far below its guarantee.", seed
            ),
        )
    ]


def value_iteration_figures(seed: int) -> Sequence[Figure]:
    """Figure of the error to Q* of fixed-target EM and value iteration by iteration k, with rate gamma^k."""
    panels = []
    for title, mdp in _mdps(seed):
        first = mdp.available.argmax(axis=1)
        q_star = em_steps(mdp, pi_0=np.eye(mdp.n_actions)[first], n_steps=40, tie_tol=1e-9)[-1].q
        zero = np.where(mdp.available, 0.0, -np.inf)
        em = [zero] + [
            step.q
            for step in em_fixed_target_steps(mdp, q_0=zero, pi_0=np.eye(mdp.n_actions)[first], n_steps=120)
        ]
        iterates = [em[1]]
        for _ in range(119):
            iterates.append(bellman_optimal(mdp, iterates[-1]))
        panels.append(
            _panel(
                title, mdp, {"EM, fixed target (41)": em[1:], "Q-value iteration": iterates}, q_star=q_star
            )
        )
    return [
        Figure(
            "eq-41-value-iteration",
            panels,
            _caption("Fixed-target EM and Q-value iteration coincide from k = 2 on.", seed),
        )
    ]


def _mdps(seed: int) -> list[tuple[str, TabularMDP]]:
    rng = np.random.default_rng(seed)
    garnet = TabularMDP(rng.dirichlet(np.full(30, 0.2), size=(30, 4)), rng.normal(size=(30, 4)), 0.9)
    return [
        ("FrozenLake-v1, gamma = 0.99", gym_mdp("FrozenLake-v1")),
        ("random MDP, S = 30, A = 4, gamma = 0.9", garnet),
    ]


def _panel(title: str, mdp: TabularMDP, tables: dict[str, list[Array]], *, q_star: Array) -> Panel:
    curves = []
    for i, (label, sequence) in enumerate(tables.items()):
        error = np.array([np.abs(q - q_star)[mdp.available].max() for q in sequence])
        k = np.arange(1.0, len(error) + 1)
        positive = error > 0
        curves.append(Curve(label, k[positive], error[positive], kind="points" if i else "measured"))
    first = curves[0].y[0]
    k = np.arange(1.0, max(float(curve.x[-1]) for curve in curves) + 1)
    curves.append(
        Curve("guarantee gamma^(k-1) x first error", k, first * mdp.gamma ** (k - 1), kind="predicted")
    )
    return Panel(title, "iteration k", "max |Q_k - Q*|  (reward units)", curves, yscale="log")


def _caption(text: str, seed: int) -> str:
    return f"{text} Seed {seed}."
