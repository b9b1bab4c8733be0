"""Kernels that add and multiply without losing the rounding error: a value is a pair, a float and a rest.

`refine` bounds what is left. Errors of products are exact by a fused multiply-add (one instruction, or libm's
function on processors without it), errors of sums by TwoSum (Knuth 1969).
"""

from fractions import Fraction
from math import inf, isfinite
from typing import no_type_check

from numba.core import types

from virel_common.compiled import njit
from virel_theory.lowered import lowered


def fused_interpreted(a: float, b: float, c: float) -> float:
    """Plain form of `fused`: exact rationals, rounded once."""
    if not (isfinite(a) and isfinite(b)):
        return a * b + c
    if not isfinite(c):
        return c  # also where a * b as a float would overflow
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return a * b + c  # exact too, and has the sign that IEEE 754 gives to a zero
    try:
        return float(exact)
    except OverflowError:
        return inf if exact > 0 else -inf


@lowered(fused_interpreted)
@no_type_check
def fused(typingctx, a, b, c):  # noqa: ARG001  # numba's protocol
    """Float nearest to `a b + c`, rounded once."""

    def codegen(context, builder, signature, args):  # noqa: ARG001  # numba's protocol
        return builder.fma(*args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@njit(cache=True)
@no_type_check
def sum_error(a, b, total):
    """Exact rounding error `a + b - total` of a float64 sum (TwoSum)."""
    z = total - a
    return (a - (total - z)) + (b - z)


@njit(cache=True)
@no_type_check
def paired_backup(reward, gamma, head, tail):
    """Bellman backup `reward + gamma (head + tail)` of an expected value, as a normalised pair of floats."""
    product = gamma * head
    rest = gamma * tail + fused(gamma, head, -product)
    total = reward + product
    rest += sum_error(reward, product, total)
    out = total + rest
    return out, sum_error(total, rest, out)


@njit(cache=True)
@no_type_check
def paired_mean(indices, data, first, last, v, tail):
    """Compensated inner product of a CSR row with `v + tail`, as a sum and its rest.

    Two sums run side by side, so that they do not wait for each other.
    """
    head, rest, other, other_rest = 0.0, 0.0, 0.0, 0.0
    for j in range(first, last - 1, 2):
        t = indices[j]
        product = data[j] * v[t]
        total = head + product
        rest += (sum_error(head, product, total) + fused(data[j], v[t], -product)) + data[j] * tail[t]
        head = total
        k = j + 1
        t = indices[k]
        product = data[k] * v[t]
        total = other + product
        other_rest += (sum_error(other, product, total) + fused(data[k], v[t], -product)) + data[k] * tail[t]
        other = total
    if (last - first) % 2:
        j = last - 1
        t = indices[j]
        product = data[j] * v[t]
        total = head + product
        rest += (sum_error(head, product, total) + fused(data[j], v[t], -product)) + data[j] * tail[t]
        head = total
    total = head + other
    return total, (rest + other_rest) + sum_error(head, other, total)
