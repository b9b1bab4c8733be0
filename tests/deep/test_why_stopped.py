"""What `TrainingStopped` says: which seed, file or process failed."""

import pytest

import virel_deep
from tests.support.deep import small_run
from tests.support.envs import Dice, registered
from virel_common.files import StorageError
from virel_deep.data.presence import Presence
from virel_deep.run import launch
from virel_deep.run.apart import Death
from virel_deep.run.folder import locked

PENDULUM = "Pendulum-v1"


@pytest.fixture
def run(tmp_path):
    small_run(tmp_path / "run", "sac", PENDULUM, steps=40, seeds=(0, 1))
    return tmp_path / "run"


def stopped(reason):
    """What is raised where training ends early for this reason, a regular expression."""
    return pytest.raises(
        virel_deep.TrainingStopped, match=rf"^training in .*/run ended early: {reason}; `res"
    )


class Fails(Dice):
    """Fails at its first step."""

    def step(self, action):  # noqa: ARG002
        raise RuntimeError("no licence")


def test_a_seed_that_failed_is_named(tmp_path):
    small_run(tmp_path / "run", "sac", registered(Fails), steps=40, seeds=(0, 3))
    with stopped("seeds 0,3 failed, as said on the standard error stream") as error:
        virel_deep.resume(tmp_path / "run")
    assert (error.value.run, error.value.status) == (tmp_path / "run", 1)


def test_a_full_disk_is_named(run, monkeypatch):
    what = "can't save step 40 in the run: No space left on device"

    def full(*_):
        raise StorageError(what)

    monkeypatch.setattr("virel_deep.run.trainer.save_seed", full)
    with stopped(what):
        virel_deep.resume(run)


@pytest.mark.parametrize("jobs", [1, 2])  # in this process, and in others
def test_a_lock_that_another_process_holds_is_named(run, jobs):
    what = ".*/seed-0: another process trains this seed; wait for it, or stop it"
    with locked(run, [0]), stopped(what):
        virel_deep.resume(run, jobs=jobs)


def test_a_seed_that_is_left_out_is_named(run):
    (run / "seed-1/checkpoints/step-000000040").mkdir(parents=True)
    with stopped(".*/seed-1/checkpoints/step-000000040/manifest.json: No such file or directory"):
        virel_deep.resume(run)


def test_a_process_that_was_killed_is_named(run, monkeypatch):
    def killed(work, *_, bury, **__):
        assert bury(Death(work[0], "by SIGKILL", Presence(0, 0, ""))) == []
        return 1

    monkeypatch.setattr(launch, "train_apart", killed)
    with stopped("the process of seed 0 ended by SIGKILL"):
        virel_deep.resume(run, jobs=2)
