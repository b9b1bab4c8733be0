r"""Sequential Monte Carlo planning as a function of tensors, after Piche et al. 2019.

N particles walk h steps through a model, from the same state. In step t each draws an action from the
proposal q, the policy, and its weight is multiplied by

$$\exp\Big(\frac{\gamma^t}\alpha\big[r(s_t, a_t) + \gamma V(s_{t+1}) - V(s_t)\big]\Big)
    \frac{p(a_t|s_t)}{q(a_t|s_t)}$$

Where the effective number of particles is below N / 2 before a step, they are resampled. A particle whose
episode has ended keeps its weight; V is 0 there. The plan's action is the first one of a particle that is
drawn in proportion to the weights.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from virel_deep.axes.interfaces import World
from virel_deep.axes.tensors import seedwise

THRESHOLD = 0.5
"""Share of the particles below which their effective number leads to resampling."""


class Guide(Protocol):
    """Interface of what guides particles: the proposal of their actions, and the value of their states."""

    def look(self, state: Tensor) -> Tensor:
        """Whatever is needed of states `[K, R, O]` to propose actions and to value them, `[K, R, H]`."""

    def propose(self, state: Tensor, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions `[K, R, A]` from noise `[K, R, A]`, and the log ratios `log(q / p)` of each, `[K, R]`."""

    def value(self, state: Tensor, seen: Tensor) -> Tensor:
        """Values V of states, `[K, R]`, scaled reward units."""


class Numbers(NamedTuple):
    """Random numbers of plans from S states by N particles in h steps."""

    member: Tensor
    """Uniform in [0, 1), for the members of the ensemble that particles follow, `[K, S, N]`."""
    action: Tensor
    """Standard normal, for the actions, `[K, S, h, N, A]`."""
    world: Tensor
    """Standard normal, for the model's steps, `[K, S, h, N, W]`."""
    ends: Tensor
    """Uniform in [0, 1), for the ends of episodes, `[K, S, h, N]`."""
    ancestors: Tensor
    """Uniform in [0, 1), for resampling before steps 1, 2, ..., `[K, S, h - 1]`."""
    drawn: Tensor
    """Uniform in [0, 1), for the particle whose first action is taken, `[K, S]`."""


class Particles(NamedTuple):
    """Particles of S plans of every seed, `[K, S, N, ...]`."""

    state: Tensor
    seen: Tensor
    """What the guide has seen of the state."""
    value: Tensor
    """Value of the state, 0 where the episode has ended, `[K, S, N]`."""
    first: Tensor
    """First action, `[K, S, N, A]`."""
    alive: Tensor
    """1.0 where the episode has not ended, `[K, S, N]`."""
    member: Tensor
    """Member of the ensemble that the particle follows, `[K, S, N]`, whole numbers."""


class Planned(NamedTuple):
    """Result of S plans of every seed."""

    first: Tensor
    """First actions of the particles that are left, `[K, S, N, A]`."""
    log_weight: Tensor
    """Their log weights, normalised, `[K, S, N]`, nats."""
    effective: Tensor
    """Mean effective number of particles, after each step, `[K, S]`."""
    resampled: Tensor
    """Number of times that particles were resampled, `[K, S]`."""


def log_increment(
    reward: Tensor, ahead: Tensor, here: Tensor, log_ratio: Tensor, alpha: Tensor, *, gamma: float, step: int
) -> Tensor:
    r"""Logarithm of the factor of a particle's weight in step t.

    Args:
        reward: r, `[...]`.
        ahead: value of the state after the step, 0 where the episode has ended.
        here: value of the state before it.
        log_ratio: log ratio of proposal and prior at the action, nats.
        alpha: temperature, broadcast against `[...]`.
        gamma: discount factor.
        step: t.

    Example:
        >>> import torch
        >>> one, zero = torch.tensor(1.0), torch.tensor(0.0)
        >>> log_increment(one, 4 * one, 2 * one, zero, 2 * one, gamma=0.5, step=1)
        tensor(0.2500)
    """
    return gamma**step * (reward + gamma * ahead - here) / alpha - log_ratio


def effective_number(log_weight: Tensor) -> Tensor:
    """Effective number `[...]` of particles with log weights `[..., N]`, which need not be normalised."""
    return (2 * log_weight.logsumexp(-1) - (2 * log_weight).logsumexp(-1)).exp()


def systematic(log_weight: Tensor, uniform: Tensor) -> Tensor:
    """Ancestors `[..., N]` of N particles by systematic resampling: one number for all of them.

    The N points `(i + uniform) / N` each fall on the particle whose share of the total weight covers it.

    Args:
        log_weight: log weights `[..., N]`.
        uniform: from [0, 1), `[...]`.

    Example:
        >>> import torch
        >>> systematic(torch.tensor([0.2, 0.7, 0.1]).log(), torch.tensor(0.5)).tolist()
        [0, 1, 1]
    """
    n = log_weight.shape[-1]
    ends = log_weight.softmax(-1).cumsum(-1)
    points = (torch.arange(n, device=ends.device) + uniform[..., None]) / n
    return torch.searchsorted(ends, points * ends[..., -1:], right=True).clamp(max=n - 1)


def drawn(log_weight: Tensor, uniform: Tensor) -> Tensor:
    """Particle `[...]` drawn in proportion to log weights `[..., N]`, by inversion of `uniform [...]`."""
    ends = log_weight.softmax(-1).cumsum(-1)
    place = torch.searchsorted(ends, uniform[..., None] * ends[..., -1:], right=True)
    return place.squeeze(-1).clamp(max=log_weight.shape[-1] - 1)


def plan(
    world: World,
    guide: Guide,
    state: Tensor,
    numbers: Numbers,
    *,
    alpha: Tensor,
    gamma: float,
    threshold: float = THRESHOLD,
) -> Planned:
    """Plan from states `[K, S, O]` at temperatures `alpha [K, 1]` with given random numbers.

    Particles are resampled where their effective number is below `threshold` times their number.
    """
    shape = numbers.member.shape
    of_each = state[:, :, None].expand(*shape, -1)
    at = _start(world, guide, of_each, numbers)
    log_weight = torch.zeros(shape, dtype=state.dtype, device=state.device)
    effective, resampled = log_weight.new_zeros(shape[:2]), log_weight.new_zeros(shape[:2])
    for t in range(numbers.action.shape[2]):
        if t > 0:
            at, log_weight, poor = _resampled(at, log_weight, numbers.ancestors[:, :, t - 1], threshold)
            resampled = resampled + poor
        at, gain = _moved(world, guide, at, numbers, alpha=alpha, gamma=gamma, step=t)
        log_weight = log_weight + gain
        effective = effective + seedwise(effective_number, log_weight)
    normalised: Tensor = seedwise(lambda x: x.log_softmax(-1), log_weight)
    return Planned(at.first, normalised, effective / numbers.action.shape[2], resampled)


def _start(world: World, guide: Guide, state: Tensor, numbers: Numbers) -> Particles:
    """Particles at the states `[K, S, N, O]` that plans start from; those of a plan are at the same one."""
    rows = state.flatten(1, 2)
    seen = guide.look(rows)
    value = guide.value(rows, seen).view(state.shape[:3])
    member = world.member(numbers.member.flatten(1, 2)).view(state.shape[:3])
    none = numbers.action[:, :, 0]
    return Particles(state, seen.view(*state.shape[:3], -1), value, none, torch.ones_like(value), member)


def _moved(
    world: World, guide: Guide, at: Particles, numbers: Numbers, *, alpha: Tensor, gamma: float, step: int
) -> tuple[Particles, Tensor]:
    """Particles after a step, and the logarithms of their weights' factors, 0 where an episode had ended."""
    state, seen = at.state.flatten(1, 2), at.seen.flatten(1, 2)
    shape = at.value.shape
    action, log_ratio = guide.propose(state, seen, numbers.action[:, :, step].flatten(1, 2))
    found = world.step(state, action, at.member.flatten(1, 2), numbers.world[:, :, step].flatten(1, 2))
    alive = at.alive * (numbers.ends[:, :, step] >= found.ends.view(shape))
    seen = guide.look(found.state)
    value = alive * guide.value(found.state, seen).view(shape)
    reward, ratio = found.reward.view(shape), log_ratio.view(shape)
    gain = log_increment(reward, value, at.value, ratio, alpha[..., None], gamma=gamma, step=step)
    first = action.view(*shape, -1) if step == 0 else at.first
    after = at._replace(
        state=found.state.view(*shape, -1), seen=seen.view(*shape, -1), value=value, first=first, alive=alive
    )
    return after, torch.where(at.alive > 0, gain, 0.0)


def _resampled(
    at: Particles, log_weight: Tensor, uniform: Tensor, threshold: float
) -> tuple[Particles, Tensor, Tensor]:
    """Particles, log weights and whether each plan was resampled, 1.0 where its effective number was low."""
    n = log_weight.shape[-1]
    poor = seedwise(effective_number, log_weight) < threshold * n
    ancestors = seedwise(systematic, log_weight, uniform)
    same = torch.arange(n, device=ancestors.device)
    place = torch.where(poor[..., None], ancestors, same)
    kept = Particles(*(x.gather(2, _like(place, x)) for x in at))
    return kept, torch.where(poor[..., None], 0.0, log_weight), poor.to(log_weight.dtype)


def _like(place: Tensor, x: Tensor) -> Tensor:
    """Index `[K, S, N]` for a gather from `x [K, S, N, ...]`."""
    return place if x.dim() == place.dim() else place[..., None].expand_as(x)
