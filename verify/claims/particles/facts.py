"""Left minus right sides as rigorous enclosures: particle planning and SPO.

Probabilities and values are exact; exponentials and logarithms are enclosed.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.exact import Vector
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import dot, minus, rational


def expected(x: Exact, v: Sequence[arb]) -> list[arb]:
    """Mean over successors of state values v, per pair."""
    return [total(p * v[t] for t, p in row) for row in x.mdp.rows]


def over(x: Exact, table: Sequence[arb]) -> list[arb]:
    """Sum over the actions of each state."""
    return [total(table[i] for i in own) for own in x.mdp.of_state]


def states(x: Exact, v: Sequence[arb]) -> list[arb]:
    """State values, repeated for every pair."""
    return [v[s] for s, _ in x.mdp.pairs]


def first_weights(x: Exact) -> list[arb]:
    """Weight of a particle after its first step by pair: `p/pi exp(r/alpha)`."""
    return [a / b * exp(r / x.alpha) for a, b, r in zip(x.prior, x.pi, x.mdp.reward, strict=True)]


def second_means(x: Exact) -> list[arb]:
    """Mean weight of the second step after each pair: `E[sum_a p exp(r/alpha)]`."""
    return expected(x, over(x, [p * exp(r / x.alpha) for p, r in zip(x.prior, x.mdp.reward, strict=True)]))


def unbiased(x: Exact) -> list[arb]:
    """Zero if two particles estimate the evidence of two steps without bias, given one's first draw j.

    Both ancestors are drawn in proportion to the weights. The mean of the estimate given j, per state, minus
    the mean of the evidence and of the share of j.
    """
    w, c, out = first_weights(x), second_means(x), []
    for j, (at, _) in enumerate(x.mdp.pairs):
        for s, own in enumerate(x.mdp.of_state):
            y, y_c = (w[j], w[j] * c[j]) if s == at else (arb(0), arb(0))
            left = arb(0)
            for i in own:
                mass = w[i] + y
                both = [(w[i] / mass, c[i]), (y / mass, y_c / y if s == at else arb(0))]
                second = total(p * q * (u + v) / 2 for p, u in both for q, v in both)
                left += x.pi[i] * mass / 2 * second
            evidence = total(x.prior[i] * exp(x.mdp.reward[i] / x.alpha) * c[i] for i in own)
            out.append(left - (evidence + y_c) / 2)
    return out


def jensen(x: Exact) -> list[arb]:
    """Nonnegative: the logarithm of the mean estimate of one step given one's draw j, minus the mean logarithm.

    An exact zero where all weights of a state are equal.
    """
    w, out = first_weights(x), []
    for j, (at, _) in enumerate(x.mdp.pairs):
        for s, own in enumerate(x.mdp.of_state):
            y = w[j] if s == at else arb(0)
            equal = {(x.mdp.reward[i], x.prior[i] / x.pi[i]) for i in own}
            gap = total(x.pi[i] * (w[i] + y) for i in own) / 2
            mean = total(x.pi[i] * log((w[i] + y) / 2) for i in own)
            out.append(arb(0) if len(equal) == 1 else log(gap) - mean)
    return out


@rational
def certain(x: Exact) -> Vector:
    """Zero if V has no variance over the successors of any pair: `E[V^2] - E[V]^2`."""
    out = []
    for row in x.mdp.rows:
        mean = dot([p for _, p in row], [x.v[t] for t, _ in row])
        out.append(dot([p for _, p in row], [x.v[t] ** 2 for t, _ in row]) - mean**2)
    return tuple(out)


def lucky_means(x: Exact) -> list[arb]:
    """Logarithm of `E[exp(V/alpha)]` per pair."""
    return [log(m) for m in expected(x, [exp(v / x.alpha) for v in x.v])]


def plain_means(x: Exact) -> list[arb]:
    """Mean `E[V]/alpha` per pair."""
    return [m / x.alpha for m in expected(x, [arb(v) for v in x.v])]


def guided(x: Exact) -> list[arb]:
    """Soft weights `p exp(r/alpha) exp(E[V]/alpha)` per pair."""
    ahead = plain_means(x)
    return [p * exp(r / x.alpha) * exp(e) for p, r, e in zip(x.prior, x.mdp.reward, ahead, strict=True)]


def last_step(x: Exact) -> list[arb]:
    """Zero if the plan's message of the last step is the soft value: `log E[exp(V/alpha)] - E[V]/alpha`."""
    return [a - b for a, b in zip(lucky_means(x), plain_means(x), strict=True)]


def step_before(x: Exact) -> list[arb]:
    """Zero if that of the step before is: `log E[message] - E[log soft sum]`."""
    lucky = expected(x, [exp(v / x.alpha) for v in x.v])
    message = over(
        x, [p * exp(r / x.alpha) * e for p, r, e in zip(x.prior, x.mdp.reward, lucky, strict=True)]
    )
    soft = expected(x, [log(z) for z in over(x, guided(x))])
    return [log(m) - e for m, e in zip(expected(x, message), soft, strict=True)]


def luck(x: Exact) -> list[arb]:
    """Nonnegative: `alpha log E[exp(V/alpha)] - E[V]`; an exact zero where V is the same at all successors."""
    out = []
    for row, lucky, mean in zip(x.mdp.rows, lucky_means(x), plain_means(x), strict=True):
        same = len({x.v[t] for t, _ in row}) == 1
        out.append(arb(0) if same else x.alpha * (lucky - mean))
    return out


def lottery(_: Exact) -> list[arb]:
    """Positive: mean of exp over the lottery of 3 or -1, minus exp of the sure 6/5."""
    return [(exp(fmpq(3)) + exp(fmpq(-1))) / 2 - exp(fmpq(6, 5))]


def sure(_: Exact) -> list[arb]:
    """Positive: the sure 6/5 minus the lottery's mean 1."""
    return [arb(fmpq(6, 5)) - 1]


def equal_weights(x: Exact) -> list[arb]:
    """Zero if the factor of a weight is 1 under the best guide and proposal: its logarithm."""
    g, ahead = guided(x), plain_means(x)
    mass = states(x, over(x, g))
    return [
        r / x.alpha + e - log(z) - log(w / z / p)
        for r, e, z, w, p in zip(x.mdp.reward, ahead, mass, g, x.prior, strict=True)
    ]


def shares(x: Exact, weights: Sequence[arb]) -> list[arb]:
    """Weights over their sum in each state."""
    return [w / z for w, z in zip(weights, states(x, over(x, weights)), strict=True)]


def one_step(x: Exact) -> list[arb]:
    """Zero if the first actions of plans of one step are MPO's posterior: left minus right, per pair."""
    lucky = expected(x, [exp(x.mdp.gamma * v / x.eps) for v in x.v])
    plan = [p * exp(r / x.eps) * e for p, r, e in zip(x.pi, x.mdp.reward, lucky, strict=True)]
    mpo = [p * exp(q / x.eps) for p, q in zip(x.pi, x.q, strict=True)]
    return [a - b for a, b in zip(shares(x, plan), shares(x, mpo), strict=True)]


@rational
def is_q_of_pi(x: Exact) -> list[fmpq]:
    """Zero if q = Q^pi: `q - (r + gamma E[E_pi q])`."""
    return minus(x.q, x.mdp.backup(x.mdp.mean(x.pi, x.q)))


@rational
def is_its_value(x: Exact) -> list[fmpq]:
    """Zero if v is the value of pi by q: `v - E_pi q`."""
    return minus(x.v, x.mdp.mean(x.pi, x.q))


def _advantages(x: Exact, discount: fmpq) -> list[fmpq]:
    """Mean one-step estimate of the advantage, minus `q - v`: `r + discount E[v] - v - (q - v)`."""
    out = []
    for (s, _), r, row, q in zip(x.mdp.pairs, x.mdp.reward, x.mdp.rows, x.q, strict=True):
        mean = dot([p for _, p in row], [x.v[t] for t, _ in row])
        out.append((r + discount * mean - x.v[s]) - (q - x.v[s]))
    return out


@rational
def printed_advantage(x: Exact) -> list[fmpq]:
    """Zero if SPO's advantage as printed, without the discount, were that of Q - V on average."""
    return _advantages(x, fmpq(1))


@rational
def corrected_advantage(x: Exact) -> list[fmpq]:
    """Zero if the advantage with the discount is that of Q - V on average."""
    return _advantages(x, x.mdp.gamma)


def lifted(x: Exact) -> list[arb]:
    """SPO's weights of one step, `pi exp((q - v)/eps)`."""
    return [p * exp((q - x.v[s]) / x.eps) for (s, _), p, q in zip(x.mdp.pairs, x.pi, x.q, strict=True)]


def printed_marginal(x: Exact) -> list[arb]:
    """Zero if SPO's first actions after two steps estimated its target: their limit minus it."""
    w = lifted(x)
    paths = [a * b for a, b in zip(w, expected(x, over(x, w)), strict=True)]
    return [a - b for a, b in zip(shares(x, paths), shares(x, w), strict=True)]


def corrected_marginal(x: Exact) -> list[arb]:
    """Zero if they do with weights that are normalised in each state: their limit minus the target."""
    target = shares(x, lifted(x))
    onward = expected(x, over(x, target))
    return [a * b - a for a, b in zip(target, onward, strict=True)]
