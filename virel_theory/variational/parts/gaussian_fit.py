r"""M-steps of RERPI for Gaussian policies, joint and decoupled, and its iterates on one quadratic value.

With exact expectations and a concave Q that is the same in all components, the joint M-step keeps
$(a^* - \mu)/\sigma^2$ constant: both shrink by the same factor. See `gaussian` for the E-step.
"""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from virel_common.arguments import as_whole, require_flag
from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_finite,
    as_generator,
    as_number,
    as_probabilities,
    as_real,
)
from virel_theory.variational.core.budget import budget_temperature, tempered_posterior
from virel_theory.variational.parts.gaussian import (
    GaussianPolicy,
    as_quadratic,
    gaussian_budget_temperature,
    gaussian_posterior,
    require_same_size,
)


def gaussian_m_step(posterior: GaussianPolicy, *, policy: GaussianPolicy, decoupled: bool) -> GaussianPolicy:
    r"""M-step of weighted maximum likelihood, joint or decoupled, RERPI, Section 4.2.1.

    $$\mu^+ = E_q[a], \qquad \sigma^{2+} = E_q[(a - \bar\mu)^2], \qquad
    \bar\mu = E_q[a] \text{ (joint)}, \quad \bar\mu = \mu \text{ (decoupled)}$$

    Joint: $\arg\max_{\mu,\sigma} E_q[\log N(a; \mu, \sigma^2)]$. Decoupled: the mean at the old variance,
    and the variance at the old mean.

    Args:
        posterior: mean and variance of q, the only moments that the M-step needs.
        policy: the old policy.
        decoupled: whether the variance is fitted around the old mean.

    Returns: the new policy.
    Raises: InputError: if the numbers of components differ.

    Example:
        >>> old, q = GaussianPolicy([0.0], [1.0]), GaussianPolicy([2.0], [0.5])
        >>> gaussian_m_step(q, policy=old, decoupled=True).variance.tolist()
        [4.5]
    """
    require_same_size(posterior, policy, names=("posterior", "policy"))
    require_flag(decoupled, name="decoupled")
    if not decoupled:
        return posterior
    return GaussianPolicy(posterior.mean, posterior.variance + (posterior.mean - policy.mean) ** 2)


def gaussian_moments(actions: ArrayLike, *, weights: ArrayLike) -> GaussianPolicy:
    r"""Mean and variance of weighted sampled actions, the moments of a sampled posterior, RERPI, Section 4.2.

    $$m = \sum_j w_j a_j, \qquad s^2 = \sum_j w_j (a_j - m)^2$$

    Args: actions: `[N, D]`, finite. weights: `[N]` probabilities.
    Returns: the moments as a Gaussian policy.
    Raises: InputError: on wrong shapes, or if a component has no spread.

    Example:
        >>> gaussian_moments([[0.0], [2.0]], weights=[0.5, 0.5]).variance.tolist()
        [1.0]
    """
    a = as_real(actions, name="actions")
    require(a.ndim == 2 and a.size > 0, "actions", a.shape, "must have shape [N, D] and not be empty")
    w = as_probabilities(weights, name="weights")
    require(w.shape == a.shape[:1], "weights", w.shape, f"must have shape [{len(a)}]")
    mean = w @ as_finite(a, a.shape, name="actions")
    variance = w @ (a - mean) ** 2
    require(bool((variance > 0).all()), "actions", actions, "must differ in every component")
    return GaussianPolicy(mean, variance)


def gaussian_iterates(
    policy: GaussianPolicy,
    *,
    optimum: ArrayLike,
    curvature: ArrayLike,
    epsilon: float = 0.1,
    decoupled: bool = True,
    step: float = 1.0,
    samples: int | None = None,
    rng: np.random.Generator | None = None,
) -> Iterator[GaussianPolicy]:
    r"""Policies of RERPI on one state with a fixed quadratic value, exact or sampled, RERPI, Section 5.1.

    Every iteration takes the E-step with the temperature of the KL budget, then the share `step` of the way
    from the old mean and variance to those of the M-step. With `samples` = N, the E-step draws N actions of
    the policy and weighs them by $e^{Q/\eta}/\sum e^{Q/\eta}$; $\eta$ spends the budget against weights 1/N.

    Args:
        policy: the first policy, which is not yielded.
        optimum: `[D]` the stationary point of Q.
        curvature: `[D]` $c = -Q''$, not all 0.
        epsilon: KL budget of the E-step, in nats.
        decoupled: which M-step, see `gaussian_m_step`.
        step: share of the M-step that is taken, in (0, 1].
        samples: number N >= 2 of sampled actions; None: exact expectations.
        rng: source of the samples; needed with `samples`.

    Returns: an endless iterator of policies.
    Raises: InputError: if a setting is out of range.

    Example:
        >>> first = GaussianPolicy([10.0], [1.0])
        >>> policies = gaussian_iterates(first, optimum=[0.0], curvature=[2.0], decoupled=False)
        >>> bool(next(policies).variance < first.variance)
        True
    """
    target, c = (x.copy() for x in as_quadratic(policy, optimum, curvature))
    require_flag(decoupled, name="decoupled")
    share = as_number(step, name="step")
    require(0 < share <= 1, "step", step, "must lie in (0, 1]")
    if samples is None:
        gaussian_budget_temperature(policy, optimum=target, curvature=c, epsilon=epsilon)  # checks them

        def e_step(now: GaussianPolicy) -> GaussianPolicy:
            eta = gaussian_budget_temperature(now, optimum=target, curvature=c, epsilon=epsilon)
            return gaussian_posterior(now, optimum=target, curvature=c, eta=eta)

        return _iterates(policy, e_step, decoupled, share)
    n, generator = as_whole(samples, name="samples", least=2), as_generator(rng)
    budget = as_number(epsilon, name="epsilon")
    require(0 < budget < np.log(n), "epsilon", epsilon, f"must lie in (0, log {n})")
    return _iterates(policy, _sampled(target, c, budget, n, generator), decoupled, share)


def _sampled(
    target: Array, c: Array, epsilon: float, samples: int, generator: np.random.Generator
) -> Callable[[GaussianPolicy], GaussianPolicy]:
    """E-step from `samples` actions of the policy: the moments of the weighted samples."""
    even = np.full((1, samples), 1 / samples)

    def e_step(now: GaussianPolicy) -> GaussianPolicy:
        actions = now.mean + np.sqrt(now.variance) * generator.normal(size=(samples, len(now.mean)))
        q = -0.5 * ((actions - target) ** 2 @ c)[None]
        eta = budget_temperature(q, prior=even, d=np.ones(1), epsilon=epsilon).eta
        return gaussian_moments(actions, weights=tempered_posterior(q, prior=even, eta=eta)[0])

    return e_step


def _iterates(
    policy: GaussianPolicy,
    e_step: Callable[[GaussianPolicy], GaussianPolicy],
    decoupled: bool,
    step: float,
) -> Iterator[GaussianPolicy]:
    for _ in count():
        new = gaussian_m_step(e_step(policy), policy=policy, decoupled=decoupled)
        mean = policy.mean + step * (new.mean - policy.mean)
        policy = GaussianPolicy(mean, policy.variance + step * (new.variance - policy.variance))
        yield policy
