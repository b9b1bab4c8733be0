"""What exact counterparts predict of transfer in two rooms: returns after each backup of the new task.

The tasks are those of `virel/TwoRooms-v0`, as MDPs. A prior is learned on four goals by the exact iteration,
then it is frozen, and the new goal is learned by backups of the regularised optimum from Q = 0, as in the
figures of the claims `distral-distilled` and `iadp-information`. `virel_deep` has no part in it.
"""

from itertools import islice

import numpy as np
from scipy.special import logsumexp, softmax

from verify.claims.priors.transfer_figure import (
    ALPHA,
    GAMMA,
    HEIGHT,
    ITERATIONS,
    WIDTH,
    distral_figures,
    task,
)
from virel_deep.data.grids import ROOM_GOALS
from virel_theory.checks import Array
from virel_theory.mdp.policy_system import lu_solve, mix, mixed_rows
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import kl_divergence
from virel_theory.variational.algorithms.hdp import hdp
from virel_theory.variational.algorithms.iadp import iadp
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.iterate import evaluate
from virel_theory.variational.core.m_steps import prior_blind
from virel_theory.variational.core.regularised import back_up, bellman_regularised
from virel_theory.variational.parts.information import latent_policy
from virel_theory.variational.parts.optimum import state_weights

CELLS = HEIGHT * WIDTH


def joined(goals: tuple[int, ...]) -> TabularMDP:
    """All tasks as one MDP, whose state is (goal, cell), goal by goal; an episode's goal is drawn evenly."""
    tasks = [task(ROOM_GOALS[goal]) for goal in goals]
    n = len(tasks) * CELLS
    transition, first = np.zeros((n, tasks[0].n_actions, n)), 0
    for one in tasks:
        here = slice(first, first + CELLS)
        transition[here, :, here] = one.csr_transition.toarray().reshape(CELLS, -1, CELLS)
        first += CELLS
    reward, start = (np.concatenate([getattr(one, name) for one in tasks]) for name in ("reward", "initial"))
    return TabularMDP(transition, reward, GAMMA, start / len(tasks))


def flat(goal: int, prior: Array | None = None) -> Array:
    """Return of the posterior on a goal after each backup, with a prior `[C, A]` of the cells, or uniform."""
    mdp, found = task(ROOM_GOALS[goal]), []
    p = np.full(mdp.shape, 1 / mdp.n_actions) if prior is None else prior
    q = np.zeros(mdp.shape)
    for _ in range(ITERATIONS + 1):
        found.append(_return(mdp, posterior_policy(q, prior=p, alpha=ALPHA)))
        q = bellman_regularised(mdp, q, prior=p, alpha=ALPHA)
    return np.array(found)


def blind_prior(goals: tuple[int, ...]) -> Array:
    """Prior `[C, A]` that IADP learns on goals which it does not see."""
    cells = np.tile(np.arange(CELLS), len(goals))
    *_, last = islice(iadp(joined(goals), alpha=ALPHA, observation=cells), ITERATIONS)
    return last.prior[:CELLS]


def first_low(latents: int, n_action: int, *, apart: bool) -> Array:
    """Low level `[Z, C, A]`: uniform, or half of that and half on action z mod A."""
    own = np.eye(n_action)[np.arange(latents) % n_action]
    of_cell = (own + 1 / n_action) / 2 if apart else np.full(own.shape, 1 / n_action)
    return np.repeat(of_cell[:, None], CELLS, axis=1)


def low_level(
    goals: tuple[int, ...], *, apart: bool, low_alpha: float, exponent: float = 0.0, latents: int = 4
) -> tuple[Array, float]:
    r"""Low level `[Z, C, A]` that a hierarchy learns on goals which it does not see, and the mean return.

    Step by step as in `virel_theory.variational.algorithms.hdp`, but for the low level, which sees cells
    alone and is held to its first form $\pi^L_0$ with the temperature $\eta$ = `low_alpha`:
    $\pi^L \leftarrow (\pi^L)^{1 - t\eta} (\pi^L_0)^{t\eta} e^{t E[Q]} / Z$, t = 1. E is over the goals in a
    cell, by the visits of the policy and the use of the latent. At its fixed point the deep loss has gradient
    0. The objective has the power rho = `exponent` of the default.
    """
    mdp = joined(goals)
    first = low = first_low(latents, mdp.n_actions, apart=apart)
    high = default = np.full((mdp.n_states, latents), 1 / latents)
    cells, pi = np.tile(np.arange(CELLS), len(goals)), np.zeros(mdp.shape)
    for _ in range(ITERATIONS):
        of_states = np.tile(low, (1, len(goals), 1))
        pi, cost = latent_policy(high, of_states), ALPHA * kl_divergence(high, default)
        v = lu_solve(mixed_rows(mdp.transition, pi), GAMMA, mix(pi, mdp.reward) - cost)
        q = back_up(mdp, v)
        high = softmax(np.log(default) + (of_states * q).sum(axis=2).T / ALPHA, axis=1)
        weight = state_weights(mdp, latent_policy(high, of_states), mdp.initial, d=None, sweeps=None)
        climbed = np.stack([_by_cell(q, weight * high[:, z], len(goals)) for z in range(latents)])
        kept = (1 - low_alpha) * np.log(low) + low_alpha * np.log(first)
        low = np.maximum(softmax(kept + climbed, axis=2), TINY)
        low /= low.sum(axis=2, keepdims=True)
        fitted = np.maximum(prior_blind(high, d=weight, observation=cells), TINY)
        default = softmax(exponent * np.log(fitted), axis=1)
        pi = latent_policy(high, np.tile(low, (1, len(goals), 1)))
    return low, _return(mdp, pi)


TINY = 1e-300
"""Least probability, whose logarithm is finite."""


def with_low_level(goal: int, low: Array) -> Array:
    """Return on a goal after each backup of the latents' values: a frozen low level, a uniform default."""
    mdp, found = task(ROOM_GOALS[goal]), []
    q = np.zeros(mdp.shape)
    for _ in range(ITERATIONS + 1):
        by_latent = (low * q).sum(axis=2).T / ALPHA - np.log(len(low))
        found.append(_return(mdp, latent_policy(softmax(by_latent, axis=1), low)))
        q = back_up(mdp, ALPHA * logsumexp(by_latent, axis=1))
    return np.array(found)


def anew(goal: int, low: Array) -> Array:
    """Return on a goal after each backup of a hierarchy that learns both levels, from a low level on."""
    mdp = task(ROOM_GOALS[goal])
    steps = islice(hdp(mdp, alpha=ALPHA, low=low, low_step=1.0, sweeps=1), ITERATIONS)
    return np.array([_return(mdp, low.mean(axis=0)), *(_return(mdp, step.policy) for step in steps)])


def predicted(
    preset: str, goals: tuple[int, ...], new: int, *, low_alpha: float = 0.0, exponent: float = 0.0
) -> dict[str, Array]:
    """Curves of a preset's exact counterpart on a new goal, by what was learned with."""
    uniform = {"no prior": flat(new)}
    if preset == "distral":
        [figure] = distral_figures(0)
        return {curve.label: np.asarray(curve.y) for curve in figure.panels[0].curves}
    if preset == "iadp":
        return {"prior of four goals, frozen": flat(new, blind_prior(goals))} | uniform
    apart, alike = (low_level(goals, apart=x, low_alpha=low_alpha, exponent=exponent) for x in (True, False))
    first = first_low(len(apart[0]), apart[0].shape[2], apart=True)
    return {
        f"low level that began apart ({apart[1]:.2f} on four goals), frozen": with_low_level(new, apart[0]),
        f"low level that began alike ({alike[1]:.2f} on four goals), frozen": with_low_level(new, alike[0]),
        "hierarchy learnt anew": anew(new, first),
    } | uniform


def _by_cell(q: Array, weight: Array, goals: int) -> Array:
    """Mean `[C, A]` over goals of values `[S, A]` by weights `[S]`; plain where they are 0."""
    w = np.where(weight > 0, weight, 0.0).reshape(goals, CELLS, 1)
    total = w.sum(axis=0)
    values = q.reshape(goals, CELLS, -1)
    return np.where(
        total > 0, (w * values).sum(axis=0) / np.where(total > 0, total, 1.0), values.mean(axis=0)
    )


def _return(mdp: TabularMDP, pi: Array) -> float:
    """Mean discounted return of a policy from the first state."""
    return float(mdp.initial @ evaluate(mdp, policy=pi, v=np.zeros(mdp.n_states), sweeps=None))
