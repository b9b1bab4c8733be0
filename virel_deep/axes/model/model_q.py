"""Action values with a learned model: critics with target copies, expanded by steps of the model."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from virel_deep.axes import losses
from virel_deep.axes.abilities import Walking
from virel_deep.axes.interfaces import Draw, Following, Noise, Objective, QOf
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.expansion import Horizon, Paths, Walk, expanded_q
from virel_deep.axes.tensors import Evaluated, Fitted, Transitions, Weighted
from virel_deep.axes.value import evaluate, fit_critics, smaller_q, state_value
from virel_deep.design import model
from virel_deep.networks.network import Network


class ModelQ:
    """Critics with target copies, whose values are expanded through an ensemble that is fitted beside them.

    The model takes one step per update, on the update's own minibatch. The expansions are those of the
    posterior at s, with the critics, and of the targets at s', with their copies.

    Args:
        settings: horizon and evaluation.
        critic: C critics per seed, from state and action to one output.
        target: network of the same sizes, their target copies.
        world: the model.
        n_action: A.
        gamma: discount factor.
    """

    reach, whole = 1, False
    reports = ("model_loss", "holdout_error")

    def __init__(
        self,
        settings: model.Model,
        critic: Network,
        target: Network,
        world: Ensemble,
        *,
        n_action: int,
        gamma: float,
    ) -> None:
        """Store the critics, their target copies and the model; declare the random numbers of rollouts."""
        self.networks, self.targets = {"critic": critic, "model": world.network}, {"critic": target}
        self.world, self.gamma, self.horizon = world, gamma, settings.horizon
        self.evaluation = settings.evaluation
        self._of = Horizon(gamma, settings.evaluation == "soft")
        self._shape = (settings.horizon, world.width + n_action)
        rollouts = {"member": Draw(1, "uniform"), "rollout": Draw(self._shape[0] * self._shape[1])}
        self._by_prior = settings.rollout == "prior"
        following = {"following": Draw(n_action)} if self._by_prior else {}
        self.noise: Mapping[str, Draw] = (rollouts if settings.horizon else {}) | following

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Smaller of the critics' values, `[K, B, N]`, not expanded; differentiable in the actions alone."""
        return smaller_q(self.networks["critic"], state, action)

    def expanded(self, objective: Objective, posterior: Walking, noise: Noise) -> Objective:
        """Objective whose values are the critics' expanded through the model, at B states."""
        if not self.horizon:
            return objective
        return objective._replace(
            q_of=self._through_model(self.networks["critic"], objective, posterior.walk, noise)
        )

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Losses of model and critics on a minibatch; the targets are the target critics, expanded."""
        del here
        of_model, report = self.world.fit(data)
        found = self.look(data.following, following, objective)
        fitted = fit_critics(self.networks["critic"], data.history, self._target(data, found, objective))
        return fitted._replace(
            loss=fitted.loss + of_model, report={**fitted.report, **report}, following=found
        )

    def look(self, state: Tensor, following: Following, objective: Objective) -> Evaluated:
        """Actions of a posterior at states `[K, R, O]`, valued by the expanded target critics."""
        return self._evaluated(self.targets["critic"], state, following, objective)

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of the critics, bootstrapped from online critics instead of target copies."""
        critic = self.networks["critic"]
        target = self._target(data, self._evaluated(critic, data.following, following, objective), objective)
        return target[:, None] - critic(data.history).squeeze(-1)

    def _through_model(self, critic: Network, objective: Objective, walk: Walk, noise: Noise) -> QOf:
        """Function from states and actions to expanded values, along `walk` or the prior."""
        taken = self._prior_walk(objective) if self._by_prior else walk
        numbers = noise["rollout"].view(*noise["rollout"].shape[:2], *self._shape)

        def q_of(state: Tensor, action: Tensor) -> Tensor:
            along = Paths(self.world.follow(noise["member"][..., 0]), taken, numbers)
            return expanded_q(critic, state, action, along=along, objective=objective, of=self._of)

        return q_of

    def _evaluated(
        self, critic: Network, state: Tensor, following: Following, objective: Objective
    ) -> Evaluated:
        """Posterior at states `[K, R, O]`, or the prior in its place, with its actions' values."""
        if self._by_prior:
            with torch.no_grad():
                walk, noise = self._prior_walk(objective), following.noise["following"]
                actions = walk(state, noise, objective)
        else:
            actions = following(state)
        if not self.horizon:
            return evaluate(critic, state, actions)
        with torch.no_grad():
            q_of = self._through_model(critic, objective, following.walk, following.noise)
            return Evaluated(state, actions, q_of(state, actions.action))

    @staticmethod
    def _prior_walk(objective: Objective) -> Walk:
        """Actions of the prior, for rollouts that follow it."""
        assert isinstance(objective.prior, Walking), "rollouts follow a learned prior"
        return objective.prior.walk

    def _target(self, data: Transitions, found: Evaluated, objective: Objective) -> Tensor:
        v_next = state_value(found, objective.alpha, evaluation=self.evaluation)
        return losses.td_target(data.reward, data.terminated, v_next, gamma=self.gamma)

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy what the model remembers of seed k beside its networks into a dictionary."""
        return self.world.seed_state(k)

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's model from a `seed_state` dictionary."""
        self.world.load_seed_state(k, state)
