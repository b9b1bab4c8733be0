"""Flops of one update, counted from the layer sizes: matrix products that no implementation can leave out.

A forward pass multiplies by every weight once, and so does the gradient with respect to the weights. The
gradient with respect to the inputs skips the first layer, except where it continues to some of its columns.
There each row needs it from one critic only, the smaller one. A step of a model needs one network of its
ensemble, though the code asks all of them. Enumerated actions are a row of a critic each.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from benchmarks.deep.speed.places import SIZES, env_of
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import algorithm, preset_row


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
        self.forward, self._inner, self._first = sum(by_layer), sum(by_layer[1:]), of.hidden[0]
        self.backward = self.forward + self._inner
        """Gradient with respect to all weights, and to the inputs of all layers but the first."""
        self.fit = self.forward + self.backward

    def slope(self, columns: int) -> float:
        """Gradient with respect to some columns of the input."""
        return self._inner + 2.0 * columns * self._first


class Nets:
    """Counts of the networks of an algorithm, for the sizes of an environment."""

    def __init__(self, of: Algorithm, n_observation: int, n_action: int) -> None:
        """Count passes of a Gaussian policy, a critic, a state value, a model and a prior."""
        self.n_observation, self.n_action = n_observation, n_action
        history = n_observation + n_action
        self.policy = Count(of, n_observation, 2 * n_action)
        self.critic = Count(of, history, 1)
        self.value = Count(of, n_observation, 1)
        self.model = Count(of, history, 2 * (n_observation + 1) + 1)
        seen = n_observation - len(of.blind_to)
        self.prior = Count(of, seen, n_action if of.posterior.discrete else 2 * n_action)
        self.critics = getattr(of.value, "critics", 1)
        self.q = self.critics * self.critic.forward
        """All critics forward."""
        self.climb = self.q + self.critic.slope(n_action)
        """All critics forward, and the smaller one's gradient in the action."""
        self.fit = self.critics * self.critic.fit


def update_flops(preset: str) -> float:
    """Flops of the matrix products in one update of a preset, at its sizes, in its environment.

    Example:
        >>> update_flops("mpo") > update_flops("rerpi") > update_flops("sac")
        True
        >>> update_flops("mb-mpo") > update_flops("mb-sac") > update_flops("smcp") > update_flops("sac")
        True
    """
    env = env_of(preset)
    of = algorithm(preset, env)
    count = _modelled if of.value.kind == "model" else BY_POSTERIOR[of.posterior.kind]
    return of.data.transitions(preset_row(preset).copies) * count(of, Nets(of, *SIZES[env]), of.posterior)


def planning_flops(preset: str) -> float:
    """Flops of the products of one plan, made at each environment step; 0 without a planner.

    Every particle's step asks the policy, one network of the model, and the critics where it arrives.

    Example:
        >>> planning_flops("sac"), planning_flops("smcp") > update_flops("smcp") / 10
        (0.0, True)
    """
    of = algorithm(preset, env_of(preset))
    nets, posterior = Nets(of, *SIZES[env_of(preset)]), of.posterior
    if posterior.kind != "smc":
        return 0.0
    visited = int(posterior.particles) * int(posterior.steps)  # type: ignore[attr-defined]
    return visited * (nets.policy.forward + nets.model.forward + nets.q)


def _gaussian(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """SAC's family, and MPO's parametric form, whose targets read windows of pairs."""
    n, samples = of.value.window, int(posterior.samples)
    improve = nets.policy.fit + samples * nets.climb
    if of.value.kind == "v-network":  # target at s'; M-step on J^V with the critics at a sampled action
        return improve + nets.value.forward + nets.fit + nets.value.fit + nets.q
    at_next = n * (nets.policy.forward + samples * nets.q)
    return improve + at_next + n * nets.fit + _retrace(n, nets) + _prior(of, nets, at_next=n)


def _weighted(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """MPO and RERPI: actions of the lagging policy, their values, its fit, at the first s and all s'."""
    n = of.value.window
    at_each = nets.policy.forward + int(posterior.samples) * nets.q + nets.policy.fit
    return (n + 1) * at_each + n * nets.fit + _retrace(n, nets)


def _modelled(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """Values expanded through a model, at s with a gradient in the action, at s' without; the model's fit."""
    h, samples = int(of.value.horizon), int(posterior.samples)  # type: ignore[attr-defined]
    by_prior = of.value.rollout == "prior"  # type: ignore[attr-defined]
    walker = nets.prior if by_prior else nets.policy
    fits = nets.fit + int(of.value.members) * nets.model.fit  # type: ignore[attr-defined]
    rollout = h * (nets.model.forward + walker.forward) + nets.q
    if of.posterior.kind == "weighted":
        return 2 * (nets.policy.forward + samples * rollout + nets.policy.fit) + fits
    observed, acted = nets.n_observation, nets.n_action
    back = nets.critic.slope(observed * (h > 0) + acted) + h * walker.slope(observed)
    back += (h - 1) * nets.model.slope(observed + acted) + nets.model.slope(acted) if h else 0.0
    here = nets.policy.fit + samples * (rollout + back)
    at_next = 0 if by_prior else 1  # the prior's divergence from itself is 0
    return here + walker.forward + samples * rollout + fits + _prior(of, nets, at_next=at_next)


def _retrace(n: int, nets: Nets) -> float:
    """Values and densities of the stored pairs of a window."""
    return n * (nets.q + nets.policy.forward) if n > 1 else 0.0


def _prior(of: Algorithm, nets: Nets, *, at_next: int) -> float:
    """Prior that is the policy's lagging copy, asked at s; or a learned one, asked at s and s', fitted."""
    if of.prior.kind == "asymmetric":
        return (1 + at_next) * nets.prior.forward + nets.prior.fit
    return nets.policy.forward if of.prior.kind == "previous" else 0.0


def _taken(of: Algorithm, nets: Nets, _: Any) -> float:
    """V-MPO and policy gradients: a state value at s and s', the policy, and its lagging copy if any."""
    lagging = nets.policy.forward if of.prior.kind == "learned" else 0.0
    return nets.value.forward + nets.value.fit + nets.policy.fit + lagging


def _iterative(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """Inference at s and at s', each step with a gradient; the objective after the last step at s."""
    steps, samples = int(posterior.steps), int(posterior.samples)
    network = Count(of, nets.n_observation + 4 * nets.n_action, 4 * nets.n_action)
    here = (steps + 1) * samples * nets.climb + steps * network.fit
    following = steps * (samples * nets.climb + network.forward) + samples * nets.q
    return here + following + nets.fit


def _stein(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """Proposals at s'; particles at s, of which half have a score and half move."""
    network = Count(of, nets.n_observation + nets.n_action, nets.n_action)
    half = int(posterior.samples) / 2
    return 2 * half * (nets.q + network.forward) + half * (nets.climb + network.backward) + nets.fit


def _latent(of: Algorithm, nets: Nets, posterior: Any) -> float:
    """HDP: an action of every latent at s, with gradients in both levels, and at s'; the default's fit."""
    n, seen = int(posterior.latents), nets.n_observation - len(of.blind_to)
    high, default = Count(of, nets.n_observation, n), Count(of, seen, n)
    low = Count(of, seen, n * 2 * nets.n_action)
    here = high.fit + low.fit + n * nets.climb + default.forward + default.fit
    return here + high.forward + low.forward + default.forward + n * nets.q + nets.fit


def _tilted(_: Algorithm, nets: Nets, __: Any) -> float:
    """Distral: all actions at s, where the prior is fitted to them, and at s', where it is asked."""
    return 2 * nets.n_action * nets.q + nets.prior.fit + nets.prior.forward + nets.fit


BY_POSTERIOR: dict[str, Callable[[Algorithm, Nets, Any], float]] = {
    "tanh-gaussian": _gaussian,
    "weighted": _weighted,
    "top-share": _taken,
    "score": _taken,
    "iterative": _iterative,
    "stein": _stein,
    "latent": _latent,
    "tilted": _tilted,
}
"""Flops per transition of a minibatch, by kind of posterior, where the value has no model."""
