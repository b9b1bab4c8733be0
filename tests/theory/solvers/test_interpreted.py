"""Kernels with `NUMBA_DISABLE_JIT=1`: instructions that they write down have a plain form with equal bits."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from virel_theory.solvers.kernels import lanes, pairs, prefetch
from virel_theory.threads.turns import add, new_turns, take_interpreted

FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 5e-324, -1.7976931348623157e308, 2.0**-537])


@njit
def fused_compiled(a, b, c):
    return pairs.fused(a, b, c)


@njit
def plain_compiled(x, first, v, n):
    return lanes._plain(x, first, v, n)


@njit
def paired_compiled(x, first, v, tail, n, heads, rests):
    lanes._paired(x, first, v, tail, n, heads, rests)


def bits(x):
    """A float64 as its bits; every NaN is the same one."""
    return "nan" if np.isnan(x) else struct.pack("<d", x)


@given(FLOATS, FLOATS, FLOATS)
def test_a_fused_product_has_the_bits_of_the_instruction(a, b, c):
    assert bits(pairs.fused_interpreted(a, b, c)) == bits(fused_compiled(a, b, c))


@given(FLOATS, FLOATS)
def test_the_error_of_a_product_has_the_bits_of_the_instruction(a, b):
    c = -(a * b)
    assert bits(pairs.fused_interpreted(a, b, c)) == bits(fused_compiled(a, b, c))


@pytest.mark.parametrize("n", [0, 8, 16, 24, 104])
def test_inner_products_have_the_bits_of_the_vectors_of_eight(n):
    rng = np.random.default_rng(n)
    x, v = (rng.normal(size=n + 3) * 10.0 ** rng.integers(-9, 10, n + 3) for _ in range(2))
    tail = v * rng.uniform(-(2.0**-53), 2.0**-53, n + 3)
    assert bits(lanes.plain_interpreted(x, 3, v, n)) == bits(plain_compiled(x, 3, v, n))
    sums = [np.full((2, lanes.WIDTH), 7.0) for _ in range(2)]
    lanes.paired_interpreted(x, 3, v, tail, n, *sums[0])
    paired_compiled(x, 3, v, tail, n, *sums[1])
    assert sums[0].tobytes() == sums[1].tobytes()


def test_a_turn_is_taken_as_by_the_instruction():
    one, other = new_turns(), new_turns()
    assert [take_interpreted(one, 8, k) for k in (3, -1, 5)] == [int(add(other, 8, k)) for k in (3, -1, 5)]
    np.testing.assert_array_equal(one, other)


SOLVES = """
import sys
import numpy as np
from virel_theory import garnet, solve, solve_batch
mdp = garnet(12, 3, 4, gamma=0.9, rng=np.random.default_rng(5))
out = [solve(mdp, method=method, atol=atol).q for method in ("vi", "pi") for atol in (1e-3, 0.0)]
rows, reward = (np.stack([x] * 2) for x in (mdp.to_dense().transition, mdp.reward))
out.append(solve_batch(rows, reward, [0.9, 0.5], atol=1e-9).q)
sys.stdout.buffer.write(b"".join(np.asarray(q).tobytes() for q in out))
"""


def test_solves_with_kernels_interpreted_give_the_same_bits():
    interpreted, compiled = (
        subprocess.run(
            [sys.executable, "-W", "ignore::RuntimeWarning", "-c", SOLVES],
            env={**os.environ, "NUMBA_DISABLE_JIT": off, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            check=True,
        ).stdout
        for off in "10"
    )
    assert len(compiled) == 6 * 12 * 3 * 8
    assert interpreted == compiled


def test_a_hint_is_nothing_where_it_is_interpreted():
    assert prefetch.no_hint(np.zeros(1), 10**9) is None
