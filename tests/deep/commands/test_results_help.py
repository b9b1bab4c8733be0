"""Help of the commands: what is shown is what is taken."""

import pytest

from verify.commands.documents import main_explain, main_figures
from verify.commands.iterate import main_iterate
from verify.commands.solve import main_solve
from verify.commands.verify import main_verify
from virel_deep.commands.results import main_compare, main_evaluate, main_export, main_watch
from virel_deep.commands.train import main_train


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


@pytest.mark.parametrize(
    "command", [main_train, main_solve, main_iterate, main_verify, main_explain, main_figures]
)
def test_what_may_be_left_out_has_no_empty_default(command, capsys):
    words, usage = helped(command, capsys)
    assert "(default: )" not in words
    assert "CLAIM" not in usage or " [CLAIM ...]" in usage


@pytest.mark.parametrize("command", [main_watch, main_export])
def test_commands_that_take_one_run_show_one(command, capsys):
    _, usage = helped(command, capsys)
    assert "RUN ..." not in usage
