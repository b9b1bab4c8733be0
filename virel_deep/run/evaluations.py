"""What the evaluations of one seed decide: which policy is kept as its best, and whether it stops early."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from virel_common.errors import InputError
from virel_deep.design.run import RunConfig
from virel_deep.storage.checkpoint import newest, save

BEST = "best/checkpoints"
"""Folder of a seed that holds the checkpoint of its best policy; it has no replay beside it."""


class Evaluations:
    """Best policy of one seed so far, kept as a checkpoint of its own, and the rule by which the seed stops.

    The best policy is also part of the training state, so that a run which was killed after a better
    evaluation finds the one that it had at its checkpoint.

    Args:
        config: configuration of the run.
        folder: folder of the seed.
        owner: identity of the seed's checkpoints.
    """

    def __init__(self, config: RunConfig, folder: Path, owner: str) -> None:
        """Start without an evaluation."""
        self._config, self._folder, self._owner = config, folder / BEST, owner
        self._best: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._reached = 0

    @property
    def stops(self) -> bool:
        """Whether enough evaluations in a row have reached the return at which the seed stops."""
        return self._config.stop_return is not None and self._reached >= self._config.stop_evaluations

    @property
    def rule(self) -> str:
        """The stop rule in words."""
        n = self._config.stop_evaluations
        return f"return >= {self._config.stop_return:g} on {n} evaluation{'s in a row' * (n > 1)}"

    def judge(self, step: int, return_: float, acts_by: Mapping[str, Any], *, regular: bool) -> None:
        """Take in one evaluation: its mean return, and the state that its policy acts by.

        Of equal returns the earlier policy stays the best. An evaluation that is not `regular`, but made
        because the run ends, does not count for the stop rule, nor for the best policy once the run goes on.
        """
        if regular and self._config.stop_return is not None:
            self._reached = self._reached + 1 if return_ >= self._config.stop_return else 0
        if self._config.keep_best and (not self._best or return_ > self._best["return"]):
            self._before = {} if regular else self._best
            self._best = {"step": step, "return": return_, "acts_by": dict(acts_by)}
            self._write()

    def state(self) -> dict[str, Any]:
        """What training needs to continue; empty for a run that neither keeps its best policy nor stops."""
        if not self._config.keep_best and self._config.stop_return is None:
            return {}
        return {"evaluations": {"reached": self._reached, "best": self._best, "before": self._before}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a training state, and put the best policy of that time back in its folder."""
        mine = state.get("evaluations", {"reached": 0, "best": {}})
        self._reached, self._best, self._before = mine["reached"], mine["best"], mine.get("before", {})
        step = self._best.get("step", 0)
        if step % self._config.eval_every and step < self._config.steps:
            self._best, self._before = self._before, {}
        if self._best and self._best["step"] == _step(self._folder):
            return
        self.clear()
        if self._best:
            self._write()

    def clear(self) -> None:
        """Remove the best policy's folder, such as one of an attempt that was killed and begins again."""
        if self._folder.exists():
            shutil.rmtree(self._folder.parent)

    def _write(self) -> None:
        document = {"owner": self._owner, "return": self._best["return"], "agent": self._best["acts_by"]}
        save(self._folder, self._best["step"], document, rows=None)


def _step(folder: Path) -> int:
    """Step of the best policy in a folder; -1 if there is none that is whole."""
    try:
        return newest(folder).step
    except InputError:
        return -1
