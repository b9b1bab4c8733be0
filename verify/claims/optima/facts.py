"""Differences that prove or refute Theorem 2, Corollary 1, App. C and the VIREL talk's limit of `eps L`.

They are exact or enclosed in balls. Differences are formed after whatever cancels exactly: where a bound is
attained they are exact zeros, and elsewhere their leading term decides their sign. Each function returns left
side minus right side.
"""

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.claims.objective.facts import greedy_policy, objective, surplus
from verify.proofs.shared_facts import dot, loss_factor, losses, minus, n_actions, rational

# Theorem 2 and Corollary 1: the residual error and the optimum. A truth value [A] is 1 or 0.


@rational
def error_of_table(x: Exact) -> list[fmpq]:
    """Residual error of a table under T*, to be proved positive away from Q*."""
    return [exact.residual_error(x.mdp, x.q)]


@rational
def error_above_distance(x: Exact) -> list[fmpq]:
    """Nonnegative if eps > 0 away from Q*: `2 |H| eps - ((1 - gamma) ||Q - Q*||)^2`, eps under T*."""
    least = (1 - x.mdp.gamma) * _distance(x)
    return [2 * x.mdp.n_pairs * exact.residual_error(x.mdp, x.q) - least * least]


@rational
def error_below_distance(x: Exact) -> list[fmpq]:
    """Nonnegative if eps = 0 at Q*, with a rate: `((1 + gamma) ||Q - Q*||)^2 - 2 eps`, eps under T*."""
    most = (1 + x.mdp.gamma) * _distance(x)
    return [most * most - 2 * exact.residual_error(x.mdp, x.q)]


def _distance(x: Exact) -> fmpq:
    return max(abs(y) for y in minus(x.q, x.q_star))


@rational
def distance_from_optimum(x: Exact) -> list[fmpq]:
    """Distance `max |Q - Q*|` of a table from the optimum, to be proved positive."""
    return [_distance(x)]


@rational
def smallest_root(x: Exact) -> list[fmpq]:
    """Lower bound of a table's smallest self-consistent temperature, to be proved positive."""
    return [min(x.low)]


@rational
def mean_of_optimum(x: Exact) -> list[fmpq]:
    """Mean value `E_{d pi_theta}[Q*]`: if positive, L at Q* tends to infinity as eps falls to 0."""
    return [dot(x.d, x.mdp.mean(x.pi_theta, x.q_star))]


@rational
def negative_ratio(x: Exact) -> list[fmpq]:
    """Negated ratio `-eps/E[Q]` of a table Q with eps > 0: positive if Theorem 2's ratio may be negative.

    Then its ratio is below that at Q*, which is 0.
    """
    mean = dot(x.d, x.mdp.mean(x.pi_theta, x.q))
    return [-exact.residual_error(x.mdp, x.q) / mean] if mean != 0 else [fmpq(0)]


@rational
def loss_of_policy(x: Exact) -> list[fmpq]:
    """Suboptimality of pi_theta in every state, `V* - V^pi`."""
    return minus(x.mdp.best(x.q_star), x.v)


def at_greedy(x: Exact) -> list[arb]:
    """Zero if the objective L of the greedy policy is `E_d[max Q]/eps`: difference of the two."""
    top = sum((d * v for d, v in zip(x.d, x.mdp.best(x.q), strict=True)), fmpq(0))
    return [objective(x.with_parts(pi_theta=greedy_policy(x))) - top / x.eps]


def greedy_above_minimum(x: Exact) -> list[arb]:
    """Nonnegative if the greedy policy's objective L is at least `min Q/eps`: their difference."""
    return [surplus(x, greedy_policy(x))]


@rational
def unique_maxima(x: Exact) -> list[int]:
    """Zero where a state has a single maximiser of Q: number of its maximisers minus 1."""
    return [len(ties) - 1 for ties in exact.greedy_sets(x.mdp, x.q)]


def mass_off_maximum(x: Exact) -> list[arb]:
    """Nonnegative if pi_omega's mass off the best actions is at most `2 sum exp(-gap/eps)`: right minus left.

    The sum is over the actions that are not best.
    """
    found = []
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        off = [exp((x.q[i] - top) / x.eps) for i in own if x.q[i] < top]
        norm = total(exp(x.q[i] / x.eps) for i in own)
        chances = total(exp(x.q[i] / x.eps) / norm for i in own if x.q[i] < top)
        found.append(2 * total(off) - chances)
    return found


# App. C: the loss of the Boltzmann policy is at most eps log A and eps (A - 1)/e.


def loss(x: Exact) -> list[arb]:
    """Loss `max Q - E_pi[Q]` of the Boltzmann policy pi_omega in every state; nonnegative."""
    return losses(x, x.q, x.eps)


def loss_bound(x: Exact, *, entropic: bool) -> list[arb]:
    """Nonnegative if the Boltzmann policy's loss is at most `c eps`: `c eps - (max Q - E_pi[Q])`.

    c is log A if `entropic`, else (A - 1)/e.
    """
    return [loss_factor(x, entropic=entropic) * x.eps - y for y in loss(x)]


def least_probability(x: Exact) -> list[arb]:
    """Nonnegative if pi_omega is at least `exp(-R/eps)/A`, R the largest gap: `log pi + R/eps + log A`.

    R is the largest gap. It is `(R - gap)/eps + log A - log sum exp(-gap/eps)`.
    """
    gaps = [[max(x.q[i] for i in own) - x.q[i] for i in own] for own in x.mdp.of_state]
    largest, out = max(map(max, gaps)), []
    for own in gaps:
        full = len(own) == n_actions(x) and not any(own)  # log A - log A
        rest = arb(0) if full else log(fmpq(n_actions(x))) - total(exp(-gap / x.eps) for gap in own).log()
        out += [(largest - gap) / x.eps + rest for gap in own]
    return out


def more_than_one_action(x: Exact) -> list[arb]:
    """Positive where a state has a choice: number of its actions minus 1."""
    return [arb(len(own) - 1) for own in x.mdp.of_state]


# App. C: self-consistent temperatures, whose roots `root_proofs.with_roots` has isolated.


@rational
def several_roots(x: Exact) -> list[int]:
    """Positive if a table Q has several self-consistent temperatures: number of roots minus 1."""
    return [len(x.low) - 1]


@rational
def odd_roots(x: Exact) -> list[int]:
    """Zero if a table Q has an odd number of self-consistent temperatures, else -1."""
    return [len(x.low) % 2 - 1]


@rational
def largest_root(x: Exact) -> list[fmpq]:
    """Lower bound of a table's largest self-consistent temperature, to be proved positive."""
    return [max(x.low)]


# The talk's limit of eps L, which is E_{p_0 pi}[Q*] and not J.


@rational
def limit_minus_j(x: Exact) -> list[fmpq]:
    """Zero if the VIREL talk's limit of `eps L` is J: `E_{p_0 pi}[Q*] - J`, where J = `E_{p_0}[V^pi]`."""
    return [dot(x.mdp.initial, minus(x.mdp.mean(x.pi_theta, x.q_star), x.v))]


@rational
def performance_difference(x: Exact) -> list[fmpq]:
    """Zero if `E_{p_0 pi}[Q*] - J` is the discounted suboptimality `V* - E_pi[Q*]` from step 1 on."""
    loss = minus(x.mdp.best(x.q_star), x.mdp.mean(x.pi_theta, x.q_star))
    first = dot(x.mdp.initial, minus(x.mdp.mean(x.pi_theta, x.q_star), x.v))
    return [first - dot(minus(x.rho, x.mdp.initial), loss)]
