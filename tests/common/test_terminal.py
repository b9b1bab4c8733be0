"""Lines on stderr: what can't be said stops nobody."""

import io

import pytest
from rich.console import Console

from virel_common import terminal
from virel_deep.run.progress import Progress


class Closed(io.StringIO):
    """A pipe whose reader has gone."""

    def write(self, _):
        raise BrokenPipeError


class Full(io.StringIO):
    def flush(self):
        raise OSError(28, "No space left on device")


@pytest.fixture
def given_up(monkeypatch):
    """How often stderr was given up, which is not done here, nor does rich find a stdout to close."""
    found = []
    monkeypatch.setattr(terminal, "_give_up", lambda: found.append(1))
    monkeypatch.setattr("sys.stdout", io.StringIO())
    return found


@pytest.mark.parametrize("file", [Closed(), Full()])
def test_a_line_that_cannot_be_written_is_dropped(monkeypatch, given_up, file):
    monkeypatch.setattr("sys.stderr", file)
    terminal.say("unheard")
    assert given_up == [1]


def test_a_progress_line_that_cannot_be_written_is_dropped(given_up):
    progress = Progress(["seed 0"], 100, console=Console(file=Closed()))
    for step in (50, 100):
        progress.update("seed 0", step, {})
    assert 1 in given_up
