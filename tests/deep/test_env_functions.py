"""Environments made by a function: where it is found, what the run folder records, who can continue."""

import sys
import threading

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.wrappers import TimeLimit

import virel_deep
from tests.support.envs import Dice
from virel_common.errors import InputError
from virel_deep import EnvSpec
from virel_deep.commands.results import main_evaluate
from virel_deep.commands.train import main_train
from virel_deep.data.functions import lent, specified
from virel_deep.data.making import make_env
from virel_deep.data.record import changes, record_of
from virel_deep.run.folder import read_config

SETTINGS = {"hidden": (8, 8), "data.warmup": 20, "data.batch": 16}
MODULE = """
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

def make(length=20, g=10.0, render_mode=None):
    return gymnasium.wrappers.TimeLimit(PendulumEnv(g=g, render_mode=render_mode), length)

class Makers:
    make = staticmethod(make)

gymnasium.register("taken", PendulumEnv)
def taken():
    raise AssertionError("the id that is registered comes first")

def nothing():
    return "an environment"

not_callable = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module beside the shell, under a name of its own."""
    name = f"made_{tmp_path.name.replace('-', '_')}"
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{name}.py").write_text(MODULE)
    yield name
    sys.modules.pop(name, None)
    gymnasium.registry.pop("taken", None)


def short(length=20):
    return gymnasium.wrappers.TimeLimit(PendulumEnv(), length)


def train(env, **more):
    given = {"steps": 40, "out": "run", "settings": SETTINGS, "eval_every": 40} | more
    return virel_deep.train("sac", env, **given)


def length_of(env):
    env.reset(seed=0)
    steps, over = 0, False
    while not over:
        over = env.step(env.action_space.sample())[3]
        steps += 1
    return steps


# --- what is found


@pytest.mark.parametrize("name", ["make", "Makers.make", "taken"])
def test_an_import_path_makes_an_environment(module, name):
    env = make_env(EnvSpec(f"{module}:{name}", max_episode_steps=None if "make" in name else 20))
    assert length_of(env) == 20
    assert isinstance(env.unwrapped, PendulumEnv)


def test_arguments_and_time_limit_reach_the_function(module):
    env = make_env(EnvSpec(f"{module}:make", {"g": 5.0}, max_episode_steps=7))
    assert (env.unwrapped.g, length_of(env)) == (5.0, 7)
    assert make_env(f"{module}:make", render_mode="rgb_array").render_mode == "rgb_array"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "must be a function that returns a Gymnasium environment; .* found 'str'"),
        ("not_callable", "must be a Gymnasium id; found"),
        ("absent", "must be a Gymnasium id; found"),
        ("make.absent", "must be a Gymnasium id"),
        ("Makers", "must be a function that returns"),
    ],
)
def test_what_makes_no_environment_is_one_line(module, name, said):
    with pytest.raises(InputError, match=said) as error:
        make_env(f"{module}:{name}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["__main__:make", "somewhere:<lambda>", "somewhere:outer.<locals>.make"])
def test_a_function_that_no_other_process_can_import_is_one_line(name):
    with pytest.raises(InputError, match=r"`env` must be found by its import path; .* continue from Python"):
        make_env(name)


def test_a_function_that_refuses_its_arguments_is_one_line(module):
    with pytest.raises(InputError, match="raised TypeError"):
        make_env(EnvSpec(f"{module}:make", {"colour": "red"}))


@pytest.mark.parametrize("env", [3, None, PendulumEnv(), ["Pendulum-v1"]])
def test_what_is_neither_id_nor_specification_nor_function_is_refused(env):
    with pytest.raises(InputError, match="`env` must be a Gymnasium id, an EnvSpec, or a function"):
        specified(env)


# --- runs


def test_a_run_of_a_modules_function_continues_on_the_command_line(module, capsys):
    make_env(f"{module}:make").close()  # finds and imports it
    run = train(sys.modules[module].make)
    assert read_config(run).env == f"{module}:make"
    assert main_train(["--resume", str(run), "--steps", "60"]) == 0
    assert main_evaluate([str(run), "--episodes", "1"]) == 0
    assert virel_deep.load_policy(run).step == 60
    assert "20.0" in capsys.readouterr().out  # mean length of an episode


def test_a_specification_is_recorded_whole(tmp_path):
    spec = EnvSpec("Pendulum-v1", {"g": 5.0}, max_episode_steps=10)
    run = train(spec, out=tmp_path / "run")
    assert read_config(run).env_specs == (spec,)
    assert virel_deep.evaluate(run, episodes=1)[0].episodes[0].length == 10


def test_a_module_that_was_edited_since_the_run_began_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "from gymnasium.envs.classic_control.pendulum import PendulumEnv\nclass Mine(PendulumEnv): ...\n"
    (tmp_path / "edited_since.py").write_text(text)
    env = make_env("edited_since:Mine")
    was = record_of(env)
    assert changes(was, record_of(env)) == []
    (tmp_path / "edited_since.py").write_text(f"{text}# another line\n")
    [said] = changes(was, record_of(env))
    assert said.startswith(f"the environment's source changed from '{was['source']}' to ")


def local():
    def make():
        return short(20)

    return make


class Maker:
    def __call__(self):
        return short(20)


FUNCTIONS = {"lambda": lambda: short(20), "local": local(), "instance": Maker()}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_a_function_without_an_import_path_works_here_and_the_shell_says_why_it_cannot(
    tmp_path, capsys, kind
):
    make, folder = FUNCTIONS[kind], tmp_path / "run"
    run = train(make, out=folder)
    assert "<" in read_config(run).env
    capsys.readouterr()
    for command in (main_train, main_evaluate):
        argv = ["--resume", str(run), "--steps", "60"] if command is main_train else [str(run)]
        assert command(argv) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "continue from Python, with `env=` that function" in said
    with pytest.raises(InputError, match="continue from Python"):
        virel_deep.load_policy(run)
    assert virel_deep.resume(run, steps=60, env=make) == folder
    assert virel_deep.load_policy(run, env=make).step == 60
    assert virel_deep.evaluate(run, episodes=1, env=make)[0].episodes[0].length == 20


def test_several_jobs_need_a_function_that_they_can_import(tmp_path):
    with pytest.raises(InputError, match="`jobs` must be 1 for an environment whose function"):
        train(FUNCTIONS["lambda"], out=tmp_path / "run", jobs=2)
    assert list(tmp_path.iterdir()) == []


def test_another_function_than_before_is_said(tmp_path, capsys):
    run = train(FUNCTIONS["lambda"], out=tmp_path / "run")
    capsys.readouterr()
    virel_deep.resume(run, steps=60, env=short)
    assert "its environment is now made by" in capsys.readouterr().err
    with pytest.raises(InputError, match="`env` must be a function"):
        virel_deep.resume(run, env="Pendulum-v1")


def test_two_threads_do_not_exchange_their_functions_of_one_name():
    barrier, lengths = threading.Barrier(2), {}

    def make_in_a_thread(length):
        with lent("a:<lambda>", lambda: short(length)):
            barrier.wait()
            lengths[length] = length_of(make_env("a:<lambda>"))
            barrier.wait()

    threads = [threading.Thread(target=make_in_a_thread, args=(length,)) for length in (3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == {3: 3, 5: 5}
    with pytest.raises(InputError):
        make_env("a:<lambda>")


# --- acting


@pytest.mark.parametrize("preset", ["sac", "td3", "mpo"])
def test_exploring_is_that_of_training_and_repeats_from_its_seed(tmp_path, preset):
    settings = SETTINGS | ({"posterior.samples": 2} if preset == "mpo" else {})
    run = virel_deep.train(preset, "Pendulum-v1", steps=40, out=tmp_path / "run", settings=settings)
    one, two, other = (virel_deep.load_policy(run, noise_seed=seed) for seed in (0, 0, 1))
    observation = np.array([0.5, 0.1, -1.0], np.float32)
    first = one.act(observation, deterministic=False)
    assert first.shape == (1,)
    many = one.act(np.tile(observation, (2000, 1)), deterministic=False)
    np.testing.assert_array_equal(two.act(observation, deterministic=False), first)
    assert not np.array_equal(other.act(observation, deterministic=False), first)
    # In Pendulum's [-2, 2], exploring is 2 tanh(mean + deviation e), or 2 (tanh(mean) + 0.1 e), clipped.
    policy = one._state["policy"]
    hidden = observation
    for i in range(2):
        hidden = np.maximum(
            hidden @ np.asarray(policy[f"{i}.weight"][0]) + np.asarray(policy[f"{i}.bias"][0, 0]), 0
        )
    out = hidden @ np.asarray(policy["2.weight"][0]) + np.asarray(policy["2.bias"][0, 0])
    if preset == "td3":
        mean, deviation, sample = np.tanh(out[0]), 0.1, many / 2
    else:
        mean, deviation, sample = out[0], np.exp(out[1]), np.arctanh(many / 2)
    # Mean and deviation of 2000 draws: five standard errors, deviation / sqrt(2000) and / sqrt(4000).
    assert abs(sample.mean() - mean) < 5 * deviation / 2000**0.5
    assert abs(sample.std() / deviation - 1) < 5 / 4000**0.5
    np.testing.assert_allclose(one.act(observation), 2 * np.tanh(out[:1]), rtol=1e-5)


def test_a_function_that_gives_one_environment_again_and_again_is_refused(tmp_path):
    shared, own = PendulumEnv(), Dice()
    for one in (lambda: shared, lambda: own, lambda: TimeLimit(shared, 20), lambda: TimeLimit(own, 20)):
        with pytest.raises(
            InputError, match="it gave the same environment twice; make a new one at each call"
        ):
            virel_deep.train("sac", one, steps=40, out=tmp_path / "run", settings=SETTINGS)
        assert list(tmp_path.iterdir()) == []


class Unclosed(PendulumEnv):
    """Can't be closed."""

    def close(self):
        raise RuntimeError("it is stuck")


def test_an_environment_that_cannot_be_closed_hides_no_policy(tmp_path):
    run = train(short, steps=20, out=tmp_path / "run")
    assert virel_deep.load_policy(run, env=Unclosed).step == 20
