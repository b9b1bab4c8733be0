"""Left minus right sides as rigorous arb enclosures: Distral's blocks, hidden information, hierarchies.

Each function returns left side minus right side of a formula of `verify/statements.toml`, one ball per
component, from logarithms and exponentials of rational numbers.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total, xlogy
from verify.arithmetic.exact import Vector
from verify.arithmetic.instance import Exact


def divergence(a: Vector, b: Vector, own: Sequence[int]) -> arb:
    """KL divergence over the entries `own`: an exact zero where both are equal there."""
    if all(a[i] == b[i] for i in own):
        return arb(0)
    return total(xlogy(a[i], a[i] / b[i]) for i in own)


# Distral: `q` is any table, `share` the exponent rho, `d` the weight of the first task in each state.


def scores(x: Exact) -> list[arb]:
    """Logarithm of `p^rho e^(Q/alpha)` per pair."""
    return [x.share * log(p) + arb(q / x.alpha) for p, q in zip(x.prior, x.q, strict=True)]


def room_for_exponent(x: Exact) -> list[arb]:
    """Nonnegative if the exponent is at most 1: 1 minus it."""
    return [arb(1 - x.share)]


def at_posterior(x: Exact) -> list[arb]:
    """Zero if the posterior attains `alpha log sum_a p^rho e^(Q/alpha)`: objective there minus that value."""
    u, out = scores(x), []
    for own in x.mdp.of_state:
        mass = total(u[i].exp() for i in own)
        pi = {i: u[i].exp() / mass for i in own}
        cost = {i: pi[i].log() - x.share * log(x.prior[i]) for i in own}
        out.append(total(pi[i] * (x.q[i] - x.alpha * cost[i]) for i in own) - x.alpha * mass.log())
    return out


def above_any_policy(x: Exact) -> list[arb]:
    """Nonnegative if no policy exceeds `alpha log sum_a p^rho e^(Q/alpha)`: that value minus its objective.

    It is an exact zero in a state with one action.
    """
    u, out = scores(x), []
    for own in x.mdp.of_state:
        value = x.alpha * total(u[i].exp() for i in own).log()
        cost = {i: log(x.pi[i]) - x.share * log(x.prior[i]) for i in own}
        gain = total(x.pi[i] * (x.q[i] - x.alpha * cost[i]) for i in own)
        out.append(value - gain if len(own) > 1 else arb(0))
    return out


def mixture(x: Exact) -> Vector:
    """Policy distilled from `pi` and `pi_theta`, with weights d and 1 - d in each state."""
    pairs = zip(x.mdp.pairs, x.pi, x.pi_theta, strict=True)
    return tuple(x.d[s] * a + (1 - x.d[s]) * b for (s, _), a, b in pairs)


def lost_by_prior(x: Exact) -> list[arb]:
    """Zero if a prior loses `KL(mixture || prior)`: mean divergence from it minus that from the mixture, minus it."""
    mix, out = mixture(x), []
    for share, own in zip(x.d, x.mdp.of_state, strict=True):
        parts = [(share, x.pi), (1 - share, x.pi_theta)]
        from_prior, from_mix = (total(w * divergence(a, p, own) for w, a in parts) for p in (x.prior, mix))
        out.append(from_prior - from_mix - divergence(mix, x.prior, own))
    return out


def loss_of_prior(x: Exact) -> list[arb]:
    """Nonnegative if no prior is better than the mixture: `KL(mixture || prior)` per state."""
    mix = mixture(x)
    return [divergence(mix, x.prior, own) for own in x.mdp.of_state]


# Two bandits that pay `prize` for different actions, from the even prior on.


def leads(x: Exact) -> tuple[arb, arb]:
    """Probability of the first action under the posteriors of both tasks."""
    even, odds = fmpq(1, 2), exp(x.prize / x.alpha)
    return even * odds / (even * odds + even), even / (even + even * odds)


def prior_moves(x: Exact) -> list[arb]:
    """Zero if the even prior is its own M-step: mean of both posteriors minus 1/2."""
    first, second = leads(x)
    return [(first + second) / 2 - fmpq(1, 2)]


def can_lose(x: Exact) -> list[arb]:
    """Positive if the first task's posterior is not deterministic: 1 minus its larger probability."""
    return [1 - leads(x)[0]]


def leans(x: Exact) -> list[arb]:
    """Positive if the first task's posterior prefers its paying action: its probability minus 1/2."""
    return [leads(x)[0] - fmpq(1, 2)]


# Joint probabilities: a pair (state, action) stands for (action a, hidden part g) and leads to the state g.


def hidden_marginal(x: Exact) -> Vector:
    """Probability of each hidden part g, summed over actions."""
    out = [fmpq(0)] * x.mdp.n_states
    for (_, g), w in zip(x.mdp.pairs, x.weight, strict=True):
        out[g] += w
    return tuple(out)


def action_marginal(x: Exact, joint: Vector) -> Vector:
    """Probability of each action a, summed over hidden parts."""
    return tuple(sum((joint[i] for i in own), fmpq(0)) for own in x.mdp.of_state)


def total_mass(x: Exact) -> list[arb]:
    """Zero if the joint probabilities sum to 1."""
    return [arb(sum(x.weight, fmpq(0)) - 1)]


def mutual_information(x: Exact) -> arb:
    """Mutual information of action and hidden part; an exact zero where they are independent."""
    of_g, of_a = hidden_marginal(x), action_marginal(x, x.weight)
    even = tuple(of_a[a] * of_g[g] for a, g in x.mdp.pairs)
    return divergence(x.weight, even, tuple(range(len(even))))


def information(x: Exact) -> list[arb]:
    """Zero if a blind prior costs information plus its divergence: mean `KL(pi || d)` minus both.

    The prior of actions is the part `d`.
    """
    of_g, of_a = hidden_marginal(x), action_marginal(x, x.weight)
    cost = total(xlogy(w, w / of_g[g] / x.d[a]) for (a, g), w in zip(x.mdp.pairs, x.weight, strict=True))
    return [cost - mutual_information(x) - divergence(of_a, x.d, tuple(range(len(of_a))))]


def cost_above_information(x: Exact) -> list[arb]:
    """Nonnegative if no blind prior costs less than the information: the divergence of the mixture from it."""
    of_a = action_marginal(x, x.weight)
    return [divergence(of_a, x.d, tuple(range(len(of_a))))]


def default_joint(x: Exact) -> Vector:
    """Joint probabilities of (action, latent) under the default: `d(a) prior(z|a)`."""
    return tuple(x.d[a] * p for (a, _), p in zip(x.mdp.pairs, x.prior, strict=True))


def latent_marginal(x: Exact, joint: Vector) -> Vector:
    """Probability of each latent z, summed over actions."""
    out = [fmpq(0)] * x.mdp.n_states
    for (_, z), w in zip(x.mdp.pairs, joint, strict=True):
        out[z] += w
    return tuple(out)


def levels_divergence(x: Exact, joint: Vector, default: Vector) -> arb:
    """KL divergence of the high level plus the mean one of the low level."""
    high, default_high = latent_marginal(x, joint), latent_marginal(x, default)
    low = total(
        xlogy(w, (w / high[z]) / (u / default_high[z]))
        for (_, z), w, u in zip(x.mdp.pairs, joint, default, strict=True)
    )
    return low + divergence(high, default_high, tuple(range(len(high))))


def chain(x: Exact) -> list[arb]:
    """Zero if levels split the divergence of (z, a) as actions do: high plus low minus actions minus latents."""
    default = default_joint(x)
    of_a, default_a = action_marginal(x, x.weight), action_marginal(x, default)
    given = total(
        xlogy(w, (w / of_a[a]) / (u / default_a[a]))
        for (a, _), w, u in zip(x.mdp.pairs, x.weight, default, strict=True)
    )
    actions = divergence(of_a, default_a, tuple(range(len(of_a))))
    return [levels_divergence(x, x.weight, default) - actions - given]


def bound_by_levels(x: Exact) -> list[arb]:
    """Nonnegative if the levels bound the actions: divergence of the levels minus that of actions."""
    default = default_joint(x)
    of_a, default_a = action_marginal(x, x.weight), action_marginal(x, default)
    if all(w / p == u / q for w, p, u, q in _given_actions(x, default)):
        return [arb(0)]  # the latent is equally likely under both, given the action
    actions = divergence(of_a, default_a, tuple(range(len(of_a))))
    return [levels_divergence(x, x.weight, default) - actions]


def _given_actions(x: Exact, default: Vector) -> list[tuple[fmpq, fmpq, fmpq, fmpq]]:
    """Per pair: joint probability and marginal of the action, under the policy and under the default."""
    of_a, default_a = action_marginal(x, x.weight), action_marginal(x, default)
    rows = zip(x.mdp.pairs, x.weight, default, strict=True)
    return [(w, of_a[a], u, default_a[a]) for (a, _), w, u in rows]


def bound_by_high_level(x: Exact) -> list[arb]:
    """Nonnegative if the high level bounds the actions, low level shared, default high level `d`."""
    high = latent_marginal(x, x.weight)
    default = tuple(x.d[z] * w / high[z] for (_, z), w in zip(x.mdp.pairs, x.weight, strict=True))
    if all(w / p == u / q for w, p, u, q in _given_actions(x, default)):
        return [arb(0)]
    of_a, default_a = action_marginal(x, x.weight), action_marginal(x, default)
    n = tuple(range(len(high)))
    return [divergence(high, tuple(x.d), n) - divergence(of_a, default_a, n)]
