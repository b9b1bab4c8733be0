"""Posterior in closed form over a discrete space: the prior's power, tilted by the values (Distral)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from virel_deep.axes.categorical import all_actions, explore, greedy
from virel_deep.axes.interfaces import ONE_NUMBER, Draw, Noise, Objective
from virel_deep.axes.tensors import Weighted, seedwise
from virel_deep.axes.weights import tempered_weights
from virel_deep.networks.network import Network


class Tilted:
    r"""All actions with weights $p^\rho e^{Q/\alpha} / Z$, Distral's task policies; it acts by them.

    The actions come with equal weights, as proposals of the optimal soft value
    $\alpha \log \sum_a p^\rho e^{Q/\alpha}$ in the targets. The prior is fitted at the states themselves, so
    that the first one of an episode is among them. What counts as the prior's log density is
    $\rho \log p$, so that the divergence is $E[\log(\pi / p^\rho)]$. With a uniform prior, of log density 0,
    this is soft Q-learning: nothing is fitted, and the states after the transitions, which the targets need,
    are enough.

    Args:
        n_action: A.
        at_next: whether it is wanted at the next states alone, as no prior is fitted to it.
    """

    reports: tuple[str, ...] = ()
    acting = ONE_NUMBER
    noise: Mapping[str, Draw] = {}

    def __init__(self, n_action: int, *, at_next: bool = False) -> None:
        """Make a posterior without parameters."""
        self._n_action, self.at_state, self.at_next = n_action, not at_next, at_next
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """All actions at equal weights; `improve` gives them the posterior's."""
        equal = state.new_full((*state.shape[:2], self._n_action), -math.log(self._n_action))
        action = all_actions(equal)
        return Weighted(action, equal, equal, objective.prior.log_density(state, action, None))

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """All actions at next states at equal weights."""
        return self.infer(state, noise, objective)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        r"""Give the actions the weights $p^\rho e^{Q/\alpha} / Z$, which are their probabilities."""
        log_weight, _ = seedwise(tempered_weights, posterior.log_prior, q, alpha[..., None])
        return posterior._replace(log_weight=log_weight, log_pi=log_weight)

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> None:
        """Return None: weights have no parameters."""

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics beyond those of every posterior."""
        return {}

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Draw one action at each state with its weight as its probability, to explore."""
        pairs = zip(self._log_weight(state, objective), noise.cpu(), strict=True)
        chosen = [torch.from_numpy(explore(log_p.numpy(), u.numpy())) for log_p, u in pairs]
        return torch.stack(chosen).to(state)

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Act by the most probable action of each state."""
        found = [torch.from_numpy(greedy(log_p.numpy())) for log_p in self._log_weight(state, objective)]
        return torch.stack(found).to(state)

    def _log_weight(self, state: Tensor, objective: Objective) -> Tensor:
        """Log probabilities `[K, N, A]` at states `[K, N, O]`, on the CPU."""
        with torch.no_grad():
            posterior = self.infer(state, {}, objective)
            q = objective.q_of(state, posterior.action)
            return self.improve(posterior, q, objective.alpha).log_weight.cpu()
