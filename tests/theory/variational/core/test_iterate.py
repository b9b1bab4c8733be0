"""Certified returns and distances from optimal, judged by exact rational arithmetic."""

import numpy as np
import pytest
from flint import fmpq

from tests.support.exact_mdp import exact_optimal_q, exact_policy_values, random_mdp, rational
from virel_common.errors import InputError
from virel_theory import TabularMDP, garnet, solve
from virel_theory.variational.core.iterate import (
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)


def _policy(mdp, rng):
    """A policy in 64ths, so that its rows sum to exactly 1."""
    counts = np.zeros(mdp.shape)
    for s, row in enumerate(mdp.available):
        actions = np.flatnonzero(row)
        counts[s, actions] = rng.multinomial(64, np.ones(len(actions)) / len(actions))
    return counts / 64


@pytest.mark.parametrize("seed", range(60))
def test_value_error_and_bound_are_true_for_any_estimate(seed):
    rng = np.random.default_rng(seed)
    mdp = random_mdp(rng, masked=bool(seed % 2))
    pi = _policy(mdp, rng)
    v_pi = exact_policy_values(mdp, pi)
    best = exact_optimal_q(mdp, solve(mdp, atol=1e-6).policy)
    v_star = [max(best[s][a] for a in np.flatnonzero(mdp.available[s])) for s in range(mdp.n_states)]
    value = sum((rational(p) * v for p, v in zip(mdp.initial, v_pi, strict=True)), fmpq(0))
    loss = max(a - b for a, b in zip(v_star, v_pi, strict=True))
    exact = evaluate(mdp, policy=pi, v=np.zeros(mdp.n_states), sweeps=None)
    for v in (exact, exact + rng.normal(size=mdp.n_states), np.zeros(mdp.n_states)):
        found = certified(mdp if seed % 3 else mdp.to_sparse(), policy=pi, v=v)
        assert abs(rational(found.value) - value) <= rational(found.error)
        assert loss <= rational(found.bound)
    tight = certified(mdp, policy=pi, v=exact)
    scale = (1 + np.abs(mdp.reward).max()) / (1 - mdp.gamma) ** 2
    assert tight.error <= 1e-13 * scale
    assert tight.bound <= float(loss) / (1 - mdp.gamma) + 1e-12 * scale


def test_an_optimal_policy_has_a_bound_of_rounding_size():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    found = certified(mdp, policy=[[1.0, 0.0]], v=[2.0])
    assert found.value == 2.0
    assert found.bound < 1e-13
    np.testing.assert_array_equal(found.q, [[2.0, 1.0]])


def test_sweeps_approach_the_exact_values():
    rng = np.random.default_rng(0)
    mdp = random_mdp(rng, gammas=(0.5,))
    pi, v = _policy(mdp, rng), np.zeros(mdp.n_states)
    exact = evaluate(mdp, policy=pi, v=v, sweeps=None)
    np.testing.assert_allclose(evaluate(mdp, policy=pi, v=v, sweeps=80), exact, atol=1e-12)
    far = [np.abs(evaluate(mdp, policy=pi, v=v, sweeps=n) - exact).max() for n in (1, 2, 3)]
    assert far[0] > far[1] > far[2]


def test_sweeps_of_a_sparse_mdp_are_those_of_the_dense_one():
    mdp = garnet(30, 4, 5, gamma=0.9, rng=np.random.default_rng(3), missing=0.3)
    rng = np.random.default_rng(4)
    pi, v = _policy(mdp, rng), rng.normal(size=30)
    # both sums have some 30 roundings of max|r| + max|v| < 8, and sweeps add up to 1/(1 - gamma) of them
    for sweeps in (1, 2, 7):
        dense, sparse = (evaluate(x, policy=pi, v=v, sweeps=sweeps) for x in (mdp, mdp.to_sparse()))
        np.testing.assert_allclose(sparse, dense, rtol=0, atol=2 * 30 * 8 * 10 * 1.2e-16)


def test_defaults_are_uniform_over_what_exists():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    assert state_distribution(None, mdp).tolist() == [1.0]
    assert first_prior(None, mdp).tolist() == [[0.5, 0.5]]
    masked = TabularMDP([[[1.0], [0.0]]], [[1.0, 0.0]], 0.5, mask=np.array([[True, False]]))
    assert first_prior(None, masked).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("sweeps", [0, -1, 1.5, True])
def test_sweeps_must_be_a_positive_integer(sweeps):
    with pytest.raises(InputError, match="`sweeps` must be a positive integer or None"):
        as_sweeps(sweeps)
