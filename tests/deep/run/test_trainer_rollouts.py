"""Runs on rollouts: what an update reads, when updates come, and what stays of the transitions."""

import numpy as np
import pytest
import torch

from tests.support.deep import metrics, quiet, small_run, train
from virel_deep.agent.interfaces import METRICS
from virel_deep.run.folder import read_config
from virel_deep.run.policy import load_policy
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

PENDULUM = "InvertedPendulum-v5"

pytestmark = pytest.mark.mujoco


@pytest.mark.parametrize(
    ("steps", "copies", "length", "epochs", "updates"),
    [(60, 1, 20, 1, 3), (60, 2, 10, 4, 12), (60, 4, 7, 3, 6), (60, 1, 61, 5, 0)],
)
def test_updates_come_at_the_end_of_every_rollout(tmp_path, steps, copies, length, epochs, updates):
    settings = {"data.length": length, "data.epochs": epochs, "target_period": epochs}
    config = small_run(
        tmp_path, "vmpo", PENDULUM, steps=steps, copies=copies, settings=settings,
        eval_every=60, log_every=60, checkpoint_every=60,
    )  # fmt: skip
    trainer = train(tmp_path, config)
    assert trainer.agent.updates == updates
    assert len(trainer.replay) == min(steps, length * copies)


def test_an_update_reads_the_last_rollout_of_each_copy_in_order(tmp_path):
    config = small_run(
        tmp_path, "vmpo", "Pendulum-v1", steps=80, copies=2, settings={"data.length": 10, "data.epochs": 2}
    )
    trainer, read, stepped = Trainer(tmp_path, config, (0,), resume=False), [], []
    compute, add = trainer.agent.compute, trainer.replay.add
    trainer.agent.compute = lambda kind, batch, *rest: (
        read.append(batch.clone()) or compute(kind, batch, *rest)
    )
    trainer.replay.add = lambda rows: stepped.append(rows.clone()) or add(rows)
    while not trainer.done:
        trainer.advance(quiet)
    trainer.close()
    told = torch.stack(stepped, dim=2)  # [K, E, T, width] of all steps
    assert len(read) == 2 * 4
    for i, batch in enumerate(read):
        start = 10 * (i // 2)
        assert torch.equal(batch, told[:, :, start : start + 10])
    columns = trainer.agent.columns
    state, following = told[..., columns.observation], told[..., columns.next_observation]
    assert torch.equal(state[:, :, 1:], following[:, :, :-1])  # 40 steps of one episode in each copy


def test_all_actions_are_of_the_policy_that_a_rollout_began_with(tmp_path):
    settings = {"data.length": 20, "data.epochs": 3, "target_period": 3, "learning_rate": 0.05}
    config = small_run(tmp_path, "vmpo", "Pendulum-v1", steps=60, settings=settings, checkpoint_every=20)
    trainer, densities = Trainer(tmp_path, config, (0,), resume=False), []
    columns = trainer.agent.columns
    update = trainer._update

    def judged():
        if trainer.agent.updates % 3 == 0:  # nothing was learnt since the rollout began
            rows = trainer.replay.rows[0]
            head = trainer.agent.policy(rows[None][..., columns.observation])[0, 0].numpy()
            mean, log_std = np.split(head, 2, axis=-1)
            drawn = (rows[:, columns.pre].numpy() - mean) / np.exp(log_std)
            expected = (-(drawn**2) / 2 - log_std - np.log(2 * np.pi) / 2).sum(-1)
            densities.append((rows[:, columns.log_density].numpy().copy(), expected))
            lagging = trainer.agent.targets["policy"].flat
            assert torch.equal(lagging, trainer.agent.policy.flat)  # it is the one that acted
        update()

    trainer._update = judged
    while not trainer.done:
        trainer.advance(quiet)
    trainer.close()
    assert len(densities) == 3
    for found, expected in densities:
        # Differences below 20, divided by deviations near 1, in float32: tens of roundings of 6e-8 x 20.
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_checkpoint_holds_no_more_than_a_rollout(tmp_path):
    config = small_run(tmp_path, "erpg", PENDULUM, steps=110, settings={"data.length": 16})
    train(tmp_path, config)
    rows = load(tmp_path / "seed-0/checkpoints").rows
    assert (rows.first, len(rows.data), rows.capacity) == (94, 16, 16)
    assert read_config(tmp_path) == config
    assert load_policy(tmp_path, 0).act(np.zeros((3, 4), np.float32)).shape == (3, 1)


def test_the_log_names_what_each_part_did(tmp_path):
    more = {
        "vmpo": (
            "kl_mean",
            "kl_spread",
            "price_mean",
            "price_spread",
            "effective_samples",
            "kl",
            "dual_residual",
        ),
        "erpg": (),
    }
    for preset, names in more.items():
        run = tmp_path / preset
        train(run, small_run(run, preset, PENDULUM, steps=60))
        rows = [row for row in metrics(run / "seed-0") if row["kind"] == "train" and "temperature" in row]
        assert rows
        assert set(METRICS) | set(names) <= set(rows[-1])
        assert all(np.isfinite(rows[-1][name]) for name in (*METRICS, *names))
    assert rows[-1]["v_loss"] > 0
