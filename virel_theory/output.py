"""What the commands print and write: bounds as text, policies in a line, paths that are checked first."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_CEILING, Context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError
from virel_common.files import StorageError

ACTIONS_SHOWN = 5


def policy_summary(policy: NDArray[np.intp]) -> str:
    """Text that says how many states take each action, the most frequent action first."""
    actions, counts = np.unique(policy, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = [f"action {actions[k]} in {counts[k]} states" for k in order[:ACTIONS_SHOWN]]
    rest = len(order) - len(shown)
    return ", ".join(shown) + (f", {rest} other actions" if rest else "")


def check_writable(out: Path, *, suffix: str = ".npz", name: str = "out") -> None:
    """Raise `InputError` unless the path `out` ends in `suffix` and its folder is writable."""
    if out.suffix != suffix:
        raise InputError(f"`{name}` must end in {suffix}; found {str(out)!r}")
    if out.is_dir():
        raise InputError(f"`{name}` must be a file; found the folder {str(out)!r}")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as err:
        raise InputError(
            f"`{name}` must be in a writable folder; found {str(out)!r} ({err.strerror})"
        ) from None


@contextmanager
def refusing_a_full_disk(out: Path, *, name: str) -> Iterator[None]:
    """Turn an error of the block that writes `out` into an `InputError` that names the option."""
    try:
        yield
    except (OSError, StorageError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise InputError(
            f"`{name}` must be on a disk that can be written; found {str(out)!r} ({reason})"
        ) from None


def round_up(x: float) -> str:
    """Text of the bound `x` with three significant digits, rounded up, so that it is still a bound."""
    return f"{float(Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(x)):.3g}"
