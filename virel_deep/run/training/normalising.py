"""Normalisation of the observations of a minibatch, seed by seed, by the moments that each has so far."""

from collections.abc import Sequence

import torch
from torch import Tensor

from virel_deep.data.moments import LIMIT, Scaling
from virel_deep.data.replay import Columns


def normalise(batch: Tensor, columns: Columns, scalings: Sequence[Scaling]) -> None:
    """Normalise states and next states of rows `[K, ..., width]` in place; the replay itself stays raw.

    It is elementwise, with the roundings of `Scaling` in numpy, so that a seed's bits depend on neither K nor
    on where its actions are computed.
    """
    for rows, scaling in zip(batch, scalings, strict=True):
        mean, factor = (torch.from_numpy(x).to(batch.device) for x in scaling)
        for part in (columns.observation, columns.next_observation):
            rows[..., part].sub_(mean).mul_(factor).clamp_(-LIMIT, LIMIT)
