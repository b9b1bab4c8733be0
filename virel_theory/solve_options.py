"""Options of the command `virel solve`, and which of them belong together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from virel_common.errors import require
from virel_theory.models.goals import GYM_PREFIX
from virel_theory.objectives import OBJECTIVES

DISCOUNTED = "discounted"


@dataclass(frozen=True)
class SolveConfig:
    """Solve an MDP and print what is guaranteed about the answer.

    Exit status: 0 solved to the tolerance, 1 tolerance not reached, 2 bad input, 130 interrupted. After
    Ctrl-C the values reached by then are printed, and written to --out, with a bound that is true for them.
    """

    mdp: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|gym:ID")]
    """MDP to solve: an .npz file or .mdp folder (from `TabularMDP.save`, or QVBS), a PRISM/Storm .tra or .drn
    file, or a Gymnasium toy-text environment such as gym:FrozenLake-v1."""

    objective: str = DISCOUNTED
    """What is optimal: discounted, finite-horizon, reach (the probability of ever reaching a goal),
    shortest-path (total reward or cost until a goal), or average (reward per step)."""

    goal: str | None = None
    """Goal states: a label of a .tra or .drn file, the name of a QVBS objective, or
    state numbers such as 3,7. They end the process. Required by reach and shortest-path; default there for
    gym:ID: the end of an episode."""

    horizon: int | None = None
    """Number of steps of the objective finite-horizon."""

    gamma: float | None = None
    """Discount in [0, 1); default: the one in the MDP file. Required if the MDP comes without one. For
    finite-horizon: in [0, 1], default 1. Left out for the other objectives, which have none."""

    method: str = "auto"
    """Solution method of the discounted objective: vi (value iteration), pi (policy
    iteration), ...; auto picks one and reports it. The error on an unknown name lists all methods."""

    atol: float = 1e-8
    """Absolute tolerance: guaranteed bound to reach on max |Q - Q*|, in the units of the rewards, or on the
    probability or gain."""

    rtol: float = 0.0
    """Relative tolerance: rtol times the largest |V| is added to atol."""

    max_steps: int | None = None
    """Largest number of steps of the method (sweeps or policies); default: more than it should need."""

    sense: Literal["max", "min"] | None = None
    """Maximise rewards (max) or minimise costs (min); default:
    what the MDP file asks for, else max, but min for shortest-path."""

    reward: str | None = None
    """Reward structure of a .tra file or reward model of a .drn file, by its name; default: the only one."""

    normalise: tyro.conf.FlagCreatePairsOff[bool] = False
    """Divide the rows of a .tra or .drn file, rounded in print, by their sums; a line says how far off these
    were."""

    env_arg: Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="")] = ()
    """Arguments of a Gymnasium environment, NAME=VALUE: is_slippery=false map_name=8x8. A value is JSON, a
    Python literal or text."""

    out: Path | None = None
    """File (.npz) for the arrays of the solution: value, q, policy and error_bound;
    other objectives have lower and upper, or gain and bias, too."""

    resume: Path | None = None
    """File (.npz) that --out wrote: begin from its values, for instance after Ctrl-C. Whatever they
    are, the bound is that of any other run."""

    certify: Path | None = None
    """File (.json) for a proof of how far the policy is from optimal; `virel recheck` checks it."""


def check_objective(config: SolveConfig) -> None:
    """Raise `InputError` for an unknown objective, and for options that it has no use for or lacks."""
    known = [DISCOUNTED, *OBJECTIVES]
    require(
        config.objective in known,
        "objective",
        config.objective,
        f"must be one of {known} (goals are named by --goal)",
    )
    uses = {"gamma", "method", "certify", "max_steps", "resume"}
    if config.objective != DISCOUNTED:
        uses = OBJECTIVES[config.objective].uses
        has_goal = config.goal is not None or config.mdp.startswith(GYM_PREFIX) or "goal" not in uses
        require(has_goal, "goal", config.goal, f"must be given for the objective {config.objective}")
    given = {
        "gamma": config.gamma,
        "method": None if config.method == "auto" else config.method,
        "certify": config.certify,
        "resume": config.resume,
        "max_steps": config.max_steps,
        "horizon": config.horizon,
    }
    for name in sorted(given.keys() - uses):
        require(
            given[name] is None, name, given[name], f"must be left out for the objective {config.objective}"
        )
