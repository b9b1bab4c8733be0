"""A seed's folder belongs to one run, one seed, and one process at a time."""

import re
import shutil
import weakref

import pytest

from tests.support.deep import small_run, train
from virel_common.errors import InputError
from virel_deep.run import trainer
from virel_deep.run.folder import locked
from virel_deep.run.policy import load_policy
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.run.trainer import Trainer

PENDULUM = "InvertedPendulum-v5"
STEPS = 120

pytestmark = pytest.mark.mujoco


def test_a_process_that_is_refused_one_seed_leaves_the_others_as_they_are(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    train(tmp_path, config, (0,), until=5)
    failure, log = tmp_path / "seed-0/failure.json", tmp_path / "seed-0/metrics.jsonl"
    failure.write_text("{}")
    log.write_text("kept\n")
    trainer = Trainer(tmp_path, config, (1,), resume=False)
    with pytest.raises(InputError, match="seed-1: another process trains this seed"):
        Trainer(tmp_path, config, (0, 1), resume=True)
    assert (failure.read_text(), log.read_text()) == ("{}", "kept\n")
    trainer.close()
    with locked(tmp_path, (0, 1)):  # nothing is held any more
        pass


def test_a_seed_that_was_saved_meanwhile_does_not_begin_again(tmp_path):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS)
    train(tmp_path, config, until=30)
    with pytest.raises(
        InputError, match=r"`seed` must have no checkpoint yet; run `virel train --resume` again; found .*30"
    ):
        Trainer(tmp_path, config, (0,), resume=False)


@pytest.mark.parametrize(
    ("preset", "env", "seed", "said"),
    [
        ("sac", PENDULUM, 1, "`seed` is 1 there, 0 here"),
        ("virel", PENDULUM, 0, "`polyak` is 0.001 there, 0.005 here"),
        (
            "sac",
            "InvertedDoublePendulum-v5",
            0,
            f"`env` is 'InvertedDoublePendulum-v5' there, '{PENDULUM}' here",
        ),
    ],
)
def test_a_checkpoint_of_another_run_or_seed_is_refused(tmp_path, preset, env, seed, said):
    run, other = tmp_path / "run", tmp_path / "other"
    config = small_run(run, "sac", PENDULUM, steps=STEPS, seeds=(0, 1))
    train(other, small_run(other, preset, env, steps=STEPS, seeds=(0, 1)), until=30)
    shutil.copytree(other / f"seed-{seed}", run / "seed-0")
    with pytest.raises(InputError, match=re.escape(said)):
        Trainer(run, config, (0,), resume=True)
    with pytest.raises(InputError, match=re.escape(said)):
        load_policy(run, 0)


def test_replays_are_restored_one_after_another(tmp_path, monkeypatch):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2))
    train(tmp_path, config, until=30)
    read = []

    def one_at_a_time(*args, with_rows=True):
        assert all(rows() is None for rows in read)
        loaded = load_seed(*args, with_rows=with_rows)
        if with_rows:
            read.append(weakref.ref(loaded.rows.data))
        return loaded

    monkeypatch.setattr(trainer, "load_seed", one_at_a_time)
    Trainer(tmp_path, config, (0, 1, 2), resume=True).close()
    assert len(read) == 3
