"""Help of the commands that read run folders: what is shown is what is taken."""

import pytest

from virel_deep.commands.results import main_compare, main_evaluate, main_export, main_watch


def helped(command, capsys):
    """Words of a command's help, and its usage line."""
    assert command(["--help"]) == 0
    said = capsys.readouterr().out
    return " ".join(said.replace("│", " ").split()), said.splitlines()[0]


@pytest.mark.parametrize("command", [main_compare, main_evaluate])
def test_commands_that_take_several_runs_show_it(command, capsys):
    words, usage = helped(command, capsys)
    assert " RUN [RUN ...] " in usage
    assert "(at least one)" in words
    assert "(default: )" not in words


@pytest.mark.parametrize("command", [main_watch, main_export])
def test_commands_that_take_one_run_show_one(command, capsys):
    _, usage = helped(command, capsys)
    assert "RUN ..." not in usage
