r"""Claim on V-MPO's trust region: its Lagrangian (14), and the loss (15) that is to follow from it.

The policy is a softmax of logits theta, one per pair; psi is any distribution over pairs.

Both sides: derivatives of (14), and of its correction, in every logit by a complex step, against the gradients of
        (12) and (15) with their stop-gradients, in closed form. In the multiplier both are linear.
Bound:  rounding. A gradient's entry is a sum of A terms of size at most B = 1 + alpha, times their logarithms of
        size at most L = 1 + max|theta| + log A in the complex step: 64 (A + 16) u B L.
Teeth:  `perturb` adds twice the gradient of the divergence, which turns the sign of its term.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import fractions
from verify.engine.claim import Check, Claim, Correction
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

STEP = 1e-30


def printed_gap(
    *,
    mdp: TabularMDP,
    theta: Array,
    prior: Array,
    psi: Array,
    d: Array,
    alpha: float,
    epsilon: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of V-MPO (14) as printed: its gradient in theta minus that of (12) and (15); zero."""
    x = (mdp, theta, prior, psi, d)
    found = _derivative(*x, alpha, epsilon, sign=-1.0)
    return Gap(np.abs(found - _loss_gradient(*x, alpha + perturb)).max(), _bound(mdp, theta, alpha))


def corrected_gap(
    *,
    mdp: TabularMDP,
    theta: Array,
    prior: Array,
    psi: Array,
    d: Array,
    alpha: float,
    epsilon: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of V-MPO (14) with the other sign: its descent in theta and ascent in alpha minus (15)'s; zero."""
    x = (mdp, theta, prior, psi, d)
    bound = _bound(mdp, theta, alpha)
    found = _derivative(*x, alpha, epsilon, sign=1.0)
    descent = np.abs(found - _loss_gradient(*x, alpha * (1 - 2 * perturb))).max()
    ascent = _lagrangian(*x, alpha + 1j * STEP, epsilon, sign=1.0).imag / STEP
    slope_15 = epsilon - _divergence(mdp, _softmax(mdp, theta.astype(np.complex128)), prior, d).real
    return worst(Gap(descent, bound), Gap(abs(ascent + slope_15), bound))


def _softmax(mdp: TabularMDP, logits: np.ndarray) -> np.ndarray:
    shifted = logits - np.where(mdp.available, logits.real, -np.inf).max(axis=1, keepdims=True)
    weights = np.where(mdp.available, np.exp(np.where(mdp.available, shifted, 0)), 0)
    out: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return out


def _divergence(mdp: TabularMDP, pi: np.ndarray, prior: Array, d: Array) -> complex:
    """Divergence `E_d[KL(old || pi)]` at complex policies."""
    on = mdp.available
    return complex(np.sum((d[:, None] * prior)[on] * (np.log(prior[on]) - np.log(pi[on]))))


def _lagrangian(
    mdp: TabularMDP,
    logits: np.ndarray,
    prior: Array,
    psi: Array,
    d: Array,
    alpha: complex,
    epsilon: float,
    *,
    sign: float,
) -> complex:
    """Loss (12) plus `sign * alpha * (E_d KL(old || pi) - epsilon)`; (14) as printed has the sign -1."""
    pi, on = _softmax(mdp, logits.astype(np.complex128)), mdp.available
    loss = -np.sum(psi[on] * np.log(pi[on]))
    return complex(loss + sign * alpha * (_divergence(mdp, pi, prior, d) - epsilon))


def _derivative(
    mdp: TabularMDP,
    theta: Array,
    prior: Array,
    psi: Array,
    d: Array,
    alpha: float,
    epsilon: float,
    *,
    sign: float,
) -> Array:
    out = np.zeros(mdp.shape)
    for h in zip(*np.nonzero(mdp.available), strict=True):
        logits = theta.astype(np.complex128)
        logits[h] += 1j * STEP
        out[h] = _lagrangian(mdp, logits, prior, psi, d, alpha, epsilon, sign=sign).imag / STEP
    return out


def _loss_gradient(mdp: TabularMDP, theta: Array, prior: Array, psi: Array, d: Array, alpha: float) -> Array:
    """Gradient of (12) and (15) in theta, alpha and the divergence in front of it being constant."""
    pi = _softmax(mdp, theta)
    out: Array = psi.sum(axis=1, keepdims=True) * pi - psi + alpha * d[:, None] * (pi - prior)
    return out


def _bound(mdp: TabularMDP, theta: Array, alpha: float) -> float:
    size = 1 + float(np.abs(theta).max()) + np.log(mdp.n_actions)
    return float(64 * (mdp.n_actions + 16) * U * (1 + alpha) * size)


def _pairs(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Distributions over pairs, 0 at missing ones: a policy in each state, times a distribution over states."""
    return st.tuples(policies(mdp, full_support=False), distributions(mdp, full_support=False)).map(
        lambda x: x[1][:, None] * x[0]
    )


_ALL = instances(
    mdp=mdps(max_states=3, masked=True, min_actions=2),
    theta=lambda mdp: fractions(mdp.shape, 6, over=2),
    prior=policies,
    psi=_pairs,
    d=distributions,
    alpha=st.sampled_from((1.0, 0.5, 2.0, 0.25)),
    epsilon=st.sampled_from((0.01, 0.1, 0.5)),
)

CLAIMS = (
    Claim(
        id="vmpo-14-15",
        title="Lagrangian of V-MPO's trust region, which is minimised over the policy",
        source="V-MPO, Eqs. (14) and (15)",
        statement=r"\mathcal J(\theta,\alpha) = \mathcal L_\pi(\theta) + \alpha\big(\epsilon_\alpha - E_{s\sim p(s)}"
        r"[D_{KL}(\pi_{\theta_{old}}(a|s)\|\pi_\theta(a|s))]\big)",
        reading=r"The gradient in $\theta$ is that of $\mathcal L_\pi + \mathcal L_\alpha$, which (12) and (15) minimise.",
        check=Check(printed_gap, _ALL, n_random=60),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"\mathcal J(\theta,\alpha) = \mathcal L_\pi(\theta) + \alpha\big(E_{s\sim p(s)}[D_{KL}]"
            r" - \epsilon_\alpha\big):\quad \nabla_\theta\mathcal J = \nabla_\theta(\mathcal L_\pi +"
            r" \mathcal L_\alpha),\quad \partial_\alpha\mathcal J = -\partial_\alpha\mathcal L_\alpha",
            derivation=r"""(13) is a minimum over theta, so a violated constraint must raise the Lagrangian. (14) has
the sign of a maximum: its descent in theta goes away from the old policy, and it has no minimum. One state, two
actions, $\pi_{old} = (\frac12, \frac12)$, $\psi = (1, 0)$, $\alpha = 1$: $\mathcal J = -\log p_1 +
\epsilon_\alpha + \frac12\log(4p_1p_2) = \frac12\log(p_2/p_1) + const$, which falls to $-\infty$ as $p_2 \to 0$,
where the divergence grows without bound. (5) and (15), which the algorithm uses, are right: their descent in
theta and in alpha is the descent and the ascent of the Lagrangian with the other sign.""",
            check=Check(corrected_gap, _ALL, n_random=60),
        ),
    ),
)
