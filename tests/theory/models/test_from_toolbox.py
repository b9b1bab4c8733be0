"""Arrays in the conventions of other toolboxes: converted, or refused with the name of the convention."""

import numpy as np
import pytest
from scipy import sparse

from virel_common.errors import InputError
from virel_theory import TabularMDP, from_toolbox, garnet, gridworld, solve

P = np.array([[[0.1, 0.9, 0], [0.1, 0, 0.9], [0.1, 0, 0.9]], [[1, 0, 0], [1, 0, 0], [1, 0, 0]]])
R = np.array([[0, 0], [0, 1], [4, 2.0]])
SMALL = np.array([[[0.5, 0.5], [0.8, 0.2]], [[0, 1], [0.1, 0.9]]])


def test_the_forest_of_pymdptoolbox_has_its_published_values():
    # pymdptoolbox's documentation, mdptoolbox.example.forest() by value iteration at 0.96
    found = solve(from_toolbox(P, R, gamma=0.96), atol=1e-9)
    assert found.policy.tolist() == [0, 0, 0]
    exact = np.linalg.solve(np.eye(3) - 0.96 * P[0], R[:, 0])
    np.testing.assert_allclose(found.value, exact, atol=1e-9)


def test_as_many_actions_as_states_are_read_action_by_action():
    found = solve(from_toolbox(SMALL, [[5, 10], [-1, 2]], gamma=0.99), atol=1e-9)
    turned = TabularMDP(SMALL.transpose(1, 0, 2), [[5, 10], [-1, 2]], 0.99)
    np.testing.assert_allclose(found.value, solve(turned, atol=1e-9).value, atol=2e-9)
    assert found.value[0] == pytest.approx(392.3, abs=0.1)  # 484.0 if read the other way


@pytest.mark.parametrize(
    "convert",
    [
        list,
        lambda p: [sparse.csr_matrix(one) for one in p],
        lambda p: tuple(sparse.coo_array(one) for one in p),
        lambda p: [sparse.csc_matrix(p[0]), p[1]],
    ],
    ids=["list of arrays", "CSR", "COO", "mixed"],
)
def test_lists_of_matrices_give_the_same_mdp(convert):
    given, wanted = from_toolbox(convert(P), R, gamma=0.5), from_toolbox(P, R, gamma=0.5)
    np.testing.assert_array_equal(given.transition, wanted.transition)
    assert given.transition[1, 0].tolist() == P[0, 1].tolist()


@pytest.mark.parametrize("as_sparse", [False, True])
def test_rewards_of_transitions_are_averaged(as_sparse):
    rng = np.random.default_rng(0)
    per_step = rng.normal(size=P.shape)
    given = [sparse.csr_matrix(one) for one in per_step] if as_sparse else per_step
    found = from_toolbox(P, given, gamma=0.5)
    np.testing.assert_allclose(found.reward, (P * per_step).sum(axis=2).T, atol=1e-15)


def test_rewards_of_states_count_for_every_action():
    assert from_toolbox(P, [1.0, 2.0, 3.0], gamma=0.5).reward.tolist() == [[1, 1], [2, 2], [3, 3]]


def test_a_reward_of_minus_infinity_removes_the_action():
    found = from_toolbox(P, np.where(R == 2, -np.inf, R), gamma=0.5)
    assert found.available.tolist() == [[True, True], [True, True], [True, False]]


@pytest.mark.parametrize(
    ("rounded", "off"),
    [(P.astype(np.float32), "e-0"), (np.round(np.full((1, 3, 3), 1 / 3), 6), "1e-06")],
    ids=["float32", "six digits"],
)
def test_rounded_rows_are_rescaled_only_if_asked_and_say_by_how_much(rounded, off):
    reward = np.ones((3, len(rounded)))
    with pytest.raises(InputError, match="divide rows that were rounded"):
        from_toolbox(rounded, reward, gamma=0.5)
    with pytest.warns(UserWarning, match=f"differed from 1 by up to .*{off}"):
        found = from_toolbox(rounded, reward, gamma=0.5, normalise=True)
    np.testing.assert_allclose(found.transition.sum(axis=2), 1, atol=1e-15)


def test_rows_that_are_not_rounded_are_not_rescaled():
    turned = SMALL.transpose(2, 0, 1)  # [S, S, A] where A = S: no shape tells, but the sums do
    with pytest.raises(InputError, match="must have rows whose sums are 1, but for rounding; found"):
        from_toolbox(turned, [[5, 10], [-1, 2]], gamma=0.5, normalise=True)


@pytest.mark.parametrize("digits", [1, 3, 6, 12])
@pytest.mark.parametrize("convert", [np.array, list, lambda p: [sparse.csr_matrix(one) for one in p]])
def test_rows_of_any_printed_length_are_divided_by_their_sums(digits, convert):
    rounded = np.round(np.full((2, 3, 3), 1 / 3), digits)
    with pytest.warns(UserWarning, match=f"up to {1 - 3 * round(1 / 3, digits):.2g}"[:9]):
        found = from_toolbox(convert(rounded), R, gamma=0.5, normalise=True)
    np.testing.assert_allclose(found.dense_transition, 1 / 3, rtol=1e-15)


def test_exact_rows_are_normalised_without_a_word():
    from_toolbox(P, R, gamma=0.5, normalise=True)


def test_a_random_mdp_survives_the_way_there_and_back():
    mdp = garnet(5, 3, 2, gamma=0.9, rng=np.random.default_rng(1))
    back = from_toolbox(mdp.dense_transition.transpose(1, 0, 2), mdp.reward, gamma=0.9)
    np.testing.assert_array_equal(back.transition, mdp.dense_transition)


@pytest.mark.parametrize(
    ("transition", "reward", "named"),
    [
        (P, np.ones((2, 3)), r"`reward` must have shape \[S\], \[S, A\] or \[A, S, S\]"),
        (P[:, :2], R, "`transition` must hold one matrix"),
        (sparse.csr_matrix(P[0]), R, "`transition` must be one matrix"),
        (P[0], R, r"`transition` must have shape \[A, S, S\]"),
        (P, np.ones((3, 3, 3)), "`reward` must have the shapes of `transition`"),
        (P.transpose(1, 0, 2), R, r"all of one size; `TabularMDP` reads \[S, A, S\]"),
        (P.transpose(1, 2, 0), R, r"\[S, S, A\] is the order of MATLAB and R: pass np.moveaxis"),
        (P, np.ones((3, 2, 3)), r"shapes of `transition`; \[S, A, S\] is another order: pass np.moveaxis"),
        (P, list(np.ones((2, 3))), r"`reward` must have shape \[S\], \[S, A\] or \[A, S, S\]"),
        (P, np.where(R == 2, np.nan, R), "`reward` must be finite"),
        (P, np.where(R == 2, np.inf, R), "`reward` must be finite"),
        (P, [[-np.inf, -np.inf], [0, 1], [4, 2]], "must leave at least one action in every state"),
        (np.where(P == 1, np.nan, P), R, "`transition` must be non-negative; found nan"),
    ],
)
def test_what_does_not_fit_is_refused(transition, reward, named):
    with pytest.raises(InputError, match=named):
        from_toolbox(transition, reward, gamma=0.5)


@pytest.mark.parametrize(
    ("transition", "reward", "hint"),
    [
        (P, R, "`from_toolbox` reads the order of other toolboxes"),
        ([sparse.csr_matrix(one) for one in P], R, "`from_toolbox` reads the order of other toolboxes"),
        (P.transpose(1, 0, 2), np.zeros((3, 2, 3)), "averaged first"),
        (P.transpose(1, 0, 2), np.where(R == 2, -np.inf, R), "must be False in `mask`"),
        (P.transpose(1, 0, 2).astype(np.float32), R, "divide rows that were rounded"),
    ],
)
def test_a_tabular_mdp_says_how_to_convert(transition, reward, hint):
    with pytest.raises(InputError, match=hint):
        TabularMDP(transition, reward, 0.9)


NO = -np.inf
STAY, MOVE = np.eye(2), np.eye(2)[::-1]


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize(
    ("rows", "reward", "available", "expected"),
    [
        # -inf where the probability is 0 plays no role
        ([STAY, MOVE], [[[1, NO], [0, 2]], [[0, 1], [3, 0]]], [[1, 1], [1, 1]], [[1, 1], [2, 3]]),
        # a state whose rewards are all -inf lacks the action, whether it has a row or not
        ([STAY, STAY], [[[1, 1], [1, 1]], [[NO, NO], [0, 4]]], [[1, 0], [1, 1]], [[1, 0], [1, 4]]),
        (
            [STAY, [[0, 0], [0, 1]]],
            [[[1, 1], [1, 1]], [[NO, NO], [0, 4]]],
            [[1, 0], [1, 1]],
            [[1, 0], [1, 4]],
        ),
        # so does one whose possible rewards have -inf among them
        ([STAY, STAY], [[[1, 1], [1, 1]], [[NO, 0], [0, 4]]], [[1, 0], [1, 1]], [[1, 0], [1, 4]]),
    ],
)
def test_minus_infinity_marks_missing_actions_among_rewards_of_transitions(
    rows, reward, available, expected, as_sparse
):
    convert = (lambda one: sparse.csr_array(np.array(one, dtype=float))) if as_sparse else np.array
    mdp = from_toolbox([convert(one) for one in rows], [convert(one) for one in reward], gamma=0.5)
    assert mdp.available.tolist() == np.array(available, dtype=bool).tolist()
    assert np.where(mdp.available, mdp.reward, 0.0).tolist() == expected


def test_an_action_that_exists_nowhere_may_be_normalised_too():
    reward = [[1.0, NO], [2.0, NO]]
    plain, scaled = (from_toolbox([STAY, STAY], reward, gamma=0.5, normalise=x) for x in (False, True))
    assert plain.available.tolist() == scaled.available.tolist() == [[True, False]] * 2


def test_an_array_of_objects_without_a_dimension_is_one_line():
    nothing = np.array(None, dtype=object)
    with pytest.raises(InputError, match="`transition` must be an array of real numbers"):
        from_toolbox(nothing, [[0.0]], gamma=0.5)
    with pytest.raises(InputError, match="`reward` must be an array of real numbers"):
        from_toolbox([STAY], nothing, gamma=0.5)
    with pytest.raises(InputError, match="`walls` must be a list of cells"):
        gridworld(2, 2, gamma=0.5, walls=nothing)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_rewards_of_transitions_are_averaged_over_the_normalised_rows(as_sparse):
    rows, per_step = np.array([[0.45, 0.45], [0.0, 0.9]]), np.array([[2.0, 4.0], [0.0, 10.0]])
    rewards = [sparse.csr_array(per_step)] if as_sparse else [per_step]
    with pytest.warns(UserWarning, match="differed|sum"):
        found = from_toolbox([rows], rewards, gamma=0.9, normalise=True)
    np.testing.assert_allclose(found.reward, [[3.0], [10.0]], rtol=1e-15)


def test_entries_that_stand_twice_are_summed_in_transitions_and_rewards_and_the_given_matrices_stay():
    def twice(dense):  # every entry in two halves, as COO input of triples often is after `tocsr` by hand
        rows, columns = np.nonzero(dense)
        data = np.concatenate([dense[rows, columns] / 2] * 2)
        order = np.argsort(np.concatenate([rows, rows]), kind="stable")
        indptr = np.concatenate([[0], np.cumsum(2 * (dense != 0).sum(axis=1))])
        return sparse.csr_array((data[order], np.concatenate([columns, columns])[order], indptr), dense.shape)

    per_step = np.arange(1.0, 19.0).reshape(P.shape)
    given, rewards = [twice(one) for one in P], [twice(one) for one in per_step]
    sizes = [one.nnz for one in (*given, *rewards)]
    found = from_toolbox(given, rewards, gamma=0.5)
    np.testing.assert_allclose(found.reward, (P * per_step).sum(axis=2).T, rtol=1e-15)
    np.testing.assert_array_equal(found.transition, from_toolbox(P, R, gamma=0.5).transition)
    assert [one.nnz for one in (*given, *rewards)] == sizes
