"""Observations are normalised by running moments of each seed: in training, evaluation, checkpoints, ONNX."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box

from tests.support.deep import assert_same, metrics, small_run, train
from tests.support.envs import registered
from virel_deep.data.moments import Moments, Scaling
from virel_deep.data.replay import Columns
from virel_deep.run.policy import load_policy
from virel_deep.run.training.normalising import normalise
from virel_deep.storage.checkpoint import load

pytestmark = pytest.mark.mujoco
EPS = np.finfo(np.float64).eps


class Room(gymnasium.Env):
    """A thermometer that reads 290 + x."""

    observation_space, action_space = Box(-np.inf, np.inf, (1,)), Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.x = 3.0 * self.np_random.choice([-1, 1])
        return np.array([290 + self.x], np.float32), {}

    def step(self, action):
        self.x = float(np.clip(self.x + action[0], -5, 5))
        return np.array([290 + self.x], np.float32), -abs(self.x), False, False, {}


@pytest.fixture(scope="module")
def room():
    return registered(Room, max_episode_steps=10)


@pytest.mark.parametrize("copies", [1, 3])
def test_running_moments_are_those_of_all_observations_at_once(copies):
    seen = 290 + np.random.default_rng(0).standard_normal((60, copies, 4))
    moments = Moments(4)
    for one in seen:
        moments.update(one)
    flat = seen.reshape(-1, 4)
    # n additions err by n eps of the values, here about 291; squared deviations from such a mean likewise.
    np.testing.assert_allclose(moments.mean, flat.mean(0), rtol=60 * EPS)
    np.testing.assert_allclose(moments.variance, flat.var(0), atol=2 * 60 * EPS * 291)
    assert Moments.of(moments.state()).scaling.mean.tolist() == moments.scaling.mean.tolist()


def test_minibatches_of_rows_and_windows_are_normalised_as_observations_in_numpy_are():
    columns, rng = Columns.of(3, 2, {"truncated"}), np.random.default_rng(1)
    scalings = [Scaling(*rng.uniform(0.5, 2, (2, 3)).astype(np.float32)) for _ in range(2)]
    batch = (20 * rng.standard_normal((2, 5, 4, columns.width))).astype(np.float32)
    found = torch.from_numpy(batch.copy())
    normalise(found, columns, scalings)
    for part in (columns.observation, columns.next_observation):
        wanted = np.stack([scaling(x) for scaling, x in zip(scalings, batch[..., part], strict=True)])
        assert np.array_equal(found[..., part].numpy(), wanted)
        assert np.abs(wanted).max() == 10
    for part in (columns.action, columns.reward, columns.terminated, columns.truncated):
        assert np.array_equal(found[..., part].numpy(), batch[..., part])


def test_the_moments_are_those_of_what_training_acted_on_and_the_replay_stays_raw(tmp_path, room):
    train(tmp_path, small_run(tmp_path, "sac", room, steps=60, normalize=True, eval_every=7, eval_episodes=3))
    loaded = load(tmp_path / "seed-0/checkpoints")
    observations = loaded.rows.data[:, 0]
    assert (np.abs(observations - 290) <= 5).all()
    moments = Moments.of(loaded.state["moments"])
    assert moments.count == 60
    np.testing.assert_allclose(moments.mean, observations.astype(np.float64).mean(), rtol=100 * EPS)


@pytest.mark.parametrize(
    ("preset", "config"), [("sac", {"copies": 2}), ("mpo", {}), ("td3", {"keep_best": True})]
)
def test_stopped_and_stacked_runs_keep_their_bits(tmp_path, preset, config):
    settings = {"posterior.samples": 4} if preset == "mpo" else {}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for run in (whole, parts):
        config_ = small_run(
            run, preset, "Pendulum-v1", steps=80, seeds=(0, 1), settings=settings, normalize=True, **config
        )
    train(whole, config_)
    train(parts, config_, (1,), until=50)
    train(parts, config_, (1,), resume=True)
    assert_same(parts, whole, (1,))


def test_the_loaded_policy_is_the_one_that_was_evaluated(tmp_path, room):
    config = small_run(tmp_path, "sac", room, steps=40, normalize=True, eval_every=40, eval_episodes=2)
    train(tmp_path, config)
    from virel_deep.run.evaluate import evaluate_policy  # noqa: PLC0415
    from virel_deep.streams import stream  # noqa: PLC0415

    policy = load_policy(tmp_path, 0)
    again = evaluate_policy(policy.act, room, stream(0, "evaluation", 40), 2)
    [row] = [row for row in metrics(tmp_path / "seed-0") if row["kind"] == "eval"]
    assert row["returns"] == [episode.return_ for episode in again]
    raw = policy.actor.actor.act(np.array([[290.0]], np.float32))
    assert policy.act(np.array([[290.0]], np.float32)) != raw


def test_the_exported_graph_normalises_and_a_wrong_graph_is_found(tmp_path, room, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    from virel_deep.results import export  # noqa: PLC0415

    train(tmp_path, small_run(tmp_path, "sac", room, steps=40, normalize=True))
    policy, path = load_policy(tmp_path, 0), tmp_path / "policy.onnx"
    export.export_policy(policy, path, about={})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    seen = np.array([[285.0], [290.0], [293.5]], np.float32)
    (action,) = session.run(["action"], {"observation": seen})
    np.testing.assert_allclose(action, policy.act(seen), atol=1e-5)  # tanh of some 20 float32 operations
    build = export.build_model
    monkeypatch.setattr(
        export, "build_model", lambda *args, **kwargs: build(*args, **kwargs | {"scaling": None})
    )
    with pytest.raises(export.ExportError, match="no file written"):
        export.export_policy(policy, tmp_path / "other.onnx", about={})


def test_a_run_without_it_has_no_moments(tmp_path, room):
    train(tmp_path, small_run(tmp_path, "sac", room, steps=20))
    assert "moments" not in load(tmp_path / "seed-0/checkpoints").state
