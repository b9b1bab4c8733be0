r"""Entropy-regularised policy gradients with exact expectations, in two forms that are one algorithm.

The policy is the Boltzmann policy of a table q under the reference policy $\bar\pi$, and q also holds the
value estimate $V_q$:

$$V_q(s) = \tau\log\sum_a\bar\pi(a|s)e^{q(s, a)/\tau}, \qquad \pi_q = \bar\pi e^{(q - V_q)/\tau},
\qquad q = V_q + \tau\log(\pi_q/\bar\pi)$$

States are weighted by $\mu_q = (1 - \gamma)p_0^\top(I - \gamma P_{\pi_q})^{-1}$, the normalised discounted
visits, so that the policy gradient is that of $(1 - \gamma)J$, J the return minus tau times the discounted
KL.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_positive, as_temperature, is_one_of
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.e_step import expected_kl, posterior_policy, soft_maximum
from virel_theory.variational.core.iterate import (
    Iterate,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.regularised import back_up, regularised_value
from virel_theory.variational.parts.optimum import visit_distribution

Form = Literal["policy-gradient", "soft-q"]
Direction = Callable[[TabularMDP, Array, Array, Array, float], Array]
"""Change of the table q per unit of step: of an MDP, q, its policy, the reference policy and tau."""


def erpg(
    mdp: TabularMDP,
    *,
    tau: float = 1.0,
    step: float = 1.0,
    form: Form = "policy-gradient",
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
) -> Iterator[Iterate]:
    r"""Gradient ascent on the entropy-regularised return, Schulman et al. 2017, Secs. 3.6 and 4.

    From $q_0 = 0$, that is $\pi_0 = \bar\pi$ and $V_0 = 0$, for k = 1, 2, ..., with $\pi = \pi_{q_{k-1}}$,
    its exact soft values $V_\pi$, $Q_\pi = r + \gamma P V_\pi$ under the reference policy at temperature tau,
    and the visits $\mu$ of pi, `form="policy-gradient"` adds tau times the policy gradient and the descent of
    the value error:

    $$q_k = q_{k-1} + step\,\Big(\tau\,\nabla_q(1 - \gamma)J(\pi_q)
    - \nabla_q E_\mu\big[\tfrac12(V_q(s) - V_\pi(s))^2\big]\Big)\Big|_{q = q_{k-1}}$$

    with $\nabla_q(1 - \gamma)J = \frac1\tau\mu\pi(Q_\pi - \tau\log(\pi/\bar\pi) - V_\pi)$ and $\nabla_q$ of
    the value error $= \mu\pi(V_q - V_\pi)$; `form="soft-q"` descends the loss of soft Q-learning with exact
    targets:

    $$q_k = q_{k-1} - step\,\nabla_q E_\mu E_\pi\big[\tfrac12(q(s, a) - Q_\pi(s, a))^2\big]\Big|_{q = q_{k-1}}
    = q_{k-1} - step\,\mu\pi(q_{k-1} - Q_\pi)$$

    The weights and the targets carry no gradient. Where a probability has become 0, so has its gradient: with
    a step far above tau/max|Q| actions can be lost for good. Both forms give the same iterates. In an iterate
    `q` is $q_k$, `posterior` and `policy` are $\pi_{q_k}$, `prior` is the reference policy, `kl` is $E_d
    KL(\pi_{q_k}\|\bar\pi)$. E: the Boltzmann policy of q. M: none. V: both forms evaluate exactly. Dual:
    none.

    Deviation: 1. expectations in place of samples, and n-step returns for n = infinity; 2. visits are
    discounted and normalised, so that the policy gradient is exact for the discounted return.

    Args:
        mdp: finite MDP.
        tau: temperature > 0, reward units per nat.
        step: step size > 0, without unit; 2 is unstable where a pair has all the visits.
        form: `"policy-gradient"` or `"soft-q"`, how the same direction is computed.
        prior: `[S, A]` reference policy; None is uniform over the actions that exist.
        d: `[S]` distribution over states for `kl`; None is the uniform one.

    Returns: the iterates, without end.
    Raises: InputError: if an argument is out of its range, when `erpg` is called.

    Example:
        >>> from itertools import islice
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
        >>> [x.q.tolist() for x in islice(erpg(mdp, tau=1.0, step=1.0), 1)]
        [[[0.5, 0.0]]]
    """
    require(is_one_of(form, DIRECTIONS), "form", form, f"must be one of {', '.join(DIRECTIONS)}")
    temperature, size = as_temperature(tau, name="tau"), as_positive(step, name="step")
    reference, weights = first_prior(prior, mdp), state_distribution(d, mdp)

    def direction(q: Array, pi: Array) -> Array:
        return size * DIRECTIONS[form](mdp, q, pi, reference, temperature)

    return _iterates(mdp, reference, temperature, weights, direction)


def _iterates(
    mdp: TabularMDP, reference: Array, tau: float, d: Array, direction: Callable[[Array, Array], Array]
) -> Iterator[Iterate]:
    q, pi, step = np.where(mdp.available, 0.0, -np.inf), reference, 0
    while True:
        step += 1
        q = np.where(mdp.available, q + direction(q, pi), -np.inf)
        pi = posterior_policy(q, prior=reference, alpha=tau)
        found = certified(mdp, policy=pi, v=evaluate(mdp, policy=pi, v=d, sweeps=None))
        yield Iterate(
            step=step,
            q=q,
            posterior=pi,
            prior=reference,
            policy=pi,
            temperature=tau,
            kl=expected_kl(pi, reference, d=d),
            value=found.value,
            error=found.error,
            bound=found.bound,
        )


def _policy_gradient(mdp: TabularMDP, q: Array, pi: Array, reference: Array, tau: float) -> Array:
    """Tau times the exact policy gradient in the table q, minus the gradient of the value error."""
    on = pi > 0
    v = regularised_value(mdp, pi=pi, prior=reference, alpha=tau)
    log_ratio = np.log(np.where(on, pi, 1.0)) - np.log(np.where(on, reference, 1.0))
    advantage = np.where(on, back_up(mdp, v) - tau * log_ratio - v[:, None], 0.0)
    weights = visit_distribution(mdp, pi=pi)[:, None] * pi
    tau_times_gradient_of_return = weights * advantage
    gradient_of_value_error = weights * (soft_maximum(q, prior=reference, alpha=tau) - v)[:, None]
    return tau_times_gradient_of_return - gradient_of_value_error


def _soft_q(mdp: TabularMDP, q: Array, pi: Array, reference: Array, tau: float) -> Array:
    """Descent direction of the squared error of the table q against the exact soft values of its policy."""
    target = back_up(mdp, regularised_value(mdp, pi=pi, prior=reference, alpha=tau))
    error = np.where(mdp.available, q, 0.0) - np.where(mdp.available, target, 0.0)
    out: Array = -visit_distribution(mdp, pi=pi)[:, None] * pi * error
    return out


DIRECTIONS: dict[str, Direction] = {"policy-gradient": _policy_gradient, "soft-q": _soft_q}
