"""What an agent and its callers tell one another: kinds of updates, draws, separate batches, metrics."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from virel_deep.axes.interfaces import Noise

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


def named(names: Sequence[str], metrics: Sequence[float]) -> dict[str, float]:
    """Dictionary of the metrics of an update, by name; the mean squared TD error becomes its root."""
    row = dict(zip(names, metrics, strict=True))
    return row | {"td_error": row["td_error"] ** 0.5}
