import contextlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from virel_theory.checks import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.models.load import from_gymnasium, from_prism, from_qvbs, load_mdp, load_problem

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT.parent / "shared" / "mdps"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the folder ../shared/mdps is not there")


def optimal_values(mdp, sense="max", n_sweeps=3000):
    """Plain value iteration, not the package's solvers; 3000 sweeps at gamma = 0.99 leave 1e-13 of max|v|."""
    best, missing = (np.max, -np.inf) if sense == "max" else (np.min, np.inf)
    v = np.zeros(mdp.n_states)
    for _ in range(n_sweeps):
        v = best(np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), missing), axis=1)
    return v


# Gymnasium


def toy_values(env_id, gamma, n_sweeps=3000):
    """Value of the start distribution from the table itself: terminated transitions end the sum."""
    env = gymnasium.make(env_id).unwrapped
    v = dict.fromkeys(env.P, 0.0)
    for _ in range(n_sweeps):
        v = {
            s: max(
                sum(p * (r + gamma * v[t] * (not done)) for p, t, r, done in outcomes)
                for outcomes in actions.values()
            )
            for s, actions in env.P.items()
        }
    return float(sum(p * v[s] for s, p in enumerate(env.initial_state_distrib))), np.array(list(v.values()))


@pytest.mark.parametrize(
    ("env_id", "published", "digits"),
    [("FrozenLake-v1", 0.5420259320004729, 12), ("CliffWalking-v1", -12.2479, 4), ("Taxi-v4", 6.33, 2)],
)
def test_toy_text_values_agree_with_the_table_and_with_the_published_ones(env_id, published, digits):
    mdp = from_gymnasium(env_id, gamma=0.99)
    v = optimal_values(mdp)
    assert round(float(mdp.initial @ v), digits) == round(published, digits)
    start, values = toy_values(env_id, 0.99, 1500)  # 0.99**1500 * 100 < 3e-5
    assert mdp.initial @ v == pytest.approx(start, abs=1e-4)
    np.testing.assert_allclose(v[:-1], values, rtol=0, atol=1e-4)


def test_frozen_lake_by_a_direct_solve_for_its_optimal_policy():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.99)
    q = mdp.reward + 0.99 * mdp.expect_next(optimal_values(mdp))
    states, policy = np.arange(mdp.n_states), q.argmax(axis=1)
    system = np.eye(mdp.n_states) - 0.99 * mdp.transition[states, policy]
    value = mdp.initial @ np.linalg.solve(system, mdp.reward[states, policy])
    assert value == pytest.approx(0.5420259320004729, abs=1e-14)


def test_the_added_state_absorbs_at_reward_zero_and_is_no_start():
    mdp = from_gymnasium("FrozenLake-v1", gamma=0.9)
    assert mdp.shape == (17, 4)
    assert (mdp.transition[16, :, 16] == 1).all()
    assert (mdp.reward[16] == 0).all()
    assert mdp.initial[16] == 0


def toy(table, **others):
    env = SimpleNamespace(P=table, **others)
    env.unwrapped = env
    return env


def test_successors_listed_twice_add_up_and_termination_overrides_the_successor():
    table = {
        0: {0: [(0.25, 1, 4.0, False), (0.25, 1, 8.0, False), (0.5, 1, 2.0, True)]},
        1: {0: [(1.0, 0, 0.0, False)]},
    }
    mdp = from_gymnasium(toy(table), gamma=0.5)
    assert mdp.transition[:, 0].tolist() == [[0, 0.5, 0.5], [1, 0, 0], [0, 0, 1]]
    assert mdp.reward[:, 0].tolist() == [0.25 * 4 + 0.25 * 8 + 0.5 * 2, 0, 0]
    assert mdp.initial.tolist() == [0.5, 0.5, 0]


def test_without_termination_no_state_is_added_and_missing_actions_are_masked():
    table = {0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 0, 1.0, False)]}, 1: {1: [(1.0, 0, 0.0, False)]}}
    mdp = from_gymnasium(toy(table, initial_state_distrib=[0.0, 1.0]), gamma=0.5)
    assert mdp.available.tolist() == [[True, True], [False, True]]
    assert mdp.initial.tolist() == [0.0, 1.0]


def test_an_id_without_version_is_the_newest_version():
    assert from_gymnasium("Taxi", gamma=0.9).shape == (501, 6)


GOOD = [(1.0, 0, 0.0, False)]
BROKEN_TABLES = {
    "no table": None,
    "no states": {},
    "gap in the states": {0: {0: GOOD}, 2: {0: GOOD}},
    "a state without actions": {0: {0: GOOD}, 1: {}},
    "no actions at all": {0: {}},
    "an action without outcomes": {0: {0: GOOD, 1: []}},
    "half a tuple": {0: {0: [(1.0, 0)]}},
    "a word for a number": {0: {0: [("often", 0, 0.0, False)]}},
    "successor out of range": {0: {0: [(1.0, 1, 0.0, False)]}},
    "negative successor": {0: {0: [(1.0, -1, 0.0, False)]}},
    "negative probability": {0: {0: [(1.5, 0, 0.0, False), (-0.5, 0, 0.0, False)]}},
    "nan probability": {0: {0: [(float("nan"), 0, 0.0, False)]}},
    "sum below one": {0: {0: [(0.999, 0, 0.0, False)]}},
    "nan reward": {0: {0: [(1.0, 0, float("nan"), False)]}},
}


@pytest.mark.parametrize("name", BROKEN_TABLES)
def test_a_broken_table_is_one_error(name):
    with pytest.raises(InputError) as caught:
        from_gymnasium(toy(BROKEN_TABLES[name]), gamma=0.9)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("env", ["NoSuchEnv-v0", "CartPole-v1", "no_such_module:Env-v0", 3])
def test_what_is_no_toy_text_environment_is_one_error(env):
    with pytest.raises(InputError, match="`env`"):
        from_gymnasium(env, gamma=0.9)


def test_importing_ingest_imports_neither_gymnasium_nor_numba():
    heavy = "{'gymnasium', 'numba', 'torch'}"
    script = f"import sys, virel_theory.models.load; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# QVBS

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


def qvbs_arrays(**changes):
    """States 0 (two choices), 1 (one), 2 (the goal, two choices that would earn)."""
    arrays = {
        "choice_ptr": np.array([0, 2, 3, 5]),
        "indptr": np.array([0, 2, 3, 4, 5, 6]),
        "indices": np.array([1, 1, 2, 0, 0, 1]),
        "prob": np.array([0.5, 0.5, 1.0, 1.0, 1.0, 1.0]),
        "init": np.int64(1),
        "reward__cost": np.array([1.0, 5.0, 1.0, 7.0, 7.0]),
        "goal__cost": np.array([2]),
        "meta": json.dumps({"properties": {"cost": {"sense": "min"}}}),
    }
    return {name: x for name, x in (arrays | changes).items() if x is not None}


def write_qvbs(tmp_path, **changes):
    path = tmp_path / "model.npz"
    np.savez(path, **qvbs_arrays(**changes))
    return path


def test_choices_become_actions_and_the_goal_absorbs_at_reward_zero(tmp_path):
    mdp, sense = from_qvbs(write_qvbs(tmp_path), "cost", gamma=0.5)
    assert sense == "min"
    assert mdp.is_sparse
    assert mdp.available.tolist() == [[True, True], [True, False], [True, False]]
    dense = mdp.to_dense().transition
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


# PRISM and Storm: a walk 0 -> 1 -> 2 (goal) with a choice of a fair or a sure step in state 0

PRISM_TRA = "3 4 5\n0 0 0 0.5 fair\n0 0 1 0.5 fair\n0 1 1 1 sure\n1 0 2 1\n2 0 2 1\n"
STORM_TRA = "mdp\n0 0 0 0.5\n0 0 1 0.5\n0 1 1 1\n1 0 2 1\n2 0 2 1\n"
PRISM_LAB = '0="init" 1="deadlock" 2="goal"\n0: 0\n2: 2\n'
STORM_LAB = "#DECLARATION\ninit deadlock goal\n#END\n0 init\n2 goal\n"
TREW = "3 4 2\n0 0 1 6\n0 1 1 4\n"
SREW = "3 2\n0 1\n2 9\n"


@pytest.fixture
def write(tmp_path):
    def write_files(**texts):
        paths = {}
        for ending, text in texts.items():
            paths[ending] = tmp_path / f"model.{ending}"
            paths[ending].write_text(text)
        return paths

    return write_files


@pytest.mark.parametrize(
    ("tra", "lab"), [(PRISM_TRA, PRISM_LAB), (STORM_TRA, STORM_LAB)], ids=["prism", "storm"]
)
def test_both_dialects_describe_the_same_mdp(write, tra, lab):
    files = write(tra=tra, lab=lab, srew=SREW, trew=TREW)
    rew = [files["srew"], files["trew"]]
    mdp = from_prism(files["tra"], gamma=0.5, lab=files["lab"], rew=rew, goal="goal")
    assert mdp.available.tolist() == [[True, True], [True, False], [True, False]]
    dense = mdp.to_dense().transition
    assert dense[0].tolist() == [[0.5, 0.5, 0], [0, 1, 0]]
    assert dense[1, 0].tolist() == [0, 0, 1]
    assert dense[2, 0].tolist() == [0, 0, 1]
    assert mdp.reward.tolist() == [[1 + 0.5 * 6, 1 + 4], [0, 0], [0, 0]]  # the goal's 9 is not earned
    assert mdp.initial.tolist() == [1, 0, 0]


def test_without_a_goal_nothing_is_made_absorbing(write):
    files = write(tra=PRISM_TRA, srew=SREW)
    mdp = from_prism(files["tra"], gamma=0.5, rew=files["srew"])
    assert mdp.reward[2, 0] == 9
    assert mdp.initial.tolist() == [1, 0, 0]


def test_a_goal_without_rewards_asks_for_the_discounted_time_of_arrival(write):
    files = write(tra=PRISM_TRA, lab=PRISM_LAB)
    mdp = from_prism(files["tra"], gamma=0.5, lab=files["lab"], goal="goal")
    np.testing.assert_allclose(optimal_values(mdp, "max", 60), [0.5, 1.0, 0.0], rtol=0, atol=1e-15)
    # fair steps: v = 0.5 (v/2 + 1/2), so v = 1/3
    np.testing.assert_allclose(optimal_values(mdp, "min", 60), [1 / 3, 1.0, 0.0], rtol=0, atol=1e-15)


@pytest.mark.parametrize("header", ["2 3\n", "dtmc\n"])
def test_a_dtmc_is_an_mdp_with_one_action(write, header):
    files = write(tra=header + "0 0 0.5\n0 1 0.5\n1 1 1\n", trew="2 1\n0 1 8\n")
    mdp = from_prism(files["tra"], gamma=0.5, rew=files["trew"])
    assert mdp.shape == (2, 1)
    assert mdp.reward.tolist() == [[4.0], [0.0]]
    np.testing.assert_allclose(optimal_values(mdp, "max", 80), [16 / 3, 0], rtol=0, atol=1e-14)


def test_rewards_may_have_no_header_and_may_belong_to_choices(write):
    files = write(tra=STORM_TRA, srew="0 2\n1 3\n", rew="# choice rewards\n0 1 10\n")
    mdp = from_prism(files["tra"], gamma=0.5, rew=[files["srew"], files["rew"]])
    assert mdp.reward.tolist() == [[2, 12], [3, 0], [0, 0]]


BROKEN_TEXTS = {
    "empty file": {"tra": ""},
    "only a header": {"tra": "3 4 5\n"},
    "truncated": {"tra": PRISM_TRA[:-8]},
    "cut within a line": {"tra": PRISM_TRA[:-3]},
    "too many lines": {"tra": PRISM_TRA + "2 1 2 1\n"},
    "header of one word": {"tra": "3\n0 0 0 1\n"},
    "word for a state": {"tra": "mdp\nzero 0 0 1\n"},
    "negative state": {"tra": "mdp\n-1 0 0 1\n"},
    "fraction of a state": {"tra": "mdp\n0.5 0 0 1\n"},
    "huge state": {"tra": "mdp\n0 0 99999999999999999999 1\n"},
    "large state": {"tra": "mdp\n0 0 999999999999 1\n"},
    "successor out of range": {"tra": "1 1 1\n0 0 1 1\n"},
    "state out of range": {"tra": "1 1 1\n1 0 0 1\n"},
    "state without choices": {"tra": "mdp\n0 0 0 0.5\n0 0 1 0.5\n"},
    "gap in the choices": {"tra": "mdp\n0 1 0 1\n"},
    "word for a probability": {"tra": "mdp\n0 0 0 often\n"},
    "nan probability": {"tra": "mdp\n0 0 0 nan\n"},
    "negative probability": {"tra": "mdp\n0 0 0 1.5\n0 0 0 -0.5\n"},
    "sum below one": {"tra": "mdp\n0 0 0 0.999\n"},
    "labels empty": {"lab": ""},
    "labels undeclared": {"lab": "0: 0\n"},
    "labels half declared": {"lab": '0="init" 1=goal"\n0: 0\n'},
    "label number unknown": {"lab": PRISM_LAB + "1: 7\n"},
    "labelled state out of range": {"lab": PRISM_LAB + "3: 2\n"},
    "no goal label": {"lab": '0="init"\n0: 0\n'},
    "no initial state": {"lab": '0="init" 2="goal"\n2: 2\n'},
    "declaration without end": {"lab": "#DECLARATION\ninit goal\n0 init\n"},
    "rewards truncated": {"srew": "3 2\n0 1\n"},
    "reward of an unknown state": {"srew": "4 1\n0 1\n"},
    "reward of an unknown transition": {"srew": "3 4 1\n0 0 2 1\n"},
    "reward given twice": {"srew": "0 1\n0 2\n"},
    "nan reward": {"srew": "3 1\n0 nan\n"},
    "reward of one column": {"srew": "1\n2\n"},
    "reward of five columns": {"srew": "0 0 0 1 2\n"},
    "reward with a word": {"srew": "0 much\n"},
}


@pytest.mark.parametrize("name", BROKEN_TEXTS)
def test_a_broken_text_file_is_one_error(write, name):
    files = write(**({"tra": PRISM_TRA, "lab": PRISM_LAB, "srew": SREW} | BROKEN_TEXTS[name]))
    with pytest.raises(InputError) as caught:
        from_prism(files["tra"], gamma=0.9, lab=files["lab"], rew=files["srew"], goal="goal")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_a_folder_and_a_missing_file_are_one_error_each(tmp_path):
    path = tmp_path / "model.tra"
    path.write_bytes(b"\xff\xfe\x00")
    for bad in (path, tmp_path, tmp_path / "missing.tra"):
        with pytest.raises(InputError):
            from_prism(bad, gamma=0.9, rew=path)


def test_neither_goal_nor_rewards_is_an_error(write):
    with pytest.raises(InputError, match="`rew`"):
        from_prism(write(tra=PRISM_TRA)["tra"], gamma=0.9)


# load_mdp


@pytest.mark.parametrize("sparse", [False, True])
def test_npz_files_round_trip_exactly_and_gamma_can_be_replaced(tmp_path, sparse):
    mdp = garnet(12, 3, 4, gamma=0.9, rng=np.random.default_rng(0), sparse=sparse, missing=0.3)
    path = tmp_path / "garnet.npz"
    mdp.save(path)
    back = load_mdp(path)
    assert back.is_sparse == sparse
    assert (back.to_dense().transition == mdp.to_dense().transition).all()
    for name in ("reward", "initial", "mask", "gamma"):
        assert np.array_equal(getattr(back, name), getattr(mdp, name))
    assert load_mdp(path, 0.5).gamma == 0.5
    assert load_problem(path)[1] is None


def test_each_kind_of_source_is_recognised(tmp_path, write):
    qvbs = write_qvbs(tmp_path)
    files = write(tra=PRISM_TRA, lab=PRISM_LAB, srew=SREW, trew=TREW)
    assert load_problem(qvbs, gamma=0.5, objective="cost")[1] == "min"
    mdp = load_mdp(str(files["tra"]), 0.5, objective="goal")
    assert mdp.reward.tolist() == [[4, 5], [0, 0], [0, 0]]
    assert load_mdp("gym:CliffWalking-v1", 0.99).n_states == 49


@pytest.mark.parametrize("source", ["gym", "tra", "qvbs"])
def test_a_source_without_gamma_needs_one(tmp_path, write, source):
    sources = {
        "gym": "gym:FrozenLake-v1",
        "tra": write(tra=PRISM_TRA, srew=SREW)["tra"],
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
def test_what_is_no_source_is_one_error(spec):
    with pytest.raises(InputError) as caught:
        load_mdp(spec, 0.9)
    assert "\n" not in str(caught.value)
