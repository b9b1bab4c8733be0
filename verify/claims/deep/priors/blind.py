"""What the bridges to Distral and IADP share: inputs of two one-hot parts, of which the prior sees the first.

A part is a number such as a cell or a task. A table of logits has a row per pair that it tells apart, and a
critic a hidden unit per triple of both parts and an action, `relu(x + y + a - 2)`: 1 at the triple, 0 elsewhere.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from verify.claims.deep.bridge import network_of
from verify.claims.deep.tools import Tensor, tensor
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

Ints = NDArray[np.intp]


def inputs(seen: Ints, unseen: Ints, sizes: tuple[int, int]) -> Array:
    """One-hot inputs `[B, n + m]` of pairs of numbers below `sizes`, n and m."""
    return np.concatenate([np.eye(sizes[0])[seen], np.eye(sizes[1])[unseen]], axis=1)


def triple_critic(q: Array) -> Any:
    """A critic whose value at a pair (i, j) and a one-hot action is the entry of `q [n, m, A]`, exactly."""
    n, m, actions = q.shape
    i, j, a = (x.ravel() for x in np.indices(q.shape))
    first = np.concatenate([np.eye(n)[:, i], np.eye(m)[:, j], np.eye(actions)[:, a]])
    sizes = (n + m + actions, q.size, 1)
    return network_of(sizes, [first, q.reshape(-1, 1)], [np.full(q.size, -2.0), np.zeros(1)])


def td_errors(
    mdp: TabularMDP, q: Array, state: Array, critic: Any, infer: Any, objective: Any, *, evaluation: Any
) -> Array:
    """Expected TD errors `[S, A]` of the deep agent's `TargetQ`, with a critic as its own target.

    Args:
        mdp: the MDP.
        q: values `[S, A]` that the critic has, for its shape.
        state: inputs `[S, n]` that stand for the states.
        critic: the critic.
        infer: the posterior at next states.
        objective: temperature and prior.
        evaluation: how a state is valued.
    """
    from virel_deep.axes.tensors import Transitions  # noqa: PLC0415
    from virel_deep.axes.value import TargetQ  # noqa: PLC0415

    s, a, s_next = np.nonzero(mdp.dense_transition)
    history = np.concatenate([state[s], np.eye(mdp.n_actions)[a]], axis=1)
    columns = state[s], history, mdp.reward[s, a], np.zeros(len(s)), state[s_next]
    value = TargetQ(critic, critic, gamma=mdp.gamma, evaluation=evaluation)
    found = value.fit(Transitions(*map(tensor, columns)), None, infer, objective).td_error[0, 0]
    expected = np.zeros(q.shape)
    np.add.at(expected, (s, a), mdp.dense_transition[s, a, s_next] * found.numpy())
    return expected


def fitted(prior: Any, state: Tensor, posterior: Any) -> tuple[float, Array, float]:
    """Loss of a prior's fit, its gradient in the rows of the table that it sees, and the divergence."""
    import torch  # noqa: PLC0415

    network = prior.networks["default"]
    found = prior.loss(state, posterior)
    (flat,) = torch.autograd.grad(found.loss.sum(), network.parameters)
    slope: Array = network.seed_blocks(flat, 0)["0.weight"][0].numpy()
    return found.loss.item(), slope, found.kl.item()
