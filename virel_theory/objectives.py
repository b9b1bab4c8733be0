"""Objectives without a discount as the command `virel solve` offers them: options, solvers, what is printed.

No mathematics here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import require
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.from_qvbs import Sense
from virel_theory.output import policy_summary, with_error
from virel_theory.solvers.solution import Solved, Status
from virel_theory.undiscounted.average_reward import average_reward
from virel_theory.undiscounted.finite_horizon import finite_horizon
from virel_theory.undiscounted.reachability import reachability
from virel_theory.undiscounted.shortest_path import shortest_path
from virel_theory.undiscounted.solution import BoundedSolution


@dataclass(frozen=True)
class Answer:
    """What came out: printed rows by their heads, arrays to write, the status and the method."""

    rows: dict[str, str]
    arrays: dict[str, Any]
    status: Status
    method: str


class Objective(NamedTuple):
    """Objective: the options it uses, the sense if nothing asks for one, and its solver."""

    uses: set[str]
    sense: Sense
    solve: Callable[..., Answer]


def solve_finite_horizon(
    mdp: TabularMDP, *, sense: str, horizon: int | None = None, **options: Any
) -> Answer:
    """Solve for a number of steps."""
    require(horizon is not None, "horizon", horizon, "must be given for the objective finite-horizon")
    assert horizon is not None
    found = finite_horizon(mdp, horizon, sense=sense, **options)
    values, bound = value_rows(mdp, found.value[0], found.error_bound)
    rows = {
        "objective": f"total of {horizon} steps ({sense})",
        **values,
        "first step": policy_summary(found.policy[0]),
        **ended_rows(found, "every value", bound),
    }
    return _answer(rows, found, ("value", "policy"))


def solve_reach(mdp: TabularMDP, *, goal: NDArray[np.int64], sense: str, **options: Any) -> Answer:
    """Solve for the probability of reaching `goal`."""
    found = reachability(mdp, goal, sense=sense, **options)
    return _bounded(mdp, found, f"probability of ever reaching {_states(goal)} ({sense})")


def solve_shortest_path(mdp: TabularMDP, *, goal: NDArray[np.int64], sense: str, **options: Any) -> Answer:
    """Solve for the total reward or cost until `goal`."""
    found = shortest_path(mdp, goal, sense=sense, **options)
    return _bounded(mdp, found, f"total until {_states(goal)}, by policies that surely arrive ({sense})")


def solve_average(mdp: TabularMDP, *, sense: str, **options: Any) -> Answer:
    """Solve for the reward per step."""
    found = average_reward(mdp, sense=sense, **options)
    (gain,), bound = with_error([found.gain], found.error_bound)
    rows = {
        "objective": f"average per step ({sense})",
        "gain": f"{gain} from every state",
        "policy": policy_summary(found.policy),
        **ended_rows(found, "the gain", bound),
    }
    return _answer(rows, found, ("gain", "lower", "upper", "bias", "policy"))


OBJECTIVES: dict[str, Objective] = {
    "finite-horizon": Objective({"horizon", "gamma"}, "max", solve_finite_horizon),
    "reach": Objective({"goal", "max_steps"}, "max", solve_reach),
    "shortest-path": Objective({"goal", "max_steps"}, "min", solve_shortest_path),
    "average": Objective({"max_steps"}, "max", solve_average),
}
"""Objectives of `virel solve` besides the discounted one, by the names of `--objective`."""


def value_rows(mdp: TabularMDP, value: Array, error: float) -> tuple[dict[str, str], str]:
    """Printed rows about values `[S]`, some of which may be infinite; the bound on the printed numbers."""
    finite = value[np.isfinite(value)]
    ends = [finite.min(), finite.max()] if len(finite) > 0 else []
    at_start, rounding = _at_start(mdp, value)
    (start, *texts), bound = with_error([at_start, *ends], error + rounding)
    over = " to ".join(texts) or "none is finite"
    for x in (np.inf, -np.inf):
        n = int((value == x).sum())
        over += f", {x:g} in {n} states" if n else ""
    return {"value at start": start, "value over states": over}, bound


def _at_start(mdp: TabularMDP, value: Array) -> tuple[float, float]:
    """Mean of the values over the first state, and a bound on its rounding; NaN if both infinities occur."""
    possible = mdp.initial > 0
    weights, values = mdp.initial[possible], value[possible]
    if not np.isfinite(values).all():
        return (float(weights @ values) if _adds_up(values) else np.nan), 0.0
    exact = bool((weights == 1).all())
    # Each product and the sum of the exactly summed products are rounded once, by half an ulp.
    return math.fsum(weights * values), 0.0 if exact else U * float(weights @ np.abs(values))


def _adds_up(value: Array) -> bool:
    """Whether a mean of the values exists: not both infinities."""
    return not (np.isposinf(value).any() and np.isneginf(value).any())


def ended_rows(found: Solved, what: str, bound: str) -> dict[str, str]:
    """Printed rows about the guarantee, whose bound is given as a text, and the end of a solver."""
    return {
        "error bound": f"{bound} on {what}, guaranteed",
        "status": f"{found.status.name}: {found.status.text}",
    }


def _bounded(mdp: TabularMDP, found: BoundedSolution, objective: str) -> Answer:
    values, bound = value_rows(mdp, found.value, found.error_bound)
    rows = {
        "objective": objective,
        **values,
        "policy": policy_summary(found.policy),
        **ended_rows(found, "every finite value", bound),
    }
    return _answer(rows, found, ("value", "q", "policy", "lower", "upper"))


def _answer(rows: dict[str, str], found: Any, names: tuple[str, ...]) -> Answer:
    arrays = {name: np.asarray(getattr(found, name)) for name in (*names, "error_bound")}
    return Answer(rows, arrays, found.status, f"{found.method}, {found.n_steps} steps")


def _states(goal: NDArray[np.int64]) -> str:
    return f"state {goal[0]}" if len(goal) == 1 else f"one of {len(goal)} states"
