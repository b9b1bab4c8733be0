"""Claims on Theorem 1's proof, (12)-(19), step by step, on functions for which its conclusion is true.

(13)-(17) and the inequalities (18), (19) hold. What (18), (19) are used for does not: a constant dominates
nothing on U, which grows to the whole line. That is a step of (12). Checks, bounds and teeth are in `printed_proof_gaps.py`.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.theorem_1 import printed_proof_gaps as gaps
from verify.claims.theorem_1.peaks import EPS, coefficients, smooth_peaks
from verify.engine.claim import ON_AN_INTERVAL, Assumption, Check, Claim, Correction, Instance, Step
from verify.engine.plotdata import Curve, Figure, Panel
from verify.engine.verdict import Verdict, Weight
from virel_theory.continuous.boltzmann import boltzmann_density

_WARM = st.sampled_from((1.0, 0.5, 0.25, 2.0))
_COLD = st.sampled_from((2.0**-6, 2.0**-8, 2.0**-10, 1e-4, 1e-6))
_ANY = st.sampled_from(EPS)
_U = st.sampled_from((1.0, -1.0, 0.0, 0.5, -0.5, 2.0, -2.0))
_ONE = st.just([1])
_OFFSET = st.integers(-4, 4)


def _dicts(**parts: st.SearchStrategy[object]) -> st.SearchStrategy[Instance]:
    return st.fixed_dictionaries(parts)


_SPLIT = Check(gaps.split_gap, _dicts(b=st.integers(1, 3), h=st.integers(1, 3), eps=_COLD), n_random=60)
_SPLIT_STATEMENT = (
    r"|\varphi(x^*-\sqrt\varepsilon u)|e^{g/\varepsilon} \le \|\varphi\|_\infty e^{-\kappa u^2} \text{ where } \sqrt\varepsilon\|u\| \le \delta,"
    r"\quad \int_{\sqrt\varepsilon\|u\|>\delta} e^{g/\varepsilon}du \le |X|\,\varepsilon^{-n/2}e^{-\Delta_\delta/\varepsilon} \to 0"
)
_SPLIT_DERIVATION = r"""
A dominating function must not depend on $\varepsilon$ and must be integrable over $\bigcup_\varepsilon U_\varepsilon = \mathbb R^n$; for a constant $C$,
$\int_{U_\varepsilon} C\,du = C|X|\varepsilon^{-n/2}\to\infty$. It is not a formality: $f = -x^4$ on $[-1, 1]$ meets every printed
hypothesis, $f''(0) = 0$, both integrals tend to infinity, and the last display reads $\infty/\infty$, although (12) holds. Repair, if $\nabla^2 f(x^*) < 0$ and $f$ is continuous on the compact $X$: choose $\delta$ with
$g(x) \le -\kappa\|x-x^*\|^2$ on $B_\delta(x^*)$, $\kappa > 0$ (Taylor). There $e^{g/\varepsilon} \le e^{-\kappa\|u\|^2}$, integrable and free of $\varepsilon$,
and dominated convergence applies to $1[\sqrt\varepsilon\|u\|\le\delta]$ times the integrand. Outside $g \le -\Delta_\delta < 0$ by compactness. If
$\nabla^2 f(x^*)$ is singular this scaling is the wrong one (for $-x^4$ it is $\varepsilon^{1/4}$); the correction of `theorem-1` needs none."""


_STEPS_12 = (
    Step(
        "second-order sufficient conditions",
        r"u^\top\nabla^2 f(x^*)u \le 0 \text{ with equality only when } u = 0",
        Check(gaps.second_order_gap, _dicts(p=st.sampled_from((2, 4)), c=st.integers(1, 4))),
        Correction(
            r"u^\top\nabla^2 f(x^*)u \le 0",
            r"At an interior maximum the *necessary* condition holds, with equality possible for $u \ne 0$: $f = -x^4$ has $f''(0) = 0$. The last"
            r" display is then $\varphi(x^*)\cdot\infty/\infty$, although (12) holds (with rate $\varepsilon^{1/2}$, claim `theorem-1-rates`).",
            Check(
                gaps.second_order_gap,
                _dicts(p=st.sampled_from((2, 4, 6)), c=st.integers(1, 4), strict=st.just(False)),
            ),
        ),
    ),
    Step(
        "the last display",
        r"\frac{\int_U \varphi(x^*)\exp(u^\top\nabla^2 f(x^*)u)\,du}{\int_U \exp(u^\top\nabla^2 f(x^*)u)\,du} = \varphi(x^*)",
        Check(
            gaps.denominator_gap,
            _dicts(p=st.sampled_from((2, 4)), c=st.integers(1, 4), n=st.integers(2, 16)),
            recorded={"p": 4, "c": 1, "n": 2},
        ),
        Correction(_SPLIT_STATEMENT, _SPLIT_DERIVATION, _SPLIT),
    ),
    Step(
        "the integral, with the factor 1/2 of (16) and (17)",
        r"\lim_{\varepsilon\to0}\int_U e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}du ="
        r" \int_{\mathbb R^n}\exp(\tfrac12 u^\top\nabla^2 f(x^*)u)\,du = (2\pi)^{n/2}\,|{-\nabla^2 f(x^*)}|^{-1/2} \text{ where } \nabla^2 f(x^*) < 0",
        Check(gaps.last_display_gap, smooth_peaks(eps=st.sampled_from((1e-6, 1e-4, 1e-2)))),
    ),
)

_INTERIOR = Assumption(
    "interior maximum",
    "at an end of X the gradient need not vanish: g/eps tends to -inf for f = -x on [0, 1], not to 0",
    Check(gaps.boundary_pointwise_gap, _dicts(u=st.sampled_from((-1.0, 0.0)), eps=_COLD), n_random=10),
)
_FROM_G = r"e^{g(x)/\varepsilon}\big/\textstyle\int_X e^{g(x)/\varepsilon}dx"


def figures(seed: int) -> Sequence[Figure]:
    """Figure of Theorem 1's integral over U as eps falls, for two f; for one, limit and integral differ."""
    eps = 10.0 ** np.linspace(-1, -8, 22)
    wells, one = Polynomial([-1, 0, 2, 0, -1]), Polynomial([0, 0, -4, -1])
    tops = [boltzmann_density(wells, [1.0], interval=(-2, 2), eps=e)[0] for e in eps]
    plain = [boltzmann_density(one, [0.0], interval=(-1, 1), eps=e)[0] for e in eps]
    curves = [
        Curve("-(x^2 - 1)^2 less a point", eps, 1 / (np.sqrt(eps) * np.array(tops))),
        Curve("-4y^2 - y^3", eps, 1 / (np.sqrt(eps) * np.array(plain))),
        Curve("integral of the limit, sqrt(pi)/2", eps, np.full_like(eps, np.sqrt(np.pi) / 2), "predicted"),
    ]
    panel = Panel(
        "both integrands are at most 1 and tend to exp(-4u^2)",
        "eps",
        "integral of exp(g/eps) over U",
        curves,
        "log",
    )
    caption = f"A constant bound is not enough for dominated convergence. Not random (seed {seed} unused)."
    return [Figure("eq-12-interchange", [panel], caption)]


CLAIMS = (
    Claim(
        id="eq-12",
        title="The limit at a non-degenerate interior maximum, with its rate; steps of the proof",
        source="Eq. (12), proof of Thm 1, App. D.2",
        statement=r"\lim_{\varepsilon\to0}\int_X\varphi(x)p_\varepsilon(x)dx = \varphi(x^*)",
        reading=r"At a peak with $f'' \le -m$ and $|f^{(3)}| \le L$ on $[a, b]$, by our rate"
        r" $|\varphi'(x^*)|(\frac{L}{2m} + |p_\varepsilon(b)-p_\varepsilon(a)|)\frac{\varepsilon}{|f''(x^*)|} + \|\varphi''\|_\infty\frac{\varepsilon}{2m}$.",
        check=Check(gaps.rate_gap, smooth_peaks(phi=coefficients(), eps=_ANY), n_random=300),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        steps=_STEPS_12,
        figures=figures,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-13",
        title="The density from the auxiliary function",
        source="Eq. (13), App. D.2",
        statement=rf"p_\varepsilon(x) = {_FROM_G},\quad g(x) := f(x) - f(x^*)",
        check=Check(gaps.auxiliary_gap, smooth_peaks(offset=st.integers(-4, 4), eps=_WARM)),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-14",
        title="The limit with the auxiliary function",
        source="Eq. (14), App. D.2",
        statement=rf"\int_X\varphi(x)p_\varepsilon(x)dx = \int_X\varphi(x)\,{_FROM_G}\,dx",
        check=Check(
            gaps.expectation_gap, smooth_peaks(offset=st.integers(-4, 4), phi=coefficients(), eps=_WARM)
        ),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-15",
        title="The substitution u = (x* - x)/sqrt(eps)",
        source="Eq. (15), App. D.2",
        statement=r"\int_X\varphi p_\varepsilon\,dx = \frac{\int_U\varphi(x^*-\sqrt\varepsilon u)\,e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}du}"
        r"{\int_U e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}du}",
        check=Check(gaps.substitution_gap, smooth_peaks(phi=coefficients(), eps=_WARM)),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-16",
        title="Pointwise limit of the numerator's integrand",
        source="Eq. (16), App. D.2",
        statement=r"\lim_{\varepsilon\to0}\varphi(x^*-\sqrt\varepsilon u)\,e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}"
        r" = \varphi(x^*)\,e^{u^\top\nabla^2 f(x^*)u/2}",
        check=Check(gaps.pointwise_gap, smooth_peaks(u=_U, phi=coefficients(), eps=_COLD)),
        expected=Verdict.HOLDS,
        assumptions=(_INTERIOR,),
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-17",
        title="Pointwise limit of the denominator's integrand, by L'Hopital",
        source="Eq. (17), App. D.2",
        statement=r"\lim_{\varepsilon\to0}e^{g(x^*-\sqrt\varepsilon u)/\varepsilon} = e^{u^\top\nabla^2 f(x^*)u/2}",
        check=Check(gaps.pointwise_gap, smooth_peaks(u=_U, phi=_ONE, eps=_COLD)),
        expected=Verdict.HOLDS,
        assumptions=(_INTERIOR,),
        steps=(
            Step(
                "L'Hopital's rule, twice",
                r"\lim\frac{g}{\varepsilon} = \lim\frac{-u^\top\nabla f(x^*-\sqrt\varepsilon u)}{2\sqrt\varepsilon}"
                r" = \lim\frac{u^\top\nabla^2 f(x^*-\sqrt\varepsilon u)u}{2} = \frac{u^\top\nabla^2 f(x^*)u}{2}",
                Check(gaps.lhopital_gap, smooth_peaks(u=_U, eps=_COLD)),
            ),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-18",
        title="The numerator's integrand is dominated by a constant",
        source="Eq. (18), App. D.2",
        statement=r"|\varphi(x^*-\sqrt\varepsilon u)\,e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}| \le \|\varphi\|_\infty",
        check=Check(gaps.dominated_gap, smooth_peaks(offset=_OFFSET, phi=coefficients(), eps=_ANY)),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="eq-19",
        title="The denominator's integrand is dominated by 1",
        source="Eq. (19), App. D.2",
        statement=r"|e^{g(x^*-\sqrt\varepsilon u)/\varepsilon}| \le 1",
        check=Check(gaps.dominated_gap, smooth_peaks(offset=_OFFSET, phi=_ONE, eps=_ANY)),
        expected=Verdict.HOLDS,
        not_certified=ON_AN_INTERVAL,
    ),
)
