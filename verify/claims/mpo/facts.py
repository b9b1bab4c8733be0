r"""Left minus right sides of the claims on MPO, as rigorous enclosures, from the definitions.

The checker works with the formulas of `statements.toml` by exact algebra; here posteriors are balls, and values
of two-state chains come from Cramer's rule. Where a state's values are all equal its posterior is the prior
itself, so that differences that vanish are exact zeros.
"""

from collections.abc import Callable, Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.instance import Exact
from verify.proofs.shared_facts import minus, rational

Numbers = Sequence[arb | fmpq] | Sequence[arb] | Sequence[fmpq]


def backup(x: Exact) -> list[fmpq]:
    """Action values `r + gamma E[v(s')]` of an instance's state values v."""
    return list(x.mdp.backup(x.v))


def posterior(own: Sequence[int], p: Sequence[fmpq], values: Numbers, alpha: fmpq) -> dict[int, arb]:
    """Posterior `p e^(values/alpha) / Z` of the pairs `own` of a state."""
    if len({values[i] for i in own if p[i]}) == 1:
        return {i: arb(p[i]) for i in own}
    top = max(values[i] for i in own)
    weights = {i: p[i] * exp((values[i] - top) / alpha) for i in own}
    mass = total(weights.values())
    return {i: w / mass for i, w in weights.items()}


def lift(own: Sequence[int], p: Sequence[fmpq], values: Sequence[fmpq], alpha: fmpq) -> arb:
    """Largest one-step value in a state, `alpha log E_p e^(values/alpha)`, minus the mean value under p."""
    mean = sum((p[i] * values[i] for i in own), fmpq(0))
    if len({values[i] for i in own if p[i]}) == 1:
        return arb(0)
    return alpha * total(p[i] * exp((values[i] - mean) / alpha) for i in own).log()


def divergence(own: Sequence[int], q: Numbers, p: Numbers) -> arb:
    """Divergence `KL(q || p)` of a state; an exact zero where q and p are equal fractions."""
    return total(arb(q[i]) * log(q[i] / p[i]) for i in own if not (isinstance(q[i], fmpq) and q[i] == 0))


def mean(own: Sequence[int], p: Numbers | dict[int, arb], values: Numbers) -> arb:
    """Mean of `values` under p in a state."""
    return total(arb(p[i]) * values[i] for i in own)


def in_each_state(side: Callable[[Exact, Sequence[int]], arb]) -> Callable[[Exact], list[arb]]:
    """Decorator: a difference per state from a function of the instance and the state's pairs."""
    return lambda x: [side(x, own) for own in x.mdp.of_state]


# (11) with a prior exponent.


def _log_weights(x: Exact) -> list[arb]:
    return [x.share * log(p) + x.q[i] / x.alpha for i, p in enumerate(x.prior)]


def exponent_maximum(x: Exact) -> list[arb]:
    """Largest value `alpha log sum p^rho e^(q/alpha)` minus the objective of the policy `pi`, per state.

    It is alpha times the divergence of `pi` from the posterior, and an exact zero where both are equal.
    """
    w, out = _log_weights(x), []
    for own in x.mdp.of_state:
        if _is_posterior(x, own):
            out.append(arb(0))
            continue
        log_mass = total(exp(w[i]) for i in own).log()
        terms = (arb(x.pi[i]) * (log(x.pi[i]) - w[i] + log_mass) for i in own if x.pi[i])
        out.append(x.alpha * total(terms))
    return out


def _is_posterior(x: Exact, own: Sequence[int]) -> bool:
    """Whether `pi` is proportional to `p^share e^(q/alpha)`: only if all q are equal, as e^x is not algebraic."""
    first, (m, n) = own[0], (int(x.share.p), int(x.share.q))
    return all(
        x.q[i] == x.q[first] and (x.pi[i] / x.pi[first]) ** n == (x.prior[i] / x.prior[first]) ** m
        for i in own
    )


def exponent_attained(x: Exact) -> list[arb]:
    """Objective of the posterior minus the largest value, per state: zero."""
    w, out = _log_weights(x), []
    for own in x.mdp.of_state:
        mass = total(exp(w[i]) for i in own)
        best = {i: exp(w[i]) / mass for i in own}
        gain = total(
            p * (x.q[i] - x.alpha * x.share * log(p / x.prior[i]) - x.alpha * (1 - x.share) * log(p))
            for i, p in best.items()
        )
        out.append(gain - x.alpha * mass.log())
    return out


@rational
def share_at_most_one(x: Exact) -> list[fmpq]:
    """One minus the prior exponent."""
    return [1 - x.share]


# Prop. 1, (19), (20), EM.


@in_each_state
def penalty(x: Exact, own: Sequence[int]) -> arb:
    """Plain backup minus the penalised one, of any v: alpha KL(pi || prior)."""
    return arb(x.alpha) * divergence(own, x.pi, x.prior)


@rational
def visits_of_pi(x: Exact) -> list[fmpq]:
    """Difference `rho - (p_0 + gamma P_pi^T rho)` for the visits rho of the policy `pi`, per state."""
    ahead = list(x.mdp.initial)
    for (s, _), row, p in zip(x.mdp.pairs, x.mdp.rows, x.pi, strict=True):
        for t, w in row:
            ahead[t] += x.mdp.gamma * w * p * x.rho[s]
    return minus(x.rho, ahead)


def penalty_along(x: Exact) -> list[arb]:
    """Plain return minus the penalised one from the start: the penalties, weighted by visits."""
    return [total(rho * cost for rho, cost in zip(x.rho, penalty(x), strict=True))]


@in_each_state
def attained(x: Exact, own: Sequence[int]) -> arb:
    """One-step value of the posterior minus `alpha log E_pi e^(Q/alpha)`, zero."""
    q = backup(x)
    best = posterior(own, x.pi, q, x.alpha)
    ratio = total(p * log(p / x.pi[i]) for i, p in best.items() if x.pi[i])
    if len({q[i] for i in own if x.pi[i]}) == 1:
        ratio = arb(0)
    return mean(own, best, q) - arb(x.alpha) * ratio - mean(own, x.pi, q) - lift(own, x.pi, q, x.alpha)


@in_each_state
def not_beaten(x: Exact, own: Sequence[int]) -> arb:
    """`alpha log E_pi e^(Q/alpha)` minus the one-step value of `pi_theta`: alpha KL(pi_theta || posterior)."""
    best = posterior(own, x.pi, backup(x), x.alpha)
    flat = len({backup(x)[i] for i in own if x.pi[i]}) == 1
    against = [x.pi[i] if flat else best[i] for i in own]
    return arb(x.alpha) * divergence(range(len(own)), [x.pi_theta[i] for i in own], against)


@in_each_state
def e_step_rises(x: Exact, own: Sequence[int]) -> arb:
    """`alpha log E_pi e^(Q/alpha) - E_pi[Q]`, Jensen's difference."""
    return lift(own, x.pi, backup(x), x.alpha)


@in_each_state
def copy_rises(x: Exact, own: Sequence[int]) -> arb:
    """Mean of Q under the posterior minus `alpha log E_pi e^(Q/alpha)`: alpha KL(posterior || pi)."""
    q = backup(x)
    if len({q[i] for i in own if x.pi[i]}) == 1:
        return arb(0)
    best = posterior(own, x.pi, q, x.alpha)
    return arb(x.alpha) * total(p * log(p / x.pi[i]) for i, p in best.items() if x.pi[i])


@rational
def varies(x: Exact) -> list[fmpq]:
    """Positive if Q is not constant on the support of `pi` in every state: sum of its variances."""
    return [
        sum(
            (p * (y - x.v[s]) ** 2 for (s, _), p, y in zip(x.mdp.pairs, x.pi, backup(x), strict=True)),
            fmpq(0),
        )
    ]


def rises(x: Exact) -> list[arb]:
    """Positive if the E-step rises in some state: sum of Jensen's differences."""
    return [total(lift(own, x.pi, backup(x), x.alpha) for own in x.mdp.of_state)]


# The dual (9).


def weak_duality(x: Exact) -> list[arb]:
    """`g(eta)` at the budget KL(pi_theta || pi) minus the mean value of `pi_theta`: eta KL(pi_theta || q_eta)."""
    out = arb(0)
    for s, own in enumerate(x.mdp.of_state):
        best = posterior(own, x.pi, x.q, x.eps)
        flat = len({x.q[i] for i in own if x.pi[i]}) == 1
        against = [x.pi[i] if flat else best[i] for i in own]
        out += x.d[s] * x.eps * divergence(range(len(own)), [x.pi_theta[i] for i in own], against)
    return [out]


def no_gap(x: Exact) -> list[arb]:
    """Mean value of q_eta minus `g(eta)` at the budget KL(q_eta || pi), zero."""
    out = arb(0)
    for s, own in enumerate(x.mdp.of_state):
        best = posterior(own, x.pi, x.q, x.eps)
        kl = total(p * log(p / x.pi[i]) for i, p in best.items())
        log_mean = total(x.pi[i] * exp(x.q[i] / x.eps) for i in own).log()
        out += x.d[s] * (mean(own, best, x.q) - x.eps * kl - x.eps * log_mean)
    return [out]


def dual_slope(x: Exact) -> list[arb]:
    """Derivative of g, `epsilon + E_d[log Z - E_q[Q]/eta]`, minus `epsilon - KL(q_eta || pi)`: zero."""
    out = arb(0)
    for s, own in enumerate(x.mdp.of_state):
        best = posterior(own, x.pi, x.q, x.eps)
        log_mean = total(x.pi[i] * exp(x.q[i] / x.eps) for i in own).log()
        kl = total(p * log(p / x.pi[i]) for i, p in best.items())
        out += x.d[s] * (log_mean - mean(own, best, x.q) / x.eps + kl)
    return [out]


def dual_bend(x: Exact) -> list[arb]:
    """Derivative of `-KL(q_eta || pi)` in eta, by the product rule, minus `E_d Var(Q)/eta^3`: zero.

    As dq/deta = -q (Q - E_q[Q]) / eta^2, dKL/deta = sum of dq/deta log(q/pi).
    """
    out = arb(0)
    for s, own in enumerate(x.mdp.of_state):
        best = posterior(own, x.pi, x.q, x.eps)
        m = mean(own, best, x.q)
        moved = {i: -p * (x.q[i] - m) / x.eps**2 for i, p in best.items()}
        slope = -total(moved[i] * log(p / x.pi[i]) for i, p in best.items())
        out += x.d[s] * (slope - total(p * (x.q[i] - m) ** 2 for i, p in best.items()) / x.eps**3)
    return [out]


def variance(x: Exact) -> list[arb]:
    """Mean variance of Q under q_eta: nonnegative; an exact zero where Q is constant in every state."""
    out = arb(0)
    for s, own in enumerate(x.mdp.of_state):
        best = posterior(own, x.pi, x.q, x.eps)
        if len({x.q[i] for i in own}) > 1:
            out += x.d[s] * total(p * (x.q[i] - mean(own, best, x.q)) ** 2 for i, p in best.items())
    return [out]


# The second-order form (25).


def _covariance(x: Exact) -> fmpq:
    """Variance of the logit moves f under w: the form `Delta^T F Delta`."""
    first = sum((p * y for p, y in zip(x.w, x.f, strict=True)), fmpq(0))
    return sum((p * y * y for p, y in zip(x.w, x.f, strict=True)), fmpq(0)) - first * first


@rational
def two_actions(x: Exact) -> list[fmpq]:
    """Number of actions minus 2."""
    return [fmpq(len(x.w) - 2)]


@rational
def one_free_logit(x: Exact) -> list[fmpq]:
    """Sum of squared moves minus the square of their sum: zero if only one logit of two moves."""
    return [sum((y * y for y in x.f), fmpq(0)) - sum(x.f, fmpq(0)) ** 2]


@rational
def inverse_form(x: Exact) -> list[fmpq]:
    """Second-order term of the KL minus the form with the inverse Fisher matrix, of one logit."""
    return [_covariance(x) / 2 - sum(x.f, fmpq(0)) ** 2 / (x.w[0] * x.w[1])]


@rational
def half_form(x: Exact) -> list[fmpq]:
    """Second-order term of the KL, by the derivative of its gradient, minus half the form: zero."""
    mean_f = sum((p * y for p, y in zip(x.w, x.f, strict=True)), fmpq(0))
    slope = sum((p * (y - mean_f) * y for p, y in zip(x.w, x.f, strict=True)), fmpq(0))
    return [slope / 2 - _covariance(x) / 2]
