r"""Figures of EM beside policy, modified policy and value iteration: error against step and time.

Rates: $\gamma^k$ bounds all four (Puterman 1994, Theorems 6.3.3, 6.4.2 and 6.5.5). Once its policy is
optimal, modified policy iteration with m backups per iteration converges at $\gamma^m$.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import e_step_complete, m_step_complete
from virel_theory.operators.bellman import bellman_optimal, bellman_policy
from virel_theory.operators.policies import greedy_policy
from virel_theory.solvers.iterates import policy_iteration_iterates

Steps = Callable[[TabularMDP], Iterator[Array]]

N_STATES, N_ACTIONS, GAMMA = 200, 4, 0.9
N_BACKUPS = 10
TIE_TOL = 1e-9
N_STEPS, N_SHOWN, N_REPEATS = 400, 40, 3
FLOOR = 1e-12
"""Errors below this share of max|Q*| are rounding."""


def figures(seed: int) -> Sequence[Figure]:
    """Figures of the error to Q* of EM, policy, modified policy and value iteration, by iteration, time."""
    mdp = _random_mdp(seed)
    q_star = list(islice(_em(mdp), 20))[-1]
    runs = {name: _fastest(steps, mdp, q_star) for name, steps in _METHODS.items()}
    instance = (
        f"Random MDP, S = {N_STATES}, A = {N_ACTIONS}, gamma = {GAMMA}, m = {N_BACKUPS}, seed {seed}; "
        f"errors below {FLOOR:g} max|Q*| are rounding and drawn there."
    )
    return [
        Figure("eq-39-methods", [_by_iteration(runs)], f"EM = policy iteration, step by step. {instance}"),
        Figure("eq-39-methods-time", [_by_time(runs)], instance, timed=True),
    ]


def _by_iteration(runs: dict[str, tuple[Array, Array]]) -> Panel:
    curves = []
    for name, (error, _) in runs.items():
        shown = error[: N_SHOWN + 1]
        k = np.arange(len(shown), dtype=float)
        curves.append(Curve(name, k, shown, "points" if name.startswith("policy") else "measured"))
    first, k = runs["value iteration"][0][0], np.arange(N_SHOWN + 1.0)
    curves.append(Curve("guarantee gamma^k", k, first * GAMMA**k, "predicted"))
    few = k[: len(runs[_MPI][0])]
    curves.append(Curve("gamma^(m k)", few, first * GAMMA ** (N_BACKUPS * few), "predicted"))
    return Panel(
        "error against iteration", "iteration k", "max |Q_k - Q*|  (reward units)", curves, yscale="log"
    )


def _by_time(runs: dict[str, tuple[Array, Array]]) -> Panel:
    curves = [Curve(name, seconds * 1e3, error) for name, (error, seconds) in runs.items()]
    error, seconds = runs["value iteration"]
    k = np.arange(len(error), dtype=float)
    per_step = seconds[-1] / max(len(seconds) - 1, 1)
    curves.append(
        Curve("gamma^k at value iteration's pace", k * per_step * 1e3, error[0] * GAMMA**k, "predicted")
    )
    return Panel("error against time", "milliseconds", "max |Q_k - Q*|  (reward units)", curves, "log", "log")


def _fastest(steps: Steps, mdp: TabularMDP, q_star: Array) -> tuple[Array, Array]:
    """Errors to Q* and elapsed seconds of the fastest of a few runs of a method; the first also compiles."""
    return min((_run(steps(mdp), q_star) for _ in range(N_REPEATS)), key=lambda run: float(run[1][-1]))


def _run(steps: Iterator[Array], q_star: Array) -> tuple[Array, Array]:
    """Errors to Q* of a method's iterates until they reach rounding, and the seconds elapsed at each."""
    scale = FLOOR * float(np.abs(q_star).max())
    next_q, start = next(steps), time.perf_counter()
    errors, seconds = [float(np.abs(next_q - q_star).max())], [0.0]
    while len(errors) < N_STEPS and errors[-1] > scale:
        q, now = next(steps), time.perf_counter() - start
        errors.append(float(np.abs(q - q_star).max()))
        seconds.append(now)
    return np.maximum(errors, scale), np.array(seconds)


def _em(mdp: TabularMDP) -> Iterator[Array]:
    q = _zero(mdp)
    yield q
    while True:
        q = m_step_complete(mdp, pi=e_step_complete(q, tie_tol=TIE_TOL))
        yield q


def _policy_iteration(mdp: TabularMDP) -> Iterator[Array]:
    q = _zero(mdp)
    yield q
    while True:
        policy = (q >= q.max(axis=1, keepdims=True) - TIE_TOL).argmax(axis=1)
        ((_, q),) = policy_iteration_iterates(mdp, policy0=policy, n_steps=0)
        yield q


def _modified(mdp: TabularMDP) -> Iterator[Array]:
    q = _zero(mdp)
    yield q
    while True:
        pi = greedy_policy(q)
        for _ in range(N_BACKUPS):
            q = bellman_policy(mdp, q, pi=pi)
        yield q


def _value_iteration(mdp: TabularMDP) -> Iterator[Array]:
    q = _zero(mdp)
    while True:
        yield q
        q = bellman_optimal(mdp, q)


def _zero(mdp: TabularMDP) -> Array:
    """Initial Q table of every compared method: the rewards, so that all share a greedy policy, no ties."""
    return np.array(mdp.reward)


def _random_mdp(seed: int) -> TabularMDP:
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(N_STATES, 0.05), size=(N_STATES, N_ACTIONS))
    return TabularMDP(transition, rng.normal(size=(N_STATES, N_ACTIONS)), GAMMA)


_MPI = f"modified policy iteration, m = {N_BACKUPS}"
_METHODS: dict[str, Steps] = {
    "EM, complete steps (39)-(40)": _em,
    "policy iteration": _policy_iteration,
    _MPI: _modified,
    "value iteration": _value_iteration,
}
