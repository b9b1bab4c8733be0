r"""Claim on Schulman et al. 2017, Sec. 5: damped soft Q regression is a natural gradient step.

The paper damps the target, $\hat Q^\epsilon_t = (1 - \epsilon)Q_{old} + \epsilon\hat Q_t$ with $\hat Q_t =
\tau KL_t + V(s_t) + \Delta_t$, freezes $V_\theta = V_{old}$ and minimises $E[(Q_\theta - \hat
Q^\epsilon)^2]/2$ over theta, with $Q_\theta = V_{old} + \tau\log(\pi_\theta/\bar\pi)$ and pairs (s_t, a_t) of
pi_old. At epsilon = 0 the minimum is 0, at theta_old; so there the Gauss-Newton matrix $\tau^2F$, $F =
E[\nabla\log\pi\nabla\log\pi^T]$, is the Hessian, and the minimisers of least norm have the derivative

$$\frac{d\theta}{d\epsilon} = (\tau^2F)^+E[\tau\nabla\log\pi\,(\hat Q - Q_{old})] = \frac1\tau F^+g,\quad
g = E[\nabla\log\pi\,\Delta_t - \tau\nabla KL(s_t)],$$

so the step of the natural policy gradient is epsilon/tau.

Both sides: the derivative of the minimiser, by least squares on the residuals' complex-step derivatives in
        theta and epsilon (weighted with the roots of the pairs' probabilities); F from scores, g from the
        derivative of $E_{\pi_\theta}[\Delta_t] - \tau KL$ in theta at fixed Delta and later policies.
Bound:  rounding. With c the condition number of the weighted Jacobian restricted to its range (singular
        values above 1e-6 of the largest, those of F above 1e-12; tables are at most 4 and tau at least 1, so
        probabilities are above e^-10 and exact singular values other than 0 above the cut, which rounding is
        below), normal equations lose c^2: 256 (|H| + N + 16) u c^2 (1 + |w|)(1 + B/s), s the smallest kept
        singular value, B the size of the residuals.
Teeth:  `perturb` doubles the KL's gradient.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.soft_q.n_step import Linear, linears
from verify.claims.soft_q.tools import STEP, Boltzmann, boltzmann, jacobian, kl
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict
from verify.strategies import distributions, instances, mdps, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP

RANK = 1e-6


def natural_gap(
    *,
    mdp: TabularMDP,
    linear: Linear,
    prior: Array,
    d: Array,
    alpha: float,
    n: int,
    frozen: bool = True,
    perturb: float = 0.0,
) -> Gap:
    """Gap of damped soft Q regression: derivative of its minimiser in epsilon minus `F^+ g / tau`, zero."""
    x = boltzmann(linear.table(linear.omega), prior, alpha)
    mass = np.sqrt((d[:, None] * x.pi)[mdp.available])
    ahead = advantage_ahead(mdp, x.pi, kl(x), x.v, alpha, n=n)
    design = mass[:, None] * _slope_of_table(linear, prior, alpha, frozen=frozen)[mdp.available]
    wanted = mass * _slope_of_target(ahead, x, alpha)[mdp.available]
    left = np.linalg.lstsq(design, wanted, rcond=RANK)[0]
    fisher, g = natural_parts(linear, prior, d, alpha, ahead, weight=1 + perturb)
    right = np.linalg.pinv(fisher, rcond=RANK**2, hermitian=True) @ g * step_size(alpha)
    return Gap(np.abs(left - right).max(), _bound(design, wanted, left, alpha))


def step_size(tau: float) -> float:
    """Size of the natural gradient step per epsilon: 1/tau."""
    return 1 / tau


def natural_parts(
    linear: Linear, prior: Array, d: Array, tau: float, ahead: Array, *, weight: float
) -> tuple[Array, Array]:
    """Fisher matrix `E[grad log pi grad log pi^T]`, and the policy gradient of one step with that of the KL."""
    score = np.moveaxis(
        jacobian(lambda w: boltzmann(linear.table(w), prior, tau).log_ratio, linear.omega), 0, -1
    )
    mass = d[:, None] * boltzmann(linear.table(linear.omega), prior, tau).pi

    def gain(w: Array) -> Array:
        x = boltzmann(linear.table(w), prior, tau)
        out: Array = d @ (np.sum(x.pi * ahead, axis=1) - tau * weight * kl(x))
        return out

    return np.einsum("sa,san,sam->nm", mass, score, score), jacobian(gain, linear.omega)


def advantage_ahead(mdp: TabularMDP, pi: Array, cost: Array, v: Array, tau: float, *, n: int) -> Array:
    """`E[Delta_t | s_t, a_t]` of n steps, `[S, A]`, forwards: n-step return minus V, first KL paid."""
    total, chance = mdp.reward - tau * cost[:, None], mdp.dense_transition
    for k in range(1, n):
        total = total + mdp.gamma**k * (chance @ (np.sum(pi * mdp.reward, axis=1) - tau * cost))
        chance = chance @ np.einsum("sa,sat->st", pi, mdp.dense_transition)
    out: Array = total + mdp.gamma**n * (chance @ v) - v[:, None]
    return out


def _slope_of_table(linear: Linear, prior: Array, tau: float, *, frozen: bool) -> Array:
    """Derivatives `[S, A, N]` of `V + tau log(pi_theta/prior)` in theta, V frozen or not."""

    def table(w: Array) -> Array:
        x = boltzmann(linear.table(w), prior, tau)
        out: Array = tau * x.log_ratio + (0 if frozen else x.v[:, None])
        return out

    return np.moveaxis(jacobian(table, linear.omega), 0, -1)


def _slope_of_target(ahead: Array, x: Boltzmann, tau: float) -> Array:
    """Derivative in epsilon of the damped target at epsilon = 0, `Q_hat - Q_old`, by a complex step."""
    old = x.v[:, None] + tau * x.log_ratio
    backed_up = tau * kl(x)[:, None] + x.v[:, None] + ahead
    epsilon = 1j * STEP
    out: Array = np.imag((1 - epsilon) * old + epsilon * backed_up) / STEP
    return out


def _bound(design: Array, wanted: Array, w: Array, tau: float) -> float:
    sizes = np.linalg.svd(design, compute_uv=False)
    kept = sizes[sizes > RANK * max(sizes[0], np.finfo(float).tiny)]
    worst = 1.0 if kept.size == 0 else float(kept[0] / kept[-1])
    least = 1.0 if kept.size == 0 else float(kept[-1])
    size = (1 + np.abs(w).max()) * (1 + (1 + np.abs(wanted).max()) / least)
    return float(256 * (sum(design.shape) + 16) * U * worst**2 * size * max(1.0, 1 / tau) * (1 + tau))


_PARTS: dict[str, Any] = {
    "mdp": mdps(max_states=2, min_actions=2, masked=True),
    "linear": linears,
    "prior": policies,
    "d": distributions,
    "alpha": temperatures().filter(lambda tau: tau >= 1),
    "n": st.integers(1, 3),
}
_LEAST_SQUARES = NoProof("pseudo-inverses of matrices of exponentials, whose rank no ball decides")

CLAIMS = (
    Claim(
        id="erpg-natural",
        title="a damped soft Q regression with frozen values is a natural gradient step",
        source="Schulman et al. 2017, Sec. 5",
        statement=r"\hat Q^\epsilon_t = (1-\epsilon)Q_{\theta_{old}}(s_t,a_t) + \epsilon\hat Q_t:\quad \text{the damped Q-learning "
        r"update corresponds to a natural gradient step}",
        reading=r"$\tfrac{d\theta}{d\epsilon} = \tfrac1\tau F^+g$ at $\epsilon = 0$, with the Fisher matrix F and the policy gradient g.",
        check=Check(natural_gap, instances(**_PARTS)),
        not_certified=_LEAST_SQUARES,
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "frozen value",
                r"the value function is unchanged by optimization, so $V_\theta = V_{\theta_{old}}$ (Otherwise, the equivalence will "
                r"not hold, since the value function will try to explain the measured advantage $\Delta$, shrinking the advantage update.)",
                without=Check(natural_gap, instances(**_PARTS, frozen=st.just(False))),
            ),
        ),
    ),
)
