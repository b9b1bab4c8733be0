"""What a checkpoint stores: any nested state, and the rows of a replay."""

import json
import math
import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.support.stored_run import (
    CAPACITY,
    assert_same,
    listing,
    rows_between,
    save_step,
    state_at,
)
from virel_common.errors import InputError
from virel_deep.storage.checkpoint import Rows, load, save


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
        (rows_between(45, 55, CAPACITY), "`rows.first` must be .*, where the last checkpoint ends"),
        (rows_between(40, 50, 24), "`rows` must keep the last capacity, columns and type"),
        (Rows(40, np.zeros((10, 4), np.float32), CAPACITY), "`rows` must keep the last capacity, columns"),
        (Rows(40, np.zeros((10, 3)), CAPACITY), "`rows` must keep the last capacity, columns and type"),
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
