"""What loading a checkpoint accepts: damage is found and named, replaced checkpoints are followed."""

import json
import os
import shutil
import tracemalloc
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.stored_run import (
    CAPACITY,
    FILES,
    assert_is_of_its_step,
    cut,
    empty,
    flip,
    folder_instead,
    lengthen,
    said,
    save_step,
    swap,
)
from virel_common import files
from virel_common.errors import InputError
from virel_deep.storage import manifest as _manifest
from virel_deep.storage import reading
from virel_deep.storage.checkpoint import Rows, load, newest, save


@pytest.mark.parametrize("damage", [flip, cut, lengthen, empty, swap, Path.unlink, folder_instead])
@pytest.mark.parametrize("file", FILES)
def test_damage_to_any_file_is_named_and_the_checkpoint_before_is_used(folder, file, damage):
    (path,) = folder.parent.glob(file)
    damage(path)
    with said(f"{path}.*; using step-000000030 instead"):
        loaded = load(folder)
    unseen = "replay" in file and damage in {flip, swap}  # of rows, `newest` sees the sizes alone
    assert (loaded.step, newest(folder).step) == (30, 40 if unseen else 30)
    assert_is_of_its_step(loaded, CAPACITY)


@given(data=st.data())
def test_no_flipped_byte_anywhere_is_taken_for_the_truth(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip") / "checkpoints"
    save_step(folder, 10, 0, 5)
    path = data.draw(st.sampled_from(sorted(path for path in folder.parent.rglob("*") if path.is_file())))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        assert_is_of_its_step(load(folder), 5)  # a blank between two entries of the manifest may change
    except InputError as error:
        assert str(path) in str(error)  # noqa: PT017  (either is right)
    shutil.rmtree(folder.parent)


def test_where_no_checkpoint_is_valid_every_damaged_file_is_named(folder):
    flip(folder / "step-000000040" / "state.json")
    cut(folder / "step-000000030" / "arrays.npz")
    with pytest.raises(
        InputError, match=r"step-000000040/state\.json: .* SHA-256.*030/arrays\.npz: must have \d+ bytes"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "not a valid manifest"),
        ("{}", "not a valid manifest of a checkpoint: KeyError"),
        ('{"sha256": "", "format": 2}', "`format` must be 1 for this version of virel; found 2"),
        ("model_state_dict", "not a valid manifest"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(tmp_path, content, message):
    path = tmp_path / "step-000000007" / "manifest.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda rows: rows["chunks"].pop(),
            "the chunks end at row 30, but the checkpoint needs rows up to 40",
        ),
        (lambda rows: rows["chunks"].pop(0), "must be a chunk that holds row 15"),
        (lambda rows: rows["chunks"][0].update(last=18), r"shape and type .*\(9, 3\).*found .*\(10, 3\)"),
        (
            lambda rows: rows["chunks"][0].update(file="../../x.npy"),
            "x.npy: must be a chunk that holds row 15",
        ),
        (lambda rows: rows.update(columns=4), r"shape and type .*\(10, 4\).*found .*\(10, 3\)"),
        (lambda rows: rows.update(dtype="<f8"), "shape and type .*<f8.*found .*<f4"),
        (lambda rows: rows.update(dtype="float99"), "shape and type .*float99.*found .*<f4"),
        (lambda rows: rows.update(colour="red"), "not a valid manifest.*colour"),
        (lambda rows: rows.pop("end"), "not a valid manifest.*end"),
    ],
)
def test_a_manifest_with_a_right_checksum_and_wrong_rows_is_refused(folder, edit, message):
    path = folder / "step-000000040" / "manifest.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    edit(content["rows"])
    path.write_text(json.dumps(content | {"sha256": _manifest._checksum(content)}))
    with said(message):
        assert_is_of_its_step(load(folder), CAPACITY)
    in_the_rows = "10, 4" in message or "<f4" in message  # `newest` reads none
    assert newest(folder).step == (40 if in_the_rows else 30)


def test_a_checkpoint_under_another_step_s_name_is_refused(folder):
    shutil.copytree(folder / "step-000000040", folder / "step-000000099")
    with said(r"step-000000099/manifest\.json: must be of step 99 .*found step 40"):
        assert load(folder).step == 40


def test_a_reader_whose_checkpoints_are_all_replaced_once_it_has_their_names_takes_the_new_ones(
    folder, monkeypatch
):
    listed = os.scandir

    def replacing(path):
        entries = list(listed(path))
        monkeypatch.undo()
        for step in (50, 60):
            save_step(folder, step, step - 10, CAPACITY)
        return nullcontext(entries)

    monkeypatch.setattr(os, "scandir", replacing)
    assert_is_of_its_step(load(folder), CAPACITY)
    assert load(folder).step == 60


def test_a_reader_whose_checkpoints_are_replaced_while_it_reads_takes_the_new_ones(folder, monkeypatch):
    read, reads = reading._read, []

    def slowly(path, take):
        reads.append(path.name)
        if len(reads) == 1:
            save_step(folder, 50, 40, CAPACITY)
            save_step(folder, 60, 50, CAPACITY)
        return read(path, take)

    monkeypatch.setattr(reading, "_read", slowly)
    assert_is_of_its_step(load(folder), CAPACITY)
    assert reads == ["step-000000040", "step-000000030", "step-000000060"]


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="`folder` must hold a checkpoint; found"):
            load(folder)


def test_scheduling_finds_the_same_checkpoint_as_loading_but_keeps_no_rows(tmp_path, monkeypatch):
    """The pass over all seeds before a resumed training must not hold gigabytes that it only checks."""
    monkeypatch.setattr(files, "BLOCK", 4096)
    rows = Rows(0, np.zeros((2000, 250), np.float32), 2000)  # 2 MB
    save(tmp_path / "checkpoints", 7, {}, rows=rows)
    peaks = {}
    for read in (newest, load):
        tracemalloc.start()
        read(tmp_path / "checkpoints")
        peaks[read] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert newest(tmp_path / "checkpoints").step == 7
    assert peaks[newest] < rows.data.nbytes / 4
    assert peaks[load] > rows.data.nbytes
