"""Action values: critics with target copies (SAC, TD3) or with a state-value network (VIREL App. H)."""

from typing import Literal

import torch
from torch import Tensor

from virel_deep.axes import losses
from virel_deep.axes.interfaces import Following, Objective
from virel_deep.axes.tensors import Evaluated, Fitted, Transitions, Weighted, seed_mean, seedwise
from virel_deep.axes.weights import effective_samples, tempered_weights
from virel_deep.networks.network import Network

ROWS = 2048
"""Pairs per forward pass where many actions per state are valued, so that a pass needs little memory."""


Evaluation = Literal["hard", "soft", "optimal"]
"""How the value of a state is computed from weighted actions: `design.parts.Value.evaluation`."""


class TargetQ:
    """Critics with target copies, which are evaluated at the policy's actions at s' (SAC, TD3).

    Args:
        critic: C critics per seed, from state and action to one output.
        target: network of the same sizes, their target copies.
        gamma: discount factor.
        evaluation: how the value of a state is computed.
    """

    reach, whole = 1, False

    def __init__(self, critic: Network, target: Network, *, gamma: float, evaluation: Evaluation) -> None:
        """Store the critics, their target copies, and how state values are computed."""
        self.networks, self.targets = {"critic": critic}, {"critic": target}
        self.gamma, self.evaluation = gamma, evaluation
        self.reports = ("effective_samples",) if evaluation == "optimal" else ()

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Smaller of the critics' values, `[K, B, N]`, differentiable in the actions alone."""
        return smaller_q(self.networks["critic"], state, action)

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Critic loss on a minibatch; its targets use the target critics at the policy's actions at s'."""
        del here
        found = self.look(data.following, following, objective)
        target = self._target(data, found, objective)
        fitted = fit_critics(self.networks["critic"], data.history, target)
        more = {"effective_samples": _effective(found, objective.alpha)} if self.reports else {}
        return fitted._replace(following=found, report={**fitted.report, **more})

    def look(self, state: Tensor, following: Following, objective: Objective) -> Evaluated:
        """Actions of a posterior at states `[K, R, O]`, valued by the target critics."""
        del objective
        return evaluate(self.targets["critic"], state, following(state))

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of the critics, bootstrapped from online critics instead of target copies."""
        critic = self.networks["critic"]
        found = evaluate(critic, data.following, following(data.following))
        target = self._target(data, found, objective)
        return target[:, None] - critic(data.history).squeeze(-1)

    def _target(self, data: Transitions, found: Evaluated, objective: Objective) -> Tensor:
        v_next = state_value(found, objective.alpha, evaluation=self.evaluation)
        return losses.td_target(data.reward, data.terminated, v_next, gamma=self.gamma)


class VNetwork:
    """Critics with a state-value network V, whose Polyak copy gives their targets (VIREL App. H).

    Args:
        critic: C critics per seed, from state and action to one output.
        value: network from a state to one output.
        target: network of the same sizes as `value`, its target copy.
        gamma: discount factor.
        evaluation: how the value of a state is computed, which V is fitted to.
    """

    reach, whole = 1, False
    reports: tuple[str, ...] = ()

    def __init__(
        self, critic: Network, value: Network, target: Network, *, gamma: float, evaluation: Evaluation
    ) -> None:
        """Store the critics, the state-value network, its target copy, and what V is fitted to."""
        self.networks, self.targets = {"critic": critic, "value": value}, {"value": target}
        self.gamma, self.evaluation = gamma, evaluation

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Smaller of the critics' values, `[K, B, N]`, differentiable in the actions alone."""
        return smaller_q(self.networks["critic"], state, action)

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Critic loss J^Q and state-value loss J^V of VIREL App. H; V is fitted to the old critics."""
        del following
        assert here is not None, "V is fitted to the posterior at the states themselves"
        v_next = self.targets["value"](data.next_state)[:, 0, :, 0]
        target = losses.td_target(data.reward, data.terminated, v_next, gamma=self.gamma)
        critics = fit_critics(self.networks["critic"], data.history, target)
        critic, value = self.networks["critic"], self.networks["value"]
        found = evaluate(critic, data.state, here)
        v_target = state_value(found, objective.alpha, evaluation=self.evaluation)
        v = value.differentiable(data.state)[:, 0, :, 0]
        v_loss = seed_mean(losses.v_loss(v, v_target))
        return critics._replace(
            loss=critics.loss + v_loss, report={**critics.report, "v_loss": v_loss.detach()}
        )

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of the critics, bootstrapped from V instead of its target copy.

        So does the published code.
        """
        del following, objective
        v_next = self.networks["value"](data.next_state)[:, 0, :, 0]
        target = losses.td_target(data.reward, data.terminated, v_next, gamma=self.gamma)
        return target[:, None] - self.networks["critic"](data.history).squeeze(-1)


def fit_critics(critic: Network, history: Tensor, target: Tensor) -> Fitted:
    """Critic loss J^Q against a shared target `[K, B]`, summed over critics, with TD errors and metrics."""
    q = critic.differentiable(history).squeeze(-1)  # [K, C, B]
    of_each = losses.q_loss(q, target[:, None])
    loss = seed_mean(of_each) * of_each.shape[1]
    report = {"q": seed_mean(q.detach()), "q_loss": loss.detach()}
    return Fitted(loss, (target[:, None] - q).detach(), report)


def smaller_q(critic: Network, state: Tensor, action: Tensor) -> Tensor:
    """Smaller value `[K, B, N]` of C critics at states `[K, B, O]` and actions `[K, B, N, A]`.

    Differentiable in the actions; the critics' parameters are held fixed.
    """
    n = action.shape[2]
    history = torch.cat((state[:, :, None].expand(-1, -1, n, -1), action), dim=-1).flatten(1, 2)
    q = critic.differentiable(history, fixed=True).squeeze(-1)  # [K, C, B N]
    smaller = q.min(dim=1).values
    return smaller.view(*smaller.shape[:1], -1, n)


def evaluate(critic: Network, state: Tensor, actions: Weighted) -> Evaluated:
    """Value the actions of a policy at states `[K, R, O]` by the smaller critic, without gradient."""
    some = max(1, ROWS // actions.action.shape[2])
    with torch.no_grad():
        pieces = zip(torch.split(state, some, dim=1), torch.split(actions.action, some, dim=1), strict=True)
        return Evaluated(state, actions, torch.cat([smaller_q(critic, *piece) for piece in pieces], dim=1))


def state_value(of: Evaluated, alpha: Tensor, *, evaluation: Evaluation) -> Tensor:
    """State value `[K, R]` of weighted actions that were evaluated; it carries no gradient."""
    soft, actions = evaluation == "soft", of.actions
    with torch.no_grad():
        ratio = actions.log_ratio
        if evaluation == "optimal":
            value: Tensor = seedwise(losses.optimal_value, actions.log_weight, of.q, ratio, alpha[..., None])
            return value
        if actions.exact_divergence is not None:
            return losses.state_value(actions.mean(of.q), actions.exact_divergence, alpha, soft=soft)
        return actions.mean(losses.state_value(of.q, ratio, alpha[..., None], soft=soft))


def _effective(of: Evaluated, alpha: Tensor) -> Tensor:
    """Effective number `[K]` of proposals in an optimal value, whose terms are their weights."""
    with torch.no_grad():
        actions = of.actions
        tempered = seedwise(tempered_weights, actions.log_weight - actions.log_ratio, of.q, alpha[..., None])
        return seed_mean(seedwise(effective_samples, tempered[0]))
