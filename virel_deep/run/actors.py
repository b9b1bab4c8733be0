"""Actors of one seed on the CPU that don't explore, by kind of posterior, from the arrays of its networks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from virel_deep.axes.abilities import Deliberate, Settling
from virel_deep.axes.build import Parts, build
from virel_deep.axes.categorical import greedy
from virel_deep.axes.interfaces import Draw, Objective
from virel_deep.data.moments import Moments, Scaling
from virel_deep.design import discrete, hierarchy, improvement, inference, model, on_policy, parts, priors
from virel_deep.design.algorithm import Algorithm
from virel_deep.networks.critic_actor import values_perceptron
from virel_deep.networks.perceptron import perceptron

Floats = NDArray[np.float32]
Layers = list[tuple[Floats, Floats]]
"""`weight [in, out]` and `bias [out]` of each layer of a perceptron."""
SeedState = Mapping[str, Any]
"""Blocks of one seed's networks by name, with `n_action` and `temperature`, as in a checkpoint; `moments`
of the observations where they are normalised."""


class Actor(Protocol):
    """Interface of what acts without exploring."""

    def act(self, observation: Floats) -> Floats:
        """Actions `[N, A]` in [-1, 1], or one-hot, at `observation [N, O]`; only a planner draws them."""


@dataclass(frozen=True, eq=False)
class TanhPerceptron:
    """Perceptron with ReLU between its layers and tanh at its end: an actor, or a tanh-Gaussian's mean."""

    layers: Layers
    """The last layer's output, squashed, is the action."""

    def act(self, observation: Floats) -> Floats:
        """Deterministic actions `[N, A]` in [-1, 1] at `observation [N, O]`."""
        action: Floats = np.tanh(perceptron(self.layers, observation))
        return action


@dataclass(frozen=True, eq=False)
class Normalised:
    """Actor that sees normalised observations."""

    actor: Actor
    scaling: Scaling

    def act(self, observation: Floats) -> Floats:
        """Deterministic actions `[N, A]` at the environment's own `observation [N, O]`."""
        return self.actor.act(self.scaling(observation))


@dataclass(frozen=True, eq=False)
class GreedyPerceptron:
    """Perceptron with ReLU between its layers and one output per discrete action; the largest one acts."""

    layers: Layers
    """The last layer's outputs are log probabilities but for a constant."""

    def act(self, observation: Floats) -> Floats:
        """Most probable actions, one-hot, `[N, A]`, at `observation [N, O]`."""
        return greedy(perceptron(self.layers, observation))


def make_actor(algorithm: Algorithm, state: SeedState, source: np.random.SeedSequence | None = None) -> Actor:
    """Make the actor of one seed of an algorithm from its networks; it is deterministic, or it plans.

    Args:
        algorithm: whose actor it is.
        state: the seed's networks.
        source: of the random numbers of an actor that plans; None is always the same one.
    """
    actor = ACTORS[type(algorithm.posterior)](algorithm, state)
    if isinstance(actor, PlanningActor) and source is not None:
        actor.restart(source)
    return normalised(actor, state)


def normalised(actor: Actor, state: SeedState) -> Actor:
    """Let an actor see observations as training did: by the moments in the state, if it has any."""
    return Normalised(actor, Moments.of(state["moments"]).scaling) if "moments" in state else actor


def layers_of(blocks: Mapping[str, Any]) -> Layers:
    """Copy the layers of a network with one head from its blocks, in float32."""
    layers: Layers = []
    for i in count():
        if f"{i}.weight" not in blocks:
            break
        weight, bias = (
            np.asarray(blocks[f"{i}.{name}"][0]).astype(np.float32) for name in ("weight", "bias")
        )
        layers.append((weight, bias[0]))
    return layers


def _tanh_perceptron(_: Algorithm, state: SeedState) -> Actor:
    """Squashed output of the policy network; of a Gaussian's last layer, only the columns of the means."""
    *hidden, (weight, bias) = layers_of(state["policy"])
    n = state["n_action"]
    return TanhPerceptron([*hidden, (weight[:, :n].copy(), bias[:n].copy())])


@dataclass(frozen=True, eq=False)
class DeliberateActor:
    """Actor of more than one network, such as a policy that critics correct, in torch on the CPU."""

    posterior: Settling
    objective: Objective

    def act(self, observation: Floats) -> Floats:
        """Deterministic actions `[N, A]` in [-1, 1] at `observation [N, O]`."""
        state = torch.from_numpy(np.ascontiguousarray(observation))[None]
        action: Floats = self.posterior.settle(state, self.objective)[0].numpy()
        return action


class PlanningActor:
    """Actor that plans with random numbers of its own, in torch on the CPU.

    Args:
        posterior: what plans.
        objective: critics, prior, temperature and model.
        acting: random numbers of a plan.
    """

    def __init__(self, posterior: Deliberate, objective: Objective, acting: Draw) -> None:
        """Store what plans; the random numbers begin at 0 until `restart`."""
        self._posterior, self._objective, self._acting = posterior, objective, acting
        self._source = torch.Generator().manual_seed(0)

    def restart(self, source: np.random.SeedSequence) -> None:
        """Begin the random numbers anew, from a source that is not advanced."""
        self._source.manual_seed(int(source.generate_state(1)[0]))

    def act(self, observation: Floats) -> Floats:
        """First actions `[N, A]` of plans at `observation [N, O]`."""
        state = torch.from_numpy(np.ascontiguousarray(observation))[None]
        noise = torch.empty(1, len(observation), self._acting.width).normal_(generator=self._source)
        action: Floats = self._posterior.deliberate(state, noise, self._objective)[0].numpy()
        return action


def _settling(algorithm: Algorithm, state: SeedState) -> Actor:
    """Actor that infers the deterministic action of its posterior."""
    made = restored(algorithm, state)
    assert isinstance(made.posterior, Settling), "the posterior has a deterministic action"
    return DeliberateActor(made.posterior, made.objective)


def _planning(algorithm: Algorithm, state: SeedState) -> Actor:
    """Actor whose posterior plans."""
    made = restored(algorithm, state)
    assert isinstance(made.posterior, Deliberate), "the posterior acts by its objective"
    return PlanningActor(made.posterior, made.objective, made.posterior.acting)


def restored(algorithm: Algorithm, state: SeedState) -> Parts:
    """Parts of one seed on the CPU, with the networks, memory and temperature that it acts by."""
    n_action = state["n_action"]
    n_observation = np.shape(state["critic"]["0.weight"])[1] - n_action
    made = build(algorithm, n_observation, n_action, seeds=1, device=torch.device("cpu"))
    for part in (made.posterior, made.value, made.prior):
        for name, network in part.networks.items():
            for block, x in network.seed_blocks(network.flat, 0).items():
                x.copy_(torch.as_tensor(state[name][block]))
    for name, memory in made.remembering.items():
        memory.load_seed_state(0, state[name])
    made.temperature.load_seed_state(0, state["temperature"])
    return made


def _greedy_perceptron(_: Algorithm, state: SeedState) -> Actor:
    """Most probable action of a categorical policy network."""
    return GreedyPerceptron(layers_of(state["policy"]))


def _tilted(algorithm: Algorithm, state: SeedState) -> Actor:
    """Most probable action: with a uniform prior, that of largest value by the smaller critic."""
    if algorithm.prior.kind != "uniform":
        return _settling(algorithm, state)
    return GreedyPerceptron(values_perceptron(state["critic"], state["n_action"]))


ACTORS: dict[type[parts.Posterior], Callable[[Algorithm, SeedState], Actor]] = {
    parts.TanhGaussian: _tanh_perceptron,
    parts.Deterministic: _tanh_perceptron,
    improvement.Weighted: _tanh_perceptron,
    inference.Iterative: _settling,
    inference.Stein: _settling,
    model.Smc: _planning,
    discrete.Categorical: _greedy_perceptron,
    discrete.Enumerated: _greedy_perceptron,
    discrete.TopShareCategorical: _greedy_perceptron,
    discrete.ScoreCategorical: _greedy_perceptron,
    priors.Tilted: _tilted,
    hierarchy.Latent: _settling,
    hierarchy.LatentCategorical: _settling,
    on_policy.TopShare: _tanh_perceptron,
    on_policy.Score: _tanh_perceptron,
}
"""Makers of actors, by kind of posterior."""
