"""The agent as training, capture and evaluation see it, whichever road its update takes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from virel_deep.axes.interfaces import Draw, Noise
from virel_deep.data.replay import Columns
from virel_deep.networks.network import Network
from virel_deep.networks.perceptron import Floats

METRICS = ("eps_omega", "temperature", "entropy", "q", "td_error", "q_loss", "policy_loss", "v_loss")
"""What an update reports for each seed, in this order. `td_error` is a mean square until it is reported."""


class Kind(NamedTuple):
    """Which parts an update has besides the critics' M-step; known beforehand, so that it can be captured."""

    improves: bool
    """Whether it has the E-step and the Polyak average: every `policy_delay` updates."""
    observes: bool
    """Whether it has a new estimate of eps_omega: every `period` updates of the temperature's estimate."""
    first: bool
    """Whether no estimate of eps_omega was made before."""


class Own(NamedTuple):
    """A separate batch for estimating eps_omega, and its noise."""

    batch: Tensor
    """Rows of the replay, `[K, N, width]`."""
    noise: Noise
    """For the actions at s', `[K, N, ...]`."""


class Agent(Protocol):
    """K independent agents of the same algorithm, stacked."""

    n_observation: int
    n_action: int
    columns: Columns
    updates: int
    """Updates so far, the same number for every seed."""

    @property
    def policy(self) -> Network:
        """The network that acts."""

    @property
    def noise(self) -> Mapping[str, Draw]:
        """Random numbers that the update needs for each state of a batch: those at s, then those at s'."""

    @property
    def kind(self) -> Kind:
        """Which parts the next update has."""

    def act(self, observation: Floats, noise: Floats) -> Floats:
        """Actions `[K, N, A]` in [-1, 1] at `observation [K, N, O]`; `noise [K, N, A]` is standard normal."""

    def update(self, batch: Tensor, noise: Noise, own: Own | None = None) -> None:
        """One gradient step of every network; batch and noise as `GeneralAgent.compute` takes them."""

    def compute(self, kind: Kind, batch: Tensor, noise: Noise, own: Own | None) -> None:
        """The tensors' part of `update`: no host synchronisation, no branch on data."""

    def count(self) -> None:
        """Note that an update was computed."""

    def report(self) -> list[dict[str, float]]:
        """Means of `METRICS` over the updates since the last report, one dictionary per seed."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """All that seed k is made of, as copies."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Make seed k what `seed_state` saved."""


def named(metrics: Sequence[float]) -> dict[str, float]:
    """The values of `METRICS` by name, ready to be reported: the TD error becomes a root mean square."""
    row = dict(zip(METRICS, metrics, strict=True))
    return row | {"td_error": row["td_error"] ** 0.5}
