"""Figures of particle planning: its error by number of particles, and its taste for luck."""

from collections.abc import Sequence

import numpy as np

from verify.claims.particles.tools import soft_recursion
from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.operators.policies import boltzmann_policy
from virel_theory.variational.parts.particles import simulate_plans
from virel_theory.variational.parts.plans import Plan, plan_posterior

PARTICLES = (4, 8, 16, 32, 64, 128, 256, 512)
N_PLANS = 400
SAFE, WIN, LOSS = 1.2, 3.0, -1.0


def consistency_figures(seed: int) -> Sequence[Figure]:
    """Root mean square error of the first action's law against N, for two proposals and resampling or not."""
    rng = np.random.default_rng(seed)
    mdp = garnet(6, 3, 3, gamma=0.9, rng=rng)
    v, prior = rng.normal(size=6), np.full((6, 3), 1 / 3)
    plan = Plan(mdp, v, prior, alpha=2.0, horizon=4, discount=1.0)
    informed = Plan(
        mdp,
        v,
        prior,
        2.0,
        4,
        proposal=boltzmann_policy(mdp.reward + mdp.expect_next(v), eps=2.0),
        discount=1.0,
    )
    exact, n = plan_posterior(plan)[0, 0], np.array(PARTICLES)
    curves = [
        Curve(name, n, np.array([_error(problem, exact, k, threshold, rng) for k in PARTICLES]))
        for name, problem, threshold in (
            ("proposal: prior, never resampled", plan, 0.0),
            ("proposal: prior, resampled at ESS < N/2", plan, 0.5),
            ("proposal: soft policy, resampled at ESS < N/2", informed, 0.5),
        )
    ]
    line = curves[0].y[-1] * np.sqrt(n[-1] / n)
    curves.append(Curve("N^{-1/2}", n, line, "predicted"))
    panel = Panel(
        "first action of a plan of 4 steps", "particles N", "root mean square error", curves, "log", "log"
    )
    caption = f"Garnet of 6 states and 3 actions, alpha = 2, {N_PLANS} plans per point, seed {seed}."
    return [Figure("smc-consistent-rate", [panel], caption)]


def lottery() -> TabularMDP:
    """Action 0 leads to a sure reward of 1.2, action 1 to 3 or -1 with equal chances."""
    moves = np.repeat(np.eye(4)[:, None, :], 2, axis=1)
    moves[0] = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    return TabularMDP(moves, np.repeat([[0.0], [SAFE], [WIN], [LOSS]], 2, axis=1), 0.0, initial=np.eye(4)[0])


def risk_figures(seed: int) -> Sequence[Figure]:
    """Probability of a lottery worse on average than the sure reward, by temperature, for both posteriors."""
    mdp, half, alpha = lottery(), np.full((4, 2), 0.5), np.geomspace(0.1, 20, 60)
    lucky = [plan_posterior(Plan(mdp, np.zeros(4), half, a, 2, discount=1.0))[0, 0, 1] for a in alpha]
    merl = [soft_recursion(mdp, np.zeros(4), half, temperatures=[a, a], discount=1.0)[0][0, 1] for a in alpha]
    curves = [
        Curve("particles, N to infinity: p(a|O)", alpha, np.array(lucky)),
        Curve("MERL policy", alpha, np.array(merl)),
        Curve("optimal policy", alpha, np.zeros_like(alpha), "predicted"),
    ]
    panel = Panel(
        "probability of the lottery", "temperature alpha (reward units)", "pi(lottery)", curves, "log"
    )
    caption = f"Sure reward {SAFE:g}; lottery: {WIN:g} or {LOSS:g}, mean 1. Not random (seed {seed} unused)."
    return [Figure("smc-limit-lottery", [panel], caption)]


def _error(
    plan: Plan, exact: np.ndarray, particles: int, threshold: float, rng: np.random.Generator
) -> float:
    """Root mean square error of the estimated law of the first action from state 0."""
    states = np.zeros(N_PLANS, dtype=np.int64)
    found = simulate_plans(plan, states=states, particles=particles, rng=rng, threshold=threshold)
    return float(np.sqrt(((found.policy - exact) ** 2).sum(axis=1).mean()))
