r"""The EM algorithm with complete steps on finite MDPs, App. F.5.

Parameters are tabular: every $\hat Q_\omega$ is representable, so a complete M-step reaches zero residual.
The two analyses of F.5 are the functions `em_steps` (the target depends on omega) and
`em_fixed_target_steps` (direct method).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.linalg import splu

from virel_common.arguments import as_whole
from virel_theory.checks import Array, as_non_negative
from virel_theory.mdp.policy_system import solved
from virel_theory.mdp.tables import as_policy, as_table
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import greedy_policy


@dataclass(frozen=True, eq=False)
class EMStep:
    r"""Iteration k of EM: the M-step values $\hat Q_{\omega_k}$ in `q`, the E-step policy $\pi_k$ in `pi`.

    Example:
        >>> (step,) = em_steps(TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5), pi_0=[[0.5, 0.5]], n_steps=1)
        >>> step.q.tolist(), step.pi.tolist()
        ([[1.5, 0.5]], [[1.0, 0.0]])
    """

    q: Array
    pi: Array


def m_step_complete(mdp: TabularMDP, *, pi: ArrayLike) -> Array:
    r"""Complete M-step under the target $\mathcal T^{\pi}$: the action values with zero residual, Eq. (39).

    $$\omega_k = \arg\min_\omega \varepsilon_\omega, \quad \varepsilon_{\omega_k} = 0 \iff \mathcal
    T^{\pi_{k-1}}\hat Q_{\omega_k} = \hat Q_{\omega_k}$$

    Solved as the linear system of |H| unknowns $(I - \gamma P^\pi) q = r$ over state-action pairs by sparse
    LU.

    Args: mdp: finite MDP. pi: `[S, A]` policy $\pi_{k-1}$.
    Returns: `[S, A]` values, reward units, `-inf` where the action does not exist. The system's condition
        number is at most (1 + gamma)/(1 - gamma) in the maximum norm.
    Raises: InputError: if `pi` is not a policy of the MDP.

    Example:
        >>> m_step_complete(TabularMDP([[[1.0]]], [[1.0]], 0.5), pi=[[1.0]]).tolist()
        [[2.0]]
    """
    policy = as_policy(pi, mdp, name="pi")
    if mdp.is_sparse:
        q = _solve_sparse(mdp, policy)
    else:
        onward = mdp.dense_transition[:, :, :, None] * policy  # [S, A, S, A]
        system = np.eye(policy.size) - mdp.gamma * onward.reshape(policy.size, policy.size)
        q = solved(lambda: np.linalg.solve(system, mdp.reward.ravel()), mdp.gamma, mdp.reward)
    return np.where(mdp.available, q.reshape(mdp.shape), -np.inf)


def e_step_complete(q: ArrayLike, *, tie_tol: float = 0.0) -> Array:
    r"""Complete E-step at zero residual: the Dirac at the maximiser, Eq. (40).

    Deviation: 1. at a tie "the" maximiser of (40) does not exist; the lowest index within `tie_tol` of the
        maximum is taken.

    Args: q: `[S, A]`. tie_tol: reward units.
    Returns: `[S, A]` deterministic policy.
    Raises: InputError: as `greedy_policy`.

    Example:
        >>> e_step_complete([[1.0, 2.0], [3.0, 3.0]]).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    support = greedy_policy(q, tie_tol=tie_tol) > 0
    out: Array = np.eye(support.shape[1])[support.argmax(axis=1)]
    return out


def em_steps(mdp: TabularMDP, *, pi_0: ArrayLike, n_steps: int, tie_tol: float = 0.0) -> list[EMStep]:
    r"""EM with complete steps and omega-dependent target, $k = 1 \dots$ `n_steps`, Eqs. (39)-(40).

    Args: mdp: finite MDP. pi_0: `[S, A]` initial policy. n_steps: M-steps to take. tie_tol: as in
        `e_step_complete`.
    Returns: the steps; `q` of step k is $\hat Q_{\omega_k} = Q^{\pi_{k-1}}$, `pi` is $\pi_k$.
    Raises: InputError: if `pi_0` is not a policy of the MDP or `n_steps` is negative.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
        >>> [step.q.tolist() for step in em_steps(mdp, pi_0=[[1.0, 0.0]], n_steps=2)]
        [[[0.0, 1.0]], [[1.0, 2.0]]]
    """
    n, tolerance = as_whole(n_steps, name="n_steps"), as_non_negative(tie_tol, name="tie_tol")
    pi, steps = as_policy(pi_0, mdp, name="pi_0"), []
    for _ in range(n):
        q = m_step_complete(mdp, pi=pi)
        pi = e_step_complete(q, tie_tol=tolerance)
        steps.append(EMStep(q, pi))
    return steps


def em_fixed_target_steps(mdp: TabularMDP, *, q_0: ArrayLike, pi_0: ArrayLike, n_steps: int) -> list[EMStep]:
    r"""EM with complete steps and fixed target, $k = 1 \dots$ `n_steps`, Eq. (41).

    $$\omega_k = \arg\min_\omega \|\mathcal T^{\pi_{k-1}}\hat Q_{\omega_{k-1}} - \hat Q_\omega\|_p^p, \qquad
    \pi_k = \delta(a = \arg\max_{a'} \hat Q_{\omega_k}(a', \cdot))$$

    A tabular table reaches the target exactly, so the M-step is an assignment.

    Args: mdp: finite MDP. q_0: `[S, A]` initial table. pi_0: `[S, A]` initial policy. n_steps: M-steps to
        take.
    Returns: the steps; `q` of step k is $\hat Q_{\omega_k}$, `pi` is $\pi_k$. Rounding: a few ulps of max|q|
        per step, times 1/(1 - gamma) in all.
    Raises: InputError: if `q_0` or `pi_0` do not fit the MDP or `n_steps` is negative.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
        >>> steps = em_fixed_target_steps(mdp, q_0=[[0.0, 0.0]], pi_0=[[1.0, 0.0]], n_steps=2)
        >>> [step.q.tolist() for step in steps]
        [[[0.0, 1.0]], [[0.5, 1.5]]]
    """
    n = as_whole(n_steps, name="n_steps")
    q, pi = as_table(q_0, mdp, name="q_0"), as_policy(pi_0, mdp, name="pi_0")
    steps = []
    for _ in range(n):
        v_next = (pi * np.where(pi > 0, q, 0.0)).sum(axis=1)
        q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v_next), -np.inf)
        pi = e_step_complete(q)
        steps.append(EMStep(q, pi))
    return steps


def _solve_sparse(mdp: TabularMDP, policy: Array) -> Array:
    r"""Action values $(I - \gamma P^\pi)^{-1} r$ over state-action pairs, by sparse LU."""
    n_states, n_actions = mdp.shape
    pairs = np.arange(policy.size)
    take = sparse.csr_array((policy.ravel(), (pairs // n_actions, pairs)), shape=(n_states, policy.size))
    system = sparse.eye_array(policy.size) - mdp.gamma * (mdp.csr_transition @ take)
    return solved(lambda: splu(sparse.csc_array(system)).solve(mdp.reward.ravel()), mdp.gamma, mdp.reward)
