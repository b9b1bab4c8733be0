"""`solve`: closed forms, encodings and methods that agree, statuses."""

import numpy as np
import pytest
from scipy import sparse

from tests.support.exact_mdp import (
    random_mdp,
)
from virel_theory import TabularMDP
from virel_theory.models import draw
from virel_theory.solvers.solution import SolverError, Status
from virel_theory.solvers.solve import METHODS, solve


def puterman(gamma):
    """Puterman 1994, Section 3.1: state 0 has two actions, state 1 is absorbing with cost 1."""
    transition = np.array([[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    mask = np.array([[True, True], [True, False]])
    return TabularMDP(transition, [[5.0, 10.0], [-1.0, 0.0]], gamma, mask=mask)


def puterman_value(gamma):
    """V*; state 0: (5 - 5.5 gamma)/((1 - gamma)(1 - gamma/2)) and (10 - 11 gamma)/(1 - gamma)."""
    slow = (5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma))
    return [max(slow, (10 - 11 * gamma) / (1 - gamma)), -1 / (1 - gamma)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 0.95, 0.99])
def test_every_method_finds_the_textbook_values(method, gamma):
    found = solve(puterman(gamma), atol=1e-8, method=method)
    # The closed form's own rounding: a handful of ulps of the largest value.
    slack = 32 * np.spacing(1 / (1 - gamma)) * 11
    assert found.status is Status.CONVERGED
    assert found.error_bound <= 1e-8
    np.testing.assert_allclose(found.value, puterman_value(gamma), rtol=0, atol=found.error_bound + slack)
    assert found.q[1, 1] == -np.inf
    np.testing.assert_array_equal(found.policy, found.q.argmax(axis=1))
    np.testing.assert_array_equal(found.value, found.q.max(axis=1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_walks_the_ring_to_its_closed_form(method):
    ring = draw.ring(101, gamma=0.9, slip=0.0)
    distance = np.minimum(np.arange(101), 101 - np.arange(101))
    found = solve(ring, atol=1e-8, method=method)
    np.testing.assert_allclose(found.value, 0.9**distance / 0.1, rtol=0, atol=found.error_bound + 1e-13)


def test_gamma_zero_gives_the_rewards():
    mdp = random_mdp(np.random.default_rng(0), gammas=(0.0,), masked=False)
    np.testing.assert_allclose(solve(mdp, atol=1e-9).q, mdp.reward, rtol=1e-14)


def test_one_state_one_action_is_a_geometric_series():
    assert solve(TabularMDP([[[1.0]]], [[3.0]], 0.75), atol=0.0, rtol=1e-15).value.item() == pytest.approx(
        12, rel=1e-15
    )


@pytest.mark.parametrize("method", METHODS)
def test_dense_sparse_and_64_bit_indices_agree(method):
    rng = np.random.default_rng(4)
    for _ in range(5):
        mdp = random_mdp(rng, gammas=(0.9,)).to_sparse()
        wide = mdp.transition.copy()
        wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
        variants = [mdp, mdp.to_dense(), TabularMDP(wide, mdp.reward, mdp.gamma, mask=mdp.mask)]
        found = [solve(x, atol=1e-10, rtol=1e-12, method=method) for x in variants]
        for other in found[1:]:
            np.testing.assert_allclose(
                found[0].q, other.q, rtol=0, atol=found[0].error_bound + other.error_bound
            )


def test_unsorted_and_duplicate_entries_are_the_sum_they_stand_for():
    parts = (np.array([0.25, 0.5, 0.25, 1.0]), np.array([1, 0, 1, 1]), np.array([0, 3, 4]))
    messy = TabularMDP(sparse.csr_array(parts, shape=(2, 2)), [[1.0], [0.0]], 0.5)
    for method in METHODS:
        np.testing.assert_allclose(solve(messy, atol=1e-10, method=method).value, [4 / 3, 0.0], atol=1e-9)


def test_permuting_states_and_actions_permutes_the_answer():
    rng = np.random.default_rng(5)
    mdp = draw.garnet(30, 4, 5, gamma=0.9, rng=rng)
    states, actions = rng.permutation(30), rng.permutation(4)
    moved = TabularMDP(
        np.asarray(mdp.transition)[states][:, actions][:, :, states], mdp.reward[states][:, actions], 0.9
    )
    for method in METHODS:
        a, b = (solve(x, atol=1e-9, method=method) for x in (mdp, moved))
        np.testing.assert_allclose(a.q[states][:, actions], b.q, rtol=0, atol=a.error_bound + b.error_bound)


def test_costs_are_rewards_with_the_sign_turned():
    rng = np.random.default_rng(6)
    for method in METHODS:
        mdp = random_mdp(rng, gammas=(0.9,), masked=True)
        costs = TabularMDP(mdp.transition, -mdp.reward, mdp.gamma, mask=mdp.mask)
        reward, cost = (
            solve(mdp, atol=1e-8, method=method),
            solve(costs, atol=1e-8, method=method, sense="min"),
        )
        np.testing.assert_array_equal(cost.q, -reward.q)
        np.testing.assert_array_equal(cost.value, -reward.value)
        np.testing.assert_array_equal(cost.policy, reward.policy)


def test_every_status_is_provoked_and_says_what_to_try():
    mdp = draw.garnet(20, 3, 4, gamma=0.99, rng=np.random.default_rng(11))
    nearly_one = TabularMDP([[[1.0]]], [[1.0]], 1 - 2.0**-52)
    seen = {
        solve(mdp, atol=1e-6).status,
        solve(mdp, atol=1e-6, method="vi", max_steps=2).status,
        solve(mdp, atol=0.0).status,
        solve(nearly_one, atol=1e-6).status,
    }
    assert seen == set(Status) - {Status.INTERRUPTED}  # which test_interrupted provokes
    assert all(word in status.text for status in Status for word in ("bound",))


def test_throw_raises_with_the_solution_inside():
    mdp = draw.garnet(20, 3, 4, gamma=0.99, rng=np.random.default_rng(12))
    with pytest.raises(SolverError, match="raise `max_steps`") as caught:
        solve(mdp, atol=1e-6, method="vi", max_steps=2, throw=True)
    assert caught.value.solution.n_steps == 2
    assert solve(mdp, atol=1e-6, throw=True).status.ok


@pytest.mark.parametrize("method", METHODS)
def test_a_method_remembers_nothing_of_the_run_before(method):
    rng = np.random.default_rng(13)
    mdp, slow = draw.garnet(40, 3, 4, gamma=0.95, rng=rng), draw.ring(40, gamma=0.99, rng=rng).to_dense()
    first, _, again = (solve(x, atol=1e-9, method=method) for x in (mdp, slow, mdp))
    assert again.method == first.method
    np.testing.assert_array_equal(again.q, first.q)
    assert again.n_steps == first.n_steps


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sense", ["max", "min"])
@pytest.mark.parametrize("offset", [-3.0, 0.0, 3.0])
def test_the_status_says_whether_the_bound_is_within_both_tolerances(method, sense, offset):
    rng = np.random.default_rng(0)
    small = draw.ring(40, gamma=0.99, rng=rng)
    mdp = TabularMDP(small.transition, small.reward + offset, 0.99)
    for rtol in (0.5, 0.1, 1e-3, 1e-9):
        for max_steps in (1, 2, 5, 20, None):
            found = solve(mdp, atol=0.0, rtol=rtol, sense=sense, method=method, max_steps=max_steps)
            met = found.error_bound <= rtol * np.abs(found.value).max()
            assert (found.status is Status.CONVERGED) == met


def test_one_sweep_is_enough_where_its_bound_is_within_the_relative_tolerance():
    mdp = draw.ring(40, gamma=0.99, rng=np.random.default_rng(0))
    found = solve(mdp, atol=0.0, rtol=0.75, method="vi", max_steps=1)
    assert found.error_bound > 0.25 * np.abs(found.value).max()  # the test is about a loose tolerance
    assert found.status is Status.CONVERGED
