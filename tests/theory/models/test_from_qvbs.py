"""QVBS archives as MDPs: published values, goals, broken archives."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.model_files import optimal_values, write_qvbs
from virel_common.errors import InputError
from virel_theory.models.load import load_mdp
from virel_theory.models.readers import from_qvbs

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT.parent / "shared" / "mdps"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the folder ../shared/mdps is not there")


OBJECTIVES = [
    (model, objective)
    for model, objectives in {
        "consensus": ("c2", "disagree", "steps_max", "steps_min"),
        "csma": ("time_max", "time_min"),
        "firewire_abst": ("time_max", "time_min"),
    }.items()
    for objective in objectives
]


@needs_real
@pytest.mark.parametrize(("gamma", "key"), [(0.9, "g9_10"), (0.99, "g99_100")])
@pytest.mark.parametrize(("model", "objective"), OBJECTIVES)
def test_qvbs_values_are_the_published_ones(model, objective, gamma, key):
    # Truncation: 0.99**4000 of values below 100: 4e-16. Rounding: a sweep over rows of at most 8 terms errs
    # by up to 12 u (max|v| + max|r|), times 1/(1 - gamma) = 100 by the contraction: 1200 u * 101 < 3e-11.
    path = REAL / f"qvbs_{model}.npz"
    mdp, sense = from_qvbs(path, objective, gamma=gamma)
    with np.load(path) as file:
        published, init = file[f"vstar__{objective}__{key}"], int(file["init"])
    properties = json.loads((REAL / f"qvbs_{model}.json").read_text())["properties"]
    assert sense == properties[objective]["sense"]
    assert np.argmax(mdp.initial) == init
    np.testing.assert_allclose(optimal_values(mdp, sense, 4000), published, rtol=0, atol=3e-11)


def test_choices_become_actions_and_the_goal_absorbs_at_reward_zero(tmp_path):
    mdp, sense = from_qvbs(write_qvbs(tmp_path), "cost", gamma=0.5)
    assert sense == "min"
    assert mdp.is_sparse
    assert mdp.available.tolist() == [[True, True], [True, False], [True, False]]
    dense = mdp.dense_transition
    assert dense[0].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert dense[1].tolist() == [[1, 0, 0], [0, 0, 0]]
    assert dense[2].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert mdp.reward.tolist() == [[1, 5], [1, 0], [0, 0]]
    assert mdp.initial.tolist() == [0, 1, 0]
    assert optimal_values(mdp, "min", 60) == pytest.approx(
        [2, 2, 0]
    )  # going round for ever costs 1/(1 - gamma)


NESTED = np.array([{"a": 1}], dtype=object)
BROKEN_ARCHIVES = {
    "no choice_ptr": {"choice_ptr": None},
    "no goal": {"goal__cost": None},
    "no meta": {"meta": None},
    "meta is no JSON": {"meta": "{"},
    "meta without sense": {"meta": "{}"},
    "meta with another sense": {"meta": json.dumps({"properties": {"cost": {"sense": "mean"}}})},
    "meta with a list for the sense": {"meta": json.dumps({"properties": {"cost": {"sense": []}}})},
    "meta with a table for the sense": {"meta": json.dumps({"properties": {"cost": {"sense": {}}}})},
    "meta nested without end": {"meta": "[" * 100_000},
    "empty action set": {"choice_ptr": np.array([0, 2, 2, 5])},
    "choice_ptr falls": {"choice_ptr": np.array([0, 3, 2, 5])},
    "choice_ptr too short": {"choice_ptr": np.array([0, 2, 3])},
    "indptr of floats": {"indptr": np.array([0.0, 2.0, 3.0, 4.0, 5.0, 6.0])},
    "indptr beyond the entries": {"indptr": np.array([0, 2, 3, 4, 5, 7])},
    "index out of range": {"indices": np.array([1, 1, 3, 0, 0, 1])},
    "negative index": {"indices": np.array([1, 1, -1, 0, 0, 1])},
    "indices of floats": {"indices": np.array([1.0, 1, 2, 0, 0, 1])},
    "indices too short": {"indices": np.array([1, 1, 2, 0, 0])},
    "prob of words": {"prob": np.array(list("abcdef"))},
    "prob in a table": {"prob": np.ones((2, 3))},
    "negative probability": {"prob": np.array([1.5, -0.5, 1.0, 1.0, 1.0, 1.0])},
    "nan probability": {"prob": np.array([0.5, np.nan, 1.0, 1.0, 1.0, 1.0])},
    "sum below one": {"prob": np.array([0.5, 0.499, 1.0, 1.0, 1.0, 1.0])},
    "reward too short": {"reward__cost": np.ones(4)},
    "nan reward": {"reward__cost": np.array([1.0, np.nan, 1.0, 7.0, 7.0])},
    "goal out of range": {"goal__cost": np.array([3])},
    "init out of range": {"init": np.int64(-1)},
    "two inits": {"init": np.array([0, 1])},
    "pickled object": {"prob": NESTED},
}


@pytest.mark.parametrize("name", BROKEN_ARCHIVES)
def test_a_broken_qvbs_archive_is_one_error(tmp_path, name):
    with pytest.raises(InputError) as caught:
        from_qvbs(write_qvbs(tmp_path, **BROKEN_ARCHIVES[name]), "cost", gamma=0.9)
    assert "\n" not in str(caught.value)


def test_an_unknown_objective_lists_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"`objective` must be one of \['cost'\].*'price'"):
        from_qvbs(write_qvbs(tmp_path), "price", gamma=0.9)


def test_a_truncated_archive_is_one_error_wherever_it_is_cut(tmp_path):
    path = write_qvbs(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            from_qvbs(path, "cost", gamma=0.9)
        with pytest.raises(InputError):
            load_mdp(path, 0.9, objective="cost")
