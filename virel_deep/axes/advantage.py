"""State value along rollouts, whose n-step errors are the advantages of the actions taken (V-MPO, ERPG)."""

from functools import partial

import torch
from torch import Tensor

from virel_deep.axes import losses
from virel_deep.axes.interfaces import Following, Objective
from virel_deep.axes.rollout import rollout_errors
from virel_deep.axes.tensors import Evaluated, Fitted, Transitions, Weighted, seed_mean, seedwise
from virel_deep.networks.network import Network


class Advantage:
    """State-value network V, fitted to n-step returns that bootstrap from V itself, without a target copy.

    Args:
        value: network from a state to one output.
        steps: most rewards of a return; None is up to the rollout's end.
        gamma: discount factor.
        soft: whether returns contain the divergence from the prior.
    """

    reach, whole = 0, True
    reports: tuple[str, ...] = ()

    def __init__(self, value: Network, *, steps: int | None, gamma: float, soft: bool) -> None:
        """Store the state-value network."""
        self.networks, self.targets = {"value": value}, dict[str, Network]()
        self.soft = soft
        self._errors_of = partial(rollout_errors, gamma=gamma, steps=steps)

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:  # noqa: ARG002
        """Refuse: a state value has no values of actions other than those taken."""
        raise AssertionError("a state value knows no action values; `fit` gives the advantages")

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """State-value loss on rollouts; the advantages of the actions taken go with the posterior.

        An advantage leaves out the divergence at its own state, as action values do: the policy loss has it.
        """
        del here
        window = data.window
        assert window is not None
        assert window.pre is not None
        taken = following.recall(data.state, window.pre.flatten(1, 2))
        value = self.networks["value"]
        with torch.no_grad():
            v_next = value(data.next_state)[:, 0, :, 0]
        v = value.differentiable(data.state)[:, 0, :, 0]  # [K, R]
        cost = objective.alpha * taken.detach().divergence if self.soft else torch.zeros_like(v)
        rollouts = (x.view_as(window.reward) for x in (data.reward - cost, v.detach(), v_next))
        reward, v_here, v_there = rollouts
        error = seedwise(
            self._errors_of, reward, window.terminated, window.truncated, v_here, v_there
        ).flatten(1)
        loss = seed_mean(losses.v_loss(v, v.detach() + error))
        report = {"q": seed_mean(v.detach()), "v_loss": loss.detach()}
        found = Evaluated(data.state, taken, (error + cost)[..., None])
        return Fitted(loss, error[:, None], report, found)

    def online_td_error(self, *_: object) -> Tensor:
        """Refuse: rollouts are read whole, so that there is no separate batch."""
        raise AssertionError("rollouts have no separate batch")
