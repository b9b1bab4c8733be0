"""What evaluations decide: the best policy is kept, good seeds stop early, the last policy is always seen."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from tests.support.deep import assert_same, differing, metrics, small_run, train
from tests.support.envs import Dice, Script, registered
from virel_common.errors import InputError
from virel_deep.run.evaluations import Evaluations
from virel_deep.run.folder import set_steps
from virel_deep.run.policy import load_policy
from virel_deep.run.survey import bundles, survey
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"

pytestmark = pytest.mark.mujoco


def evaluated(run, seed=0):
    """Mean returns by step."""
    return {row["step"]: row["return"] for row in metrics(run / f"seed-{seed}") if row["kind"] == "eval"}


@pytest.mark.parametrize(
    ("steps", "every", "at"), [(60, 25, [25, 50, 60]), (60, 30, [30, 60]), (40, 99, [40])]
)
def test_the_last_policy_is_always_evaluated_and_never_twice(tmp_path, steps, every, at):
    train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=steps, eval_every=every))
    assert list(evaluated(tmp_path)) == at


# --- the best policy


def test_the_best_policy_is_that_of_the_first_largest_return(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=120, eval_every=10, keep_best=True)
    train(tmp_path, config)
    returns = evaluated(tmp_path)
    best = max(returns, key=lambda step: returns[step])  # `max` takes the first of equal ones
    policy = load_policy(tmp_path, 0, best=True)
    assert policy.step == best
    assert load(tmp_path / "seed-0/best/checkpoints").state["return"] == returns[best]
    shorter = tmp_path / "shorter"
    train(shorter, small_run(shorter, "sac", PENDULUM, steps=best))
    seen = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    assert np.array_equal(policy.act(seen), load_policy(shorter, 0).act(seen))
    assert (best == 120) == np.array_equal(policy.act(seen), load_policy(tmp_path, 0).act(seen))


@pytest.mark.parametrize("killed", [True, False])
def test_a_run_that_goes_on_has_the_best_policy_of_one_that_was_not_interrupted(tmp_path, killed):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config = small_run(run, "sac", PENDULUM, steps=120, eval_every=10, keep_best=True, stop_return=1e9)
    train(whole, config)
    train(parts, config, until=75, killed=killed)  # the best so far may be later than the checkpoint at 40
    train(parts, config, resume=True)
    assert_same(parts, whole, (0,))
    one, two = (load(run / "seed-0/best/checkpoints") for run in (parts, whole))
    assert one.step == two.step
    assert differing(one.state, two.state) == []


def test_the_best_policy_of_a_last_evaluation_that_falls_away_falls_away_too(tmp_path):
    # A run of 45 steps is evaluated at 30 and at its end. With a larger goal the end is no evaluation.
    config = small_run(tmp_path, "sac", PENDULUM, steps=45, eval_every=30, keep_best=True)
    first = Evaluations(config, tmp_path / "seed-0", "owner")
    first.judge(30, 1.0, {"w": np.array([1.0])}, regular=True)
    first.judge(45, 2.0, {"w": np.array([2.0])}, regular=False)
    best = tmp_path / "seed-0/best/checkpoints"
    assert load(best).step == 45
    for steps, kept in ((45, 45), (60, 30), (60, 30)):
        again = Evaluations(replace(config, steps=steps), tmp_path / "seed-0", "owner")
        again.restore(first.state())
        assert load(best).step == kept
    again.judge(60, 0.5, {"w": np.array([3.0])}, regular=True)
    assert load(best).step == 30
    alone = Evaluations(replace(config, eval_every=50), tmp_path / "seed-1", "owner")
    alone.judge(45, 2.0, {"w": np.array([2.0])}, regular=False)
    later = Evaluations(replace(config, eval_every=50, steps=60), tmp_path / "seed-1", "owner")
    later.restore(alone.state())
    assert not (tmp_path / "seed-1/best").exists()


def test_a_best_policy_that_was_not_kept_is_refused_by_name(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=40))
    with pytest.raises(
        InputError, match=r"`best` must be left out: .* without --keep-best and has no best policy; found"
    ):
        load_policy(tmp_path, 0, best=True)


# --- the stop rule


def test_a_seed_stops_when_its_evaluations_are_good_enough_and_the_others_keep_their_bits(tmp_path):
    seeds = (2, 3)
    free, ruled = tmp_path / "free", tmp_path / "ruled"
    train(free, small_run(free, "sac", PENDULUM, steps=80, seeds=seeds, eval_every=20))
    at_20 = [evaluated(free, seed)[20] for seed in seeds]
    assert at_20[0] != at_20[1]
    good, other = (seeds[i] for i in np.argsort(at_20)[::-1])
    limit = {"stop_return": max(at_20)}
    assert max(evaluated(free, other).values()) < limit["stop_return"], "choose other seeds"
    config = small_run(ruled, "sac", PENDULUM, steps=80, seeds=seeds, eval_every=20, **limit)
    train(ruled, config)
    done = json.loads((ruled / f"seed-{good}/done.json").read_text())
    assert done == {"step": 20, "stopped": f"return >= {max(at_20):g} on 1 evaluation"}
    assert load(ruled / f"seed-{good}/checkpoints").step == 20
    assert list(evaluated(ruled, good)) == [20]
    mine, theirs = (load(run / f"seed-{other}/checkpoints") for run in (ruled, free))
    mine.state.pop("evaluations")
    for one in (mine, theirs):
        one.state.pop("settings")  # they differ in the rule
    assert differing(mine.state, theirs.state) == []
    assert evaluated(ruled, other) == evaluated(free, other)
    set_steps(ruled, 120)  # a larger goal is for those that have not stopped
    assert bundles(survey(ruled, replace(config, steps=120)), 1) == [([other], True)]


@pytest.mark.parametrize(("n", "stops_at"), [(1, 20), (2, 40), (3, 60)])
def test_the_rule_asks_for_evaluations_in_a_row(tmp_path, n, stops_at):
    env = registered(Script, length=3, reward=1.0)  # returns 3
    config = small_run(
        tmp_path, "sac", env, steps=100, eval_every=20, stop_return=3.0, stop_evaluations=n, log_every=20
    )
    train(tmp_path, config, until=20 if n > 1 else None)
    if n > 1:
        train(tmp_path, config, resume=True)  # the count is part of the checkpoint
    assert json.loads((tmp_path / "seed-0/done.json").read_text())["step"] == stops_at


def test_a_return_below_the_limit_stops_nothing(tmp_path):
    env = registered(Script, length=3, reward=1.0)
    train(tmp_path, small_run(tmp_path, "sac", env, steps=40, eval_every=20, stop_return=3.0001))
    assert json.loads((tmp_path / "seed-0/done.json").read_text()) == {"step": 40}


# --- another environment, stochastic actions, no time limit


class Payer(Script):
    """Pays the action of each step."""

    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, float(action[0]), *rest


def test_evaluations_are_played_in_the_environment_that_is_named(tmp_path):
    small, large = (registered(Script, length=n, reward=1.0) for n in (3, 7))
    train(tmp_path, small_run(tmp_path, "sac", small, steps=40, eval_env=large))
    assert evaluated(tmp_path) == {40: 7.0}
    assert {row["length"] for row in metrics(tmp_path / "seed-0") if row["kind"] == "episode"} == {3}


@pytest.mark.parametrize("preset", ["sac", "td3", "mpo"])
def test_stochastic_evaluations_draw_actions_and_are_the_same_again(tmp_path, preset):
    env = registered(Payer, length=5)
    seen = {}
    for name, stochastic in (("one", True), ("two", True), ("calm", False)):
        run = tmp_path / name
        train(run, small_run(run, preset, env, steps=20, eval_stochastic=stochastic))
        seen[name] = evaluated(run)[20]
    assert seen["one"] == seen["two"] != seen["calm"]
    assert abs(seen["calm"] - seen["one"]) < 10  # actions stay in [-1, 1]: five steps of at most 2 apart


class Endless(gymnasium.Env):
    """Never ends, and pays 1 per step."""

    observation_space = Dice.observation_space
    action_space = Dice.action_space

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(2), {}

    def step(self, action):  # noqa: ARG002
        self.t += 1
        return np.array([self.t, 0.0]), 1.0, False, False, {}


@pytest.mark.parametrize(
    ("limit", "arguments", "lengths"),
    [(None, {}, {30}), (8, {}, {8}), (None, {"max_episode_steps": 12}, {12}), (50, {}, set())],
)
def test_an_episode_without_an_end_is_scored_in_pieces_and_a_limit_is_respected(
    tmp_path, monkeypatch, limit, arguments, lengths
):
    monkeypatch.setattr("virel_deep.data.environments.LONGEST", 30)
    env = registered(Endless, max_episode_steps=limit)
    config = small_run(tmp_path, "sac", env, steps=40, **arguments)
    train(tmp_path, config)
    rows = metrics(tmp_path / "seed-0")
    assert {row["length"] for row in rows if row["kind"] == "episode"} == lengths
    [evaluation] = [row for row in rows if row["kind"] == "eval"]
    assert set(evaluation["lengths"]) == (lengths or {50})
    loaded = load(tmp_path / "seed-0/checkpoints")
    steps = loaded.rows.data[:, 0]  # observations count the steps since a reset
    resets = int((steps == 0).sum())
    assert resets == {30: 1, 8: 5, 12: 4}.get(next(iter(lengths), 0), 1)
