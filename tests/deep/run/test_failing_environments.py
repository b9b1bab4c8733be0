"""An environment that fails stops its own seed, with a diagnosis, wherever it fails."""

import json
import sys

import gymnasium
import numpy as np
import pytest

from tests.support.deep import assert_same, metrics, small_run, train
from tests.support.envs import Dice, registered
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.replay import Columns
from virel_deep.design.environment import EnvSpec
from virel_deep.run.evaluate import evaluate_policy
from virel_deep.run.launch import train_bundle
from virel_deep.run.survey import bundles, survey
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

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


ALONE = {"settings": {"value.steps": 3, "posterior.samples": 4}, "eval_every": 20}
"""Settings of a run whose replay is read in windows, so that it keeps where episodes end."""


@pytest.mark.parametrize(("most", "seeds"), [(1, (0,)), (2, (0, 1))])
def test_where_no_second_environment_can_be_made_evaluations_play_in_that_of_training(
    tmp_path, monkeypatch, capsys, most, seeds
):
    monkeypatch.setattr(Single, "most", most)
    run, free = tmp_path / "run", tmp_path / "free"
    config = small_run(run, "mpo", registered(Single), steps=40, seeds=seeds, eval_episodes=3, **ALONE)
    train(run, config)
    said = capsys.readouterr().err.splitlines()
    reason = "it can't be made: RuntimeError: only one may be open"
    assert [line.startswith(f"note: seed-{seed}: evaluations") for seed, line in enumerate(said)] == [
        True
    ] * len(seeds)
    assert all(line.endswith(reason) for line in said)
    assert Single.is_open == 0
    other = small_run(free, "mpo", registered(Dice), steps=40, seeds=seeds, eval_episodes=3, **ALONE)
    train(free, other)
    for seed in seeds:
        rows, wanted = (metrics(folder / f"seed-{seed}") for folder in (run, free))
        evaluations = [[row for row in one if row["kind"] == "eval"] for one in (rows, wanted)]
        assert evaluations[0][0] == evaluations[1][0]  # the same episodes, whichever environment plays them
        assert [row["step"] for row in evaluations[0]] == [20, 40]
        assert [row["what"] for row in rows if row["kind"] == "event"] == ["one environment"]
        loaded = load(run / f"seed-{seed}/checkpoints")
        truncated = loaded.rows.data[:, Columns.of(2, 1, config.algorithm.value.tails).truncated]
        # Dice is never truncated: what is marked are the steps at which an evaluation took its environment.
        assert np.flatnonzero(truncated).tolist() == loaded.state["cuts"] == [19, 39]


def test_another_environment_for_evaluations_that_cannot_be_made_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(Single, "most", 0)
    run = tmp_path / "run"
    config = small_run(run, "sac", registered(Dice), steps=40, eval_env=registered(Single), eval_every=20)
    train(run, config)
    assert json.loads((run / "seed-0/failure.json").read_text())["where"] == "evaluation: constructor"


@pytest.mark.parametrize("copies", [1, 2])
def test_no_window_of_rows_crosses_a_restart(tmp_path, copies):
    sizes = {"copies": copies, "log_every": 20, "eval_every": 40, "checkpoint_every": 20}
    config = small_run(tmp_path, "mpo", registered(Dice), steps=80, settings=ALONE["settings"], **sizes)
    column = Columns.of(2, 1, config.algorithm.value.tails).truncated
    train(tmp_path, config, until=20)
    cut = list(range(20 - copies, 20))
    trainer = Trainer(tmp_path, config, (0,), resume=True)
    while trainer.step < 40:
        trainer.advance(lambda *_: None)
    assert np.flatnonzero(trainer.replay.rows[0][:40, column].numpy()).tolist() == cut
    trainer.save()
    trainer.close()
    # The rows on the disk were written before the restart; the second one still knows of the first.
    trainer = Trainer(tmp_path, config, (0,), resume=True)
    again = [*cut, *range(40 - copies, 40)]
    assert np.flatnonzero(trainer.replay.rows[0][:40, column].numpy()).tolist() == again
    assert trainer.runs[0].cuts == again
    trainer.close()


def test_what_a_user_stops_is_not_a_failure_of_the_environment(tmp_path):
    class Stopped(Dice):
        def step(self, action):  # noqa: ARG002
            raise KeyboardInterrupt

    gymnasium.register("Stopped-v0", Stopped)
    config = small_run(tmp_path, "sac", "Stopped-v0", steps=40)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, config)
    assert not (tmp_path / "seed-0/failure.json").exists()


class Broken(Dice):
    """Fails in the place that it is told."""

    def __init__(self, place=""):
        super().__init__()
        self.place = place
        self.fail_in("constructor")

    def fail_in(self, place):
        if self.place == place:
            raise RuntimeError("no fuel")

    def reset(self, *, seed=None, options=None):
        self.fail_in("reset")
        return super().reset(seed=seed, options=options)

    def step(self, action):
        self.fail_in("step")
        seen, reward, *rest = super().step(action)
        shown = {"text": (["a", "b"], reward), "nan": (seen * np.nan, reward), "reward": (seen, np.nan)}
        return *shown.get(self.place, (seen, reward)), *rest

    def close(self):
        self.fail_in("close")


PLACES = ("constructor", "reset", "step", "close", "text", "nan", "reward")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_failure_names_the_environment_of_the_task_that_failed(place, number):
    sound, broken = registered(Broken), registered(Broken, place=place)
    ids = [broken if i == number else sound for i in range(3)]

    def played():
        envs = SeedEnvs([EnvSpec(x, task=(i, 3)) for i, x in enumerate(ids)], 3, np.random.SeedSequence(0))
        envs.step(np.zeros((3, 1), np.float32))
        envs.close()

    with pytest.raises(EnvironmentFailure, match=f"^{broken}[,:] "):
        played()


def test_a_simulation_that_diverges_names_its_environment():
    ids = ("InvertedPendulum-v5", "HalfCheetah-v5")
    specs = [EnvSpec(x, task=(i, 2)) for i, x in enumerate(ids)]
    envs = SeedEnvs([specs[0], specs[0]], 2, np.random.SeedSequence(0))
    envs._guarded._tasks = specs
    envs._envs[1].unwrapped.data.qvel[:] = 1e20
    with pytest.raises(EnvironmentFailure, match=r"^HalfCheetah-v5, step 1: the simulation diverged"):
        envs.step(np.zeros((2, 1), np.float32))
    envs.close()
