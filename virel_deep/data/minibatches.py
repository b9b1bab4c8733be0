"""How minibatches are read from the stored transitions, by kind of data."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from virel_deep.data.replay import Replay
from virel_deep.design import data, on_policy

Generators = Sequence[torch.Generator]


def sampled(replay: Replay, generators: Generators, copies: int, out: Tensor) -> None:
    """Sample transitions into `out [K, B, width]`, or windows of them into `[K, B, n, width]`."""
    if out.dim() == 4:
        replay.sample_windows(out.shape[1], generators, stride=copies, out=out)
    else:
        replay.sample(out.shape[1], generators, out=out)


def whole(replay: Replay, generators: Generators, copies: int, out: Tensor) -> None:  # noqa: ARG001
    """Read the last rollout of every environment copy into `out [K, E, n, width]`, in order."""
    replay.rollouts(stride=copies, out=out)


READ: dict[type[data.Data], Callable[[Replay, Generators, int, Tensor], None]] = {
    data.Replay: sampled,
    on_policy.Rollouts: whole,
}
"""Functions that read a minibatch: arguments are the store, a generator per seed, E, and where to."""
