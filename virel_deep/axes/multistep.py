"""Action values whose targets read several steps: n-step returns, and Retrace with stored densities."""

from functools import partial

import torch
from torch import Tensor

from virel_deep.axes import returns
from virel_deep.axes.interfaces import Following, Objective
from virel_deep.axes.tensors import Evaluated, Fitted, Transitions, Weighted, Window, seedwise
from virel_deep.axes.value import Evaluation, evaluate, fit_critics, smaller_q, state_value
from virel_deep.networks.network import Network


class NStep:
    """Critics with target copies, whose targets add up n rewards before they bootstrap, uncorrected.

    Args:
        critic: C critics per seed, from state and action to one output.
        target: network of the same sizes, their target copies.
        gamma: discount factor.
        evaluation: how the value of a state is computed.
    """

    reach, whole = 1, False
    reports: tuple[str, ...] = ()

    def __init__(self, critic: Network, target: Network, *, gamma: float, evaluation: Evaluation) -> None:
        """Store the critics and their target copies."""
        self.networks, self.targets = {"critic": critic}, {"critic": target}
        self.evaluation: Evaluation = evaluation
        self._target_of = partial(returns.n_step_target, gamma=gamma)

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Smaller of the critics' values, `[K, B, N]`, differentiable in the actions alone."""
        return smaller_q(self.networks["critic"], state, action)

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Critic loss on a minibatch; the posterior is needed where each window's return is cut."""
        del here
        found, target = self._bootstrapped(self.targets["critic"], data, following, objective)
        return fit_critics(self.networks["critic"], data.history, target)._replace(following=found)

    def look(self, state: Tensor, following: Following, objective: Objective) -> Evaluated:
        """Actions of a posterior at states `[K, R, O]`, valued by the target critics."""
        del objective
        return evaluate(self.targets["critic"], state, following(state))

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of the critics, bootstrapped from online critics instead of target copies."""
        critic = self.networks["critic"]
        _, target = self._bootstrapped(critic, data, following, objective)
        return target[:, None] - critic(data.history).squeeze(-1)

    def _bootstrapped(
        self, critic: Network, data: Transitions, following: Following, objective: Objective
    ) -> tuple[Evaluated, Tensor]:
        """Posterior after the last step of each window with its values, and the targets `[K, B]`."""
        window = _window(data)
        end = returns.last(returns.alive(window.terminated, window.truncated))[..., None, None]
        state = window.following.gather(2, end.expand(-1, -1, 1, window.next_state.shape[-1])).squeeze(2)
        found = evaluate(critic, state, following(state))
        v_last = state_value(found, objective.alpha, evaluation=self.evaluation)
        target: Tensor = seedwise(self._target_of, window.reward, window.terminated, window.truncated, v_last)
        return found, target


class Retrace:
    """Critics with target copies and Retrace's targets, cut where stored actions became unlikely.

    Each of the n pairs of a window has a target, from what follows it in the window.

    Args:
        critic: C critics per seed, from state and action to one output.
        target: network of the same sizes, their target copies.
        steps: n.
        trace: factor lambda of the importance weights.
        gamma: discount factor.
        evaluation: how the value of a state is computed.
    """

    whole = False
    reports: tuple[str, ...] = ()

    def __init__(
        self,
        critic: Network,
        target: Network,
        *,
        steps: int,
        trace: float,
        gamma: float,
        evaluation: Evaluation,
    ) -> None:
        """Store the critics and their target copies."""
        self.networks, self.targets = {"critic": critic}, {"critic": target}
        self.reach = steps
        self.evaluation: Evaluation = evaluation
        self._target_of = partial(returns.retrace_target, gamma=gamma, trace=trace)

    def q_of(self, state: Tensor, action: Tensor) -> Tensor:
        """Smaller of the critics' values, `[K, B, N]`, differentiable in the actions alone."""
        return smaller_q(self.networks["critic"], state, action)

    def fit(
        self, data: Transitions, here: Weighted | None, following: Following, objective: Objective
    ) -> Fitted:
        """Critic loss on every pair of the windows; the posterior is needed after each of them."""
        del here
        found, target = self._traced(self.targets["critic"], data, following, objective)
        history = _window(data).history.flatten(1, 2)
        return fit_critics(self.networks["critic"], history, target)._replace(following=found)

    def look(self, state: Tensor, following: Following, objective: Objective) -> Evaluated:
        """Actions of a posterior at states `[K, R, O]`, valued by the target critics."""
        del objective
        return evaluate(self.targets["critic"], state, following(state))

    def online_td_error(self, data: Transitions, following: Following, objective: Objective) -> Tensor:
        """TD errors `[K, C, N]` of the critics, with online critics in the targets too."""
        critic = self.networks["critic"]
        _, target = self._traced(critic, data, following, objective)
        return target[:, None] - critic(_window(data).history.flatten(1, 2)).squeeze(-1)

    def _traced(
        self, critic: Network, data: Transitions, following: Following, objective: Objective
    ) -> tuple[Evaluated, Tensor]:
        """Posterior after every pair of the windows, with its values, and the targets `[K, B n]`."""
        window = _window(data)
        assert window.pre is not None
        assert window.log_density is not None
        state = window.following.flatten(1, 2)
        found = evaluate(critic, state, following(state))
        v_next = state_value(found, objective.alpha, evaluation=self.evaluation).view_as(window.reward)
        with torch.no_grad():
            q = critic(window.history.flatten(1, 2)).squeeze(-1).amin(1).view_as(window.reward)
            stored = window.history[..., : data.state.shape[-1]].flatten(1, 2)
            log_pi = following.log_likelihood(stored, window.pre.flatten(1, 2)).view_as(window.reward)
        ratio = log_pi - window.log_density
        ends = (window.terminated, window.truncated)
        target: Tensor = seedwise(self._target_of, q, v_next, window.reward, *ends, ratio)
        return found, target.flatten(1)


def _window(data: Transitions) -> Window:
    assert data.window is not None, "targets of several steps read windows"
    return data.window
