"""True derivatives behind Theorem 4 and (30), by code that shares nothing with the formulas.

How the three ways relate is in `theorem_4.py`.
"""

import mpmath
import numpy as np

from verify.arithmetic.dual import gradient_of, variables
from verify.arithmetic.model import DIGITS, central_differences, self_consistent_dual, self_consistent_mp
from verify.claims.residual_gradients.self_consistent import Model, evaluate, frozen, policy_term
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

EVERY = 25
"""One instance in so many is also checked by central differences, which cost about 50 times as much."""


def eps_truth(mdp: TabularMDP, model: Model, eps: float, *, method: str) -> Array:
    r"""Derivative $d\varepsilon_\omega / d\omega$ of the self-consistent temperature.

    `method` is "dual", "implicit" or "differences".
    """
    approximator, omega = model
    if method == "dual":
        return self_consistent_dual(mdp, approximator, omega, eps).tangent
    if method == "implicit":
        return _implicit(mdp, model, eps)
    return central_differences(lambda x: self_consistent_mp(mdp, approximator, x, eps), omega)


def policy_truth(mdp: TabularMDP, model: Model, eps: float, *, method: str) -> Array:
    r"""Left side of Theorem 4, $E[\beta E_\omega[(\nabla\log\pi_\omega)\hat Q]]$.

    `method` is "dual", "implicit" or "differences".
    """
    approximator, omega = model
    if method == "dual":
        at, pi = frozen(mdp, model, eps)
        root = self_consistent_dual(mdp, approximator, omega, eps)
        term = policy_term(mdp, model, omega=variables(omega), eps=root, at=at, pi=pi)
        return gradient_of(term, len(omega))
    if method == "implicit":
        return _implicit_policy(mdp, model, eps)
    with mpmath.workdps(DIGITS):
        base = self_consistent_mp(mdp, approximator, [mpmath.mpf(float(x)) for x in omega], eps)
        at, pi = frozen(mdp, model, base)
    return central_differences(
        lambda x: policy_term(
            mdp, model, omega=x, eps=self_consistent_mp(mdp, approximator, x, eps), at=at, pi=pi
        ),
        omega,
    )


def _implicit(mdp: TabularMDP, model: Model, eps: float) -> Array:
    r"""Derivative of the self-consistent temperature, $\partial_\omega g / (1 - \partial_\varepsilon g)$.

    The root is that of `eps = g(omega, eps)`. The derivative of a state's value in $Q_j$ is $\pi_j(1 + (Q_j
    - V)/\varepsilon)$.
    """
    point = evaluate(mdp, model, eps)
    q, transition = np.where(mdp.available, point.q, 0.0), np.asarray(mdp.dense_transition)
    v = (point.pi * q).sum(axis=1)
    weight = point.beta / mdp.n_pairs
    dv_dq = point.pi * (1 + (q - v[:, None]) / eps)
    inflow = mdp.gamma * np.einsum("sa,sat->t", weight, transition)
    d_omega = np.einsum("t,tb,tbn->n", inflow, dv_dq, point.b_omega) - np.einsum(
        "sa,san->n", weight, point.b_omega
    )
    variance = (point.pi * q * q).sum(axis=1) - v * v
    d_eps = -float(inflow @ variance) / eps**2
    out: Array = d_omega / (1 - d_eps)
    return out


def _implicit_policy(mdp: TabularMDP, model: Model, eps: float) -> Array:
    r"""Left side of Theorem 4 by implicit differentiation of the state values at fixed Q values.

    It is the derivative $dV$ at fixed values. $dV = \sum_j (dV/dQ_j - \pi_j)\,dQ_j -
    (\mathrm{Var}/\varepsilon^2)\,d\varepsilon$, weighted by the flow of `beta`.
    """
    point = evaluate(mdp, model, eps)
    q, transition = np.where(mdp.available, point.q, 0.0), np.asarray(mdp.dense_transition)
    v = (point.pi * q).sum(axis=1)
    variance = (point.pi * q * q).sum(axis=1) - v * v
    inflow = np.einsum("sa,sat->t", point.beta / mdp.n_pairs, transition)
    on_q = np.einsum("t,tb,tbn->n", inflow, point.pi * (q - v[:, None]) / eps, point.b_omega)
    out: Array = on_q - float(inflow @ variance) / eps**2 * _implicit(mdp, model, eps)
    return out
