r"""Claim on Schulman et al. 2017, Sec. 2: the gradient of a bandit's squared error is a policy gradient.

Every state of the MDP is taken for a bandit with mean rewards $\bar r(a) = r(s, a)$. In the paper's letters
$v = \tau\log E_{\bar\pi}[e^{q/\tau}]$, $\pi = \bar\pi e^{(q - v)/\tau}$, $\hat v = E_\pi[\bar r] - \tau
KL(\pi\|\bar\pi)$ and $\eta(\pi)$ = that same number as a function of the policy. Noise of the reward adds
nothing to either gradient.

Both sides: the gradient of the squared error by its definition, actions drawn from pi and pi held fixed, in
        every entry of the table q (any other parametrisation follows by the chain rule); the derivatives of
        eta and v by complex steps.
Bound:  rounding. Terms of size B = (max|q| + max|r| + tau max|log prior|) at most squared: 64 (A + 8) u (1 +
        B)^2/tau times tau, where 1/tau comes from the scores: 64 (A + 8) u (1 + B)^2 max(1, 1/tau).
Teeth:  `perturb` doubles the weight of the policy gradient.
"""

from typing import Any

import numpy as np

from verify.claims.instances import choices
from verify.claims.soft_q.tools import Boltzmann, boltzmann, jacobian, kl, moderate, tables
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP


def bandit_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    prior: Array,
    alpha: float,
    behaviour: Array | None = None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the bandit identity: `grad E[(q - r)^2/2] - (-tau grad eta + grad (v - v_hat)^2/2)`, zero.

    Actions are drawn from the Boltzmann policy, or from `behaviour` if it is given.
    """
    on = mdp.available
    pi = boltzmann(q, prior, alpha).pi if behaviour is None else behaviour
    left = np.where(on, pi * (q - mdp.reward), 0.0)
    right = printed(mdp.reward, q, prior, alpha, weight=1 + perturb)
    log_prior = np.abs(np.log(np.where(on, prior, 1.0))).max()
    size = 1 + np.abs(q).max() + np.abs(mdp.reward).max() + alpha * log_prior
    bound = 64 * (mdp.n_actions + 8) * U * size**2 * max(1.0, 1 / alpha)
    return Gap(np.abs(left - np.where(on, right, 0.0)).max(), bound)


def printed(r: Array, q: Array, prior: Array, tau: float, *, weight: float = 1.0) -> Array:
    """Printed right hand side `-tau grad eta(pi) + grad (v - v_hat)^2/2`, summed over the bandits."""

    def eta(x: Boltzmann) -> Array:
        out: Array = np.sum(x.pi * r, axis=1) - tau * kl(x)
        return out

    v_hat = eta(boltzmann(q, prior, tau))
    slope_of_eta = jacobian(lambda z: np.sum(eta(boltzmann(z, prior, tau))), q)
    value_loss = jacobian(lambda z: np.sum((boltzmann(z, prior, tau).v - v_hat) ** 2) / 2, q)
    return -tau * weight * slope_of_eta + value_loss


_PARTS: dict[str, Any] = {
    "mdp": mdps(max_states=2, masked=True),
    "q": tables,
    "prior": policies,
    "alpha": moderate(),
}

CLAIMS = (
    Claim(
        id="erpg-bandit",
        title="bandit: the gradient of the squared error is a policy gradient and a value gradient",
        source="Schulman et al. 2017, Sec. 2 (last display)",
        statement=r"\nabla_\theta E_{a\sim\pi}[\tfrac12(q_\theta(a) - r)^2]\big|_{\pi=\pi^B_{q_\theta}} = "
        r"-\tau\nabla_\theta\eta(\pi^B_{q_\theta}) + \nabla_\theta\tfrac12(v_\theta - \hat v)^2,\quad "
        r"\hat v = E_\pi[\bar r] - \tau D_{KL}[\pi\|\bar\pi]",
        reading="The formula is read from the prose around it; the copy that was read lacks displays.",
        check=Check(bandit_gap, instances(**_PARTS | {"mdp": choices(max_states=2, masked=True)})),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "on policy",
                r"we'll assume actions were sampled by $\pi = \pi^B_{q_\theta}$",
                without=Check(bandit_gap, instances(**_PARTS, behaviour=policies)),
            ),
        ),
    ),
)
