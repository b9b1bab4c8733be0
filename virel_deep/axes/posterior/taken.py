"""Posteriors that are improved by the advantages of the actions taken: V-MPO's top share, and the score."""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.losses import score_loss
from virel_deep.axes.posterior.tanh_gaussian import behave, explore, log_squashed, split
from virel_deep.axes.tensors import Behaviour, Weighted, seed_mean, seedwise
from virel_deep.axes.weights import effective_samples, tempered_weights
from virel_deep.design import on_policy
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats


class Taken:
    """Base class of posteriors over the actions that a tanh-Gaussian policy took; the value asks for them.

    Args:
        n_action: A.
    """

    at_next = True
    noise: Mapping[str, Draw] = {}

    def __init__(self, n_action: int) -> None:
        """Store how many random numbers an exploratory action needs."""
        self.networks: Mapping[str, Network] = {}
        self.targets: Mapping[str, Network] = {}
        self.acting = Draw(n_action)

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:  # noqa: ARG002
        """Refuse: its actions are those that were taken; `recall` has them."""
        raise AssertionError("this posterior is not inferred: it has the actions that were taken")

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Refuse: at next states it has no actions."""
        return self.infer(state, noise, objective)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action from the tanh-Gaussian policy, in numpy."""
        return explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action from the tanh-Gaussian policy with its density, in numpy."""
        return behave(head, noise)


class TopShare(Taken):
    r"""Weights on a rollout's pairs, softmax(A / alpha) over the share with the largest advantages; V-MPO.

    Weights are times the number R of pairs, so that they have the mean 1, and a mean over states of sums over
    actions is the expectation under $\psi(s, a)$. The lagging copy of the prior's policy took the actions.

    Args:
        settings: share of the pairs that has weight.
        n_action: A.
    """

    reports = ("effective_samples",)

    def __init__(self, settings: on_policy.TopShare, n_action: int) -> None:
        """Store the share that is kept."""
        super().__init__(n_action)
        self._weigh = partial(pair_weights, keep=settings.keep)

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Actions that were taken, one per state, with their densities under the lagging policy."""
        pre = pre[:, :, None]
        action = seedwise(torch.tanh, pre)
        log_prior = objective.prior.log_density(state, action, pre)
        return Weighted(action, torch.zeros_like(log_prior), log_prior, log_prior, pre=pre)

    def improve(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> Weighted:
        """Give the pairs the weights of V-MPO's Eq. (3) among all of the rollout, and their densities."""
        log_weight, log_ratio = seedwise(self._weigh, q, alpha)
        return posterior._replace(log_weight=log_weight, log_pi=posterior.log_prior + log_ratio)

    def loss(self, posterior: Weighted, q: Tensor, alpha: Tensor) -> None:
        """Return None: weights have no parameters; the prior is fitted to them instead."""

    def report(self, posterior: Weighted) -> Mapping[str, Tensor]:
        """Effective number of the rollout's pairs."""
        return {"effective_samples": seedwise(_effective_pairs, posterior.log_weight)}


class Score(Taken):
    """Tanh-Gaussian policy, learnt through the log density of the actions that it took.

    Args:
        settings: none.
        policy: network from a state to `2 A` outputs.
    """

    reports: tuple[str, ...] = ()

    def __init__(self, settings: on_policy.Score, policy: Network) -> None:
        """Store the policy network."""
        del settings
        super().__init__(policy.sizes[-1] // 2)
        self.networks = {"policy": policy}

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Actions that were taken, one per state, with densities differentiable in the parameters."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        log_pi = seedwise(lambda one, u: log_squashed(split(one), u), head, pre)[..., None]
        pre = pre[:, :, None]
        action = seedwise(torch.tanh, pre)
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
