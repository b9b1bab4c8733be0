"""Tanh-Gaussian policy: log density, sampling, hand-written gradient, and the posterior with its network."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus

from virel_deep.axes import losses
from virel_deep.axes.gaussian import Gaussian, log_density
from virel_deep.axes.interfaces import Draw, Noise, Objective
from virel_deep.axes.posterior.pathwise import Pathwise
from virel_deep.axes.tensors import Behaviour, Weighted, seedwise
from virel_deep.design import parts
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats

LOG_STD_RANGE = (-20.0, 2.0)
"""Interval that log standard deviations are clamped to, as in the code that the paper builds on."""


def tanh_gaussian(head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    r"""Squashed action $a = \tanh(\mu + \sigma \xi)$ and $\log \pi(a|s)$; Marino et al., Eqs. (13), (14).

    With $u = \mu + \sigma \xi$,
    $$ \log \pi(a|s) = \sum_i \log N(u_i; \mu_i, \sigma_i) - 2 (\log 2 - u_i - \mathrm{softplus}(-2 u_i)) $$

    The second term is log(1 - tanh(u)^2) without its cancellation. It is exact to rounding for every u;
    log(1 - a^2 + 1e-6), as common code has it, is off by up to 13.8 nats per saturated dimension.

    Args:
        head: `[..., 2 A]` means, then log standard deviations (clamped to `LOG_STD_RANGE`).
        noise: `[..., A]` standard normal.

    Returns:
        Action `[..., A]` and its log density `[...]`, nats, over [-1, 1]^A (not the environment's range).

    Example:
        >>> import torch
        >>> action, log_pi = tanh_gaussian(torch.tensor([0.0, 0.0]), torch.tensor([0.0]))
        >>> action.item(), round(log_pi.item(), 4)  # the standard normal's density at 0
        (0.0, -0.9189)
    """
    out: tuple[Tensor, Tensor] = _TanhGaussian.apply(head, noise)  # type: ignore[no-untyped-call]
    return out


class Sample(NamedTuple):
    """Action and log density of a tanh-Gaussian sample, with the tensors that its gradient needs."""

    action: Tensor
    log_pi: Tensor
    pushed: Tensor
    """Noise times standard deviation."""
    inside: Tensor
    """Whether the log standard deviation is not clamped."""


def sample(head: Tensor, noise: Tensor) -> Sample:
    """Draw a tanh-Gaussian action with its log density, without autograd; its gradient is written by hand."""
    mean, log_std = split(head)
    pushed = log_std.exp() * noise
    u = mean + pushed
    return Sample(u.tanh(), log_pushed(log_std, noise, u), pushed, log_std == head.chunk(2, dim=-1)[1])


def log_pushed(log_std: Tensor, noise: Tensor, u: Tensor) -> Tensor:
    """Log density `[...]` of the action `tanh(u)` that `noise [..., A]` was pushed to, nats."""
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    return (log_normal - log_slope(u)).sum(-1)


def log_slope(u: Tensor) -> Tensor:
    """Logarithm of the tanh's derivative, log(1 - tanh(u)^2), without its cancellation; shape of `u`."""
    # torch's own threshold of 20 drops 2e-9: nothing in float32, but the exact check is in float64.
    return 2 * (math.log(2) - u - softplus(-2 * u, threshold=40))


def log_squashed(of: Gaussian, u: Tensor) -> Tensor:
    """Log density `[...]` over [-1, 1]^A of the actions `tanh(u)`, `u [..., A]`, nats; differentiable."""
    return log_density(of, u) - log_slope(u).sum(-1)


def squash(of: Gaussian, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Draw actions of a tanh-Gaussian: the actions, the same before the tanh, and their log densities."""
    u = of.mean + of.log_std.exp() * noise
    return u.tanh(), u, log_pushed(of.log_std, noise, u)


def explore(head: Floats, noise: Floats) -> Floats:
    """Draw a tanh-Gaussian action in numpy, for acting in the environment."""
    n = noise.shape[-1]
    mean, log_std = head[..., :n], head[..., n:]
    std = np.exp(np.minimum(np.maximum(log_std, LOG_STD_RANGE[0]), LOG_STD_RANGE[1]))
    action: Floats = np.tanh(mean + std * noise)
    return action


def behave(head: Floats, noise: Floats) -> Behaviour:
    """Draw a tanh-Gaussian action in numpy, with its value and log density before the tanh."""
    n = noise.shape[-1]
    log_std = np.minimum(np.maximum(head[..., n:], LOG_STD_RANGE[0]), LOG_STD_RANGE[1])
    density = -0.5 * np.square(noise) - log_std - 0.5 * math.log(2 * math.pi)
    return Behaviour(explore(head, noise), head[..., :n] + np.exp(log_std) * noise, density.sum(-1))


def behave_uniformly(action: Floats) -> Behaviour:
    """Uniform actions `[..., A]` with their values and log densities before the tanh, in numpy.

    An action of exactly -1, which a generator returns once in 2^24 draws, counts as the next number inside.
    """
    inside = np.clip(action, np.nextafter(action.dtype.type(-1), 0), np.nextafter(action.dtype.type(1), 0))
    pre = np.arctanh(inside)
    return Behaviour(action, pre, (np.log1p(-np.square(inside)) - math.log(2)).sum(-1))


def gradient(action: Tensor, pushed: Tensor, inside: Tensor, by_action: Tensor, by_log_pi: Tensor) -> Tensor:
    """Gradient `[..., 2 A]` of a loss w.r.t. a tanh-Gaussian's mean and log std, from that w.r.t. its sample.

    `by_action [..., A]` and `by_log_pi [...]` are the gradients with respect to the sampled action and
    its log density. It uses `d log pi / du = 2 tanh u`; `pushed` and `inside` are those of `Sample`.
    """
    by_log_pi = by_log_pi[..., None]
    by_mean = by_action - action * (action * by_action - 2 * by_log_pi)
    return torch.cat((by_mean, (by_mean * pushed - by_log_pi) * inside), dim=-1)


class _TanhGaussian(torch.autograd.Function):
    """Autograd function of the tanh-Gaussian sample, with the hand-written gradient as its backward pass."""

    @staticmethod
    def forward(ctx: Any, head: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        action, log_pi, pushed, inside = sample(head, noise)
        ctx.save_for_backward(inside, pushed, action)
        return action, log_pi

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_action: Tensor, by_log_pi: Tensor) -> tuple[Tensor, None]:
        inside, pushed, action = ctx.saved_tensors
        return gradient(action, pushed, inside, by_action, by_log_pi), None


def split(head: Tensor) -> Gaussian:
    """Split a policy network's output into mean and clamped log standard deviation, `[..., A]` each."""
    mean, log_std = head.chunk(2, dim=-1)
    return Gaussian(mean, log_std.clamp(*LOG_STD_RANGE))


class TanhGaussian(Pathwise):
    """Tanh-Gaussian policy, mean and log std from a network: reparametrised actions, one or more per state.

    Args:
        settings: number of actions and weights of the penalties.
        policy: network from a state to `2 A` outputs.
    """

    def __init__(self, settings: parts.TanhGaussian, policy: Network) -> None:
        """Store the policy network and the penalty weights."""
        self.settings = settings
        self.networks = {"policy": policy}
        self.targets: Mapping[str, Network] = {}
        n_action = policy.sizes[-1] // 2
        self.acting = Draw(n_action)
        self.noise = {"action": Draw(settings.samples * n_action)}
        self._shape = (settings.samples, n_action)

    def infer(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw the actions of each state, differentiable in the policy's parameters."""
        head = self.networks["policy"].differentiable(state).squeeze(1)
        xi, of_each = noise["action"].view(*state.shape[:2], *self._shape), head[:, :, None]
        of_each = of_each.expand(-1, -1, self._shape[0], -1)
        action, log_pi = seedwise(tanh_gaussian, of_each, xi)
        pre = seedwise(before_tanh, of_each, xi)
        prior, equal = objective.prior, torch.full_like(log_pi, -math.log(self._shape[0]))
        return Weighted(
            action,
            equal,
            log_pi,
            prior.log_density(state, action, pre),
            self._penalty(head),
            pre,
            prior.kl(state, head),
            prior.divergence(state, head),
        )

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        """Draw one action at each state, differentiable in the states, with the policy's parameters fixed."""
        head, xi = self.networks["policy"].differentiable(state, fixed=True)[:, 0, :, None], noise[:, :, None]
        action, log_pi = seedwise(tanh_gaussian, head, xi)
        pre = seedwise(before_tanh, head, xi)
        log_prior = objective.prior.log_density(state, action, pre)
        return Weighted(action, torch.zeros_like(log_pi), log_pi, log_prior, pre=pre)

    def infer_next(self, state: Tensor, noise: Noise, objective: Objective) -> Weighted:
        """Draw the actions of each next state from the online policy, which has no target copy."""
        return self.infer(state, noise, objective)

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Draw an exploratory action from the tanh-Gaussian, in numpy."""
        return explore(head, noise)

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Draw an exploratory action from the tanh-Gaussian with its density, in numpy."""
        return behave(head, noise)

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` before the tanh of stored actions `[K, R, A]` under the online policy."""
        head = self.networks["policy"](state).squeeze(1)
        found: Tensor = seedwise(lambda one, u: log_density(split(one), u), head, pre)
        return found

    def _penalty(self, head: Tensor) -> Tensor | None:
        of_mean, of_log_std = self.settings.mean_penalty, self.settings.log_std_penalty
        if not (of_mean or of_log_std):
            return None
        penalty: Tensor = seedwise(
            lambda one: losses.penalty(*split(one), mean_weight=of_mean, log_std_weight=of_log_std), head
        )
        return penalty


def before_tanh(head: Tensor, noise: Tensor) -> Tensor:
    """Action before the tanh, `mean + std noise`, differentiable in the head."""
    mean, log_std = split(head)
    return mean + log_std.exp() * noise
