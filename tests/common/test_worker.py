"""Jobs whose process dies in the middle of its answer, that a signal stops, or that fail beside others."""

import os
import signal
import threading
from concurrent.futures import BrokenExecutor

import pytest

from tests.support import jobs, lives
from virel_common.errors import InputError
from virel_common.jobs import ended_jobs, run_jobs
from virel_common.worker import LIVES, Stopped


def test_a_job_whose_process_dies_while_it_sends_its_answer_starts_again(tmp_path):
    ((_, calls),) = run_jobs(lives.half_an_answer, [(tmp_path / "calls",)], jobs=1)
    assert calls == 2


def test_a_job_that_was_stopped_but_is_still_wanted_starts_again(tmp_path):
    ((_, calls),) = run_jobs(lives.stopped_until, [(tmp_path / "calls", LIVES - 1)], jobs=1)
    assert calls == LIVES


def test_a_job_that_is_stopped_in_all_its_lives_ends_as_stopped(tmp_path):
    (one,) = ended_jobs(lives.stopped_until, [(tmp_path / "calls", 99)], jobs=1)
    assert isinstance(one.error, Stopped)
    assert str(one.error) == "a signal stopped the job 3 times"
    assert (tmp_path / "calls").stat().st_size == LIVES


def test_a_signal_of_a_scheduler_to_a_worker_process_does_not_end_its_job(tmp_path):
    path = tmp_path / "calls"

    def end_it():
        jobs.wait_for(lambda: (tmp_path / "calls.pid").exists() and (tmp_path / "calls.pid").read_text())
        os.kill(int((tmp_path / "calls.pid").read_text()), signal.SIGTERM)

    scheduler = threading.Thread(target=end_it)
    scheduler.start()
    ((_, calls),) = run_jobs(lives.saves_at_a_signal, [(path,)], jobs=1)
    scheduler.join()
    assert calls == 2


def test_jobs_that_fail_or_die_are_told_and_stop_no_other(tmp_path):
    arguments = [(tmp_path / "calls", 99), (tmp_path / "one", 0), (), (tmp_path / "two", 0)]
    ended = {one.number: one for one in ended_jobs(jobs.dies_until, arguments, jobs=1)}
    assert [ended[i].result for i in range(4)] == [None, 1, None, 1]
    assert [type(ended[i].error) for i in range(4)] == [BrokenExecutor, type(None), TypeError, type(None)]


def test_bad_input_that_a_worker_finds_stops_all_jobs():
    with pytest.raises(InputError, match="`folder` must be there"):
        list(ended_jobs(lives.refuses, [()], jobs=1))
