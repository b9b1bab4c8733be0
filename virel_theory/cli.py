"""Command line `virel solve`: parse arguments, call the solver, print, return the exit status.

No mathematics here.
"""

import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from virel_common.errors import InputError
from virel_common.files import StorageError
from virel_common.terminal import run_command, say
from virel_theory.mdp.storage import atomic_npz
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.from_qvbs import Sense
from virel_theory.models.load import load_problem
from virel_theory.solvers.solution import Solution
from virel_theory.solvers.solve import solve

PROG = "virel solve"
ACTIONS_SHOWN = 5
Certifier = Callable[..., float]
"""Writer of a certificate, called as `certifier(mdp, policy, value, path=, name=, sense=)`.

It returns the delta that it proves: how far from optimal the policy is at most.
"""


@dataclass(frozen=True)
class SolveConfig:
    """Solve a discounted MDP and print what is guaranteed about the answer.

    Exit status: 0 solved to the tolerance, 1 tolerance not reached, 2 bad input, 130 interrupted.
    """

    mdp: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|gym:ID")]
    """MDP to solve: an .npz file (from `TabularMDP.save`, or QVBS), a PRISM/Storm .tra or .drn file, or a
    Gymnasium toy-text environment such as gym:FrozenLake-v1."""

    gamma: float | None = None
    """Discount in [0, 1); default: the one in the MDP file. Required if the MDP comes without one."""

    method: str = "auto"
    """Solution method: vi (value iteration), pi (policy iteration), ...; auto picks one and reports it. The
    error on an unknown name lists all methods."""

    atol: float = 1e-8
    """Absolute tolerance: guaranteed bound to reach on max |Q - Q*|, in the units of the rewards."""

    rtol: float = 0.0
    """Relative tolerance: rtol times the largest |V| is added to atol."""

    max_steps: int | None = None
    """Largest number of steps of the method; default: as many as contraction by gamma could need."""

    sense: Literal["max", "min"] | None = None
    """Maximise rewards (max) or minimise costs (min); default: what the MDP file asks for, else max."""

    objective: str | None = None
    """Objective to solve for: the name of a QVBS objective, or the goal label of a .tra or .drn file."""

    reward: str | None = None
    """Reward structure of a .tra file or reward model of a .drn file, by its name; default: the only one."""

    normalise: tyro.conf.FlagCreatePairsOff[bool] = False
    """Divide the rows of a .tra or .drn file, rounded in print, by their sums; a line says how far off these
    were."""

    env_arg: tuple[str, ...] = ()
    """Arguments of a Gymnasium environment, NAME=VALUE with VALUE in JSON: is_slippery=false map_name=8x8."""

    out: Path | None = None
    """File (.npz) for the arrays value, q, policy and error_bound of the solution."""

    certify: Path | None = None
    """File (.json) for a proof of how far the policy is from optimal; `virel recheck` checks it."""


def main_solve(argv: Sequence[str], *, certifier: Certifier | None = None) -> int:
    """Run `virel solve`; the exit status is 0 iff the tolerance was met, with a guarantee.

    `certifier` is what `--certify` calls (`verify.proofs.solution.certify_solution`).
    """
    return run_command(SolveConfig, argv, prog=PROG, run=partial(run, certifier=certifier))


def run(config: SolveConfig, *, certifier: Certifier | None = None) -> int:
    """Load the MDP that the options name, solve it, print a summary, write the files; return the exit status.

    A bad output path raises `InputError` before any work is done.
    """
    if config.out is not None:
        check_writable(config.out)
    if config.certify is not None:
        check_writable(config.certify, suffix=".json", name="certify")
    mdp, asked = load(config)
    sense = config.sense or asked or "max"
    start = time.perf_counter()
    solution = solve(
        mdp,
        method=config.method,
        sense=sense,
        rtol=config.rtol,
        atol=config.atol,
        max_steps=config.max_steps,
    )
    seconds = time.perf_counter() - start
    Console().print(summary(config.mdp, mdp, solution, sense=sense, seconds=seconds))
    if config.out is not None:
        write(config.out, solution)
    certify(config, mdp, solution, sense=sense, certifier=certifier)
    return 0 if solution.status.ok else 1


def load(config: SolveConfig) -> tuple[TabularMDP, Sense | None]:
    """Read the MDP that the options name; what the reader warns of is a line on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"{PROG}: {message}")
        return load_problem(
            config.mdp,
            gamma=config.gamma,
            objective=config.objective,
            reward=config.reward,
            normalise=config.normalise,
            env_args=parse_env_args(config.env_arg),
        )


def parse_env_args(texts: Sequence[str]) -> dict[str, Any]:
    """Arguments of an environment from texts `NAME=VALUE`; a value that is not JSON is taken as text."""
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()) or name in out:
            raise InputError(f"`env_arg` must be NAME=VALUE, each name once; found {text!r}")
        try:
            out[name] = json.loads(value)
        except ValueError:
            out[name] = value
        except RecursionError:
            raise InputError(f"`env_arg` must not be nested that deeply; found {text[:40]!r}...") from None
    return out


def summary(name: str, mdp: TabularMDP, solution: Solution, *, sense: Sense, seconds: float) -> Table:
    """Printed table that describes a solution: MDP, values, policy, error bound, status and method."""
    value = solution.value
    storage = "sparse" if mdp.is_sparse else "dense"
    sizes = f"{mdp.n_states} states, {mdp.n_pairs} state-action pairs ({storage}), gamma = {mdp.gamma:g}"
    rows = {
        "MDP": f"{name}: {sizes}",
        "value at start": f"{mdp.initial @ value:.10g} ({sense})",
        "value over states": f"{value.min():.10g} to {value.max():.10g}",
        "policy": policy_summary(solution),
        "error bound": f"{round_up(solution.error_bound)} on every value, guaranteed",
        "status": f"{solution.status.name}: {solution.status.text}",
        "method": f"{solution.method}, {solution.n_steps} steps, {seconds:.3g} s",
    }
    table = Table.grid(padding=(0, 2))
    for row in rows.items():
        table.add_row(*map(Text, row))  # plain text: no markup, no emoji
    return table


def policy_summary(solution: Solution) -> str:
    """Text that says how many states take each action, the most frequent action first."""
    actions, counts = np.unique(solution.policy, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = [f"action {actions[k]} in {counts[k]} states" for k in order[:ACTIONS_SHOWN]]
    rest = len(order) - len(shown)
    return ", ".join(shown) + (f", {rest} other actions" if rest else "")


def check_writable(out: Path, *, suffix: str = ".npz", name: str = "out") -> None:
    """Raise `InputError` unless the path `out` ends in `suffix` and its folder is writable."""
    if out.suffix != suffix:
        raise InputError(f"`{name}` must end in {suffix}; found {str(out)!r}")
    if out.is_dir():
        raise InputError(f"`{name}` must be a file; found the folder {str(out)!r}")
    try:
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as err:
        raise InputError(
            f"`{name}` must be in a writable folder; found {str(out)!r} ({err.strerror})"
        ) from None


@contextmanager
def refusing_a_full_disk(out: Path, *, name: str) -> Iterator[None]:
    """Turn an error of the block that writes `out` into an `InputError` that names the option."""
    try:
        yield
    except (OSError, StorageError) as err:
        reason = err.strerror if isinstance(err, OSError) else err
        raise InputError(
            f"`{name}` must be on a disk that can be written; found {str(out)!r} ({reason})"
        ) from None


def certify(
    config: SolveConfig, mdp: TabularMDP, solution: Solution, *, sense: Sense, certifier: Certifier | None
) -> None:
    """Write the certificate that `--certify` asks for, and print the optimality gap that it proves.

    `certifier` is passed in by a layer above this package.
    """
    if config.certify is None:
        return
    if certifier is None:
        raise InputError("`certify` needs the package verify; use the command `virel solve`")
    with refusing_a_full_disk(config.certify, name="certify"):
        delta = certifier(
            mdp, solution.policy, solution.value, path=config.certify, name=config.mdp, sense=sense
        )
    Console().print(
        f"certified          policy within {round_up(delta)} of optimal in every state: {config.certify}",
        soft_wrap=True,
    )


def write(out: Path, solution: Solution) -> None:
    """Write a solution's value, q, policy and error bound to an `.npz` file; on an error no file is left.

    A solution that missed its tolerance is written too.
    """
    arrays = {
        "value": solution.value,
        "q": solution.q,
        "policy": solution.policy,
        "error_bound": np.float64(solution.error_bound),
    }
    atomic_npz(out, arrays, name="out")


def round_up(x: float) -> str:
    """Text of the bound `x` with three significant digits, rounded up, so that it is still a bound."""
    return f"{float(Context(prec=3, rounding=ROUND_CEILING).create_decimal_from_float(x)):.3g}"
