"""Warm starts of `solve`: fewer sweeps after a small change, and the same guarantee whatever the start."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, instances
from virel_common.errors import InputError
from virel_theory import TabularMDP, garnet, ring, solve
from virel_theory.solvers.solve import METHODS

GAMMAS = [0.9, 0.92, 0.94, 0.96, 0.98]


def starts(mdp, rng):
    """Starts of all kinds: good, useless, of the wrong sign, far too large, and policies."""
    good = solve(mdp, atol=1e-6)
    actions = mdp.available.argmax(axis=1)
    return [good.value, good.policy, -good.value, rng.normal(size=mdp.n_states) * 1e150, actions]


def test_a_bound_is_true_and_met_whatever_the_start():
    rng = np.random.default_rng(0)
    names = sorted(METHODS)
    for i, (mdp, exact) in enumerate(instances(20, 5)):
        for start in starts(mdp, rng):
            found = solve(mdp, atol=1e-9, start=start, method=names[i % len(names)])
            assert exact_error(found.q, exact) <= found.error_bound
            cold = solve(mdp, atol=1e-9, method=names[i % len(names)])
            assert found.status is cold.status
            assert found.status.ok or found.error_bound <= 2 * cold.error_bound


def test_values_out_of_all_proportion_are_cut_to_what_values_can_be():
    mdp = garnet(20, 2, 3, gamma=0.9, rng=np.random.default_rng(0))
    start = 1e150 * (-1.0) ** np.arange(20)
    found = solve(mdp, atol=1e-9, method="vi", start=start)
    assert found.status.ok
    assert found.n_steps <= 2 * solve(mdp, atol=1e-9, method="vi").n_steps + 10


@pytest.mark.parametrize("method", ["vi", "auto", "pi"])
@pytest.mark.parametrize("kind", ["value", "policy"])
def test_a_sweep_over_gamma_and_edited_rewards_need_fewer_steps_from_the_solution_before(method, kind):
    mdp = garnet(200, 4, 5, gamma=0.9, rng=np.random.default_rng(2))
    cold, warm, last = 0, 0, None
    edited = [replace(mdp, gamma=gamma) for gamma in GAMMAS]
    for k in range(5):
        reward = edited[-1].reward.copy()
        reward[k] += 0.01
        edited.append(replace(edited[-1], reward=reward))
    for changed in edited:
        first = solve(changed, atol=1e-9, method=method)
        found = solve(changed, atol=1e-9, method=method, start=None if last is None else getattr(last, kind))
        assert first.status.ok
        assert found.status.ok
        assert np.abs(first.q - found.q).max() <= first.error_bound + found.error_bound
        cold, warm, last = cold + first.n_steps, warm + found.n_steps, found
    assert warm < cold


def test_costs_start_from_the_values_of_costs():
    mdp = ring(50, gamma=0.99, rng=np.random.default_rng(0))
    first = solve(mdp, atol=1e-8, sense="min")
    assert solve(mdp, atol=1e-7, sense="min", start=first.value).n_steps == 1
    assert solve(mdp, atol=1e-7, sense="min", start=first.policy).n_steps == 1


def test_a_large_policy_is_evaluated_by_iteration(monkeypatch):
    mdp = garnet(300, 3, 4, gamma=0.95, rng=np.random.default_rng(0))
    policy = solve(mdp, atol=1e-8).policy
    monkeypatch.setattr("virel_theory.solvers.start.MAX_DIRECT", 10)
    for same in (mdp.to_dense(), mdp.to_sparse()):
        cold = solve(same, atol=1e-8, method="vi")
        warm = solve(same, atol=1e-8, method="vi", start=policy)
        assert warm.status.ok
        assert warm.n_steps < cold.n_steps


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([0.0], r"`start` must have shape \[2\]"),
        ([0.0, np.nan], "`start` must be finite"),
        ([0, 2], "`start` must take actions that exist; found 2 in state 1"),
        ([0, 1], "`start` must take actions that exist; found 1 in state 1"),
        ([0, -1], "`start` must take actions that exist; found -1 in state 1"),
        (np.array([0, 2**63], np.uint64), f"actions that exist; found {2**63} in state 1"),
        (
            [False, True],
            r"`start` must be values \(floats\) or actions .*, one per state; found 'truth values'",
        ),
        ([0], r"`start` must be values \(floats\) or actions \(integers\), one per state: shape \[2\]"),
        ("values", "`start` must be an array of real numbers"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line(start, message):
    rows = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]]
    mdp = TabularMDP(rows, np.zeros((2, 2)), 0.5, mask=[[True, True], [True, False]])
    with pytest.raises(InputError, match=message):
        solve(mdp, atol=1e-9, start=start)
