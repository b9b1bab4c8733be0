import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from virel_common import command
from virel_common.command import SUBCOMMANDS, Subcommand, main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def use_probe(tmp_path, monkeypatch):
    """Register a sub-command `probe` whose module has the given source."""

    def register(source):
        (tmp_path / "cli_probe.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "cli_probe", raising=False)
        monkeypatch.setitem(SUBCOMMANDS, "probe", Subcommand("cli_probe", "main_probe", "for tests"))

    yield register
    sys.modules.pop("cli_probe", None)


def run_python(*args):
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=False)


def run_virel(*args):
    return run_python("-m", "virel_common.command", *args)


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["no-such-command"]])
def test_the_top_level_imports_no_heavy_package_and_none_of_ours(args):
    script = (
        "import sys\nfrom virel_common import command\n"
        f"command.main({args!r})\n"
        "heavy = {'torch', 'numba', 'numpy', 'scipy', 'tyro', 'virel_theory', 'virel_deep', 'verify'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--help"], ["-h"], []])
def test_help_goes_to_stdout_and_names_every_sub_command_and_exit_status(args):
    done = run_virel(*args)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    first_words = {words[0] for words in lines if words}
    assert first_words >= {"verify", "claims", "solve", "0", "1", "2", "130"}


def test_version_is_the_one_in_pyproject():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    done = run_virel("--version")
    assert (done.returncode, done.stdout) == (0, f"virel {declared}\n")


@pytest.mark.parametrize("name", ["proof", "--verify", ""])
def test_an_unknown_sub_command_is_one_line_on_stderr_and_status_2(name):
    done = run_virel(name, "ignored")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert repr(name) in line
    assert all(known in line for known in SUBCOMMANDS)


def test_a_sub_command_gets_the_remaining_arguments_and_its_status_is_returned(use_probe):
    use_probe("def main_probe(argv):\n    return 1 if list(argv) == ['--seed', '3'] else 0\n")
    assert main(["probe", "--seed", "3"]) == 1
    assert main(["probe"]) == 0


def test_options_after_the_sub_command_belong_to_the_sub_command(use_probe, capsys):
    use_probe("def main_probe(argv):\n    print('probe saw', *argv)\n    return 0\n")
    assert main(["probe", "--help", "--version"]) == 0
    assert capsys.readouterr().out == "probe saw --help --version\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", [["--help"], ["claims"], ["solve", "gym:FrozenLake-v1", "--gamma", "0.9"]])
def test_a_reader_that_goes_away_is_no_traceback(args, unbuffered):
    command = [sys.executable, "-m", "virel_common.command", *args]
    env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes) as process:
        process.stdout.close()  # long before the interpreter has started
        assert (process.stderr.read(), process.wait()) == ("", 2)


def test_a_broken_pipe_of_another_kind_is_not_swallowed(use_probe):
    use_probe("def main_probe(argv):\n    raise BrokenPipeError\n")
    with pytest.raises(BrokenPipeError):
        main(["probe"])


@pytest.mark.parametrize(
    "source",
    ["def main_probe(argv):\n    raise KeyboardInterrupt\n", "raise KeyboardInterrupt\n"],
    ids=["running", "importing"],
)
def test_an_interrupt_is_status_130_without_a_traceback(use_probe, capsys, source):
    use_probe(source)
    assert main(["probe"]) == 130
    assert capsys.readouterr().err == "virel: interrupted\n"


def test_errors_of_a_sub_command_are_not_swallowed(use_probe):
    use_probe("def main_probe(argv):\n    raise ValueError('not for the dispatcher')\n")
    with pytest.raises(ValueError, match="not for the dispatcher"):
        main(["probe"])


def test_without_an_argument_list_main_reads_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["virel", "--help"])
    assert main() == 0
    assert capsys.readouterr().out == command.usage() + "\n"
