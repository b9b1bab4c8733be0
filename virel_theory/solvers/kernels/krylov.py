r"""Kernels of ILU(0) and BiCGSTAB for $(I - \gamma P_\pi)x = b$ (Saad 2003, Sections 7.4 and 10.3.2).

The matrix is a strictly diagonally dominant M-matrix, for which ILU(0) exists and is stable (Meijerink & van
der Vorst 1977); for corridors and rings in their natural order it is almost exact. What comes out is only
ever a candidate: the certificate decides.
"""

from typing import no_type_check

import numpy as np

from virel_common.compiled import njit

_ONE = np.uint64(1)


@njit(cache=True)
@no_type_check
def build_system(starts, stops, indices, data, gamma, ptr, cols, vals, diagonal):
    """Build `I - gamma P_pi` as CSR arrays `(ptr, cols, vals)`, columns rising, equal ones merged.

    `diagonal[s] <-` the place of entry (s, s).
    """
    k = 0
    for s in range(len(ptr) - 1):
        ptr[s] = k
        first = k
        cols[k], vals[k] = s, 1.0
        k += 1
        for j in range(np.uint64(starts[s]), np.uint64(stops[s])):
            column, value = indices[j], -gamma * data[j]
            i = k
            while i > first and cols[i - 1] >= column:
                i -= 1
            if i < k and cols[i] == column:
                vals[i] += value
                continue
            for m in range(k, i, -1):
                cols[m], vals[m] = cols[m - 1], vals[m - 1]
            cols[i], vals[i] = column, value
            k += 1
        for i in range(first, k):
            if cols[i] == s:
                diagonal[s] = i
    ptr[len(ptr) - 1] = k


@njit(cache=True)
@no_type_check
def ilu0(ptr, cols, diagonal, lu, place):
    """Factorise the matrix values `lu` in place by ILU(0); `place [S]` is scratch, -1 before and after."""
    for s in range(len(diagonal)):
        first, last = ptr[s], ptr[s + 1]
        for j in range(first, last):
            place[cols[j]] = j
        for j in range(first, diagonal[s]):
            t = cols[j]
            factor = lu[j] / lu[diagonal[t]]
            lu[j] = factor
            for i in range(diagonal[t] + 1, ptr[t + 1]):
                k = place[cols[i]]
                if k >= 0:
                    lu[k] -= factor * lu[i]
        for j in range(first, last):
            place[cols[j]] = -1


@njit(cache=True, nogil=True)
@no_type_check
def precondition(ptr, cols, diagonal, lu, x, y):
    """Apply the ILU(0) preconditioner, `y <- (LU)^-1 x`."""
    n = len(x)
    for s in range(n):
        acc = x[s]
        for j in range(np.uint64(ptr[s]), np.uint64(diagonal[s])):
            acc -= lu[j] * y[np.uint64(cols[j])]
        y[s] = acc
    for i in range(n):
        s = n - 1 - i
        acc = y[s]
        for j in range(np.uint64(diagonal[s]) + _ONE, np.uint64(ptr[s + 1])):
            acc -= lu[j] * y[np.uint64(cols[j])]
        y[s] = acc / lu[diagonal[s]]


@njit(cache=True, nogil=True)
@no_type_check
def product(ptr, cols, vals, x, y):
    """Multiply by the system matrix, `y <- (I - gamma P_pi) x`."""
    for s in range(len(x)):
        acc = 0.0
        for j in range(np.uint64(ptr[s]), np.uint64(ptr[s + 1])):
            acc += vals[j] * x[np.uint64(cols[j])]
        y[s] = acc


@njit(cache=True, nogil=True)
@no_type_check
def _dot(x, y):
    """Inner product of two vectors, in four interleaved sums."""
    a, b, c, d, n = 0.0, 0.0, 0.0, 0.0, len(x)
    m = n - n % 4
    for i in range(0, m, 4):
        a += x[i] * y[i]
        b += x[i + 1] * y[i + 1]
        c += x[i + 2] * y[i + 2]
        d += x[i + 3] * y[i + 3]
    for i in range(m, n):
        a += x[i] * y[i]
    return (a + b) + (c + d)


@njit(cache=True, nogil=True)
@no_type_check
def _peak(x):
    """Largest absolute value of a vector."""
    out = 0.0
    for value in x:
        out = max(out, abs(value))
    return out


@njit(cache=True, nogil=True)
@no_type_check
def bicgstab(ptr, cols, vals, diagonal, lu, b, x, tol, max_steps):
    """Improve the solution `x` of `A x = b` by preconditioned BiCGSTAB; return the number of steps.

    It stops once the residual `b - A x`, as updated, is at most `tol` in size, or at a breakdown.
    """
    n = len(x)
    r, shadow, p, z = np.empty(n), np.empty(n), np.zeros(n), np.empty(n)
    ap, t = np.zeros(n), np.empty(n)
    product(ptr, cols, vals, x, r)
    for i in range(n):
        r[i] = b[i] - r[i]
        shadow[i] = r[i]
    rho, alpha, omega = 1.0, 1.0, 1.0
    for step in range(max_steps):
        if _peak(r) <= tol:
            return step
        rho_new = _dot(shadow, r)
        if rho_new == 0.0 or omega == 0.0 or not np.isfinite(rho_new):
            return step
        beta = (rho_new / rho) * (alpha / omega) if step else 0.0
        rho = rho_new
        for i in range(n):
            p[i] = r[i] + beta * (p[i] - omega * ap[i])
        precondition(ptr, cols, diagonal, lu, p, z)
        product(ptr, cols, vals, z, ap)
        denominator = _dot(shadow, ap)
        if denominator == 0.0:
            return step
        alpha = rho / denominator
        for i in range(n):
            x[i] += alpha * z[i]
            r[i] -= alpha * ap[i]
        if _peak(r) <= tol:
            return step + 1
        precondition(ptr, cols, diagonal, lu, r, z)
        product(ptr, cols, vals, z, t)
        square = _dot(t, t)
        omega = _dot(t, r) / square if square > 0.0 else 0.0
        for i in range(n):
            x[i] += omega * z[i]
            r[i] -= omega * t[i]
    return max_steps
