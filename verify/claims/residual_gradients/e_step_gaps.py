"""Gap functions for the claims of `e_step.py`, by log-linear policies and dual numbers in theta."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from verify.arithmetic.dual import Number, gradient_of, log, variables
from verify.arithmetic.model import Table, boltzmann, pairs, state_values
from verify.claims.instances import fractions
from verify.claims.residual_gradients.self_consistent import relative_gap
from verify.engine.verdict import Gap
from virel_theory.checks import Array, U
from virel_theory.gradients.approximators import TabularQ
from virel_theory.gradients.em_steps import (
    e_step_gradient,
    log_linear_policy,
    log_linear_score,
    policy_gradient,
)
from virel_theory.mdp.tabular import TabularMDP

Policy = tuple[Array, Array]
"""Type of a log-linear policy: its features `[S, A, M]` and its parameters `[M]`."""


@st.composite
def features(draw: st.DrawFn, mdp: TabularMDP) -> Policy:
    """Hypothesis strategy that draws log-linear policies: features in {-1, 0, 1}, parameters in [-2, 2].

    There are up to three features; parameters are halves.
    """
    size = draw(st.integers(1, 3))
    x = draw(fractions((*mdp.shape, size), 1))
    return x * mdp.available[:, :, None], draw(_halves(size))


@st.composite
def tabular_features(draw: st.DrawFn, mdp: TabularMDP) -> Policy:
    """Hypothesis strategy that draws tabular softmax policies: log-linear, unit vectors as features."""
    unit = TabularQ(mdp.available)
    return unit.jacobian(np.zeros(unit.n_parameters)), draw(_halves(unit.n_parameters))


def _halves(size: int) -> st.SearchStrategy[Array]:
    return fractions(size, 4, over=2)


def actor_gap(
    *, mdp: TabularMDP, q: Array, policy: Policy, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of (6), (25): printed E-step gradient minus `eps grad_theta L` by dual numbers, zero."""
    values = _plain(mdp, q)
    pi = _policy(mdp, policy, variables(policy[1]))
    objective: Number = 0
    for (s, a), p in pi.items():
        objective = objective + float(d[s]) * (p * (values[s, a] / eps) - p * log(p))
    truth = eps * gradient_of(objective, len(policy[1])) * (1 + perturb)
    pi_theta, score = _exact(mdp, policy)
    found = e_step_gradient(mdp, q, pi_theta=pi_theta, score=score, d=d, eps=eps)
    size = 1 + _largest(mdp, q) + eps * (1 + float(-np.log(pi_theta[mdp.available]).min()))
    return relative_gap(found, truth, size=size, bound=_rounding(mdp, policy))


def exchange_gap(*, mdp: TabularMDP, q: Array, policy: Policy, d: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. E.4, Q and d fixed: `E_d[E_pi[Q grad log pi]]` minus `E_d[grad E_pi[Q]]`, zero."""
    values = _plain(mdp, q)
    inner = state_values(values, _policy(mdp, policy, variables(policy[1])))
    truth = _weighted(d, inner, len(policy[1])) * (1 + perturb)
    return relative_gap(
        _score_form(mdp, q, policy, d), truth, size=1 + _largest(mdp, q), bound=_rounding(mdp, policy)
    )


def exchange_with_policy_values_gap(*, mdp: TabularMDP, policy: Policy, perturb: float = 0.0) -> Gap:
    """Gap of App. E.4 if Q = Q^pi depends on theta, d = rho^pi: score form minus `E_d[grad E_pi[Q]]`.

    An ablation. That is the case of the policy gradient theorem.
    """
    pi = _policy(mdp, policy, variables(policy[1]))
    v = evaluate_policy(mdp, pi)
    inner = dict(enumerate(v))
    at = {s: float(getattr(value, "value", value)) for s, value in inner.items()}
    q = mdp.reward + mdp.gamma * mdp.expect_next(np.array([at[s] for s in range(mdp.n_states)]))
    pi_theta, _ = _exact(mdp, policy)
    dense = np.asarray(mdp.dense_transition)
    p_pi = np.einsum("sa,sat->st", pi_theta, dense)
    rho = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi.T, mdp.initial)
    truth = _weighted(rho, inner, len(policy[1]))
    found = _score_form(mdp, np.where(mdp.available, q, -np.inf), policy, rho)
    size = 1 + float(np.abs(q).max()) / (1 - mdp.gamma)
    return relative_gap(found, truth + perturb, size=size, bound=_evaluation_bound(mdp, policy))


def policy_gradient_gap(*, mdp: TabularMDP, policy: Policy, perturb: float = 0.0) -> Gap:
    """Gap of App. E.4's policy gradient theorem: `E_rho[E_pi[Q^pi grad log pi]]` minus `grad_theta J`."""
    pi = _policy(mdp, policy, variables(policy[1]))
    v = evaluate_policy(mdp, pi)
    truth = _weighted(mdp.initial, dict(enumerate(v)), len(policy[1])) * (1 + perturb)
    pi_theta, score = _exact(mdp, policy)
    q = _q_pi(mdp, pi_theta)
    found = policy_gradient(mdp, q, pi_theta=pi_theta, score=score)
    size = 1 + _largest(mdp, q) / (1 - mdp.gamma)
    return relative_gap(found, truth, size=size, bound=_evaluation_bound(mdp, policy))


def normalised_gap(*, mdp: TabularMDP, policy: Policy, perturb: float = 0.0) -> Gap:
    """Gap of App. E.4's policy gradient, `(1 - gamma) rho^pi` for rho^pi: score form minus `grad_theta J`.

    The paper's occupancy rho^pi is "in general not normalised".
    """
    pi = _policy(mdp, policy, variables(policy[1]))
    truth = _weighted(mdp.initial, dict(enumerate(evaluate_policy(mdp, pi))), len(policy[1]))
    pi_theta, score = _exact(mdp, policy)
    q = _q_pi(mdp, pi_theta)
    found = (1 - mdp.gamma) * policy_gradient(mdp, q, pi_theta=pi_theta, score=score)
    size = 1 + _largest(mdp, q) / (1 - mdp.gamma)
    return relative_gap(found, truth + perturb, size=size, bound=_evaluation_bound(mdp, policy))


def evaluate_policy(mdp: TabularMDP, pi: Table) -> list[Number]:
    """State values `V^pi` by Gauss elimination on `(I - gamma P_pi) V = r_pi`, for numbers of any kind.

    The system is diagonally dominant, so it needs no pivoting.
    """
    n, dense = mdp.n_states, np.asarray(mdp.dense_transition)
    rows: list[list[Number]] = [[float(s == t) for t in range(n)] + [0.0] for s in range(n)]
    for (s, a), p in pi.items():
        rows[s] = [x - mdp.gamma * float(y) * p for x, y in zip(rows[s], dense[s, a], strict=False)] + [
            rows[s][n] + p * float(mdp.reward[s, a])
        ]
    for k in range(n):
        for i in range(n):
            if i != k:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [rows[s][n] / rows[s][s] for s in range(n)]


def _q_pi(mdp: TabularMDP, pi_theta: Array) -> Array:
    dense = np.asarray(mdp.dense_transition)
    p_pi, r_pi = np.einsum("sa,sat->st", pi_theta, dense), (pi_theta * mdp.reward).sum(axis=1)
    v = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi, r_pi)
    return np.where(mdp.available, mdp.reward + mdp.gamma * dense @ v, -np.inf)


def _policy(mdp: TabularMDP, policy: Policy, theta: Sequence[Number]) -> Table:
    x, logits = policy[0], {}
    for s, a in pairs(mdp):
        total: Number = 0
        for value, t in zip(x[s, a].tolist(), theta, strict=True):
            total = total + value * t
        logits[s, a] = total
    return boltzmann(logits, 1.0)


def _exact(mdp: TabularMDP, policy: Policy) -> tuple[Array, Array]:
    pi_theta = log_linear_policy(mdp, *policy)
    return pi_theta, log_linear_score(mdp, policy[0], pi_theta=pi_theta)


def _score_form(mdp: TabularMDP, q: Array, policy: Policy, d: Array) -> Array:
    pi_theta, score = _exact(mdp, policy)
    q0 = np.where(mdp.available, q, 0.0)
    out: Array = np.einsum("s,sa,sa,sam->m", d, pi_theta, q0, score)
    return out


def _weighted(d: Array, v: dict[int, Number], size: int) -> Array:
    out = np.zeros(size)
    for s, value in v.items():
        out = out + float(d[s]) * gradient_of(value, size)
    return out


def _plain(mdp: TabularMDP, q: Array) -> Table:
    return {h: float(q[h]) for h in pairs(mdp)}


def _largest(mdp: TabularMDP, q: Array) -> float:
    return float(np.abs(q[mdp.available]).max())


def _rounding(mdp: TabularMDP, policy: Policy) -> float:
    return 16 * U * (mdp.n_pairs + len(policy[1]) + 16)


def _evaluation_bound(mdp: TabularMDP, policy: Policy) -> float:
    return _rounding(mdp, policy) + 64 * U * mdp.n_states**2 / (1 - mdp.gamma)
