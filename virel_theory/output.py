"""What the commands print and write: bounds as text, policies in a line, paths that are checked first."""

import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import ignore_broken_stderr

ACTIONS_SHOWN = 5
DIGITS_LEAST = 6
"""Digits of a printed value, however large its error may be."""
PATIENCE_S = 1.0
"""Seconds after which a bar shows how far a solve is."""


class Solving(Protocol):
    """What a bar shows of a running solve (`solvers.watch.Progress`)."""

    @property
    def n_steps(self) -> int:
        """Steps so far."""

    @property
    def error_bound(self) -> float:
        """Bound so far."""

    @property
    def tolerance(self) -> float:
        """Bound to reach."""

    @property
    def seconds(self) -> float:
        """Seconds so far."""

    @property
    def left_s(self) -> float | None:
        """Seconds left, None if that is not known."""


class Bar:
    """Bar on stderr, if that is a terminal and the solve is slow: steps, bound, bound to reach, time left."""

    def __init__(self) -> None:
        """Show nothing yet."""
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        """Begin; the bar appears later."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar from the terminal, if it appeared."""
        if self._task is not None:
            with ignore_broken_stderr():
                self._bar.stop()

    def __call__(self, now: Solving) -> None:
        """Show the state of a solve."""
        if not self._bar.console.is_terminal or now.seconds < PATIENCE_S:
            return
        with ignore_broken_stderr():
            if self._task is None:
                self._bar.start()
                self._task = self._bar.add_task("", total=1.0)
            share = 0.0 if now.left_s is None else now.seconds / (now.seconds + now.left_s)
            self._bar.update(self._task, completed=share, description=state_line(now))


def state_line(now: Solving) -> str:
    """Text such as `step 3: bound 0.012, to reach 1e-06, about 20 s left`."""
    left = "" if now.left_s is None else f", about {now.left_s:.0f} s left"
    return f"step {now.n_steps}: bound {round_up(now.error_bound)}, to reach {now.tolerance:.3g}{left}"


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


def round_up(x: float | Fraction) -> str:
    """Text of the bound `x` with three significant digits, rounded up, so that it is still a bound."""
    up = Context(prec=3, rounding=ROUND_CEILING)
    if isinstance(x, Fraction):
        return f"{float(up.divide(Decimal(x.numerator), Decimal(x.denominator))):.3g}"
    return f"{float(up.create_decimal_from_float(x)):.3g}"


def with_error(values: Sequence[float], error: float) -> tuple[list[str], str]:
    """Texts of values and of the bound `error` on the errors of all, which holds for the texts too.

    A text has at least `DIGITS_LEAST` digits, and so many that its rounding is at most a tenth of `error`;
    the rounding is added to the bound.
    """
    texts = [_text(float(x), error) for x in values]
    finite = [(text, x) for text, x in zip(texts, values, strict=True) if math.isfinite(x)]
    if not math.isfinite(error):
        return texts, round_up(error)
    rounding = max((_rounding(text, x) for text, x in finite), default=Fraction(0))
    return texts, round_up(Fraction(error) + rounding)


def _text(x: float, error: float) -> str:
    """Shortest decimal text of `x` that `with_error` allows; with 17 digits nothing of a float is lost."""
    texts = (f"{x:.{digits}g}" for digits in range(DIGITS_LEAST, 17))
    if not math.isfinite(x) or not math.isfinite(error):
        return next(texts)
    fits = (text for text in texts if float(text) == x or 10 * _rounding(text, x) <= error)
    return next(fits, f"{x:.17g}")


def _rounding(text: str, x: float) -> Fraction:
    """Distance of a finite float from its decimal text."""
    return abs(Fraction(text) - Fraction(float(x)))
