"""What a checkpoint holds, how damage is found, what falling back does. Kills, full disks: next file."""

import json
import math
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.stored_run import (
    assert_is_of_its_step,
    assert_same,
    listing,
    rows_between,
    save_step,
    state_at,
)
from virel_common.errors import InputError
from virel_deep.storage import checkpoint
from virel_deep.storage import manifest as _manifest
from virel_deep.storage.checkpoint import CheckpointError, Rows, load, save

CAPACITY = 25


@pytest.fixture(autouse=True, scope="module")
def _unsynced():
    """Hundreds of saves need not wait for the disk; that they would is tested in the next file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def folder(tmp_path):
    """Four checkpoints of a run were saved; those of steps 30 and 40 are kept."""
    folder = tmp_path / "run" / "checkpoints"
    for step in (10, 20, 30, 40):
        save_step(folder, step, step - 10, CAPACITY)
    return folder


# What is stored


def test_every_kind_of_leaf_comes_back_bit_for_bit(tmp_path):
    flat = torch.randn(12)
    state = {
        "views of one memory": {"a": flat[:6].view(2, 3), "b": flat[6:], "all": flat},
        "transposed": torch.randn(3, 4).T,
        "learned": torch.nn.Parameter(torch.ones(2)).detach().requires_grad_(),
        "dtypes": [torch.tensor([1.5, math.nan], dtype=d) for d in (torch.bfloat16, torch.float64)],
        "scalar": torch.tensor(3),
        "none in it": torch.zeros(0, 4),
        "generator": torch.Generator().manual_seed(1).get_state(),
        "mask": torch.tensor([True, False]),
        "arrays": [np.array(2.5), np.zeros((0, 3)), np.arange(6.0).reshape(2, 3).T, np.array(["ab", "c"])],
        "file": np.arange(3, dtype=np.uint64),
        "bit generator": np.random.default_rng(3).bit_generator.state,
        "json": [None, True, 2**130, -0.0, math.inf, math.nan, 0.1, "ω\ud800\n", [], {}, {"": [[1]]}],
    }
    save(tmp_path / "checkpoints", 0, state, rows=None)
    loaded = load(tmp_path / "checkpoints")
    expected = {**state, "learned": state["learned"].detach()}
    assert loaded.step == 0
    assert loaded.rows is None
    assert_same(loaded.state, expected)


def json_values(children):
    return st.lists(children, max_size=4) | st.dictionaries(KEYS, children, max_size=4)


KEYS = st.text(max_size=5).filter(lambda key: not key.startswith("$"))
ARRAYS = hnp.arrays(
    hnp.scalar_dtypes().filter(lambda d: d.kind in "biufc"), hnp.array_shapes(min_dims=0, min_side=0)
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | ARRAYS


@settings(max_examples=50)
@given(state=st.dictionaries(KEYS, st.recursive(LEAVES, json_values, max_leaves=8), max_size=4))
def test_any_nested_state_comes_back_bit_for_bit(tmp_path_factory, state):
    folder = tmp_path_factory.mktemp("any")
    save(folder / "checkpoints", 1, state, rows=None)
    assert_same(load(folder / "checkpoints").state, state)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("leaf", "found"),
    [
        ((1, 2), "tuple"),
        ({1, 2}, "set"),
        (np.int64(1), "int64"),
        (np.array([None]), "array of object"),
        (np.array([1], dtype="M8[s]"), "array of datetime64"),
        (object(), "object"),
        ({1: 2}, "found 1"),
        ({"$tensor": 2}, "found '\\$tensor'"),
    ],
)
def test_what_cannot_be_stored_is_named_and_nothing_is_written(tmp_path, leaf, found):
    with pytest.raises(InputError, match=f"`state/agent/1`.*{found}"):
        save(tmp_path / "checkpoints", 1, {"agent": [0, leaf]}, rows=None)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("step", [-1, 1.0, True, np.int64(3)])
def test_a_step_that_is_no_count_is_refused(tmp_path, step):
    with pytest.raises(InputError, match="`step` must be an int"):
        save(tmp_path / "checkpoints", step, {}, rows=None)


def test_no_file_of_a_checkpoint_is_a_pickle_or_needs_one(folder):
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names == {"manifest.json", "state.json", "tensors.safetensors", "arrays.npz"}
    manifest = json.loads((folder / "step-000000040" / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["versions"].keys() >= {"python", "virel", "torch", "numpy"}


# The replay


@settings(max_examples=50)
@given(
    capacity=st.integers(1, 12),
    counts=st.lists(st.integers(0, 15), min_size=1, max_size=8),
    whole=st.booleans(),
)
def test_the_last_rows_come_back_however_many_came_at_a_time(tmp_path_factory, capacity, counts, whole):
    """Against all rows ever stored; `whole`: those too old for the replay are given as well, or left out."""
    run, end, chunks = tmp_path_factory.mktemp("rows"), 0, []
    needed = before = set()
    for i, count in enumerate(counts):
        first = end if whole else max(end, end + count - capacity)
        end += count
        save(run / "checkpoints", i, {}, rows=rows_between(first, end, capacity))
        rows = load(run / "checkpoints").rows
        expected = rows_between(max(0, end - capacity), end, capacity)
        assert (rows.first, rows.end, rows.capacity) == (expected.first, end, capacity)
        np.testing.assert_array_equal(rows.data, expected.data, strict=True)
        # Just the chunks that the two kept checkpoints need are there.
        chunks += [(max(first, end - capacity), end - 1)] if count else []
        before, needed = needed, {chunk for chunk in chunks if chunk[1] >= end - capacity}
        files = sorted(path.name[:30] for path in (run / "replay").glob("*"))
        assert files == sorted(f"rows-{a:012d}-{b:012d}" for a, b in before | needed)
    shutil.rmtree(run)


def test_a_ring_buffer_that_wrapped_is_refilled_to_the_same_bytes(tmp_path):
    ring, added, saved = np.zeros((7, 3), np.float32), 0, 0
    for step, new in enumerate((3, 3, 3, 9, 2), start=1):
        for row in rows_between(added, added + new, 7).data:
            ring[added % 7] = row
            added += 1
        kept = min(added - saved, 7)
        data = np.stack([ring[i % 7] for i in range(added - kept, added)])
        save(tmp_path / "checkpoints", step, {}, rows=Rows(added - kept, data, 7))
        saved = added
    rows = load(tmp_path / "checkpoints").rows
    again = np.zeros_like(ring)
    again[np.arange(rows.first, rows.end) % 7] = rows.data
    np.testing.assert_array_equal(again, ring)


def test_a_chunk_is_written_once_and_a_checkpoint_costs_only_what_is_new(folder):
    before = {path.name: path.stat().st_mtime_ns for path in (folder.parent / "replay").glob("*")}
    save_step(folder, 50, 40, CAPACITY)
    after = {path.name: path.stat().st_mtime_ns for path in (folder.parent / "replay").glob("*")}
    assert [name[:30] for name in after.keys() - before.keys()] == ["rows-000000000040-000000000049"]
    assert {name: after[name] for name in after.keys() & before.keys()}.items() <= before.items()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_between(45, 55, CAPACITY), "`rows.first` must be where the last checkpoint ends"),
        (rows_between(40, 50, 24), "`rows` must have capacity, columns and type as before"),
        (Rows(40, np.zeros((10, 4), np.float32), CAPACITY), "`rows` must have capacity, columns"),
        (Rows(40, np.zeros((10, 3)), CAPACITY), "`rows` must have capacity, columns and type"),
        (Rows(40, np.zeros(10), CAPACITY), r"`rows.data` must have shape \[n, D\]; found \(10,\)"),
        (Rows(40, np.array([["a"]]), CAPACITY), "`rows.data` must hold numbers"),
        (Rows(40, [[1.0]], CAPACITY), "`rows.data` must be a numpy array; found 'list'"),
        (Rows(-1, np.zeros((10, 3)), CAPACITY), "`rows.first` must be at least 0; found -1"),
        (Rows(40, np.zeros((10, 3)), 0), "`rows.capacity` must be at least 1; found 0"),
    ],
)
def test_rows_that_do_not_continue_the_checkpoint_before_are_refused(folder, rows, message):
    before = listing(folder.parent)
    with pytest.raises(InputError, match=message):
        save(folder, 50, {}, rows=rows)
    assert listing(folder.parent) == before


def test_the_replay_is_left_unread_where_only_the_state_is_needed(folder):
    shutil.rmtree(folder.parent / "replay")
    loaded = load(folder, with_rows=False)
    assert loaded.rows is None
    assert_same(loaded.state, state_at(40))
    with pytest.raises(InputError, match=r"rows-000000000010.*No such file"):
        load(folder)


# Damage


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path):
    path.write_bytes(b"")


def swap(path):
    """Another whole file of the same kind: of the checkpoint before, or the chunk before."""
    others = sorted({*path.parent.parent.glob(f"step-*/{path.name}"), *path.parent.glob("rows-*")} - {path})
    path.write_bytes(others[-1].read_bytes())


def folder_instead(path):
    path.unlink()
    path.mkdir()


FILES = [
    "checkpoints/step-000000040/manifest.json",
    "checkpoints/step-000000040/state.json",
    "checkpoints/step-000000040/tensors.safetensors",
    "checkpoints/step-000000040/arrays.npz",
    "replay/rows-000000000030-*.npy",
]


@pytest.mark.parametrize("damage", [flip, cut, lengthen, empty, swap, Path.unlink, folder_instead])
@pytest.mark.parametrize("file", FILES)
def test_damage_to_any_file_is_named_and_the_checkpoint_before_is_used(folder, file, damage):
    (path,) = folder.parent.glob(file)
    damage(path)
    with pytest.warns(UserWarning, match=f"{path}.*; using step-000000030 instead"):
        loaded = load(folder)
    assert loaded.step == 30
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
        InputError, match=r"step-000000040/state\.json: its SHA-256.*030/arrays\.npz: \d+ bytes"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "not a checkpoint's manifest"),
        ("{}", "not a checkpoint's manifest: KeyError"),
        ('{"sha256": "", "format": 2}', "format 2; this version of virel reads 1"),
        ("model_state_dict", "not a checkpoint's manifest"),
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
        (lambda rows: rows["chunks"].pop(), "its chunks end at row 30, the checkpoint at 40"),
        (lambda rows: rows["chunks"].pop(0), "not the chunk that begins with row 15"),
        (lambda rows: rows["chunks"][0].update(last=18), r"shape and type .*\(10, 3\).* says .*\(9, 3\)"),
        (lambda rows: rows["chunks"][0].update(file="../../x.npy"), "x.npy: not the chunk that begins with"),
        (lambda rows: rows.update(columns=4), r"shape and type .* says .*\(10, 4\)"),
        (lambda rows: rows.update(dtype="<f8"), "shape and type .* says .*<f8"),
        (lambda rows: rows.update(dtype="float99"), "not a checkpoint of ours"),
        (lambda rows: rows.update(colour="red"), "not a checkpoint's manifest.*colour"),
        (lambda rows: rows.pop("end"), "not a checkpoint's manifest.*end"),
    ],
)
def test_a_manifest_with_a_right_checksum_and_wrong_rows_is_refused(folder, edit, message):
    path = folder / "step-000000040" / "manifest.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    edit(content["rows"])
    path.write_text(json.dumps(content | {"sha256": _manifest._checksum(content)}))
    with pytest.warns(UserWarning, match=message):
        assert_is_of_its_step(load(folder), CAPACITY)


def test_a_checkpoint_under_another_step_s_name_is_refused(folder):
    shutil.copytree(folder / "step-000000040", folder / "step-000000099")
    with pytest.warns(UserWarning, match=r"step-000000099/manifest\.json: of step 40"):
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
    read, reads = checkpoint._read, []

    def slowly(path, **kwargs):
        reads.append(path.name)
        if len(reads) == 1:
            save_step(folder, 50, 40, CAPACITY)
            save_step(folder, 60, 50, CAPACITY)
        return read(path, **kwargs)

    monkeypatch.setattr(checkpoint, "_read", slowly)
    assert_is_of_its_step(load(folder), CAPACITY)
    assert reads == ["step-000000040", "step-000000030", "step-000000060"]


def test_a_folder_without_checkpoints_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="`folder` must hold a checkpoint; found"):
            load(folder)


# Going on


@pytest.mark.parametrize("next_step", [35, 40, 45])
@pytest.mark.parametrize("file", FILES)
def test_a_run_that_fell_back_goes_on_before_at_and_behind_the_damaged_step(folder, file, next_step):
    (path,) = folder.parent.glob(file)
    flip(path)
    save_step(folder, next_step, 30, CAPACITY)
    assert [path.name for path in sorted(folder.iterdir())] == ["step-000000030", f"step-{next_step:09d}"]
    loaded = load(folder)
    assert loaded.step == next_step
    assert_is_of_its_step(loaded, CAPACITY)
    shutil.rmtree(folder / f"step-{next_step:09d}")
    assert_is_of_its_step(load(folder), CAPACITY)


@pytest.mark.parametrize("damage", [cut, Path.unlink])
@pytest.mark.parametrize("file", FILES)
def test_a_run_whose_last_checkpoint_is_lost_meanwhile_is_told_so_and_loses_no_more(folder, file, damage):
    (path,) = folder.parent.glob(file)
    damage(path)
    if "manifest" in file and damage == Path.unlink:
        path.write_text("{}")
    before = listing(folder.parent)
    with pytest.raises(InputError, match=f"{path}.*: the new rows, from 40 on, continue what is lost there"):
        save_step(folder, 50, 40, CAPACITY)
    assert listing(folder.parent) == before
    with pytest.warns(UserWarning, match="using step-000000030 instead"):
        assert_is_of_its_step(load(folder), CAPACITY)


def test_a_valid_later_checkpoint_is_never_removed(folder):
    before = listing(folder.parent)
    for step, first in ((35, 30), (45, 35)):
        with pytest.raises(InputError, match=f"`step` {step} doesn't continue .*step-000000040"):
            save_step(folder, step, first, CAPACITY)
    assert listing(folder.parent) == before


def test_saving_again_at_the_same_step_replaces_the_checkpoint(folder):
    save(folder, 40, {"again": 1}, rows=rows_between(40, 40, CAPACITY))
    loaded = load(folder)
    assert (loaded.step, loaded.state, loaded.rows.end) == (40, {"again": 1}, 40)
    assert [path.name for path in sorted(folder.iterdir())] == ["step-000000030", "step-000000040"]
    save_step(folder, 50, 40, CAPACITY)
    assert_is_of_its_step(load(folder), CAPACITY)


def test_a_replaced_checkpoint_that_a_kill_left_counts_less_than_the_one_in_its_place(folder):
    new = folder / "step-000000040"
    old = shutil.copytree(new, folder / "step-000000040.replaced")
    save(folder, 40, {"again": 1}, rows=rows_between(40, 40, CAPACITY))
    assert not old.exists()
    shutil.copytree(folder / "step-000000030", old)
    assert load(folder).state == {"again": 1}
    shutil.rmtree(old)
    new.rename(old)
    assert load(folder).state == {"again": 1}


def test_foreign_files_and_folders_are_left_alone(folder):
    ours = listing(folder.parent)
    foreign = [folder / "step-000000020" / "model.pt", folder / "step-1" / "x", folder / "notes.txt"]
    foreign += [folder.parent / "replay" / "rows-of-mine.npy", folder.parent / "replay" / "rows-1-2.npy"]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    save_step(folder, 50, 40, CAPACITY)
    assert all(path.read_text() == "mine" for path in foreign)
    assert_is_of_its_step(load(folder), CAPACITY)
    assert (
        len(listing(folder.parent)) == len(ours) + len(foreign) + 2
    )  # and two folders; a chunk came, one went


def test_a_foreign_folder_in_the_place_of_a_checkpoint_is_named(folder):
    (folder / "step-000000050").mkdir()
    (folder / "step-000000050" / "model.pt").write_text("mine")
    with pytest.raises(InputError, match="step-000000050: not a checkpoint of ours, and in the way of one"):
        save_step(folder, 50, 40, CAPACITY)
    with pytest.warns(UserWarning, match="step-000000050.*using step-000000040 instead"):
        assert_is_of_its_step(load(folder), CAPACITY)


def test_a_file_that_cannot_be_read_now_is_not_taken_for_damaged(folder, monkeypatch):
    before, read = listing(folder.parent), Path.read_bytes

    def too_many_open_files(path):
        if path.name == "arrays.npz":
            raise OSError(24, "Too many open files", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", too_many_open_files)
    with pytest.raises(CheckpointError, match=r"Too many open files \(.*arrays\.npz\)"):
        save_step(folder, 50, 40, CAPACITY)
    monkeypatch.undo()
    assert listing(folder.parent) == before
