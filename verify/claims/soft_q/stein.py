r"""Claims on the sampler of Haarnoja et al. 2017, Eq. (13): Stein directions on an interval.

Target: $p(a) \propto e^{Q(a)/\alpha}$ on (-1, 1), Q a polynomial, sampled as $a = \tanh u$. For a density p
on an interval and a smooth kernel, $E_p[\kappa(x, y) (\log p)'(x) + \partial_x\kappa(x, y)] =
\int(p\kappa)'dx$ $= [p(x)\kappa(x, y)]$ between the ends: 0 for every y iff p vanishes there, as the density
of u does, but not that of a. With the log-density of u used on the actions, the same formula for the density
$e^{Q/\alpha}(1 - a^2)/Z$.

Both sides: `stein_direction` and the scores of `parts.stein` against integrals that are 0, derivatives by
        complex steps, and the boundary term; the means by separate sums over the same rule.
Bound:  truncation of the trapezoidal rule: below 1e-25 for |Q|/alpha <= 5, h >= 1/2 (on the strip |Im u| <=
        pi/4, |tanh u| <= 1, so that e^(Q/alpha), the kernel and the score grow by at most e^10, e^8 and e^2
        against the real line, and the rule gains e^-78). Rounding: sums of 641 terms and relative errors of
        64 u (1 + 2 |Q|/alpha) of the probabilities: (2048 + 512 |Q|/alpha) u times the sum of the absolute
        terms, and u itself.
Teeth:  `perturb` adds the derivative of a^2 to the score; changes the power of 1 - a^2.
"""

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.instances import fractions
from verify.claims.soft_q.stein_figure import figures
from verify.claims.soft_q.tools import STEP
from verify.engine.claim import ON_AN_INTERVAL, Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import Array, U
from virel_theory.variational.parts.stein import (
    action_weights,
    misplaced_score,
    squashed_score,
    stein_direction,
    tanh_rule,
)


def one_particle_gap(*, q: Array, alpha: float, h: float, y: float, perturb: float = 0.0) -> Gap:
    """Gap of (13) with one particle: alpha times its direction minus alpha times the score, zero."""
    score = squashed_score([y], q=Polynomial(q), alpha=alpha) + perturb
    direction = alpha * stein_direction([y], score=score, bandwidth=h)[0]
    truth = alpha * np.imag(log_density(y + 1j * STEP, q, alpha)) / STEP
    return Gap(abs(direction - truth), 64 * (len(q) + 8) * U * (2 * alpha + len(q) * np.abs(q).sum()))


def log_density(u: complex, q: Array, alpha: float) -> complex:
    """Log-density of u = artanh a, up to a constant: `Q(tanh u)/alpha + log(1 - tanh^2 u)`."""
    return complex(Polynomial(q)(np.tanh(u)) / alpha - 2 * np.log(np.cosh(u)))


def fixed_point_gap(
    *, q: Array, alpha: float, h: float, y: float, on_actions: bool = False, perturb: float = 0.0
) -> Gap:
    """Gap of (13) at its target: the mean direction at y under the density of u (or of the actions), zero."""
    u, _ = tanh_rule()
    x = np.tanh(u) if on_actions else u
    right = Polynomial(q).deriv()(x) / alpha
    score = right if on_actions else squashed_score(u, q=Polynomial(q), alpha=alpha)
    return _zero(x, score + 2 * perturb * np.tanh(u), y, h, q, alpha, power=0)


def boundary_gap(*, q: Array, alpha: float, h: float, y: float, perturb: float = 0.0) -> Gap:
    """Gap of (13) on the actions at the target: direction minus `p(1) k(1, y) - p(-1) k(-1, y)`, zero."""
    u, w = tanh_rule()
    a, f = np.tanh(u), Polynomial(q)
    p = action_weights(q=f, alpha=alpha)
    mean = stein_direction(a, score=f.deriv()(a) / alpha, bandwidth=h, at=[y], weights=p)[0]
    mass = float(w @ np.exp(f(a) / alpha))
    ends = [boundary(end, f, alpha) * np.exp(-((end - y) ** 2) / (2 * h**2)) for end in (1.0, -1.0)]
    found = _zero(a, f.deriv()(a) / alpha, y, h, q, alpha, power=0).bound
    return Gap(abs(mean - (1 - 2 * perturb) * (ends[0] - ends[1]) / mass), found + 2 * found * (1 + 1 / h))


def boundary(end: float, f: Polynomial, alpha: float) -> float:
    """Density of the target at an end of the interval, times its normalising integral."""
    return float(np.exp(f(end) / alpha))


def misplaced_gap(*, q: Array, alpha: float, h: float, y: float, perturb: float = 0.0) -> Gap:
    """Gap of the known error's target: direction under `exp(Q/alpha)(1 - a^2)/Z`, zero; shift of the mean.

    The shift of the mean action against the right target is `Cov(a, 1 - a^2)/E[1 - a^2]`.
    """
    u, _ = tanh_rule()
    a, f = np.tanh(u), Polynomial(q)
    score = f.deriv()(a) / alpha - target_power() * (1 - perturb) * 2 * np.sinh(u) * np.cosh(u)
    p, wrong = (action_weights(q=f, alpha=alpha, power=k) for k in (0, 1))
    room = np.cosh(u) ** -2.0
    shift = float(p @ (a * room) - (p @ a) * (p @ room)) / float(p @ room)
    size = 1 + np.abs(q).sum() / alpha
    bound = (2048 + 512 * size) * U * (1 + 1 / float(p @ room))
    inner = np.tanh([y, 0.5])
    code = misplaced_score(inner, q=f, alpha=alpha)
    plain = f.deriv()(inner) / alpha - 2 * np.sinh([y, 0.5]) * np.cosh([y, 0.5])
    return worst(
        _zero(a, score, y, h, q, alpha, power=1),
        Gap(abs(float(wrong @ a - p @ a) - shift), bound),
        Gap(np.abs(code - plain).max(), 64 * len(q) * U * (size * len(q) + np.cosh(y) ** 4 + 4)),
    )


def target_power() -> int:
    """Power of 1 - a^2 in the density that the wrong score targets."""
    return 1


def _zero(x: Array, score: Array, y: float, h: float, q: Array, alpha: float, *, power: int) -> Gap:
    """Gap of a mean direction at y under the rule's probabilities for `exp(Q/alpha)(1 - a^2)^power`, zero."""
    p = action_weights(q=Polynomial(q), alpha=alpha, power=power)
    mean = float(stein_direction(x, score=score, bandwidth=h, at=[y], weights=p)[0])
    apart = (x - y) / h
    size = float(p @ (np.exp(-(apart**2) / 2) * (np.abs(score) + np.abs(apart) / h)))
    return Gap(abs(mean), (2048 + 512 * np.abs(q).sum() / alpha) * U * (1 + size) + 1e-25)


_PARTS = {
    "q": st.integers(1, 5).flatmap(lambda n: fractions(n, 2, over=2)),
    "alpha": st.sampled_from((1.0, 2.0, 4.0)),
    "h": st.sampled_from((1.0, 0.5, 2.0)),
    "y": st.integers(-8, 8).map(lambda k: k / 4),
}
_ALL = st.fixed_dictionaries(_PARTS)
_ON_ACTIONS = st.fixed_dictionaries(_PARTS | {"on_actions": st.just(True)})

CLAIMS = (
    Claim(
        id="sql-stein",
        title="the sampler's direction: gradient ascent for one particle, zero at its target",
        source="about Haarnoja et al. 2017, Eq. (13), the sampler in u = artanh a",
        statement=r"\alpha\,E_{u\sim p}\big[\kappa(u,y)\nabla\log p(u) + \nabla_u\kappa(u,y)\big] = 0\ \forall y,\quad "
        r"p(u) \propto e^{Q(\tanh u)/\alpha}(1 - \tanh^2 u)",
        check=Check(fixed_point_gap, _ALL),
        not_certified=ON_AN_INTERVAL,
        expected=Verdict.HOLDS,
        printed=False,
        figures=figures,
        assumptions=(
            Assumption(
                "density vanishes at the ends",
                "the target's density is 0 at the ends of the set on which the particles move (moved as actions on (-1, 1) "
                "along the gradient of Q, particles at the target are driven by p(1) k(1, y) - p(-1) k(-1, y))",
                without=Check(fixed_point_gap, _ON_ACTIONS),
            ),
        ),
    ),
    Claim(
        id="sql-stein-one",
        title="one particle climbs the log-density",
        source="about Haarnoja et al. 2017, Eq. (13), N = 1",
        statement=r"N = 1:\quad \Delta f(u) = \alpha\nabla\log p(u)",
        check=Check(one_particle_gap, _ALL),
        not_certified=ON_AN_INTERVAL,
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="sql-stein-boundary",
        title="moved on the actions themselves, particles at the target are driven by the density at the ends",
        source="about Haarnoja et al. 2017, Eq. (13), the sampler on actions in (-1, 1)",
        statement=r"E_{a\sim p}[\kappa(a,y)\nabla\log p(a) + \nabla_a\kappa(a,y)] = p(1)\kappa(1,y) - p(-1)\kappa(-1,y)",
        check=Check(boundary_gap, _ALL),
        not_certified=ON_AN_INTERVAL,
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="sql-stein-space",
        title="with u's density used on the actions the particles target exp(Q/alpha)(1 - a^2)",
        source="about haarnoja/softlearning, issue 143",
        statement=r"E_{a\sim p_1}\big[\kappa(a,y)(Q'(a)/\alpha - \tfrac{2a}{1-a^2}) + \nabla_a\kappa(a,y)\big] = 0\ \forall y,\quad "
        r"p_1 \propto e^{Q/\alpha}(1-a^2),\quad E_{p_1}[a] - E_p[a] = Cov_p(a, 1-a^2)/E_p[1-a^2]",
        check=Check(misplaced_gap, _ALL),
        not_certified=ON_AN_INTERVAL,
        expected=Verdict.HOLDS,
        printed=False,
    ),
)
