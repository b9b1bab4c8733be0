"""Training of seeds stacked in one process: what it collects, updates, logs and saves."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.deep import CLOCKED, agent_of, differing, metrics, small_run, train
from tests.support.envs import Dice, Script, registered
from virel_common.errors import InputError
from virel_deep.run.folder import seed_folder, set_steps
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load
from virel_deep.streams import generator

PENDULUM = "InvertedPendulum-v5"
STEPS = 120

pytestmark = pytest.mark.mujoco


def quiet(*_):
    pass


def result(run, seed):
    """All that a seed leaves: metrics, the last checkpoint, the replay."""
    loaded = load(seed_folder(run, seed) / "checkpoints")
    return {
        "metrics": json.dumps(metrics(seed_folder(run, seed))),
        "step": loaded.step,
        "state": loaded.state,
        "rows": {"first": loaded.rows.first, "data": loaded.rows.data},
    }


def assert_same(run, other, seeds):
    for seed in seeds:
        assert differing(result(run, seed), result(other, seed)) == []


def replay_rows(run, seed=0):
    """Observation, action, next observation, reward and terminated of the rows in the newest checkpoint."""
    loaded = load(seed_folder(run, seed) / "checkpoints")
    action = loaded.state["agent"]["n_action"]
    observation = (loaded.rows.data.shape[1] - 2 - action) // 2
    ends = np.cumsum([observation, action, observation, 1])
    return np.split(loaded.rows.data, ends, axis=1)


# --- stopping, regrouping, extending


@pytest.mark.parametrize(
    ("preset", "until", "settings", "config"),
    [
        ("virel", 70, {}, {}),
        ("beta", 70, {"temperature.batch": 24, "temperature.period": 3, "temperature.smoothing": 0.5}, {}),
        ("sac", 70, {}, {"copies": 2}),
        ("sac", 80, {}, {"capacity": 50}),
        ("sac-v", 10, {}, {}),
        ("td3", 71, {}, {}),
    ],
)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path, preset, until, settings, config):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config_ = small_run(run, preset, PENDULUM, steps=STEPS, seeds=(0, 1), settings=settings, **config)
    train(whole, config_)
    train(parts, config_, until=until)
    assert load(parts / "seed-0/checkpoints").step == until
    train(parts, config_, resume=True)
    assert_same(parts, whole, (0, 1))
    assert {row["kind"] for row in metrics(whole / "seed-0")} == {"train", "eval", "episode"}


def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint_bit_for_bit(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    train(whole, config)
    train(parts, config, until=77, killed=True)
    assert load(parts / "seed-0/checkpoints").step == 40
    assert metrics(parts / "seed-0")[-1]["step"] > 60  # rows of steps that will come again
    train(parts, config, resume=True)
    assert_same(parts, whole, (0, 1))


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=60)
    train(whole, config)
    train(parts, config, until=30, killed=True)
    train(parts, config)
    assert_same(parts, whole, (0,))


def test_seeds_are_grouped_anew_on_resume_without_a_trace(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2))
    train(whole, config)
    train(parts, config, until=50)
    train(parts, config, (2,), resume=True, until=90)
    train(parts, config, (1, 0), resume=True, until=90)
    train(parts, config, (1, 2, 0), resume=True)
    assert_same(parts, whole, (0, 1, 2))


def test_a_seed_alone_is_the_same_as_in_a_group(tmp_path):
    together, alone = tmp_path / "together", tmp_path / "alone"
    train(together, small_run(together, "beta-twin", "Hopper-v5", steps=60, seeds=(0, 1, 2)))
    train(alone, small_run(alone, "beta-twin", "Hopper-v5", steps=60, seeds=(1,)))
    assert_same(together, alone, (1,))


def test_a_run_with_a_new_goal_is_the_longer_run(tmp_path):
    longer, extended = tmp_path / "longer", tmp_path / "extended"
    train(longer, small_run(longer, "sac", PENDULUM, steps=STEPS))
    config = small_run(extended, "sac", PENDULUM, steps=80)
    train(extended, config)
    assert (extended / "seed-0/done.json").exists()
    set_steps(extended, STEPS)
    train(extended, replace(config, steps=STEPS), resume=True)
    assert_same(extended, longer, (0,))


def test_a_kill_between_the_last_checkpoint_and_its_record_is_made_good(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=40)
    train(tmp_path, config)
    done = tmp_path / "seed-0/done.json"
    assert json.loads(done.read_text()) == {"step": 40}
    done.unlink()
    train(tmp_path, config, resume=True)
    assert json.loads(done.read_text()) == {"step": 40}


def test_seeds_at_different_steps_are_no_group(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    train(tmp_path, config, (0,), until=30)
    train(tmp_path, config, (1,), until=40)
    with pytest.raises(
        InputError,
        match=r"must have checkpoints of the same step; run `virel train --resume` again; found \[30, 40\]",
    ):
        Trainer(tmp_path, config, (0, 1), resume=True)


def test_a_seed_that_is_being_trained_is_not_trained_twice(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    trainer = Trainer(tmp_path, config, (0,), resume=False)
    with pytest.raises(InputError, match="seed-0: another process trains this seed"):
        Trainer(tmp_path, config, (0,), resume=False)
    trainer.close()
    train(tmp_path, config, (0,), until=5)


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
    ("copies", "steps", "warmup", "batch", "updates"),
    [(1, 60, 20, 16, 40), (2, 60, 20, 16, 40), (4, 60, 20, 16, 40), (1, 60, 0, 16, 45), (1, 60, 60, 16, 0)],
)
def test_there_are_as_many_updates_as_transitions_after_the_warm_up(
    tmp_path, copies, steps, warmup, batch, updates
):
    settings = {"data.warmup": warmup, "data.batch": batch}
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
    [evaluation] = [row for row in rows if row["kind"] == "eval"]
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


def test_clocks_are_the_only_entries_that_two_runs_do_not_share(tmp_path):
    for name in ("one", "two"):
        train(tmp_path / name, small_run(tmp_path / name, "sac", PENDULUM, steps=40))
    lines = [(tmp_path / name / "seed-0/metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    for one, two in zip(*(map(json.loads, of_run) for of_run in lines), strict=True):
        assert {name for name in one if one[name] != two[name]} <= set(CLOCKED)
        assert one["wall"] >= 0
        assert one.get("steps_per_second", 1) > 0


def test_evaluation_leaves_no_trace_in_the_training(tmp_path):
    runs = [tmp_path / name for name in ("often", "seldom")]
    for run, every in zip(runs, (10, 100), strict=True):
        train(run, small_run(run, "sac", PENDULUM, steps=100, eval_every=every, eval_episodes=2))
    often, seldom = (load(run / "seed-0/checkpoints") for run in runs)
    assert differing(often.state, seldom.state) == []
    last = [[row for row in metrics(run / "seed-0") if row["kind"] == "eval"][-1] for run in runs]
    assert last[0] == last[1]


def test_each_evaluation_of_each_seed_has_episodes_of_its_own(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", registered(Dice), steps=20, seeds=(0, 1), eval_every=10))
    rows = [row for seed in (0, 1) for row in metrics(tmp_path / f"seed-{seed}") if row["kind"] == "eval"]
    assert len({row["return"] for row in rows}) == len(rows) == 4  # of policies that were not updated


# --- failures


def poison(trainer, k, network):
    net = trainer.agent.networks[network]
    net.seed_blocks(net.flat, k)["0.weight"].fill_(float("nan"))


@pytest.mark.parametrize(
    ("network", "after", "at", "detail"),
    [
        ("policy", 45, 46, "the policy's action is not finite at step 46: [[nan]]"),
        ("critic", 59, 60, "values are not finite at step 60: {'eps_omega': nan"),
    ],
)
def test_a_seed_that_diverges_stops_and_the_others_keep_their_bits(tmp_path, network, after, at, detail):
    poisoned, sound = tmp_path / "poisoned", tmp_path / "sound"
    config = small_run(poisoned, "virel", PENDULUM, steps=80, seeds=(0, 1, 2))
    train(sound, small_run(sound, "virel", PENDULUM, steps=80, seeds=(0, 2)))
    trainer = Trainer(poisoned, config, config.seeds, resume=False)
    while not trainer.done:
        if trainer.step == after:
            poison(trainer, 1, network)
        trainer.advance(quiet)
    trainer.close()
    assert_same(poisoned, sound, (0, 2))
    failure = json.loads((poisoned / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (at, "diverged")
    assert failure["detail"].startswith(detail)
    assert load(poisoned / "seed-1/checkpoints").step == 40
    assert metrics(poisoned / "seed-1")[-1]["kind"] == "event"
    for seed in (0, 2):
        assert not (poisoned / f"seed-{seed}/failure.json").exists()
        assert (poisoned / f"seed-{seed}/done.json").exists()
    assert not (poisoned / "seed-1/done.json").exists()


def test_a_seed_that_failed_is_tried_again_from_its_checkpoint_and_its_failure_forgotten(tmp_path):
    broken, sound = tmp_path / "broken", tmp_path / "sound"
    config = small_run(broken, "sac", PENDULUM, steps=80)
    train(sound, small_run(sound, "sac", PENDULUM, steps=80))
    trainer = Trainer(broken, config, (0,), resume=False)
    while not trainer.done:
        if trainer.step == 45:
            poison(trainer, 0, "policy")
        trainer.advance(quiet)
    trainer.close()
    assert (trainer.runs, trainer.failed) == ([], [0])
    assert (broken / "seed-0/failure.json").exists()
    train(broken, config, resume=True)
    assert not (broken / "seed-0/failure.json").exists()
    assert_same(broken, sound, (0,))


def test_a_policy_that_fails_in_an_evaluation_stops_its_seed_only(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=60, seeds=(0, 1), eval_every=30, log_every=60)
    trainer = Trainer(tmp_path, config, config.seeds, resume=False)
    while not trainer.done:
        update = trainer._compute
        if trainer.step == 29:
            trainer._compute = lambda update=update: (update(), poison(trainer, 1, "policy"))
        trainer.advance(quiet)
    trainer.close()
    failure = json.loads((tmp_path / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (30, "diverged")
    assert failure["detail"].startswith("evaluation at step 30: the policy's action must be in [-1, 1]")
    assert (tmp_path / "seed-0/done.json").exists()


class Fragile(Dice):
    """The environments of `doomed` (counted as they are made) crash in their 30th step."""

    made, doomed = 0, ()

    def __init__(self):
        super().__init__()
        self.number, self.steps = Fragile.made, 0
        Fragile.made += 1

    def step(self, action):
        self.steps += 1
        if self.number in Fragile.doomed and self.steps == 30:
            raise RuntimeError("the cable\nis loose")
        return super().step(action)


def test_a_crashing_environment_stops_its_seed_and_the_others_keep_their_bits(tmp_path, monkeypatch):
    crashed, sound = tmp_path / "crashed", tmp_path / "sound"
    env = registered(Fragile)
    train(sound, small_run(sound, "beta", env, steps=60, seeds=(0, 2)))
    monkeypatch.setattr(Fragile, "made", 0)
    monkeypatch.setattr(Fragile, "doomed", {1})  # the second one made is seed 1's
    train(crashed, small_run(crashed, "beta", env, steps=60, seeds=(0, 1, 2)))
    assert_same(crashed, sound, (0, 2))
    failure = json.loads((crashed / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (30, "environment")
    assert failure["detail"] == f"{env}, step 30: step raised RuntimeError: the cable is loose"


def test_an_exploding_critic_is_told_from_one_where_rewards_are_rare(tmp_path):
    env = registered(Script, length=7, reward=0.0)
    config = small_run(tmp_path, "virel", env, steps=60, seeds=(0, 1))
    trainer = Trainer(tmp_path, config, config.seeds, resume=False)
    while not trainer.done:
        if trainer.step == 41:
            trainer.agent.critic.seed_blocks(trainer.agent.critic.flat, 1)["2.bias"].fill_(1e6)
        trainer.advance(quiet)
    trainer.close()
    assert not (tmp_path / "seed-0/failure.json").exists()
    failure = json.loads((tmp_path / "seed-1/failure.json").read_text())
    assert (failure["step"], failure["what"]) == (60, "diverged")
    assert failure["detail"].startswith("mean Q is ")
