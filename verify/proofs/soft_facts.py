"""Limits with explicit bounds at a given temperature: Dirac, greedy policy, incremental residual error.

Every difference is written so that what cancels exactly has been cancelled: where a bound is attained it is
an exact zero, and elsewhere its leading term decides its sign.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total
from verify.arithmetic.exact import optimal_backup
from verify.arithmetic.instance import Exact

# Theorem 2 ii) of the talk: the policy at the maxima of Q*, eps.


def mass_off_maximum(x: Exact) -> list[arb]:
    """Twice the sum of exp(-gap/eps) over the actions that are not best, less their probability; by state."""
    found = []
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        off = [exp((x.q[i] - top) / x.eps) for i in own if x.q[i] < top]
        norm = total(exp(x.q[i] / x.eps) for i in own)
        chances = total(exp(x.q[i] / x.eps) / norm for i in own if x.q[i] < top)
        found.append(2 * total(off) - chances)
    return found


# Theorem 1 on a finite set: |E[phi] - phi(a*)| <= osc(phi) (n - 1) exp(-D/eps).


def maximisers(x: Exact) -> list[arb]:
    """How many there are, less 1."""
    return [arb(list(x.f).count(max(x.f)) - 1)]


def dirac(x: Exact, *, side: int) -> list[arb]:
    """The bound less `side` times the deviation, over the mass M of w_a = exp(-gap/eps), w* = 1.

    With b = osc(phi) (n - 1) it is b w_D - side sum (phi_a - phi*) w_a, whose coefficients at equal gaps are
    added exactly, plus b w_D sum w_a; a not best.
    """
    top, best = max(x.f), list(x.f).index(max(x.f))
    others = [
        (top - f, p - x.phi[best]) for i, (f, p) in enumerate(zip(x.f, x.phi, strict=True)) if i != best
    ]
    if not others:
        return [arb(0)]
    lead, bound = min(gap for gap, _ in others), (max(x.phi) - min(x.phi)) * len(others)
    linear = {lead: bound}
    for gap, p in others:
        linear[gap] = linear.get(gap, fmpq(0)) - side * p
    mass = total(exp(-gap / x.eps) for gap, _ in others)
    first = total(c * exp(-gap / x.eps) for gap, c in linear.items() if c)
    return [(first + bound * exp(-lead / x.eps) * mass) / (1 + mass)]


# The loss of the Boltzmann policy, max Q - E_pi[Q], is at most eps min(log A, (A - 1)/e).


def losses(x: Exact, q: Sequence[fmpq], eps: fmpq | arb) -> list[arb]:
    """One a state: the mean gap, exactly 0 where there is none."""
    out = []
    for own in x.mdp.of_state:
        gaps = [max(q[i] for i in own) - q[i] for i in own]
        weights = [exp(-gap / eps) for gap in gaps]
        out.append(
            total(g * w for g, w in zip(gaps, weights, strict=True)) / total(weights) if any(gaps) else arb(0)
        )
    return out


def n_actions(x: Exact) -> int:
    """Of the state that has most."""
    return max(map(len, x.mdp.of_state))


def factor(x: Exact, *, entropic: bool) -> arb:
    """Log A, or (A - 1)/e."""
    return log(fmpq(n_actions(x))) if entropic else (n_actions(x) - 1) * exp(fmpq(-1))


def loss(x: Exact) -> list[arb]:
    """Of every state."""
    return losses(x, x.q, x.eps)


def loss_bound(x: Exact, *, entropic: bool) -> list[arb]:
    """The bound less the loss."""
    return [factor(x, entropic=entropic) * x.eps - y for y in loss(x)]


def least_probability(x: Exact) -> list[arb]:
    """Log pi(a|s) + R/eps + log A, R the largest gap: (R - gap)/eps + log A - log sum exp(-gap/eps)."""
    gaps = [[max(x.q[i] for i in own) - x.q[i] for i in own] for own in x.mdp.of_state]
    largest, out = max(map(max, gaps)), []
    for own in gaps:
        full = len(own) == n_actions(x) and not any(own)  # log A - log A
        rest = arb(0) if full else log(fmpq(n_actions(x))) - total(exp(-gap / x.eps) for gap in own).log()
        out += [(largest - gap) / x.eps + rest for gap in own]
    return out


def two_actions(x: Exact) -> list[arb]:
    """Number of actions of every state, less 1."""
    return [arb(len(own) - 1) for own in x.mdp.of_state]


# The incremental target: T* Q - T_k Q = gamma E[loss], beta_k = beta - gamma E[loss].


def shortfall(x: Exact, q: Sequence[fmpq]) -> list[arb]:
    """T* Q - T_k Q of every pair."""
    v = losses(x, q, x.eps_k)
    return [x.mdp.gamma * total(p * v[t] for t, p in row) for row in x.mdp.rows]


def excess(x: Exact, q: Sequence[fmpq]) -> arb:
    """eps_{w,k} - eps_k - eps_w: half the mean of (beta - m)^2 - beta^2."""
    beta = _residual(x, q)
    return total(m * m - 2 * b * m for b, m in zip(beta, shortfall(x, q), strict=True)) / (2 * x.mdp.n_pairs)


def rate(x: Exact, *, entropic: bool) -> arb:
    """Delta (2 mean|beta| + delta)/2, delta = gamma eps_k log A or gamma eps_k (A - 1)/e."""
    delta = x.mdp.gamma * x.eps_k * factor(x, entropic=entropic)
    out: arb = delta * (2 * sum(map(abs, _residual(x, x.q)), fmpq(0)) / x.mdp.n_pairs + delta) / 2
    return out


def rate_above(x: Exact, *, entropic: bool) -> list[arb]:
    """The rate plus eps_k, less (eps_{w,k} - eps_w): eps_k cancels."""
    return [rate(x, entropic=entropic) - excess(x, x.q)]


def rate_below(x: Exact, *, entropic: bool) -> list[arb]:
    """The rate plus eps_k, less (eps_w - eps_{w,k})."""
    return [rate(x, entropic=entropic) + 2 * x.eps_k + excess(x, x.q)]


def target(x: Exact) -> list[arb]:
    """T* Q - T_k Q."""
    return shortfall(x, x.q)


def target_bound(x: Exact, *, entropic: bool) -> list[arb]:
    """Its bound at eps_k, the temperature of p_k in (36), less it."""
    delta = x.mdp.gamma * x.eps_k * factor(x, entropic=entropic)
    return [delta - m for m in shortfall(x, x.q)]


def own_error(x: Exact, *, name: str) -> list[arb]:
    """eps_{w,k} of a table."""
    q = x.parts[name]
    squares = [(b - m) ** 2 for b, m in zip(_residual(x, q), shortfall(x, q), strict=True)]
    return [total(squares) / (2 * x.mdp.n_pairs) + x.eps_k]


def squeeze(x: Exact) -> list[arb]:
    """delta^2/2 + eps_k less eps_{w,k} at Q*, where beta = -m: half of delta^2 less the mean of m^2."""
    delta = x.mdp.gamma * x.eps_k * factor(x, entropic=False)
    m = shortfall(x, x.q_star)
    return [(delta * delta - total(y * y for y in m) / x.mdp.n_pairs) / 2]


def _residual(x: Exact, q: Sequence[fmpq]) -> list[fmpq]:
    return [a - b for a, b in zip(optimal_backup(x.mdp, q), q, strict=True)]


# The soft target: (1 - gamma) ||beta||_1 <= || gamma beta P pi - beta ||_1.


def stationary(x: Exact) -> list[arb]:
    """|H| ||grad||_1 less (1 - gamma) ||beta||_1; exactly 0 where no sign differs, as sum pi = sum p = 1."""
    v, pi = [], []
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        weights = [exp((x.q[i] - top) / x.eps_k) for i in own]
        v.append(top + x.eps_k * total(weights).log())
        pi += [w / total(weights) for w in weights]
    ahead = [total(p * v[t] for t, p in row) for row in x.mdp.rows]
    beta = [r + x.mdp.gamma * e - q for r, e, q in zip(x.mdp.reward, ahead, x.q, strict=True)]
    pushed, signs = [arb(0)] * x.mdp.n_states, [set[int]() for _ in range(x.mdp.n_states)]
    for b, row in zip(beta, x.mdp.rows, strict=True):
        for t, p in row:
            pushed[t] += p * b
            signs[t].add(_sign(b))
    grad = [x.mdp.gamma * pi[i] * pushed[s] - beta[i] for i, (s, _) in enumerate(x.mdp.pairs)]
    for (s, _), b, g in zip(x.mdp.pairs, beta, grad, strict=True):
        signs[s] |= {_sign(b), -_sign(g)}
    if x.mdp.gamma == 0 or all(found in ({1}, {-1}) for found in signs):
        return [arb(0)]
    return [total(map(abs, grad)) - (1 - x.mdp.gamma) * total(map(abs, beta))]


def _sign(x: arb) -> int:
    return 1 if x > 0 else -1 if x < 0 else 0
