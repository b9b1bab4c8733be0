"""Gap functions of Lemma 1 and Eq. (20), limits of the objective L; (21) is in `lemma_1_dirac.py`.

Shapes of nascent deltas, p_sigma(a) = p((a - a*)/sigma)/sigma, where p has mean 0, variance 1 and values in
[0, 1]: "gaussian" N(0, 1); "uniform" on [-sqrt 3, sqrt 3]; "blocks", half each on [-c, -c/2] and [c/2, c]:
its variance is 2 (1/c) (c^3 - c^3/8)/3 = 7 c^2/12, so c^2 = 12/7, and p = 1/c there, so H(p) = log c.
Policies of ii): "uniform" on [-1, 1], "gaussian" cut to [-1, 1], "atom-and-uniform": 1/2 delta(0) + 1/2
uniform. Q(., s) are polynomials (lists of coefficients) on A = [-1, 1].

Bound:  written down before the first run. The library's quadrature aims at 1e-13 of E|Q|/eps and of the
        entropy's integral of |p log p|; 1e-11 (1 + max|Q|/eps + |H| + |log sigma|) allows a hundred times
        that. Infinities: -inf stands for "below every number", so L is compared with -n, and errors are
        clipped to the largest float so that they can be written down.
Teeth:  `perturb` drops log(sigma), changes eps or adds a nat.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial
from scipy.special import expn

from verify.engine.verdict import Gap, worst
from virel_theory.checks import Array, U
from virel_theory.continuous.boltzmann import elbo_continuous
from virel_theory.continuous.distributions import (
    Atom,
    Distribution,
    Gaussian,
    Mixture,
    Uniform,
    differential_entropy,
    expectation,
)
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo

Table = Sequence[Sequence[int]]
HUGE = float(np.finfo(np.float64).max)
BOX = Uniform(-1.0, 1.0)
C = math.sqrt(12 / 7)  # the outer end of "blocks"
ENTROPY = {
    "gaussian": (1 + math.log(2 * math.pi)) / 2,
    "uniform": math.log(2 * math.sqrt(3)),
    "blocks": math.log(C),
}
POLICIES: dict[str, Distribution] = {
    "uniform": BOX,
    "gaussian": Gaussian(0.0, 1.0, -1.0, 1.0),
    "atom-and-uniform": Mixture((0.5, 0.5), (Atom(0.0), BOX)),
}
SHAPES = tuple(ENTROPY)
SLOW = "1/(x log^2 x)"
"""Name of the density 1/(x log(x)^2) on (0, 1/e), whose differential entropy is -inf."""


def nascent(shape: str, *, a_star: float, sigma: float) -> Distribution:
    """Action density p_sigma of a given shape, which tends to a Dirac at `a_star` as sigma falls."""
    if shape == "gaussian":
        return Gaussian(a_star, sigma)
    if shape == "uniform":
        return Uniform(a_star - sigma * math.sqrt(3), a_star + sigma * math.sqrt(3))
    far = C * sigma
    return Mixture(
        (0.5, 0.5), (Uniform(a_star - far, a_star - far / 2), Uniform(a_star + far / 2, a_star + far))
    )


def dirac_gap(*, q: Table, a_star: float, shape: str, eps: float, n: int, perturb: float = 0.0) -> Gap:
    """Gap of Lemma 1 i), L -> -inf at a Dirac: L + n, to be below 0 once sigma is as small as (21) asks.

    sigma is at most 1/64. Actions are measured from a_star (L is invariant under translations), as sigma
    may be far below an ulp of it.
    """
    top = _size(q) / eps + ENTROPY[shape]
    sigma = min(math.exp(-n - top), 1 / 64)
    d = np.full(len(q), 1 / len(q))
    pi = [nascent(shape, a_star=0.0, sigma=sigma)] * len(q)
    shifted = [Polynomial(c)(Polynomial([a_star, 1])) for c in q]
    value = elbo_continuous(shifted, pi_theta=pi, d=d, eps=eps) - 2 * perturb * math.log(sigma)
    return Gap(value + n, 1e-11 * (1 + top + abs(math.log(sigma)) + n))


def substituted_gap(
    *, q: Table, a_star: float, shape: str, eps: float, sigma: float, perturb: float = 0.0
) -> Gap:
    """Gap of Eq. (20): `L - H(pi)` at p_sigma, near a Dirac, minus its limit `E_d[Q(a*, s)]/eps`; zero.

    Q is Lipschitz on the support, within sqrt(3) sigma of a* (9 sigma for a Gaussian).
    """
    d = np.full(len(q), 1 / len(q))
    p = nascent(shape, a_star=a_star, sigma=sigma)
    polynomials = [Polynomial(c) for c in q]
    left = elbo_continuous(polynomials, pi_theta=[p] * len(q), d=d, eps=eps) - differential_entropy(p).value
    right = float(np.mean([c(a_star) for c in polynomials])) / eps + perturb
    # E|X| <= 1 as the variance is 1; |Q'| is largest at radius 1 + 9 sigma, beyond which N(0, 1) has 1e-18
    slope = float(
        max(Polynomial(np.abs(c)).deriv()(abs(a_star) + 9 * sigma) if len(c) > 1 else 0.0 for c in q)
    )
    noise = 1e-11 * (1 + _size(q, abs(a_star) + 9 * sigma) / eps + abs(math.log(sigma)))
    return Gap(abs(left - right), slope * sigma / eps + noise)


def spread_gap(*, n: int, perturb: float = 0.0) -> Gap:
    """Gap of Lemma 1 i) for densities that tend to a Dirac and change shape: entropy, to be below 0.

    The density is (1 - 1/n) U[-1/n, 0] + (1/n) U[0, e^(n^2)].
    """
    p = Mixture((1 - 1 / n, 1 / n), (Uniform(-1 / n, 0.0), Uniform(0.0, math.exp(n * n))))
    return Gap(differential_entropy(p).value + perturb, 1e-11)


def finite_dirac_value_gap(
    *, mdp: TabularMDP, q: Array, actions: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Lemma 1 i) corrected, finite actions: `L - E_d[Q(a*, s)]/eps` at a deterministic policy, zero.

    That policy's entropy is 0. Bound: 16 (S + A + 8) u (1 + max|q|/eps + |min q|/eps).
    """
    value, expected, low = _finite_dirac(mdp, q, actions, d=d, eps=eps)
    scale = 1 + np.abs(q[mdp.available]).max() / eps + abs(low)
    return Gap(abs(value - expected - perturb), 16 * (sum(mdp.shape) + 8) * U * scale)


def growth_gap(*, q: Table, policy: str, n: int, rate: bool = False, perturb: float = 0.0) -> Gap:
    """Gap of Lemma 1 ii), L -> inf as eps falls: n - L at `eps = E[Q]/(n + 2)`, at most 0 if H(pi) >= -2.

    1/4 stands in for an E[Q] below it. With `rate` also |eps L - E[Q]| = eps |H| <= eps log 2, as 0 <= H <=
    log 2 for the densities on [-1, 1] (both are below 1). Neither needs more of Q than a mean of 1/4.
    """
    if policy == SLOW:
        return _slow_growth_gap(q, n, perturb)
    pi = POLICIES[policy]
    d = np.full(len(q), 1 / len(q))
    polynomials = [Polynomial(c) for c in q]
    mean = float(np.mean([expectation(c, pi) for c in polynomials]))
    eps = max(mean, 0.25) / (n + 2)
    value = elbo_continuous(polynomials, pi_theta=[pi] * len(q), d=d, eps=eps) * (1 - 2 * perturb)
    noise = 1e-11 * (1 + _size(q) / eps)
    growth = Gap(min(n - value, HUGE), noise)
    return worst(growth, Gap(abs(eps * value - mean), eps * (math.log(2) + noise))) if rate else growth


def _slow_growth_gap(q: Table, n: int, perturb: float) -> Gap:
    """Gap of Lemma 1 ii) for the density SLOW: n minus an upper bound of L, at most 0 if L grows beyond n.

    With t = -log x, E[x^k] = int_1^inf e^{-k t} t^-2 dt, an exponential integral. The entropy is -int_1^inf (t -
    2 log t) t^-2 dt, whose integrand is positive; up to T it is -(log T - 2 + 2 (1 + log T)/T), which bounds L
    from above whatever T is. log T = 6 + n + E[Q]/eps stands for infinity.
    """
    mean = float(np.mean([np.dot(c, expn(2, np.arange(len(c)))) for c in q]))
    eps = max(mean, 0.25) / (n + 2)
    log_t = 6 + n + abs(mean) / eps
    entropy = -(log_t - 2 + 2 * (1 + log_t) * math.exp(-log_t))
    return Gap(n - (mean / eps + entropy * (1 - 2 * perturb)), 1e-11 * (1 + n + _size(q) / eps))


def mixed_sign(q: Table) -> bool:
    """Whether Q < 0 at a probed action while E[Q] >= 1/4 under both the uniform and the Gaussian policy.

    Probed are -1, 0 and 1 in each state; d is uniform. Q = c0 + c1 a + c2 a^2 has E[Q] = c0 + c2 E[a^2],
    where E[a^2] = 1/3 or 1 - 2 phi(1)/(Phi(1) - Phi(-1)) = 0.2911. It is linear in E[a^2], so the ends of
    [0.29, 1/3] decide.
    """
    c = np.array([[*row, 0, 0][:3] for row in q])
    means = c[:, 0].mean() + c[:, 2].mean() * np.array([0.29, 1 / 3])
    lowest = min(Polynomial(row)(np.array([-1.0, 0.0, 1.0])).min() for row in c)
    return bool(lowest < 0 and means.min() >= 0.25)


def finite_growth_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Lemma 1 ii), L -> inf as eps falls, on finite actions: distance of L from [low, low + log A].

    low = E_{d pi}[Q]/eps, as 0 <= H <= log A. So eps L -> E_{d pi}[Q] > 0, and L has no bound as eps falls.
    """
    value = elbo(q, pi_theta=pi_theta, d=d, eps=eps) * (1 - 2 * perturb)
    low = float(np.sum(d[:, None] * pi_theta * np.where(mdp.available, q, 0.0))) / eps
    rounding = _rounding(mdp, q, eps)
    return worst(
        Gap(low - value, rounding), Gap(value - low - math.log(mdp.n_actions), rounding), Gap(-low, 0.0)
    )


def finite_limit_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, n: int, perturb: float = 0.0
) -> Gap:
    """Gap of Lemma 1 ii), L -> inf, finite actions: n - L at `eps = 1/(4n)`, at most 0 if Q >= 1/4.

    Without a positive lower bound of Q it fails.
    """
    eps = 1 / (4 * n)
    return Gap(n - elbo(q, pi_theta=pi_theta, d=d, eps=eps) + perturb * 2 * n, _rounding(mdp, q, eps))


def _finite_dirac(
    mdp: TabularMDP, q: Array, actions: Array, *, d: Array, eps: float
) -> tuple[float, float, float]:
    """Objective L at a deterministic policy a*, the corrected limit `E_d[Q(a*, s)]/eps`, and `min Q/eps`.

    The policy takes the k-th available action of each state, k modulo their number.
    """
    chosen = [np.flatnonzero(row)[int(k) % row.sum()] for row, k in zip(mdp.available, actions, strict=False)]
    pi = np.eye(mdp.n_actions)[chosen]
    picked = q[np.arange(mdp.n_states), chosen]
    low = float(q[mdp.available].min()) / eps
    return elbo(q, pi_theta=pi, d=d, eps=eps), float(d @ picked) / eps, low


def _rounding(mdp: TabularMDP, q: Array, eps: float) -> float:
    return (
        16
        * (sum(mdp.shape) + 8)
        * U
        * (1 + float(np.abs(q[mdp.available]).max()) / eps + math.log(mdp.n_actions))
    )


def _size(q: Table, radius: float = 1.0) -> float:
    """Bound of `max |Q(a, s)|`, Q polynomial in a, over all states and actions |a| <= radius."""
    return float(max(Polynomial(np.abs(c))(radius) for c in q))
