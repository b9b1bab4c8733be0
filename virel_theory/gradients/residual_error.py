r"""Derivatives of the residual error, Eqs. (26)-(31) and Theorem 4, in the form that is true.

The forms that the paper misprints are in `as_printed`, the gradients of the E- and M-step in `em_steps`.
Shapes: `q [S, A]` (`-inf` where the action does not exist), `b_omega [S, A, N]`, the gradients of `q`, and
gradients `[N]`. $E[\cdot]$ is the mean over the pairs that exist. Under $\mathcal T^{\pi_\omega}$ the
temperature is the residual it produces, $\varepsilon_\omega = g(\omega, \varepsilon_\omega)$. It depends on
$\omega$, and so every derivative of $\pi_\omega$ contains $\nabla_\omega\varepsilon_\omega$.
"""

import numpy as np
from numpy.typing import ArrayLike

from virel_common.errors import require
from virel_theory.checks import Array, as_finite, as_temperature
from virel_theory.gradients.pairs import (
    as_jacobian,
    as_jacobian_of,
    centre_actions,
    expect_next,
    finite,
    mean_over_pairs,
    one_hot_argmax,
)
from virel_theory.mdp.tables import as_residual, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import as_action_values, boltzmann_policy


def grad_beta_fixed_policy(mdp: TabularMDP, b_omega: ArrayLike, *, pi: ArrayLike) -> Array:
    r"""Derivative of the Bellman residual at a fixed policy, $\Gamma_\omega$, Eq. (27).

    $$\Gamma_\omega(h) = \gamma E_\omega[\nabla_\omega\hat Q_\omega(h')] - \nabla_\omega\hat Q_\omega(h)$$

    Args: mdp: finite MDP. b_omega: `[S, A, N]`. pi: `[S, A]`.
    Returns: `[S, A, N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_fixed_policy(mdp, [[[3.0], [1.0]]], pi=[[0.5, 0.5]]).tolist()
        [[[-2.0], [0.0]]]
    """
    b = as_jacobian(b_omega, mdp)
    return mdp.gamma * expect_next(mdp, b, pi=pi) - b


def grad_log_boltzmann(q: ArrayLike, b_omega: ArrayLike, *, eps: float, grad_eps: ArrayLike) -> Array:
    r"""Gradient of the logarithm of the Boltzmann policy, Eq. (29).

    $$\nabla_\omega\log\pi_\omega(a|s) = \frac{1}{\varepsilon_\omega^2}\big(
    \varepsilon_\omega\mathcal M_\omega[\nabla_\omega\hat Q_\omega(h)] -
    \nabla_\omega\varepsilon_\omega\,\mathcal M_\omega\hat Q_\omega(h)\big)$$

    Args: q: `[S, A]`. b_omega: `[S, A, N]`. eps: > 0. grad_eps: `[N]`, zero for a constant temperature.
    Returns: `[S, A, N]`, 0 at missing actions.
    Raises: InputError: if `eps` is not positive and finite, or on wrong shapes.

    Example:
        >>> grad_log_boltzmann([[0.0, 0.0]], [[[1.0], [0.0]]], eps=1.0, grad_eps=[7.0]).tolist()
        [[[0.5], [-0.5]]]
    """
    eps = as_temperature(eps, name="eps")
    pi = boltzmann_policy(q, eps=eps)
    exists = np.isfinite(as_action_values(q))
    b = as_jacobian_of(b_omega, exists, name="b_omega")
    d_eps = as_finite(grad_eps, (b.shape[2],), name="grad_eps")
    slope = centre_actions(b, pi=pi) - centre_actions(q, pi=pi)[:, :, None] * (d_eps / eps)
    return np.where(exists[:, :, None], slope / eps, 0.0)


def grad_eps_chain(mdp: TabularMDP, beta: ArrayLike, grad_beta: ArrayLike) -> Array:
    r"""Gradient of the residual error, $E[\beta_\omega\nabla_\omega\beta_\omega]$, Eq. (26).

    Args: mdp: finite MDP. beta: `[S, A]`. grad_beta: `[S, A, N]`.
    Returns: `[N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_eps_chain(mdp, [[2.0, 4.0]], [[[1.0], [1.0]]]).tolist()
        [3.0]
    """
    residual, d_beta = as_residual(beta, mdp, name="beta"), as_jacobian(grad_beta, mdp, name="grad_beta")
    return mean_over_pairs(mdp, residual[:, :, None] * d_beta)


def grad_beta_optimal(mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike) -> Array:
    r"""Derivative of $\beta_\omega = \mathcal T^*\hat Q_\omega - \hat Q_\omega$ at unique maxima, App. E.3.

    $$\nabla_\omega\beta_\omega(h) = \gamma E_{p(s'|h)}[\nabla_\omega\hat Q_\omega(a^*,s')] -
    \nabla_\omega\hat Q_\omega(h)$$

    Deviation: 1. the factor $\gamma$, which the paper omits; 2. at a tie the first maximiser is used.

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`.
    Returns: `[S, A, N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_optimal(mdp, [[0.0, 1.0]], [[[1.0], [4.0]]]).tolist()
        [[[1.0], [-2.0]]]
    """
    best = one_hot_argmax(as_table(q, mdp, name="q"))
    return grad_beta_fixed_policy(mdp, b_omega, pi=best)


def grad_beta_boltzmann(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, eps: float, grad_eps: ArrayLike
) -> Array:
    r"""Derivative of $\beta_\omega = \mathcal T^{\pi_\omega}\hat Q_\omega - \hat Q_\omega$, Eq. (27).

    $$\nabla_\omega\beta_\omega(h) = \gamma E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))\hat Q_\omega(h')] +
    \Gamma_\omega(h)$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. eps: > 0. grad_eps: `[N]`,
        $\nabla_\omega\varepsilon_\omega$.
    Returns: `[S, A, N]`.
    Raises: InputError: if `eps` is not positive and finite, or on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_boltzmann(mdp, [[1, 1]], [[[1], [0]]], eps=1, grad_eps=[0]).round(9).tolist()
        [[[-0.75], [0.25]]]
    """
    table, pi = as_table(q, mdp, name="q"), boltzmann_policy(q, eps=eps)
    score = grad_log_boltzmann(table, b_omega, eps=eps, grad_eps=grad_eps)
    policy_part = expect_next(mdp, score * finite(table)[:, :, None], pi=pi)
    return mdp.gamma * policy_part + grad_beta_fixed_policy(mdp, b_omega, pi=pi)


def grad_eps_from_score(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, pi: ArrayLike, score: ArrayLike
) -> Array:
    r"""Gradient of the residual error from the policy's score, Eq. (28).

    $$\nabla_\omega\varepsilon_\omega = \gamma E\big[\beta_\omega
    E_\omega[(\nabla_\omega\log\pi_\omega(a'|s')) \hat Q_\omega(h')]\big] + E[\beta_\omega\Gamma_\omega]$$

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. beta: `[S, A]`. pi: `[S, A]`. score:
        `[S, A, N]`,
        total derivative of the log-policy.
    Returns: `[N]`.
    Raises: InputError: on wrong shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0]]], [[0.0]], 0.5)
        >>> one = [[1.0]]
        >>> grad_eps_from_score(mdp, one, [[[1.0]]], beta=[[2.0]], pi=one, score=[[[0.0]]]).tolist()
        [-1.0]
    """
    residual = as_residual(beta, mdp, name="beta")[:, :, None]
    weighted = finite(as_table(q, mdp, name="q"))[:, :, None] * as_jacobian(score, mdp, name="score")
    policy_part = mean_over_pairs(mdp, residual * expect_next(mdp, weighted, pi=pi))
    fixed_part = mean_over_pairs(mdp, residual * grad_beta_fixed_policy(mdp, b_omega, pi=pi))
    return mdp.gamma * policy_part + fixed_part


def grad_policy_term(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, eps: float
) -> Array:
    r"""Expected derivative of the Boltzmann policy in $\omega$, the corrected Thm 4.

    $$E\big[\beta_\omega E_\omega[(\nabla\log\pi_\omega)\hat Q_\omega]\big]
    = \frac{\varepsilon_\omega\mathbb E_\omega[\nabla\hat Q_\omega] - E[\beta_\omega\Gamma_\omega]\,\mathbb
    E_\omega\hat Q_\omega}
    {\varepsilon_\omega^2 + \gamma\,\mathbb E_\omega\hat Q_\omega},\qquad
    \mathbb E_\omega\,\cdot := E[\beta_\omega E_\omega[\hat Q_\omega\mathcal M_\omega\,\cdot\,]]$$

    Deviation: 1. signs, factors and the denominator differ from print; derivation in
    `docs/derivations/theorem_4.md`; 2. the factor $\hat Q_\omega$ is centred, which changes no value but
    avoids a cancellation where the policy is almost deterministic; 3. divided through by
    $\varepsilon_\omega^2$, which may underflow.

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. beta: residual, `[S, A]`. eps: self-consistent,
        > 0.
    Returns: `[N]`; rounding error amplified by $1/|1 - \partial_\varepsilon g|$.
    Raises: InputError: if the denominator is 0 (a fold of the self-consistent temperature), or on wrong
        shapes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.0)
        >>> grad_policy_term(mdp, [[1, 1]], [[[1], [0]]], beta=[[1, 1]], eps=0.5).round(9).tolist()
        [0.0]
    """
    policy_q, policy_b, fixed = _parts(mdp, q, b_omega, beta=beta, eps=eps)
    return (policy_b - fixed * policy_q) / _denominator(mdp, policy_q, eps)


def grad_eps_boltzmann(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, eps: float
) -> Array:
    r"""Gradient of the self-consistent residual error, the corrected Eq. (30).

    $$\nabla_\omega\varepsilon_\omega = \frac{
    \varepsilon_\omega^2 E[\beta_\omega\Gamma_\omega] + \gamma\,\varepsilon_\omega\mathbb
    E_\omega[\nabla_\omega\hat Q_\omega]}
    {\varepsilon_\omega^2 + \gamma\,\mathbb E_\omega\hat Q_\omega}$$

    Deviation: 1. as in `grad_policy_term`, and the factor $\gamma$ of (28) is kept.

    Args, Returns, Raises: as `grad_policy_term`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.0)
        >>> grad_eps_boltzmann(mdp, [[1.0, 0.0]], [[[1.0], [0.0]]], beta=[[1, 1]], eps=0.5).tolist()
        [-0.5]
    """
    policy_q, policy_b, fixed = _parts(mdp, q, b_omega, beta=beta, eps=eps)
    return (fixed + mdp.gamma * policy_b) / _denominator(mdp, policy_q, eps)


def grad_log_incremental(q: ArrayLike, b_omega: ArrayLike, *, eps_k: float) -> Array:
    r"""Score of policy $p_{\omega,k}$: $\mathcal M_{\omega,k}[\nabla\hat Q_\omega/\varepsilon_k]$, App. E.3.

    Args: q: `[S, A]`. b_omega: `[S, A, N]`. eps_k: > 0.
    Returns: `[S, A, N]`.
    Raises: InputError: as `boltzmann_policy`.

    Example:
        >>> grad_log_incremental([[0.0, 0.0]], [[[1.0], [0.0]]], eps_k=0.5).tolist()
        [[[1.0], [-1.0]]]
    """
    eps_k = as_temperature(eps_k, name="eps_k")
    exists = np.isfinite(as_action_values(q))
    b = as_jacobian_of(b_omega, exists, name="b_omega")
    centred = centre_actions(b, pi=boltzmann_policy(q, eps=eps_k))
    return np.where(exists[:, :, None], centred / eps_k, 0.0)


def grad_beta_incremental(mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, eps_k: float) -> Array:
    r"""Derivative of $\mathcal T_{\omega,k}\hat Q_\omega - \hat Q_\omega$, the corrected Eq. (31).

    $$\nabla\beta_{\omega,k}(h) = \gamma E_{\omega,k}\big[\mathcal M_{\omega,k}[\nabla\hat
    Q_\omega(h')/\varepsilon_k]\,
    \hat Q_\omega(h') + \nabla\hat Q_\omega(h')\big] - \nabla\hat Q_\omega(h)$$

    Deviation: 1. the factors $\gamma$ and $\hat Q_\omega(h')$, which the paper omits.

    Args: mdp: finite MDP. q: `[S, A]`. b_omega: `[S, A, N]`. eps_k: > 0.
    Returns: `[S, A, N]`.
    Raises: InputError: on wrong shapes or `eps_k`.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
        >>> grad_beta_incremental(mdp, [[1.0, 1.0]], [[[1.0], [0.0]]], eps_k=1.0).round(9).tolist()
        [[[-0.75], [0.25]]]
    """
    table, b, eps_k = (
        as_table(q, mdp, name="q"),
        as_jacobian(b_omega, mdp),
        as_temperature(eps_k, name="eps_k"),
    )
    inner = grad_log_incremental(table, b, eps_k=eps_k) * finite(table)[:, :, None] + b
    return mdp.gamma * expect_next(mdp, inner, pi=boltzmann_policy(table, eps=eps_k)) - b


def _parts(
    mdp: TabularMDP, q: ArrayLike, b_omega: ArrayLike, *, beta: ArrayLike, eps: float
) -> tuple[float, Array, Array]:
    r"""Three means over state-action pairs that make up the right side of the corrected Theorem 4.

    $\mathbb E_\omega\hat Q/\varepsilon^2$, $\mathbb E_\omega[\nabla\hat Q]/\varepsilon$ and the part at a
    fixed policy, $E[\beta\Gamma]$. Q is centred and divided by eps before it is squared, as eps^2 may
    underflow: at most 746 where $\pi > 0$.
    """
    eps = as_temperature(eps, name="eps")
    table, b = as_table(q, mdp, name="q"), as_jacobian(b_omega, mdp)
    residual = as_residual(beta, mdp, name="beta")
    pi = boltzmann_policy(table, eps=eps)
    centred = centre_actions(table, pi=pi)  # E_pi[Q M f] = E_pi[(M Q)(M f)], without its cancellation
    weight = np.where(pi > 0, centred, 0.0) / eps
    policy_q = mean_over_pairs(mdp, residual * expect_next(mdp, weight * weight, pi=pi))
    inner = expect_next(mdp, weight[:, :, None] * centre_actions(b, pi=pi), pi=pi)
    policy_b = mean_over_pairs(mdp, residual[:, :, None] * inner)
    fixed = mean_over_pairs(mdp, residual[:, :, None] * grad_beta_fixed_policy(mdp, b, pi=pi))
    return float(policy_q), policy_b, fixed


def _denominator(mdp: TabularMDP, policy_q: float, eps: float) -> float:
    """Denominator of Thm 4 over `eps^2`: `1 - dg/d eps`, g the temperature map; `InputError` if it is 0."""
    total = 1 + mdp.gamma * policy_q
    require(
        total != 0,
        "eps",
        eps,
        "must not be where the temperature map has slope 1 in eps: the temperature has no gradient there",
    )
    return total
