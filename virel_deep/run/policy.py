"""Deterministic policy of one seed in numpy, for evaluation, video and export."""

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import require
from virel_deep.networks.perceptron import perceptron
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Policy:
    """Deterministic policy: a perceptron with ReLU between its layers and tanh at its end.

    It is the actor, or the squashed mean of a tanh-Gaussian.
    """

    layers: list[tuple[Floats, Floats]]
    """`weight [in, out]` and `bias [out]` of each layer; the last layer's output is the action."""
    env: str
    """Gymnasium id of the environment that the policy was trained on."""
    step: int
    """Environment steps that the policy was trained for."""

    def act(self, observation: Floats) -> Floats:
        """Deterministic actions `[N, A]` in [-1, 1] at `observation [N, O]`."""
        action: Floats = np.tanh(perceptron(self.layers, observation))
        return action


def policy_layers(blocks: dict[str, Any], n_action: int) -> list[tuple[Floats, Floats]]:
    """Copy a policy network's layers; of a Gaussian policy's last layer, only the columns of the means."""
    layers = []
    for i in count():
        if f"{i}.weight" not in blocks:
            break
        weight, bias = (
            np.asarray(blocks[f"{i}.{name}"][0]).astype(np.float32) for name in ("weight", "bias")
        )
        layers.append((weight, bias[0]))
    weight, bias = layers[-1]
    layers[-1] = (weight[:, :n_action].copy(), bias[:n_action].copy())
    return layers


def load_policy(run: Path, seed: int) -> Policy:
    """Load the policy from the newest checkpoint of a seed.

    Raises:
        InputError: the run, seed or checkpoint does not exist, is damaged, or belongs to another run.
    """
    config = read_config(run)
    require(seed in config.seeds, "seed", seed, f"must be one of {list(config.seeds)}")
    loaded = load_seed(run, config, seed, with_rows=False)
    agent = loaded.state["agent"]
    return Policy(policy_layers(agent["policy"], agent["n_action"]), config.env, loaded.step)
