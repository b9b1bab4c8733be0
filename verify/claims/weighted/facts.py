"""Facts on RERPI and V-MPO, left side minus right side: Gaussian E- and M-steps, monotone weights, the Lagrangian.

A Gaussian instance has the variance `eps`, the distance of the optimum `delta` (the mean is 0), the
`bending` -Q'' and the temperature `alpha`. The `squeeze` is the ratio of the posterior's variance to the policy's.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import entropy, exp, log, logsumexp, softmax, total
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences
from verify.proofs.shared_facts import minus, rational


def squeeze(x: Exact) -> fmpq:
    """Ratio of the posterior's variance to the policy's."""
    out: fmpq = 1 / (1 + x.bending * x.eps / x.alpha)
    return out


@rational
def posterior_exists(x: Exact) -> list[fmpq]:
    """Positive if the posterior exists: `1 + c sigma^2 / eta`."""
    return [1 + x.bending * x.eps / x.alpha]


@rational
def bending(x: Exact) -> list[fmpq]:
    """Positive if Q is concave: its bending `-Q''`."""
    return [x.bending]


def score_at(place: int) -> Differences:
    """Difference of the slopes of `log pi + Q/eta` and of `log N(m, s^2)` at an action: zero."""

    @rational
    def difference(x: Exact) -> list[fmpq]:
        t = squeeze(x)
        precision = 1 / x.eps + x.bending / x.alpha
        return [
            -place / x.eps - x.bending * (place - x.delta) / x.alpha + precision * (place - (1 - t) * x.delta)
        ]

    return difference


@rational
def joint_law(x: Exact) -> list[fmpq]:
    """Zero if the joint M-step loses `c sigma^2 s^2 / eta` of the variance."""
    s = squeeze(x) * x.eps
    return [x.eps - s - x.bending * x.eps * s / x.alpha]


@rational
def decoupled_law(x: Exact) -> list[fmpq]:
    """Zero if the decoupled M-step changes the variance by `(1 - t) (D^2 (sigma^2 - s^2) - sigma^4) / sigma^2`."""
    t = squeeze(x)
    m, s = (1 - t) * x.delta, t * x.eps
    return [s + m * m - x.eps - (1 - t) * (x.delta * x.delta * (x.eps - s) - x.eps * x.eps) / x.eps]


@rational
def joint_growth(x: Exact) -> list[fmpq]:
    """Growth of the variance in the joint M-step, positive where Q is convex."""
    return [(squeeze(x) - 1) * x.eps]


@rational
def spread_against_distance(x: Exact) -> list[fmpq]:
    """Growth of `(sigma / D)^2` in the joint M-step, times both squared distances: `t (1 - t) sigma^2 D^2`."""
    t = squeeze(x)
    return [t * x.eps * x.delta * x.delta * (1 - t)]


@rational
def invariant(x: Exact) -> list[fmpq]:
    """Zero if the joint M-step keeps `D / sigma^2`: `(D - m) sigma^2 - D s^2`."""
    t = squeeze(x)
    return [(x.delta - (1 - t) * x.delta) * x.eps - x.delta * t * x.eps]


@rational
def shrinks(x: Exact) -> list[fmpq]:
    """One minus the factor by which distance and variance shrink."""
    return [1 - squeeze(x)]


@rational
def stays_positive(x: Exact) -> list[fmpq]:
    """Factor by which distance and variance shrink."""
    return [squeeze(x)]


@rational
def spends_less(x: Exact) -> list[fmpq]:
    """Mean part of the KL at one factor t: at (D, sigma^2) minus at (t D, t sigma^2), `D^2 (1-t)^3 / sigma^2`."""
    t = squeeze(x)
    return [x.delta * x.delta * (1 - t) ** 3 / x.eps]


def jacobian(x: Exact) -> list[arb]:
    """Zero if the slope of tanh is `1 - tanh^2`: `4 e^2u/(e^2u + 1)^2` minus that, at u = delta + eps."""
    e = exp(2 * (x.delta + x.eps))
    return [4 * e / (e + 1) ** 2 - (1 - ((e - 1) / (e + 1)) ** 2)]


def tanh_kl(x: Exact) -> list[arb]:
    """Zero if tanh drops out of the KL: mean log-ratio at mean +- sigma (exact for quadratics) minus the KL."""

    def ratio(u: fmpq) -> fmpq:  # the Jacobians of both densities are the same number
        out: fmpq = ((u - x.mu) / x.alpha) ** 2 / 2 - ((u - x.delta) / x.eps) ** 2 / 2
        return out

    mean = (ratio(x.delta + x.eps) + ratio(x.delta - x.eps)) / 2
    closed = ((x.eps / x.alpha) ** 2 + ((x.delta - x.mu) / x.alpha) ** 2 - 1) / 2
    return [arb(mean - closed)]


def association(x: Exact, weight: Sequence[fmpq | arb], table: Sequence[fmpq]) -> list[arb]:
    """Covariances `sum_ij pi_i pi_j (w_i - w_j) (f_i - f_j) / 2` of weights and a table under pi, per state.

    It is `E_pi[1] E_pi[w f] - E_pi[w] E_pi[f]`, and an exact zero where all values are tied.
    """
    out = []
    for own in x.mdp.of_state:
        terms = [
            x.pi[i] * x.pi[j] * (weight[i] - weight[j]) * (table[i] - table[j])
            for i in own
            for j in own
            if i < j and table[i] != table[j]
        ]
        out.append(total(terms) if terms else arb(0))
    return out


def exponential_weights(x: Exact) -> list[arb]:
    """Nonnegative if weights `e^(Q/eps)` improve: their covariance with Q."""
    return association(x, [exp(value / x.eps) for value in x.q], x.q)


def step_weights(x: Exact) -> list[arb]:
    """Nonnegative if weights `1[Q > delta]` improve: their covariance with Q.

    All weights that do not fall with Q are sums of such steps with nonnegative factors.
    """
    return association(x, _steps(x, x.q), x.q)


def _steps(x: Exact, table: Sequence[fmpq]) -> list[fmpq]:
    return [fmpq(int(value > x.delta)) for value in table]


@rational
def fitted(x: Exact) -> list[fmpq]:
    """Zero if pi_theta is pi with the weights `c + 1[Q > delta]`: normaliser times pi_theta minus the product."""
    weight = [x.c + step for step in _steps(x, x.mdp.backup(x.v))]
    normaliser = x.mdp.mean(x.pi, weight)
    return [
        p * normaliser[s] - q * w
        for (s, _), p, q, w in zip(x.mdp.pairs, x.pi_theta, x.pi, weight, strict=True)
    ]


@rational
def new_values(x: Exact) -> list[fmpq]:
    """Zero if v_new are the values of pi_theta: `v_new - E_pi_theta[r + gamma E v_new]`."""
    return minus(x.v_new, x.mdp.mean(x.pi_theta, x.mdp.backup(x.v_new)))


@rational
def improvement(x: Exact) -> list[fmpq]:
    """Nonnegative if the policy improves: `v_new - v`."""
    return minus(x.v_new, x.v)


def advantage(x: Exact) -> list[fmpq]:
    """Advantages `r + gamma E v - v` of the values v."""
    return [q - x.v[s] for (s, _), q in zip(x.mdp.pairs, x.mdp.backup(x.v), strict=True)]


@rational
def share_at_most_one(x: Exact) -> list[fmpq]:
    """One minus the fraction of the tied pairs that is kept."""
    return [1 - x.share]


def kept_advantage(x: Exact) -> list[arb]:
    """Nonnegative if kept pairs improve: `E_pi[f e^(A/alpha) A]`, as E_pi[A] = 0 the covariance of f e^(A/alpha), A."""
    gain = advantage(x)
    kept = [fmpq(int(a > x.delta)) + x.share * int(a == x.delta) for a in gain]
    return association(x, [f * exp(a / x.alpha) for f, a in zip(kept, gain, strict=True)], gain)


def all_kept(x: Exact) -> list[arb]:
    """Zero if V-MPO that keeps all has MPO's posterior: psi of (3), by advantages, less psi(s) times MPO's, by Q."""
    mean = x.mdp.mean(x.pi_theta, x.q)
    raised = [
        x.d[s] * x.pi_theta[i] * exp((x.q[i] - mean[s]) / x.eps) for i, (s, _) in enumerate(x.mdp.pairs)
    ]
    whole = total(raised)
    psi = [y / whole for y in raised]
    of_mpo = [p * exp(q / x.eps) for p, q in zip(x.pi_theta, x.q, strict=True)]
    out = []
    for own in x.mdp.of_state:
        state, normaliser = total(psi[i] for i in own), total(of_mpo[i] for i in own)
        out += [psi[i] - state * (of_mpo[i] / normaliser) for i in own]
    return out


def state_weights(x: Exact) -> list[arb]:
    """Zero if V-MPO's weight of a state is `d E_pi[e^(A/eps)] / Z`: the sum of its pairs minus that."""
    mean = x.mdp.mean(x.pi_theta, x.q)
    raised = [
        x.d[s] * x.pi_theta[i] * exp((x.q[i] - mean[s]) / x.eps) for i, (s, _) in enumerate(x.mdp.pairs)
    ]
    out = []
    for s, own in enumerate(x.mdp.of_state):
        here = x.d[s] * exp(-mean[s] / x.eps) * total(x.pi_theta[i] * exp(x.q[i] / x.eps) for i in own)
        out.append(total(raised[i] for i in own) / total(raised) - here / total(raised))
    return out


@rational
def kept_mass(x: Exact) -> list[fmpq]:
    """Zero if the kept mass is the share that is to be kept."""
    return [sum(x.joint, fmpq(0)) - x.share]


def dual_slope(x: Exact) -> list[arb]:
    """Zero if the slope of V-MPO's loss of the temperature is `chance - KL(psi || kept)`, chance the budget."""
    mass = sum(x.joint, fmpq(0))
    w = [p / mass for p in x.joint]
    top = max(x.f)
    weight = [p * exp((a - top) / x.alpha) for p, a in zip(w, x.f, strict=True)]
    z = total(weight)
    log_z = top / x.alpha + log(z)
    mean = total(y * a for y, a in zip(weight, x.f, strict=True)) / z
    slope = x.chance + log_z - mean / x.alpha
    psi = [y / z for y in weight]
    spent = total(p * log(p / q) for p, q in zip(psi, w, strict=True))
    return [slope - (x.chance - spent)]


def slope_difference(x: Exact, sign: int) -> list[arb]:
    """Slope of `L_pi + sign alpha (KL - epsilon)` minus that of (12) and (15), in every logit.

    On the left by the slopes of the logarithms, on the right by the known gradients of both losses.
    """
    out: list[arb] = []
    for s, own in enumerate(x.mdp.of_state):
        pi = dict(zip(own, softmax([x.omega[i] for i in own]), strict=True))
        pull = {j: -x.psi[j] - sign * x.alpha * x.d[s] * x.prior[j] for j in own}
        kept = sum((x.psi[j] for j in own), fmpq(0))
        for i in own:
            left = pull[i] - total(pull.values()) * pi[i]
            right = kept * pi[i] - x.psi[i] + x.alpha * x.d[s] * (pi[i] - x.prior[i])
            out.append(left - right)
    return out


def lagrangian_printed(x: Exact) -> list[arb]:
    """Difference of the slopes of V-MPO (14) as printed and of (12) and (15)."""
    return slope_difference(x, -1)


def lagrangian_corrected(x: Exact) -> list[arb]:
    """Zero if the corrected V-MPO (14) has the slope of (12) and (15)."""
    return slope_difference(x, 1)


def multiplier_slope(x: Exact) -> list[arb]:
    """Zero if the ascent of the corrected (14) in the multiplier is the descent of (15).

    The KL of the one is a sum of log-ratios, that of the other is taken apart into entropy, logits and `log Z`.
    """
    one, other = arb(0), arb(0)
    for s, own in enumerate(x.mdp.of_state):
        logits = [x.omega[i] for i in own]
        for i, p in zip(own, softmax(logits), strict=True):
            one += x.d[s] * x.prior[i] * log(x.prior[i] / p)
        other += x.d[s] * (logsumexp(logits) - entropy(x.prior[i] for i in own))
        other -= x.d[s] * sum((x.prior[i] * x.omega[i] for i in own), fmpq(0))
    return [(one - x.share) + (x.share - other)]
