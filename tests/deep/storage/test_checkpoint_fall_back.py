"""What a save does after the run fell back: nothing valid and nothing foreign is lost."""

import shutil
from pathlib import Path

import pytest

from tests.support.stored_run import (
    CAPACITY,
    FILES,
    assert_is_of_its_step,
    cut,
    flip,
    listing,
    rows_between,
    said,
    save_step,
)
from virel_common.errors import InputError
from virel_deep.storage.checkpoint import CheckpointError, load, save


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
    with pytest.raises(
        InputError, match=f"{path}.*: the new rows begin at 40, but the rows before are lost there"
    ):
        save_step(folder, 50, 40, CAPACITY)
    assert listing(folder.parent) == before
    with said("using step-000000030 instead"):
        assert_is_of_its_step(load(folder), CAPACITY)


def test_a_valid_later_checkpoint_is_never_removed(folder):
    before = listing(folder.parent)
    for step, first in ((35, 30), (45, 35)):
        with pytest.raises(InputError, match=f"`step` must be later than .*step-000000040.*found {step}"):
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
    with pytest.raises(
        InputError, match="step-000000050: not a virel checkpoint; move it away, to save step 50"
    ):
        save_step(folder, 50, 40, CAPACITY)
    with said("step-000000050.*using step-000000040 instead"):
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
