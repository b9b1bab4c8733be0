"""Dense MDPs: the products that everything rests on, bounds below what one sweep certifies, threads."""

from fractions import Fraction

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, exact_optimal_q
from virel_theory import TabularMDP, garnet, ring, solve, solve_batch
from virel_theory.solvers import backups as _backups
from virel_theory.solvers.kernels.lanes import WIDTH, dot, paired_dot

U = 2.0**-53


def vectors(n, seed=0):
    """A flat array whose row begins at 3, n values of any size, and tails below their rounding."""
    rng = np.random.default_rng(seed)
    v = rng.normal(size=n) * 10.0 ** rng.integers(-3, 4, n)
    return rng.random(n + 3), v, v * rng.uniform(-U, U, n)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 31, 100])
def test_the_inner_product_is_the_exact_one_within_rounding(n):
    """A term takes part in one product and at most n sums: `(n + 1) u` of the sum of sizes, and u^2."""
    x, v, _ = vectors(n)
    terms = [Fraction(a) * Fraction(b) for a, b in zip(x[3:], v, strict=True)]
    limit = (n + 2) * Fraction(U) * sum(map(abs, terms))
    assert abs(Fraction(dot(x, 3, v)) - sum(terms)) <= limit


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 16, 31, 100])
def test_the_compensated_product_is_the_exact_one_within_the_noise_of_its_rest(n):
    """`refine`: at most K = 3n + 32 terms of the rest, each at most 2u of the sum of sizes."""
    x, v, tail = vectors(n, seed=1)
    terms = [Fraction(a) * (Fraction(b) + Fraction(c)) for a, b, c in zip(x[3:], v, tail, strict=True)]
    head, rest = paired_dot(x, 3, v, tail, np.empty(WIDTH), np.empty(WIDTH))
    limit = 4 * ((3 * n + 32) * Fraction(U)) ** 2 * sum(map(abs, terms))
    assert abs(Fraction(head) + Fraction(rest) - sum(terms)) <= limit


def near_one(kind, seed):
    """An MDP of 20 states at gamma 0.9999: mixing fast, or slowly, above the size of direct solves."""
    rng = np.random.default_rng(seed)
    if kind == "ring":
        return ring(20, gamma=0.9999, rng=rng).to_dense()
    return garnet(20, 4, 20, gamma=0.9999, rng=rng, missing=0.2 * (seed % 2))


@pytest.mark.parametrize("atol", [1e-2, 4e-10, 0.0])
@pytest.mark.parametrize("kind", ["garnet", "ring"])
def test_bounds_are_true_where_compensated_sweeps_correct_some_actions_or_all(kind, atol):
    """At 4e-10 the plain error of an action left out, 26 u 1e4, is below half of it; an ulp of V is not.

    So values are corrected, and the actions that are not computed anew follow by estimate.
    """
    for seed in range(6):
        mdp = near_one(kind, seed)
        one = solve(mdp, atol=atol)
        many = solve_batch(
            mdp.transition[None], mdp.reward[None], mdp.gamma, atol=atol, mask=mdp.available[None]
        )
        exact = exact_optimal_q(mdp, one.policy)
        assert exact_error(one.q, exact) <= one.error_bound
        assert exact_error(many.q[0], exact) <= many.error_bound[0]
        assert one.status.ok == many.met[0] == (atol > 0)
        # Half an ulp of r_max + gamma v_max, at most three times the largest value here, and what rounds it.
        assert max(one.error_bound, many.error_bound[0]) <= max(atol, 6 * U * np.abs(one.value).max())


def test_no_thread_changes_a_bit_of_a_dense_solution(monkeypatch):
    mdp = garnet(60, 4, 60, gamma=0.999, rng=np.random.default_rng(3))
    alone = solve(mdp, atol=1e-9)
    monkeypatch.setattr(_backups, "PER_THREAD_FULL", 100)
    monkeypatch.setattr(_backups, "CHUNK", 500)
    monkeypatch.setattr(_backups, "n_threads", lambda: 2)
    shared = solve(mdp, atol=1e-9)
    assert shared.threads.most == 2
    np.testing.assert_array_equal(shared.q, alone.q)
    assert shared.error_bound == alone.error_bound


def test_an_mdp_is_solved_alike_wherever_it_stands_in_a_stack():
    mdps = [near_one("garnet", 2 * seed) for seed in range(5)]
    rows, reward = np.stack([m.transition for m in mdps]), np.stack([m.reward for m in mdps])
    together = solve_batch(rows, reward, 0.9999, atol=4e-10)
    for i in range(len(mdps)):
        alone = solve_batch(rows[i : i + 1], reward[i : i + 1], 0.9999, atol=4e-10)
        np.testing.assert_array_equal(alone.q[0], together.q[i])


def test_rows_that_the_quick_look_cannot_settle_are_settled_with_care():
    """A zero with a sign, and a row whose sum is off by more than a short row may be but not a long one."""
    eps = 2.0**-52
    signed = np.array([[[1.0, -0.0]], [[0.5, 0.5]]])
    plain = np.abs(signed)
    found = solve_batch([signed, plain], [[[1.0], [0.0]]] * 2, 0.5, atol=1e-9)
    np.testing.assert_array_equal(found.q[0], found.q[1])
    long = np.full((200, 1, 200), (1 + 300 * eps) / 200)
    assert solve_batch(long[None], np.ones((1, 200, 1)), 0.5, atol=1e-6).met.all()


def test_a_dense_sweep_is_the_product_that_numpy_computes():
    rng = np.random.default_rng(16)
    rows = rng.dirichlet(np.ones(30), size=(30, 3))
    mask = rng.random((30, 3)) < 0.7
    mask[:, 0] = True
    mdp = TabularMDP(rows * mask[:, :, None], rng.normal(size=(30, 3)), 0.9, mask=mask)
    b = _backups.backups(
        _backups.Problem(
            mdp.transition, np.where(mask, mdp.reward, -np.inf), 0.9, 1.0, 0.0, 0.0, 30, 5.0, (0.9, 0.9)
        )
    )
    v, w = rng.normal(size=30), np.empty(30)
    low, high = b.full(v, w)
    q = np.where(mask, mdp.reward + 0.9 * (mdp.transition @ v), -np.inf)
    np.testing.assert_allclose(b.q, q, rtol=0, atol=1e-13)  # 40 u of max|r| + max|v| <= 10 are 5e-14
    np.testing.assert_array_equal(b.policy, q.argmax(axis=1))
    np.testing.assert_allclose([low, high], [(w - v).min(), (w - v).max()], rtol=0, atol=1e-15)
    low, high = b.sweep(v, w)
    np.testing.assert_allclose(w, q.max(axis=1), rtol=0, atol=1e-13)
    np.testing.assert_allclose([low, high], [(w - v).min(), (w - v).max()], rtol=0, atol=1e-15)
