"""Parts of every command: parse options, print errors as one line on stderr, fit tables to the terminal."""

import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.signals import stop_signals_interrupt
from virel_common.usage import one_line

if TYPE_CHECKING:
    from tyro.constructors import ConstructorRegistry

PLAIN_WIDTH = 160
"""Columns of a table that is written to a file or a pipe."""
LEAST_WIDTH = 80
"""Columns of a table on a terminal that is narrower."""
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses that all sub-commands share: in training, a seed or a file failed; stopped and saved."""
MOST_DIGITS = 20
"""Digits of the largest whole number that may be written like 1e6; all that options take have fewer."""
Options = TypeVar("Options")


def as_argument(path: Path) -> str:
    """Text of a path as a command takes it: one that begins like an option gets `./` before it.

    Example:
        >>> as_argument(Path("-run")), as_argument(Path("out/run"))
        ('./-run', 'out/run')
    """
    return f"./{path}" if str(path).startswith("-") else str(path)


def run_command(
    options: type[Options], argv: Sequence[str], *, prog: str, run: Callable[[Options], int]
) -> int:
    """Parse `argv` into a dataclass of options and run a command on them; return the exit status.

    An error that the user can mend, or an interrupt, is one line on stderr.

    Args:
        options: dataclass whose fields are the options; their docstrings are the help.
        argv: arguments after the sub-command's name.
        prog: what the user typed, such as `virel train`; begins every error.
        run: the command; returns the exit status.

    Returns:
        What `run` returns; else 0 after `--help`, 2 for bad input or if a file can't be read or written, 130
        after an interrupt.
    """
    import tyro  # noqa: PLC0415  (slow to import; worker processes only want `say`)

    said = io.StringIO()
    try:
        with redirect_stderr(said), _registry():
            parsed = tyro.cli(options, args=list(argv), prog=prog)
    except SystemExit as stop:  # tyro has shown the help, or said what is wrong
        if not stop.code:
            return DONE
        say(f"{prog}: {one_line(said.getvalue())} (see {prog} --help)")
        return BAD_INPUT
    try:
        with stop_signals_interrupt():
            return run(parsed)
    except (InputError, StorageError) as error:
        say(f"{prog}: {error}")
        return BAD_INPUT
    except OSError as error:
        if error.filename is None:  # a closed stdout, say
            raise
        say(f"{prog}: {error.filename}: {error.strerror}")
        return BAD_INPUT
    except KeyboardInterrupt:
        say(f"{prog}: interrupted")
        return INTERRUPTED


def whole_number(text: str) -> int:
    """Whole number that a text stands for, in digits or like 1e6.

    Raises:
        ValueError: it is none; the words are those of `int`.

    Example:
        >>> whole_number("12"), whole_number("1e6"), whole_number("2.5e3")
        (12, 1000000, 2500)
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return int(text)
    written_out = number.is_finite() and number.adjusted() < MOST_DIGITS
    return int(number) if written_out and number == number // 1 else int(text)


def _registry() -> "ConstructorRegistry":
    from tyro.constructors import (  # noqa: PLC0415  (slow to import)
        ConstructorRegistry,
        PrimitiveConstructorSpec,
        PrimitiveTypeInfo,
    )

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def whole(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda texts: whole_number(texts[0]),
            is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def console() -> Console:
    """Make the console that prints tables: as wide as the terminal, or `PLAIN_WIDTH` for a file or pipe."""
    terminal = sys.stdout.isatty()
    width = max(shutil.get_terminal_size().columns, LEAST_WIDTH) if terminal else PLAIN_WIDTH
    return Console(width=width, emoji=False)  # a folder's name may be :smile:


def say(line: str) -> None:
    """Write one line to stderr at once; never fail, even if the pipe is closed or the disk is full."""
    with ignore_broken_stderr():
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def tell(line: str) -> None:
    """Print one line to stdout without wrapping it, so that paths stay whole."""
    sys.stdout.write(f"{line}\n")


@contextmanager
def ignore_broken_stderr() -> Iterator[None]:
    """Let the block write to stderr; if that fails, drop everything written to it from then on.

    A closed pipe or a full disk must not end a training run. `rich` would exit the process there.
    """
    try:
        yield
    except (OSError, SystemExit):
        _drop_stderr()


def _drop_stderr() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # also for what a buffer still holds at exit
