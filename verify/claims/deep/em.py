"""Claim that the deep agent with complete E- and M-steps has policy iteration's iterates (App. F.5).

M-step: the critic (and, in App. H's variant, the V-network) at which the expected gradient of `q_loss` (and
        `v_loss`) vanishes, the target network being the network itself, as Polyak averaging ends. That
        semi-gradient is affine in the parameters. Autograd in float64 gives it at 0, and without reward at
        each unit vector (one per seed of the batch), which makes one Newton step exact.
E-step: one mirror-descent step of length 1/alpha on the expected `policy_loss`, whose slope in the weights
        pi(a|s) comes from autograd: from any policy it ends in the exact minimiser, logits Q/alpha. As
        alpha -> 0 its probability goes to the greedy actions (alpha = gap/64 leaves A e^-64 to others), of
        which the lowest index is taken at a tie.
Both sides: these, on every transition of the MDP; against Howard's policy iteration of
        `verify/claims/methods/policy_iteration.py` and the EM of `virel_theory.methods.em`, six steps each.
Bound:  with R = 1 + max|r|: the system (I - gamma P^pi, in the V-network's case with V eliminated or not)
        has an inverse of norm at most 2/(1 - gamma), and a solution of size R/(1 - gamma). Its rows, of
        absolute sum 2, are sums of at most m = S A terms, (m + 8) u each, and so is its right side. The
        backward error of LU is 16 N u per row, with N <= 2 |H| unknowns: together u R/(1 - gamma)^2 (6 (m +
        8) + 64 |H|). `tie_tol` is four times that, which covers the other side's error too (`solve_bound`).
        Tables are compared within half of it, policies exactly. The E-step's logits, times alpha, are off
        by 8 u max|Q|, far below `tie_tol`.
Teeth:  `perturb` discounts by 0.9 gamma and adds to the reward on the deep side.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.tools import Tensor, tensor, transitions
from verify.claims.instances import gym_mdp
from verify.claims.methods.em import N_STEPS
from verify.claims.methods.policy_iteration import lowest_greedy, policy_iteration_steps
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import em_steps

COLD = 64.0
"""Gap of the action values divided by alpha, in the limit of the E-step."""


def gap(*, mdp: TabularMDP, v_network: bool, perturb: float = 0.0) -> Gap:
    """Gap of App. F.5 in the deep agent: complete EM's Q tables and policies minus policy iteration's, zero.

    There are six steps. All start from the first action of every state.
    """
    tie_tol, start = 4 * _deep_error(mdp), mdp.available.argmax(axis=1)
    deep_mdp = TabularMDP(
        mdp.transition, mdp.reward + perturb, mdp.gamma * (1 - 0.1 * perturb), mask=mdp.mask
    )
    howard = policy_iteration_steps(mdp, start, N_STEPS, tie_tol)
    em = em_steps(mdp, pi_0=np.eye(mdp.n_actions)[start], n_steps=N_STEPS, tie_tol=tie_tol)
    pi, gaps = np.eye(mdp.n_actions)[start], []
    for (q_howard, policy), step in zip(howard, em, strict=True):
        q = _complete_m_step(deep_mdp, pi, v_network=v_network)
        pi, left = _complete_e_step(deep_mdp, q, tie_tol)
        gaps += [Gap(_distance(mdp, q, table), tie_tol / 2) for table in (q_howard, step.q)]
        gaps += [
            Gap(float((pi.argmax(axis=1) != policy).sum()), 0.0),
            Gap(float(np.abs(pi - step.pi).max()), 0.0),
            Gap(left, mdp.n_actions * (np.exp(-COLD) + 8 * U)),
        ]
    return worst(*gaps)


def _distance(mdp: TabularMDP, q: Array, table: Array) -> float:
    return float(np.abs(q[mdp.available] - table[mdp.available]).max())


def _deep_error(mdp: TabularMDP) -> float:
    """Rounding bound of the Q table from a complete deep M-step; the module docstring derives it."""
    m, scale = mdp.n_states * mdp.n_actions, 1 + float(np.abs(mdp.reward).max())
    return U * scale / (1 - mdp.gamma) ** 2 * (6 * (m + 8) + 64 * mdp.n_pairs)


def _complete_m_step(mdp: TabularMDP, pi: Array, *, v_network: bool) -> Array:
    """Q table after the deep agent's complete M-step: root of the expected semi-gradient by a Newton step."""
    n_unknowns = mdp.n_pairs + (mdp.n_states if v_network else 0)
    points = np.vstack([np.zeros(n_unknowns), np.eye(n_unknowns)])  # one per seed
    with_reward = np.arange(n_unknowns + 1) == 0
    semi_gradient = _semi_gradient(mdp, pi, points, with_reward, v_network=v_network)
    parameters = np.linalg.solve(semi_gradient[1:].T, -semi_gradient[0])
    q = np.full(mdp.shape, -np.inf)
    q[mdp.available] = parameters[: mdp.n_pairs]
    return q


def _semi_gradient(
    mdp: TabularMDP, pi: Array, points: Array, with_reward: Array, *, v_network: bool
) -> Array:
    """Expected semi-gradients `[K, N]` of the losses J^Q (and J^V) at K parameter vectors, `points [K, N]`.

    They are scaled by |H| for J^Q, and by S for J^V.
    """
    import torch  # noqa: PLC0415

    from virel_deep.axes.losses import q_loss, state_value, td_target, v_loss  # noqa: PLC0415

    rows = transitions(mdp, d=mdp.available.astype(np.float64), pi=pi)
    pair = np.cumsum(mdp.available.ravel()).reshape(mdp.shape) - 1  # index of a parameter
    leaf = torch.tensor(points).requires_grad_()
    omega, phi = leaf[:, : mdp.n_pairs], leaf[:, mdp.n_pairs :]
    hard, zero = torch.zeros(1, dtype=torch.float64), torch.zeros(len(rows.s), dtype=torch.float64)

    following = omega[:, pair[rows.s_next, rows.a_next]]
    v_next = phi[:, rows.s_next].detach() if v_network else state_value(following, zero, hard, soft=False)
    reward = torch.tensor(with_reward * 1.0)[:, None] * tensor(mdp.reward[rows.s, rows.a])
    y = td_target(reward, zero, v_next, gamma=mdp.gamma)
    loss = (tensor(rows.weight) * q_loss(omega[:, pair[rows.s, rows.a]], y)).sum()
    if v_network:
        s, a = np.nonzero(pi)
        target = state_value(omega[:, pair[s, a]], zero[: len(s)], hard, soft=False)
        loss = loss + (tensor(pi[s, a]) * v_loss(phi[:, s], target)).sum()
    (found,) = torch.autograd.grad(loss, leaf)
    out: Array = found.numpy()
    return out


def _complete_e_step(mdp: TabularMDP, q: Array, tie_tol: float) -> tuple[Array, float]:
    """Deep E-step's greedy policy `[S, A]` as alpha -> 0, and the largest mass off it at a small alpha.

    The step itself is taken at that small alpha.
    """
    drop = (q.max(axis=1, keepdims=True) - q)[mdp.available]
    alpha = float(drop[drop > tie_tol].min(initial=np.inf)) / COLD
    alpha = alpha if np.isfinite(alpha) else 1.0
    logits = np.full(mdp.shape, -np.inf)
    logits[mdp.available] = _mirror_step(mdp, q, alpha)
    greedy = logits >= logits.max(axis=1, keepdims=True) - tie_tol / alpha
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    left = 1 - (weight * greedy).sum(axis=1) / weight.sum(axis=1)
    lowest = lowest_greedy(logits * alpha, tie_tol)
    return np.eye(mdp.n_actions)[lowest], float(left.max())


def _mirror_step(mdp: TabularMDP, q: Array, alpha: float) -> Array:
    """Logits `[|H|]` after one mirror-descent step on the deep policy loss, from the uniform policy."""
    import torch  # noqa: PLC0415

    from virel_deep.axes.losses import policy_loss  # noqa: PLC0415

    uniform = (mdp.available / mdp.available.sum(axis=1, keepdims=True))[mdp.available]
    pi: Tensor = tensor(uniform).requires_grad_()
    loss = (pi * policy_loss(tensor(q[mdp.available]), pi.log(), tensor(alpha)[:, None])).sum()
    (slope,) = torch.autograd.grad(loss, pi)
    out: Array = (pi.detach().log() - slope / alpha)[0].numpy()
    return out


CLAIMS = (
    Claim(
        id="deep-em-policy-iteration",
        title="The deep agent with complete steps is policy iteration",
        source="virel_deep losses: App. F.5, Eq. (39), (40); App. H",
        statement=r"\nabla J^Q(\omega_k) = 0 \text{ (and } \nabla J^V(\phi_k) = 0\text{)},\ \bar\phi = \phi_k:\quad \hat Q_{\omega_k} = Q^{\pi_{k-1}};"
        r"\qquad \lim_{\alpha\to 0}\arg\min_{\pi} E_\pi[\alpha\log\pi(a|s) - \hat Q_{\omega_k}(h)] = \delta\big(a = \arg\max_{a'} Q^{\pi_{k-1}}(a', s)\big)",
        check=Check(
            gap,
            instances(mdp=mdps(masked=True), v_network=st.booleans()),
            named=lambda: [
                ("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1").to_dense(), "v_network": True})
            ],
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
