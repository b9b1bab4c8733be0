"""Whose environment this process is in, noted where the parent can read it if the process dies there.

A segmentation fault, `os._exit` or a kill leaves no exception behind. So a process that trains for a parent
notes seed, step and place in shared memory before it calls an environment. Without a parent nothing is noted.
"""

from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from typing import NamedTuple

EVALUATION = "evaluation"
"""Place inside of an environment of evaluations."""
PLACES = ("", "training: constructor", "training: step", EVALUATION, "training: restore", "training: close")
"""Where a process can be inside of an environment, as `failure.json` names it; nowhere is the first."""
SIZE = 3
"""Whole numbers of a note: seed, step, index of the place."""
_notes: list[MutableSequence[int]] = []
"""The shared memory of this process, if it has any."""


class Presence(NamedTuple):
    """Seed whose environment a process is in, at which step, and where; the place is empty outside of all."""

    seed: int
    step: int
    place: str

    @classmethod
    def read(cls, note: MutableSequence[int]) -> "Presence":
        """Read a note of another process."""
        seed, step, place = note
        return cls(seed, step, PLACES[place])


NOWHERE = Presence(0, 0, "")


def note_in(shared: MutableSequence[int]) -> None:
    """Have this process note its presence in shared memory from now on."""
    _notes[:] = [shared]


@contextmanager
def inside(seed: int, step: int, place: str) -> Iterator[None]:
    """Note that the block is inside of a seed's environment.

    Example:
        >>> mine = [0, 0, 0]
        >>> note_in(mine)
        >>> with inside(3, 40, "evaluation"):
        ...     Presence.read(mine)
        Presence(seed=3, step=40, place='evaluation')
        >>> Presence.read(mine).place
        ''
        >>> _notes.clear()
    """
    if not _notes:
        yield
        return
    note = _notes[0]
    note[:] = [seed, step, PLACES.index(place)]
    try:
        yield
    finally:
        note[2] = 0
