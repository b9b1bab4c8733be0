"""What the environments of a process share with all else in it: generators, working directory, number type.

The global random generators of Python, numpy and torch are lent to an environment that may draw from them.
Each user has states of its own, which are put in place while its environment runs and taken out afterwards.
So what an environment draws there depends on its seed alone: not on other seeds of the process, nor on
evaluations.

The working directory and torch's default number type are not an environment's to change: files of the run
would go elsewhere, and networks would compute with other bits. They are put back, and the change is an error.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
import torch

from virel_common.errors import require
from virel_deep.data.returned import Unusable

_one_at_a_time = RLock()


class Disturbed(Unusable):
    """Raised when an environment has changed what it shares; the message says what, and it is put back."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what a block changes of the working directory and of torch's default number type.

    Raises:
        Disturbed: the block has changed one of them, and has raised nothing itself.
    """
    folder, dtype = _folder(), torch.get_default_dtype()
    try:
        yield
    finally:
        changed = [one for one in (_folder_back(folder), _dtype_back(dtype)) if one]
    if changed:
        raise Disturbed("; ".join(changed))


def _folder() -> str:
    """Working directory; empty if it has been removed."""
    with suppress(OSError):
        return str(Path.cwd())
    return ""


def _folder_back(before: str) -> str:
    """Put the working directory back; return in words how it was changed, empty if it was not."""
    now = _folder()
    if now == before:
        return ""
    with suppress(OSError):
        os.chdir(before)
    advice = "let it use absolute paths, or `with contextlib.chdir(...)`"
    return f"it changed the working directory from {before!r} to {now!r}: {advice}"


def _dtype_back(before: torch.dtype) -> str:
    """Put torch's default number type back; return in words how it was changed, empty if it was not."""
    now = torch.get_default_dtype()
    if now == before:
        return ""
    torch.set_default_dtype(before)
    return f"it changed torch's default dtype from {before} to {now}: let it name `dtype=` in what it makes"


def require_single() -> None:
    """Raise `InputError` unless torch makes float32 tensors by default, as training needs."""
    rule = "must be torch.float32; call torch.set_default_dtype(torch.float32) before training"
    found = torch.get_default_dtype()
    require(found == torch.float32, "torch.get_default_dtype()", found, rule)


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

        Raises:
            Disturbed: the block has changed torch's default number type, and has raised nothing itself. The
                working directory is not looked at, which would take some microseconds at every step.
        """
        with _one_at_a_time:
            before, dtype = States.now(), torch.get_default_dtype()
            self._mine.put()
            try:
                yield
            finally:
                self._mine = States.now()
                before.put()
                changed = _dtype_back(dtype)
            if changed:
                raise Disturbed(changed)
