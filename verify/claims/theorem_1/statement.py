"""Claims on Theorem 1, Eq. (12): the Boltzmann distribution tends to a Dirac at the maximum.

Printed form, correction, rates, ablations. The checks, their bounds and their teeth are in `gaps.py`; the
steps of the proof in `printed_proof.py`.
"""

from hypothesis import strategies as st

from verify.claims.theorem_1 import density_figure, gaps, peaks
from verify.claims.theorem_1.figures import figures, finite_figures
from verify.engine.claim import ON_AN_INTERVAL, Assumption, Check, Claim, Correction
from verify.engine.verdict import Verdict, Weight

_LIMIT = r"\lim_{\varepsilon\to0}\int_X \varphi(x)\,p_\varepsilon(x)\,dx = \varphi(x^*)"
_COLD = st.sampled_from((2.0**-6, 2.0**-8, 2.0**-10, 2.0**-4))
_PRINTED = st.one_of(
    st.fixed_dictionaries({"family": st.just("removed-point"), "h": st.integers(0, 2), "eps": _COLD}),
    st.fixed_dictionaries(
        {
            "family": st.just("one-sided"),
            "h": st.integers(0, 2),
            "p": st.sampled_from((4, 2, 6)),
            "eps": _COLD,
        }
    ),
)
_POLYNOMIALS = st.fixed_dictionaries(
    {
        "coef": st.lists(st.integers(-4, 4), min_size=1, max_size=5),
        "phi": peaks.coefficients(),
        "eps": st.sampled_from(peaks.EPS),
    }
)
_DERIVATION = r"""
*Counterexample.* Let $f = -(2x-1)^2$ on $[0, 1]$ and $f = -x^4$ on $[-1, 0)$. The maximum is attained at $\tfrac12$ only, and
$f$ is bounded and $C^2$ on $\|x - \tfrac12\| < \tfrac12$. Yet the left side weighs $\Gamma(5/4)\,\varepsilon^{1/4}$ against
$\tfrac12\sqrt{\pi\varepsilon}$, so $p_\varepsilon \to \delta_0$, where $f$ has no maximum at all.

*Correction.* Add: $f$ is continuous on the compact $X$ (or only: $\Delta_\rho := f(x^*) - \sup_{\|x-x^*\|\ge\rho} f > 0$ for every $\rho > 0$, which
compactness, continuity and uniqueness imply, and $f$ is continuous at $x^*$). Every ball about $x^*$ meets $X$ in positive volume, as the printed
ball on which $f$ is $C^2$ makes $x^*$ interior. Smoothness about $x^*$ is then not needed for the limit.
Let $\omega_\delta := \sup_{B_\delta}(f(x^*) - f)$. The mass outside $B_\rho$ is at most $|X| e^{-\Delta_\rho/\varepsilon}$ and the mass of
$B_\delta \cap X$ at least $|B_\delta \cap X| e^{-\omega_\delta/\varepsilon}$ (both times $e^{f(x^*)/\varepsilon}$), hence for all $\rho, \delta$
$$|E\varphi - \varphi(x^*)| \le \sup_{B_\rho}|\varphi - \varphi(x^*)| + \mathrm{osc}(\varphi)\,\frac{|X|}{|B_\delta \cap X|}\,e^{-(\Delta_\rho - \omega_\delta)/\varepsilon}.$$
Given $\rho$, choose $\delta$ with $\omega_\delta < \Delta_\rho$ and let $\varepsilon\to0$, then $\rho\to0$. Rates: claim `eq-12`."""

CLAIMS = (
    Claim(
        id="theorem-1",
        title="Boltzmann tends to Dirac, hypotheses as printed",
        source="Thm 1, App. D.2",
        statement=r"f \text{ with a unique maximum } f(x^*)=\sup_x f,\ X \text{ compact},\ Y \text{ bounded},\ f \text{ locally } C^2 \text{ about } x^*"
        rf"\ \Rightarrow\ {_LIMIT}\quad \forall\varphi\in C_0^\infty(X)",
        check=Check(
            gaps.printed_gap,
            _PRINTED,
            recorded={"family": "one-sided", "h": 0, "p": 4, "eps": 2.0**-6},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        assumptions=(
            Assumption(
                "unique maximum",
                "two equal maxima share the mass by their curvatures; the limit is not a Dirac",
                Check(gaps.tied_gap, st.fixed_dictionaries({"eps": _COLD}), n_random=4),
            ),
            Assumption(
                "compact domain",
                "on the whole line exp(f/eps) need not be integrable: the mass escapes",
                Check(
                    gaps.unbounded_domain_gap,
                    st.fixed_dictionaries({"eps": st.sampled_from((0.125, 0.0625))}),
                    n_random=2,
                ),
            ),
            Assumption(
                "bounded range",
                "f = log(1 - x^2) falls to -inf at the ends; a function bounded above is enough",
                Check(
                    gaps.unbounded_range_gap,
                    st.fixed_dictionaries({"eps": st.sampled_from(peaks.EPS)}),
                    n_random=10,
                ),
            ),
            Assumption(
                "locally C2 about the maximum",
                "kinks -c|x| on both sides, and 4th- and 6th-order maxima with zero Hessian: the limit stays, the rate is eps^(1/p)",
                Check(gaps.power_gap, peaks.powers(p=(1, 4, 6)), n_random=100),
            ),
            Assumption(
                "interior maximum",
                "C2 on a ball about x* puts x* inside X; at an end of X the limit stays, the rate with a slope is eps",
                Check(gaps.power_gap, peaks.powers(both_sides=False), n_random=100),
            ),
        ),
        correction=Correction(
            rf"f \text{{ continuous on the compact }} X \text{{ with a unique maximum }} x^*,\ |B_\delta(x^*) \cap X| > 0\ \forall\delta > 0\ \Rightarrow\ {_LIMIT}",
            _DERIVATION,
            Check(gaps.continuous_gap, _POLYNOMIALS),
        ),
        figures=lambda seed: (*density_figure.figures(seed), *figures(seed)),
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="theorem-1-rates",
        title="The limit's constants at smooth, kinked, flat and boundary maxima",
        source="Thm 1, App. D.2",
        statement=r"f = -c_\pm|x|^p:\quad E[\varphi] = \sum_k \varphi_k\,\frac{I_k(c_+) + (-1)^k I_k(c_-)}{I_0(c_+) + I_0(c_-)},\quad"
        r" I_k(c) = \tfrac1p(\varepsilon/c)^{(k+1)/p}\,\gamma\big(\tfrac{k+1}{p}, \tfrac{c}{\varepsilon}\big)",
        check=Check(gaps.power_constant_gap, st.one_of(peaks.powers(), peaks.powers(both_sides=False))),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="theorem-1-finite",
        title="The limit on finite action sets, exponential in 1/eps",
        source="Thm 1 as used in App. D.3, F.5",
        statement=r"|E_{\pi_\omega}[\varphi] - \varphi(a^*)| \le \mathrm{osc}(\varphi)\,(n-1)\,e^{-\Delta/\varepsilon},"
        r"\quad \Delta = Q(a^*) - \max_{a\ne a^*}Q(a) > 0",
        check=Check(gaps.finite_gap, gaps.finite_instances(unique=True), n_random=400),
        expected=Verdict.HOLDS,
        printed=False,
        assumptions=(
            Assumption(
                "unique maximum",
                "ties share the mass equally, whatever eps",
                Check(gaps.finite_gap_first, gaps.finite_instances(unique=False), n_random=400),
            ),
        ),
        figures=finite_figures,
    ),
    Claim(
        id="theorem-1-density-range",
        title="The Boltzmann density takes values in [0, 1]",
        source="Thm 1, App. D.2",
        statement=r"p_\varepsilon : X \to [0, 1]",
        check=Check(
            gaps.density_range_gap,
            st.fixed_dictionaries(
                {"c": st.integers(1, 4), "eps": st.sampled_from((1.0, 0.25, 0.0625, 0.01))}
            ),
        ),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            r"p_\varepsilon : X \to [0, \infty),\quad \int_X p_\varepsilon(x)\,dx = 1,\quad p_\varepsilon(x^*)\to\infty",
            r"A density is not a probability: for $f = -cx^2$ on $[-1, 1]$, $p_\varepsilon(0) = 1/Z$ with"
            r" $Z = \sqrt{\pi\varepsilon/c}\,\mathrm{erf}\sqrt{c/\varepsilon} \to 0$. On finite sets the printed range is right."
            r" Convergence to a Dirac makes a bound by 1 impossible on any continuous domain:"
            r" $1 = \lim\int_{B_\rho} p_\varepsilon \le |B_\rho|$ fails for $|B_\rho| < 1$.",
            Check(
                gaps.density_gap,
                st.fixed_dictionaries({"c": st.integers(1, 4), "eps": st.sampled_from(peaks.EPS)}),
            ),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
)
