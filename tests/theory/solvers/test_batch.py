"""Stacks of small MDPs: exact solutions, agreement with `solve`, masks, bad input."""

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, exact_optimal_q
from virel_theory import InputError, TabularMDP
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.batch import solve_batch
from virel_theory.solvers.kernels import batch as kernel
from virel_theory.solvers.kernels import certificate
from virel_theory.solvers.solve import solve


def stack(n, *, n_states=4, n_actions=3, seed=0, masked=False):
    """Random `transition, reward, gamma, mask`."""
    rng = np.random.default_rng(seed)
    shape = (n, n_states, n_actions)
    rows = rng.random((*shape, n_states))
    rows /= rows.sum(axis=-1, keepdims=True)
    mask = np.ones(shape, dtype=np.bool_)
    if masked:
        mask = rng.random(shape) < 0.6
        mask[:, :, 0] |= ~mask.any(axis=2)
        rows *= mask[..., None]
    return rows, rng.normal(size=shape), rng.choice([0.0, 0.5, 0.9, 0.99, 0.9999], n), mask


@pytest.mark.parametrize("masked", [False, True])
def test_every_bound_is_true_against_exact_rational_solutions(masked):
    rows, reward, gamma, mask = stack(60, masked=masked)
    found = solve_batch(rows, reward, gamma, atol=1e-9, mask=mask)
    for i in range(60):
        exact = exact_optimal_q(TabularMDP(rows[i], reward[i], gamma[i], mask=mask[i]), found.policy[i])
        assert exact_error(found.q[i], exact) <= found.error_bound[i]
    assert (np.isneginf(found.q) == ~mask).all()
    np.testing.assert_array_equal(found.value, found.q.max(axis=2))
    np.testing.assert_array_equal(found.met, found.error_bound <= 1e-9)


@pytest.mark.parametrize("size", [1e-310, 1e-300, 1e-290, 1e130])
def test_every_bound_is_true_at_the_ends_of_the_range_of_floats(size):
    """Where residuals underflow, refined values may have the larger bound: those before them are kept."""
    rows, reward, gamma, _ = stack(60, seed=7)
    reward *= size
    found = solve_batch(rows, reward, gamma, atol=0.0)
    for i in range(60):
        exact = exact_optimal_q(TabularMDP(rows[i], reward[i], gamma[i]), found.policy[i])
        assert exact_error(found.q[i], exact) <= found.error_bound[i] <= 1e-8 * size + 1e-290


def test_values_are_kept_if_their_refinement_has_no_smaller_bound(monkeypatch):
    """Private: `refine` spoils the table and finds no bound; the table and the bound before it remain."""
    rows, reward, gamma, _ = stack(1, seed=3)
    table, values, policy = np.empty((4, 3)), np.empty(4), np.empty(4, dtype=np.intp)
    scratch = (np.empty((4, 4)), np.empty(4), values, np.empty(4), table, np.empty((4, 3)), policy)

    def spoil(*args):
        args[-2].fill(np.nan)
        return np.inf

    monkeypatch.setattr(kernel, "refine", spoil)
    one = getattr(kernel.solve_one, "py_func", kernel.solve_one)
    bound = one(rows[0].ravel(), reward[0], gamma[0], 4, 0.0, *scratch)
    exact = exact_optimal_q(TabularMDP(rows[0], reward[0], gamma[0]), policy)
    assert exact_error(table, exact) <= bound < 1e-9


def test_a_stack_agrees_with_the_solver_of_one():
    rows, reward, gamma, mask = stack(100, n_states=10, masked=True, seed=1)
    found = solve_batch(rows, reward, gamma, atol=1e-9, mask=mask)
    for i in range(100):
        one = solve(TabularMDP(rows[i], reward[i], gamma[i], mask=mask[i]), atol=1e-9)
        gap = np.abs(one.q[mask[i]] - found.q[i][mask[i]]).max()
        assert gap <= one.error_bound + found.error_bound[i]


def test_the_compiled_bound_is_the_bound_of_one():
    """Private: the two codes must not drift apart. They differ in rounding only, and in 2 |mid| for |mid|."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        low, high = np.sort(rng.normal(size=2) * 10.0 ** rng.integers(-12, 2))
        n_terms, gamma = int(rng.integers(1, 50)), rng.random()
        r_max, v_max, also = rng.random(), 100 * rng.random(), 1e-9 * rng.random()
        beta = cert.contraction_interval(gamma, n_terms)
        eta = cert.backup_error(n_terms, r_max=r_max, v_max=v_max, beta_hi=beta[1])
        one = cert.bracket(low, high, beta=beta, eta=eta)
        q_max = r_max + beta[1] * v_max
        bound = cert.total_bound(one.radius, eta=eta + also, q_max=q_max + 2 * abs(one.mid))
        np.testing.assert_allclose(certificate.beta_interval(gamma, n_terms), beta, rtol=1e-15)
        np.testing.assert_allclose(certificate.backup_error(n_terms, r_max, v_max, beta[1]), eta, rtol=1e-13)
        found = certificate.enclosure(low, high, beta, eta, also, q_max)
        np.testing.assert_allclose(found, [one.mid, bound], rtol=1e-13)


def sparse_mdp(n_states, seed):
    """`transition, reward` of an MDP with two successors a pair, in which sweeps are slow at gamma 0.999."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((n_states, 3, n_states))
    for pair in np.ndindex(n_states, 3):
        rows[pair][rng.choice(n_states, size=2, replace=False)] = rng.dirichlet([0.3, 0.3])
    reward = rng.normal(size=(n_states, 3)) * (rng.random((n_states, 3)) < 0.2)
    return rows / rows.sum(axis=-1, keepdims=True), reward


def test_a_correction_that_stops_short_is_made_directly():
    """Corrections by sweeps alone left 6 of these 120 bounds above `atol`, by up to 1.58 times.

    Rounding allows less than an eighth of what is asked.
    """
    rows, reward = map(np.array, zip(*(sparse_mdp(22, seed) for seed in range(120)), strict=True))
    found = solve_batch(rows, reward, 0.999, atol=4e-11)
    assert found.met.all(), found.error_bound.max()


@pytest.mark.parametrize(("seed", "atol"), [(9, 1e-9 * 0.7**10), (17, 1e-9 * 0.7**8), (41, 1e-9 * 0.7**8)])
def test_a_correction_of_one_that_stops_short_is_made_directly(seed, atol):
    """Corrections by sweeps alone left bounds of 1.42, 1.77 and 1.37 times `atol`."""
    found = solve(TabularMDP(*sparse_mdp(40, seed), 0.999), atol=atol)
    assert found.error_bound <= atol


def test_permuting_the_stack_permutes_the_answers():
    rows, reward, gamma, mask = stack(70, seed=3)
    order = np.random.default_rng(4).permutation(70)
    a = solve_batch(rows, reward, gamma, atol=1e-9, mask=mask)
    b = solve_batch(rows[order], reward[order], gamma[order], atol=1e-9, mask=mask[order])
    np.testing.assert_array_equal(a.q[order], b.q)


def test_a_stack_of_one_state_and_one_action():
    assert solve_batch([[[[1.0]]]], [[[3.0]]], 0.75, atol=1e-9).value.tolist() == [[12.0]]


def test_no_bound_is_claimed_where_nothing_contracts():
    found = solve_batch([[[[1.0]]]] * 2, [[[3.0]]] * 2, [0.5, 1 - 2.0**-52], atol=1e-9)
    assert np.isinf(found.error_bound).tolist() == [False, True]
    assert np.isfinite(found.q).all()


ROW, REWARD = [[[[1.0]]]], [[[1.0]]]
BAD = {
    "`transition` must have shape": lambda: solve_batch([[[1.0]]], REWARD, 0.5, atol=1e-9),
    "`transition` must be an array": lambda: solve_batch("no", REWARD, 0.5, atol=1e-9),
    "`transition` must be non-negative; found -1.0": lambda: solve_batch(
        [[[[2.0, -1.0]], [[1.0, 0.0]]]], [[[1.0], [1.0]]], 0.5, atol=1e-9
    ),
    "`transition` must sum to 1 in every row; found 0.5": lambda: solve_batch(
        [[[[0.5]]]], REWARD, 0.5, atol=1e-9
    ),
    "`reward` must have shape": lambda: solve_batch(ROW, [[1.0]], 0.5, atol=1e-9),
    "`reward` must be finite; found nan": lambda: solve_batch(ROW, [[[np.nan]]], 0.5, atol=1e-9),
    "`gamma` must lie in": lambda: solve_batch(ROW, REWARD, 1.0, atol=1e-9),
    "`gamma` must be a scalar or have shape": lambda: solve_batch(ROW, REWARD, [0.5, 0.5], atol=1e-9),
    "`atol` must be non-negative": lambda: solve_batch(ROW, REWARD, 0.5, atol=-1.0),
    "`mask` must be an array of booleans": lambda: solve_batch(ROW, REWARD, 0.5, atol=0.0, mask=[[[1]]]),
    "`mask` must leave at least one action": lambda: solve_batch(
        [[[[0.0]]]], REWARD, 0.5, atol=0.0, mask=[[[False]]]
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(InputError) as caught:
        BAD[message]()
    assert message in str(caught.value)


def test_zeros_of_a_row_do_not_let_its_sum_stray_and_each_mdp_has_its_own_limit():
    """1 + 390 eps is within rounding of a row of 200 non-zeros, not of a row of one."""
    eps, n_states = 2.0**-52, 200
    full = np.full((n_states, 1, n_states), 1 / n_states)
    loops = np.zeros_like(full)
    loops[np.arange(n_states), 0, np.arange(n_states)] = 1.0
    reward = np.ones((2, n_states, 1))
    assert solve_batch([full * (1 + 390 * eps), loops], reward, 0.5, atol=1e-6).met.all()
    with pytest.raises(
        InputError, match=r"must sum to 1 in every row; found 1\.00000000000008\d* at \[1, 0, 0\]"
    ):
        solve_batch([full, loops * (1 + 390 * eps)], reward, 0.5, atol=1e-6)


@pytest.mark.parametrize("size", [1e140, 1e300, 1e308])
def test_rewards_whose_values_may_overflow_are_named(size):
    with pytest.raises(InputError, match=r"`reward` must keep max\|r\|/\(1 - gamma\) at most 1e\+140"):
        solve_batch(ROW * 2, [[[1.0]], [[size]]], 0.9, atol=1e-6)


def test_a_state_without_actions_is_named_with_its_mdp():
    mask = np.ones((3, 2, 2), dtype=np.bool_)
    mask[2, 1] = False
    with pytest.raises(InputError, match="found no action in state 1 of MDP 2"):
        solve_batch(np.ones((3, 2, 2, 2)) / 2, np.zeros((3, 2, 2)), 0.5, atol=0.0, mask=mask)
