"""Standard output and error that are closed, full or without a reader: at most one line, and status 2."""

import io
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from virel_common import command
from virel_common.command import SUBCOMMANDS, Subcommand, main
from virel_common.output import Guarded, guarded_output

ROOT = Path(__file__).resolve().parents[2]
VIREL = f"{sys.executable} -m virel_common.command"
FULL = "virel: can't write to standard output: No space left on device\n"
CLOSED = "virel: can't write to standard output: it is closed\n"


@cache
def shell(line):
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


CASES = [
    (args, where) for args in ("--help", "nonsense") for where in (">/dev/full", ">&-", "2>/dev/full", "2>&-")
]


@pytest.mark.parametrize(
    ("args", "where"), [*CASES, ("solve missing.npz", "2>&-"), ("solve --help", ">/dev/full")]
)
def test_what_cannot_be_written_is_one_line_and_no_status_of_a_verdict(args, where):
    plain = shell(f"{VIREL} {args}")
    done = shell(f"{VIREL} {args} {where}")
    if where.startswith("2"):
        assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, "")
    else:
        lost = {">/dev/full": FULL, ">&-": CLOSED}[where] if plain.stdout else ""
        assert (done.returncode, done.stdout, done.stderr) == (2, "", plain.stderr + lost)


SCRIPT = """
import os, pathlib
from virel_common.command import main
status = main(["--help"])
with open("f", "w") as file:
    file.write(f"{status} {file.fileno() > 2}")
"""


def test_no_stream_at_all_is_a_status_and_no_file_takes_their_numbers(tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    shell(f"cd {tmp_path}; {sys.executable} script.py <&- >&- 2>&-")
    assert (tmp_path / "f").read_text() == "2 True"


class Failing(io.StringIO):
    """A stream with so much room that it fails at the n-th write or flush."""

    def __init__(self, after, error=28):
        super().__init__()
        self.left, self.error = after, error

    def _use(self):
        self.left -= 1
        if self.left < 0:
            raise OSError(self.error, os.strerror(self.error))

    def write(self, text):
        self._use()
        return super().write(text)

    def flush(self):
        self._use()


@pytest.mark.parametrize("after", range(5))
def test_the_run_goes_on_after_its_output_has_failed(monkeypatch, after):
    done = []

    def run(_):
        for k in range(3):
            sys.stdout.write(f"{k}\n")
            sys.stdout.flush()
            done.append(k)
        return 1 if after == 4 else 0

    err = io.StringIO()
    monkeypatch.setattr("sys.stdout", Failing(after))
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setitem(SUBCOMMANDS, "probe", Subcommand("probe", "run", "for tests"))
    monkeypatch.setattr(command, "import_module", lambda _: type("Module", (), {"run": staticmethod(run)}))
    assert main(["probe"]) == (1 if after == 4 else 2)  # a verdict stays what it is
    assert done == [0, 1, 2]
    assert err.getvalue() == FULL


def test_a_reader_that_has_left_is_no_message():
    out = Failing(0, error=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", io.StringIO())
        assert main(["--help"]) == 2
        assert sys.stderr.getvalue() == ""


def test_streams_are_the_old_ones_afterwards_and_the_rest_of_them_is_theirs(capsys):
    before = sys.stdout, sys.stderr
    with guarded_output() as out:
        assert isinstance(sys.stderr, Guarded)
        assert (sys.stdout, out.encoding, out.isatty()) == (out, before[0].encoding, False)
        sys.stdout.write("written\n")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out == "written\n"
