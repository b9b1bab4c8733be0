"""A seed's folder belongs to one run, one seed, and one process at a time."""

import re
import shutil

import pytest

from tests.support.deep import small_run, train
from virel_common.errors import InputError
from virel_deep.data.replay import Replay
from virel_deep.run.folder import locked
from virel_deep.run.policy import load_policy
from virel_deep.run.survey import bundles, survey
from virel_deep.run.trainer import Trainer
from virel_deep.storage import chunks

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


def test_a_resumed_run_hashes_each_replay_once_and_reads_it_chunk_by_chunk(tmp_path, monkeypatch):
    config = small_run(tmp_path, "sac", PENDULUM, steps=STEPS, seeds=(0, 1, 2))
    train(tmp_path, config, until=80)
    hashed, sizes = [], []
    check, refill = chunks.check_stamp, Replay.refill
    monkeypatch.setattr(chunks, "check_stamp", lambda path, stamp: (hashed.append(path), check(path, stamp)))
    monkeypatch.setattr(
        Replay, "refill", lambda self, k, rows, added: (sizes.append(len(rows)), refill(self, k, rows, added))
    )
    found = bundles(survey(tmp_path, config), 1)
    assert (found, hashed) == ([([0, 1, 2], True)], [])
    Trainer(tmp_path, config, (0, 1, 2), resume=True).close()
    assert sorted(hashed) == sorted(tmp_path.glob("seed-*/replay/rows-*"))
    assert sizes == [40, 40] * 3
