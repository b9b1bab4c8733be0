"""Large MDPs: threads, bands, Krylov steps, what ran, and in how much memory."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from tests.support.interpreted import too_large
from virel_theory import TabularMDP
from virel_theory.models import draw
from virel_theory.solvers import linear
from virel_theory.solvers.solution import Status
from virel_theory.solvers.solve import policy_iteration, solve

pytestmark = too_large


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
