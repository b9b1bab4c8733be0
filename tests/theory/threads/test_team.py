"""Threads that share work: nobody works on arrays once `share` is over, and held-up threads change no bit."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, instances
from tests.support.interpreted import too_large
from virel_theory import solve
from virel_theory.models import draw
from virel_theory.solvers import backups
from virel_theory.threads import team
from virel_theory.threads.turns import FINISHED, NEXT, add, new_turns, take_interpreted

MAIN = threading.main_thread()
add(new_turns(), NEXT, 0)  # compiles, which would take longer than the delays below


def fill(seen, delay, turns, n_chunks):
    """Kernel in Python: notes in `seen` who did each chunk; helpers sleep `delay` seconds in each."""
    own, c = 0, add(turns, NEXT, 1)
    while c < n_chunks:
        if threading.current_thread() is not MAIN:
            time.sleep(delay)
        seen[c] = threading.current_thread().name
        add(turns, FINISHED, 1)
        own, c = own + 1, add(turns, NEXT, 1)
    return own


def test_every_chunk_is_done_once_and_a_helper_held_up_in_a_chunk_is_waited_for():
    seen = [None] * 50
    found = team.share(fill, (seen, 0.05), n_chunks=50, n_helpers=2)
    assert None not in seen
    assert found.own == seen.count(MAIN.name)


def test_a_helper_that_comes_late_is_not_waited_for_and_touches_nothing(monkeypatch):
    late = team.SimpleQueue()
    monkeypatch.setattr(team, "_crew", lambda n: [late] * n)
    seen = [None] * 8
    assert team.share(fill, (seen, 0.0), n_chunks=8, n_helpers=1).own == 8
    seen[:] = [None] * 8  # what a solver does: it uses the array again
    kernel, args, _ = late.get()
    assert kernel(*args) == 0
    assert seen == [None] * 8


def test_after_an_interrupt_nobody_works_on_the_arrays_any_more():
    seen, begun = [None] * 40, threading.Event()

    def interrupted(seen, delay, turns, n_chunks):
        if threading.current_thread() is MAIN:
            begun.wait(5)
            raise KeyboardInterrupt
        begun.set()
        return fill(seen, delay, turns, n_chunks)

    with pytest.raises(KeyboardInterrupt):
        team.share(interrupted, (seen, 0.1), n_chunks=40, n_helpers=1)
    after = list(seen)
    time.sleep(0.25)
    assert seen == after
    assert after.count(None) >= 38


def test_an_error_in_a_helper_is_raised_by_the_caller():
    began = threading.Event()

    def broken(turns, n_chunks):
        if threading.current_thread() is not MAIN:
            add(turns, NEXT, 1)
            began.set()
            raise ZeroDivisionError
        began.wait(5)
        return fill([None] * n_chunks, 0.0, turns, n_chunks)

    with pytest.raises(ZeroDivisionError):
        team.share(broken, (), n_chunks=3, n_helpers=1)


def test_sharing_that_does_not_pay_is_left_alone_for_longer_and_longer():
    pace = team.Pace(2)
    for _ in range(40):
        pace.run(fill, ([None] * 4, 0.01), n_chunks=4, n_threads=2)
        time.sleep(0.001)
    assert pace.most == 2
    assert pace.n_shared + pace.n_alone == 40
    assert pace.n_alone > 30


@pytest.fixture
def shared_at_any_size(monkeypatch):
    """Let sweeps of the smallest MDPs be shared, state by state."""
    for name in ("PER_THREAD", "PER_THREAD_FULL", "CHUNK"):
        monkeypatch.setattr(backups, name, 1)
    monkeypatch.setattr(backups, "n_threads", lambda: 3)
    monkeypatch.setattr(team.Pace, "_learn", lambda *_: None)  # share whatever it costs


@pytest.fixture
def held_up():
    """Pin the helpers to one CPU, beside a process that never sleeps there."""
    cpu = min(os.sched_getaffinity(0))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(busy.pid, {cpu})
    team._crew(2)
    helpers = [t for t in threading.enumerate() if t.name == "virel-helper"]
    everywhere = os.sched_getaffinity(0)
    for one in helpers:
        os.sched_setaffinity(one.native_id, {cpu})
    yield
    for one in helpers:
        os.sched_setaffinity(one.native_id, everywhere)
    busy.kill()
    busy.wait()


@pytest.mark.parametrize("n", [20, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.usefixtures("shared_at_any_size", "held_up")
def test_bounds_stay_true_and_no_bit_changes_where_threads_are_held_up(monkeypatch, n):
    for mdp, exact in instances(n, 5):
        one = mdp.to_sparse()
        found = solve(one, atol=1e-9, method="mpi")
        assert exact_error(found.q, exact) <= found.error_bound
        assert found.threads.most > 1 or found.threads.shared == 0
        with monkeypatch.context() as patch:
            patch.setattr(backups, "n_threads", lambda: 1)
            alone = solve(one, atol=1e-9, method="mpi")
        assert alone.threads.most == 1
        np.testing.assert_array_equal(found.q, alone.q)
        assert found.error_bound == alone.error_bound


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_the_number_of_threads_changes_no_bit_of_any_kind_of_sweep(monkeypatch, n_threads):
    for name in ("PER_THREAD", "PER_THREAD_FULL"):
        monkeypatch.setattr(backups, name, 100)
    monkeypatch.setattr(backups, "CHUNK", 64)
    rng = np.random.default_rng(3)
    few = draw.garnet(200, 3, 5, gamma=0.99, rng=rng, sparse=True)  # reads the MDP's own rows
    many = draw.garnet(200, 12, 5, gamma=0.99, rng=rng, sparse=True)  # copies the policy's, skips actions
    slow = draw.ring(300, gamma=0.999, rng=rng)
    for mdp, method in [(few, "auto"), (many, "auto"), (slow, "ipi")]:
        monkeypatch.setattr(backups, "n_threads", lambda: 1)
        alone = solve(mdp, atol=1e-8, method=method)
        monkeypatch.setattr(backups, "n_threads", lambda: n_threads)
        found = solve(mdp, atol=1e-8, method=method)
        np.testing.assert_array_equal(found.q, alone.q)
        np.testing.assert_array_equal(found.policy, alone.policy)
        assert found.error_bound == alone.error_bound
        assert found.threads.shared > 0 or n_threads == 1


@too_large
def test_a_forked_child_has_threads_of_its_own():
    code = (
        "import os, numpy as np\n"
        "from virel_theory import garnet\n"
        "make = lambda: garnet(20_000, 10, 10, gamma=0.9, rng=np.random.default_rng(0), sparse=True)\n"
        "make()\n"
        "child = os.fork()\n"
        "make()\n"
        "os._exit(0) if child == 0 else os._exit(os.waitpid(child, 0)[1])\n"
    )
    env = os.environ | {"NUMBA_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=False).returncode == 0


def test_turns_taken_by_interpreted_threads_are_all_different():
    turns, seen = new_turns(), [[] for _ in range(4)]
    crew = [
        threading.Thread(
            target=lambda mine: mine.extend(take_interpreted(turns, NEXT, 1) for _ in range(500)), args=(of,)
        )
        for of in seen
    ]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    assert sorted(turn for of in seen for turn in of) == list(range(2000))
