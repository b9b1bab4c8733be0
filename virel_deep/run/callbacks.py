"""What a Python program and a training tell each other: functions called as it goes on, and why it failed."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from virel_common.errors import require

OnLog = Callable[[int, dict[str, Any]], object]
"""Called with a step and a row of the log; True stops the training."""
OnEvaluation = Callable[[int, dict[int, float]], object]
"""Called with a step and the mean return of each seed's evaluation; True stops the training."""


class Callbacks:
    """What a caller of a training wants to be told, and whether it has asked to stop.

    A callback is called between two steps. If it returns True, every seed saves and stops, as on Ctrl-C. An
    exception stops the training alike and is kept in `error`, to be raised once everything is saved. After
    either, no callback is called any more.

    Args:
        on_log: called for each `train` row of the log, which is a mean over the seeds in `row["seeds"]`.
        on_evaluation: called for each evaluation.

    Example:
        >>> enough = Callbacks(on_evaluation=lambda step, returns: min(returns.values()) > 5)
        >>> enough.evaluation(1000, {0: 4.0, 1: 9.0}), enough.evaluation(2000, {0: 6.0, 1: 9.0})
        (False, True)
    """

    def __init__(self, on_log: OnLog | None = None, on_evaluation: OnEvaluation | None = None) -> None:
        """Store the callbacks; check that they can be called."""
        for name, given in (("on_log", on_log), ("on_evaluation", on_evaluation)):
            require(given is None or callable(given), name, given, "must be a function, or None")
        self._on_log, self._on_evaluation = on_log, on_evaluation
        self.asked = False
        """Whether a callback has asked to stop, or raised an exception."""
        self.error: BaseException | None = None
        """Exception that a callback raised."""
        self.failures: list[str] = []
        """Why seeds did not reach their last step, other than that they were stopped."""

    def log(self, step: int, row: Mapping[str, Any]) -> bool:
        """Pass on a row of the log; return whether training is to stop."""
        return self._call(self._on_log, "on_log", step, dict(row))

    def evaluation(self, step: int, returns: Mapping[int, float]) -> bool:
        """Pass on the mean return of each evaluated seed; return whether training is to stop."""
        return self._call(self._on_evaluation, "on_evaluation", step, dict(returns))

    def _call(self, function: Callable[..., object] | None, name: str, *values: Any) -> bool:
        if function is None or self.asked:
            return self.asked
        try:
            answer = function(*values)
            rule = "must return True to stop, and False or None to continue"
            require(isinstance(answer, bool | np.bool_ | None), name, answer, rule)
            self.asked = bool(answer)
        except BaseException as error:  # also Ctrl-C inside the callback: everything is saved first
            self.error, self.asked = error, True
        return self.asked
