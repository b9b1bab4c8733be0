"""An environment that fails stops its own seed, with a diagnosis, wherever it fails."""

import json
import sys

import gymnasium
import numpy as np
import pytest

from tests.support.deep import assert_same, metrics, small_run, train
from tests.support.envs import Dice, registered
from virel_deep.run.evaluate import evaluate_policy
from virel_deep.run.launch import train_bundle
from virel_deep.run.survey import bundles, survey

pytestmark = pytest.mark.mujoco


class Failing(Dice):
    """The environment of this number (as they are made) fails in the call `place`, the `at`-th time."""

    made, number, place, at, crash = 0, -1, "", 1, RuntimeError

    def __init__(self):
        super().__init__()
        self.mine, self.calls = Failing.made, {}
        Failing.made += 1
        self.fail_in("constructor")

    def fail_in(self, place):
        self.calls[place] = self.calls.get(place, 0) + 1
        if (self.mine, place, self.calls[place]) == (Failing.number, Failing.place, Failing.at):
            if Failing.crash is SystemExit:
                sys.exit(3)
            raise Failing.crash("the cable\nis loose")

    def reset(self, *, seed=None, options=None):
        self.fail_in("reset")
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.fail_in("step")
        return super().step(action)

    def close(self):
        self.fail_in("close")


@pytest.fixture
def failing(monkeypatch):
    """Arms `Failing`: which environment, in which call, at which time, and what it raises."""

    def arm(number, place, at=1, crash=RuntimeError):
        for name, value in (("made", 0), ("number", number), ("place", place), ("at", at), ("crash", crash)):
            monkeypatch.setattr(Failing, name, value)

    yield arm
    monkeypatch.undo()


# With two seeds, environments 0 and 1 are those of training; 2 and 3 play the evaluations at step 20.
PLACES = [
    (1, "constructor", 1, 0, "training: constructor", "it can't be made: RuntimeError: the cable is loose"),
    (1, "reset", 1, 0, "training: reset", "step 0: its reset() raised RuntimeError: the cable is loose"),
    (1, "reset", 3, None, "training: reset", "its reset() raised RuntimeError: the cable is loose"),
    (1, "step", 30, 30, "training: step", "step 30: its step() raised RuntimeError: the cable is loose"),
    (3, "constructor", 1, 20, "evaluation: constructor", "evaluation at step 20: "),
    (3, "reset", 1, 20, "evaluation: reset", "evaluation at step 20: "),
    (3, "step", 1, 20, "evaluation: step", "evaluation at step 20: "),
    (3, "close", 1, 20, "evaluation: close", "evaluation at step 20: "),
]


@pytest.mark.parametrize(("number", "place", "at", "step", "where", "detail"), PLACES)
@pytest.mark.parametrize("crash", [RuntimeError, SystemExit])
def test_a_seed_stops_with_a_diagnosis_and_the_other_goes_on(
    tmp_path, failing, number, place, at, step, where, detail, crash
):
    env, run = registered(Failing), tmp_path / "run"
    failing(number, place, at, crash)
    config = small_run(run, "sac", env, steps=40, seeds=(0, 1), eval_every=20)
    assert train_bundle(run, config, [0, 1], False, report=lambda *_: None) == 1
    failure = json.loads((run / "seed-1/failure.json").read_text())
    assert (failure["what"], failure["where"]) == ("environment", where)
    assert step is None or failure["step"] == step
    assert detail.replace("RuntimeError: the cable is loose", "") in failure["detail"]
    assert ("SystemExit: 3" if crash is SystemExit else "RuntimeError: the cable is loose") in failure[
        "detail"
    ]
    assert metrics(run / "seed-1")[-1]["what"] == "failed"
    assert json.loads((run / "seed-0/done.json").read_text()) == {"step": 40}
    assert not (run / "seed-0/failure.json").exists()
    failing(-1, "")
    sound = tmp_path / "sound"
    train(sound, small_run(sound, "sac", env, steps=40, seeds=(0,), eval_every=20))
    assert_same(run, sound, (0,))
    for seeds, resume in bundles(survey(run, config), 1):  # the seed is tried again
        assert train_bundle(run, config, seeds, resume, report=lambda *_: None) == 0
    assert not (run / "seed-1/failure.json").exists()
    assert (run / "seed-1/done.json").exists()


def test_a_training_environment_that_cannot_be_closed_is_told_and_loses_nothing(tmp_path, failing, capsys):
    env = registered(Failing)
    failing(0, "close")
    config = small_run(tmp_path, "sac", env, steps=40, seeds=(0, 1), eval_every=20)
    assert train_bundle(tmp_path, config, [0, 1], False, report=lambda *_: None) == 0
    assert "seed-0: fake/" in (said := capsys.readouterr().err)
    assert "its close() raised RuntimeError: the cable is loose; nothing is lost" in said
    for seed in (0, 1):
        assert (tmp_path / f"seed-{seed}/done.json").exists()
    assert metrics(tmp_path / "seed-0")[-1]["what"] == "not closed"


class Single(Dice):
    """A simulator of which only `most` may be open."""

    is_open, most = 0, 1

    def __init__(self):
        super().__init__()
        if Single.is_open >= Single.most:
            raise RuntimeError("only one may be open")
        Single.is_open += 1

    def close(self):
        Single.is_open -= 1


@pytest.mark.parametrize("most", [1, 2, 4])
def test_evaluation_plays_in_turn_where_fewer_environments_can_be_made(monkeypatch, most):
    monkeypatch.setattr(Single, "most", most)
    env, free = registered(Single), registered(Dice)
    still = lambda seen: np.zeros((len(seen), 1), np.float32)  # noqa: E731
    seed = np.random.SeedSequence(3)
    assert evaluate_policy(still, env, seed, 4) == evaluate_policy(still, free, seed, 4)
    assert Single.is_open == 0


def test_what_a_user_stops_is_not_a_failure_of_the_environment(tmp_path):
    class Stopped(Dice):
        def step(self, action):  # noqa: ARG002
            raise KeyboardInterrupt

    gymnasium.register("Stopped-v0", Stopped)
    config = small_run(tmp_path, "sac", "Stopped-v0", steps=40)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, config)
    assert not (tmp_path / "seed-0/failure.json").exists()
