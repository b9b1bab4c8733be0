r"""Left minus right sides of the claims on MPO's gradient M-step, (21) and (23), as rigorous enclosures.

(21) is refuted on a chain of two states with one logit. A number a + b h, h an infinitesimal, is a pair (a, b): its
derivative in the logit goes along with every number. (23) is about tabular logits.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.claims.mpo.facts import backup, posterior


class Moving(NamedTuple):
    """A number and its derivative in the logit, both as balls."""

    at: arb
    slope: arb

    def __add__(self, other: "Moving") -> "Moving":  # type: ignore[override]
        """Sum."""
        return Moving(self.at + other.at, self.slope + other.slope)

    def __sub__(self, other: "Moving") -> "Moving":
        """Difference."""
        return Moving(self.at - other.at, self.slope - other.slope)

    def __mul__(self, other: "Moving") -> "Moving":  # type: ignore[override]
        """Product."""
        return Moving(self.at * other.at, self.slope * other.at + self.at * other.slope)

    def __truediv__(self, other: "Moving") -> "Moving":
        """Quotient."""
        out = self.at / other.at
        return Moving(out, (self.slope - out * other.slope) / other.at)

    def exp(self) -> "Moving":
        """Exponential."""
        return Moving(self.at.exp(), self.at.exp() * self.slope)

    def log(self) -> "Moving":
        """Logarithm."""
        return Moving(self.at.log(), self.slope / self.at)


def still(value: arb | fmpq | int) -> Moving:
    """A number that does not depend on the logit."""
    return Moving(arb(value), arb(0))


def summed(terms: Sequence[Moving]) -> Moving:
    """Sum of numbers."""
    out = still(0)
    for term in terms:
        out = out + term
    return out


def normalised(x: Exact, weights: Sequence[Moving]) -> list[Moving]:
    """Policy of positive weights per pair."""
    out = list(weights)
    for own in x.mdp.of_state:
        mass = summed([weights[i] for i in own])
        for i in own:
            out[i] = weights[i] / mass
    return out


def moving_policy(x: Exact) -> list[Moving]:
    """Softmax policy of the logits `omega` times the one feature."""
    (feature,) = x.features
    return normalised(x, [Moving(arb(x.omega[0] * b), arb(b)).exp() for b in feature])


def two_state_values(x: Exact, p: Sequence[Moving], gain: Sequence[Moving]) -> list[Moving]:
    """Discounted sums of `gain` per pair along a policy p in a chain of two states, by Cramer's rule."""
    gamma, stay, income = still(x.mdp.gamma), [], []
    for s, own in enumerate(x.mdp.of_state):
        stay.append(summed([p[i] * still(w) for i in own for t, w in x.mdp.rows[i] if t == s]))
        income.append(summed([p[i] * gain[i] for i in own]))
    one = still(1)
    a, b = (one - gamma * q for q in stay)
    leave = [gamma * (one - q) for q in stay]
    det = a * b - leave[0] * leave[1]
    return [(b * income[0] + leave[0] * income[1]) / det, (a * income[1] + leave[1] * income[0]) / det]


def backed_up(x: Exact, gain: Sequence[Moving], v: Sequence[Moving]) -> list[Moving]:
    """Values `gain + gamma E[v(s')]` per pair."""
    gamma = still(x.mdp.gamma)
    return [
        g + gamma * summed([still(w) * v[t] for t, w in row]) for g, row in zip(gain, x.mdp.rows, strict=True)
    ]


class Chain(NamedTuple):
    """What (21) is made of, on a chain: the policy, its values, the posterior (19), J's and f's values."""

    policy: list[Moving]
    values: list[Moving]
    posterior: list[Moving]
    gain: list[Moving]
    penalised: list[Moving]
    cost: list[Moving]
    divergence: list[Moving]


def chain(x: Exact) -> Chain:
    """Evaluate a chain of two states at its logit."""
    pi, rewards = moving_policy(x), [still(r) for r in x.mdp.reward]
    values = two_state_values(x, pi, rewards)
    q = backed_up(x, rewards, values)
    alpha = still(x.alpha)
    best = normalised(x, [p * (y / alpha).exp() for p, y in zip(pi, q, strict=True)])
    gain = [r - alpha * (b.log() - p.log()) for r, b, p in zip(rewards, best, pi, strict=True)]
    held, fixed = [still(b.at) for b in best], [still(p.at) for p in pi]
    cost = [still(0)] * len(pi)
    for own in x.mdp.of_state:
        kl = summed([held[i] * (held[i].log() - pi[i].log()) for i in own])
        cost = [kl if i in own else c for i, c in enumerate(cost)]
    return Chain(
        pi,
        values,
        best,
        gain,
        two_state_values(x, best, gain),
        cost,
        two_state_values(x, fixed, cost),
    )


def _equations(x: Exact, p: Sequence[Moving], gain: Sequence[Moving], v: Sequence[Moving]) -> list[Moving]:
    """Bellman equations of values v along p: left side minus right side per state."""
    right = backed_up(x, gain, v)
    return [v[s] - summed([p[i] * right[i] for i in own]) for s, own in enumerate(x.mdp.of_state)]


def plain_equations(x: Exact) -> list[Moving]:
    """Bellman equations of the policy's values."""
    c = chain(x)
    return _equations(x, c.policy, [still(r) for r in x.mdp.reward], c.values)


def penalised_equations(x: Exact) -> list[Moving]:
    """Bellman equations of the penalised values of the posterior."""
    c = chain(x)
    return _equations(x, c.posterior, c.gain, c.penalised)


def divergence_equations(x: Exact) -> list[Moving]:
    """Bellman equations of the divergence that the M-step decreases."""
    c = chain(x)
    return _equations(x, [still(p.at) for p in c.policy], c.cost, c.divergence)


def values_of(equations: Callable[[Exact], list[Moving]]) -> Callable[[Exact], list[arb]]:
    """The differences of equations at the logit, zero."""
    return lambda x: [y.at for y in equations(x)]


def slopes_of(equations: Callable[[Exact], list[Moving]]) -> Callable[[Exact], list[arb]]:
    """The derivatives in the logit of the differences of equations, zero."""
    return lambda x: [y.slope for y in equations(x)]


def falling_objective(x: Exact) -> list[arb]:
    """Product of the slopes of f and of J in the logit from the start: positive, so that J falls with f."""
    c = chain(x)
    slopes = [
        total(p * v.slope for p, v in zip(x.mdp.initial, part, strict=True))
        for part in (c.divergence, c.penalised)
    ]
    return [slopes[0] * slopes[1]]


# (23), with one logit per pair.


class Decrease(NamedTuple):
    """A tabular gradient step: squared norm of the gradient of f, and by how much f falls."""

    squared: arb
    fall: arb


def decrease(x: Exact) -> Decrease:
    """Take the step from the policy `pi` with visits `rho`, q the posterior (19)."""
    squared, fall, values = arb(0), arb(0), backup(x)
    for s, own in enumerate(x.mdp.of_state):
        q = posterior(own, x.pi, values, x.alpha)
        slope = {i: x.rho[s] * (x.pi[i] - p) for i, p in q.items()}
        squared += total(g * g for g in slope.values())
        log_mass = log(total(x.pi[i] * exp(-x.step * g) for i, g in slope.items()))
        fall += x.rho[s] * total(q[i] * (-x.step * g - log_mass) for i, g in slope.items())
    return Decrease(squared, fall)


def too_small_a_fall(x: Exact) -> list[arb]:
    """`(beta |grad f|)^2 - 4 fall^2`: positive where f falls by less than `beta |grad f| / 2`."""
    found = decrease(x)
    return [x.step**2 * found.squared - 4 * found.fall**2]


def some_slope(x: Exact) -> list[arb]:
    """Squared norm of the gradient of f."""
    return [decrease(x).squared]


def slope_below_one_half(x: Exact) -> list[arb]:
    """`1 - 4 |grad f|^2`."""
    return [1 - 4 * decrease(x).squared]


def enough_of_a_fall(x: Exact) -> list[arb]:
    """Fall of f minus `beta |grad f|^2 / 2`."""
    found = decrease(x)
    return [found.fall - x.step * found.squared / 2]


def short_step(x: Exact) -> list[arb]:
    """`1 - beta L`, L the sum of the visits."""
    return [arb(1 - x.step * sum(x.rho, fmpq(0)))]
