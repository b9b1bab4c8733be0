"""Random numbers: a seed owns its streams, so that nothing depends on the seeds stacked with it."""

import numpy as np
import torch

STREAMS = ("weights", "acting", "learning", "environment", "evaluation", "after-training")


def stream(seed: int, name: str, *key: int) -> np.random.SeedSequence:
    """The named stream of a seed; `key` tells apart what is drawn anew, like the evaluation at some step."""
    return np.random.SeedSequence(seed, spawn_key=(STREAMS.index(name), *key))


def generator(seed: int, name: str, device: str = "cpu") -> torch.Generator:
    """A torch generator on the named stream of a seed."""
    high, low = map(int, stream(seed, name).generate_state(2))
    # Of these 63 bits torch's CPU generator uses 32.
    return torch.Generator(device).manual_seed(high << 31 | low >> 1)
