"""Runs of algorithms with windows: what their replay keeps, when they update, what they log."""

import json
import shutil

import numpy as np
import pytest
import torch

from tests.support.deep import SMALL, algorithm_of, metrics, small_run, train
from virel_deep.agent.interfaces import METRICS
from virel_deep.data.replay import Columns
from virel_deep.run.folder import read_config
from virel_deep.run.policy import load_policy
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"
SHORT = {"value.steps": 3, "posterior.samples": 4, "target_period": 5, "update_every": 2}

pytestmark = pytest.mark.mujoco


def rows_of(run, config, n_observation, n_action):
    columns = Columns.of(n_observation, n_action, config.algorithm.value.tails)
    data = load(run / "seed-0/checkpoints").rows.data
    assert data.shape[1] == columns.width
    return columns, data


def test_rows_keep_the_action_before_the_tanh_and_the_density_that_it_was_drawn_with(tmp_path):
    config = small_run(tmp_path, "mpo", PENDULUM, steps=60, settings=SHORT | {"learning_rate": 1e-12})
    train(tmp_path, config)
    columns, data = rows_of(tmp_path, config, 4, 1)
    action, u, density = data[:, columns.action], data[:, columns.pre], data[:, columns.log_density]
    np.testing.assert_allclose(np.tanh(u), action, rtol=0, atol=1e-6)
    warm = slice(0, SMALL["data.warmup"])
    # Uniform: density 1/2 over actions, times the tanh's slope.
    np.testing.assert_allclose(density[warm], np.log((1 - action[warm, 0] ** 2) / 2), rtol=0, atol=1e-4)
    # Then the policy, which a learning rate of 1e-12 leaves as it was.
    agent = Trainer(tmp_path / "again", small_again(tmp_path / "again"), (0,), resume=False)
    state = torch.from_numpy(data[SMALL["data.warmup"] :, columns.observation])[None]
    head = agent.agent.policy(state)[0, 0].double()
    agent.close()
    mean, log_std = head[:, 0].numpy(), head[:, 1].numpy()
    drawn = (u[SMALL["data.warmup"] :, 0] - mean) / np.exp(log_std)
    expected = -(drawn**2) / 2 - log_std - np.log(2 * np.pi) / 2
    np.testing.assert_allclose(density[SMALL["data.warmup"] :], expected, rtol=0, atol=1e-4)


def small_again(run):
    return small_run(run, "mpo", PENDULUM, steps=60, settings=SHORT | {"learning_rate": 1e-12})


@pytest.mark.parametrize("copies", [1, 2])
def test_the_ends_of_episodes_are_told_apart(tmp_path, copies):
    # Pendulum-v1 is never over, and truncated after 200 steps; the pole falls within a few.
    for env, sizes, ends in (("Pendulum-v1", (3, 1), "truncated"), (PENDULUM, (4, 1), "terminated")):
        run = tmp_path / env
        config = small_run(
            run, "mpo", env, steps=240 * copies, copies=copies,
            settings=SHORT | {"value.trace": None, "data.warmup": 10_000},
            eval_every=120 * copies, log_every=120 * copies, checkpoint_every=120 * copies,
        )  # fmt: skip
        train(run, config)
        columns, data = rows_of(run, config, *sizes)
        assert columns.width == Columns.of(*sizes).width + 1
        truncated, terminated = data[:, columns.truncated], data[:, columns.terminated]
        if ends == "truncated":
            assert np.flatnonzero(truncated).tolist() == [199 * copies + i for i in range(copies)]
            assert not terminated.any()
        else:
            assert terminated.any()
            assert not truncated.any()


def test_plain_rows_have_no_tails(tmp_path):
    config = small_run(tmp_path, "rerpi", PENDULUM, steps=40, settings={"posterior.samples": 4})
    train(tmp_path, config)
    columns, _ = rows_of(tmp_path, config, 4, 1)
    assert columns == Columns.of(4, 1)


@pytest.mark.parametrize(
    ("steps", "copies", "every", "updates"),
    [(60, 1, 1, 40), (60, 1, 8, 5), (60, 2, 3, 14), (60, 4, 2, 20), (60, 1, 50, 1)],
)
def test_an_update_comes_with_every_so_many_transitions(tmp_path, steps, copies, every, updates):
    # Of 60 transitions the first 20 are warm-up; updates fall on whole multiples of `every` after them.
    config = small_run(
        tmp_path, "rerpi", PENDULUM, steps=steps, copies=copies, settings={"update_every": every},
        eval_every=60, log_every=60, checkpoint_every=60,
    )  # fmt: skip
    assert train(tmp_path, config).agent.updates == updates


def test_updates_wait_for_a_window(tmp_path):
    settings = SHORT | {"value.steps": 30, "data.batch": 4, "update_every": 1}
    config = small_run(tmp_path, "mpo", PENDULUM, steps=60, settings=settings)
    assert train(tmp_path, config).agent.updates == 60 - 29


def test_the_log_names_what_each_part_did(tmp_path):
    config = small_run(tmp_path, "mpo", PENDULUM, steps=80, settings=SHORT)
    train(tmp_path, config)
    rows = [row for row in metrics(tmp_path / "seed-0") if row["kind"] == "train" and "q" in row]
    own = {
        "temperature", "kl", "dual_residual", "effective_samples",
        "kl_mean", "kl_spread", "price_mean", "price_spread",
    }  # fmt: skip
    assert own | set(METRICS) <= rows[-1].keys()
    for row in rows:
        assert row["dual_residual"] == pytest.approx(row["kl"] - 0.1, abs=1e-6)
        assert 1 <= row["effective_samples"] <= 4
        assert row["kl_mean"] >= 0
    events = next((tmp_path / "seed-0").glob("events.out.tfevents.*")).read_bytes()
    assert all(f"train/{name}".encode() in events for name in own)


def test_a_row_of_the_sac_family_logs_what_it_always_did(tmp_path):
    train(tmp_path, small_run(tmp_path, "sac", PENDULUM, steps=40))
    [*_, row] = [row for row in metrics(tmp_path / "seed-0") if row["kind"] == "train"]
    assert set(row) == {"step", "kind", "return", *METRICS}


def test_a_run_from_before_the_new_settings_goes_on_and_others_stay_refused(tmp_path):
    older, whole = tmp_path / "older", tmp_path / "whole"
    for run in (older, whole):
        config = small_run(run, "sac", PENDULUM, steps=80)
    train(whole, config)
    train(older, config, until=40)
    document = json.loads((older / "config.json").read_text())
    for name in ("target_period", "update_every", *LATER):
        del document["config"]["algorithm"][name]
    for name in ("steps", "trace"):
        del document["config"]["algorithm"]["value"][name]
    (older / "config.json").write_text(json.dumps(document))
    as_recorded_then(older)
    assert read_config(older) == config
    train(older, config, resume=True)
    assert metrics(older / "seed-0") == metrics(whole / "seed-0")
    assert load_policy(older, 0).step == 80


LATER = (
    "updates_per_step", "learning_rate_end", "learning_rate_updates", "policy_learning_rate", "gradient_norm",
)  # fmt: skip


def as_recorded_then(run):
    """Rewrite a run's newest checkpoint as one whose owner has no names of the settings that came later."""
    from virel_deep.storage.checkpoint import Rows, save  # noqa: PLC0415

    folder = run / "seed-0/checkpoints"
    loaded = load(folder)
    state, owner = loaded.state, json.loads(loaded.state["owner"])
    later = {"value.steps", "value.trace", "target_period", "update_every", *LATER}
    assert later <= owner.keys()
    state["owner"] = json.dumps({name: x for name, x in owner.items() if name not in later}, sort_keys=True)
    shutil.rmtree(folder)
    shutil.rmtree(run / "seed-0/replay")
    save(folder, loaded.step, state, rows=Rows(loaded.rows.first, loaded.rows.data, loaded.rows.capacity))


def test_the_acting_network_of_every_row_is_called_policy(tmp_path):
    for preset in ("mpo", "rerpi", "mpo-parametric"):
        run = tmp_path / preset
        settings = {} if preset == "mpo-parametric" else {"posterior.samples": 4}
        train(run, small_run(run, preset, PENDULUM, steps=40, settings=settings))
        action = load_policy(run, 0).act(np.zeros((3, 4), np.float32))
        assert action.shape == (3, 1)
    assert algorithm_of("mpo").prior.kind == "learned"
