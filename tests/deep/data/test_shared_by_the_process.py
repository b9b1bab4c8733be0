"""An environment leaves working directory and torch's default number type as it finds them, or is refused."""

import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

import virel_deep
from tests.support.deep import default_dtype, small_run
from tests.support.envs import registered
from virel_common.errors import InputError
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.global_generators import Disturbed, GlobalGenerators, undisturbed
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.making import close_quietly
from virel_deep.run.launch import train_bundle

SETTINGS = {"hidden": (8, 8), "data.warmup": 20, "data.batch": 16}
ELSEWHERE = "the working directory from '.*' to '.*/elsewhere': let it use absolute paths"
DOUBLE = r"torch's default dtype from torch.float32 to torch.float64: let it name `dtype=`"
STILL = np.zeros((1, 1), np.float32)


class Changes(gymnasium.Env):
    """Changes in the call `place` what the process shares; returns it in the same call if `back`."""

    observation_space, action_space = Box(-9, 9, (1,)), Box(-1, 1, (1,))

    def __init__(self, place="", folder=None, back=False):
        self.place, self.folder, self.back = place, folder, back
        self.disturb("constructor")

    def disturb(self, place):
        before = Path.cwd(), torch.get_default_dtype()
        if place == self.place and self.folder is not None:
            os.chdir(self.folder)
        elif place == self.place:
            torch.set_default_dtype(torch.float64)
        if self.back:
            os.chdir(before[0])
            torch.set_default_dtype(before[1])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.disturb("reset")
        return np.zeros(1, np.float32), {}

    def step(self, action):  # noqa: ARG002
        self.disturb("step")
        return np.zeros(1, np.float32), 1.0, False, False, {}

    def close(self):
        self.disturb("close")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Working directory of the run, beside the folder `elsewhere`."""
    for name in ("home", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "home")
    with default_dtype(torch.float32):
        yield tmp_path / "home"


def changes(place, what, home, **settings):
    folder = str(home.parent / "elsewhere") if what == "folder" else None
    return registered(Changes, max_episode_steps=9, place=place, folder=folder, **settings)


def unchanged(home):
    return Path.cwd() == home and torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(("what", "named"), [("folder", ELSEWHERE), ("dtype", DOUBLE)])
@pytest.mark.parametrize("place", ["constructor", "reset", "step"])
def test_a_change_is_refused_before_anything_is_written(home, place, what, named):
    with pytest.raises(InputError, match=f"^`env` must be an environment that .*it changed {named}"):
        virel_deep.train("sac", changes(place, what, home), steps=20, out="run", settings=SETTINGS)
    assert unchanged(home)
    assert [*home.iterdir(), *(home.parent / "elsewhere").iterdir()] == []


@pytest.mark.parametrize("what", ["folder", "dtype"])
def test_what_is_put_back_in_the_same_call_or_changed_by_close_disturbs_nobody(home, what):
    for settings in ({"place": "step", "back": True}, {"place": "constructor", "back": True}):
        env = changes(settings.pop("place"), what, home, **settings)
        run = virel_deep.train("sac", env, steps=20, out=f"run-{env[6:]}", settings=SETTINGS)
        assert (home / run / "seed-0/checkpoints").is_dir()
    close_quietly(gymnasium.make(changes("close", what, home)))
    assert unchanged(home)


@pytest.mark.parametrize(
    ("place", "what", "named"),
    [("reset", "folder", ELSEWHERE), ("reset", "dtype", DOUBLE), ("step", "dtype", DOUBLE)],
)
def test_one_that_was_taken_and_changes_later_fails_in_one_line(home, place, what, named):
    env = changes(place, what, home)
    with pytest.raises(EnvironmentFailure, match=f"^{env}, step .: it changed {named}"):
        SeedEnvs(env, 1, np.random.SeedSequence(0)).step(STILL)
    assert unchanged(home)


@pytest.mark.parametrize("what", ["folder", "dtype"])
def test_a_close_that_changes_something_is_said(home, what):
    envs = SeedEnvs(changes("close", what, home), 1, np.random.SeedSequence(0))
    with pytest.raises(EnvironmentFailure, match=r"its close\(\) raised Disturbed: it changed"):
        envs.close()
    assert unchanged(home)


def fail():
    torch.set_default_dtype(torch.float64)
    raise ZeroDivisionError


def test_an_error_of_the_block_itself_is_not_hidden(home):
    for block in (undisturbed(), GlobalGenerators(np.random.SeedSequence(0)).lent()):
        with pytest.raises(ZeroDivisionError), block:
            fail()
    assert unchanged(home)


def test_a_working_directory_that_is_removed_is_no_error_of_its_own(home):
    (home / "gone").mkdir()
    os.chdir(home / "gone")
    (home / "gone").rmdir()
    with undisturbed():
        pass
    with pytest.raises(Disturbed, match=r"from '' to '.*/home'"), undisturbed():
        os.chdir(home)


def test_training_is_refused_where_the_program_has_another_default_dtype(home, capsys):
    config = small_run(home / "run", "sac", "Pendulum-v1", steps=20)
    rule = r"`torch.get_default_dtype\(\)` must be torch.float32; call .*; found torch.float64"
    with default_dtype(torch.float64):
        with pytest.raises(InputError, match=rule):
            virel_deep.train("sac", "Pendulum-v1", steps=20, out="other", settings=SETTINGS)
        assert train_bundle(home / "run", config, [0], False, report=lambda *_: None) == 1
    assert "must be torch.float32" in capsys.readouterr().err
    assert not (home / "other").exists()
    assert not (home / "run/seed-0/checkpoints").exists()


def test_a_callback_that_changes_the_working_directory_moves_no_file(home):
    def leave(*_):
        os.chdir(home.parent / "elsewhere")

    options = {"eval_every": 20, "checkpoint_every": 20, "on_evaluation": leave, "settings": SETTINGS}
    run = virel_deep.train("sac", "Pendulum-v1", steps=60, out="run", **options)
    assert list((home.parent / "elsewhere").iterdir()) == []
    assert (home / run / "seed-0/done.json").is_file()
