"""Posteriors over a discrete space: probabilities from a network, or a categorical prior's, reweighted."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from virel_deep.axes.categorical import all_actions, behave, explore, log_probabilities, log_probability
from virel_deep.axes.interfaces import ONE_NUMBER, Draw, Noise, Objective
from virel_deep.axes.posterior.pathwise import Pathwise
from virel_deep.axes.posterior.reweighted import ByWeights, Weighing, weigher
from virel_deep.axes.tensors import Behaviour, Weighted, seedwise
from virel_deep.design import improvement
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


class Categorical(Pathwise):
    """Categorical policy: all A actions with their probabilities, so that every expectation is exact.

    The gradient of the loss goes through the probabilities.

    Args:
        policy: network from a state to A outputs, the logarithms of unnormalised probabilities.
    """

    acting = ONE_NUMBER
    noise: Mapping[str, Draw] = {}

    def __init__(self, policy: Network) -> None:
        """Store the policy network."""
        self.networks = {"policy": policy}
        self.targets: Mapping[str, Network] = {}

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """All actions with their probabilities, differentiable in the policy's parameters; no noise."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        log_p = seedwise(log_probabilities, head)
        action = all_actions(log_p)
        log_prior, divergence = (
            objective.prior.log_density(state, action, None),
            objective.prior.kl(state, head),
        )
        return Weighted(action, log_p, log_p, log_prior, kl=divergence)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """All actions with the probabilities of the online policy, which has no target copy."""
        return self.infer(state, noise, objective)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log probabilities `[K, R]` of stored one-hot actions `[K, R, A]` under the online policy."""
        head = self.networks["policy"](state).squeeze(1)
        found: Tensor = seedwise(lambda one, a: log_probability(log_probabilities(one), a), head, pre)
        return found

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action, one-hot, in numpy."""
        return explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action, one-hot, with its log probability, in numpy."""
        return behave(head, noise)


class Proposer(Weighing, Protocol):
    """Interface of a categorical prior, whose actions the posterior gives other weights."""

    def propose(self, state: Tensor) -> Weighted:
        """All actions at states `[K, R, O]` with their probabilities in the prior."""


class Enumerated(ByWeights):
    """Actions weighted by p exp(Q / alpha) / Z (MPO, Eq. (8)), or by p and rank (RERPI).

    The targets evaluate the prior itself, by the same actions at their probabilities; the prior acts.

    Args:
        prior: source of the probabilities p.
        weights: how actions are weighed.
    """

    acting = ONE_NUMBER
    noise: Mapping[str, Draw] = {}

    def __init__(self, prior: Proposer, *, weights: improvement.Weights = "softmax") -> None:
        """Store the prior, and how its actions are weighed."""
        super().__init__(prior, weigher(weights))
        self._propose = prior.propose

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """All actions with their probabilities in the prior; `improve` gives them the posterior's."""
        return self._propose(state)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """All actions at next states with their probabilities in the prior."""
        return self.infer(state, noise, objective)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action of the prior's policy, one-hot, in numpy."""
        return explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action of the prior's policy with its log probability, in numpy."""
        return behave(head, noise)
