"""Posterior of MPO and RERPI: actions drawn from a learned prior, weighted by their values."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.posterior.tanh_gaussian import behave, explore
from virel_deep.axes.tensors import Behaviour, Weighted, seed_mean, seedwise
from virel_deep.axes.weights import Tempered, effective_samples, rank_weights, tempered_weights
from virel_deep.design import improvement
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


class Weighing(Protocol):
    """Interface of a prior that knows how probable stored actions were."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` before the tanh of stored actions `[K, R, A]`, or log probabilities."""


class ByWeights:
    """Base class of posteriors that are a prior's actions with weights by their values.

    They are wanted at the next states, where the targets need the same actions and values, and at the states
    of the minibatch (of windows: at the first ones), where episodes may begin.

    Args:
        prior: whose actions they are.
        weigh: weights of the actions, from their log weights in the prior, values and the temperature.
    """

    at_state = at_next = True
    reports = ("effective_samples",)

    def __init__(self, prior: Weighing, weigh: Callable[[Tensor, Tensor, Tensor], Tempered]) -> None:
        """Store the prior, and how its actions are weighed; the posterior itself has no networks."""
        self._log_likelihood = prior.log_likelihood
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}
        self._weigh = weigh

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Give the actions their weights by value, and the densities of the reweighted prior."""
        log_weight, log_ratio = seedwise(self._weigh, posterior.log_weight, q, alpha[..., None])
        return posterior._replace(log_weight=log_weight, log_pi=posterior.log_prior + log_ratio)

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> None:
        """Return None: weights have no parameters; the prior is fitted to them instead."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` of stored actions under the prior, as targets do."""
        return self._log_likelihood(state, pre)

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Mean effective number of samples per state."""
        return {"effective_samples": seed_mean(seedwise(effective_samples, posterior.log_weight))}


def weigher(
    weights: improvement.Weights, *, keep: float = 1.0
) -> Callable[[Tensor, Tensor, Tensor], Tempered]:
    """Function that weighs actions, of their log weights in the prior, values and the temperature."""
    if weights == "rank":
        return lambda log_prior, q, _: rank_weights(log_prior, q)
    return partial(tempered_weights, keep=keep)


class Proposer(Weighing, Protocol):
    """Interface of a prior that proposes the actions that the posterior gives weights."""

    def propose(self, state: Tensor, noise: Tensor) -> Weighted:
        """Draw actions at states `[K, R, O]` with standard normal noise `[K, R, N, A]`, at equal weights."""


class Reweighted(ByWeights):
    """Actions of the prior, weighted by softmax(Q / alpha) (MPO, Eq. (8)) or by rank (RERPI).

    The targets evaluate the prior itself, by the same actions at equal weights; the prior's policy acts.

    Args:
        settings: number of actions per state, and the share of them that has weight.
        prior: source of the actions.
        n_action: A.
    """

    def __init__(self, settings: improvement.Weighted, prior: Proposer, n_action: int) -> None:
        """Store the prior and the numbers of actions."""
        super().__init__(prior, weigher(settings.weights, keep=settings.keep))
        self._propose, self._shape = prior.propose, (settings.samples, n_action)
        self.acting = Draw(n_action)
        self.noise = {"action": Draw(settings.samples * n_action)}

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """Draw actions of the prior at equal weights; `improve` gives them the posterior's."""
        return self._propose(state, noise["action"].view(*state.shape[:2], *self._shape))

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:  # noqa: ARG002
        """Draw one action of the prior at each state; rollouts of a model follow it, without gradient."""
        return self._propose(state, noise[:, :, None])

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw actions of the prior at next states, at equal weights."""
        return self.infer(state, noise, objective)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action from the prior's policy, in numpy."""
        return explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action from the prior's policy with its density, in numpy."""
        return behave(head, noise)
