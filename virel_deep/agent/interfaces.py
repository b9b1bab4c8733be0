"""Interface of an agent, as training loop, CUDA-graph capture and evaluation use it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise
from virel_deep.axes.tensors import Behaviour
from virel_deep.data.replay import Columns
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats

METRICS = ("eps_omega", "temperature", "entropy", "q", "td_error", "q_loss", "policy_loss", "v_loss")
"""Metrics that an update reports per seed, in this order; `td_error` is a mean square until reported.

Parts may add their own, whose names are in their `reports`."""


class Kind(NamedTuple):
    """Which optional steps an update makes besides the critics' step; each choice has its own CUDA graph."""

    improves: bool
    """Whether the update has the E-step and the Polyak average: every `policy_delay` updates."""
    observes: bool
    """Whether the update has a new estimate of eps_omega: every `period` updates (of the temperature)."""
    first: bool
    """Whether the update is the first to estimate eps_omega."""
    copies: bool = False
    """Whether the update ends with a copy of the online parameters to the target networks."""


class Draws(NamedTuple):
    """How many states per transition an update draws random numbers for."""

    here: int
    """Those at the state itself: 1, or 0 if the posterior is wanted at next states alone."""
    following: int
    """Those at next states."""


class Own(NamedTuple):
    """Separate batch from which the residual error eps_omega is estimated, with its random numbers."""

    batch: Tensor
    """Rows of the replay, `[K, N, width]`."""
    noise: Noise
    """Random numbers for the actions at next states, `[K, N draws.following, ...]`."""


class Agent(Protocol):
    """Interface of K independent agents of one algorithm, stacked in shared tensors."""

    n_observation: int
    n_action: int
    columns: Columns
    updates: int
    """Updates so far, the same number for every seed."""

    @property
    def discrete(self) -> bool:
        """Whether actions are those of a discrete space, as one-hot vectors."""

    @property
    def policy(self) -> Network:
        """Policy network of all seeds."""

    draws: Draws
    """States per transition that random numbers are drawn for: first those at s, then those at s'."""

    @property
    def noise(self) -> Mapping[str, Draw]:
        """Random numbers that an update needs per state of a batch: first those at s, then those at s'."""

    @property
    def acting(self) -> Draw:
        """Random numbers that an exploratory action needs."""

    @property
    def kind(self) -> Kind:
        """Which optional steps the next update has: policy improvement, a new estimate of eps_omega."""

    def act(self, observation: Floats, noise: Floats) -> Floats:
        """Actions `[K, N, A]` in [-1, 1] at `observation [K, N, O]`; `noise` is what `acting` declares."""

    def behave(self, observation: Floats, noise: Floats) -> Behaviour:
        """Actions as those of `act`, with their densities, for a replay that keeps them."""

    def update(self, batch: Tensor, noise: Noise, own: Own | None = None) -> None:
        """Make one gradient step of every network from a minibatch and pre-drawn random numbers.

        Arguments as those of `StackedAgent.update`.
        """

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """Compute one training update of every network from tensors alone, so that CUDA can capture it.

        There is no host synchronisation, and no branch depends on data.
        """

    def count(self) -> None:
        """Increase the number of updates by one, after an update was computed."""

    def unsound(self, k: int) -> list[str]:
        """Names of seed k's losses that were not finite since the last report, such as `model_loss`."""

    def report(self) -> list[dict[str, float]]:
        """Return the mean metrics of the updates since the last report, one dictionary per seed."""

    def seed_networks(self, k: int) -> dict[str, Any]:
        """Copy what seed k acts by into a dictionary: its networks' blocks, `n_action` and `temperature`."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy everything that seed k's training depends on into a dictionary, for a checkpoint."""

    def load_network(self, k: int, name: str, blocks: Mapping[str, Tensor]) -> None:
        """Set seed k's parameters of a network, and of its target copy, from blocks by name."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k's networks, optimisers and temperature from a `seed_state` dictionary."""


def named(names: Sequence[str], metrics: Sequence[float]) -> dict[str, float]:
    """Dictionary of the metrics of an update, by name; the mean squared TD error becomes its root."""
    row = dict(zip(names, metrics, strict=True))
    return row | {"td_error": row["td_error"] ** 0.5}
