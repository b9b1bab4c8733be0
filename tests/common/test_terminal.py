"""Commands on a terminal: exit statuses, errors in one line, widths; and that a lost reader stops nobody."""

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from virel_common import terminal
from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_deep.run.progress import Progress


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _):
        raise BrokenPipeError


class Full(io.StringIO):
    def flush(self):
        raise OSError(28, "No space left on device")


@pytest.fixture
def dropped(monkeypatch):
    """How often stderr was dropped, which is not done here, nor does rich find a stdout to close."""
    found = []
    monkeypatch.setattr(terminal, "_drop_stderr", lambda: found.append(1))
    monkeypatch.setattr("sys.stdout", io.StringIO())
    return found


@pytest.mark.parametrize("file", [Closed(), Full()])
def test_a_line_that_cannot_be_written_is_dropped(monkeypatch, dropped, file):
    monkeypatch.setattr("sys.stderr", file)
    terminal.say("nobody reads this")
    assert dropped == [1]


def test_a_progress_line_that_cannot_be_written_is_dropped(dropped):
    progress = Progress(["seed 0"], 100, console=Console(file=Closed()))
    for step in (50, 100):
        progress.update("seed 0", step, {})
    assert 1 in dropped


@dataclass(frozen=True)
class Options:
    """Options of a command for tests."""

    seed: int = 0
    """Seed."""


def run(*argv, act=lambda options: options.seed):
    return terminal.run_command(Options, argv, prog="virel probe", run=act)


def test_the_command_gets_its_options_and_its_status_is_returned():
    assert run("--seed", "3") == 3


def test_help_is_status_0_and_a_wrong_option_status_2(capsys):
    assert run("--help") == 0
    assert "virel probe" in capsys.readouterr().out
    assert run("--seed", "x") == 2
    assert run("--no-such") == 2


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("`seed` must be 1; found 0"), 2, "virel probe: `seed` must be 1; found 0\n"),
        (StorageError("can't write a: full"), 2, "virel probe: can't write a: full\n"),
        (OSError(36, "File name too long", "a"), 2, "virel probe: a: File name too long\n"),
        (KeyboardInterrupt(), 130, "virel probe: interrupted\n"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_a_status(capsys, error, status, line):
    def act(_):
        raise error

    assert run(act=act) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("error", [ValueError("a bug"), BrokenPipeError()])
def test_other_errors_are_not_swallowed(error):
    def act(_):
        raise error

    with pytest.raises(type(error)):
        run(act=act)


@pytest.mark.parametrize(
    ("is_terminal", "columns", "width"), [(False, 50, 160), (True, 50, 80), (True, 120, 120)]
)
def test_a_table_is_as_wide_as_the_terminal_but_never_narrow(monkeypatch, is_terminal, columns, width):
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert terminal.console().width == width


@dataclass(frozen=True)
class Counted:
    """Options of a command that counts."""

    seeds: int = 1
    """How many seeds."""
    jobs: int | None = None
    """How many processes."""


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [("12", 12), ("1e6", 1_000_000), ("2.5e3", 2500), ("100.", 100), ("-3", -3), ("1_000", 1000)],
)
@pytest.mark.parametrize("option", ["seeds", "jobs"])
def test_whole_numbers_may_be_written_with_an_exponent(option, typed, wanted):
    found = []
    status = terminal.run_command(
        Counted, [f"--{option}={typed}"], prog="count", run=lambda options: found.append(options) or 0
    )
    assert status == 0
    assert found == [Counted(**{option: wanted})]
    assert type(getattr(found[0], option)) is int


@pytest.mark.parametrize("typed", ["1.5", "1e-3", "nan", "inf", "x", "", "1e20", "1e400000000", "2e0.5"])
@pytest.mark.parametrize("option", ["seeds", "jobs"])
def test_other_texts_are_no_whole_numbers(capsys, option, typed):
    status = terminal.run_command(Counted, [f"--{option}={typed}"], prog="count", run=lambda _: 0)
    assert status == 2
    said = f"count: `{option}` must be a whole number; found {typed!r} (see count --help)\n"
    assert capsys.readouterr().err == said
