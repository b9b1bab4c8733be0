"""Steps of Lemma 1 i)'s proof on the entropy of a Dirac, Eq. (21): as printed and repaired.

Printed: p : X -> [0, 1] has mean 0 and variance 1, A = sigma X + a*, "and hence" p(a) = p(sigma x -
a*)/sigma; then a display of limits as sigma -> 0, whose sixth line is (21). Let p_sigma be the density of
A. Substituting a = sigma x + a*, H(p_sigma) = H(p) + log sigma, and 0 <= H(p) <= log(2 pi e)/2 as 0 <= p <=
1 and the variance is 1: the left side of (21) is -inf. The right side is -inf too where p(-a*) > 0, and inf
- inf elsewhere. So (21) is right where its terms make sense. What is wrong is the change of variables, and
with it the constant: log p(sigma x - a*) in place of log p(x) leaves log p(-a*) in the limit.

Bound:  written down before the first run. A density has two logarithms and an exponential, and p is at most
        1. The ends of an interval are rounded at the size of a* + 2 sigma and its length is at least
        sigma/2, so a density times sigma is within 16 ulps of 4 + |log sigma| + |a*|/sigma. Entropies as in
        `lemma_1_gaps.py`.
Teeth:  `perturb` adds 1 to a density, a nat to an entropy, or changes the sign of log sigma.
"""

import math

import numpy as np
from hypothesis import strategies as st

from verify.claims.objective.lemma_1_gaps import ENTROPY, HUGE, SHAPES, nascent
from verify.engine.claim import Assumption, Check, Correction, Instance, Step
from verify.engine.verdict import Gap
from virel_theory.checks import U
from virel_theory.continuous.distributions import differential_entropy, log_density

SHAPE = st.sampled_from(SHAPES)
A_STAR = st.sampled_from((0.0, 0.5, -0.5))
SIGMA = st.sampled_from((0.25, 2.0**-6, 2.0**-12))
FAR = st.sampled_from((0.0, 0.5, -0.5, 1.0, 2.0))
POINT = st.sampled_from((1.0, 0.0, 2.0, -1.0, 0.5))  # none is an end of an interval of p


def log_p(shape: str, x: float) -> float:
    """Logarithm at x of p, the density of a shape with mean 0 and variance 1; -inf where p vanishes."""
    return float(log_density(nascent(shape, a_star=0.0, sigma=1.0), [x])[0])


def printed_21_gap(*, shape: str, a_star: float, n: int, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (21), entropy of a Dirac -> -inf: n + the larger side at sigma = exp(-n - 3), at most 0.

    The sides are H(p_sigma) and -log p(-a*) + log sigma. Both must be below -n, and that is enough: each is a
    constant plus log sigma, and the constants are at most 3: H(p) <= 1.42; -log p(-a*) <= 0.92 + 2 for N(0,
    1) and |a*| <= 2, and log p = -H(p) on the support of the others. If p(-a*) = 0 the second is +inf for
    every sigma. H does not depend on a*, so p_sigma is put about 0, as sigma may be far below an ulp of a*.
    """
    log_sigma = -n - 3.0
    left = differential_entropy(nascent(shape, a_star=0.0, sigma=math.exp(log_sigma))).value
    right = log_sigma - log_p(shape, -a_star)
    worse = max(left - 2 * perturb * log_sigma, right)
    return Gap(min(worse + n, HUGE), 1e-11 * (4 + abs(log_sigma)))


def density_gap(
    *, shape: str, a_star: float, sigma: float, x: float, repaired: bool = False, perturb: float = 0.0
) -> Gap:
    """Gap of the step above (21): density of the scaled action `A = sigma X + a*` minus the printed, zero.

    Both are multiplied by sigma and taken at a = sigma x + a*; p(sigma x - a*) is printed. Repaired: minus
    p((a - a*)/sigma). The printed x may be this x, or a misprint of a: the better of the two counts, so that
    only what is false on both fails.
    """
    a = sigma * x + a_star
    of_a = float(log_density(nascent(shape, a_star=a_star, sigma=sigma), [a])[0])
    left = sigma * math.exp(of_a) + perturb
    points = [(a - a_star) / sigma] if repaired else [sigma * x - a_star, sigma * a - a_star]
    error = min(abs(left - math.exp(log_p(shape, y))) for y in points)
    return Gap(error, 16 * U * (4 + abs(math.log(sigma)) + abs(a_star) / sigma))


def first_term_gap(
    *, shape: str, a_star: float, sigma: float, repaired: bool = False, perturb: float = 0.0
) -> Gap:
    """Gap of (21)'s first term, `-int p_sigma log(sigma p_sigma)`: minus the printed `-log p(-a*)`, or H(p).

    H(p) is the repaired right side. The left side, H(p_sigma) - log sigma, does not depend on sigma, so its
    limit is its value at any sigma.
    """
    p_sigma = nascent(shape, a_star=a_star, sigma=sigma)
    left = differential_entropy(p_sigma).value - math.log(sigma) + perturb
    right = ENTROPY[shape] if repaired else -log_p(shape, -a_star)
    return Gap(min(abs(left - right), HUGE), 1e-11 * (4 + abs(math.log(sigma))))


def _vanishes(x: Instance) -> bool:
    return bool(np.isneginf(log_p(x["shape"], -x["a_star"])))


_DENSITY = (
    r"A lies below $a$ if and only if X lies below $(a - a^*)/\sigma$; differentiate in $a$. By hand, N(0, 1), $a^* = 0$, $\sigma = 1/4$, at $x = 1$, that is"
    r" $a = 1/4$: the density of A is $4\varphi(1) = 0.968$, the printed one $4\varphi(1/4) = 1.547$, and $4\varphi(1/16) = 1.593$ if its $x$ is a misprint of"
    r" $a$. Neither is a density: over $a$ they integrate to $1/\sigma$ and $1/\sigma^2$."
)
_FIRST_TERM = (
    r"The display of (21), line by line: $\lim\mathcal H(p)$; p written out; the integral; its split into two; the limit of each; (21). All these"
    r" limits are $-\infty$, so as whole lines they do not fail where $p(-a^*) > 0$; the proof gets from line 4 to line 5 by the limit of each term. The"
    r" second terms agree. With $a = \sigma x + a^*$, $-\int p_\sigma\log(\sigma p_\sigma)da = -\int p(x)"
    r"\log p(x)dx = \mathcal H(p)$ for every $\sigma$; the print has $-\log p(-a^*)$, for N(0, 1) $\tfrac12\log(2\pi) + \tfrac12 a^{*2}$ instead of"
    r" $\tfrac12\log(2\pi) + \tfrac12$: right only at $a^* = \pm1$. (With the printed integrand in place of $p_\sigma$ the term is $\mathcal H(p)/\sigma$, or"
    r" $\mathcal H(p)/\sigma^2$ if $x$ is a misprint of $a$, which tends to $\infty$ where $\mathcal H(p) > 0$.) As $0 \le p \le 1$ and the variance is 1,"
    r" $0 \le \mathcal H(p) \le \tfrac12\log(2\pi e)$, so the conclusion stands for every such $p$ and $a^*$, also where $p(-a^*) = 0$."
)
_DENSITY_PARTS = {"shape": SHAPE, "a_star": A_STAR, "sigma": SIGMA, "x": POINT}
_TERM_PARTS = {"shape": SHAPE, "a_star": A_STAR, "sigma": SIGMA}
_REPAIRED = {"repaired": st.just(True)}
STEPS = (
    Step(
        "change of variables, above (21)",
        r"A = \sigma X + a^*\ \Rightarrow\ p(a) = \tfrac1\sigma p(\sigma x - a^*)",
        Check(density_gap, st.fixed_dictionaries(_DENSITY_PARTS)),
        Correction(
            r"p_\sigma(a) = \tfrac1\sigma p\big(\tfrac{a - a^*}{\sigma}\big)",
            _DENSITY,
            Check(density_gap, st.fixed_dictionaries(_DENSITY_PARTS | _REPAIRED)),
        ),
    ),
    Step(
        "first terms, from line 4 to line 5 of the display of (21)",
        r"-\lim_{\sigma\to0}\int_A p_\sigma(a)\log(\sigma p_\sigma(a))\,da = -\int_A\delta(a^*)\log p(-a^*)\,da\quad"
        r"\text{(a reading: } p_\sigma \text{ for the printed } \tfrac1\sigma p(\sigma x - a^*) \text{, and term by term)}",
        Check(first_term_gap, st.fixed_dictionaries(_TERM_PARTS)),
        Correction(
            r"-\int_A p_\sigma(a)\log(\sigma p_\sigma(a))\,da = \mathcal H(p),\quad "
            r"\mathcal H(\delta(a^*)) = \mathcal H(p) + \lim_{\sigma\to0}\log\sigma = -\infty",
            _FIRST_TERM,
            Check(first_term_gap, st.fixed_dictionaries(_TERM_PARTS | _REPAIRED)),
        ),
    ),
)
_DRAWN = st.fixed_dictionaries({"shape": SHAPE, "a_star": FAR, "n": st.sampled_from((1, 10, 100))})
PRINTED_21 = Check(printed_21_gap, _DRAWN.filter(lambda x: not _vanishes(x)))
POSITIVE_AT_MINUS_A_STAR = Assumption(
    "p(-a*) > 0",
    r"not printed: p is any density of mean 0 and variance 1, and a* is any. Where p(-a*) = 0 the right side is inf - inf, while H(delta(a*)) is -inf as ever",
    Check(printed_21_gap, _DRAWN.filter(_vanishes)),
)
