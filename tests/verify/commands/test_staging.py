"""Folders of unfinished runs: the next run removes what a kill has left, and nothing else."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from verify.commands import work
from verify.commands.terminal import RUNNING, staging_folder
from virel_common.errors import InputError
from virel_common.files import raise_if_disk

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys, time
from pathlib import Path
from verify.commands.terminal import staging_folder
with staging_folder(Path(sys.argv[1])) as folder:
    (folder / "figures").mkdir()
    (folder / "figures" / "half.svg").touch()
    sys.stdout.write(folder.name)
    sys.stdout.flush()
    time.sleep(600)
"""


@pytest.fixture
def running(tmp_path):
    """A run of another process, and the name of its folder."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield process, tmp_path / process.stdout.read(len(RUNNING) + 8)
        process.kill()


def test_what_a_killed_run_left_is_removed_by_the_next_and_only_then(tmp_path, running):
    process, folder = running
    (tmp_path / ".tmp-results.json-ab12").touch()
    (tmp_path / "results.json").touch()
    with staging_folder(tmp_path) as own:
        assert folder.is_dir()  # of a run that is alive, whose temporary files are left alone too
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [own.name, folder.name, ".tmp-results.json-ab12", "results.json"]
        )
    process.kill()
    process.wait()
    assert folder.is_dir()
    with staging_folder(tmp_path) as own:
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([own.name, "results.json"])
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_a_folder_of_another_user_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / f"{RUNNING}other").mkdir()
    real = os.open

    def denied(path, *rest, **options):
        if str(path).endswith("other"):
            raise PermissionError(errno.EACCES, "denied", str(path))
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", denied)
    with staging_folder(tmp_path):
        assert (tmp_path / f"{RUNNING}other").is_dir()


@pytest.mark.parametrize("taken", ["file", "missing/../file/x"])
def test_a_folder_that_cannot_be_made_is_one_error(tmp_path, taken):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="`out` must be a writable folder"), staging_folder(tmp_path / taken):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("task", ["run_row", "figures_row", "certify_row"])
def test_a_full_disk_is_no_verdict_on_a_claim(monkeypatch, tmp_path, number, task):
    def full(*_, **__):
        raise OSError(number, os.strerror(number), "a.svg")

    monkeypatch.setattr(work, "run_claim", full)
    monkeypatch.setattr(work, "_draw", full)
    monkeypatch.setattr("verify.proofs.rows.certify_claim", full)
    with pytest.raises(OSError, match=r"a\.svg"):
        getattr(work, task)("eq-31", seed=0, figures=tmp_path)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "gone", "data.csv"), ValueError("x"), SystemExit(3)]
)
def test_other_errors_are_those_of_the_claim(monkeypatch, error):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(work, "run_claim", fails)
    assert work.run_row("eq-31", seed=0, figures=None)["verdict"] == "ERROR"
    raise_if_disk(error)
