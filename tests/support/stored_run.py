"""A run whose state and replay rows are functions of the step, so that anything loaded can be checked."""

import io
import os
import random
import re
import shutil
import signal
import sys
import time
from contextlib import contextmanager, redirect_stderr
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from virel_common.files import HashingWriter
from virel_deep.storage.checkpoint import CheckpointError, Rows, load, save

COLUMNS = 3
CAPACITY = 25
FILES = (
    "checkpoints/step-000000040/manifest.json",
    "checkpoints/step-000000040/state.json",
    "checkpoints/step-000000040/tensors.safetensors",
    "checkpoints/step-000000040/arrays.npz",
    "replay/rows-000000000030-*.npy",
)
"""Files that only the newest checkpoint of the fixture `folder` needs, as patterns in its run folder."""


@contextmanager
def said(pattern):
    """Inside the block, one line is written to stderr, and the pattern is found in it."""
    with redirect_stderr(io.StringIO()) as text:
        yield
    [line] = text.getvalue().splitlines()
    assert re.search(pattern, line), line


def state_at(step):
    generator = torch.Generator().manual_seed(step)
    return {
        "agent": {"weight": torch.randn(4, 5, generator=generator), "updates": step},
        "environment": [{"qpos": np.arange(6.0) * step, "return": step / 3}, {"qpos": np.full(6, -step)}],
        "acting": generator.get_state(),
    }


def rows_between(first, end, capacity):
    numbers = np.arange(first, end, dtype=np.float32)
    return Rows(first, numbers[:, None] * 10 + np.arange(COLUMNS, dtype=np.float32), capacity)


def assert_is_of_its_step(loaded, capacity):
    """The state and the last `capacity` rows, bit for bit, of a run that stores one row per step."""
    assert_same(loaded.state, state_at(loaded.step))
    expected = rows_between(max(0, loaded.step - capacity), loaded.step, capacity)
    assert (loaded.rows.first, loaded.rows.capacity) == (expected.first, capacity)
    np.testing.assert_array_equal(loaded.rows.data, expected.data, strict=True)


def assert_same(found, expected):
    """Equal bit for bit and of the same types, leaf by leaf."""
    assert type(found) is type(expected), (found, expected)
    match expected:
        case torch.Tensor():
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            raw = [x.detach().contiguous().flatten().view(torch.uint8) for x in (found, expected)]
            assert torch.equal(*raw)
        case np.ndarray():
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert found.tobytes() == expected.tobytes()
        case dict():
            assert list(found) == list(expected)
            for key in expected:
                assert_same(found[key], expected[key])
        case list():
            assert len(found) == len(expected)
            for a, b in zip(found, expected, strict=True):
                assert_same(a, b)
        case _:
            assert repr(found) == repr(expected)  # tells -0.0 from 0.0, and takes NaN for equal to NaN


def save_step(folder, step, before, capacity):
    """Save what a run has at `step` that was last saved at `before`."""
    return save(folder, step, state_at(step), rows=rows_between(before, step, capacity))


def train(folder, capacity, every, saved=None):
    """Continue from the newest checkpoint for ever; write each step that was saved to the pipe `saved`."""
    step = load(folder).step if list(folder.glob("step-*")) else 0
    while True:
        save_step(folder, step + every, step, capacity)
        step += every
        if saved is not None:
            os.write(saved, f"{step}\n".encode())


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path):
    path.write_bytes(b"")


def swap(path):
    """Another whole file of the same kind: of the checkpoint before, or the chunk before."""
    others = sorted({*path.parent.parent.glob(f"step-*/{path.name}"), *path.parent.glob("rows-*")} - {path})
    path.write_bytes(others[-1].read_bytes())


def folder_instead(path):
    path.unlink()
    path.mkdir()


class Interrupted:
    """While it is open, the n-th operation on files fails or ends the process, half done if it is a write.

    `fail(n)` is called before operation n (from 0); what it raises is what the operation raises.
    """

    OS = ("fsync", "rename", "mkdir", "unlink", "rmdir")

    def __init__(self, fail):
        self.fail, self.count, self.log = fail, 0, []

    def __enter__(self):
        self._real = {name: getattr(os, name) for name in self.OS}
        self._write, self._open = HashingWriter.write, Path.open
        for name, real in self._real.items():
            setattr(os, name, self._wrap(name, real))
        Path.open = self._wrap("open", self._open)
        interrupted, write = self, self._write

        def half_write(writer, data):
            data = bytes(data)
            write(writer, data[: len(data) // 2])
            writer._file.flush()
            interrupted._count("write", writer._file.name)
            return write(writer, data[len(data) // 2 :])

        HashingWriter.write = half_write
        return self

    def __exit__(self, *_):
        for name, real in self._real.items():
            setattr(os, name, real)
        HashingWriter.write, Path.open = self._write, self._open

    def _wrap(self, name, real):
        def wrapped(*args, **kwargs):
            if name != "open" or "w" in [*args, ""][1]:  # what only reads changes nothing
                self._count(name, *args)
            return real(*args, **kwargs)

        return wrapped

    def _count(self, name, *args):
        n, self.count = self.count, self.count + 1
        self.log.append((name, *args))
        self.fail(n)


def in_child(act):
    """Exit status of `act` in a forked process; minus the signal's number where one ended it."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except BaseException as error:  # the parent's frames must not go on in the child
            sys.stderr.write(repr(error))
            sys.stderr.flush()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at_random_moments(folder, *, kills, seed, capacity=25, every=10):
    """SIGKILL a training `kills` times; what loads must be right, and no save that returned is lost."""
    rng, step, start = random.Random(seed), every, time.monotonic()
    save_step(folder, every, 0, capacity)
    duration = time.monotonic() - start
    for _ in range(kills):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            train(folder, capacity, every, writer)
        os.close(writer)
        with os.fdopen(reader) as saved:
            for _ in range(rng.randrange(4)):
                step = int(saved.readline())
            time.sleep(rng.uniform(0, 2 * duration))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            step = max([step, *map(int, saved)])
        loaded = load(folder)
        assert_is_of_its_step(loaded, capacity)
        assert loaded.step >= step, (loaded.step, step)
        step = loaded.step
    assert step > every


def load_while_training(folder, *, loads, capacity=25, every=10):
    """Load, at least `loads` times, what another process saves; it must be right and never get older."""
    save_step(folder, every, 0, capacity)
    child = os.fork()
    if child == 0:
        train(folder, capacity, every)
    try:
        steps = []
        while len(steps) < loads or steps[-1] < 10 * every:
            loaded = load(folder)
            assert_is_of_its_step(loaded, capacity)
            steps.append(loaded.step)
        assert steps == sorted(steps)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def end_at_each_operation(folder, before, step, *, capacity=25):
    """End the process before each file operation of a save in turn; the last one is the one that may be lost.

    Args:
        folder: where the runs go.
        before: steps of the checkpoints before that save.
        step: its step.
        capacity: rows of the replay.

    Returns:
        The step that is loaded after each end. What is loaded is right, and the next save leaves no rest.
    """

    def prepare(run):
        for first, end in pairwise((0, *before)):
            save_step(run / "checkpoints", end, first, capacity)

    def finish(run, last):
        save_step(run / "checkpoints", step, last, capacity)

    def end_in(run, n):
        with Interrupted(lambda at: os._exit(ENDED) if at == n else None):
            finish(run, before[-1])

    prepare(folder / "before")
    shutil.copytree(folder / "before", folder / "whole")
    with Interrupted(lambda _: None) as counted:
        finish(folder / "whole", before[-1])
    outcomes = []
    for n in range(counted.count):
        run = shutil.copytree(folder / "before", folder / f"run-{n}")
        assert in_child(lambda run=run, n=n: end_in(run, n)) == ENDED
        loaded = load(run / "checkpoints")
        assert_is_of_its_step(loaded, capacity)
        outcomes.append(loaded.step)
        finish(run, loaded.step)
        assert listing(run) == listing(folder / "whole"), n
    return outcomes


def fill_the_disk(run, *, capacity=10**6, every=1000):
    """Save on a small disk until it is full; the one before must load, and go on once there is room."""
    step = 0
    while True:
        try:
            save_step(run / "checkpoints", step + every, step, capacity)
        except CheckpointError as error:
            sys.stdout.write(str(error))
            break
        step += every
    assert step > 2 * every, "too small a disk for this test"
    assert_is_of_its_step(load(run / "checkpoints"), capacity)
    assert load(run / "checkpoints").step == step
    assert not list(run.rglob(".tmp-*"))
    (run / "ballast").unlink()
    save_step(run / "checkpoints", step + every, step, capacity)
    assert_is_of_its_step(load(run / "checkpoints"), capacity)


ENDED = 9


def listing(run):
    return sorted(str(path.relative_to(run)) for path in run.rglob("*"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, where, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "kill":
        kill_at_random_moments(where, kills=count, seed=time.time_ns())
    elif what == "load":
        load_while_training(where, loads=count)
    elif what == "end":
        os.fsync = lambda _: None  # a process that ends takes nothing from the system's cache
        # a new checkpoint: an old one goes, and a chunk with it
        assert set(end_at_each_operation(where / "new", (10, 20, 30, 40), 50)) == {40, 50}
        # in the place of one of its step, which must not be lost
        assert set(end_at_each_operation(where / "again", (10, 20, 30, 40, 50), 50)) == {50}
    elif what == "full":
        where.mkdir(parents=True)
        (where / "ballast").write_bytes(bytes(count))
        fill_the_disk(where)
    else:
        raise SystemExit(f"unknown: {what}")
