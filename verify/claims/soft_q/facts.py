"""Differences that prove claims on soft Q-learning and policy gradients: left minus right side, in balls.

The policy is the Boltzmann policy of a linear Q under the reference policy `pi_phi`, at the temperature
`eps`. Gradients are by power series in each parameter. Targets and sampling distributions carry no gradient.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from flint import arb, fmpq

from verify.arithmetic import series as ts
from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.arithmetic.series import Jet, jet

# The backup, and values from samples.


def contraction(x: Exact, *, swapped: bool = False) -> list[arb]:
    """Nonnegative if the soft backup contracts: `gamma ||Q1 - Q2|| - (T Q1 - T Q2)`, or with T's swapped."""
    first, second = (x.q_two, x.q) if swapped else (x.q, x.q_two)
    largest = max(abs(a - b) for a, b in zip(first, second, strict=True))
    room = [_room(x, own, first, second, largest) for own in x.mdp.of_state]
    return [arb(x.mdp.gamma) * total(p * room[t] for t, p in row) for row in x.mdp.rows]


def _room(x: Exact, own: Sequence[int], first: Sequence[fmpq], second: Sequence[fmpq], largest: fmpq) -> arb:
    """`largest - (V1 - V2)` of a state: an exact number if it has one action."""
    if len(own) == 1:
        return arb(largest - (first[own[0]] - second[own[0]]))
    return arb(largest) - _soft(x, own, first) + _soft(x, own, second)


def _soft(x: Exact, own: Sequence[int], q: Sequence[fmpq]) -> arb:
    top = max(q[i] for i in own)
    mass = total(exp((q[i] - top) / x.alpha) for i in own)
    return arb(top + x.alpha * mass.log())


def tuples(x: Exact) -> list[tuple[fmpq, list[int]]]:
    """All tuples of `horizon` drawn actions of the one state, with their probabilities."""
    drawn = product(range(x.mdp.n_pairs), repeat=int(x.horizon.p))
    return [(prod((x.pi[i] for i in path), start=fmpq(1)), list(path)) for path in drawn]


def weight(x: Exact, i: int) -> arb:
    """Importance weight `exp(Q/alpha)/pi` of an action."""
    return arb(exp(x.q[i] / x.alpha) / x.pi[i])


def one_state(x: Exact) -> list[arb]:
    """Zero if the MDP has one state."""
    return [arb(x.mdp.n_states - 1)]


def unbiased(x: Exact) -> list[arb]:
    """Zero if the mean of the weights is unbiased: `E[sum_j w_j]/sum_a exp(Q/alpha) - N`."""
    left = total(p * total(weight(x, i) for i in path) for p, path in tuples(x))
    return [left / total(exp(q / x.alpha) for q in x.q) - x.horizon]


def jensen(x: Exact) -> list[arb]:
    """Nonnegative if sampled soft values are biased low: `V - E[V_N]`, 0 if all weights are equal."""
    return [arb(0) if _constant(x) else x.alpha * (total(exp(q / x.alpha) for q in x.q).log() - _mean_log(x))]


def more_samples(x: Exact) -> list[arb]:
    """Nonnegative if more samples have less bias: `E[V_N] - E[V_1]`, 0 if all weights are equal."""
    if _constant(x):
        return [arb(0)]
    return [x.alpha * (_mean_log(x) - total(p * log(weight(x, i)) for i, p in enumerate(x.pi)))]


def _mean_log(x: Exact) -> arb:
    return total(p * (total(weight(x, i) for i in path) / x.horizon).log() for p, path in tuples(x))


def _constant(x: Exact) -> bool:
    """Whether all weights are equal: as exponentials of different rationals have no rational ratio."""
    return len(set(x.q)) == 1 and len(set(x.pi)) == 1


def policy_proposal(x: Exact) -> list[arb]:
    """Zero if with the Boltzmann policy as proposal every weight is the partition sum: their logarithms."""
    out = []
    for own in x.mdp.of_state:
        mass = total(exp(x.q[i] / x.alpha) for i in own)
        pi = [exp(x.q[i] / x.alpha) / mass for i in own]
        out += [(exp(x.q[i] / x.alpha) / p).log() - mass.log() for i, p in zip(own, pi, strict=True)]
    return out


# Gradients of the Boltzmann policy of Q.


class Soft(NamedTuple):
    """Boltzmann policy of a linear Q and its soft values as first-order series in one parameter."""

    q: list[Jet]
    pi: list[Jet]
    log_ratio: list[Jet]
    v: list[Jet]
    kl: list[Jet]


def soft(x: Exact, j: int) -> Soft:
    """Policy `pi_phi exp((Q - V)/eps)`, `log(pi/pi_phi)`, V and KL, in parameter j."""
    q, eps = ts.linear(x, j), arb(x.eps)
    shifted, v = [jet(0)] * len(q), []
    for own in x.mdp.of_state:
        top = max((q[i][0] for i in own), key=lambda y: float(y.mid()))
        parts = {i: (q[i] - top) / eps for i in own}
        mass = ts.total(arb(x.pi_phi[i]) * y.exp() for i, y in parts.items()).log()
        v.append(top + eps * mass)
        for i in own:
            shifted[i] = parts[i] - mass
    pi = [arb(p) * y.exp() for p, y in zip(x.pi_phi, shifted, strict=True)]
    return Soft(q, pi, shifted, v, ts.mean(x, pi, shifted))


def bandit(x: Exact) -> list[arb]:
    """Zero if the bandit identity holds: gradient of the squared error minus policy and value gradients."""

    def sides(j: int) -> list[arb]:
        y = soft(x, j)
        error = [
            p * (q - arb(r)) * dq
            for p, q, r, dq in zip(ts.values(y.pi), ts.values(y.q), x.mdp.reward, ts.slopes(y.q), strict=True)
        ]
        eta = [
            m - arb(x.eps) * k
            for m, k in zip(ts.mean(x, y.pi, list(map(arb, x.mdp.reward))), y.kl, strict=True)
        ]
        value_loss = [(v[0] - e[0]) * v[1] for v, e in zip(y.v, eta, strict=True)]
        left = [total(error[i] for i in own) for own in x.mdp.of_state]
        return [a - b + arb(x.eps) * e[1] for a, b, e in zip(left, value_loss, eta, strict=True)]

    return ts.in_every_direction(x, sides)


def targets(x: Exact, y: Soft, *, n: int) -> list[arb]:
    """n-step soft Q targets per pair: rewards, minus `eps KL` of the states in between, then V."""
    v, pi, kl = ts.values(y.v), ts.values(y.pi), ts.values(y.kl)
    for _ in range(n - 1):
        inner = _backup(x, v)
        v = [
            total(pi[i] * inner[i] for i in own) - arb(x.eps) * k
            for own, k in zip(x.mdp.of_state, kl, strict=True)
        ]
    return _backup(x, v)


def _backup(x: Exact, v: Sequence[arb]) -> list[arb]:
    return [
        arb(r) + arb(x.mdp.gamma) * total(p * v[t] for t, p in row)
        for r, row in zip(x.mdp.reward, x.mdp.rows, strict=True)
    ]


class Pieces(NamedTuple):
    """Numbers that the n-step statements add up, in one parameter."""

    through_pi: arb
    through_v: arb
    gain: arb
    value_error: arb


def pieces(x: Exact, j: int, *, n: int) -> Pieces:
    """Soft Q gradient through `eps log(pi/pi_phi)` and V; policy gradient; gradient of the value error."""
    y, eps = soft(x, j), arb(x.eps)
    target, pi = targets(x, y, n=n), ts.values(y.pi)
    mass = [arb(x.d[s]) * p for p, (s, _) in zip(pi, x.mdp.pairs, strict=True)]
    error = [m * (q - t) for m, q, t in zip(mass, ts.values(y.q), target, strict=True)]
    score, state = ts.slopes(y.log_ratio), [s for s, _ in x.mdp.pairs]
    delta = [m * (t - y.v[s][0] - eps * y.kl[s][0]) for m, t, s in zip(mass, target, state, strict=True)]
    gain = total(a * b for a, b in zip(delta, score, strict=True))
    gain -= eps * total(d * k[1] for d, k in zip(x.d, y.kl, strict=True))
    return Pieces(
        eps * total(a * b for a, b in zip(error, score, strict=True)),
        total(e * y.v[s][1] for e, s in zip(error, state, strict=True)),
        gain,
        -total(a * y.v[s][1] for a, s in zip(delta, state, strict=True)),
    )


def _in_every_direction(combine: Callable[[Exact, Pieces], arb], n: int) -> Callable[[Exact], list[arb]]:
    return lambda x: ts.in_every_direction(x, lambda j: combine(x, pieces(x, j, n=n)))


def n_steps(n: int) -> Any:
    """Zero if the n-step identity holds: soft Q gradient minus `-eps g + value error`."""
    return _in_every_direction(
        lambda x, y: y.through_pi + y.through_v + arb(x.eps) * y.gain - y.value_error, n
    )


def scaled(advantage: Callable[[Exact], fmpq]) -> Any:
    """Zero if the scaled streams give A2C's gradient with c = 1/2, n = 1; scale of the advantage stream."""
    return _in_every_direction(
        lambda x, y: arb(advantage(x)) * y.through_pi + y.through_v / 2 - y.value_error / 2 + y.gain, 1
    )


def discounted(x: Exact) -> list[arb]:
    """Positive if gamma > 0."""
    return [arb(x.mdp.gamma)]
