"""Errors that hold more than a message survive the way to another process, with all that they hold."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from virel_common.terminal import FAILED
from virel_common.worker import pack_failure, unpack
from virel_deep import TrainingStopped
from virel_deep.data.making import NotMadeError
from virel_deep.results.read import NotEvaluatedError
from virel_theory import SolverError, SolverInterrupted, ring, solve

RING = ring(50, gamma=0.999)
SHORT = {"method": "vi", "atol": 1e-9, "max_steps": 1}


def unsolved(_):
    return solve(RING, throw=True, **SHORT)


def sent(error):
    """The error as it arrives from a worker process; one that can't be pickled would be a `RuntimeError`."""
    return unpack(pack_failure(error))[1]


@pytest.mark.parametrize("kind", [SolverError, SolverInterrupted])
def test_a_solver_s_error_keeps_its_solution(kind):
    error = kind(solve(RING, **SHORT))
    again = sent(error)
    assert (type(again), str(again)) == (kind, str(error))
    assert again.solution.value.tobytes() == error.solution.value.tobytes()
    assert again.__notes__ == error.__notes__  # its traceback there


@pytest.mark.parametrize(
    "error",
    [
        TrainingStopped(Path("run"), FAILED, ["seed 0 failed"]),
        NotMadeError("env", "Here-v0", "ValueError: no"),
        NotEvaluatedError(Path("run"), "no evaluation", "`runs` must be evaluated"),
    ],
)
def test_errors_of_the_deep_package_keep_what_they_hold(error):
    again = sent(error)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_pool_of_processes_hands_the_error_over_and_goes_on():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(SolverError, match="step limit"):
            pool.submit(unsolved, 0).result(60)
        assert pool.submit(abs, -1).result(60) == 1
