"""Exact differences that prove or refute App. F.1 on projections and the projected residual error.

What solves a linear system (`zeta`, `dzeta`) is a part of the instance, and that it solves it is a fact. Each
decorated function returns left side minus right side, component by component.
"""

from collections.abc import Sequence

from flint import fmpq, fmpq_mat

from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences
from verify.proofs.shared_facts import minus, rational

Table = Sequence[fmpq]


def solve(rows: Sequence[Table], right: Table) -> list[fmpq] | None:
    """Solution of the linear system `rows x = right` in rationals; None if it is singular."""
    n = len(right)
    matrix = fmpq_mat(n, n, [y for row in rows for y in row])
    if matrix.det() == 0:
        return None
    solved = matrix.solve(fmpq_mat(n, 1, list(right)))
    return [solved[i, 0] for i in range(n)]


def dot(weights: Table, rows: Sequence[Table]) -> list[fmpq]:
    """Weighted sum of tables over the pairs, `sum_n w_n row_n`."""
    return [
        sum((w * y for w, y in zip(weights, column, strict=True)), fmpq(0))
        for column in zip(*rows, strict=True)
    ]


def average(*tables: Table) -> fmpq:
    """Mean over all pairs of the entrywise product of tables."""
    out = fmpq(0)
    for row in zip(*tables, strict=True):
        product = fmpq(1)
        for y in row:
            product *= y
        out += product
    return out / len(tables[0])


def weights(features: Sequence[Table], table: Table) -> list[fmpq] | None:
    """Weights `E[b b^T]^-1 E[b f]` of the projection of the table f on the features b.

    None if `E[b b^T]` is singular.
    """
    return solve([[average(a, b) for b in features] for a in features], [average(b, table) for b in features])


def inverse_gram(features: Sequence[Table]) -> list[list[fmpq]] | None:
    """Inverse of `E[b b^T]`, row by row; None if it is singular."""
    n = len(features)
    matrix = fmpq_mat(n, n, [average(a, b) for a in features for b in features])
    if matrix.det() == 0:
        return None
    inverse = matrix.inv()
    return [[inverse[i, j] for j in range(n)] for i in range(n)]


@rational
def is_inverse(x: Exact) -> list[fmpq]:
    """Zero if `gram_inverse` is the inverse of `E[b b^T]`: their product minus the identity, row by row."""
    return [
        sum((w * average(a, b) for w, a in zip(row, x.features, strict=True)), fmpq(0)) - int(i == j)
        for j, row in enumerate(x.gram_inverse)
        for i, b in enumerate(x.features)
    ]


def _weights_of(x: Exact, table: Table) -> list[fmpq]:
    """Weights `E[b b^T]^-1 E[b f]` of a table f, by the instance's inverse."""
    right = [average(b, table) for b in x.features]
    return [sum((w * y for w, y in zip(row, right, strict=True)), fmpq(0)) for row in x.gram_inverse]


@rational
def weights_by_inverse(x: Exact) -> list[fmpq]:
    """Zero if zeta are the printed weights of beta, `E[b b^T]^-1 E[b beta]`: zeta minus these."""
    return minus(x.zeta, _weights_of(x, x.beta))


@rational
def idempotent(x: Exact) -> list[fmpq]:
    """Zero if the projection of a projection is itself: weights of P beta minus those of beta."""
    return minus(_weights_of(x, dot(x.zeta, x.features)), x.zeta)


def normal_equation(name: str) -> Differences:
    """Zero if and only if P f = b^T zeta is the projection of the table f: `E[b (P f)] - E[b f]`."""
    return rational(
        lambda x: [average(b, dot(x.zeta, x.features)) - average(b, x.parts[name]) for b in x.features]
    )


@rational
def rise(x: Exact) -> list[fmpq]:
    """Zero if `E[(b^T (zeta + v) - f)^2]` exceeds its value at v = 0 by `E[(b^T v)^2]`: rise minus that.

    The old error is E[(q - b^T zeta)^2], the new one is that with zeta + v in place of zeta, v the weights
    `other`.
    """
    here = minus(x.q, dot(x.zeta, x.features))
    there = minus(here, dot(x.other, x.features))
    step = dot(x.other, x.features)
    return [average(there, there) - average(here, here) - average(step, step)]


@rational
def both_forms(x: Exact) -> list[fmpq]:
    """Zero if (33)'s norm and quadratic form agree: `E[(P beta)^2] - zeta^T E[b beta]`, P beta = b^T zeta."""
    p = dot(x.zeta, x.features)
    return [
        average(p, p)
        - sum((z * average(b, x.beta) for z, b in zip(x.zeta, x.features, strict=True)), fmpq(0))
    ]


@rational
def orthogonal(x: Exact) -> list[fmpq]:
    """Zero if beta's projection P beta is orthogonal to the rest: `E[P beta (beta - P beta)]`."""
    p = dot(x.zeta, x.features)
    return [average(p, minus(x.beta, p))]


# Whether E[b beta] of Q = b omega has a zero: under T* it is piecewise linear in omega, with a kink at 0.


def _start(x: Exact) -> fmpq:
    """Moment `E[b beta]` of the critic Q = b omega at omega = 0, where beta is the reward."""
    return average(x.features[0], x.mdp.reward)


def _ahead(x: Exact, sign: int) -> list[fmpq]:
    """Expected feature of the greedy next action, `E[max_a b(h')]`, or `E[min_a b(h')]` if `sign` is -1."""
    b = [sign * y for y in x.features[0]]
    v = [sign * max(b[i] for i in own) for own in x.mdp.of_state]
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]


def _slope(x: Exact, sign: int) -> fmpq:
    """Derivative in omega of the moment `E[b beta]` of Q = b omega under T*, for omega of the given sign."""
    b = x.features[0]
    return average(b, minus([x.mdp.gamma * y for y in _ahead(x, sign)], b))


@rational
def not_zero_at_zero(x: Exact) -> list[fmpq]:
    """Nonzero if Q = b omega does not solve `E[b beta] = 0` (T*) at omega = 0: the left side there."""
    return [_start(x)]


@rational
def no_zero_above(x: Exact) -> list[fmpq]:
    """Nonnegative if `E[b beta]`, Q = b omega, T*, has no zero omega > 0: value at 0 times slope above 0."""
    return [_start(x) * _slope(x, 1)]


@rational
def no_zero_below(x: Exact) -> list[fmpq]:
    """Nonnegative if `E[b beta]`, Q = b omega, T*, has no zero omega < 0: value at 0 times -slope below 0."""
    return [-_start(x) * _slope(x, -1)]


def system(x: Exact) -> fmpq:
    """Matrix (here a number) of projected policy evaluation, `E[b (b - gamma E_pi[b(h')])]`."""
    b = x.features[0]
    ahead = expected(x, b)
    return average(b, [y - x.mdp.gamma * e for y, e in zip(b, ahead, strict=True)])


def expected(x: Exact, table: Table) -> list[fmpq]:
    """Expected value `E_pi[f(h')]` of a table f at the next pair, for every pair."""
    v = x.mdp.mean(x.pi, table)
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]


@rational
def regular(x: Exact) -> list[fmpq]:
    """Above zero if projected policy evaluation has one solution: square of `E[b (b - gamma E_pi[b(h')])]`."""
    return [system(x) ** 2]


@rational
def zero_of_policy(x: Exact) -> list[fmpq]:
    """Zero if omega = E[b r]/system solves projected policy evaluation: `E[b beta]` at it, under T^pi."""
    return [_moment(x, _start(x) / system(x))]


def _moment(x: Exact, omega: fmpq) -> fmpq:
    """Moment `E[b beta]` of Q = b omega under T^pi, an affine function of omega."""
    q = [omega * b for b in x.features[0]]
    return average(x.features[0], minus(x.mdp.backup(x.mdp.mean(x.pi, q)), q))


@rational
def slope_of_moment(x: Exact) -> list[fmpq]:
    """Zero if `E[b beta]` of Q = b omega falls in omega at the rate `system`: slope plus system."""
    return [_moment(x, fmpq(1)) - _moment(x, fmpq(0)) + system(x)]


@rational
def constant_moment(x: Exact) -> list[fmpq]:
    """Zero if `E[b beta]` of Q = b omega does not depend on omega (every omega is stationary): its slope."""
    return [_moment(x, fmpq(1)) - _moment(x, fmpq(0))]


def _error(x: Exact, omega: fmpq) -> fmpq:
    """Projected residual error `E[(P beta)^2]/2` of Q = b omega under T^pi, P beta = b zeta."""
    b = x.features[0]
    p = [y * _moment(x, omega) / average(b, b) for y in b]
    return average(p, p) / 2


@rational
def error_left(x: Exact) -> list[fmpq]:
    """Positive if the projected residual error at omega = 0 is not 0: its value there."""
    return [_error(x, fmpq(0))]


@rational
def slope_of_error(x: Exact) -> list[fmpq]:
    """Zero if the projected error e has `(de/domega)^2 E[b^2] = 2 system^2 e`, so both vanish together.

    Left minus right side. The error is quadratic in omega, so that a central difference is its derivative.
    """
    (omega,), b = x.omega, x.features[0]
    slope = (_error(x, omega + 1) - _error(x, omega - 1)) / 2
    return [slope**2 * average(b, b) - 2 * system(x) ** 2 * _error(x, omega)]
