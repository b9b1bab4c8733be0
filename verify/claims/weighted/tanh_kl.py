r"""Claim on tanh-Gaussian policies: their KL divergence is that of the Gaussians below the tanh.

Both sides: the divergence of the densities of $a = \tanh u$ on (-1, 1), with their Jacobians $1 - a^2$, by the
        trapezoidal rule in u, against `gaussian_kl`.
Bound:  the rule with step sigma/6 on +-10 sigma is exact to e^(-2 pi^2 36) and e^(-50) for Gaussians times quadratics.
        Rounding: a carries u/2, so 1 - a^2 is off by 2u cosh(u)^2, relative, and atanh(a) by u cosh(u)^2; the
        logarithms of both densities by 4u cosh(u)^2 (1 + z), z the largest |slope| of a log-density. Where the
        density of p is below its top by e^(-x^2/2), cosh(u)^2 <= e^(2 |m| + 2 x sigma): the mean of the product is
        at most e^(2 |m| + 2 sigma^2) 2. Together 64 u (1 + z) e^(2 |m| + 2 sigma^2) (1 + KL).
Teeth:  `perturb` forgets the Jacobian of one of the two densities.
"""

import numpy as np
from hypothesis import strategies as st

from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict
from virel_theory.checks import Array, U
from virel_theory.variational.parts.gaussian import GaussianPolicy, gaussian_kl


def gap(*, mean: Array, sigma: Array, perturb: float = 0.0) -> Gap:
    """Gap of the tanh-Gaussian KL: quadrature over actions minus the KL of the Gaussians below; zero."""
    (m, n), (s, t) = mean, sigma
    u = m + s * np.arange(-60, 61) / 6
    a = np.tanh(u)
    p, q = _log_density(a, m, s), _log_density(a, n, t) + perturb * np.log1p(-(a**2))
    found = np.sum(np.exp(p) * (p - q) * (1 - a**2)) * s / 6
    exact = gaussian_kl(*(GaussianPolicy(mean[i : i + 1], sigma[i : i + 1] ** 2) for i in (0, 1)))
    slope = max(10 / s, np.abs(u - n).max() / t**2)
    return Gap(abs(found - exact), 64 * U * (1 + slope) * np.exp(2 * abs(m) + 2 * s**2) * (1 + exact))


def _log_density(a: Array, mean: float, sigma: float) -> Array:
    """Log-density of `tanh u`, u ~ N(mean, sigma^2), at actions a in (-1, 1)."""
    z = (np.arctanh(a) - mean) / sigma
    out: Array = -(z**2) / 2 - np.log(sigma) - np.log(2 * np.pi) / 2 - np.log1p(-(a**2))
    return out


_MEANS = st.tuples(*[st.integers(-4, 4).map(lambda k: k / 4)] * 2).map(np.array)
_SIGMAS = st.tuples(*[st.sampled_from((0.5, 1.0, 0.25, 0.75))] * 2).map(np.array)

CLAIMS = (
    Claim(
        id="tanh-kl",
        title="the tanh drops out of the KL divergence",
        source="ours; used for the constant tanh-Gaussian prior of Marino et al., Section 4",
        statement=r"KL(p_{\tanh u}\|q_{\tanh u}) = \frac12\Big[\frac{\sigma_p^2 +"
        r" (\mu_p - \mu_q)^2}{\sigma_q^2} - 1 - \log\frac{\sigma_p^2}{\sigma_q^2}\Big],"
        r"\qquad u \sim N(\mu_p, \sigma_p^2) \text{ under } p, N(\mu_q, \sigma_q^2) \text{ under } q",
        check=Check(gap, st.fixed_dictionaries({"mean": _MEANS, "sigma": _SIGMAS})),
        expected=Verdict.HOLDS,
        printed=False,
    ),
)
