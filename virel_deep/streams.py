"""Random streams, separate per seed, so that no result depends on the seeds trained beside it."""

import numpy as np
import torch

STREAMS = (
    "weights", "acting", "learning", "environment", "evaluation", "after-training", "exploring",
    "evaluation-actions",
)  # fmt: skip
"""Names of the streams; a name's place is its key, so new ones come last."""


def stream(seed: int, name: str, *key: int) -> np.random.SeedSequence:
    """Seed sequence of a seed's named random stream, such as that of its evaluation.

    `key` makes separate streams of one name, such as those of the evaluations at different steps.
    """
    return np.random.SeedSequence(seed, spawn_key=(STREAMS.index(name), *key))


def generator(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """Torch generator of a seed's named random stream."""
    high, low = map(int, stream(seed, name).generate_state(2))
    # torch's CPU generator uses only 32 of these 63 bits.
    return torch.Generator(device).manual_seed(high << 31 | low >> 1)
