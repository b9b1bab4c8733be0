"""The deep agent from Python: what it returns, what it leaves for the command line, what it refuses."""

import threading
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import virel_deep
from virel_common.errors import InputError
from virel_deep.commands.train import main_train
from virel_deep.run.metrics import read_rows
from virel_deep.run.policy import load_policy as seed_policy

SETTINGS = {"hidden": (8, 8), "data.warmup": 40, "data.batch": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "run"
    options = {"eval_every": 50, "checkpoint_every": 100}
    return virel_deep.train(
        "sac", "Pendulum-v1", steps=100, seeds=2, out=str(folder), settings=SETTINGS, **options
    )


def test_training_leaves_a_run_that_policy_evaluation_and_comparison_read(run):
    policy = virel_deep.load_policy(str(run))
    assert (policy.env, policy.seed, policy.step) == ("Pendulum-v1", 0, 100)
    assert repr(policy) == "LoadedPolicy(env='Pendulum-v1', seed=0, step=100, observation_size=3)"
    assert [one.seed for one in virel_deep.evaluate(run, episodes=2)] == [0, 1]
    assert "sac" in virel_deep.compare([run])


def test_the_best_policy_is_read_where_it_was_kept(run, tmp_path):
    kept = virel_deep.train(
        "sac", "Pendulum-v1", steps=60, eval_every=20, keep_best=True, out=tmp_path / "kept",
        settings={"hidden": (8, 8), "data.batch": 8, "data.warmup": 20},
    )  # fmt: skip
    row = max(read_rows(kept / "seed-0" / "metrics.jsonl", "eval"), key=lambda row: row["return"])
    assert virel_deep.load_policy(kept, best=True).step == row["step"]
    (one,) = virel_deep.evaluate(kept, episodes=1, best=True)
    assert one.step == row["step"]
    for call in (virel_deep.load_policy, virel_deep.evaluate):
        with pytest.raises(InputError, match=r"`best` must be left out: .* without --keep-best"):
            call(run, best=True)
        with pytest.raises(InputError, match="`best` must be True or False; found 1"):
            call(kept, best=1)


def test_actions_are_in_the_environments_own_range_for_one_observation_and_for_many(run):
    policy, env = virel_deep.load_policy(run, 1), gymnasium.make("Pendulum-v1")
    observation, _ = env.reset(seed=0)
    one, many = policy.act(observation), policy.act([observation, 2 * observation])
    assert one.shape == (1,)
    assert one.dtype == env.action_space.dtype
    np.testing.assert_array_equal(many[0], one)
    unit = seed_policy(run, 1).act(observation[None])
    np.testing.assert_allclose(one, 2 * unit[0], rtol=1e-6)  # Pendulum's torque is in [-2, 2]
    env.step(one)


@pytest.mark.parametrize("observation", [[1.0], [[1.0, 2.0]], 3.0, [np.nan, 0.0, 0.0], [[[0.0] * 3]]])
def test_an_observation_that_does_not_fit_is_refused(run, observation):
    with pytest.raises(InputError, match="`observation` must"):
        virel_deep.load_policy(run).act(observation)


def test_no_observation_is_refused_with_the_shapes_that_fit(run):
    rule = r"`observation` must have shape \[3\], or \[N, 3\] with N at least 1; found \(0, 3\)"
    with pytest.raises(InputError, match=rule):
        virel_deep.load_policy(run).act(np.zeros((0, 3)))


def test_a_run_continues_in_a_thread_and_on_the_command_line(run, tmp_path):
    copy = tmp_path / "copy"
    for path in run.rglob("*"):
        if path.is_file():
            (copy / path.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
            (copy / path.relative_to(run)).write_bytes(path.read_bytes())
    thread = threading.Thread(target=virel_deep.resume, args=(str(copy),), kwargs={"steps": 150})
    thread.start()
    thread.join()
    assert virel_deep.load_policy(copy).step == 150
    assert main_train(["--resume", str(copy), "--steps", "200"]) == 0
    assert virel_deep.load_policy(copy).step == 200


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"preset": "sca"}, "preset"),
        ({"env": "Pendulum"}, "env"),
        ({"steps": 0}, "steps"),
        ({"seeds": 0}, "seeds"),
        ({"jobs": 0}, "jobs"),
        ({"settings": {"warmup_steps": 3}}, "settings"),
        ({"learning_rate": 1e-3}, "settings"),
    ],
)
def test_a_wrong_argument_is_one_error_and_leaves_nothing(tmp_path, change, named):
    given = {"preset": "sac", "env": "Pendulum-v1", "steps": 10, "out": tmp_path / "run"} | change
    with pytest.raises(InputError, match=named):
        virel_deep.train(given.pop("preset"), given.pop("env"), **given)
    assert not (tmp_path / "run").exists() or named == "jobs"


class Breaks(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):  # noqa: ARG002
        self.t += 1
        if self.t == 2:  # an environment whose first step fails is refused before the training
            raise RuntimeError("no licence")
        return np.zeros(1, np.float32), 0.0, False, False, {}


def test_a_failing_environment_says_where_the_run_is(tmp_path):
    gymnasium.register("Breaks-v0", Breaks, max_episode_steps=5)
    with pytest.raises(virel_deep.TrainingStopped, match=r"early: seed 0 failed, as said") as error:
        virel_deep.train("sac", "Breaks-v0", steps=50, out=tmp_path / "run", settings=SETTINGS)
    assert error.value.run == tmp_path / "run"


def test_public_names_are_documented_and_nothing_heavy_is_loaded_for_them():
    for name in virel_deep.__all__:
        assert getattr(virel_deep, name).__doc__, name


def test_a_module_beside_the_shell_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own_environment.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.classic_control.pendulum import PendulumEnv\n"
        'gymnasium.register("Own-v0", PendulumEnv, max_episode_steps=20)\n'
    )
    run = virel_deep.train("sac", "own_environment:Own-v0", steps=50, out="run", settings=SETTINGS)
    assert virel_deep.load_policy(run).env == "own_environment:Own-v0"


def test_the_module_of_an_id_changes_no_setting():
    scale = [
        virel_deep.design.presets.algorithm("beta-twin", env) for env in ("Hopper-v5", "gymnasium:Hopper-v5")
    ]
    assert scale[0] == scale[1]
    assert scale[0].reward_scale == 5
