"""A stored simulator continues bit for bit; MuJoCo's warnings stay in one folder."""

import io
import json
import subprocess
import sys

import gymnasium
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.envs import Dice, Script, registered
from virel_common.errors import InputError
from virel_deep.axes.categorical import behave_uniformly
from virel_deep.data.environments import SeedEnvs
from virel_deep.data.guarded import EnvironmentFailure

pytestmark = pytest.mark.mujoco
MUJOCO = [
    "Ant-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "Humanoid-v5",
    "HumanoidStandup-v5",
    "InvertedDoublePendulum-v5",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v5",
    "Swimmer-v5",
    "Walker2d-v5",
]
CAR = "MountainCarContinuous-v0"
"""Not exact: it has no state of its own that is stored, and 999 steps an episode."""
LOG = "MUJOCO_LOG.TXT"


def seed(*numbers):
    return np.random.SeedSequence(numbers)


def random_actions(envs, n):
    numbers = np.random.default_rng(0).uniform(-1, 1, (n, envs.copies, envs.action_size)).astype(np.float32)
    return behave_uniformly(numbers).action if envs.discrete else numbers


def inner(envs, i=0):
    return envs._envs[i]


def through_files(state):
    """The state after JSON for plain values and npy without pickle for arrays."""
    if isinstance(state, dict):
        return {name: through_files(value) for name, value in state.items()}
    if not isinstance(state, np.ndarray):
        return json.loads(json.dumps(state, allow_nan=False))
    file = io.BytesIO()
    np.save(file, state, allow_pickle=False)
    file.seek(0)
    return np.load(file, allow_pickle=False)


def assert_same(one, other):
    """Nested states or transitions, bit for bit, types included."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other


def run(envs, actions):
    """What the steps returned, and the observations that the agent would act on."""
    return [(tuple(envs.step(action)), envs.observation) for action in actions]


def stored_after(env_id, actions):
    """An environment after `actions`, and what it stored; `actions [n, E, A]`."""
    envs = SeedEnvs(env_id, actions.shape[1], seed(1))
    run(envs, actions)
    return envs, through_files(envs.state())


@pytest.mark.parametrize("env_id", [*MUJOCO, "Pendulum-v1", "CartPole-v1"])
def test_a_stored_run_goes_on_bit_for_bit_across_episode_ends(env_id):
    actions = random_actions(SeedEnvs(env_id, 2, seed(1)), 1040)
    envs, state = stored_after(env_id, actions[:960])
    assert envs.exact
    expected = run(envs, actions[960:])
    assert any(
        step[4] for step, _ in expected
    )  # 80 steps past the 960th cross an end: limits are 50, 100, 200, 1000

    other = SeedEnvs(env_id, 2, seed(2))  # of another seed, so that nothing but the state can tell
    other.restore(state)
    assert_same(run(other, actions[960:]), expected)
    assert_same(other.state(), envs.state())
    assert_same(*([env.action_space.sample() for env in x._envs] for x in (envs, other)))


@settings(max_examples=30)
@given(
    env_id=st.sampled_from(["Hopper-v5", "Reacher-v5", "InvertedDoublePendulum-v5", "Pendulum-v1"]),
    before=st.integers(0, 60),
    copies=st.integers(1, 3),
)
def test_a_run_may_be_stored_anywhere(env_id, before, copies):
    actions = random_actions(SeedEnvs(env_id, copies, seed(1)), before + 30)
    envs, state = stored_after(env_id, actions[:before])
    expected = run(envs, actions[before:])
    other = SeedEnvs(env_id, copies, seed(2))
    run(other, actions[:7])  # a used one will do
    for _ in range(2):  # and more than once
        other.restore(state)
        assert_same(run(other, actions[before:]), expected)


def test_storing_changes_nothing():
    actions = random_actions(SeedEnvs("Humanoid-v5", 1, seed(1)), 60)
    envs, twin = (SeedEnvs("Humanoid-v5", 1, seed(1)) for _ in range(2))
    for action in actions:
        assert_same(envs.state(), envs.state())
        assert_same(tuple(envs.step(action)), tuple(twin.step(action)))


def test_a_stored_state_does_not_move_with_the_run():
    envs, _ = stored_after("Hopper-v5", random_actions(SeedEnvs("Hopper-v5", 1, seed(1)), 5))
    state = envs.state()
    kept = through_files(state)
    run(envs, random_actions(envs, 40))
    assert_same(through_files(state), kept)


@pytest.mark.parametrize(
    ("env_id", "part"),
    [
        ("Humanoid-v5", "physics"),
        ("Ant-v5", "derived"),
        ("Humanoid-v5", "derived"),
        ("Hopper-v5", "random"),
        ("Pusher-v5", "time limit"),
        ("Hopper-v5", "returns"),
    ],
)
def test_no_part_of_the_state_can_be_left_out(env_id, part):
    """The comparison above has teeth: it fails where a part comes from a new environment instead."""
    actions = random_actions(SeedEnvs(env_id, 1, seed(1)), 200)
    envs, state = stored_after(env_id, actions[:93])
    expected = run(envs, actions[93:])
    other = SeedEnvs(env_id, 1, seed(2))
    fresh = other.state()
    stored, new = state["copy-0"], fresh["copy-0"]
    match part:
        case "physics":
            stored["float64"] = new["float64"]
        case "random":
            stored["random"] = new["random"]
        case "time limit":
            stored["attributes"][0] = new["attributes"][0]
        case "returns":
            state["returns"] = fresh["returns"]
    other.restore(state)
    if part == "derived":  # what `mj_getState` knows is right, all that follows from it is computed anew
        mujoco.mj_forward(inner(other).unwrapped.model, inner(other).unwrapped.data)
    with pytest.raises(AssertionError):
        assert_same(run(other, actions[93:]), expected)


@pytest.mark.parametrize(("env_id", "name"), [("Reacher-v5", "goal"), ("Pusher-v5", "goal_pos")])
def test_attributes_come_back_in_their_own_type(env_id, name):
    """No environment of Gymnasium reads one again before it is drawn anew; a later version might."""
    envs, state = stored_after(env_id, random_actions(SeedEnvs(env_id, 1, seed(1)), 120))
    other = SeedEnvs(env_id, 1, seed(2))
    other.restore(state)
    assert_same(*(getattr(inner(x).unwrapped, name) for x in (envs, other)))


def test_attributes_that_the_environment_does_not_have_are_refused():
    envs = SeedEnvs("Reacher-v5", 1, seed(0))
    state = envs.state()
    state["copy-0"]["attributes"][-1]["wind"] = 1.0
    with pytest.raises(
        InputError, match=r"`state\[attributes\]` must be the attributes of this environment.*found.*wind"
    ):
        envs.restore(state)


def test_mujocos_own_state_restored_alone_is_not_exact_but_close():
    """Why the whole buffer is stored, and that the test above does not fail for a trivial reason."""
    actions = random_actions(SeedEnvs("Humanoid-v5", 1, seed(1)), 20)
    envs, state = stored_after("Humanoid-v5", actions[:19])
    other = SeedEnvs("Humanoid-v5", 1, seed(2))
    other.restore(state)
    mujoco.mj_forward(inner(other).unwrapped.model, inner(other).unwrapped.data)
    one, two = envs.step(actions[19]), other.step(actions[19])
    assert one.reward != two.reward  # the centre of mass before the step was one substep (3 ms) too late
    np.testing.assert_allclose(one.next_observation[0, :22], two.next_observation[0, :22], rtol=0, atol=1e-2)


# What is exact, what is refused


class CountsInAList(gymnasium.wrappers.TimeLimit):
    """Time limit of a user's own with a state that is not a number: a list of its episodes' lengths."""

    def reset(self, **kwargs):
        self.lengths = [*getattr(self, "lengths", []), 0]
        return super().reset(**kwargs)


@pytest.mark.parametrize("env_id", MUJOCO)
def test_mujoco_environments_of_gymnasium_are_exact(env_id):
    assert SeedEnvs(env_id, 1, seed(0)).exact


def test_others_are_not_exact():
    wrapped = registered(
        "gymnasium.envs.mujoco.hopper_v5:HopperEnv",
        additional_wrappers=(gymnasium.wrappers.RecordEpisodeStatistics.wrapper_spec(),),
    )
    counting = registered(
        "gymnasium.envs.classic_control.pendulum:PendulumEnv",
        additional_wrappers=(CountsInAList.wrapper_spec(max_episode_steps=200),),
    )
    for env_id in (CAR, registered(Script), registered(Dice), wrapped, counting):
        assert not SeedEnvs(env_id, 1, seed(0)).exact


def test_where_it_is_not_exact_a_restored_run_starts_new_episodes_unlike_the_first():
    envs = SeedEnvs(CAR, 2, seed(0))
    first = envs.observation
    run(envs, random_actions(envs, 30))
    state = through_files(envs.state())

    one, two = (SeedEnvs(CAR, 2, seed(0)) for _ in range(2))
    for restored in (one, two):
        restored.restore(state)
    assert one.steps == 30
    assert not np.isin(one.observation[:, 0], first[:, 0]).any()
    assert_same(run(one, random_actions(one, 999)), run(two, random_actions(two, 999)))
    [*_, last] = run(SeedEnvs(CAR, 2, seed(0)), random_actions(one, 999))
    assert [episode.length for episode in last[0][4]] == [999, 999]


def test_where_it_is_not_exact_the_interrupted_episode_is_not_counted():
    envs = SeedEnvs(registered(Script, length=5), 1, seed(0))
    run(envs, random_actions(envs, 3))
    envs.restore(through_files(envs.state()))
    assert [tuple(step[4]) for step, _ in run(envs, random_actions(envs, 5))][-1] == ((15.0, 5, 0),)


@pytest.mark.parametrize(
    ("name", "value"), [("env", "Hopper-v5"), ("copies", 3), ("mujoco", "2.3.7"), ("copies", None)]
)
def test_a_state_of_something_else_is_refused(name, value):
    envs = SeedEnvs("Swimmer-v5", 1, seed(0))
    state = envs.state() | {name: value}
    with pytest.raises(InputError, match=rf"`state\[{name}\]` must be .* as in this run; found {value!r}"):
        envs.restore(state)


def test_a_state_of_another_model_is_refused():
    one, other = SeedEnvs("Swimmer-v5", 1, seed(0)), SeedEnvs("Hopper-v5", 1, seed(0))
    with pytest.raises(
        InputError, match=r"`state\[\w+\]` must have the shape \(\d+,\) of this environment's model"
    ):
        one.restore(one.state() | {"copy-0": other.state()["copy-0"]})


# MuJoCo's warnings


def diverge(envs):
    """A step in which MuJoCo finds its state unstable and puts it back to the start."""
    inner(envs).unwrapped.data.qvel[0] = 1e12
    envs.step(np.zeros((1, envs.action_size), np.float32))


def test_a_simulation_that_diverges_is_a_failure_not_a_transition():
    envs = SeedEnvs("HalfCheetah-v5", 1, seed(0))
    envs.step(np.zeros((1, 6), np.float32))
    with pytest.raises(
        EnvironmentFailure, match=r"HalfCheetah-v5, step 2: the simulation diverged: .*QVEL at DOF 0"
    ):
        diverge(envs)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder to watch and a run folder."""
    (tmp_path / "work").mkdir()
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_warnings_go_to_the_folder_of_the_run_and_not_to_the_working_folder(elsewhere, capfd):
    envs = SeedEnvs("HalfCheetah-v5", 1, seed(0), folder=elsewhere / "run")
    with pytest.raises(EnvironmentFailure):
        diverge(envs)
    assert "huge value in QVEL" in (elsewhere / "run" / LOG).read_text(encoding="utf-8")
    assert list((elsewhere / "work").iterdir()) == []
    assert capfd.readouterr().err == ""


def test_each_environment_has_its_own_folder_also_after_others_were_made(elsewhere):
    (elsewhere / "other").mkdir()
    one = SeedEnvs("Hopper-v5", 1, seed(0), folder=elsewhere / "run")
    SeedEnvs("Hopper-v5", 1, seed(1), folder=elsewhere / "other")
    with pytest.raises(EnvironmentFailure):
        diverge(one)
    assert (elsewhere / "run" / LOG).exists()
    assert not (elsewhere / "other" / LOG).exists()


def test_without_a_folder_nothing_is_written(elsewhere):
    with pytest.raises(EnvironmentFailure):
        diverge(SeedEnvs("Hopper-v5", 1, seed(0)))
    assert list((elsewhere / "work").iterdir()) == []


def in_a_new_process(script, cwd):
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


NEW_PROCESS = """
import numpy as np
from pathlib import Path
from virel_deep.data.environments import SeedEnvs
def diverge(folder):
    envs = SeedEnvs("HalfCheetah-v5", 1, np.random.SeedSequence(0), folder=folder)
    envs._envs[0].unwrapped.data.qvel[0] = 1e12
    try:
        envs.step(np.zeros((1, 6), np.float32))
    except RuntimeError:
        print("failed")
"""


def test_gymnasium_alone_writes_into_the_working_folder(tmp_path):
    """The trap itself: without a handler a diverging simulation leaves a file behind."""
    script = """
import gymnasium
env = gymnasium.make("Hopper-v5")
env.reset(seed=0)
env.unwrapped.data.qvel[0] = 1e12
env.step(env.action_space.sample())
"""
    in_a_new_process(script, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [LOG]


def test_a_log_that_cannot_be_written_does_not_end_the_process(tmp_path):
    found = in_a_new_process(NEW_PROCESS + "diverge(Path('no/such/folder'))", tmp_path)
    assert found == (0, "failed\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_handler_stays(tmp_path):
    script = "import mujoco; seen = []; mujoco.set_mju_user_warning(seen.append)" + NEW_PROCESS
    code, out, _ = in_a_new_process(
        script + "diverge(Path('.')); print(any('QVEL' in text for text in seen))", tmp_path
    )
    assert (code, out) == (0, "True\n")
    assert list(tmp_path.iterdir()) == []
