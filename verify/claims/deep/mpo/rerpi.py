r"""Claim that the deep agent's Gaussian M-steps rest at the exact M-steps of RERPI, joint and decoupled.

One state, a Gaussian policy of D components before the tanh, a quadratic Q of the actions before the tanh: there
RERPI is in closed form (`virel_theory.variational.parts.gaussian`).

Both sides: `Reweighted` and the `Learned` policy prior of `virel_deep.axes`, in float64, with both likelihoods;
        against six `gaussian_iterates`. Step k starts from the exact policy, at the temperature that spends the
        budget. The noise that proposes actions is a grid of spacing h = 3/8 from -15 to 15 in every component,
        weighted by the standard normal density: like Gauss and Hermite's rule, but with weights known to the last
        digit. Compared are the deep gradient, in units of the deviation, with that of the exact likelihood at two
        policies, the exact M-step's, where it is zero, and one beside it; the divergence of the weights with the
        budget; the parts of the trust region's divergence with `gaussian_kl_parts`, their sum with `gaussian_kl`.
        The decoupled loss is convex in the mean and in the log deviation, the joint one has one stationary point: a
        complete M-step ends there. The deep agent has RERPI's exponential weights; it has no rank weights.
Truncation: the budget, at most 0.09, bounds $u = c\sigma^2/\eta$ by 1, as $\log(1 + u) - u/(1 + u) \le 2\epsilon
        < \log 2 - 1/2$: so $t = 1/(1 + u) \ge 1/2$, and the posterior's mean is at most $\sqrt{2\epsilon} < 0.43$
        deviations of the policy away. By Poisson's formula the grid's means of 1, x and x^2 are then off by
        $e^{-2\pi^2 t/h^2} \le e^{-70}$ times (2 pi / h)^2, and what lies beyond 15 is less than e^-100: nothing.
Bound:  with N actions, $X^2$ the largest |noise|^2 of an action, z the largest $|Q|/\eta$ plus what rounding the
        action u changes it by in ulps, $\sum c|a - a^*||a|/\eta$, over all actions: log weights are off by 8 u (z + X^2
        + 4), sums of N non-negative terms by N u, relative: w = u (8 (z + X^2 + 4) + 4 N). The gradient's terms are
        (a - mu)/sigma and its square, at most Y, and their own error is that of the actions and means,
        p = 16 u (max|a| + |mu| + |a*|)/sigma, and of the stored log deviation, 4 u |log sigma|: together
        (w + 4 u (4 + |log sigma|)) (1 + Y)^2 + p (1 + Y). The divergence is off by w (X^2 + z), by rounding of log
        densities of size P, 8 u P, and by the 1e-12 (1 + eps) that the temperature allows. The parts have p and
        4 u |log sigma| with Y the step in deviations, which the gradient's bound contains.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.deep.bridge import N_STEPS, float64, table_network, table_slope
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances
from virel_theory.checks import Array, U
from virel_theory.variational.parts.gaussian import (
    GaussianPolicy,
    gaussian_budget_temperature,
    gaussian_kl,
    gaussian_kl_parts,
    gaussian_posterior,
)
from virel_theory.variational.parts.gaussian_fit import gaussian_iterates

H, REACH = 0.375, 40
"""Spacing of the grid, in deviations, and its number of points on either side of the mean."""


class Quadratic(NamedTuple):
    """One step of RERPI on a quadratic value: stationary point, curvature, old policy, temperature."""

    optimum: Array
    curvature: Array
    old: GaussianPolicy
    eta: float


class Found(NamedTuple):
    """What the deep side computes at a policy: gradient in mean and log deviation, divergences, its actions."""

    slope: Array
    """`[2, D]`, times the deviation in the first row."""
    spent: float
    parts: Array
    action: Array
    """Actions before the tanh, `[N, D]`."""
    log_prior: Array


def gap(
    *,
    components: list[tuple[float, float, float, float]],
    epsilon: float,
    decoupled: bool,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the deep Gaussian M-step: gradients and divergences minus the exact ones, zero.

    A component is its mean, log2 of its deviation, stationary point and curvature.
    """
    mean, log_2, optimum, curvature = map(np.array, zip(*components, strict=True))
    old, gaps = GaussianPolicy(mean, 4.0**log_2), []
    of: dict[str, Any] = {"optimum": optimum, "curvature": curvature, "epsilon": epsilon}
    with float64():
        steps = gaussian_iterates(old, **of, decoupled=decoupled)
        for new, _ in zip(steps, range(N_STEPS), strict=False):
            quadratic = Quadratic(optimum, curvature, old, gaussian_budget_temperature(old, **of))
            gaps += _gaps(quadratic, new, epsilon, decoupled, perturb)
            old = new
    return worst(*gaps)


def _gaps(of: Quadratic, new: GaussianPolicy, epsilon: float, decoupled: bool, perturb: float) -> list[Gap]:
    """Gaps of one step, at the exact new policy and at one beside it."""
    beside = GaussianPolicy(new.mean + np.sqrt(new.variance) / 2, new.variance * 1.5)
    gaps = []
    for policy in (beside, new):
        found = _deep(of, policy, decoupled, perturb)
        bound, of_kl = _bounds(of, policy, found)
        gaps += [
            Gap(np.abs(found.slope - _exact_slope(of, policy, decoupled)).max(), bound),
            Gap(abs(found.spent - epsilon), of_kl),
            Gap(abs(found.parts.sum() - _exact_parts(of.old, policy, decoupled).sum()), bound),
        ]
        if decoupled:
            gaps.append(Gap(np.abs(found.parts - _exact_parts(of.old, policy, decoupled)).max(), bound))
    return [*gaps, Gap(np.abs(found.slope).max(), bound)]


def _exact_slope(of: Quadratic, new: GaussianPolicy, decoupled: bool) -> Array:
    """Gradient `[2, D]` of minus the exact likelihood in mean, times the deviation, and log deviation."""
    q = gaussian_posterior(of.old, optimum=of.optimum, curvature=of.curvature, eta=of.eta)
    variance, around = (of.old.variance, of.old.mean) if decoupled else (new.variance, new.mean)
    by_mean = (new.mean - q.mean) / np.sqrt(variance)
    return np.stack([by_mean, 1 - (q.variance + (q.mean - around) ** 2) / new.variance])


def _exact_parts(old: GaussianPolicy, new: GaussianPolicy, decoupled: bool) -> Array:
    """Divergences that the trust region bounds, by mean and by spread; of the joint step, all in the first."""
    if not decoupled:
        return np.array([gaussian_kl(old, new), 0.0])
    parts = gaussian_kl_parts(old, new)
    return np.array([parts.mean, parts.spread])


def _bounds(of: Quadratic, new: GaussianPolicy, found: Found) -> tuple[float, float]:
    """Bounds on gradients and on the divergence that the weights spend; the module derives them."""
    a, sigma = found.action, np.sqrt(np.minimum(of.old.variance, new.variance))
    away = np.abs(a - of.optimum)
    z = float((of.curvature * away * (away / 2 + np.abs(a)) / of.eta).sum(axis=1).max())
    reach = a.shape[1] * (H * REACH) ** 2
    weight = U * (8 * (z + reach + 4) + 4 * len(a))
    log_std = max(float(np.abs(np.log(x.variance)).max()) / 2 for x in (of.old, new))
    y = float((np.maximum(np.abs(a - new.mean), np.abs(a - of.old.mean)) / sigma).max())
    point = 16 * U * float(((np.abs(a) + np.abs(new.mean) + np.abs(of.optimum)) / sigma).max())
    bound = (weight + 4 * U * (4 + log_std)) * (1 + y) ** 2 + point * (1 + y)
    spent = weight * (reach + z) + 8 * U * float(np.abs(found.log_prior).max()) + 1.1e-12
    return bound, spent


def _deep(of: Quadratic, new: GaussianPolicy, decoupled: bool, perturb: float) -> Found:
    """The deep E-step and M-step at a policy, on the grid of actions."""
    prior, posterior = _deep_parts(of.old, new, decoupled)
    state, (noise, log_weight) = tensor([[1.0]]), _grid(len(new.mean))
    drawn = prior.propose(state, tensor(noise[None]))._replace(log_weight=tensor(log_weight[None]))
    value = -0.5 * (tensor(of.curvature) * (drawn.pre - tensor(of.optimum)) ** 2).sum(-1)
    weighted = posterior.improve(drawn, value, tensor([of.eta * (1 + 0.1 * perturb)]))
    found = prior.loss(state, weighted)
    slope = table_slope(found.loss, prior.networks["policy"]).reshape(2, -1)
    slope[0] *= np.sqrt(of.old.variance if decoupled else new.variance)
    parts = found.kl[0].numpy()
    return Found(
        slope, weighted.divergence.item(), parts, drawn.pre[0, 0].numpy(), drawn.log_prior[0].numpy()
    )


def _grid(components: int) -> tuple[Array, Array]:
    """Noise `[N, D]` on a grid and the logarithms `[N]` of its standard normal weights, which sum to 1."""
    line = H * np.arange(-REACH, REACH + 1)
    noise = np.stack(np.meshgrid(*[line] * components, indexing="ij"), axis=-1).reshape(-1, components)
    log_weight = -0.5 * (noise**2).sum(axis=1)
    return noise, log_weight - logsumexp(log_weight)


def _deep_parts(old: GaussianPolicy, new: GaussianPolicy, decoupled: bool) -> tuple[Any, Any]:
    """Prior whose policy is `new` and whose lagging copy is `old`, and the posterior that reweighs it."""
    from virel_deep.axes.posterior.reweighted import Reweighted  # noqa: PLC0415
    from virel_deep.axes.prior.policy import Learned  # noqa: PLC0415
    from virel_deep.design import improvement  # noqa: PLC0415

    settings = improvement.Learned(likelihood="decoupled" if decoupled else "joint")
    heads = [table_network(np.concatenate([x.mean, np.log(x.variance) / 2])[None]) for x in (new, old)]
    prior = Learned(settings, *heads)
    return prior, Reweighted(improvement.Weighted(), prior, len(new.mean))


_QUARTERS = st.integers(-16, 16).map(lambda k: k / 4)
_COMPONENT = st.tuples(
    _QUARTERS, st.sampled_from((0.0, -1.0, 1.0, -3.0)), _QUARTERS, st.sampled_from((1.0, 2.0, 0.25, 8.0))
)

CLAIMS = (
    Claim(
        id="deep-rerpi",
        title="The deep agent's Gaussian M-steps rest at RERPI's, joint and decoupled",
        source="virel_deep Reweighted, Learned: RERPI, Sections 4.1 and 4.2.1",
        statement=r"w_j \propto \pi_{k-1}(a_j)e^{Q(a_j)/\eta},\ KL(w\|\pi_{k-1}) = \epsilon:\quad"
        r" \nabla\sum_j w_j\log N(a_j; \mu, \sigma) = 0 \text{ at } \mu = E_{q_k}[a],\ \sigma^2 = E_{q_k}[(a - \mu)^2];\quad"
        r" \nabla\sum_j w_j\big(\log N(a_j; \mu, \sigma_{k-1}) + \log N(a_j; \mu_{k-1}, \sigma)\big) = 0 \text{ at }"
        r" \mu = E_{q_k}[a],\ \sigma^2 = E_{q_k}[(a - \mu_{k-1})^2]",
        check=Check(
            gap,
            instances(
                components=st.lists(_COMPONENT, min_size=1, max_size=2),
                epsilon=st.sampled_from((0.09, 0.03, 0.01)),
                decoupled=st.booleans(),
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
