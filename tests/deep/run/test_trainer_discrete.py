"""Runs in environments with discrete actions: exact resume, warm-up, what fails, what is refused."""

import numpy as np
import pytest

import virel_deep
from tests.support.deep import assert_same, metrics, replay_rows, small_run, train
from tests.support.envs import Walk, registered
from virel_common.errors import InputError
from virel_deep.run.folder import seed_folder
from virel_deep.run.policy import load_policy
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

CARTPOLE = "CartPole-v1"


@pytest.mark.parametrize(
    ("preset", "until", "settings", "config"),
    [
        ("sac", 70, {}, {"copies": 2}),
        ("beta", 31, {}, {}),
        ("mpo", 51, {"value.steps": 3, "target_period": 5}, {}),
        ("mpo-parametric", 50, {"value.steps": 2, "target_period": 5}, {"copies": 2}),
        ("sql", 51, {"target_period": 5}, {}),
        ("vmpo", 50, {"data.length": 9, "data.epochs": 2, "target_period": 2}, {"copies": 2}),
        ("erpg", 37, {"data.length": 10}, {}),
    ],
)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, preset, until, settings, config):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    more = {"settings": settings, "discrete": True, "seeds": (0, 1), "steps": 90, **config}
    for run in (whole, parts):
        config_ = small_run(run, preset, CARTPOLE, **more)
    train(whole, config_)
    train(parts, config_, until=until)
    train(parts, config_, (1,), resume=True)  # the seeds are grouped anew
    train(parts, config_, (0,), resume=True)
    assert_same(parts, whole, (0, 1))
    assert {row["kind"] for row in metrics(whole / "seed-0")} >= {"train", "eval", "episode"}


def test_observations_and_actions_in_the_replay_are_one_hot_and_warm_up_takes_both_actions(tmp_path):
    env = registered(Walk, max_episode_steps=8)
    config = small_run(tmp_path, "sac", env, steps=200, settings={"data.warmup": 100}, discrete=True)
    train(tmp_path, config)
    observation, action, following, reward, _ = replay_rows(tmp_path)
    for rows in (observation, action, following):
        assert (rows.sum(1) == 1).all()
        assert set(np.unique(rows)) == {0, 1}
    assert (reward[:, 0] == following[:, 4]).all()  # 1 at the last number, 6
    # 100 fair coins: 20 are 4 standard deviations.
    assert abs(action[:100, 0].sum() - 50) <= 20
    chosen = load_policy(tmp_path, 0).act(np.eye(5, dtype=np.float32))
    assert chosen.sum(1).tolist() == [1] * 5
    policy = virel_deep.load_policy(tmp_path)  # in the environment's own numbers
    numbers = policy.act(np.arange(2, 7))
    assert numbers.tolist() == (chosen.argmax(1) - 1).tolist()
    assert policy.act(4) == numbers[2]
    assert (policy.act(4).dtype, np.shape(policy.act(4))) == (np.int64, ())
    for wrong, message in (
        (7, "an observation is 7; it must be from 2 to 6"),
        (np.eye(5), r"must be a number, or have shape \[N\] with N at least 1; found \(5, 5\)"),
        (np.nan, "must be finite"),
    ):
        with pytest.raises(InputError, match=f"`observation`.*{message}"):
            policy.act(wrong)


def test_retrace_keeps_the_log_probability_that_an_action_was_drawn_with(tmp_path):
    settings = {"value.steps": 2, "data.warmup": 30}
    train(tmp_path, small_run(tmp_path, "mpo", CARTPOLE, steps=40, settings=settings, discrete=True))
    log_density = load(seed_folder(tmp_path, 0) / "checkpoints").rows.data[:, -1]
    np.testing.assert_allclose(log_density[:30], -np.log(2), rtol=1e-6)  # uniform during warm-up
    assert (log_density[30:] < 0).all()
    assert len(np.unique(log_density[30:])) > 1


def test_a_policy_whose_outputs_are_not_finite_fails_instead_of_taking_the_first_action(tmp_path):
    config = small_run(tmp_path, "sac", CARTPOLE, steps=60, discrete=True)
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    while trainer.step < 30:
        trainer.advance(lambda *_: None)
    trainer.agent.policy.flat.fill_(float("nan"))
    trainer.advance(lambda *_: None)
    trainer.close()
    assert trainer.failed == [0]
    failure = (tmp_path / "seed-0/failure.json").read_text()
    assert "the policy's action is not finite at step 31: [[NaN" in failure.replace("nan", "NaN")


@pytest.mark.parametrize(
    ("env", "discrete", "message"),
    [
        (CARTPOLE, False, "for the discrete actions of CartPole-v1; found 'tanh-gaussian'"),
        ("Pendulum-v1", True, "for the continuous actions of Pendulum-v1; found 'categorical'"),
    ],
)
def test_a_posterior_for_other_actions_is_refused_in_one_line(tmp_path, env, discrete, message):
    config = small_run(tmp_path, "sac", env, steps=60, discrete=discrete)
    with pytest.raises(InputError, match=f"`posterior` must be one of .* {message}") as caught:
        Trainer(tmp_path, config, (0,), resume=False)
    assert "\n" not in str(caught.value)
