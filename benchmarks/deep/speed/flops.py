"""Flops of one update, counted from the layer sizes: matrix products that no implementation can leave out.

A forward pass multiplies by every weight once, and so does the gradient with respect to the weights. The
gradient with respect to the inputs skips the first layer, except where it continues to the columns of an
action. There each row needs it from one critic only, the smaller one.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import algorithm

OBSERVATION, ACTION = 17, 6
"""Sizes of HalfCheetah-v5's observation and action."""


class Count:
    """Flops of one network's passes, per row.

    Args:
        of: algorithm, for the sizes of hidden layers.
        n_in: number of inputs.
        n_out: number of outputs.
    """

    def __init__(self, of: Algorithm, n_in: int, n_out: int) -> None:
        """Count a forward pass, and its part behind the first layer."""
        by_layer = [2.0 * a * b for a, b in pairwise((n_in, *of.hidden, n_out))]
        self.forward, inner = sum(by_layer), sum(by_layer[1:])
        self.backward = self.forward + inner
        """Gradient with respect to all weights, and to the inputs of all layers but the first."""
        self.slope = inner + 2.0 * ACTION * of.hidden[0]
        """Gradient with respect to the action."""
        self.fit = self.forward + self.backward


class Nets:
    """Counts of the networks of an algorithm."""

    def __init__(self, of: Algorithm) -> None:
        """Count passes of a Gaussian policy, a critic and a state value."""
        self.policy = Count(of, OBSERVATION, 2 * ACTION)
        self.critic = Count(of, OBSERVATION + ACTION, 1)
        self.value = Count(of, OBSERVATION, 1)
        self.critics = getattr(of.value, "critics", 1)
        self.q = self.critics * self.critic.forward
        """All critics forward."""
        self.climb = self.q + self.critic.slope
        """All critics forward, and the smaller one's gradient in the action."""
        self.fit = self.critics * self.critic.fit


def update_flops(preset: str) -> float:
    """Flops of the matrix products in one update of a preset, at its sizes, on HalfCheetah-v5.

    Example:
        >>> update_flops("mpo") > update_flops("rerpi") > update_flops("sac")
        True
    """
    of = algorithm(preset, "HalfCheetah-v5")
    return of.data.transitions(1) * BY_POSTERIOR[of.posterior.kind](of, Nets(of), of.posterior)


def _gaussian(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """SAC's family, and MPO's parametric form, whose targets read windows of pairs."""
    n, samples = of.value.window, int(posterior.samples)
    improve = nets.policy.fit + samples * nets.climb
    if of.value.kind == "v-network":  # target at s'; M-step on J^V with the critics at a sampled action
        return improve + nets.value.forward + nets.fit + nets.value.fit + nets.q
    at_next = n * (nets.policy.forward + samples * nets.q)
    return improve + at_next + n * nets.fit + _retrace(n, nets) + _lagging(of, nets)


def _weighted(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """MPO and RERPI: actions of the lagging policy at s', their values, the policy fitted there."""
    n = of.value.window
    at_next = nets.policy.forward + int(posterior.samples) * nets.q + nets.policy.fit
    return n * (at_next + nets.fit) + _retrace(n, nets)


def _retrace(n: int, nets: Nets) -> float:
    """Values and densities of the stored pairs of a window."""
    return n * (nets.q + nets.policy.forward) if n > 1 else 0.0


def _lagging(of: Algorithm, nets: Nets) -> float:
    """Forward pass of the policy's lagging copy, if it is the prior."""
    return nets.policy.forward if of.prior.kind == "previous" else 0.0


def _taken(of: Algorithm, nets: Nets, _: Any) -> float:
    """V-MPO and policy gradients: a state value at s and s', the policy, and its lagging copy if any."""
    lagging = nets.policy.forward if of.prior.kind == "learned" else 0.0
    return nets.value.forward + nets.value.fit + nets.policy.fit + lagging


def _iterative(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """Inference at s and at s', each step with a gradient; the objective after the last step at s."""
    steps, samples = int(posterior.steps), int(posterior.samples)
    network = Count(of, OBSERVATION + 4 * ACTION, 4 * ACTION)
    here = (steps + 1) * samples * nets.climb + steps * network.fit
    following = steps * (samples * nets.climb + network.forward) + samples * nets.q
    return here + following + nets.fit


def _stein(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """Proposals at s'; particles at s, of which half have a score and half move."""
    network, half = Count(of, OBSERVATION + ACTION, ACTION), int(posterior.samples) / 2
    return 2 * half * (nets.q + network.forward) + half * (nets.climb + network.backward) + nets.fit


BY_POSTERIOR: dict[str, Callable[[Algorithm, Nets, Any], float]] = {
    "tanh-gaussian": _gaussian,
    "weighted": _weighted,
    "top-share": _taken,
    "score": _taken,
    "iterative": _iterative,
    "stein": _stein,
}
"""Flops per transition of a minibatch, by kind of posterior."""
