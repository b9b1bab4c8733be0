"""Python's and numpy's global random generators, lent to an environment that may draw from them.

Each user has states of its own, which are put in place while its environment runs and taken out afterwards.
So what an environment draws there depends on its seed alone: not on other seeds of the process, nor on
evaluations.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


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
        self._python = random.Random(words.tobytes()).getstate()
        self._numpy = np.random.RandomState(words).get_state(legacy=False)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Put the states in place for a block, then take them out and put those of before back."""
        python, numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
        random.setstate(self._python)
        np.random.set_state(self._numpy)  # noqa: NPY002
        try:
            yield
        finally:
            self._python, self._numpy = random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
