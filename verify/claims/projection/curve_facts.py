"""Exact differences on quadratic critics, App. F.1: gradient of the projected error, and the update (35).

Each decorated function returns left side minus right side, component by component.
"""

from flint import fmpq

from verify.arithmetic.instance import Exact
from verify.claims.projection.facts import Table, average, dot, expected, solve
from verify.proofs.facts import Differences
from verify.proofs.shared_facts import minus, rational

# Quadratic Q = omega phi + omega H omega / 2: gradient of the projected error, and the update (35).


class Curve:
    """Quadratic critic Q_omega with its gradient b, its residual beta, and their derivatives in omega_j."""

    def __init__(self, x: Exact) -> None:
        """Compute b, Q, beta of the quadratic critic with `features` phi, `hessian` H, `omega` and `pi`."""
        self.x = x
        self.b = [
            [f + y for f, y in zip(row, dot(x.omega, h), strict=True)]
            for row, h in zip(x.features, x.hessian, strict=True)
        ]
        both = [
            [f + y for f, y in zip(row, b, strict=True)] for row, b in zip(x.features, self.b, strict=True)
        ]
        self.q = [y / 2 for y in dot(x.omega, both)]
        self.beta = minus(x.mdp.backup(x.mdp.mean(x.pi, self.q)), self.q)

    def slope_of_beta(self, j: int) -> list[fmpq]:
        """Derivative of the Bellman residual beta in omega_j, `gamma E_pi[b_j(h')] - b_j`."""
        return [self.x.mdp.gamma * e - b for e, b in zip(expected(self.x, self.b[j]), self.b[j], strict=True)]

    def curvature(self, zeta: Table, j: int) -> list[fmpq]:
        """Derivative of beta's projection `b^T zeta` in omega_j at fixed zeta: row j of H times zeta."""
        return dot(zeta, self.x.hessian[j])

    def slope_of_zeta(self, zeta: Table, j: int) -> list[fmpq] | None:
        """Derivative in omega_j of beta's projection weights, `E[b b^T]^-1 E[b beta]`; None if singular."""
        rest, bent = minus(self.beta, dot(zeta, self.b)), self.curvature(zeta, j)
        moved = minus(self.slope_of_beta(j), bent)
        right = [average(h, rest) + average(b, moved) for h, b in zip(self.x.hessian[j], self.b, strict=True)]
        return solve([[average(a, b) for b in self.b] for a in self.b], right)


@rational
def curved_normal_equation(x: Exact) -> list[fmpq]:
    """Zero if zeta are the projection weights of beta: `E[b (beta - b^T zeta)]`, once per omega_j."""
    c = Curve(x)
    rest = minus(c.beta, dot(x.zeta, c.b))
    return [average(b, rest) for _ in x.features for b in c.b]


@rational
def curved_slope_equation(x: Exact) -> list[fmpq]:
    """Zero if `dzeta` is the derivative of beta's projection weights zeta: `d E[b (beta - b^T zeta)]`."""
    c, out = Curve(x), []
    for j in range(len(x.features)):
        rest = minus(c.beta, dot(x.zeta, c.b))
        moved = minus(minus(c.slope_of_beta(j), c.curvature(x.zeta, j)), dot(x.dzeta[j], c.b))
        out += [average(h, rest) + average(b, moved) for h, b in zip(x.hessian[j], c.b, strict=True)]
    return out


def _slope_of_error(x: Exact, c: Curve, j: int) -> fmpq:
    """Derivative in omega_j of the projected residual error `E[P^2]/2`: `E[P dP]`, P = b^T zeta."""
    moved = [a + b for a, b in zip(dot(x.dzeta[j], c.b), c.curvature(x.zeta, j), strict=True)]
    return average(dot(x.zeta, c.b), moved)


def _terms(x: Exact, c: Curve, j: int) -> tuple[fmpq, fmpq]:
    """Both terms of App. F.1's printed gradient of the projected residual error, in direction omega_j.

    They are `E[(d beta) b^T zeta]` and `E[(beta - b^T zeta) (H zeta)_j]`.
    """
    p = dot(x.zeta, c.b)
    return average(c.slope_of_beta(j), p), average(minus(c.beta, p), c.curvature(x.zeta, j))


@rational
def projected_gradient(x: Exact) -> list[fmpq]:
    """Zero if App. F.1's gradient holds: derivative of the projected error minus both printed terms."""
    c = Curve(x)
    return [_slope_of_error(x, c, j) - sum(_terms(x, c, j), fmpq(0)) for j in range(len(x.features))]


def update(*, scaled: bool) -> Differences:
    """Zero if (35) descends the projected residual error: mean step of omega plus `step` times its gradient.

    `scaled` puts the step size before both terms of the update; the paper prints it before the first alone.
    """

    def sides(x: Exact) -> list[fmpq]:
        c, out = Curve(x), []
        for j in range(len(x.features)):
            along, bent = _terms(x, c, j)
            out.append(-x.step * along - (x.step if scaled else 1) * bent + x.step * _slope_of_error(x, c, j))
        return out

    return rational(sides)
