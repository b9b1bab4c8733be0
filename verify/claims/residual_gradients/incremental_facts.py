"""Differences that prove or refute App. E.2, E.3, F.3: gradients at a constant temperature and under T*.

They are enclosed in balls. No fixed point is involved. Derivatives are by power series in omega_j. Each
function that takes an instance alone, or with keywords, returns left side minus right side in every direction
j of the features.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flint import arb, fmpq

from verify.arithmetic import series as ts
from verify.arithmetic.instance import Exact
from verify.arithmetic.series import Jet
from verify.proofs.facts import Differences


def half_mean_square(table: Sequence[Jet]) -> Jet:
    """Half the mean square over all pairs, `E[f^2]/2`, of a table with derivatives."""
    return ts.over_pairs([y * y for y in table]) / arb(2)


def minus(left: Sequence[Any], right: Sequence[Any]) -> list[arb]:
    """Difference of two tables over the pairs, `left - right`, entry by entry."""
    return [a - b for a, b in zip(left, right, strict=True)]


def m_step(x: Exact, j: int, eps: Jet) -> arb:
    """Zero if the M-step gradient (7) holds: `eps^2 grad L - (eps E[grad Q] - E[Q] grad eps)`.

    The temperature eps depends on omega.
    """
    weights = [x.d[s] * p for (s, _), p in zip(x.mdp.pairs, x.pi_theta, strict=True)]
    q = ts.linear(x, j)
    objective = ts.total(
        w * y / eps for w, y in zip(weights, q, strict=True)
    )  # the entropy does not depend on omega
    mean_b = sum((w * b for w, b in zip(weights, ts.along(x, j), strict=True)), fmpq(0))
    mean_q = sum((w * y[0] for w, y in zip(weights, q, strict=True)), arb(0))
    return eps[0] ** 2 * objective[1] - (eps[0] * mean_b - mean_q * eps[1])


def m_step_incremental(x: Exact) -> list[arb]:
    """Zero if App. E.2's M-step gradient holds, eps = eps_{omega,k}: `eps^2 grad L` minus its right side."""
    return ts.in_every_direction(x, lambda j: m_step(x, j, incremental_error(x, j)))


def incremental(x: Exact, j: int) -> tuple[list[Jet], list[Jet], list[Jet]]:
    """Boltzmann policy p_{omega,k}, its log and residual beta_{omega,k}, with derivatives in omega_j."""
    q = ts.linear(x, j)
    p, log_p = ts.softmax(x, [y / arb(x.eps_k) for y in q])
    return p, log_p, _residual(x, q, p)


def incremental_error(x: Exact, j: int) -> Jet:
    """Incremental residual error `eps_{omega,k} = E[beta_{omega,k}^2]/2 + eps_k`, with its derivative."""
    return half_mean_square(incremental(x, j)[2]) + arb(x.eps_k)


def under_greedy(x: Exact, j: int) -> list[Jet]:
    """Bellman residual `T* Q - Q` with its derivative in omega_j, where maxima of Q are unique.

    The greedy policy is constant there.
    """
    q = ts.linear(x, j)
    return _residual(x, q, greedy(x))


def greedy(x: Exact) -> list[fmpq]:
    """Deterministic policy that takes the first maximiser of the linear critic Q = omega . features."""
    q = _table(x)
    best = {max(own, key=q.__getitem__) for own in x.mdp.of_state}
    return [fmpq(int(i in best)) for i in range(x.mdp.n_pairs)]


def _table(x: Exact) -> list[fmpq]:
    """Table `Q = omega . features` of a linear critic."""
    return [
        sum((w * f[i] for w, f in zip(x.omega, x.features, strict=True)), fmpq(0))
        for i in range(x.mdp.n_pairs)
    ]


def unique_maxima(x: Exact) -> list[arb]:
    """Zero where the linear critic has a unique maximum in a state: number of maximisers minus 1."""
    q = _table(x)
    return [arb([q[i] for i in own].count(max(q[i] for i in own)) - 1) for own in x.mdp.of_state]


def in_all_directions(table: Callable[[Exact], list[arb]]) -> Differences:
    """Repeat `table(x)`, differences that are the same for all directions omega_j, once per direction."""
    return lambda x: ts.in_every_direction(x, lambda _: table(x))


def _residual(x: Exact, q: Sequence[Jet], pi: Sequence[Any]) -> list[Jet]:
    """Bellman residual `r + gamma E_pi[Q(h')] - Q` of a table with derivatives."""
    v = ts.ahead(x, ts.mean(x, pi, q))
    return [r + x.mdp.gamma * e - y for r, e, y in zip(x.mdp.reward, v, q, strict=True)]


def _printed_31(x: Exact, j: int, factor: Any, *, with_q: bool) -> list[arb]:
    """Right side of Eq. (31), `c E[E_p[f grad log p + grad Q]] - grad Q`: c = gamma, f = Q, or both 1."""
    p, log_p, _ = incremental(x, j)
    b, q = ts.along(x, j), ts.linear(x, j)
    inner = [s[1] * (y[0] if with_q else 1) + f for s, y, f in zip(log_p, q, b, strict=True)]
    return [
        factor * e - f
        for e, f in zip(ts.values(ts.ahead(x, ts.mean(x, ts.values(p), inner))), b, strict=True)
    ]


def eq_31(x: Exact, *, gamma: bool, with_q: bool) -> list[arb]:
    """Zero if Eq. (31) holds, printed or corrected: grad beta_{omega,k} minus its right side.

    As printed, the right side lacks the factors `gamma` and Q(h'), `with_q`.
    """

    def sides(j: int) -> list[arb]:
        factor = x.mdp.gamma if gamma else 1
        return minus(ts.slopes(incremental(x, j)[2]), _printed_31(x, j, factor, with_q=with_q))

    return ts.in_every_direction(x, sides)


def log_slope_k(x: Exact) -> list[arb]:
    """Zero if the score is `M[grad Q]/eps_k`: `grad log p_{omega,k}` minus that, M f = f - E_p[f]."""

    def sides(j: int) -> list[arb]:
        p, log_p, _ = incremental(x, j)
        b = ts.along(x, j)
        v = ts.values(ts.mean(x, ts.values(p), b))
        right = [(f - v[s]) / x.eps_k for f, (s, _) in zip(b, x.mdp.pairs, strict=True)]
        return minus(ts.slopes(log_p), right)

    return ts.in_every_direction(x, sides)


def optimal_target(x: Exact, *, gamma: bool) -> list[arb]:
    """Zero if App. E.3 holds for T*: `grad(T* Q - Q) - (E[grad Q(a*, s')] - grad Q)`.

    That is printed; `gamma` adds the missing factor.
    """

    def sides(j: int) -> list[arb]:
        b, factor = ts.along(x, j), x.mdp.gamma if gamma else 1
        v = ts.values(ts.ahead(x, ts.mean(x, greedy(x), b)))
        return minus(ts.slopes(under_greedy(x, j)), [factor * e - f for e, f in zip(v, b, strict=True)])

    return ts.in_every_direction(x, sides)


def direct(x: Exact, *, optimal: bool, sign: int) -> list[arb]:
    """Zero if App. F.3's direct gradient holds: `grad E[(sg[T Q] - Q)^2]/2 - sign E[(Q - T Q) grad Q]`.

    sg is the stop-gradient; T is T* if `optimal`, else T_{omega,k}.
    """

    def sides(j: int) -> arb:
        q, b = ts.linear(x, j), ts.along(x, j)
        beta = under_greedy(x, j) if optimal else incremental(x, j)[2]
        held = [y + z[0] for y, z in zip(beta, q, strict=True)]
        left = ts.slope(half_mean_square([t[0] - y for t, y in zip(held, q, strict=True)]))
        right = ts.over_pairs([-y[0] * f for y, f in zip(beta, b, strict=True)])
        return left - sign * ts.value(right)

    return ts.in_every_direction(x, sides)
