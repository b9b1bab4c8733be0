"""Solvers: closed forms, exact rational solutions, methods and encodings that agree, statuses, bad input."""

import functools
import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from tests.support.exact_mdp import (
    exact_backup,
    exact_error,
    exact_optimal_q,
    exact_policy_values,
    random_mdp,
)
from virel_theory import InputError, TabularMDP
from virel_theory.models import draw
from virel_theory.solvers import linear, policy_methods
from virel_theory.solvers.linear_program import linear_program
from virel_theory.solvers.problem import Verdict, problem
from virel_theory.solvers.solve import (
    METHODS,
    SolverError,
    Status,
    policy_evaluation,
    policy_iteration,
    policy_iteration_iterates,
    solve,
    value_iteration,
    value_iteration_iterates,
)


def puterman(gamma):
    """Puterman 1994, Section 3.1: state 0 has two actions, state 1 is absorbing with cost 1."""
    transition = np.array([[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 0.0]]])
    mask = np.array([[True, True], [True, False]])
    return TabularMDP(transition, [[5.0, 10.0], [-1.0, 0.0]], gamma, mask=mask)


def puterman_value(gamma):
    """V*; state 0: (5 - 5.5 gamma)/((1 - gamma)(1 - gamma/2)) and (10 - 11 gamma)/(1 - gamma)."""
    slow = (5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma))
    return [max(slow, (10 - 11 * gamma) / (1 - gamma)), -1 / (1 - gamma)]


# closed forms


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


# the bound is true


@functools.cache
def instances(n, seed):
    """MDPs (dense and sparse in turn) with their exact Q*."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        mdp = random_mdp(rng)
        exact = exact_optimal_q(mdp, policy_iteration(mdp).policy)
        out.append((mdp.to_sparse() if i % 2 else mdp, exact))
    return out


@pytest.mark.parametrize("atol", [1e-2, 1e-8, 0.0])
@pytest.mark.parametrize("method", METHODS)
def test_every_bound_is_true_against_exact_rational_solutions(method, atol):
    for mdp, exact in instances(20, seed=1):
        found = solve(mdp, atol=atol, method=method)
        assert exact_error(found.q, exact) <= found.error_bound
        assert found.error_bound <= atol or found.status is Status.ROUNDING_LIMIT


def test_half_the_bound_would_be_false():
    found = [(solve(mdp, atol=1e-2, method="vi"), exact) for mdp, exact in instances(20, seed=1)]
    assert any(exact_error(x.q, exact) > x.error_bound / 2 for x, exact in found)


@pytest.mark.slow
def test_two_thousand_bounds_are_true_and_not_loose():
    """Loose: above 100 times the true error, counted as half an ulp of max|V| or more."""
    rng = np.random.default_rng(2)
    ratios = []
    for i in range(2000):
        mdp = random_mdp(rng, gammas=(0.0, 0.5, 0.9, 0.99, 0.999, 0.9999))
        method = METHODS[i % len(METHODS)]
        gamma_limit = 0.9999 if method in {"auto", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi"} else 0.99
        if mdp.gamma > gamma_limit:  # thousands of sweeps: a direct method instead
            method = "auto"
        atol = float(rng.choice([1e-3, 1e-6, 1e-9, 0.0]))
        found = solve(mdp, atol=atol, method=method)
        error = exact_error(found.q, exact_optimal_q(mdp, found.policy))
        assert error <= found.error_bound
        ratios.append(found.error_bound / max(error, np.spacing(np.abs(found.value).max()) / 2))
    assert np.median(ratios) <= 100


def test_below_the_limit_of_one_sweep_the_bound_is_about_half_an_ulp():
    for mdp, exact in instances(20, seed=1):
        found = solve(mdp, atol=0.0)
        largest = max(np.abs(found.q[np.isfinite(found.q)]).max(), np.abs(mdp.reward).max())
        assert exact_error(found.q, exact) <= found.error_bound
        # r_max + gamma v_max bounds |Q| in the certificate: at most three times the largest value here.
        assert found.error_bound <= 3 * np.finfo(float).eps * largest


def test_policy_evaluation_is_within_its_bound_of_the_exact_values():
    rng = np.random.default_rng(3)
    for _ in range(60):
        mdp = random_mdp(rng)
        pi = rng.random(mdp.shape) * mdp.available * (rng.random(mdp.shape) < 0.8) + 1e-3 * mdp.available
        pi /= pi.sum(axis=1, keepdims=True)
        found = policy_evaluation(mdp, pi=pi)
        value = exact_policy_values(mdp, pi)
        assert exact_error(found.q, exact_backup(mdp, value)) <= found.error_bound
        assert exact_error(found.value[:, None], [[x] for x in value]) <= found.error_bound


def test_the_linear_program_agrees():
    for mdp, exact in instances(20, seed=1):
        found = linear_program(mdp, atol=1e-4, rtol=1e-6)
        assert exact_error(found.q, exact) <= found.error_bound


# encodings


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


# large instances: threads, bands, Krylov


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("n_actions", [3, 5])
def test_slow_rings_and_corridors_are_solved_through_a_band(closed, n_actions):
    ring = draw.ring(400, gamma=0.999, n_actions=n_actions, closed=closed, rng=np.random.default_rng(7))
    found, plain = solve(ring, atol=1e-7), solve(ring, atol=1e-6, method="ipi")
    assert found.method == "auto: mpi, then banded LU"
    assert found.status is plain.status is Status.CONVERGED
    assert np.abs(found.q - plain.q).max() <= found.error_bound + plain.error_bound


def test_a_ring_with_shuffled_states_is_still_a_band():
    rng = np.random.default_rng(8)
    ring = draw.ring(1000, gamma=0.99, rng=rng)
    order = rng.permutation(1000)
    rows = ring.transition[(order[:, None] * 3 + np.arange(3)).ravel()][:, order]
    found = solve(TabularMDP(rows, ring.reward[order], 0.99), atol=1e-8)
    assert found.method == "auto: mpi, then banded LU"
    plain = solve(ring, atol=1e-8)
    assert np.abs(found.q - plain.q[order]).max() <= found.error_bound + plain.error_bound


def test_a_wide_grid_is_solved_by_krylov_steps():
    side = 60
    grid = np.ones((side, side), dtype=np.bool_)
    cells = np.arange(side * side).reshape(grid.shape)
    moves = np.stack([np.roll(cells, shift, axis) for axis in (0, 1) for shift in (-1, 1)], axis=-1).reshape(
        -1, 4
    )
    n, ends = side**2, np.arange(4 * side**2 + 1)
    rows = sparse.csr_array((np.full(4 * n, 0.9), moves.ravel(), ends), shape=(4 * n, n))
    stay = sparse.csr_array((np.full(4 * n, 0.1), np.repeat(cells.ravel(), 4), ends), shape=(4 * n, n))
    reward = np.random.default_rng(9).random((side**2, 4)) ** 8
    mdp = TabularMDP(rows + stay, reward, 0.999)
    found = solve(mdp, atol=1e-6)
    assert found.status is Status.CONVERGED
    assert found.method == "auto: mpi, then ILU-BiCGSTAB"
    exact = policy_iteration(mdp, atol=1e-6)
    assert np.abs(found.q - exact.q).max() <= found.error_bound + exact.error_bound


def test_threads_change_no_bit():
    numba = pytest.importorskip("numba")
    mdp = draw.garnet(20_000, 10, 10, gamma=0.99, rng=np.random.default_rng(10), sparse=True)
    assert mdp.transition.nnz >= 1_000_000
    many = solve(mdp, atol=1e-8)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = solve(mdp, atol=1e-8)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(many.q, one.q)
    assert many.error_bound == one.error_bound


# what ran, and in how much memory


@pytest.mark.parametrize(
    ("mdp", "options", "method"),
    [
        (draw.garnet(20, 3, 4, gamma=0.9, rng=np.random.default_rng(17)), {}, "auto: pi"),
        (draw.garnet(60, 3, 4, gamma=0.9, rng=np.random.default_rng(17)), {}, "auto: mpi"),
        (draw.ring(200, gamma=0.999).to_dense(), {}, "auto: mpi, then pi"),
        (draw.ring(200, gamma=0.999), {}, "auto: mpi, then banded LU"),
        (
            draw.ring(200, gamma=0.999),
            {"atol": 0.0},
            "auto: mpi, then banded LU, then compensated sweeps",
        ),
        (draw.ring(200, gamma=0.0), {}, "auto: one sweep"),
        (draw.ring(200, gamma=0.9), {"method": "ipi"}, "ipi"),
        (draw.ring(200, gamma=0.9), {"method": "vi", "atol": 0.0}, "vi, then compensated sweeps"),
    ],
)
def test_the_solution_names_what_was_picked_and_fallen_back_on(mdp, options, method):
    assert solve(mdp, **({"atol": 1e-8} | options)).method == method


def test_krylov_steps_that_fail_fall_back_on_policy_sweeps(monkeypatch):
    monkeypatch.setattr(linear, "krylov", lambda *_, **__: False)
    found = solve(draw.ring(200, gamma=0.9), atol=1e-8, method="ipi")
    assert found.method == "ipi, then policy sweeps"
    assert found.status is Status.CONVERGED


@pytest.mark.parametrize("kind", ["garnet", "ring"])
def test_a_solve_allocates_at_most_three_tenths_of_the_mdp(kind):
    rng = np.random.default_rng(18)
    if kind == "ring":
        mdp = draw.ring(20_000, gamma=0.99, rng=rng)
    else:
        mdp = draw.garnet(5000, 10, 10, gamma=0.99, rng=rng, sparse=True)
    rows = mdp.transition
    parts = (rows.data, rows.indices, rows.indptr, mdp.reward, mdp.initial)
    solve(mdp, atol=1e-8)  # compiles
    tracemalloc.start()
    try:
        solve(mdp, atol=1e-8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 0.3 * sum(x.nbytes for x in parts)


# statuses


def test_every_status_is_provoked_and_says_what_to_try():
    mdp = draw.garnet(20, 3, 4, gamma=0.99, rng=np.random.default_rng(11))
    nearly_one = TabularMDP([[[1.0]]], [[1.0]], 1 - 2.0**-52)
    seen = {
        solve(mdp, atol=1e-6).status,
        solve(mdp, atol=1e-6, method="vi", max_steps=2).status,
        solve(mdp, atol=0.0).status,
        solve(nearly_one, atol=1e-6).status,
    }
    assert seen == set(Status)
    assert all(word in status.text for status in Status for word in ("bound",))


def test_a_bound_is_true_when_the_steps_run_out():
    for mdp, exact in instances(20, seed=1):
        for method in METHODS:
            found = solve(mdp, atol=0.0, method=method, max_steps=1)
            assert exact_error(found.q, exact) <= found.error_bound


def test_no_bound_is_claimed_where_nothing_contracts():
    found = solve(TabularMDP([[[1.0]]], [[1.0]], 1 - 2.0**-52), atol=1e-6)
    assert found.error_bound == np.inf
    assert np.isfinite(found.q).all()


def test_throw_raises_with_the_solution_inside():
    mdp = draw.garnet(20, 3, 4, gamma=0.99, rng=np.random.default_rng(12))
    with pytest.raises(SolverError, match="raise `max_steps`") as caught:
        solve(mdp, atol=1e-6, method="vi", max_steps=2, throw=True)
    assert caught.value.solution.n_steps == 2
    assert solve(mdp, atol=1e-6, throw=True).status.ok


# iterates


def test_policy_iteration_takes_the_lowest_action_among_ties():
    mdp = TabularMDP([[[1.0], [1.0], [1.0]]], [[0.0, 1.0, 1.0]], 0.5)
    policies = [p.tolist() for p, _ in policy_iteration_iterates(mdp, policy0=[2], n_steps=2)]
    assert policies == [[2], [1], [1]]
    near = [p.tolist() for p, _ in policy_iteration_iterates(mdp, policy0=[2], n_steps=1, tie_tol=1.5)]
    assert near == [[2], [0]]


def test_policy_iteration_by_hand():
    # gamma = 1/2; state 0: stay or go, reward 0; state 1 absorbs with reward 1: V = (1, 2) or (0, 2).
    mdp = TabularMDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], [[0.0, 0.0], [1.0, 1.0]], 0.5)
    (p0, q0), (p1, q1) = policy_iteration_iterates(mdp, policy0=[0, 0], n_steps=1)
    assert (p0.tolist(), p1.tolist()) == ([0, 0], [1, 0])
    np.testing.assert_allclose(q0, [[0.0, 1.0], [2.0, 2.0]])
    np.testing.assert_allclose(q1, [[0.5, 1.0], [2.0, 2.0]])


def test_policy_iteration_iterates_end_at_the_optimum():
    for mdp, exact in instances(10, seed=1):
        start = mdp.available.argmax(axis=1)
        _, q = policy_iteration_iterates(mdp, policy0=start, n_steps=12, tie_tol=1e-9)[-1]
        assert exact_error(q, exact) <= 1e-6 * max(1.0, np.abs(q[np.isfinite(q)]).max())


def test_value_iteration_iterates_are_repeated_backups():
    mdp = random_mdp(np.random.default_rng(13), gammas=(0.9,), masked=True)
    tables = value_iteration_iterates(mdp, q0=np.zeros(mdp.shape), n_steps=3)
    q = np.where(mdp.available, 0.0, -np.inf)
    for table in tables:
        np.testing.assert_allclose(table, q, rtol=1e-13)
        q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(q.max(axis=1)), -np.inf)


# bad input


MDP = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve(MDP, atol=1e-6, method="magic"), "`method` must be one of"),
        (lambda: solve(MDP, atol=-1.0), "`atol` must be non-negative and finite; found -1.0"),
        (lambda: solve(MDP, atol=np.nan), "`atol` must be non-negative"),
        (lambda: solve(MDP, atol=0.1, rtol=np.inf), "`rtol` must be non-negative"),
        (lambda: solve(MDP, atol=1e-6, sense="up"), "`sense` must be 'max'"),
        (lambda: solve(MDP, atol=1e-6, max_steps=0), "`max_steps` must be at least 1; found 0"),
        (lambda: value_iteration(MDP, atol=1e-6, max_steps=-3), "`max_steps` must be at least 1; found -3"),
        (lambda: policy_evaluation(MDP, pi=[[0.5, 0.6]]), "`pi` must sum to 1"),
        (
            lambda: policy_iteration_iterates(MDP, policy0=[2], n_steps=1),
            "`policy0` must take actions that exist",
        ),
        (lambda: policy_iteration_iterates(MDP, policy0=[0.0], n_steps=1), "`policy0` must be integers"),
        (
            lambda: policy_iteration_iterates(MDP, policy0=[0], n_steps=-1),
            "`n_steps` must be non-negative; found -1",
        ),
        (lambda: policy_iteration_iterates(MDP, policy0=[0], n_steps=1, tie_tol=-1.0), "`tie_tol` must be"),
        (lambda: value_iteration_iterates(MDP, q0=[[np.nan, 0.0]], n_steps=1), "`q0` must be finite"),
        (
            lambda: value_iteration_iterates(MDP, q0=[[0.0, 0.0]], n_steps=-1),
            "`n_steps` must be non-negative",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        call()


# large rewards: solved, or refused in one line

SELF = ([[[0.5, 0.5]], [[0.0, 1.0]]], [[1.0], [-2.0]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("size", "gamma"), [(1e300, 0.9), (1e308, 0.9), (1e149, 1 - 1e-10), (1e131, 0.9999999999)]
)
def test_rewards_whose_values_may_overflow_are_named(method, size, gamma):
    mdp = TabularMDP(SELF[0], np.multiply(SELF[1], size / 2), gamma)
    with pytest.raises(InputError, match=r"`reward` must keep max\|r\|/\(1 - gamma\) at most 1e\+140"):
        solve(mdp, atol=1e-6, method=method)


@pytest.mark.parametrize("method", ["auto", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi"])
@pytest.mark.parametrize(("size", "gamma"), [(4e138, 0.9), (4e129, 1 - 1e-10)])
def test_the_largest_values_allowed_have_a_true_bound(method, size, gamma):
    mdp = TabularMDP(SELF[0], size * np.array(SELF[1]), gamma)
    found = solve(mdp, atol=0.0, method=method, max_steps=200)
    exact = exact_optimal_q(mdp, [0, 0])
    assert exact_error(found.q, exact) <= found.error_bound < 1e140
    assert found.status in {Status.ROUNDING_LIMIT, Status.MAX_STEPS}


@pytest.mark.parametrize("bound", [np.nan, np.inf, 1.0])
def test_the_plain_bound_and_its_table_stay_unless_compensated_sweeps_give_a_smaller_one(monkeypatch, bound):
    mdp, exact = instances(20, seed=1)[3]

    def broken(_, b, v):
        v[:], b.q[:] = np.nan, np.nan
        return Verdict(bound, 0.0, met=False, exhausted=True)

    monkeypatch.setattr(policy_methods, "refine", broken)
    found = solve(mdp, atol=0.0)
    assert exact_error(found.q, exact) <= found.error_bound < 1e-9
    assert found.status is Status.ROUNDING_LIMIT


def test_a_point_that_is_no_number_has_the_bound_infinity():
    task = problem(MDP, atol=0.0, rtol=0.0, sense="max")
    for value in (np.nan, np.inf, -np.inf):
        v = np.array([value])
        assert task.judge(v, v, value, value).bound == np.inf
