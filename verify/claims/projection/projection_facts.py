"""App. F.1: projections on the features, in rational arithmetic; solutions of linear systems are parts."""

from collections.abc import Sequence
from typing import Any

from flint import fmpq, fmpq_mat

from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import rational

Table = Sequence[fmpq]


def solve(rows: Sequence[Table], right: Table) -> list[fmpq] | None:
    """The solution of a linear system; None if it is singular."""
    n = len(right)
    matrix = fmpq_mat(n, n, [y for row in rows for y in row])
    if matrix.det() == 0:
        return None
    solved = matrix.solve(fmpq_mat(n, 1, list(right)))
    return [solved[i, 0] for i in range(n)]


def dot(weights: Table, rows: Sequence[Table]) -> list[fmpq]:
    """Sum of w_n row_n."""
    return [
        sum((w * y for w, y in zip(weights, column, strict=True)), fmpq(0))
        for column in zip(*rows, strict=True)
    ]


def average(*tables: Table) -> fmpq:
    """Mean over the pairs of a product."""
    out = fmpq(0)
    for row in zip(*tables, strict=True):
        product = fmpq(1)
        for y in row:
            product *= y
        out += product
    return out / len(tables[0])


def weights(features: Sequence[Table], table: Table) -> list[fmpq] | None:
    """E[b b^T]^-1 E[b f]."""
    return solve([[average(a, b) for b in features] for a in features], [average(b, table) for b in features])


def _less(left: Table, right: Table) -> list[fmpq]:
    return [a - b for a, b in zip(left, right, strict=True)]


def normal_equation(name: str) -> Any:
    """E[b P f] less E[b f]."""
    return rational(
        lambda x: [average(b, dot(x.zeta, x.features)) - average(b, x.parts[name]) for b in x.features]
    )


@rational
def rise(x: Exact) -> list[fmpq]:
    """What moving the weights costs, less E[(b^T v)^2]."""
    here = _less(x.q, dot(x.zeta, x.features))
    there = _less(here, dot(x.other, x.features))
    step = dot(x.other, x.features)
    return [average(there, there) - average(here, here) - average(step, step)]


@rational
def both_forms(x: Exact) -> list[fmpq]:
    """(33): the norm of the projection less the quadratic form."""
    p = dot(x.zeta, x.features)
    return [
        average(p, p)
        - sum((z * average(b, x.beta) for z, b in zip(x.zeta, x.features, strict=True)), fmpq(0))
    ]


@rational
def at_rest(x: Exact) -> list[fmpq]:
    """(34): the mean step at zeta."""
    return [average(b, _less(x.beta, dot(x.zeta, x.features))) for b in x.features]


@rational
def orthogonal(x: Exact) -> list[fmpq]:
    """E[P (beta - P)]."""
    p = dot(x.zeta, x.features)
    return [average(p, _less(x.beta, p))]


# Is there a zero? E[b beta] of Q = b omega under T*, piecewise linear in omega: at 0, and its two slopes.


def _start(x: Exact) -> fmpq:
    return average(x.features[0], x.mdp.reward)


def _ahead(x: Exact, sign: int) -> list[fmpq]:
    """E[max] of b, or E[min] if `sign` is -1."""
    b = [sign * y for y in x.features[0]]
    v = [sign * max(b[i] for i in own) for own in x.mdp.of_state]
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]


def _slope(x: Exact, sign: int) -> fmpq:
    b = x.features[0]
    return average(b, _less([x.mdp.gamma * y for y in _ahead(x, sign)], b))


@rational
def not_zero_at_zero(x: Exact) -> list[fmpq]:
    """E[b beta] at omega = 0."""
    return [_start(x)]


@rational
def no_zero_above(x: Exact) -> list[fmpq]:
    """It moves away from 0 for omega > 0."""
    return [_start(x) * _slope(x, 1)]


@rational
def no_zero_below(x: Exact) -> list[fmpq]:
    """And for omega < 0."""
    return [-_start(x) * _slope(x, -1)]


def system(x: Exact) -> fmpq:
    """E[b (b - gamma E_pi b')]."""
    b = x.features[0]
    ahead = _expected(x, b)
    return average(b, [y - x.mdp.gamma * e for y, e in zip(b, ahead, strict=True)])


def _expected(x: Exact, table: Table) -> list[fmpq]:
    v = x.mdp.mean(x.pi, table)
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]


@rational
def regular(x: Exact) -> list[fmpq]:
    """The system, which is not 0."""
    return [system(x)]


@rational
def zero_of_policy(x: Exact) -> list[fmpq]:
    """E[b beta] at the solution."""
    return [_moment(x, _start(x) / system(x))]


def _moment(x: Exact, omega: fmpq) -> fmpq:
    """E[b beta] of Q = b omega under T^pi, affine in omega."""
    q = [omega * b for b in x.features[0]]
    return average(x.features[0], _less(x.mdp.backup(x.mdp.mean(x.pi, q)), q))


@rational
def slope_of_moment(x: Exact) -> list[fmpq]:
    """How E[b beta] changes in omega, less -system: it has no other zero."""
    return [_moment(x, fmpq(1)) - _moment(x, fmpq(0)) + system(x)]


@rational
def constant_moment(x: Exact) -> list[fmpq]:
    """How E[b beta] changes in omega: not at all, so that every omega is stationary."""
    return [_moment(x, fmpq(1)) - _moment(x, fmpq(0))]


def _error(x: Exact, omega: fmpq) -> fmpq:
    """Half the mean square of b zeta."""
    b = x.features[0]
    p = [y * _moment(x, omega) / average(b, b) for y in b]
    return average(p, p) / 2


@rational
def error_left(x: Exact) -> list[fmpq]:
    """The projected error at omega = 0."""
    return [_error(x, fmpq(0))]


@rational
def slope_of_error(x: Exact) -> list[fmpq]:
    """Its squared slope times E[b^2] less 2 system^2 times itself; quadratic, so a central difference."""
    (omega,), b = x.omega, x.features[0]
    slope = (_error(x, omega + 1) - _error(x, omega - 1)) / 2
    return [slope**2 * average(b, b) - 2 * system(x) ** 2 * _error(x, omega)]


# Quadratic Q = omega phi + omega H omega / 2: gradient of the projected error, and the update (35).


class Curve:
    """Gradient rows b, Q, beta, and their derivatives along omega_j."""

    def __init__(self, x: Exact) -> None:
        """From `features`, `hessian`, `omega`, `pi`."""
        self.x = x
        self.b = [
            [f + y for f, y in zip(row, dot(x.omega, h), strict=True)]
            for row, h in zip(x.features, x.hessian, strict=True)
        ]
        both = [
            [f + y for f, y in zip(row, b, strict=True)] for row, b in zip(x.features, self.b, strict=True)
        ]
        self.q = [y / 2 for y in dot(x.omega, both)]
        self.beta = _less(x.mdp.backup(x.mdp.mean(x.pi, self.q)), self.q)

    def slope_of_beta(self, j: int) -> list[fmpq]:
        """Gamma E_pi[b'_j] - b_j."""
        return [
            self.x.mdp.gamma * e - b for e, b in zip(_expected(self.x, self.b[j]), self.b[j], strict=True)
        ]

    def curvature(self, zeta: Table, j: int) -> list[fmpq]:
        """Row j of H times zeta."""
        return dot(zeta, self.x.hessian[j])

    def slope_of_zeta(self, zeta: Table, j: int) -> list[fmpq] | None:
        """D zeta of E[b b^T] zeta = E[b beta]."""
        rest, bent = _less(self.beta, dot(zeta, self.b)), self.curvature(zeta, j)
        moved = _less(self.slope_of_beta(j), bent)
        right = [average(h, rest) + average(b, moved) for h, b in zip(self.x.hessian[j], self.b, strict=True)]
        return solve([[average(a, b) for b in self.b] for a in self.b], right)


@rational
def curved_normal_equation(x: Exact) -> list[fmpq]:
    """E[b (beta - P)], once a direction."""
    c = Curve(x)
    rest = _less(c.beta, dot(x.zeta, c.b))
    return [average(b, rest) for _ in x.features for b in c.b]


@rational
def curved_slope_equation(x: Exact) -> list[fmpq]:
    """The derivative of E[b (beta - P)] in every direction."""
    c, out = Curve(x), []
    for j in range(len(x.features)):
        rest = _less(c.beta, dot(x.zeta, c.b))
        moved = _less(_less(c.slope_of_beta(j), c.curvature(x.zeta, j)), dot(x.dzeta[j], c.b))
        out += [average(h, rest) + average(b, moved) for h, b in zip(x.hessian[j], c.b, strict=True)]
    return out


def _slope_of_error(x: Exact, c: Curve, j: int) -> fmpq:
    """D E[P^2]/2 = E[P dP]."""
    moved = [a + b for a, b in zip(dot(x.dzeta[j], c.b), c.curvature(x.zeta, j), strict=True)]
    return average(dot(x.zeta, c.b), moved)


def _terms(x: Exact, c: Curve, j: int) -> tuple[fmpq, fmpq]:
    """E[d beta b^T zeta] and E[(beta - b^T zeta) (H zeta)_j]."""
    p = dot(x.zeta, c.b)
    return average(c.slope_of_beta(j), p), average(_less(c.beta, p), c.curvature(x.zeta, j))


@rational
def projected_gradient(x: Exact) -> list[fmpq]:
    """The gradient less its printed form."""
    c = Curve(x)
    return [_slope_of_error(x, c, j) - sum(_terms(x, c, j), fmpq(0)) for j in range(len(x.features))]


def update(*, scaled: bool) -> Any:
    """(35): the mean step less -step times the gradient; `scaled`: with the step size before both terms."""

    def sides(x: Exact) -> list[fmpq]:
        c, out = Curve(x), []
        for j in range(len(x.features)):
            along, bent = _terms(x, c, j)
            out.append(-x.step * along - (x.step if scaled else 1) * bent + x.step * _slope_of_error(x, c, j))
        return out

    return rational(sides)
