"""Kills and full disks: what was saved stays loadable, whatever happens to the save that is under way.

Processes that die are forked by a process of their own (`tests/support/stored_run.py`): this one has threads.
"""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from tests.support.stored_run import (
    CAPACITY,
    Interrupted,
    assert_is_of_its_step,
    listing,
    rows_between,
    save_step,
)
from virel_deep.storage.checkpoint import CheckpointError, load, save

ROOT = Path(__file__).parents[3]
STORED_RUN = [sys.executable, "-W", "error", str(ROOT / "tests" / "support" / "stored_run.py")]


def run(*command, skip_unless=None):
    environment = os.environ | {"PYTHONPATH": f"{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    if skip_unless is not None and skip_unless not in done.stdout:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_checkpoint_whose_save_returned(tmp_path):
    run(*STORED_RUN, "kill", str(tmp_path / "checkpoints"), "15")


@pytest.mark.slow
def test_an_end_at_any_file_operation_loses_no_checkpoint_and_leaves_no_rest(tmp_path):
    run(*STORED_RUN, "end", str(tmp_path), "0")


@pytest.mark.slow
def test_a_reader_beside_a_training_always_gets_a_whole_checkpoint(tmp_path):
    run(*STORED_RUN, "load", str(tmp_path / "checkpoints"), "100")


def test_a_disk_that_is_really_full_gives_one_error_and_loses_nothing(tmp_path):
    """On a disk of 400 kB in memory, mounted for one process; skipped where that is not allowed."""
    script = 'mount -t tmpfs -o size=400k none "$0" && echo mounted && shift 0 && exec "$@"'
    command = [*STORED_RUN, "full", str(tmp_path / "run"), "100000"]
    out = run("unshare", "-Urm", "sh", "-c", script, str(tmp_path), *command, skip_unless="mounted")
    assert "can't save step" in out
    assert "No space left on device" in out


def prepare(folder):
    for step in (10, 20, 30, 40):
        save_step(folder, step, step - 10, CAPACITY)


def operations(tmp_path):
    """Number of file operations of the save that the next two tests make fail."""
    prepare(tmp_path / "counted" / "checkpoints")
    with Interrupted(lambda _: None) as counted:
        save_step(tmp_path / "counted" / "checkpoints", 50, 40, CAPACITY)
    return counted.count


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_full_disk_at_any_operation_leaves_the_checkpoints_before_as_they_were(tmp_path, lasting):
    steps = set()
    for n in range(operations(tmp_path)):
        folder = tmp_path / str(n) / "checkpoints"
        prepare(folder)

        def full(at, n=n):
            if at == n or (lasting and at > n):
                raise OSError(errno.ENOSPC, "No space left on device")

        with (
            Interrupted(full),
            pytest.raises(CheckpointError, match=r"can't save step 50 in .*: No space left"),
        ):
            save_step(folder, 50, 40, CAPACITY)
        loaded = load(folder)
        assert loaded.step in {40, 50}
        assert_is_of_its_step(loaded, CAPACITY)
        steps.add(loaded.step)
        save_step(folder, 50, loaded.step, CAPACITY)
        assert listing(folder.parent) == listing(tmp_path / "counted")
        shutil.rmtree(folder.parent)
    assert steps == {40, 50}


def test_a_checkpoint_that_can_not_replace_one_of_its_step_leaves_that_one_s_rows(tmp_path):
    """As on a GPU, where the same steps taken again need not give the same rows."""
    others = rows_between(30, 40, CAPACITY)._replace(data=np.full((10, 3), -1, np.float32))
    steps = set()
    for n in count():
        folder = tmp_path / str(n) / "checkpoints"
        prepare(folder)
        with Interrupted(lambda at, n=n: _full() if at == n else None) as failing, suppress(CheckpointError):
            save(folder, 40, {"other": True}, rows=others)
        loaded = load(folder)
        assert loaded.step == 40
        if "other" in loaded.state:
            np.testing.assert_array_equal(loaded.rows.data[-10:], others.data)
        else:
            assert_is_of_its_step(loaded, CAPACITY)
        steps.add("other" in loaded.state)
        if failing.count <= n:
            break
    assert steps == {False, True}


def _full():
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_failed_save_gives_its_space_back(tmp_path):
    folder = tmp_path / "checkpoints"
    prepare(folder)
    before = listing(tmp_path)

    def full_at_the_last_write(at):
        if interrupted.log[-1][0] == "write" and "manifest" in interrupted.log[-1][1]:
            raise OSError(errno.ENOSPC, f"No space left on device, operation {at}")

    with Interrupted(full_at_the_last_write) as interrupted, pytest.raises(CheckpointError):
        save_step(folder, 50, 40, CAPACITY)
    assert listing(tmp_path) == before


def test_every_file_and_name_is_on_the_disk_before_another_name_relies_on_it(tmp_path):
    """Power may fail, too: files are synced before their folder gets its name, folders after a renaming."""
    prepare(tmp_path / "checkpoints")
    with Interrupted(lambda _: None) as interrupted:
        save_step(tmp_path / "checkpoints", 50, 40, CAPACITY)
    log = [entry[0] for entry in interrupted.log]
    written = "open write fsync "
    chunk = written + "rename fsync "
    checkpoint = "mkdir " + 4 * written + "fsync rename fsync "
    pruned = "rename fsync " + 4 * "unlink " + "rmdir "
    expected = (chunk + checkpoint + pruned + "unlink").split()
    runs = [name for i, name in enumerate(log) if name != "write" or log[i - 1] != "write"]
    assert runs == expected


def test_a_failed_save_removes_no_rows_while_a_manifest_can_not_be_read(tmp_path):
    folder = tmp_path / "checkpoints"
    prepare(folder)
    manifest = folder / "step-000000040" / "manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(b"{" + content)

    def full_at_the_last_write(_):
        if failing.log[-1][0] == "write" and "manifest" in failing.log[-1][1]:
            _full()

    with (
        Interrupted(full_at_the_last_write) as failing,
        pytest.raises(CheckpointError, match="No space left"),
    ):
        save_step(folder, 45, 30, CAPACITY)
    manifest.write_bytes(content)
    loaded = load(folder)
    assert loaded.step == 40
    assert_is_of_its_step(loaded, CAPACITY)


def test_new_folders_are_on_the_disk_before_anything_is_in_them(tmp_path):
    with Interrupted(lambda _: None) as interrupted:
        save_step(tmp_path / "run" / "checkpoints", 10, 0, CAPACITY)
    log = [entry[0] for entry in interrupted.log]
    assert log[:7] == [
        "mkdir",
        "fsync",
        "mkdir",
        "fsync",
        "mkdir",
        "fsync",
        "open",
    ]  # run, checkpoints, replay
