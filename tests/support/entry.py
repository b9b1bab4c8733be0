"""An entry of the table of public functions."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Public function whose arguments are tables.

    Args:
        args: its arguments in order; `argument=value name` where the two names differ.
        out: axes of what `read` finds in the result ("S", "A", "N", "T" time); "" is a float.
        missing: what the result holds where the action does not exist.
        zero_ok: arguments that may be 0 (the limit).
        read: function from the result to the array that is looked at.
        tol: tolerance where the order of operations changes; larger for what iterates to a tolerance.
    """

    args: str
    out: str = ""
    missing: float = 0.0
    zero_ok: tuple[str, ...] = ()
    read: Callable[[Any], Any] = field(default=lambda result: result)
    tol: float = 1e-10

    @property
    def names(self):
        """Arguments, each with the name of its value in a world."""
        pairs = (part.split("=") for part in self.args.split())
        return {pair[0]: pair[-1] for pair in pairs}
