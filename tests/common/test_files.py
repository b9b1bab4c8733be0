"""Files that are whole or absent, whatever fails; folders that one process at a time holds."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading

import pytest

from tests.support.stored_run import Interrupted, listing
from virel_common import files
from virel_common.errors import InputError
from virel_common.files import (
    LOCK,
    Stamp,
    StorageError,
    atomic_file,
    check_stamp,
    find_object,
    lock_file,
    read_checked,
    read_object,
    remove_temporary,
    replacing,
    write_atomically,
)


def test_a_small_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "config.json"
    write_atomically(path, b"old")
    with Interrupted(lambda _: None) as counted:
        write_atomically(path, b"old")
    assert [entry[0] for entry in counted.log] == ["open", "write", "fsync", "rename", "fsync"]
    for n in range(counted.count):

        def full(at, n=n):
            if at == n:
                raise OSError(errno.ENOSPC, "No space left on device")

        with (
            Interrupted(full),
            pytest.raises(StorageError, match=r"can't write .*config\.json: No space left"),
        ):
            write_atomically(path, b"new")
        assert path.read_bytes() in {b"old", b"new"}
        write_atomically(path, b"old")
        assert listing(tmp_path) == ["config.json"]


def test_a_file_gets_its_name_only_when_the_block_has_succeeded(tmp_path):
    path = tmp_path / "table.csv"
    with atomic_file(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert (path.read_bytes(), listing(tmp_path)) == (b"new", ["table.csv"])


def test_it_is_on_the_disk_before_it_gets_its_name(tmp_path):
    with Interrupted(lambda _: None) as interrupted, atomic_file(tmp_path / "a") as file:
        file.write(b"new")
    assert [entry[0] for entry in interrupted.log] == ["open", "fsync", "rename", "fsync"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "table.csv"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error), atomic_file(path) as file:
        fail(file)
    assert (path.read_bytes(), listing(tmp_path)) == (b"old", ["table.csv"])


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "table.csv"
    with atomic_file(path) as one, atomic_file(path) as two:
        one.write(b"one")
        two.write(b"two")
    assert (path.read_bytes(), listing(tmp_path)) == (b"one", ["table.csv"])


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_permissions_are_those_that_the_user_s_mask_asks_for(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_file(tmp_path / "a") as file:
            file.write(b"x")
        write_atomically(tmp_path / "b", b"x")
    finally:
        os.umask(before)
    for name in "ab":
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize(
    ("place", "reason"), [("folder", "Is a directory"), ("missing/a", "No such file or directory")]
)
def test_an_error_names_the_file_that_was_meant_not_the_temporary_one(tmp_path, place, reason):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=reason) as caught, atomic_file(tmp_path / place):
        raise AssertionError("unreachable")
    assert caught.value.filename == str(tmp_path / place)
    assert listing(tmp_path) == ["folder"]


def test_an_error_about_another_file_keeps_that_file_s_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from virel_common.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file:\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")], check=False)
    (tmp_path / "mine").write_bytes(b"")
    assert len(listing(tmp_path)) == 2
    remove_temporary(tmp_path)
    assert listing(tmp_path) == ["mine"]


DATA = bytes(range(256)) * 20
STAMP = Stamp(hashlib.sha256(DATA).hexdigest(), len(DATA))


@pytest.mark.parametrize("block", [1, 1000, len(DATA), 10**6])
def test_reading_and_checking_in_blocks_find_the_same_damage(monkeypatch, tmp_path, block):
    monkeypatch.setattr(files, "BLOCK", block)
    path = tmp_path / "rows"
    path.write_bytes(DATA)
    assert read_checked(path, STAMP) == DATA
    check_stamp(path, STAMP)
    for damaged, reason in ((DATA[:-1], "must have 5120 bytes"), (b"\1" + DATA[1:], "SHA-256")):
        path.write_bytes(damaged)
        for check in (read_checked, check_stamp):
            with pytest.raises(InputError, match=reason):
                check(path, STAMP)
    path.unlink()
    for check in (read_checked, check_stamp):
        with pytest.raises(InputError, match="rows: No such file") as caught:
            check(path, STAMP)
        assert isinstance(caught.value.__cause__, OSError)  # not damage: it can't be read now


@pytest.mark.parametrize(("lock", "rest"), [("lock_folder", []), ("lock_file", [LOCK])])
def test_one_process_at_a_time_holds_a_lock_and_a_kill_frees_it(tmp_path, lock, rest):
    take, path = getattr(files, lock), tmp_path / LOCK if lock == "lock_file" else tmp_path
    script = (
        f"import sys, time; from pathlib import Path; from virel_common.files import {lock} as take\n"
        "print(take(Path(sys.argv[1])) is not None, flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        assert take(path) is None
        process.kill()
    handle = take(path)
    assert handle is not None
    assert take(path) is None
    os.close(handle)
    assert listing(tmp_path) == rest


def test_a_lock_may_be_waited_for(tmp_path):
    handle = lock_file(tmp_path / LOCK)
    threading.Timer(0.3, os.close, [handle]).start()
    again = lock_file(tmp_path / LOCK, wait=True)
    assert again is not None
    os.close(again)


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"can't write .*/none/\.lock"):
        lock_file(tmp_path / "none" / LOCK)


def test_an_object_is_found_or_there_is_no_file(tmp_path):
    path = tmp_path / "done.json"
    assert find_object(path) is None
    with pytest.raises(InputError) as caught:
        read_object(path, "`run` must be a run folder; ")
    assert str(caught.value) == f"`run` must be a run folder; {path}: No such file or directory"
    path.write_text('{"step": 3}')
    assert find_object(path) == read_object(path) == {"step": 3}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", r"must hold a JSON object; found \[1\]"),
    ],
    ids=["half", "bytes", "deep", "list"],
)
def test_what_is_no_object_is_one_line(tmp_path, data, reason):
    path = tmp_path / "done.json"
    path.write_bytes(data)
    for read in (find_object, read_object):
        with pytest.raises(InputError, match=f"done.json: {reason}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
