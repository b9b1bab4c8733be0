r"""Particle planner of `smc_weights` once more, compiled: one plan of one seed in one call, on the CPU.

A plan of 64 particles has thousands of small tensor operations, whose calls cost more than they compute. Here
a particle's member computes that particle alone. `smc_weights` is the specification; a test compares both.
"""

import math
from typing import Any, NamedTuple, no_type_check

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from virel_common.compiled import njit
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.gaussian_model import LOG_VARIANCE
from virel_deep.axes.posterior.compiled_weights import effective_number, largest, log_total, systematic, taken
from virel_deep.axes.posterior.smc_weights import THRESHOLD, Numbers
from virel_deep.axes.posterior.tanh_gaussian import LOG_STD_RANGE
from virel_deep.networks.compiled import Net, add_bias, bias, table_of_layers, weight
from virel_deep.networks.network import Network

Floats = NDArray[np.floating[Any]]
LOW, HIGH = LOG_VARIANCE
LEAST_LOG_STD, MOST_LOG_STD = LOG_STD_RANGE


class Nets(NamedTuple):
    """Networks of one seed's plan, with the place of its first head in each stack."""

    policy: Net
    critic: Net
    model: Net
    place: NDArray[np.int64]
    """Places of the seed's policy, first critic and first member, and the number of critics."""


class Scales(NamedTuple):
    """Scales and ranges of a model's columns, `[W]` each, as `Normaliser` has them."""

    shift: Floats
    size: Floats
    least: Floats
    most: Floats


class Draws(NamedTuple):
    """Random numbers of one plan, as `smc_weights.Numbers` has them, without seed and plan."""

    member: NDArray[np.int64]
    action: Floats
    world: Floats
    ends: Floats
    ancestors: Floats


class Settings(NamedTuple):
    """Numbers that a plan needs."""

    alpha: float
    gamma: float
    soft: bool
    threshold: float


class Found(NamedTuple):
    """Result of one plan: `smc_weights.Planned` without seed and plan."""

    first: Floats
    log_weight: Floats
    effective: float
    resampled: float


def compiled_plan(
    policy: Network,
    critic: Network,
    world: Ensemble,
    state: Tensor,
    numbers: Numbers,
    alpha: Tensor,
    *,
    gamma: float,
    soft: bool,
) -> list[list[Found]]:
    """Plans from states `[K, S, O]`, one after the other, with a uniform prior; results by seed and plan."""
    nets = [_net(network) for network in (policy, critic, world.network)]
    member = world.member(numbers.member.flatten(1, 2)).view(numbers.member.shape).numpy()
    of = world.normaliser
    drawn = [x.contiguous().numpy() for x in (numbers.action, numbers.world, numbers.ends, numbers.ancestors)]

    def plan(k: int, s: int) -> Found:
        place = np.array([k, k * critic.heads, k * world.network.heads, critic.heads])
        scales = Scales(*(x[k, 0].numpy() for x in (of.shift, of.size, of.least, of.most)))
        draws = Draws(member[k, s], *(x[k, s] for x in drawn))
        settings = Settings(float(alpha[k, 0]), gamma, soft, THRESHOLD)
        one = Nets(nets[0], nets[1], nets[2], place)
        return Found(*plan_one(one, scales, state[k, s].numpy(), draws, settings))

    return [[plan(k, s) for s in range(state.shape[1])] for k in range(len(state))]


def _net(network: Network) -> Net:
    """Parameters of a stack of networks as compiled code reads them."""
    flat = network.flat.numpy()
    return Net(flat, flat[:0], table_of_layers(network.sizes, network.seeds * network.heads))


@njit(cache=True)
@no_type_check
def plan_one(nets, scales, start, draws, settings):
    """Plan from one state: first actions, normalised log weights, mean effective number, resamplings."""
    steps, n, n_action = draws.action.shape
    n_state = len(start)
    state = np.empty((n, n_state), start.dtype)
    for i in range(n):  # `state[:] = start` would take seconds to compile, for its message
        for j in range(n_state):
            state[i, j] = start[j]
    member, alive = draws.member.copy(), np.ones(n)
    head = outputs(nets.policy, nets.place[0], state)
    value = values(nets, state, head, settings)
    first = np.zeros((n, n_action), start.dtype)
    log_weight, effective, resampled = np.zeros(n), 0.0, 0.0
    for t in range(steps):
        if t > 0 and effective_number(log_weight) < settings.threshold * n:
            kept = systematic(log_weight, draws.ancestors[t - 1])
            state, head, first = taken(state, kept), taken(head, kept), taken(first, kept)
            value, member, alive = taken(value, kept), taken(member, kept), taken(alive, kept)
            log_weight, resampled = np.zeros(n), resampled + 1
        action, log_pi = squashed(head, draws.action[t])
        if t == 0:
            first = action
        after, reward, ends = stepped(nets, scales, state, action, member, draws.world[t])
        head = outputs(nets.policy, nets.place[0], after)
        ahead = values(nets, after, head, settings)
        for i in range(n):
            goes_on = alive[i] * (draws.ends[t, i] >= ends[i])
            ahead[i] *= goes_on
            if alive[i] > 0:
                gain = reward[i] + settings.gamma * ahead[i] - value[i]
                log_weight[i] += settings.gamma**t * gain / settings.alpha - log_pi[i]
            alive[i] = goes_on
        state, value = after, ahead
        effective += effective_number(log_weight)
    log_sum = log_total(log_weight)
    for i in range(n):
        log_weight[i] -= log_sum
    return first, log_weight, effective / steps, resampled


@njit(cache=True)
@no_type_check
def outputs(net, g, x):
    """Outputs `[rows, out]` of network g of a stack at inputs `x [rows, in]`."""
    last = len(net.layers) - 1
    for i in range(last + 1):
        y = np.empty((len(x), net.layers[i, 1]), x.dtype)
        np.dot(x, weight(net.flat, net.layers, i, g), y)
        add_bias(y, bias(net.flat, net.layers, i, g), i < last)
        x = y
    return x


@njit(cache=True)
@no_type_check
def softplus(x):
    """Softplus, log(1 + e^x), without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@njit(cache=True)
@no_type_check
def squashed(head, noise):
    """Actions `[n, A]` of tanh-Gaussians and their log densities `[n]`."""
    n, n_action = noise.shape
    action, log_pi = np.empty_like(noise), np.zeros(n)
    for i in range(n):
        for j in range(n_action):
            log_std = min(max(head[i, n_action + j], LEAST_LOG_STD), MOST_LOG_STD)
            u = head[i, j] + math.exp(log_std) * noise[i, j]
            slope = 2 * (math.log(2.0) - u - softplus(-2 * u))
            action[i, j] = math.tanh(u)
            log_pi[i] += -0.5 * noise[i, j] ** 2 - log_std - 0.5 * math.log(2 * math.pi) - slope
    return action, log_pi


@njit(cache=True)
@no_type_check
def values(nets, state, head, settings):
    """Values `[n]` of states at the policy's modes, by the smaller critic; soft if asked for."""
    n, n_action = len(state), head.shape[1] // 2
    action, log_pi = squashed(head, np.zeros((n, n_action), state.dtype))
    history = joined(state, action)
    smaller = np.full(n, np.inf)
    for c in range(nets.place[3]):
        q = outputs(nets.critic, nets.place[1] + c, history)
        for i in range(n):
            smaller[i] = q[i, 0] if q[i, 0] < smaller[i] or np.isnan(q[i, 0]) else smaller[i]
    if settings.soft:
        for i in range(n):
            smaller[i] -= settings.alpha * log_pi[i]
    return smaller


@njit(cache=True)
@no_type_check
def joined(state, action):
    """States and actions side by side, `[n, O + A]`."""
    n_state, n_action = state.shape[1], action.shape[1]
    out = np.empty((len(state), n_state + n_action), state.dtype)
    for i in range(len(state)):
        for j in range(n_state):
            out[i, j] = state[i, j]
        for j in range(n_action):
            out[i, n_state + j] = action[i, j]
    return out


@njit(cache=True)
@no_type_check
def stepped(nets, scales, state, action, member, noise):
    """States after a step, rewards and probabilities of the end, each particle by its own member."""
    (n, d), n_action = state.shape, action.shape[1]
    inputs, rows = np.empty((n, d + n_action), state.dtype), np.empty(n, np.int64)
    after, reward, ends = np.empty_like(state), np.empty(n), np.empty(n)
    for m in range(largest(member) + 1):
        count = 0
        for i in range(n):
            if member[i] == m:
                rows[count] = i
                for j in range(d):
                    inputs[count, j] = (state[i, j] - scales.shift[j]) / scales.size[j]
                for j in range(n_action):
                    inputs[count, d + j] = action[i, j]
                count += 1
        if count == 0:
            continue
        out = outputs(nets.model, nets.place[2] + m, inputs[:count])
        for r in range(count):
            i = rows[r]
            for j in range(d):
                below = HIGH - softplus(HIGH - out[r, d + 1 + j])
                log_variance = LOW + softplus(below - LOW)
                normal = out[r, j] + math.exp(0.5 * log_variance) * noise[i, j]
                delta = scales.shift[d + j] + scales.size[d + j] * normal
                delta = min(max(delta, scales.least[d + j]), scales.most[d + j])
                after[i, j] = min(max(state[i, j] + delta, scales.least[j]), scales.most[j])
            gained = scales.shift[2 * d] + scales.size[2 * d] * out[r, d]
            reward[i] = min(max(gained, scales.least[2 * d]), scales.most[2 * d])
            ends[i] = 1 / (1 + math.exp(-out[r, 2 * d + 2]))
    return after, reward, ends
