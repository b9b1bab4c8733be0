"""Generated and textbook MDPs: exact rows, distributions, closed-form and published values, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.models import garnet_kernels
from virel_theory.models.draw import chain, garnet, gridworld, merl_counterexample, ring
from virel_theory.models.garnet_rows import index_dtype
from virel_theory.models.textbook import forest, puterman_two_state, sutton_barto_gridworld, two_state_toy
from virel_theory.threads.team import share


def optimal_values(mdp, n_sweeps=2000):
    """Plain value iteration, state by state, on the arrays; not the package's solvers."""
    transition = mdp.dense_transition
    v = [0.0] * mdp.n_states
    for _ in range(n_sweeps):
        v = [
            max(
                mdp.reward[s, a] + mdp.gamma * float(np.dot(transition[s, a], v))
                for a in range(mdp.n_actions)
                if mdp.available[s, a]
            )
            for s in range(mdp.n_states)
        ]
    return np.array(v)


def rng(seed=0):
    return np.random.default_rng(seed)


# Garnet


@pytest.mark.parametrize(
    ("n_states", "branching"), [(1, 1), (7, 1), (40, 3), (200, 10), (9, 9), (60, 50), (90, 80)]
)
def test_a_garnet_row_has_distinct_sorted_successors_and_sums_to_one_exactly(n_states, branching):
    mdp = garnet(n_states, 3, branching, gamma=0.9, rng=rng(1), sparse=True)
    successors = mdp.transition.indices.reshape(-1, branching)
    prob = mdp.transition.data.reshape(-1, branching)
    assert (np.diff(successors, axis=1) > 0).all()
    assert successors.min() >= 0
    assert successors.max() < n_states
    assert (prob > 0).all()
    assert all(math.fsum(row) == 1.0 == row[::-1].sum() for row in prob)
    assert (prob * 2.0**53 == np.round(prob * 2.0**53)).all()


def test_garnet_successors_and_probabilities_have_the_right_distribution():
    # 32,000 rows. A successor is in a row with probability 3/8: standard deviation of its frequency 0.0027.
    # A gap is Beta(1, 2): mean 1/3, variance 1/18, so the mean of 32,000 has 0.0013; E[gap^2] = 1/6, 0.0011.
    # Six sigma each.
    mdp = garnet(8, 4000, 3, gamma=0.9, rng=rng(2), sparse=True)
    n_rows = 8 * 4000
    frequency = np.bincount(mdp.transition.indices, minlength=8) / n_rows
    np.testing.assert_allclose(frequency, 3 / 8, atol=6 * 0.0027)
    gaps = mdp.transition.data.reshape(-1, 3)
    np.testing.assert_allclose(gaps.mean(axis=0), 1 / 3, atol=6 * 0.0013)
    np.testing.assert_allclose((gaps**2).mean(axis=0), 1 / 6, atol=6 * 0.0013)


def test_both_ways_of_sampling_subsets_are_uniform_over_all_subsets():
    for sample in (garnet_kernels.floyd_sample, garnet_kernels.selection_sample):
        counts = {}
        for trial in range(20_000):
            out = np.empty(2, dtype=np.int64)
            sample(np.uint64(99), trial * 10, 5, out)
            counts[tuple(out)] = counts.get(tuple(out), 0) + 1
        assert len(counts) == 10
        assert all(abs(n - 2000) < 6 * math.sqrt(20_000 * 0.1 * 0.9) for n in counts.values())


def test_the_random_stream_is_splitmix64():
    # first output of SplitMix64 with seed 1234567 in its authors' C code: 6457827717110365317
    assert garnet_kernels.random_53_bits(np.uint64(1234567), 0) == float(6457827717110365317 >> 11)
    mask = 2**64 - 1

    def reference(key, position):
        z = (key + 0x9E3779B97F4A7C15 * (position + 1)) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return (z ^ (z >> 31)) >> 11

    for key, position in ((0, 0), (mask, 10**9), (2**63, 3)):
        assert garnet_kernels.random_53_bits(np.uint64(key), position) == reference(key, position)


def test_equal_seeds_give_equal_garnets_and_different_ones_do_not():
    one, same, other = (garnet(20, 2, 4, gamma=0.5, rng=rng(seed)) for seed in (3, 3, 4))
    assert (one.transition == same.transition).all()
    assert (one.reward == same.reward).all()
    assert (one.transition != other.transition).any()


def test_dense_and_sparse_garnets_of_one_seed_are_the_same_mdp():
    dense = garnet(30, 3, 5, gamma=0.9, rng=rng(5), missing=0.4)
    sparse = garnet(30, 3, 5, gamma=0.9, rng=rng(5), missing=0.4, sparse=True)
    assert sparse.is_sparse
    assert not dense.is_sparse
    assert (sparse.dense_transition == dense.transition).all()
    assert (sparse.reward == dense.reward).all()
    assert (sparse.mask == dense.mask).all()


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_garnet_has_the_same_numbers_on_any_number_of_threads(dtype):
    indptr = np.arange(0, 4001, 4, dtype=dtype)
    results = []
    for n_helpers, n_chunks in ((0, 1), (0, 7), (3, 100)):
        indices, data = np.empty(4000, dtype=dtype), np.empty(4000)
        args = (np.uint64(7), 500, indptr, indices, data)
        share(garnet_kernels.fill, args, n_chunks=n_chunks, n_helpers=n_helpers)
        results.append((indices, data))
    for indices, data in results[1:]:
        assert (indices == results[0][0]).all()
        assert (data == results[0][1]).all()


def test_a_large_garnet_has_32_bit_indices_and_no_dense_intermediate():
    mdp = garnet(
        110_000, 1, 10, gamma=0.9, rng=rng(6), sparse=True
    )  # dense: 97 GB; above the parallel threshold
    assert mdp.transition.nnz == 1_100_000
    assert mdp.transition.indices.dtype == mdp.transition.indptr.dtype == np.int32


def test_indices_are_32_bit_where_they_fit_and_64_bit_where_not():
    assert index_dtype(10, 2**31 - 1) is np.int32
    assert index_dtype(10, 2**31) is np.int64
    assert index_dtype(2**31, 10) is np.int64


def test_missing_actions_leave_one_a_state_and_empty_rows():
    none_left = garnet(50, 4, 2, gamma=0.9, rng=rng(7), missing=1.0, sparse=True)
    assert (none_left.available.sum(axis=1) == 1).all()
    some = garnet(50, 4, 2, gamma=0.9, rng=rng(7), missing=0.5, sparse=True)
    lengths = np.diff(some.transition.indptr).reshape(some.shape)
    assert (lengths == np.where(some.available, 2, 0)).all()
    assert garnet(50, 4, 2, gamma=0.9, rng=rng(7)).mask is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_states": 0}, "n_states"),
        ({"n_actions": 0}, "n_actions"),
        ({"branching": 0}, "branching"),
        ({"branching": 6}, "branching"),
        ({"missing": 1.5}, "missing"),
        ({"missing": float("nan")}, "missing"),
        ({"gamma": 1.0}, "gamma"),
    ],
)
def test_a_bad_garnet_is_one_error_that_names_the_argument(arguments, named):
    good = {"n_states": 5, "n_actions": 2, "branching": 2, "gamma": 0.9, "missing": 0.0}
    both = good | arguments
    sizes = [both.pop(name) for name in ("n_states", "n_actions", "branching")]
    with pytest.raises(InputError, match=f"`{named}`"):
        garnet(*sizes, rng=rng(), **both)


# ring, chain, gridworld


@pytest.mark.parametrize("n_states", [1, 2, 3, 8, 11])
@pytest.mark.parametrize("closed", [True, False])
def test_without_slip_the_ring_has_its_closed_form_solution(n_states, closed):
    mdp = ring(n_states, gamma=0.5, slip=0.0, closed=closed)
    s = np.arange(n_states)
    distance = np.minimum(s, n_states - s) if closed else s
    np.testing.assert_allclose(optimal_values(mdp, 80), 0.5**distance / 0.5, rtol=0, atol=1e-14)


def test_the_ring_moves_as_a_loop_over_states_and_actions_says():
    n_states, n_actions, slip = 6, 5, 0.25
    for closed in (True, False):
        expected = np.zeros((n_states * n_actions, n_states))
        for s in range(n_states):
            for a in range(n_actions):
                for error, p in ((0, 1 - slip), (-1, slip / 2), (1, slip / 2)):
                    t = s + a - 2 + error
                    t = t % n_states if closed else min(max(t, 0), n_states - 1)
                    expected[s * n_actions + a, t] += p
        mdp = ring(n_states, gamma=0.9, n_actions=n_actions, slip=slip, closed=closed, rng=rng())
        np.testing.assert_allclose(mdp.transition.toarray(), expected, rtol=0, atol=1e-15)
        assert mdp.is_sparse
        assert (mdp.reward >= 0).all()
        assert (mdp.reward < 1).all()


def test_the_ring_mixes_slowly_and_the_garnet_does_not():
    def second_eigenvalue(mdp):
        uniform_policy = mdp.dense_transition.mean(axis=1)
        return sorted(abs(np.linalg.eigvals(uniform_policy)))[-2]

    assert second_eigenvalue(ring(100, gamma=0.9)) > 0.998
    assert second_eigenvalue(garnet(100, 3, 3, gamma=0.9, rng=rng())) < 0.9


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.75])
@pytest.mark.parametrize("n_states", [1, 2, 6])
def test_without_slip_the_chain_has_its_closed_form_solution(n_states, gamma):
    expected = [gamma ** (n_states - 1 - s) / (1 - gamma) for s in range(n_states)]
    np.testing.assert_allclose(
        optimal_values(chain(n_states, gamma=gamma), 200), expected, rtol=0, atol=1e-14
    )


def test_a_slip_of_the_chain_takes_the_opposite_move():
    mdp = chain(3, gamma=0.5, slip=0.25)
    assert mdp.transition[1].tolist() == [[0.75, 0.0, 0.25], [0.25, 0.0, 0.75]]
    assert mdp.initial.tolist() == [1.0, 0.0, 0.0]


def test_the_default_gridworld_counts_the_steps_to_the_goal():
    gamma = 0.75
    values = optimal_values(gridworld(3, 4, gamma=gamma), 200).reshape(3, 4)
    for row in range(3):
        for column in range(4):
            steps = (2 - row) + (3 - column)
            assert values[row, column] == pytest.approx(-(1 - gamma**steps) / (1 - gamma), abs=1e-14)


def test_walls_of_the_gridworld_must_be_walked_around():
    # S # G    the way from S to G takes 6 steps, over the bottom row
    # . # .
    # . . .
    gamma = 0.5
    mdp = gridworld(3, 3, gamma=gamma, goal=(0, 2), walls=[(0, 1), (1, 1)], step_reward=0.0, goal_reward=1.0)
    assert optimal_values(mdp, 80)[0] == pytest.approx(gamma**5, abs=1e-15)
    assert np.argmax(mdp.initial) == 0


def test_the_goal_absorbs_at_reward_zero_and_slips_turn_by_a_right_angle():
    mdp = gridworld(3, 3, gamma=0.9, slip=0.5, goal_reward=8.0, sparse=True)
    assert mdp.is_sparse
    dense = mdp.to_dense()
    assert dense.transition[8].tolist() == [[0.0] * 8 + [1.0]] * 4
    assert dense.reward[8].tolist() == [0.0] * 4
    up_from_the_middle = np.zeros(9)
    up_from_the_middle[[1, 3, 5]] = 0.5, 0.25, 0.25
    assert (dense.transition[4, 0] == up_from_the_middle).all()
    assert dense.reward[5, 2] == -1 + 8 * 0.5  # down from (1, 2)
    assert dense.reward[5, 1] == -1 + 8 * 0.25  # right from (1, 2): slips down with 1/4
    assert dense.reward[5, 0] == -1


def test_a_gridworld_that_is_all_goal_starts_there():
    mdp = gridworld(1, 1, gamma=0.9)
    assert mdp.initial.tolist() == [1.0]
    assert mdp.reward.tolist() == [[0.0] * 4]


@pytest.mark.parametrize(
    ("make", "sizes", "options", "named"),
    [
        (ring, [0], {}, "n_states"),
        (ring, [3], {"n_actions": 0}, "n_actions"),
        (ring, [3], {"slip": -0.1}, "slip"),
        (chain, [0], {}, "n_states"),
        (chain, [2], {"slip": 2.0}, "slip"),
        (gridworld, [0, 3], {}, "height"),
        (gridworld, [3, 0], {}, "width"),
        (gridworld, [3, 3], {"slip": 1.01}, "slip"),
        (gridworld, [3, 3], {"goal": (3, 0)}, "goal"),
        (gridworld, [3, 3], {"walls": [(0, -1)]}, "walls"),
        (gridworld, [3, 3], {"walls": [(2, 2)]}, "goal"),
        (merl_counterexample, [0], {}, "k1"),
        (forest, [1], {}, "n_states"),
        (forest, [], {"fire": 1.5}, "fire"),
        (two_state_toy, [], {"gamma": -0.1}, "gamma"),
    ],
    ids=map(str, range(15)),
)
def test_bad_arguments_are_one_error_that_names_them(make, sizes, options, named):
    with pytest.raises(InputError, match=f"`{named}`"):
        make(*sizes, **{"gamma": 0.9} | options)


# the MERL counterexample


@pytest.mark.parametrize("k1", [1, 2, 5, 40])
def test_the_merl_counterexample_has_the_talks_two_optimal_policies(k1):
    gamma, c = 0.9, 0.5
    mdp = merl_counterexample(k1, gamma=gamma)
    v_star = optimal_values(mdp, 50)
    assert v_star.tolist() == [1.0] + [0.0] * (k1 + 2)  # a2 at once; nothing else pays
    v = np.zeros(mdp.n_states)
    for _ in range(5):  # soft backups: the MDP is two steps deep
        q = np.where(mdp.available, mdp.reward + gamma * mdp.expect_next(v), -np.inf)
        v = c * np.log(np.exp(q / c).sum(axis=1))
    pi_merl = np.exp((q[0, :2] - v[0]) / c)
    assert pi_merl[0] == pytest.approx(1 / (k1**-gamma * math.exp(1 / c) + 1), rel=1e-14)
    assert (pi_merl[0] > 0.5) == (k1**-gamma * math.exp(1 / c) < 1)


def test_the_merl_counterexample_has_one_action_where_there_is_no_further_choice():
    mdp = merl_counterexample(4, gamma=0.5, sparse=True)
    assert mdp.is_sparse
    assert mdp.available.sum(axis=1).tolist() == [2, 4, 1, 1, 1, 1, 1]
    assert mdp.n_pairs == 11
    dense = mdp.dense_transition
    assert [dense[0, a].argmax() for a in (0, 1)] == [1, 2]
    assert [dense[1, a].argmax() for a in range(4)] == [3, 4, 5, 6]
    assert all(dense[s, 0, s] == 1 for s in range(2, 7))


# textbooks


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_the_two_state_toy_has_the_solution_found_by_hand(gamma):
    mdp = two_state_toy(gamma=gamma)
    v = optimal_values(mdp, 500)
    np.testing.assert_allclose(v, np.array([gamma, 1]) / (1 - gamma), rtol=0, atol=1e-13)
    q = mdp.reward + gamma * mdp.expect_next(v)
    expected = np.array([[gamma**2, gamma], [1, gamma**2]]) / (1 - gamma)
    np.testing.assert_allclose(q, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 10 / 11, 0.95])
def test_putermans_example_has_putermans_answer(gamma):
    stay = (5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma))
    leave = (10 - 11 * gamma) / (1 - gamma)
    assert (stay > leave + 1e-9) == (gamma > 10 / 11)
    v = optimal_values(puterman_two_state(gamma=gamma), 1000)
    np.testing.assert_allclose(v, [max(stay, leave), -1 / (1 - gamma)], rtol=0, atol=1e-11)


def test_the_grid_of_sutton_and_barto_has_the_printed_optimal_values():
    printed = [  # Figure 3.5, middle
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    values = optimal_values(sutton_barto_gridworld(), 300).reshape(5, 5)
    assert values.round(1).tolist() == printed
    assert values[0, 1] == pytest.approx(10 / (1 - 0.9**5), abs=1e-10)


def test_the_grid_of_sutton_and_barto_has_the_printed_values_of_the_uniform_policy():
    mdp = sutton_barto_gridworld()
    system = np.eye(25) - 0.9 * mdp.transition.mean(axis=1)
    values = np.linalg.solve(system, mdp.reward.mean(axis=1)).reshape(5, 5)
    printed = [  # Figure 3.2, right
        [3.3, 8.8, 4.4, 5.3, 1.5],
        [1.5, 3.0, 2.3, 1.9, 0.5],
        [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2],
        [-1.9, -1.3, -1.2, -1.4, -2.0],
    ]
    assert values.round(1).tolist() == printed


def test_the_forest_has_the_value_in_the_toolboxs_manual():
    values = optimal_values(forest(gamma=0.9), 500)
    np.testing.assert_allclose(values, [26.244, 29.484, 33.484], rtol=0, atol=1e-12)


# What is no number, no cell and no source of randomness


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: garnet(2.5, 2, 1, gamma=0.5, rng=rng()), "`n_states` must be a positive integer; found 2.5"),
        (lambda: garnet("a", 2, 1, gamma=0.5, rng=rng()), "`n_states` must be a positive integer; found 'a'"),
        (lambda: garnet(4, 2, 1, gamma=0.5, rng=0), "`rng` must be a numpy Generator.*; found 0"),
        (lambda: garnet(4, 2, 1, gamma=0.5, rng=None), "`rng` must be a numpy Generator.*; found None"),
        (lambda: garnet(4, 2, 5, gamma=0.5, rng=rng()), "`branching` must be at most n_states = 4; found 5"),
        (lambda: ring(3, gamma=0.5, rng=1), "`rng` must be a numpy Generator.*; found 1"),
        (lambda: ring(True, gamma=0.5), "`n_states` must be a positive integer; found True"),
        (lambda: gridworld(2, 2.0, gamma=0.5), "`width` must be a positive integer; found 2.0"),
        (lambda: gridworld(2, 2, gamma=0.5, goal=3), r"`goal` must be a cell \(row, column\).*; found 3"),
        (lambda: gridworld(2, 2, gamma=0.5, goal=(0.5, 1)), r"`goal` must be a cell .*; found \(0.5, 1\)"),
        (
            lambda: gridworld(2, 2, gamma=0.5, walls=[(0, 1, 2)]),
            r"`walls` must be a cell .*; found \(0, 1, 2\)",
        ),
        (lambda: gridworld(2, 2, gamma=0.5, walls=[[0], [1, 1]]), r"`walls` must be a cell .*; found \[0\]"),
        (lambda: gridworld(2, 2, gamma=0.5, walls=3), "`walls` must be a list of cells .*; found 3"),
        (lambda: gridworld(2, 2, gamma=0.5, step_reward=np.nan), "`step_reward` must be finite; found nan"),
        (
            lambda: gridworld(2, 2, gamma=0.5, goal_reward="a"),
            "`goal_reward` must be a single number; found 'a'",
        ),
        (lambda: forest(gamma=0.5, wait_reward=None), "`wait_reward` must be a single number; found None"),
        (lambda: merl_counterexample(1.5, gamma=0.5), "`k1` must be a positive integer; found 1.5"),
    ],
)
def test_arguments_of_another_kind_are_named_with_their_value(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_sizes_and_cells_of_numpy_are_numbers_too():
    drawn = garnet(np.int64(4), np.int32(2), np.uint8(2), gamma=np.float32(0.5), rng=rng())
    assert drawn.shape == (4, 2)
    np.testing.assert_array_equal(
        gridworld(2, 2, gamma=0.5, goal=np.array([0, 1])).reward,
        gridworld(2, 2, gamma=0.5, goal=(0, 1)).reward,
    )
