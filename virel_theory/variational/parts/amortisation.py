r"""Iterative inference of a policy on finite actions: the E-step in n steps, and its gap to the best one.

The objective of one state is
$\tilde J(\lambda) = E_{\pi_\lambda}[Q] - \alpha\sum_a\pi_\lambda\log(\pi_\lambda/p^\rho)$, with logits
$\lambda$. Its maximiser is the posterior $\pi^* \propto p^\rho e^{Q/\alpha}$. Both kinds of steps start at
the prior, $\lambda_0 = \log p$.

*Mirror step* of length t (the gradient in $\pi$, moved in logits):
$\lambda' = (1 - \alpha t)\lambda + t(Q + \alpha\rho\log p)$. The log-ratios of $\pi_\lambda$ to $\pi^*$
shrink by the factor $1 - \alpha t$ per step, and t = 1/alpha is exact.

*Gradient step* of length t: $\lambda'_a = \lambda_a + t\,\pi_a(g_a - E_\pi g)$,
$g = Q - \alpha\log(\pi/p^\rho)$. It never lowers $\tilde J$ if $t \le 2/(\alpha + \mathrm{span}\,g_0)$ and
$t \le 1/\alpha$, where $g_0$ is g at the start: the second derivative along y is
$E_\pi[(g - E_\pi g)(y - E_\pi y)^2] - \alpha\mathrm{Var}_\pi(y)$, with $\mathrm{Var}_\pi(y) \le |y|^2/2$, so
that $L = (\mathrm{span}\,g + \alpha)/2$ bounds its size. A step maps $g_a - E_\pi g$ to
$(1 - \alpha t\pi_a)(g_a - E_\pi g)$ plus a constant, so that span g never grows for $t \le 1/\alpha$.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, softmax

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_float_array,
    as_positive,
    as_probability,
    as_real,
    as_rows,
    as_temperature,
    first_bad,
    is_one_of,
)
from virel_theory.operators.policies import as_action_values, scaled_differences
from virel_theory.variational.core.e_step import as_exponent, one_step_objective, soft_maximum

LARGEST = float(np.finfo(np.float64).max)

Form = Literal["mirror", "gradient"]


def gated_update(lam: ArrayLike, delta: ArrayLike, *, gate: float) -> Array:
    r"""Gated update of policy parameters, $\omega\lambda + (1 - \omega)\delta$, Marino et al. Eq. (15).

    Args: lam: parameters $\lambda$, of any shape; `-inf` marks the logit of a missing action.
        delta: proposal $\delta$, of the same shape. gate: $\omega$ in [0, 1].
    Returns: a new array; exactly `lam` for gate 1 and exactly `delta` for gate 0, otherwise within 2 ulps of
        |lam| + |delta|.
    Raises: InputError: on a gate outside [0, 1], or different shapes.

    Example:
        >>> gated_update([0.0, 2.0], [1.0, 1.0], gate=0.25).tolist()
        [0.75, 1.25]
    """
    weight = as_gate(gate)
    start = as_real(lam, name="lam")
    proposal = as_float_array(delta, start.shape, name="delta")
    if weight in (0.0, 1.0):
        return (start if weight == 1.0 else proposal).copy()
    return weight * start + (1 - weight) * proposal


def inference_policies(
    q: ArrayLike,
    *,
    prior: ArrayLike,
    alpha: float,
    iterations: int,
    step: float | None = None,
    form: Form = "mirror",
    gate: float = 0.0,
    exponent: float = 1.0,
) -> Array:
    r"""Policies of iterative inference, from the prior on, Marino et al. Eqs. (15), (16).

    $\lambda_0 = \log p$ and $\lambda_{j+1} = \omega\lambda_j + (1 - \omega)\delta_j$, with $\delta_j$ a
    mirror or a gradient step of length t on $\tilde J$ of (16), as in the head of this module.
    Deviation: 1. $f_\phi$ of (15) is learned; here it is the exact step, so that its gap is that of the
        number of steps alone.

    Args:
        q: `[S, A]` values, reward units; `-inf` where the action does not exist.
        prior: `[S, A]` prior policy, positive on every existing action.
        alpha: temperature > 0, reward units.
        iterations: number n >= 0 of steps.
        step: length t > 0, per reward unit; at most 1/alpha for mirror steps. None: 1/(2 alpha) for mirror
            steps, `safe_step` of each state for gradient steps.
        form: `mirror` or `gradient`.
        gate: $\omega$ in [0, 1]: 0 takes the whole step, 1 none.
        exponent: prior exponent $\rho$ in [0, 1].

    Returns: `[n + 1, S, A]` policies, the prior first; relative error (n + 1)(A + 16) ulps of
        1 + span(q)/alpha + max|log prior|, whatever the values have in common. Gradient steps longer than
        `safe_step` may magnify it from step to step.
    Raises: InputError: on wrong shapes, a prior that is 0 on an existing action, a bad temperature, or a
        length, gate, exponent, form or number of steps out of range.

    Example:
        >>> pi = inference_policies([[1.0, 0.0]], prior=[[0.5, 0.5]], alpha=1.0, iterations=1, step=1.0)
        >>> pi[:, 0, 0].round(4).tolist()  # one mirror step of length 1/alpha is exact
        [0.5, 0.7311]
    """
    table, temperature = as_action_values(q), as_temperature(alpha, name="alpha")
    p = as_positive_prior(prior, table)
    n, weight, rho = as_iterations(iterations), as_gate(gate), as_exponent(exponent)
    given = as_length(step, alpha=temperature, form=form)
    pace: Array | float  # 1/t, in reward units
    if given is not None:
        pace = 1 / given
    else:
        mirror = form == "mirror"
        pace = 2 * temperature if mirror else _slowest(table, p, temperature, rho)[:, None]
    exists = np.isfinite(table)
    log_prior, share = np.log(np.where(exists, p, 1.0)), _in_range(temperature / pace)  # share: alpha t
    gain = _in_range(np.where(exists, scaled_differences(table, pace), 0.0))  # t (Q - max Q)

    def proposal(lam: Array, pi: Array) -> Array:
        if form == "mirror":
            return (1 - share) * lam + (gain + share * rho * log_prior)
        g = _in_range(gain + share * (rho * log_prior - _log_policy(lam, exists)))
        return lam + pi * _in_range(g - (pi * g).sum(axis=1, keepdims=True))

    lam, out = log_prior, [p]
    with np.errstate(over="ignore"):
        for _ in range(n):
            lam = _in_range(gated_update(lam, proposal(lam, out[-1]), gate=weight))
            out.append(softmax(np.where(exists, lam, -np.inf), axis=1))
    return np.stack(out)


def inference_gap(
    q: ArrayLike, *, pi: ArrayLike, prior: ArrayLike, alpha: float, exponent: float = 1.0
) -> Array:
    r"""Inference gap of a policy in one E-step, $\max_\pi\tilde J - \tilde J(\pi)$, Marino et al. Eq. (16).

    Args: q: `[S, A]` values, reward units. pi: `[S, A]` policy. prior: `[S, A]` prior policy.
        alpha: temperature > 0, reward units. exponent: prior exponent in [0, 1].
    Returns: `[S]` >= 0 but for rounding, in reward units; error (A + 16) ulps of max|q| + alpha max|log p|.
    Raises: InputError: on wrong shapes, rows that are not distributions, a bad temperature or exponent.

    Example:
        >>> inference_gap([[1.0, 0.0]], pi=[[0.5, 0.5]], prior=[[0.5, 0.5]], alpha=1.0).round(4).tolist()
        [0.1201]
    """
    top = soft_maximum(q, prior=prior, alpha=alpha, exponent=exponent)
    return top - one_step_objective(q, pi=pi, prior=prior, alpha=alpha, exponent=exponent)


def safe_step(q: ArrayLike, *, prior: ArrayLike, alpha: float, exponent: float = 1.0) -> Array:
    r"""Length of gradient steps that never lower the objective of one E-step, cf. Marino et al. Eq. (16).

    $$t = \min\big(1/\alpha,\ 2/(\alpha + \mathrm{span}\,g_0)\big)$$

    Here $g_0 = Q - \alpha(1 - \rho)\log p$ is the slope of $\tilde J$ in $\pi$ at the prior, where inference
    starts. The proof is in the head of this module.

    Args: q: `[S, A]` values, reward units. prior: `[S, A]`, positive on every existing action.
        alpha: temperature > 0, reward units. exponent: prior exponent in [0, 1].
    Returns: `[S]` lengths per reward unit, > 0; relative error 8 ulps of 1 + max|log prior|.
    Raises: InputError: on wrong shapes, a prior that is 0 on an existing action, a bad temperature or
        exponent.

    Example:
        >>> safe_step([[3.0, 0.0]], prior=[[0.5, 0.5]], alpha=1.0).tolist()
        [0.5]
    """
    table, temperature = as_action_values(q), as_temperature(alpha, name="alpha")
    slowest = _slowest(table, as_positive_prior(prior, table), temperature, as_exponent(exponent))
    with np.errstate(over="ignore"):
        out: Array = np.minimum(1 / slowest, LARGEST)
    return out


def as_positive_prior(prior: ArrayLike, table: Array) -> Array:
    """Return the prior policy `[S, A]`, positive on every existing action: logits need its logarithm."""
    p = as_rows(prior, table, name="prior")
    first_bad(
        np.isfinite(table) & (p == 0), p, name="prior", rule="must be positive on every existing action"
    )
    return p


def as_iterations(iterations: int) -> int:
    """Return the number of inference steps, an integer >= 0."""
    return as_whole(iterations, name="iterations")


def as_gate(gate: float) -> float:
    """Return the gate of (15), a number in [0, 1]."""
    return as_probability(gate, name="gate")


def as_length(step: float | None, *, alpha: float, form: str) -> float | None:
    """Return the length of inference steps: positive, at most 1/alpha for mirror steps; None stays None."""
    require(is_one_of(form, ("mirror", "gradient")), "form", form, "must be 'mirror' or 'gradient'")
    if step is None:
        return None
    value = as_positive(step, name="step")
    rule = f"must be at most 1/alpha = {1 / alpha:.6g} for mirror steps, where they are exact"
    require(form == "gradient" or value <= 1 / alpha, "step", step, rule)
    return value


def _slowest(table: Array, p: Array, alpha: float, exponent: float) -> Array:
    """Inverse lengths `[S]` of the steps of `safe_step`, in reward units: these do not overflow."""
    exists = np.isfinite(table)
    g = table / 2 - table.max(axis=1, keepdims=True) / 2  # halves of differences never overflow
    g = g - alpha / 2 * (1 - exponent) * np.log(np.where(exists, p, 1.0))
    half_span = g.max(axis=1) - np.where(exists, g, np.inf).min(axis=1)
    out: Array = np.maximum(alpha, alpha / 2 + half_span)
    return out


def _in_range(x: ArrayLike) -> Array:
    """The same numbers, but those out of the range of float64 are its ends: logits of probability 0 or 1."""
    out: Array = np.clip(x, -LARGEST, LARGEST)
    return out


def _log_policy(lam: Array, exists: np.ndarray) -> Array:
    """Logarithm of the softmax policy of logits, `[S, A]`, with 0 where the action does not exist."""
    logits = np.where(exists, lam, -np.inf)
    return np.where(exists, lam - logsumexp(logits, axis=1, keepdims=True), 0.0)
