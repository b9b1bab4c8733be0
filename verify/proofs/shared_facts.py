"""Formulas that several proofs use, as left side minus right side: Bellman equations, visits, policy loss.

Each difference is left side minus right side of a formula, one ball per component. Where both sides are
rational, it is an exact number in a ball of radius zero.
"""

from collections.abc import Callable, Sequence

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences, above, at_least, equal, given


def rational(differences: Callable[[Exact], Sequence[fmpq | int]]) -> Differences:
    """Decorator that converts the exact numbers returned by a function to balls (arb) of radius zero."""
    return lambda x: [arb(value) for value in differences(x)]


def minus(left: Sequence[fmpq], right: Sequence[fmpq]) -> list[fmpq]:
    """Difference `left - right` of two vectors of fractions, entry by entry."""
    return [a - b for a, b in zip(left, right, strict=True)]


def dot(a: Sequence[fmpq], b: Sequence[fmpq]) -> fmpq:
    """Scalar product `sum_i a_i b_i` of two vectors of fractions."""
    return sum((p * q for p, q in zip(a, b, strict=True)), fmpq(0))


def fixed_point(name: str) -> Differences:
    """Difference `q - T* q` of an instance's table called `name`: zero if and only if the table is Q*."""
    return rational(lambda x: minus(x.parts[name], exact.optimal_backup(x.mdp, x.parts[name])))


def value_of(name: str) -> Differences:
    """Difference `v - E_pi[r + gamma E[v(s')]]`, pi the part called `name`: zero if and only if v = V^pi."""
    return rational(lambda x: minus(x.v, x.mdp.mean(x.parts[name], x.mdp.backup(x.v))))


@rational
def visits(x: Exact) -> list[fmpq]:
    """Difference `rho - (p_0 + gamma P_pi^T rho)` per state: zero if and only if rho are the visits of pi.

    They are discounted, and pi is the part `pi_theta`.
    """
    ahead = list(x.mdp.initial)
    for (s, _), row, p in zip(x.mdp.pairs, x.mdp.rows, x.pi_theta, strict=True):
        for t, w in row:
            ahead[t] += x.mdp.gamma * w * p * x.rho[s]
    return minus(x.rho, ahead)


@rational
def least_of_optimum(x: Exact) -> list[fmpq]:
    """Smallest entry `min Q*` of the optimal action values: positive under VIREL's Assumption 1."""
    return [min(x.q_star)]


IS_OPTIMUM = given(equal(fixed_point("q_star")))
POSITIVE_OPTIMUM = given(above(least_of_optimum))
V_OF_PI = given(equal(value_of("pi")))
V_OF_PI_THETA = given(equal(value_of("pi_theta")))
IS_VISITS = given(equal(visits))


TWO_STEPS = given(equal(rational(lambda x: [x.horizon - 2])))
UP_TO_THREE_STEPS = given(at_least(rational(lambda x: [3 - x.horizon])))
"""How long episodes are, as the words of their statements say."""


def losses(x: Exact, q: Sequence[fmpq], eps: fmpq | arb) -> list[arb]:
    """Loss `max_a Q - E_pi[Q]` of the Boltzmann policy pi of a table: one enclosure (arb ball) per state.

    A state where no action is worse than another has the exact loss 0.
    """
    out = []
    for own in x.mdp.of_state:
        gaps = [max(q[i] for i in own) - q[i] for i in own]
        weights = [exp(-gap / eps) for gap in gaps]
        loss = total(g * w for g, w in zip(gaps, weights, strict=True)) / total(weights)
        out.append(loss if any(gaps) else arb(0))
    return out


def n_actions(x: Exact) -> int:
    """Largest number A of actions that a state of an instance's MDP has."""
    return max(map(len, x.mdp.of_state))


def loss_factor(x: Exact, *, entropic: bool) -> arb:
    """Factor c of the bound `max Q - E_pi[Q] <= c eps` on a Boltzmann policy's loss: `log A` or `(A - 1)/e`.

    It is `log A` if `entropic`, else `(A - 1)/e`.
    """
    return log(fmpq(n_actions(x))) if entropic else (n_actions(x) - 1) * exp(fmpq(-1))
