"""Posteriors that are improved by the advantages of the actions taken: V-MPO's top share, and the score."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from virel_deep.axes import categorical
from virel_deep.axes.interfaces import ONE_NUMBER, Draw, Noise, Objective
from virel_deep.axes.losses import score_loss
from virel_deep.axes.posterior import tanh_gaussian
from virel_deep.axes.tensors import Behaviour, Weighted, seed_mean, seedwise
from virel_deep.axes.weights import effective_samples, tempered_weights
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


class Law(NamedTuple):
    """Distribution of actions that a policy network's outputs stand for, as far as actions taken need it."""

    acting: Draw
    """Random numbers that an exploratory action needs."""
    explore: Callable[[Floats, Floats], Floats]
    """Actions in numpy, from outputs and random numbers."""
    behave: Callable[[Floats, Floats], Behaviour]
    """The same with what is stored of them, and its log density."""
    action: Callable[[Tensor], Tensor]
    """Actions of what is stored."""
    log_density: Callable[[Tensor, Tensor], Tensor]
    """Log densities of the actions, from outputs and what is stored."""


def gaussian(n_action: int) -> Law:
    """Law of tanh-Gaussian policies, whose actions are stored before the tanh."""
    return Law(
        Draw(n_action),
        tanh_gaussian.explore,
        tanh_gaussian.behave,
        torch.tanh,
        lambda head, u: tanh_gaussian.log_squashed(tanh_gaussian.split(head), u),
    )


CHOICE = Law(
    ONE_NUMBER,
    categorical.explore,
    categorical.behave,
    lambda stored: stored,
    lambda head, stored: categorical.log_probability(categorical.log_probabilities(head), stored),
)
"""Law of categorical policies, whose actions are stored one-hot."""


class Taken:
    """Base class of posteriors over the actions that a policy took; the value asks for them.

    Args:
        law: distribution of the actions.
    """

    at_state, at_next = False, True
    noise: Mapping[str, Draw] = {}

    def __init__(self, law: Law) -> None:
        """Store the distribution; the posterior itself has no networks unless it says so."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}
        self._law = law
        self.acting = law.acting

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """Refuse: its actions are those that were taken; `recall` has them."""
        raise AssertionError("this posterior is not inferred: it has the actions that were taken")

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Refuse: at next states it has no actions."""
        return self.infer(state, noise, objective)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action from the policy, in numpy."""
        return self._law.explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action from the policy with its density, in numpy."""
        return self._law.behave(head, noise)


class TopShare(Taken):
    r"""Weights on a rollout's pairs, softmax(A / alpha) over the share with the largest advantages; V-MPO.

    Weights are times the number R of pairs, so that they have the mean 1, and a mean over states of sums over
    actions is the expectation under $\psi(s, a)$. The lagging copy of the prior's policy took the actions.

    Args:
        keep: share of the pairs that has weight.
        law: distribution of the actions.
    """

    reports = ("effective_samples",)

    def __init__(self, keep: float, law: Law) -> None:
        """Store the share that is kept."""
        super().__init__(law)
        self._weigh = partial(pair_weights, keep=keep)

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Actions that were taken, one per state, with their densities under the lagging policy."""
        pre = pre[:, :, None]
        action = seedwise(self._law.action, pre)
        log_prior = objective.prior.log_density(state, action, pre)
        return Weighted(action, torch.zeros_like(log_prior), log_prior, log_prior, pre=pre)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Give the pairs the weights of V-MPO's Eq. (3) among all of the rollout, and their densities."""
        log_weight, log_ratio = seedwise(self._weigh, q, alpha)
        return posterior._replace(log_weight=log_weight, log_pi=posterior.log_prior + log_ratio)

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> None:
        """Return None: weights have no parameters; the prior is fitted to them instead."""

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Effective number of the rollout's pairs; and as entropy that of the policy that took the actions.

        The ratios in `log_pi` are to equal weights on pairs, so that no entropy of actions has them.
        """
        return {
            "effective_samples": seedwise(_effective_pairs, posterior.log_weight),
            "entropy": -seed_mean(posterior.log_prior.squeeze(-1)),
        }


class Score(Taken):
    """Policy that is learnt through the log density of the actions that it took.

    Args:
        policy: network from a state to the outputs of the law.
        law: distribution of the actions.
    """

    reports: tuple[str, ...] = ()

    def __init__(self, policy: Network, law: Law) -> None:
        """Store the policy network."""
        super().__init__(law)
        self.networks = {"policy": policy}

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Actions that were taken, one per state, with densities differentiable in the parameters."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        log_pi = seedwise(self._law.log_density, head, pre)[..., None]
        pre = pre[:, :, None]
        action = seedwise(self._law.action, pre)
        log_prior = objective.prior.log_density(state, action, pre)
        return Weighted(action, torch.zeros_like(log_pi), log_pi, log_prior, pre=pre)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:  # noqa: ARG002
        """Return the posterior as it is: gradient steps improve it, not weights."""
        return posterior

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Tensor:
        """Mean policy loss `[K]` by the score, given the advantages `q`."""
        return seed_mean(score_loss(posterior.log_pi, q, posterior.log_ratio, alpha[..., None]))

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Return no metrics beyond those of every posterior."""
        return {}


def pair_weights(advantage: Tensor, alpha: Tensor, *, keep: float) -> tuple[Tensor, Tensor]:
    r"""Weights $R \psi$ of R pairs, $\psi \propto e^{A / \eta}$ over the top share; V-MPO, Eq. (3).

    Args:
        advantage: `[..., R, 1]`, scaled reward units.
        alpha: temperature $\eta > 0$, `[..., 1]`, the same units per nat.
        keep: share of the pairs that is kept, those of largest advantage.

    Returns:
        Logarithms of the weights, and of their ratios to equal weights among those kept, `[..., R, 1]` each;
        `-inf` and 0 where not kept.

    Example:
        >>> import math, torch
        >>> a = torch.tensor([[0.0], [2 * math.log(3.0)], [-1.0], [-5.0]])
        >>> pair_weights(a, torch.tensor([2.0]), keep=0.5)[0].exp().flatten()
        tensor([1., 3., 0., 0.])
    """
    pairs = advantage[..., 0]
    log_n = math.log(pairs.shape[-1])
    found = tempered_weights(torch.full_like(pairs, -log_n), pairs, alpha, keep=keep)
    return (found.log_weight + log_n)[..., None], found.log_ratio[..., None]


def _effective_pairs(log_weight: Tensor) -> Tensor:
    """Effective number `[...]` of pairs, from the logarithms `[..., R, 1]` of R times their weights."""
    log_psi = log_weight[..., 0]
    return effective_samples(log_psi - math.log(log_psi.shape[-1]))
