"""Narrow bands and small tolerances: a banded correction takes the memory of the table of action values.

Its factors once passed for action values, where only actions in doubt were computed anew: bounds of 1e-10,
errors of thousands. The MDPs have one choice per state, so that a linear system of scipy is the reference.
"""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from virel_theory import TabularMDP, solve
from virel_theory.models.draw import ring

N = 1200
"""More states than corrections are solved for directly (1,000)."""
ROUNDING = 1e-6
"""Of the reference: condition 2 / (1 - gamma) = 2e4, times some units 1e-16, times values of at most 1e4."""
GAMMA = 0.9999


def chain(rng):
    """Transitions and rewards `[N, N]`, `[N]` of a slipping ring under one action."""
    mdp = ring(N, gamma=GAMMA, rng=rng, n_actions=2)
    return sparse.csr_array(mdp.transition)[::2], -rng.random(N)


def one_of_two(transition, reward, rng):
    """The chain's action is one of two at each state; the other one does not exist."""
    chosen = rng.integers(0, 2, N)
    rows = sparse.csr_array((np.ones(N), (2 * np.arange(N) + chosen, np.arange(N))), shape=(2 * N, N))
    mask = np.eye(2, dtype=bool)[chosen]
    return TabularMDP(rows @ transition, np.repeat(reward, 2).reshape(N, 2), GAMMA, mask=mask)


def twice(transition, reward, _):
    """The chain's action stands twice at each state."""
    rows = sparse.csr_array((np.ones(2 * N), (np.arange(2 * N), np.arange(N).repeat(2))), shape=(2 * N, N))
    return TabularMDP(rows @ transition, np.repeat(reward, 2).reshape(N, 2), GAMMA)


@pytest.mark.parametrize("method", ["auto", "pi", "ipi", "pi-bicgstab"])
@pytest.mark.parametrize("build", [one_of_two, twice], ids=["one-of-two", "twice"])
def test_values_are_within_the_bound_at_every_tolerance(build, method):
    rng = np.random.default_rng(1)
    transition, reward = chain(rng)
    mdp = build(transition, reward, rng)
    exact = spsolve(sparse.csc_array(sparse.eye_array(N) - GAMMA * transition), reward)
    for sense in ("max", "min"):
        for atol in 10.0 ** -np.arange(5, 11):
            found = solve(mdp, atol=atol, method=method, sense=sense)
            wrong = np.abs(found.value - exact).max()
            assert wrong <= found.error_bound + ROUNDING, (sense, atol, found.method)
            q_wrong = np.abs(found.q - exact[:, None])[np.isfinite(found.q)].max()
            assert q_wrong <= found.error_bound + ROUNDING, (sense, atol, found.method)


@pytest.mark.parametrize("rng", [None, 0])
def test_no_tolerance_is_harder_than_a_smaller_one(rng):
    """From 1e-6 to 1e-10, far above half an ulp of values near 1e4; at 1e-8 it ended at 1.5e-7."""
    mdp = ring(N, gamma=GAMMA, rng=None if rng is None else np.random.default_rng(rng))
    for atol in 10.0 ** -np.arange(6, 11):
        found = solve(mdp, atol=atol)
        assert found.status.name == "CONVERGED", atol
        assert found.error_bound <= atol
