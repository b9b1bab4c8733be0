"""Claim on App. C, where (12) is used with phi = Q_omega, which is no test function of class C_0^inf.

Both sides: E[Q_omega] under the Boltzmann density of Q_omega itself, by quadrature, against max Q_omega.
Bound:  as `rate_gap` of `printed_proof_gaps.py` at a smooth peak, with phi = f: f'(x*) = 0, so that eps |f''|/(2 m)
        remains. The step: the slope of a parabola that goes on steeper from 1/2; dyadic numbers, exact.
Teeth:  `perturb` shifts x*; adds to the jump of the slope.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.theorem_1 import gaps, printed_proof_gaps
from verify.claims.theorem_1.peaks import EPS, coefficients, smooth_peak, smooth_peaks
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight


def own_value_gap(
    *, coef: Sequence[int], x_star: float, widths: Sequence[float], eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. C's limit on an interval: |E[Q] - max Q| minus its O(eps) bound, at most 0."""
    phi = [float(c) for c in smooth_peak(coef, x_star, widths).f.coef]
    parts = {"coef": coef, "x_star": x_star, "widths": widths, "eps": eps}
    return printed_proof_gaps.rate_gap(**parts, phi=phi, perturb=perturb)  # type: ignore[arg-type]


def smoothness_gap(*, c: int, perturb: float = 0.0) -> Gap:
    """Gap of "Q_omega is a test function", which is smooth: jump of its slope at 1/2, to be 0.

    Q_omega is 2 - c x^2 for |x| <= 1/2 and goes on with 3/2 of the slope there, so that it is smooth near its one
    maximum, as Assumption 3 asks. All numbers are exact.
    """
    inner = Polynomial([2, 0, -c])
    outer = Polynomial([inner(0.5), 1.5 * inner.deriv()(0.5)])  # of x - 1/2
    return Gap(abs(inner.deriv()(0.5) - outer.deriv()(0.0)) + perturb, 0.0)


CLAIMS = (
    Claim(
        id="app-c-test-function",
        title="(12) with the approximator itself as test function",
        source="App. C, first display; proof of Thm 5 i)",
        statement=r"\lim_{\varepsilon_\omega\to0}E_{\pi_\omega(a'|s')}[\hat Q_\omega(h')] = \max_{a'}\hat Q_\omega(h')",
        reading="Actions on an interval, a smooth unique maximum, and the temperature as a free variable.",
        check=Check(own_value_gap, smooth_peaks(eps=st.sampled_from(EPS))),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        steps=(
            Step(
                "the test function",
                r"\varphi = \hat Q_\omega(\cdot, s') \in C_0^\infty(A) \text{, as (12) asks}",
                Check(smoothness_gap, st.fixed_dictionaries({"c": st.integers(1, 4)}), recorded={"c": 1}),
                Correction(
                    r"\text{(12) for every bounded } \varphi \text{ that is continuous at } x^*",
                    r"$\hat Q_\omega = 2 - a^2$ for $|a| \le \tfrac12$, continued to $[-1, 1]$ with the slopes $\pm\tfrac32$, is smooth about its one"
                    r" maximum, as Assumption 3 asks, and has a kink at $\pm\tfrac12$: it is in no class of smooth functions."
                    r" The corrected Theorem 1 asks of $\varphi$ only that it be bounded and continuous at $x^*$, which"
                    r" $\hat Q_\omega$ is: its bound uses the oscillation of $\varphi$ on $B_\rho$ and on X, nothing else.",
                    Check(
                        gaps.continuous_gap,
                        st.fixed_dictionaries(
                            {
                                "coef": st.lists(st.integers(-4, 4), min_size=1, max_size=5),
                                "phi": coefficients(),
                                "eps": st.sampled_from(EPS),
                            }
                        ),
                    ),
                ),
            ),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
)
