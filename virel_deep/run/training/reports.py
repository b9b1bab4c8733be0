"""Reports of training: `train` rows of every seed's log, and their means for whoever watches."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from virel_deep.run.training.failures import SeedFailure
from virel_deep.run.training.seed import SeedRun

Report = Callable[[int, dict[str, Any]], object]
"""Callback that takes a step, and means over the `seeds` in it, whenever `train` rows are written."""


class Reports:
    """Writer of `train` rows that knows when it last wrote, for the speed.

    Args:
        step: step at which training starts or continues.
    """

    def __init__(self, step: int) -> None:
        """Start the clock."""
        self._time, self._step = time.perf_counter(), step

    def write(
        self, step: int, runs: Sequence[SeedRun], rows: Sequence[dict[str, float]], report: Report
    ) -> dict[int, SeedFailure]:
        """Write a row of metrics to each seed's log, and report their means.

        Returns:
            Failures of the seeds whose metrics show that they have diverged, by their place in the stack.
        """
        now, failed = time.perf_counter(), {}
        speed = (step - self._step) / (now - self._time)
        self._time, self._step = now, step
        for k, (run, row) in enumerate(zip(runs, rows, strict=True)):
            try:
                run.log_training(step, row, speed)
            except SeedFailure as failure:
                failed[k] = failure
        report(step, mean_row(runs, rows, speed))
        return failed


def mean_row(runs: Sequence[SeedRun], rows: Sequence[Mapping[str, float]], speed: float) -> dict[str, Any]:
    """Means over the seeds of their metrics and last returns, with steps per second and the seeds."""
    returns = [run.last_return for run in runs if run.last_return is not None]
    means = {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else {})}
    return means | {
        "return": float(np.mean(returns)) if returns else None,
        "steps_per_second": speed,
        "seeds": [run.seed for run in runs],
    }
