r"""What the claims on learned priors share: a second task, and values and visits by this file's own solves.

Rounding of a linear solve (`verify.claims.instances.solve_rounding`): 64 (S^2 + 8) u B/(1 - gamma)^2, with
B = max|r| + alpha (max|log pi| + max|log p|).
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices, solve_rounding
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

EXPONENTS = st.sampled_from([1.0, 0.5, 0.0, 0.75, 0.25])
SMALL = choices(max_states=4, max_actions=3, masked=True)
WARM = temperatures().filter(lambda alpha: 0.1 <= alpha <= 10)
"""Temperatures at which no probability of these instances underflows: rewards lie in [-5, 5]."""


def rewards(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Reward tables `[S, A]` of multiples of 1/4 in [-5, 5], 0 at missing actions."""
    return q_tables(mdp).map(lambda q: np.where(mdp.available, q, 0.0))


def two_tasks(mdp: TabularMDP, reward_2: Array, d: Array) -> list[TabularMDP]:
    """Two tasks: `mdp`, and one with other rewards, reversed successor states and initial distribution d."""
    return [mdp, TabularMDP(mdp.dense_transition[:, :, ::-1], reward_2, mdp.gamma, d, mdp.mask)]


def costs(pi: Array, prior: Array, alpha: float, rho: float) -> Array:
    """Cost `alpha sum_a pi log(pi / p^rho)` of a policy in each state, term by term."""
    on = pi > 0
    log_pi, log_p = (np.log(np.where(on & (x > 0), x, 1.0)) for x in (pi, prior))
    out: Array = alpha * np.where(on, pi * (log_pi - rho * log_p), 0.0).sum(axis=1)
    return out


def objective(mdp: TabularMDP, pi: Array, prior: Array, alpha: float, rho: float) -> float:
    """Objective J of one task: `p0 (I - gamma P_pi)^-1 (r_pi - cost)`."""
    return float(mdp.initial @ state_values(mdp, pi, costs(pi, prior, alpha, rho)))


def state_values(mdp: TabularMDP, pi: Array, cost: Array) -> Array:
    """State values of a policy that pays `cost [S]` in every state, by a dense solve."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, (pi * mdp.reward).sum(axis=1) - cost)


def visits(mdp: TabularMDP, pi: Array) -> Array:
    """Discounted visits `sum_t gamma^t P(s_t = s)` of a policy, by a dense solve."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi.T, mdp.initial)


def rounding(mdp: TabularMDP, alpha: float, *logs: Array) -> float:
    """Rounding bound of values and of objectives, whose policies have logarithms of size max|log|."""
    largest = sum(float(np.abs(np.log(x[x > 0])).max()) for x in logs)
    return 4 * solve_rounding(mdp, 9.0 + alpha * (4 + largest))


def mixture(policies: list[Array], weights: list[Array]) -> Array:
    """Weighted mean of policies in each state, term by term; the plain mean where no weight is positive."""
    total = sum(weights)
    shares = [np.where(total > 0, w / np.where(total > 0, total, 1.0), 1 / len(weights)) for w in weights]
    return np.asarray(sum(x[:, None] * pi for x, pi in zip(shares, policies, strict=True)))


TASKS: dict[str, Any] = {"mdp": SMALL, "reward_2": rewards, "d": distributions}
"""Parts of an instance that make up `two_tasks`."""
TWO_TASKS = instances(**TASKS, pi=policies, pi_theta=policies, prior=policies, alpha=WARM, exponent=EXPONENTS)
SIMPLE_TASKS = instances(
    **(TASKS | {"mdp": mdps(max_states=2, max_actions=2)}),
    pi=policies,
    pi_theta=policies,
    prior=policies,
    alpha=st.just(1.0),
    exponent=st.just(1.0),
)
"""Two small tasks, among which a counterexample is soon found and shrunk."""
