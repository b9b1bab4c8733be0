"""What a training loop collects, updates, logs and saves."""

import numpy as np
import pytest
import torch

from tests.support.deep import (
    agent_of,
    metrics,
    quiet,
    replay_rows,
    small_run,
    train,
)
from tests.support.envs import Script, registered
from virel_deep.run.trainer import Trainer
from virel_deep.streams import generator

PENDULUM = "InvertedPendulum-v5"
STEPS = 120

pytestmark = pytest.mark.mujoco


# --- what is collected and updated


def test_warm_up_actions_are_uniform_draws_and_later_ones_the_policy_s(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=21, seeds=(5,))
    train(tmp_path, config)
    observation, action, *_ = replay_rows(tmp_path, 5)
    acting = generator(5, "acting")
    uniform = torch.cat([torch.rand(1, 1, generator=acting) * 2 - 1 for _ in range(20)])
    assert np.array_equal(action[:20], uniform.numpy())
    untrained = agent_of(config.algorithm, 4, 1, (5,))  # no update before the warm-up is over
    policy = untrained.act(observation[20][None, None], torch.randn(1, 1, 1, generator=acting).numpy())
    assert np.array_equal(action[20:], policy[0])


@pytest.mark.parametrize(
    ("copies", "warmup", "updates", "more"),
    [
        (1, 20, 40, {}),
        (2, 20, 40, {}),
        (4, 20, 40, {}),
        (1, 0, 45, {}),
        (1, 60, 0, {}),
        (1, 20, 120, {"updates_per_step": 3}),
        (4, 20, 10, {"updates_per_step": 0.25}),
        (2, 20, 60, {"updates_per_step": 1.5}),
        (1, 20, 20, {"updates_per_step": 4, "update_every": 8}),
    ],
)
def test_there_are_as_many_updates_as_transitions_after_the_warm_up(tmp_path, copies, warmup, updates, more):
    settings, steps = {"data.warmup": warmup, "data.batch": 16, **more}, 60
    sizes = {"copies": copies, "log_every": 20, "eval_every": 60}
    trainer = train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=steps, settings=settings, **sizes))
    assert trainer.agent.updates == updates
    assert trainer.replay.added == steps


def test_a_delayed_policy_takes_every_second_step(tmp_path):
    trainer = train(tmp_path, small_run(tmp_path, "td3", PENDULUM, steps=61))
    steps = {name: int(adam.state["step"]) for name, adam in trainer.agent.adams.items()}
    assert steps == {"critic": 41, "policy": 21}


@pytest.mark.parametrize(("limit", "length", "ends", "terminated"), [(None, 3, 3, 1.0), (5, None, 5, 0.0)])
def test_a_terminated_episode_ends_the_bootstrap_and_a_truncated_one_does_not(
    tmp_path, limit, length, ends, terminated
):
    env = registered(Script, length=length, max_episode_steps=limit)
    train(tmp_path, small_run(tmp_path, "sac", env, steps=24, eval_every=24))
    observation, _, next_observation, reward, flag = replay_rows(tmp_path)
    t = np.arange(24) % ends
    assert observation[:, 1].tolist() == t.tolist()  # a reset's observation starts the next row ...
    assert next_observation[:, 1].tolist() == (t + 1).tolist()  # ... and ends none
    assert (next_observation[:, 0] == observation[:, 0]).all()  # of the same episode
    assert reward[:, 0].tolist() == (t + 1).tolist()
    assert flag[:, 0].tolist() == np.where(t + 1 == ends, terminated, 0.0).tolist()


def test_the_replay_and_the_log_hold_unscaled_rewards(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=60, settings={"reward_scale": 5.0}))
    *_, reward, terminated = replay_rows(tmp_path)
    assert (reward == 1 - terminated).all()  # the pendulum's own: 1 while it stands
    rows = metrics(tmp_path / "seed-0")
    episodes = [(row["return"], row["length"]) for row in rows if row["kind"] == "episode"]
    evaluation, _ = [row for row in rows if row["kind"] == "eval"]  # at 50, and of the last policy
    assert len(episodes) == terminated.sum() > 0
    for value, length in [*episodes, (evaluation["return"], evaluation["lengths"][0])]:
        assert value == length - 1


def test_an_own_batch_for_the_residual_is_drawn_when_it_is_due(tmp_path):
    settings = {"temperature.batch": 10, "temperature.period": 3}
    config = small_run(tmp_path, "beta", PENDULUM, steps=27, settings=settings | {"data.warmup": 20})
    trainer, drawn = Trainer(tmp_path, config, (0,), resume=False), []
    sample, errors = trainer.replay.sample, []
    trainer.replay.sample = lambda size, *args, **kwargs: drawn.append(size) or sample(size, *args, **kwargs)
    while not trainer.done:
        trainer.advance(quiet)
        errors.append(trainer.agent.temperature.eps_omega.item())
    trainer.close()
    assert drawn == [16, 10, 16, 16, 16, 10, 16, 16, 16, 10]
    changes = [errors[i] != errors[i - 1] for i in range(20, 27)]
    assert changes == [True, False, False, True, False, False, True]


def test_temperatures_move_as_their_kind_says(tmp_path):
    seen = {}
    for preset in ("virel", "beta", "sac", "td3"):
        run = tmp_path / preset
        train(run, small_run(run, preset, PENDULUM, steps=80))
        rows = [row for row in metrics(run / "seed-0") if row["kind"] == "train" and "temperature" in row]
        seen[preset] = [(row["temperature"], row["eps_omega"]) for row in rows]
    assert all(temperature == 1 for temperature, _ in seen["virel"])
    assert all(temperature == 0 for temperature, _ in seen["td3"])
    for temperature, eps_omega in seen["beta"]:  # means of both, in float32
        assert temperature == pytest.approx(4e-3 * eps_omega, rel=1e-5)
    tuned = [temperature for temperature, _ in seen["sac"]]
    assert len(set(tuned)) == len(tuned)


# --- what is logged and saved


def test_rows_and_checkpoints_come_when_they_are_due(tmp_path):
    shown = []
    config = small_run(tmp_path, "sac", PENDULUM, steps=100, checkpoint_every=30)
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    checkpoints = []
    while not trainer.done:
        trainer.advance(lambda step, values: shown.append((step, values)))
        names = sorted(path.name for path in (tmp_path / "seed-0/checkpoints").glob("step-*"))
        checkpoints += [names] if not checkpoints or names != checkpoints[-1] else []
    trainer.close()
    rows = metrics(tmp_path / "seed-0")
    assert [row["step"] for row in rows if row["kind"] == "train"] == [20, 40, 60, 80, 100]
    assert [row["step"] for row in rows if row["kind"] == "eval"] == [50, 100]
    assert [name.removeprefix("step-0000000") for name in checkpoints[-1]] == ["90", "step-000000100"]
    assert [[int(name[-3:]) for name in names] for names in checkpoints] == [
        [],
        [30],
        [30, 60],
        [60, 90],
        [90, 100],
    ]
    assert [step for step, _ in shown] == [20, 40, 60, 80, 100]
    wanted = {"return", "steps_per_second", "eps_omega", "temperature", "entropy", "q", "td_error"}
    assert wanted <= set(shown[-1][1])
    assert all(np.isfinite(value) for value in shown[-1][1].values())


def test_the_return_of_a_train_row_is_the_mean_of_the_episodes_since_the_last(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=100, log_every=5))
    finished, checked = [], []
    for row in metrics(tmp_path / "seed-0"):
        if row["kind"] == "episode":
            finished.append(row["return"])
        if row["kind"] == "train":
            assert row["return"] == (np.mean(finished) if finished else None)
            checked.append(bool(finished))
            finished = []
    assert {True, False} == set(checked)


def test_step_sizes_fall_on_a_line_and_stay_at_its_end(tmp_path):
    falls = {"learning_rate": 4e-4, "learning_rate_end": 1e-4, "learning_rate_updates": 40}
    settings = falls | {"policy_learning_rate": 8e-4}
    config = small_run(tmp_path, "sac", PENDULUM, steps=100, settings=settings)
    trainer, seen = Trainer(tmp_path, config, (0,), resume=False), {}
    while not trainer.done:
        trainer.advance(quiet)
        adams = trainer.agent.adams | {"temperature": trainer.agent.temperature.dual._adam}
        seen[trainer.agent.updates] = [
            adams[name].learning_rate for name in ("critic", "policy", "temperature")
        ]
    trainer.close()
    for updates, critic in ((0, 4e-4), (10, 3.25e-4), (20, 2.5e-4), (40, 1e-4), (80, 1e-4)):
        assert seen[updates] == pytest.approx([critic, 2 * critic, critic], rel=1e-15)


def test_nothing_is_learned_once_the_step_size_is_zero(tmp_path):
    ends = {"learning_rate_end": 0.0, "learning_rate_updates": 10}
    config = small_run(tmp_path, "sac", PENDULUM, steps=60, settings=ends)
    trainer, flats = Trainer(tmp_path, config, (0,), resume=False), {}
    while not trainer.done:
        trainer.advance(quiet)
        networks = trainer.agent.networks
        flats[trainer.agent.updates] = {name: network.flat.clone() for name, network in networks.items()}
    trainer.close()
    for name in ("policy", "critic"):
        assert not torch.equal(flats[9][name], flats[10][name])
        assert torch.equal(flats[10][name], flats[40][name])
