"""Claim that the deep agent's tanh-Gaussian density has mass 1 and an exact reparametrised gradient.

One action a = tanh(u), u ~ N(mu, sigma). Integrals over a in [-1, 1] are sums over a_j = tanh(t_j),
t_j = mu + sigma x_j on an even grid of x, with weights step * sech(t_j)^2: the trapezoidal rule in t.

Both sides:
* mass: the density that `virel_deep.axes.posterior.tanh_gaussian` returns at a_j, against 1.
* gradient: autograd through `tanh_gaussian` and `policy_loss` under E_xi, xi the noise, against the
  derivative of the expectation by the score of the Gaussian, E[score (alpha log p(a) - Q(a))], with log p
  from log cosh, in numpy and on a grid shifted by half a step. Q is quadratic in a. A log sigma beyond its
  range is clamped: derivative 0.
* joint: in two dimensions the log density is the sum of those of one dimension: 4 u of their size.

Bound:  truncation. 10 standard deviations leave e^-50. The integrands are analytic in |Im t| < pi/2, where
        tanh and log cosh are singular, so the trapezoidal rule with step H in t is off by exp(-2 pi y/H +
        y^2/(2 sigma^2)) times a polynomial in 1/(pi/2 - y), for any y below pi/2. With H = min(sigma/2,
        1/16) the best y leaves below e^-69 (Trefethen and Weideman 2014, Thm 5.1), 1e-20 of the terms:
        below rounding.
        Rounding itself: a term has a relative error of (x^2 + |t| + |mu| + |log sigma| + 8) 8 u (of log p:
        its parts, and those of the noise (t - mu)/sigma), and the sum of n terms n u more. These are summed
        with the terms' absolute values in the same quadrature; twice, for two sides. Sizes: 1 for the mass;
        for the gradient S (alpha L + 1 + |Q|), where S = (1 + x^2)(1 + 1/sigma)(1 + sigma) bounds the score
        and the path, and L = x^2 + |log sigma| + 2 |t| + 4 bounds log p. `softplus` drops less than e^-40 in
        the code (with torch's own threshold it is e^-20, which this check found).
Teeth:  `perturb` halves the density; leaves out half the gradient.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.tools import gradient, tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import TEMPERATURES
from virel_theory.checks import Array, U

REACH = 10.0
"""Standard deviations that the grid covers on either side."""
LARGEST_LOG_STD = 2.0
"""Largest log standard deviation, where `virel_deep` clamps it (Haarnoja et al. 2018)."""


def gap(
    *, mean: float, log_std: float, critic: tuple[float, float, float], alpha: float, perturb: float = 0.0
) -> Gap:
    """Gap of the deep tanh-Gaussian policy: mass - 1; gradient and joint density minus the exact, zero."""
    return worst(
        _mass_gap(mean, log_std, perturb),
        _gradient_gap(mean, log_std, critic, alpha, perturb),
        _joint_gap(mean, log_std, perturb),
    )


def _grid(log_std: float, *, shift: float) -> tuple[Array, float, float]:
    """Even quadrature grid over the tanh-Gaussian policy's noise: nodes x, their step, the scale sigma."""
    sigma = float(np.exp(min(log_std, LARGEST_LOG_STD)))
    step = min(0.5, 1 / (16 * sigma))
    n = int(np.ceil(REACH / step))
    x: Array = step * (np.arange(-n, n + 1, dtype=np.float64) + shift)
    return x, step, sigma


def _mass_gap(mean: float, log_std: float, perturb: float) -> Gap:
    x, step, sigma = _grid(log_std, shift=0.0)
    t = mean + sigma * x
    action, log_p = _deep_density(np.array([mean, log_std]), ((t - mean) / sigma)[:, None])
    weight = step * sigma * np.exp(-2 * _log_cosh(t))
    density = np.exp(log_p) / (1 + perturb)
    terms = weight * density
    bound = 2 * float(np.sum(terms * _relative(x, t, mean, log_std)))
    off = float(np.abs(action[:, 0] - np.tanh(t)).max())
    # The derivative of tanh is at most 1, and mu + sigma (t - mu) / sigma is 4 ulps of |t| + |mu| off.
    return worst(
        Gap(abs(float(np.sum(terms)) - 1), bound + 1e-20),
        Gap(off, 8 * U * float(np.abs(t).max() + abs(mean) + 1)),
    )


def _joint_gap(mean: float, log_std: float, perturb: float) -> Gap:
    """Gap of the deep tanh-Gaussian's log density of two actions: minus the sum over its dimensions, zero.

    The dimensions have different parameters.
    """
    x, _, _ = _grid(log_std, shift=0.0)
    noise = np.stack([x, 0.5 - x / 2], axis=1)
    head = np.array([mean, 1 - mean, log_std, -1.0])  # means, then log standard deviations
    both = _deep_density(head, noise)[1] * (1 + perturb)
    apart = [_deep_density(head[i::2], noise[:, i : i + 1])[1] for i in range(2)]
    return Gap(np.abs(both - (apart[0] + apart[1])).max(), 4 * U * float(np.abs(apart).max() + 1))


def _gradient_gap(
    mean: float, log_std: float, critic: tuple[float, float, float], alpha: float, perturb: float
) -> Gap:
    found = _deep_gradient(mean, log_std, critic, alpha) * (1 - perturb / 2)
    x, step, sigma = _grid(log_std, shift=0.5)
    t = mean + sigma * x
    log_p = -0.5 * x**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi) + 2 * _log_cosh(t)
    weight = step * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    a = np.tanh(t)
    f = alpha * log_p - (critic[0] + critic[1] * a + critic[2] * a**2)
    clamped = log_std > LARGEST_LOG_STD
    exact = np.array([np.sum(weight * x / sigma * f), 0.0 if clamped else np.sum(weight * (x**2 - 1) * f)])

    score = (1 + x**2) * (1 + 1 / sigma) * (1 + sigma)
    size = alpha * (x**2 + abs(log_std) + 2 * np.abs(t) + 4) + 1 + 2 * sum(map(abs, critic))
    bound = 2 * float(np.sum(weight * score * size * _relative(x, t, mean, log_std)))
    return Gap(np.abs(found - exact).max(), bound)


def _deep_density(head: Array, noise: Array) -> tuple[Array, Array]:
    """Actions `[n, A]` and log densities `[n]` of the deep tanh-Gaussian policy at normal `noise [n, A]`."""
    from virel_deep.axes.posterior.tanh_gaussian import tanh_gaussian  # noqa: PLC0415

    action, log_p = tanh_gaussian(tensor(head).expand(len(noise), -1), tensor(noise)[0])
    return action.numpy(), log_p.numpy()


def _deep_gradient(mean: float, log_std: float, critic: tuple[float, float, float], alpha: float) -> Array:
    """Gradient of the deep policy loss in (mu, log sigma) by autograd, averaged over the Gaussian noise xi.

    It goes through the action and the log density.
    """
    from virel_deep.axes.losses import policy_loss  # noqa: PLC0415
    from virel_deep.axes.posterior.tanh_gaussian import tanh_gaussian  # noqa: PLC0415

    x, step, _ = _grid(log_std, shift=0.0)
    head = tensor(np.array([mean, log_std])).requires_grad_()
    action, log_p = tanh_gaussian(head[:, None].expand(1, len(x), 2), tensor(x[:, None]))
    a = action[..., 0]
    q = critic[0] + critic[1] * a + critic[2] * a**2
    weight = tensor(step * np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi))
    return gradient((weight * policy_loss(q, log_p, tensor(alpha)[:, None])).sum(), head)


def _log_cosh(t: Array) -> Array:
    out: Array = np.abs(t) + np.log1p(np.exp(-2 * np.abs(t))) - np.log(2)
    return out


def _relative(x: Array, t: Array, mean: float, log_std: float) -> Array:
    """Relative rounding error of the quadrature: each term's plus the sum's; see the module docstring."""
    out: Array = U * (len(x) + 8 * (x**2 + np.abs(t) + abs(mean) + abs(log_std) + 8))
    return out


_QUARTERS = st.integers(-8, 8).map(lambda k: k / 4)

CLAIMS = (
    Claim(
        id="deep-tanh-gaussian",
        title="The deep agent's density has mass 1, its reparametrised gradient is exact",
        source="virel_deep tanh_gaussian, policy_loss: design paper (13), (14); App. H",
        statement=r"\int_{-1}^1 \pi_\theta(a|s)\,da = 1,\quad"
        r" E_{\xi\sim\mathcal N(0,1)}\big[\nabla_\theta(\alpha\log\pi_\theta(a_\theta(\xi)|s) - \hat Q(a_\theta(\xi), s))\big]"
        r" = \nabla_\theta\int_{-1}^1 \pi_\theta(a|s)\,(\alpha\log\pi_\theta(a|s) - \hat Q(a, s))\,da",
        check=Check(
            gap,
            st.fixed_dictionaries(
                {
                    "mean": _QUARTERS,
                    "log_std": st.sampled_from((0.0, -0.5, 0.5, -1.0, 1.0, -2.0, 2.0, -3.0, 3.0)),
                    "critic": st.tuples(_QUARTERS, _QUARTERS, _QUARTERS),
                    "alpha": st.sampled_from(TEMPERATURES),
                }
            ),
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
