"""Bridge from a finite MDP to the deep agent's parts: one-hot features, tables as networks, exact steps.

A network without a hidden layer whose inputs are one-hot states is a table of logits; one hidden unit per pair
makes a critic a table of action values, without rounding. Logits are finite, so that a policy of the deep agent
takes every action with positive probability: masked actions, and iterates whose probabilities underflow, are
out of its reach.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.claims.deep.tools import Tensor, tensor
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.iterate import Iterate, Iterates

N_STEPS = 6
LEAST = 2.0**-200
"""Iterates are followed while every probability is at least this, so that all logits are finite."""
Network = Any
"""Type of a `virel_deep.networks.network.Network`."""
Counts = NDArray[np.intp]
"""How often each state stands in a batch, `[S]`."""


@contextmanager
def float64() -> Iterator[None]:
    """Context in which new tensors and networks of torch have float64 entries."""
    import torch  # noqa: PLC0415

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def walk(mdp: TabularMDP, iterates: Iterates) -> Iterator[tuple[Array, Iterate]]:
    """The first six steps of an exact algorithm, each with the policy `[S, A]` before it.

    They end early at a policy with a probability below `LEAST`.
    """
    old = np.full(mdp.shape, 1 / mdp.n_actions)
    for step, _ in zip(iterates, range(N_STEPS), strict=False):
        if min(step.policy.min(), step.posterior.min()) < LEAST:
            return
        yield old, step
        old = step.policy


def counts(mdp: TabularMDP) -> st.SearchStrategy[Counts]:
    """Hypothesis strategy that draws how often each state stands in a batch, one to three times."""
    sizes = st.lists(st.integers(1, 3), min_size=mdp.n_states, max_size=mdp.n_states)
    return sizes.map(lambda n: np.array(n, dtype=np.intp))


def batch(n: Counts) -> tuple[Tensor, NDArray[np.intp]]:
    """One-hot states `[1, B, S]`, state s as often as `n[s]` says, and their indices `[B]`."""
    rows = np.repeat(np.arange(len(n)), n)
    return tensor(np.eye(len(n))[rows]), rows


def table_network(table: Array) -> Network:
    """A network without a hidden layer, whose outputs at one-hot inputs are the rows of a table."""
    return network_of((table.shape[0], table.shape[1]), [table], [np.zeros(table.shape[1])])


def critic_network(*tables: Array) -> Network:
    """Critics whose values at a one-hot state and a one-hot action are the entries of `tables [S, A]`, exactly.

    The hidden unit of a pair is `relu(x_s + y_a - 1)`, 1 at the pair and 0 elsewhere.
    """
    (states, actions), size = tables[0].shape, tables[0].size
    first = np.concatenate([np.eye(states).repeat(actions, axis=1), np.tile(np.eye(actions), states)])
    last = np.stack([q.reshape(-1, 1) for q in tables])
    return network_of(
        (states + actions, size, 1), [first, last], [-np.ones(size), np.zeros(1)], n_critics=len(tables)
    )


def table_slope(loss: Tensor, network: Network) -> Array:
    """Gradient of a loss `[1]` in the table of a `table_network`, of the table's shape."""
    import torch  # noqa: PLC0415

    (flat,) = torch.autograd.grad(loss.sum(), network.parameters)
    found: Array = network.seed_blocks(flat, 0)["0.weight"][0].numpy()
    return found


def no_values(state: Tensor, action: Tensor) -> Tensor:  # noqa: ARG001
    """Stand in for the critic of an objective whose posterior asks for no values; raise if it does."""
    raise AssertionError("values are given, not asked for")


def expected_td_error(mdp: TabularMDP, q: Array, infer: Any, alpha: float, *, evaluation: Any) -> Array:
    """Expected TD errors `[S, A]` of the deep agent's `TargetQ`, with the critic `q` as its own target.

    `infer` gives the posterior at one-hot states; `evaluation` is "hard" or "soft".
    """
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415
    from virel_deep.axes.tensors import Transitions  # noqa: PLC0415
    from virel_deep.axes.value import TargetQ  # noqa: PLC0415

    s, a, s_next = np.nonzero(mdp.dense_transition)
    states, actions = np.eye(mdp.n_states), np.eye(mdp.n_actions)
    history = np.concatenate([states[s], actions[a]], axis=1)
    columns = states[s], history, mdp.reward[s, a], np.zeros(len(s)), states[s_next]
    critic = critic_network(q)
    value = TargetQ(critic, critic, gamma=mdp.gamma, evaluation=evaluation)
    objective = Objective(value.q_of, Uniform(), tensor([alpha]))
    td_error = value.fit(Transitions(*map(tensor, columns)), None, infer, objective).td_error[0, 0]
    expected = np.zeros(mdp.shape)
    np.add.at(expected, (s, a), mdp.dense_transition[s, a, s_next] * td_error.numpy())
    return expected


def network_of(
    sizes: tuple[int, ...], weights: list[Array], biases: list[Array], *, n_critics: int = 1
) -> Network:
    """A network of these sizes with given weights and biases per layer; those of one array are every critic's."""
    import torch  # noqa: PLC0415

    from virel_deep.networks.network import Network as Stacked  # noqa: PLC0415

    network = Stacked(1, n_critics, sizes, device=torch.device("cpu"))
    blocks = network.seed_blocks(network.flat, 0)
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        blocks[f"{i}.weight"].copy_(torch.tensor(weight))
        blocks[f"{i}.bias"].copy_(torch.tensor(bias))
    return network
