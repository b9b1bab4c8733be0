"""`load_mdp` and `load_problem`: which source is which, damaged files, missing arguments."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.model_files import (
    PRISM_LAB,
    PRISM_TRA,
    SREW,
    TREW,
    write_files,
    write_qvbs,
)
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.models.load import load_mdp, load_problem

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("sparse", [False, True])
def test_npz_files_round_trip_exactly_and_gamma_can_be_replaced(tmp_path, sparse):
    mdp = garnet(12, 3, 4, gamma=0.9, rng=np.random.default_rng(0), sparse=sparse, missing=0.3)
    path = tmp_path / "garnet.npz"
    mdp.save(path)
    back = load_mdp(path)
    assert back.is_sparse == sparse
    assert (back.dense_transition == mdp.dense_transition).all()
    for name in ("reward", "initial", "mask", "gamma"):
        assert np.array_equal(getattr(back, name), getattr(mdp, name))
    assert load_mdp(path, 0.5).gamma == 0.5
    assert load_problem(path)[1] is None


def test_each_kind_of_source_is_recognised(tmp_path):
    qvbs = write_qvbs(tmp_path)
    files = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW, trew=TREW)
    assert load_problem(qvbs, gamma=0.5, objective="cost")[1] == "min"
    mdp = load_mdp(str(files["tra"]), 0.5, objective="goal")
    assert mdp.reward.tolist() == [[4, 5], [0, 0], [0, 0]]
    assert load_mdp("gym:CliffWalking-v1", 0.99).n_states == 49


@pytest.mark.parametrize("source", ["gym", "tra", "qvbs"])
def test_a_source_without_gamma_needs_one(tmp_path, source):
    sources = {
        "gym": "gym:FrozenLake-v1",
        "tra": write_files(tmp_path, tra=PRISM_TRA, srew=SREW)["tra"],
        "qvbs": write_qvbs(tmp_path),
    }
    with pytest.raises(InputError, match="`gamma` must be given"):
        load_mdp(sources[source], objective="cost" if source == "qvbs" else None)


def test_an_objective_where_there_is_none_is_an_error(tmp_path):
    TabularMDP(np.ones((1, 1, 1)), [[1.0]], 0.5).save(tmp_path / "m.npz")
    for spec in (tmp_path / "m.npz", "gym:FrozenLake-v1"):
        with pytest.raises(InputError, match="`objective`"):
            load_mdp(spec, 0.5, objective="cost")


@pytest.mark.parametrize("spec", ["model.txt", "FrozenLake-v1", "", "missing.npz", "missing.tra", "gym:"])
def test_what_is_not_a_source_is_one_error(spec):
    with pytest.raises(InputError) as caught:
        load_mdp(spec, 0.9)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["stored", "compressed"])
def test_damaged_bytes_are_one_error_or_none(tmp_path, save):
    path = tmp_path / "model.npz"
    mdp = garnet(6, 2, 2, gamma=0.9, rng=np.random.default_rng(0))
    save(path, transition=mdp.transition, reward=mdp.reward, gamma=0.9)
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):
            load_mdp(path)


def test_an_npy_file_under_another_name_is_an_error(tmp_path):
    path = tmp_path / "array.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(InputError, match="single array"):
        load_mdp(path)


@pytest.mark.parametrize("data", [b"print('a program')", b""], ids=["text", "empty"])
def test_a_file_that_is_no_archive_is_said_to_be_none(tmp_path, data):
    path = tmp_path / "more.npz"
    path.write_bytes(data)
    with pytest.raises(
        InputError, match=r"more\.npz` must be an \.npz archive; found a file that isn't one$"
    ):
        load_mdp(path)


def test_importing_load_imports_neither_gymnasium_nor_numba():
    heavy = "{'gymnasium', 'numba', 'torch'}"
    script = f"import sys, virel_theory.models.load; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
