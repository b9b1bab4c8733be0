"""Left minus right sides as rigorous enclosures: values through a model, and rollouts of the prior."""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import dot, minus, rational


def _means(x: Exact, v: Sequence[arb]) -> list[arb]:
    """Discounted mean `gamma E[v]` per pair."""
    return [x.mdp.gamma * total(p * v[t] for t, p in row) for row in x.mdp.rows]


def _costs(x: Exact) -> list[arb]:
    """Cost `alpha log(pi/prior)` per pair."""
    return [x.alpha * log(a / b) for a, b in zip(x.pi, x.prior, strict=True)]


def _regular(x: Exact, v: Sequence[arb]) -> list[arb]:
    """Regularised backup of state values v; the reward `r + alpha log(pi/prior)` pays the cost of KL."""
    gain = [(r + c) - c + m for r, c, m in zip(x.mdp.reward, _costs(x), _means(x, v), strict=True)]
    return [total(x.pi[i] * gain[i] for i in own) for own in x.mdp.of_state]


def _expansion(x: Exact, v: Sequence[arb]) -> list[arb]:
    """Difference of two expansions: that of `v`, and that of the exact critic `x.v`."""
    exact = _means(x, [arb(y) for y in x.v])
    return [a - b for a, b in zip(_means(x, v), exact, strict=True)]


def two_steps(x: Exact) -> list[arb]:
    """Zero if two steps of the true model, with the exact critic, give the action value."""
    return _expansion(x, _regular(x, [arb(y) for y in x.v]))


def three_steps(x: Exact) -> list[arb]:
    """Zero if three steps do."""
    return _expansion(x, _regular(x, _regular(x, [arb(y) for y in x.v])))


def _faded(x: Exact) -> list[fmpq]:
    """Error `gamma E[T_pi rho - v]` per pair of two steps with the critic `rho`."""
    backed = x.mdp.mean(x.pi, x.mdp.backup(x.rho))
    difference = minus(backed, x.v)
    return [x.mdp.gamma * dot([p for _, p in row], [difference[t] for t, _ in row]) for row in x.mdp.rows]


def _wrong(x: Exact) -> fmpq:
    """Size `gamma^2 max|rho - v|`."""
    return x.mdp.gamma**2 * max(abs(d) for d in minus(x.rho, x.v))


@rational
def fading(x: Exact) -> list[fmpq]:
    """Zero if the error of two steps is `gamma^2 E[E_pi[E[rho - v]]]`."""
    d = minus(x.rho, x.v)
    ahead = [dot([p for _, p in row], [d[t] for t, _ in row]) for row in x.mdp.rows]
    mean = x.mdp.mean(x.pi, ahead)
    right = [x.mdp.gamma**2 * dot([p for _, p in row], [mean[t] for t, _ in row]) for row in x.mdp.rows]
    return minus(_faded(x), right)


@rational
def not_above(x: Exact) -> list[fmpq]:
    """Nonnegative: the size of the critic's error after two steps, minus the error."""
    return [_wrong(x) - e for e in _faded(x)]


@rational
def not_below(x: Exact) -> list[fmpq]:
    """Nonnegative: the size of the critic's error after two steps, plus the error."""
    return [_wrong(x) + e for e in _faded(x)]


def _planned(x: Exact) -> list[fmpq]:
    """Action values of the prior, `r + gamma E[v]`."""
    return list(x.mdp.backup(x.v))


def attained(x: Exact) -> list[arb]:
    """Zero if the E-step's policy attains `alpha log E_p[exp(Q^p/alpha)]`: its backup of V^p minus that."""
    q, out = _planned(x), []
    for own in x.mdp.of_state:
        w = {i: x.prior[i] * exp(q[i] / x.alpha) for i in own}
        mass = total(w.values())
        backed = total(w[i] / mass * (q[i] - x.alpha * log(w[i] / mass / x.prior[i])) for i in own)
        out.append(backed - x.alpha * log(mass))
    return out


def e_step(x: Exact) -> list[arb]:
    """Nonnegative: `alpha log E_p[exp(Q^p/alpha)] - V^p`; an exact zero where all actions are worth the same."""
    q, out = _planned(x), []
    for s, own in enumerate(x.mdp.of_state):
        on = [i for i in own if x.prior[i]]
        same = len({q[i] for i in on}) == 1
        mass = total(x.prior[i] * exp(q[i] / x.alpha) for i in on)
        out.append(arb(0) if same else x.alpha * log(mass) - x.v[s])
    return out
