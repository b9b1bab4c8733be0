"""When a seed can't continue: its policy or critic has diverged, or an environment failed."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.design.algorithm import Algorithm

DIVERGED = 100.0
"""A critic beyond this many times the largest value that any policy can have has diverged."""
LEAST_REWARD = 1.0
"""Least scaled reward per step that the bound on values assumes.

If rewards are rare or small, even an untrained critic exceeds the values that they make possible."""


class SeedFailure(RuntimeError):
    """Raised when a seed can't continue: `what` is the kind of failure, the message its details."""

    def __init__(self, what: str, detail: str, where: str = "training") -> None:
        """Store the kind of failure, its details, and where it was."""
        super().__init__(detail)
        self.what, self.where = what, where

    def after(self, losses: Sequence[str]) -> "SeedFailure":
        """This failure with the losses that were not finite before it, if it is one of divergence."""
        if self.what != "diverged" or not losses:
            return self
        return SeedFailure(self.what, f"{self}; not finite before it: {', '.join(losses)}", self.where)


def of_environment(error: EnvironmentFailure, during: str, at: str = "") -> SeedFailure:
    """Failure of a seed because of its environment: which part of it, in training or in an evaluation."""
    detail = f"{at}: {error}" if at else str(error)
    return SeedFailure("environment", detail, f"{during}: {error.where}" if error.where else during)


def check_action(action: NDArray[np.float32], step: int) -> None:
    """Raise `SeedFailure` unless a policy's action is finite."""
    if not np.isfinite(action).all():
        raise SeedFailure("diverged", f"the policy's action is not finite at step {step}: {action.tolist()}")


def check_report(
    report: Mapping[str, float], step: int, algorithm: Algorithm, largest_reward: float, *, n_action: int
) -> None:
    """Raise `SeedFailure` if a reported value is not finite, or the critic far beyond any possible value."""
    bad = {name: value for name, value in report.items() if not np.isfinite(value)}
    if bad:
        raise SeedFailure("diverged", f"values are not finite at step {step}: {bad}")
    if report and abs(report["q"]) > largest_value(report, algorithm, largest_reward, n_action=n_action):
        detail = f"mean Q is {report['q']:.3g} at step {step}, over {DIVERGED:g} times what rewards allow"
        raise SeedFailure("diverged", detail)


def largest_value(
    report: Mapping[str, float], algorithm: Algorithm, largest_reward: float, *, n_action: int
) -> float:
    """Bound on the mean Q beyond which the critic counts as diverged.

    Args:
        report: means of an update's metrics.
        algorithm: algorithm of the run.
        largest_reward: largest absolute reward so far, unscaled.
        n_action: A; the optimal soft value has up to A log 2 nats a step, which no policy's entropy tells.
    """
    a_step = algorithm.reward_scale * largest_reward
    if algorithm.value.evaluation != "hard":
        of_uniform = n_action * math.log(2) if algorithm.value.evaluation == "optimal" else 0.0
        nats = max(abs(report["entropy"]), abs(report.get("prior_kl", 0.0)), of_uniform)
        a_step += report["temperature"] * nats
    return DIVERGED * max(a_step, LEAST_REWARD) / (1 - algorithm.gamma)
