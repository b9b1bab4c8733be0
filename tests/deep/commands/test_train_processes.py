"""`virel train` in processes of its own: Ctrl-C, kill -9 and a closed pipe lose no bits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.support.deep import differing, metrics
from tests.support.train_command import TINY, arguments
from virel_common.errors import InputError
from virel_deep.run.folder import locked, read_config, write_config
from virel_deep.run.launch import train_bundle
from virel_deep.run.survey import bundles, survey
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load

ROOT = Path(__file__).resolve().parents[3]


def start(*argv):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "virel_common.command", "train", *argv],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def reached(run, seed):
    """Step of a seed's newest checkpoint, by its name; 0 without one."""
    names = [path.name for path in (run / f"seed-{seed}/checkpoints").glob("step-*")]
    return max((int(name.removeprefix("step-")[:9]) for name in names), default=0)


def wait_until(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)


def uninterrupted(run, folder):
    """The same run again, in this process and without a stop."""
    config = read_config(run)
    write_config(folder, config)
    torch.set_num_threads(1)
    trainer = Trainer(folder, config, config.seeds, resume=False)
    while not trainer.done:
        trainer.advance(lambda *_: None)
    trainer.close()


def assert_same(run, other):
    for seed in read_config(run).seeds:
        pair = [folder / f"seed-{seed}" for folder in (run, other)]
        assert metrics(pair[0]) == metrics(pair[1])
        one, two = (load(folder / "checkpoints") for folder in pair)
        assert differing(one.state, two.state) == []
        assert (one.rows.data == two.rows.data).all()


@pytest.mark.slow
def test_kill_9_and_ctrl_c_lose_no_bits(tmp_path):
    run, steps = tmp_path / "run", 600
    cadence = ("--checkpoint-every", "50", "--eval-every", "150")
    process = start(*arguments(run, steps=str(steps)), *TINY, *cadence)
    wait_until(lambda: reached(run, 0) >= 100, process)
    process.kill()
    process.communicate()
    killed = reached(run, 0)
    assert 100 <= killed < steps

    process = start("--resume", str(run))
    wait_until(lambda: reached(run, 0) > killed, process)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130, said
    stopped = reached(run, 0)
    assert said.endswith(f"seed 0 stopped at step {stopped}; to continue: virel train --resume {run}\n")
    assert killed < stopped < steps

    process = start("--resume", str(run))
    said = process.communicate()[1]
    assert process.returncode == 0, said
    uninterrupted(run, tmp_path / "whole")
    assert_same(run, tmp_path / "whole")


@pytest.mark.long
@pytest.mark.slow
def test_children_stop_with_their_parent_and_their_seeds_keep_their_bits_in_another_grouping(tmp_path):
    run, steps = tmp_path / "run", 600
    process = start(*arguments(run, steps=str(steps), seeds="2", jobs="2", checkpoint_every="50"), *TINY)
    wait_until(lambda: min(reached(run, 0), reached(run, 1)) >= 50, process)
    process.send_signal(signal.SIGINT)  # to the parent alone, unlike a terminal
    said = process.communicate()[1]
    assert process.returncode == 130, said
    stopped = [reached(run, seed) for seed in (0, 1)]
    for seed, step in enumerate(stopped):
        assert f"seed {seed} stopped at step {step}; to continue: virel train --resume {run}\n" in said

    process = start("--resume", str(run), "--jobs", "2")
    wait_until(lambda: all(reached(run, seed) > stopped[seed] for seed in (0, 1)), process)
    process.kill()
    process.wait()
    # The children save and end by themselves: their seeds are free again.
    wait_until(lambda: all(free(run, seed) for seed in (0, 1)), None)
    process.stderr.close()
    last = [reached(run, seed) for seed in (0, 1)]
    assert max(last) < steps
    config = read_config(run)
    for seeds, resume in bundles(survey(run, config), 1):
        assert train_bundle(run, config, seeds, resume, report=lambda *_: None) == 0
    uninterrupted(run, tmp_path / "whole")
    assert_same(run, tmp_path / "whole")


@pytest.mark.long
@pytest.mark.slow
def test_who_stops_reading_does_not_stop_the_training(tmp_path):
    process = start(*arguments(tmp_path / "run", steps="4000"), *TINY)
    process.stderr.readline()
    process.stderr.close()
    assert process.wait() == 0
    assert reached(tmp_path / "run", 0) == 4000


def free(run, seed):
    try:
        with locked(run, (seed,)):
            return True
    except InputError:
        return False
