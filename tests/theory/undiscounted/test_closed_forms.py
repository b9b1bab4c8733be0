"""Objectives without a discount where the answer is known: by hand, from textbooks, from published tables."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory import (
    SolverError,
    Status,
    TabularMDP,
    average_reward,
    finite_horizon,
    from_gymnasium,
    from_qvbs,
    garnet,
    reachability,
    ring,
    shortest_path,
)
from virel_theory.undiscounted import evaluation

REAL = Path(__file__).resolve().parents[4] / "shared" / "mdps"
PATHS = [("consensus", "steps_max"), ("consensus", "steps_min"), ("csma", "time_max"), ("csma", "time_min")]
PATHS += [("firewire_abst", "time_max"), ("firewire_abst", "time_min")]
CHANCES = [("consensus", "c2"), ("consensus", "disagree")]


def mdp_of(rows, reward=0.0, n_states=None):
    """MDP of `{state: [{successor: probability}, ...]}`, other states absorb; rewards `{(s, a): r}`."""
    n_states = n_states or 1 + max(max(t for row in x for t in row) for x in rows.values())
    n_actions = max(map(len, rows.values()))
    transition = np.zeros((n_states, n_actions, n_states))
    table, mask = np.zeros((n_states, n_actions)), np.zeros((n_states, n_actions), dtype=bool)
    for s in range(n_states):
        for a, row in enumerate(rows.get(s, [{s: 1.0}])):
            mask[s, a] = True
            table[s, a] = (reward.get((s, a), 0.0) if isinstance(reward, dict) else reward) * (s in rows)
            for t, x in row.items():
                transition[s, a, t] = x
    return TabularMDP(transition, table, 0.0, mask=mask)


# 0 and 1 go round; 0 leaves to the goal 2 or the sink 3 with equal chances, 1 with chances 3 to 1
ROUND = {0: [{1: 1}, {2: 0.5, 3: 0.5}], 1: [{0: 1}, {2: 0.75, 3: 0.25}]}


def test_an_end_component_has_the_value_of_its_best_way_out_and_its_states_make_for_it():
    found = reachability(mdp_of(ROUND), [2], atol=1e-12)
    np.testing.assert_allclose(found.value, [0.75, 0.75, 1, 0], rtol=0, atol=found.error_bound)
    assert found.policy[:2].tolist() == [0, 1]
    assert found.status.ok
    found = reachability(mdp_of(ROUND), [2], atol=1e-12, sense="min")
    assert found.value.tolist() == [0, 0, 1, 0]
    assert found.policy[:2].tolist() == [0, 0]


def test_a_cycle_of_reward_zero_costs_nothing_and_one_of_positive_cost_is_left_at_once():
    # the cheap way to 2 is from state 1, cost 1; from 0 it costs 5
    rows = {0: [{1: 1}, {2: 1}], 1: [{0: 1}, {2: 1}]}
    free = shortest_path(mdp_of(rows, {(0, 1): 5.0, (1, 1): 1.0}), [2], atol=1e-12)
    np.testing.assert_allclose(free.value, [1, 1, 0], rtol=0, atol=free.error_bound)
    assert free.policy[:2].tolist() == [0, 1]
    paid = shortest_path(mdp_of(rows, {(0, 0): 1.0, (1, 0): 1.0, (0, 1): 5.0, (1, 1): 1.0}), [2], atol=1e-12)
    np.testing.assert_allclose(paid.value, [2, 1, 0], rtol=0, atol=paid.error_bound)


def test_values_that_are_infinite_say_so_exactly():
    rows = {0: [{1: 1}, {3: 1}], 1: [{0: 1}, {2: 1}], 3: [{3: 1}]}
    gains = mdp_of(rows, {(0, 0): 1.0})
    found = shortest_path(gains, [2], atol=1e-12, sense="max")
    assert found.value.tolist() == [np.inf, np.inf, 0, -np.inf]
    assert found.lower.tolist() == found.upper.tolist() == found.value.tolist()
    assert np.isfinite(found.error_bound)
    assert found.q[0].tolist() == [np.inf, -np.inf]
    cheap = shortest_path(gains, [2], atol=1e-12)
    assert cheap.value.tolist() == pytest.approx([1, 0, 0, np.inf], abs=1e-12)


def test_costs_of_both_signs_are_refused_only_where_a_policy_can_go_round_for_nothing():
    rows = {0: [{1: 1}, {2: 1}], 1: [{0: 1}]}
    free = mdp_of(rows, {(0, 0): 2.0, (1, 0): -2.0, (0, 1): 5.0})
    with pytest.raises(
        InputError, match=r"at a gain of 0 per step; found that in the end component of state 0"
    ):
        shortest_path(free, [2], atol=1e-9)
    dear = mdp_of(rows, {(0, 0): 2.0, (1, 0): -1.0, (0, 1): 5.0})
    np.testing.assert_allclose(shortest_path(dear, [2], atol=1e-9).value, [5, 4, 0], rtol=0, atol=1e-9)
    paid = mdp_of(rows, {(0, 0): 1.0, (1, 0): -2.0, (0, 1): 5.0})
    assert shortest_path(paid, [2], atol=1e-9).value.tolist() == [-np.inf, -np.inf, 0]
    once = mdp_of({0: [{1: 1}], 1: [{2: 1}]}, {(0, 0): 1.0, (1, 0): -2.0})
    np.testing.assert_allclose(shortest_path(once, [2], atol=1e-9).value, [-1, -2, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("idle", [True, False])
def test_to_wait_at_reward_0_decides_nothing_in_a_round_trip_that_loses(idle):
    """From 0 to 1 for 1, back for -2 or on to the goal for 0; in 0 one may wait. A round trip loses 1."""
    rows = {0: [{1: 1.0}, *([{0: 1.0}] if idle else [])], 1: [{0: 1.0}, {2: 1.0}]}
    mdp = mdp_of(rows, {(0, 0): 1.0, (1, 0): -2.0})
    found = shortest_path(mdp, goal=[2], atol=1e-9, sense="max")
    assert found.status.ok
    np.testing.assert_allclose(found.value, [1.0, 0.0, 0.0], atol=1e-9)
    for gain, value in ((-2.0 + 1.0, [1.0, 0.0, 0.0]), (0.5, [np.inf, np.inf, 0.0])):
        mdp = mdp_of(rows, {(0, 0): 1.0, (1, 0): gain - 1.0})
        assert shortest_path(mdp, goal=[2], atol=1e-9, sense="max").value == pytest.approx(value, abs=1e-9)


def test_a_fair_random_walk_is_the_gamblers_ruin():
    n = 50
    rows = {s: [{s - 1: 0.5, s + 1: 0.5}] for s in range(1, n)}
    walk = mdp_of(rows, 1.0, n + 1)
    states = np.arange(n + 1)
    chance = reachability(walk, [n], atol=1e-10)
    np.testing.assert_allclose(chance.value, states / n, rtol=0, atol=chance.error_bound)
    length = shortest_path(walk, [0, n], atol=1e-7)
    np.testing.assert_allclose(length.value, states * (n - states), rtol=0, atol=length.error_bound)
    assert chance.status.ok
    assert length.status.ok


def test_rows_whose_floats_do_not_sum_to_one_are_rows_of_a_process_that_does_not_die_out():
    thirds = {0: [{0: 1 / 3, 1: 1 / 3, 2: 1 / 3}], 1: [{0: 1.0}]}
    found = reachability(mdp_of(thirds), [2], atol=1e-12)
    assert found.value.tolist() == [1, 1, 1]
    assert average_reward(
        mdp_of({0: [{0: 1 / 3, 1: 1 / 3, 2: 1 / 3}], 1: [{0: 1}], 2: [{0: 1}]}, 1.0), atol=1e-9
    ).gain == pytest.approx(1, abs=1e-9)


def test_frozen_lake_is_won_with_probability_14_of_17():
    lake = from_gymnasium("FrozenLake-v1", gamma=0.9)
    found = shortest_path(lake, [16], atol=1e-11, sense="max")
    assert abs(Fraction(found.value[0]) - Fraction(14, 17)) <= Fraction(found.error_bound)
    assert found.status.ok
    horizon = finite_horizon(lake, 2000)
    assert horizon.value[0, 0] == pytest.approx(14 / 17, abs=1e-6)


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder ../shared/mdps is not there")
@pytest.mark.parametrize(("model", "name"), [*PATHS, *CHANCES])
def test_the_published_values_of_the_benchmark_set_are_met(model, name):
    path = REAL / f"qvbs_{model}.npz"
    mdp, sense = from_qvbs(path, name, gamma=0.0)
    with np.load(path) as arrays:
        goal, start = arrays[f"goal__{name}"], int(arrays["init"])
    solver = reachability if name in {"c2", "disagree"} else shortest_path
    found = solver(mdp, goal, atol=1e-7, sense=sense)
    published = json.loads(path.with_suffix(".json").read_text())["properties"][name][
        "published_value_at_init"
    ]
    assert found.status.ok
    assert found.lower[start] <= Fraction(published) <= found.upper[start]


def test_two_machines_one_of_which_pays_more_in_the_long_run():
    # Puterman 1994, Section 8.4-like: stay for 1 a step, or pay 10 once to move to a place that pays 2
    rows = {0: [{0: 1}, {1: 1}], 1: [{1: 1}, {0: 1}]}
    mdp = mdp_of(rows, {(0, 0): 1.0, (0, 1): -10.0, (1, 0): 2.0, (1, 1): 0.0})
    found = average_reward(mdp, atol=1e-9)
    assert abs(found.gain - 2) <= found.error_bound
    assert found.policy.tolist() == [1, 0]
    assert found.bias[1] - found.bias[0] == pytest.approx(12, abs=1e-6)
    assert average_reward(mdp, atol=1e-9, sense="min").gain == pytest.approx(-5, abs=1e-9)


def test_a_periodic_chain_has_an_average():
    found = average_reward(mdp_of({0: [{1: 1}], 1: [{2: 1}], 2: [{0: 1}]}, {(1, 0): 3.0}), atol=1e-10)
    assert abs(found.gain - 1) <= found.error_bound
    assert found.status.ok


def test_an_average_that_depends_on_the_start_is_refused_with_a_witness():
    two = mdp_of({0: [{0: 1}, {1: 1}], 1: [{1: 1}]}, 1.0)
    with pytest.raises(InputError, match="found 2, with states 0 and 1 in different ones"):
        average_reward(two, atol=1e-9)
    transient = mdp_of({0: [{1: 1}], 1: [{1: 1}]}, 1.0)
    assert average_reward(transient, atol=1e-9).gain == pytest.approx(1, abs=1e-9)


def test_a_slow_chain_needs_few_sweeps_as_its_policy_is_evaluated():
    found = average_reward(ring(200, gamma=0.5, rng=np.random.default_rng(0)), atol=1e-8)
    assert found.status.ok
    assert found.n_steps <= 200


@pytest.mark.parametrize("solver", [reachability, shortest_path])
def test_dense_and_sparse_mdps_have_the_same_bits_and_large_ones_true_bounds(solver):
    mdp = garnet(60, 3, 3, gamma=0.5, rng=np.random.default_rng(1))
    mdp = TabularMDP(mdp.transition, np.abs(mdp.reward), 0.5)
    dense, sparse = (solver(x, [3, 4], atol=1e-9, sense="min") for x in (mdp.to_dense(), mdp.to_sparse()))
    for name in ("value", "q", "policy", "lower", "upper"):
        np.testing.assert_array_equal(getattr(dense, name), getattr(sparse, name))


def test_large_models_are_solved_by_iteration_and_agree_with_a_direct_solve(monkeypatch):
    mdp = garnet(600, 3, 4, gamma=0.5, rng=np.random.default_rng(1))
    mdp = TabularMDP(mdp.transition, np.abs(mdp.reward), 0.5)
    direct = shortest_path(mdp, [0], atol=1e-7)
    monkeypatch.setattr(evaluation, "SMALL", 10)
    iterated = shortest_path(mdp, [0], atol=1e-7)
    assert direct.status.ok
    assert iterated.status.ok
    assert (iterated.lower <= direct.upper).all()
    assert (direct.lower <= iterated.upper).all()


def test_a_tolerance_below_rounding_and_a_step_limit_leave_true_bounds():
    mdp = mdp_of({0: [{0: 0.9, 1: 0.05, 2: 0.05}, {0: 0.2, 1: 0.3, 2: 0.5}]}, 1.0)
    found = reachability(mdp, [1], atol=0.0)
    assert found.status is Status.ROUNDING_LIMIT
    assert found.lower[0] <= 0.5 <= found.upper[0]
    assert 0 < found.error_bound < 1e-12
    with pytest.raises(SolverError, match="float64 cannot certify"):
        reachability(mdp, [1], atol=0.0, throw=True)
    stopped = reachability(mdp, [1], atol=1e-9, max_steps=1)
    assert stopped.lower[0] <= 0.5 <= stopped.upper[0]


def test_a_chance_too_small_for_float64_leaves_true_bounds():
    rows = {s: [{s + 1: 1e-12, 0: 1 - 1e-12}] for s in range(3)}
    mdp = mdp_of(rows, 1.0)
    found = shortest_path(mdp, [3], atol=1e-9)
    exact = sum(Fraction(1e-12 / (1e-12 + (1 - 1e-12))) ** -k for k in (1, 2, 3))
    assert found.status is Status.ROUNDING_LIMIT
    assert found.lower[0] <= exact <= found.upper[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: reachability(m, [], atol=1e-9), "`goal` must name at least one state"),
        (lambda m: reachability(m, [4], atol=1e-9), r"`goal` must lie in \[0, 4\); found \[4\]"),
        (lambda m: reachability(m, [0.5], atol=1e-9), r"`goal` must be state numbers.*; found \[0.5\]"),
        (lambda m: reachability(m, None, atol=1e-9), "`goal` must be state numbers.*; found None"),
        (lambda m: reachability(m, [None], atol=1e-9), r"`goal` must be state numbers.*; found \[None\]"),
        (lambda m: reachability(m, [[0]], atol=1e-9), r"`goal` must be one list of.*; found \[\[0\]\]"),
        (
            lambda m: reachability(m, [[0], [1, 2]], atol=1e-9),
            "`goal` must be an array, its rows of one length",
        ),
        (lambda m: shortest_path(m, set(), atol=1e-9), r"`goal` must name at least one state; found \[\]"),
        (lambda m: reachability(m, "goal", atol=1e-9), "`goal` must be state numbers"),
        (lambda m: reachability(m, np.array([True]), atol=1e-9), r"`goal` must have shape \[4\]"),
        (lambda m: reachability(m, [2], atol=-1.0), "`atol` must be non-negative"),
        (lambda m: reachability(m, [2], atol=1.0, sense="best"), "`sense` must be 'max' .rewards. or 'min'"),
        (lambda m: shortest_path(m, [2], atol=1.0, max_steps=0), "`max_steps` must be a positive integer"),
        (lambda m: shortest_path(m.reward, [2], atol=1.0), "`mdp` must be a TabularMDP"),
        (lambda m: average_reward(m, atol=np.nan), "`atol` must be non-negative"),
        (lambda m: finite_horizon(m, 0), "`horizon` must be a positive integer"),
        (lambda m: finite_horizon(m, 2.0), "`horizon` must be a positive integer"),
        (lambda m: finite_horizon(m, 2, gamma=1.1), r"`gamma` must lie in \[0, 1\]"),
        (lambda m: finite_horizon(m, 2, terminal=[1.0]), r"`terminal` must have shape \[4\]"),
        (
            lambda m: finite_horizon(m, 2, rewards=np.zeros((1, 4, 2))),
            r"`rewards` must have shape \[2, 4, 2\]",
        ),
        (lambda m: finite_horizon(m, 1, rewards=np.full((1, 4, 2), np.nan)), "`rewards` must be finite"),
    ],
    ids=map(str, range(16)),
)
def test_bad_input_is_one_line_that_names_it(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(mdp_of(ROUND))
    assert "\n" not in str(caught.value)


def test_the_status_of_an_average_reward_says_whether_its_bound_is_within_the_tolerance():
    statuses = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = rng.dirichlet(np.ones(3), size=(3, 2))
        mdp = TabularMDP(rows, 1e3 * rng.normal(size=(3, 2)), 0.5)
        bound = average_reward(mdp, atol=0.0).error_bound
        for factor in (0.9, 0.999, 1.0, 1.001, 1.1, 10.0):
            found = average_reward(mdp, atol=factor * bound)
            assert (found.status is Status.CONVERGED) == (found.error_bound <= factor * bound)
            statuses.add(found.status)
    assert statuses == {Status.CONVERGED, Status.ROUNDING_LIMIT}


@pytest.mark.parametrize("number", [Decimal("0.5"), Fraction(1, 2), np.float32(0.5), np.array(0.5)])
def test_any_real_number_is_a_tolerance(number):
    two = TabularMDP([[[0, 1]], [[0, 1]]], [[3.0], [0.0]], 0.9)
    tolerances = {"atol": number, "rtol": number}
    plain = {"atol": 0.5, "rtol": 0.5}
    for solver in (
        lambda **given: reachability(two, [1], **given),
        lambda **given: shortest_path(two, [1], **given),
        lambda **given: finite_horizon(two, 2, **given),
        lambda **given: average_reward(two, **given),
    ):
        found, expected = solver(**tolerances), solver(**plain)
        assert (found.status, found.error_bound) == (expected.status, expected.error_bound)


def test_the_size_of_rewards_plays_no_role_for_reachability():
    mdp = TabularMDP([[[0.5, 0.5]], [[0, 1]]], [[1e200], [0.0]], 0.9)
    assert reachability(mdp, [1], atol=1e-9).value.tolist() == [1.0, 1.0]
