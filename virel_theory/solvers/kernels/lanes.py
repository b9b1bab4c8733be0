"""Inner products of contiguous vectors, eight terms at a time, plain and compensated.

The order of the sums is fixed: eight partial sums, of every eighth term each, then the terms that are left.
The compiler would not vectorise a sum of floats, since that changes its order; so the vectors of eight are
written out here. The same bits come out on every processor. A plain loop takes one term per addition of
latency: 4 GB/s where this reads 30, as fast as memory delivers.
"""

from typing import no_type_check

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # comes with numba, which shows it
from numba.core import cgutils, errors, types
from numpy.typing import NDArray

from virel_common.compiled import njit
from virel_theory.lowered import lowered
from virel_theory.solvers.kernels.pairs import fused, fused_interpreted, sum_error

WIDTH = 8
"""Terms taken at once: one register of AVX-512, two of AVX, four of NEON."""
_LANES = ir.VectorType(ir.DoubleType(), WIDTH)
_ZEROS = ir.Constant(_LANES, [0.0] * WIDTH)
_FUSED = ir.FunctionType(_LANES, [_LANES] * 3)


@no_type_check
def _require_contiguous(*kinds):
    """Refuse to compile for vectors with strides: they are read as memory has them."""
    if any(kind.layout != "C" for kind in kinds):
        raise errors.TypingError(f"these vectors must be contiguous; found {', '.join(map(str, kinds))}")


@no_type_check
def _start(context, builder, kind, array, first):
    """Address of entry `first` of a contiguous vector."""
    return builder.gep(context.make_array(kind)(context, builder, array).data, [first])


@no_type_check
def _place(builder, start, j):
    """Address of the eight entries from `j` on, counted from `start`, as one vector."""
    return builder.bitcast(builder.gep(start, [j]), _LANES.as_pointer())


@no_type_check
def _blocks(builder, n, *starts):
    """Loop over the first n entries by eight: yields the vectors of eight that begin at `starts`."""
    zero, step = ir.Constant(n.type, 0), ir.Constant(n.type, WIDTH)
    with cgutils.for_range_slice(builder, zero, n, step) as (j, _):
        yield [builder.load(_place(builder, start, j), align=8) for start in starts]


@no_type_check
def _two_sum(builder, a, b):
    """Sum of two vectors and its exact rounding error (TwoSum)."""
    total = builder.fadd(a, b)
    z = builder.fsub(total, a)
    return total, builder.fadd(builder.fsub(a, builder.fsub(total, z)), builder.fsub(b, z))


def plain_interpreted(x: NDArray[np.float64], first: int, v: NDArray[np.float64], n: int) -> float:
    """Plain form of `_plain`."""
    sums = np.zeros(WIDTH)
    for j in range(0, n, WIDTH):
        sums = sums + x[first + j : first + j + WIDTH] * v[j : j + WIDTH]
    while len(sums) > 1:
        sums = sums[: len(sums) // 2] + sums[len(sums) // 2 :]
    return float(sums[0])


@lowered(plain_interpreted)
@no_type_check
def _plain(typingctx, x, first, v, n):  # noqa: ARG001  # numba's protocol
    """Sum of `x[first + j] * v[j]`, j < n, n a multiple of eight: eight sums, added by halves."""
    _require_contiguous(x, v)

    def codegen(context, builder, signature, args):
        left = _start(context, builder, signature.args[0], args[0], args[1])
        right = _start(context, builder, signature.args[2], args[2], ir.Constant(args[1].type, 0))
        acc = cgutils.alloca_once_value(builder, _ZEROS)
        for a, b in _blocks(builder, args[3], left, right):
            builder.store(builder.fadd(builder.load(acc), builder.fmul(a, b)), acc)
        total = builder.load(acc)
        parts = [builder.extract_element(total, ir.IntType(32)(k)) for k in range(WIDTH)]
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [builder.fadd(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
        return parts[0]

    return types.float64(x, types.int64, v, types.int64), codegen


def paired_interpreted(
    x: NDArray[np.float64],
    first: int,
    v: NDArray[np.float64],
    tail: NDArray[np.float64],
    n: int,
    heads: NDArray[np.float64],
    rests: NDArray[np.float64],
) -> None:
    """Plain form of `_paired`."""
    heads[:WIDTH] = rests[:WIDTH] = 0.0
    for k in range(WIDTH):
        for j in range(k, n, WIDTH):
            a, b = float(x[first + j]), float(v[j])
            product = a * b
            total = float(heads[k]) + product
            error = sum_error(float(heads[k]), product, total) + fused_interpreted(a, b, -product)
            rests[k] += error + a * float(tail[j])
            heads[k] = total


@lowered(paired_interpreted)
@no_type_check
def _paired(typingctx, x, first, v, tail, n, heads, rests):  # noqa: ARG001  # numba's protocol
    """Eight compensated sums of `x[first + j] * (v[j] + tail[j])`, j < n, left in `heads` and `rests`."""
    _require_contiguous(x, v, tail, heads, rests)

    def codegen(context, builder, signature, args):
        kinds, zero = signature.args, ir.Constant(args[1].type, 0)
        starts = [_start(context, builder, kinds[k], args[k], args[1] if k == 0 else zero) for k in (0, 2, 3)]
        fma = cgutils.get_or_insert_function(builder.module, _FUSED, f"llvm.fma.v{WIDTH}f64")
        head, rest = (cgutils.alloca_once_value(builder, _ZEROS) for _ in range(2))
        for a, b, low in _blocks(builder, args[4], *starts):
            product = builder.fmul(a, b)
            total, error = _two_sum(builder, builder.load(head), product)
            error = builder.fadd(error, builder.call(fma, [a, b, builder.fsub(_NEGATIVE, product)]))
            error = builder.fadd(error, builder.fmul(a, low))
            builder.store(total, head)
            builder.store(builder.fadd(builder.load(rest), error), rest)
        for k, sums in ((5, head), (6, rest)):
            out = _place(builder, _start(context, builder, kinds[k], args[k], zero), zero)
            builder.store(builder.load(sums), out, align=8)
        return context.get_dummy_value()

    return types.void(x, types.int64, v, tail, types.int64, heads, rests), codegen


_NEGATIVE = ir.Constant(_LANES, [-0.0] * WIDTH)  # -0 - p is -p for every p


@njit(cache=True, nogil=True)
@no_type_check
def dot(x, first, v):
    """Sum of `x[first + j] * v[j]` over the entries of v, both vectors contiguous."""
    done = len(v) - len(v) % WIDTH
    acc = _plain(x, first, v, done)
    for j in range(done, len(v)):
        acc += x[first + j] * v[j]
    return acc


@njit(cache=True, nogil=True)
@no_type_check
def paired_dot(x, first, v, tail, heads, rests):
    """Compensated sum of `x[first + j] * (v[j] + tail[j])`, as a sum and its rest.

    `heads` and `rests` are scratch vectors of eight.
    """
    done = len(v) - len(v) % WIDTH
    _paired(x, first, v, tail, done, heads, rests)
    head, rest = heads[0], rests[0]
    for k in range(1, WIDTH):
        total = head + heads[k]
        rest += rests[k] + sum_error(head, heads[k], total)
        head = total
    for j in range(done, len(v)):
        product = x[first + j] * v[j]
        total = head + product
        rest += (sum_error(head, product, total) + fused(x[first + j], v[j], -product)) + x[first + j] * tail[
            j
        ]
        head = total
    return head, rest
