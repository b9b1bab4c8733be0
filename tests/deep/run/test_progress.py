"""What the user sees of a training, on a terminal and elsewhere."""

import io
import re

import pytest
from rich.console import Console

from virel_deep.run import progress
from virel_deep.run.progress import Progress

VALUES = {
    "return": 3456.789,
    "eps_omega": 0.1234567,
    "temperature": 0.000493,
    "entropy": -3.23456,
    "q": 231.2,
    "td_error": 0.5321,
    "steps_per_second": 93.1,
    "policy_loss": 77.0,
}


HEADER = "steps steps/s return eps_omega temp. entropy Q residual left"
FIRST = "123,000 93.1 3457 0.1235 0.000493 -3.235 231.2 0.5321 2:37:00"


def console(width=140, *, terminal):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, _environ={})


def test_ages_to_go_are_a_dash():
    with Progress(["seed 0"], 10**18, console=console(terminal=False)) as bar:
        bar.update("seed 0", 1000, {"steps_per_second": 90.0})
        assert bar.console.file.getvalue().endswith("left -\n")


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only where a test says so."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def shown(width, values):
    """What stays on a terminal of that width: header, two groups."""
    screen = console(width, terminal=True)
    with Progress(["seeds 0-2", "seeds 3-4"], 1_000_000, console=screen) as bar:
        bar.update("seeds 0-2", 123_000, values)
    return lines(screen)[-3:]


def lines(screen):
    """Without control sequences, as a terminal shows it."""
    return [
        line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.file.getvalue()).splitlines() if line
    ]


def test_a_terminal_shows_a_line_a_group_with_every_value_under_its_name():
    header, first, second = shown(140, VALUES)
    assert header.split()[-9:] == HEADER.split()
    assert first.split()[:2] == ["seeds", "0-2"]
    assert first.split()[-9:] == FIRST.split()
    assert second.split()[-9:] == ["0", *"--------"]


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_terminal_shows_every_value_unabridged(width):
    for line in (table := shown(width, VALUES)):
        assert len(line.rstrip()) <= width
        assert "…" not in line
    for value in ("93.1", "3457", "0.1235", "0.000493", "-3.235", "231.2", "0.5321"):
        assert value in table[1].split()


def test_a_value_that_is_not_there_is_a_dash():
    _, first, _ = shown(140, {"return": None, "steps_per_second": 100.0})
    assert first.split()[-9:] == ["123,000", "100", *"------", "2:26:10"]


def test_elsewhere_there_is_a_plain_line_a_group_every_thirty_seconds(clock):
    out = console(20, terminal=False)
    with Progress(["a", "b"], 1000, console=out) as bar:
        for step in range(100, 700, 100):
            bar.update("a", step, {"steps_per_second": 10.0})
            clock[0] += 10
        bar.update("b", 100, {})
    assert out.file.getvalue().splitlines() == [
        "a: 100/1,000 steps, steps/s 10, left 0:01:30",
        "a: 400/1,000 steps, steps/s 10, left 0:01:00",
        "b: 100/1,000 steps, left -",
    ]


@pytest.mark.usefixtures("clock")
def test_the_last_step_is_always_printed():
    out = console(terminal=False)
    with Progress(["a"], 1000, console=out) as bar:
        bar.update("a", 990, {})
        bar.update("a", 1000, {"return": 2.0, "steps_per_second": 10.0})
    assert out.file.getvalue().splitlines()[-1] == "a: 1,000/1,000 steps, steps/s 10, return 2, left 0:00:00"


def test_names_in_brackets_are_not_taken_for_markup():
    out = console(terminal=False)
    with Progress(["[red]a"], 10, console=out) as bar:
        bar.update("[red]a", 1, {})
    assert "[red]a" in out.file.getvalue()
    screen = console(terminal=True)
    with Progress(["[red]a"], 10, console=screen):
        pass
    assert lines(screen)[-1].split()[0] == "[red]a"


def test_an_error_ends_the_live_table_and_goes_on():
    screen = console(terminal=True)
    with pytest.raises(KeyboardInterrupt), Progress(["a"], 10, console=screen) as bar:
        raise KeyboardInterrupt
    assert not bar._live.is_started


def test_an_unknown_group_is_an_error():
    with Progress(["a"], 10, console=console(terminal=False)) as bar, pytest.raises(KeyError):
        bar.update("b", 1, {})
