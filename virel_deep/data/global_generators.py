"""Global random generators of Python, numpy and torch, lent to an environment that may draw from them.

Each user has states of its own, which are put in place while its environment runs and taken out afterwards.
So what an environment draws there depends on its seed alone: not on other seeds of the process, nor on
evaluations.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
import torch

_one_at_a_time = RLock()


class States(NamedTuple):
    """States of the three global generators; torch's is that of the CPU."""

    python: Any
    numpy: Any
    torch: Any

    @classmethod
    def now(cls) -> "States":
        """Read the states that are in place."""
        return cls(random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state())  # noqa: NPY002

    def put(self) -> None:
        """Put these states in place."""
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        torch.set_rng_state(self.torch)


class GlobalGenerators:
    """States of the global generators of one user.

    Args:
        seed: source of the states; it is not advanced.

    Example:
        >>> mine = GlobalGenerators(np.random.SeedSequence(0))
        >>> with mine.lent():
        ...     first = np.random.uniform()
        >>> mine.restart(np.random.SeedSequence(0))
        >>> with mine.lent():
        ...     first == np.random.uniform()
        True
    """

    def __init__(self, seed: np.random.SeedSequence) -> None:
        """Seed the states."""
        self.restart(seed)

    def restart(self, seed: np.random.SeedSequence) -> None:
        """Start anew from a seed."""
        words = seed.generate_state(8)
        self._mine = States(
            random.Random(words.tobytes()).getstate(),
            np.random.RandomState(words).get_state(legacy=False),
            torch.Generator().manual_seed(int(words[0])).get_state(),
        )

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put the states in place for a block, then take them out and put those of before back.

        The generators are those of the process, so that blocks of several threads take turns.
        """
        with _one_at_a_time:
            before = States.now()
            self._mine.put()
            try:
                yield
            finally:
                self._mine = States.now()
                before.put()
