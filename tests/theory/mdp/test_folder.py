"""MDPs as folders of .npy files: mapped, whole or absent; and the one pass over large CSR transitions."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from virel_common.errors import InputError
from virel_theory import TabularMDP, garnet, load_mdp
from virel_theory.mdp import storage, validation


def example(**options):
    return garnet(40, 3, 5, gamma=0.9, rng=np.random.default_rng(0), **options)


ONE = {"transition": np.ones((1, 1, 1)), "reward": np.ones((1, 1)), "gamma": 0.5}
PARTS = {"indptr": np.array([0, 1]), "indices": np.array([0]), "data": np.array([1.0])}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (ONE | {"intial": np.ones(1)}, r"must hold no arrays but data, gamma, .*; found \['intial'\]"),
        (ONE | PARTS, "must hold 'transition', or 'indptr', 'indices' and 'data', not both; found"),
        (ONE | {"data": np.ones(1)}, "not both"),
        ({"reward": np.ones((1, 1)), "gamma": 0.5, "data": np.ones(1)}, "must hold 'transition', or"),
    ],
)
def test_a_file_with_an_unknown_array_or_two_transitions_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "m.npz", **arrays)
    storage.atomic_npy_folder(tmp_path / "m.mdp", arrays)
    for name in ("m.npz", "m.mdp"):
        with pytest.raises(InputError, match=message):
            TabularMDP.load(tmp_path / name)


@pytest.mark.parametrize("options", [{}, {"sparse": True}, {"sparse": True, "missing": 0.4}])
@pytest.mark.parametrize("mapped_from", [0, 1 << 20])
def test_a_folder_holds_what_a_file_holds(tmp_path, monkeypatch, options, mapped_from):
    monkeypatch.setattr(storage, "MAPPED_FROM", mapped_from or 100)
    mdp = example(**options)
    mdp.save(tmp_path / "m.mdp")
    mdp.save(tmp_path / "m.mdp")  # replaces it
    assert [x.name for x in tmp_path.iterdir()] == ["m.mdp"]
    again = load_mdp(tmp_path / "m.mdp")
    np.testing.assert_array_equal(again.dense_transition, mdp.dense_transition)
    np.testing.assert_array_equal(again.reward, mdp.reward)
    np.testing.assert_array_equal(again.available, mdp.available)
    assert again.gamma == 0.9
    assert not again.reward.flags.writeable


def test_large_arrays_are_mapped_not_copied(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "MAPPED_FROM", 100)
    example(sparse=True).save(tmp_path / "m.mdp")
    mdp = TabularMDP.load(tmp_path / "m.mdp")
    for part in (mdp.transition.data, mdp.transition.indices, mdp.reward):
        owner = part
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        assert type(owner.base).__name__ == "mmap"


def test_a_save_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    example().save(tmp_path / "m.mdp")
    before = sorted(x.stat().st_mtime_ns for x in (tmp_path / "m.mdp").iterdir())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.np, "save", full)
    with pytest.raises(InputError, match="No space left on device"):
        example(sparse=True).save(tmp_path / "m.mdp")
    assert [x.name for x in tmp_path.iterdir()] == ["m.mdp"]
    assert sorted(x.stat().st_mtime_ns for x in (tmp_path / "m.mdp").iterdir()) == before


def test_a_folder_of_something_else_is_neither_replaced_nor_read(tmp_path):
    other = tmp_path / "photos.mdp"
    other.mkdir()
    (other / "cat.jpg").write_text("")
    with pytest.raises(InputError, match="must be a new name, or a folder with an MDP in it"):
        example().save(other)
    with pytest.raises(InputError, match="must hold the array 'reward'"):
        load_mdp(other)
    (other / "reward.npy").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"must hold \.npy files; found reward\.npy, which isn't one$"):
        load_mdp(other)


@pytest.mark.parametrize(
    ("part", "place", "value"),
    [
        ("data", 7, 0.5),
        ("data", 7, -1e-300),
        ("data", 7, np.nan),
        ("data", 7, np.inf),
        ("indices", 7, 40),
        ("indices", 7, -1),
        ("indptr", 7, 10**6),
        ("indptr", 0, 1),
        ("indptr", 7, 41),
        ("indptr", 120, 599),
    ],
)
def test_the_one_pass_over_large_rows_misses_nothing(part, place, value):
    good = example(sparse=True).transition
    rows = SimpleNamespace(
        data=good.data.copy(), indices=good.indices.copy(), indptr=good.indptr.copy(), shape=good.shape
    )
    assert validation._is_surely_fine(rows, None)
    getattr(rows, part)[place] = value
    assert not validation._is_surely_fine(rows, None)


@pytest.mark.parametrize("factor", [1 + 2**-49, 1 + 2**-46, 1 - 2**-46, 1 + 1e-9])
def test_the_one_pass_accepts_nothing_that_the_rule_refuses(monkeypatch, factor):
    rng = np.random.default_rng(1)
    data = rng.dirichlet(np.ones(5), size=60).ravel()
    data[:5] *= factor
    rows = sparse.csr_array((data, np.tile(np.arange(5), 60), np.arange(0, 301, 5)), shape=(60, 20))
    answers = []
    for large in (1, 10**9):
        monkeypatch.setattr(validation, "LARGE", large)
        try:
            TabularMDP(rows, np.zeros((20, 3)), 0.9)
            answers.append("fine")
        except InputError as error:
            answers.append(str(error))
    assert answers[0] == answers[1]


def test_rows_of_actions_that_do_not_exist_must_be_empty(monkeypatch):
    monkeypatch.setattr(validation, "LARGE", 1)
    mdp = example(sparse=True, missing=0.4)
    TabularMDP(mdp.transition, mdp.reward, 0.9, mask=mdp.mask)
    with pytest.raises(InputError, match="must be zero in the row of an action that `mask` excludes"):
        TabularMDP(example(sparse=True).transition, mdp.reward, 0.9, mask=mdp.mask)


# Paths


@pytest.mark.parametrize("path", [None, 5, b"m.npz", "", "a\0.npz", np.zeros((40, 30))])
def test_what_is_no_path_is_one_error(path):
    for call in (TabularMDP.load, example().save, load_mdp):
        with pytest.raises(
            InputError, match="must be the path of a file or folder, as text or a `Path`; found"
        ) as error:
            call(path)
        assert "\n" not in str(error.value)


def test_the_folder_one_stands_in_is_no_mdp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="`path` must be the path of a file"):
        TabularMDP.load("")
    with pytest.raises(InputError, match=r"`\.` must hold the array 'reward'"):
        TabularMDP.load(".")


def test_a_path_may_be_any_path_object(tmp_path):
    class Elsewhere:
        def __fspath__(self):
            return str(tmp_path / "m.npz")

    example().save(Elsewhere())
    assert TabularMDP.load(Elsewhere()).shape == (40, 3)
