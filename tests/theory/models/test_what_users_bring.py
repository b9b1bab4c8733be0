"""Files and environments as users have them: each kind of a reported fault, with its neighbours."""

import copy
import dataclasses
import gzip
import multiprocessing
import os
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.toy_text.cliffwalking import CliffWalkingEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

from virel_common.errors import InputError
from virel_theory import TabularMDP, from_gymnasium, garnet, load_mdp, load_problem, solve, solve_batch
from virel_theory.cli import main_solve

TRA = "2 2 3\n0 0 0 0.25\n0 0 1 0.75\n1 0 1 1\n"
SREW = "2 1\n0 1\n"


def write(folder, **texts):
    for name, text in texts.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder / "m.tra"


# Model files


@pytest.mark.parametrize(
    "lab",
    [
        '# Labels\n0="init" 1="goal"\n0: 0\n1: 1\n',
        '// written by hand\n0="init" 1="goal"\n0: 0\n1: 1\n',
        '# one\n# two\n\n0="init" 1="goal"\n0: 0\n# between\n1: 1\n',
        '\ufeff0="init" 1="goal"\n0: 0\n1: 1\n',
        "#DECLARATION\ninit goal\n#END\n0 init\n1 goal\n",
        "# by Storm\n#DECLARATION\ninit goal\n#END\n0 init\n1 goal\n",
    ],
)
def test_labels_may_have_comments_and_a_byte_order_mark(tmp_path, lab):
    tra = write(tmp_path, m_tra=TRA, m_lab=lab, m_srew=SREW)
    assert load_mdp(tra, 0.5, objective="goal").initial.tolist() == [1, 0]


@pytest.mark.parametrize("third", ["1/3", "0.3333333333333333", "2/6", "3.333333333333333e-1"])
def test_probabilities_may_be_exact_fractions(tmp_path, third):
    tra = write(tmp_path, m_tra=f"2 3\n0 0 {third}\n0 1 2/3\n1 1 1\n", m_srew="2 1\n0 1/2\n")
    mdp = load_mdp(tra, 0.9)
    np.testing.assert_allclose(mdp.dense_transition[0, 0], [1 / 3, 2 / 3], rtol=1e-15)
    assert mdp.reward[0, 0] == 0.5


@pytest.mark.parametrize("word", ["1/0", "1/x", "/3", "inf", "1/3/2"])
def test_broken_numbers_are_refused_with_their_line(tmp_path, word):
    tra = write(tmp_path, m_tra=f"2 3\n0 0 {word}\n0 1 2/3\n1 1 1\n", m_srew=SREW)
    with pytest.raises(InputError, match="line 2` must hold a finite number here"):
        load_mdp(tra, 0.9)


@pytest.mark.parametrize("head", ["# Transitions (CTMC)\n", "ctmc\n", "// (CTMC)\n", "ma\n"])
def test_models_in_continuous_time_are_refused_by_their_head(tmp_path, head):
    tra = write(tmp_path, m_tra=head + "2 3\n0 0 2\n0 1 4\n1 1 1\n", m_srew=SREW)
    with pytest.raises(InputError, match="in discrete time"):
        load_mdp(tra, 0.9)


@pytest.mark.parametrize("zipped", [("m.tra",), ("m.srew",), ("m.tra", "m.srew")])
def test_files_may_be_compressed(tmp_path, zipped):
    write(tmp_path, m_tra=TRA, m_srew=SREW)
    plain = load_mdp(tmp_path / "m.tra", 0.5)
    for name in zipped:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    found = load_mdp(tmp_path / ("m.tra.gz" if "m.tra" in zipped else "m.tra"), 0.5)
    np.testing.assert_array_equal(found.reward, plain.reward)


def test_a_file_that_only_claims_to_be_compressed_is_refused(tmp_path):
    write(tmp_path, m_srew=SREW)
    (tmp_path / "m.tra.gz").write_text(TRA)
    with pytest.raises(InputError, match="must be a gzip file, as its name says"):
        load_mdp(tmp_path / "m.tra.gz", 0.5)


def test_a_single_numbered_reward_structure_is_read_and_several_ask_which(tmp_path):
    tra = write(tmp_path, m_tra=TRA, m1_srew=SREW)
    assert load_mdp(tra, 0.5).reward[0, 0] == 1
    write(tmp_path, m2_srew="2 1\n0 7\n")
    with pytest.raises(InputError, match="must have one reward structure beside it"):
        load_mdp(tra, 0.5)
    write(tmp_path, m_srew="2 1\n0 9\n")
    assert load_mdp(tra, 0.5).reward[0, 0] == 9


def test_an_empty_reward_file_is_an_error(tmp_path):
    tra = write(tmp_path, m_tra=TRA, m_srew="# nothing\n")
    with pytest.raises(InputError, match="must hold rewards"):
        load_mdp(tra, 0.5)


# Discounts of stored MDPs


@pytest.mark.parametrize(
    "stored", [{}, {"gamma": 1.0}, {"gamma": -1.0}, {"gamma": 0.9}, {"gamma": [0.1, 0.2]}]
)
def test_a_given_discount_takes_the_place_of_the_stored_one(tmp_path, stored):
    path = tmp_path / "m.npz"
    np.savez(path, transition=np.ones((1, 1, 1)), reward=np.ones((1, 1)), **stored)
    np.testing.assert_allclose(solve(load_mdp(path, 0.5), atol=1e-9).value, 2.0)
    assert load_problem(path, gamma=0.25)[0].gamma == 0.25
    if stored != {"gamma": 0.9}:
        with pytest.raises(InputError, match="gamma"):
            TabularMDP.load(path)


# Gymnasium


class Doubled(gymnasium.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


class TimeLimit(gymnasium.Wrapper):
    """Not Gymnasium's: it ends every episode at once, and is none the less for its name."""

    def step(self, action):
        return *self.env.step(action)[:2], True, False, {}


class Windy(FrozenLakeEnv):
    def step(self, action):
        return super().step((action + 1) % 4)


class Elsewhere(CliffWalkingEnv):
    def reset(self, **options):
        out = super().reset(**options)
        self.s = 3
        return out


def patched():
    env = gymnasium.make("FrozenLake-v1").unwrapped
    env.step = lambda _: (0, 1.0, True, False, {})
    return env


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: gymnasium.make("Taxi-v4", fickle_passenger=True), "fickle_passenger"),
        (lambda: Doubled(gymnasium.make("FrozenLake-v1")), "Doubled"),
        (lambda: gymnasium.wrappers.TransformReward(gymnasium.make("FrozenLake-v1"), abs), "TransformReward"),
        (lambda: gymnasium.wrappers.StickyAction(gymnasium.make("FrozenLake-v1"), 0.5), "StickyAction"),
        (lambda: gymnasium.wrappers.ClipReward(gymnasium.make("Taxi-v4"), 0, 1), "ClipReward"),
        (lambda: gymnasium.wrappers.NormalizeReward(gymnasium.make("Taxi-v4")), "NormalizeReward"),
        (lambda: gymnasium.wrappers.TimeLimit(Doubled(gymnasium.make("Taxi-v4")), 9), "Doubled"),
        (lambda: TimeLimit(gymnasium.make("FrozenLake-v1")), "TimeLimit"),
        (Windy, "Windy.step"),
        (lambda: gymnasium.wrappers.TimeLimit(Windy(), 9), "Windy.step"),
        (Elsewhere, "Elsewhere.reset"),
        (patched, "FrozenLakeEnv.step"),
    ],
    ids=range(12),
)
def test_what_the_table_does_not_tell_is_refused(make, named):
    with pytest.raises(InputError, match=named):
        from_gymnasium(make(), gamma=0.9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Taxi-v4", {"is_rainy": True}),
        ("Taxi-v4", {"is_rainy": True, "rainy_probability": 0.5}),
        ("FrozenLake-v1", {"is_slippery": False}),
        ("FrozenLake-v1", {"success_rate": 0.7, "reward_schedule": (5, -1, 0.25)}),
        ("FrozenLake-v1", {"desc": ["SFH", "FFG"], "map_name": None}),
        ("CliffWalking-v1", {"is_slippery": True}),
        ("CliffWalking-v1", {"max_episode_steps": 3}),
    ],
)
def test_options_that_the_table_tells_give_the_steps_of_the_environment(name, options):
    env = gymnasium.make(name, **options)
    mdp = from_gymnasium(env, gamma=0.9)
    raw, rng = env.unwrapped, np.random.default_rng(0)
    raw.reset(seed=0)
    assert mdp.initial[raw.s] > 0
    for _ in range(400):  # each step has a positive probability, and its reward if it is sure
        raw.s, action = int(rng.integers(len(raw.P))), int(rng.integers(mdp.n_actions))
        state = raw.s
        successor, reward, terminated, *_ = raw.step(action)
        successor = mdp.n_states - 1 if terminated else successor
        assert mdp.dense_transition[state, action, successor] > 0
        if len(raw.P[state][action]) == 1:
            assert mdp.reward[state, action] == pytest.approx(reward, abs=1e-12)


def test_harmless_wrappers_and_the_environment_below_are_read():
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("FrozenLake-v1"))
    wanted = from_gymnasium("FrozenLake-v1", gamma=0.9)
    for given in (env, Doubled(gymnasium.make("FrozenLake-v1")).unwrapped):
        np.testing.assert_array_equal(from_gymnasium(given, gamma=0.9).reward, wanted.reward)


def test_the_start_of_older_environments_is_read():
    env = gymnasium.make("FrozenLake-v1").unwrapped
    start = np.eye(16)[3]
    del env.initial_state_distrib
    env.isd = start
    assert from_gymnasium(env, gamma=0.9).initial[:16].tolist() == start.tolist()


def test_arguments_of_the_environment_come_from_the_command_line(capsys):
    args = ["gym:FrozenLake-v1", "--gamma", "0.5", "--env-arg", "is_slippery=false", "map_name=8x8"]
    assert main_solve(args) == 0
    assert "65 states" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("spec", "args", "named"),
    [
        ("gym:FrozenLake-v1", ["slip=1"], "unexpected keyword argument"),
        ("gym:FrozenLake-v1", ["is_slippery"], "must be NAME=VALUE"),
        ("gym:FrozenLake-v1", ["a=1", "a=2"], "each name once"),
        ("m.npz", ["a=1"], "not a Gymnasium environment"),
    ],
)
def test_bad_arguments_of_an_environment_are_one_line(tmp_path, monkeypatch, capsys, spec, args, named):
    monkeypatch.chdir(tmp_path)
    TabularMDP([[[1.0]]], [[1.0]], 0.5).save("m.npz")
    assert main_solve([spec, "--gamma", "0.5", "--env-arg", *args]) == 2
    assert named in capsys.readouterr().err


# Scalars, permissions, copies, forks

MDP = TabularMDP([[[1.0]]], [[1.0]], 0.5)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "copied",
    [
        copy.copy,
        copy.deepcopy,
        lambda mdp: pickle.loads(pickle.dumps(mdp)),
        lambda mdp: pickle.loads(pickle.dumps([mdp], protocol=2))[0],
        dataclasses.replace,
    ],
    ids=["copy", "deepcopy", "pickle", "old pickle", "replace"],
)
def test_copies_are_read_only_and_equal(copied, sparse):
    mdp = garnet(4, 2, 2, gamma=0.9, rng=np.random.default_rng(0), missing=0.5, sparse=sparse)
    found = copied(mdp)
    parts = [found.reward, found.initial, found.mask]
    parts += (
        [getattr(found.transition, k) for k in ("data", "indices", "indptr")]
        if sparse
        else [found.transition]
    )
    assert not any(part.flags.writeable for part in parts)
    with pytest.raises(ValueError, match="read-only"):
        found.reward[0, 0] = 1.0
    np.testing.assert_array_equal(found.dense_transition, mdp.dense_transition)
    for name in ("reward", "initial", "mask", "gamma"):
        np.testing.assert_array_equal(getattr(found, name), getattr(mdp, name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("atol", "1e-8"),
        ("atol", None),
        ("atol", np.array([1e-8])),
        ("rtol", None),
        ("rtol", [0.1]),
        ("max_steps", 1e4),
        ("max_steps", "3"),
        ("max_steps", True),
        ("method", ["vi"]),
        ("sense", ["max"]),
        ("mdp", "gym:FrozenLake-v1"),
    ],
)
def test_scalars_of_the_wrong_type_are_one_error(name, value):
    given = {"mdp": MDP, "atol": 1e-8} | {name: value}
    with pytest.raises(InputError, match=f"`{name}` must be"):
        solve(given.pop("mdp"), **given)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_respect_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        MDP.save(tmp_path / "m.npz")
        assert main_solve([str(tmp_path / "m.npz"), "--out", str(tmp_path / "o.npz")]) == 0
    finally:
        os.umask(before)
    for name in ("m.npz", "o.npz"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o666 & ~mask


def _batch(_):
    return solve_batch(np.ones((3, 1, 1, 1)), np.ones((3, 1, 1)), 0.5, atol=1e-9).value.ravel().tolist()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_answers_after_a_parallel_kernel_ran_in_its_parent():
    assert _batch(0) == [2.0] * 3
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_batch, [0, 1]).get(60) == [[2.0] * 3] * 2
