"""Command line `virel solve`: parse arguments, call the solver, print, return the exit status.

No mathematics here.
"""

import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from virel_common.errors import InputError, require
from virel_common.signals import stop_signals_interrupt
from virel_common.terminal import INTERRUPTED, run_command, say
from virel_common.values import value_of
from virel_theory.checks import Array
from virel_theory.mdp.storage import atomic_npz, read_npz
from virel_theory.mdp.tables import as_values
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.from_qvbs import Sense
from virel_theory.models.goals import goal_states, has_labels, state_numbers
from virel_theory.models.load import load_problem
from virel_theory.objectives import OBJECTIVES, Answer, ended_rows, value_rows
from virel_theory.output import Bar, check_writable, policy_summary, refusing_a_full_disk, round_up
from virel_theory.solve_options import DISCOUNTED, SolveConfig, check_objective
from virel_theory.solvers.solution import Solution, SolverInterrupted, Status
from virel_theory.solvers.solve import solve

PROG = "virel solve"
Certifier = Callable[..., float]
"""Writer of a certificate, called as `certifier(mdp, policy, value, path=, name=, sense=)`.

It returns the delta that it proves: how far from optimal the policy is at most.
"""


def main_solve(argv: Sequence[str], *, certifier: Certifier | None = None) -> int:
    """Run `virel solve`; the exit status is 0 iff the tolerance was met, with a guarantee.

    `certifier` is what `--certify` calls (`verify.proofs.solution.certify_solution`).
    """
    return run_command(SolveConfig, argv, prog=PROG, run=partial(run, certifier=certifier))


def run(config: SolveConfig, *, certifier: Certifier | None = None) -> int:
    """Load the MDP that the options name, solve it, print a summary, write the files; return the exit status.

    A bad output path raises `InputError` before any work is done.
    """
    check_objective(config)
    if config.out is not None:
        check_writable(config.out)
    if config.certify is not None:
        check_writable(config.certify, suffix=".json", name="certify")
        if certifier is None:
            raise InputError("`certify` needs the package verify; use the command `virel solve`")
    mdp, asked = load(config)
    if config.objective != DISCOUNTED:
        return run_undiscounted(config, mdp, asked)
    sense = config.sense or asked or "max"
    start = time.perf_counter()
    solution = solve_or_stop(config, mdp, sense=sense)
    seconds = time.perf_counter() - start
    rows = summary(mdp, solution, sense=sense, seconds=seconds)
    show({"MDP": f"{sizes(config.mdp, mdp)}, gamma = {mdp.gamma:g}", **rows})
    if config.out is not None:
        write(config.out, solution)
    if solution.status is Status.INTERRUPTED:
        return INTERRUPTED
    certify(config, mdp, solution, sense=sense, certifier=certifier)
    return 0 if solution.status.ok else 1


def solve_or_stop(config: SolveConfig, mdp: TabularMDP, *, sense: Sense) -> Solution:
    """Solve with a bar on the terminal; after Ctrl-C or SIGTERM, what was reached by then."""
    start = None if config.resume is None else values_of(config.resume, mdp)
    with Bar() as bar, stop_signals_interrupt():
        try:
            return solve(
                mdp,
                method=config.method,
                sense=sense,
                rtol=config.rtol,
                atol=config.atol,
                start=start,
                max_steps=config.max_steps,
                watch=bar,
            )
        except SolverInterrupted as stopped:
            return stopped.solution


def values_of(path: Path, mdp: TabularMDP) -> Array:
    """Values `[S]` in a file that `--out` wrote; `InputError` if it holds none that fit the MDP."""
    arrays = read_npz(path)
    require(
        "value" in arrays,
        "resume",
        sorted(arrays),
        f"must hold the array 'value', as --out writes it: {path}",
    )
    return as_values(arrays["value"], mdp, name="resume")


def run_undiscounted(config: SolveConfig, mdp: TabularMDP, asked: Sense | None) -> int:
    """Solve for an objective without a discount, print and write what came out; return the exit status."""
    objective = OBJECTIVES[config.objective]
    sense = config.sense or asked or objective.sense
    names = ("horizon", "gamma", "max_steps")
    given = {name: getattr(config, name) for name in names}
    options: dict[str, Any] = {name: x for name, x in given.items() if x is not None}
    if "goal" in objective.uses:
        options["goal"] = goal_states(config.mdp, config.goal, mdp, reward=config.reward)
    start = time.perf_counter()
    answer: Answer = objective.solve(mdp, sense=sense, atol=config.atol, rtol=config.rtol, **options)
    seconds = f"{time.perf_counter() - start:.3g} s"
    show({"MDP": sizes(config.mdp, mdp), **answer.rows, "method": f"{answer.method}, {seconds}"})
    if config.out is not None:
        atomic_npz(config.out, answer.arrays, name="out")
    return 0 if answer.status.ok else 1


def load(config: SolveConfig) -> tuple[TabularMDP, Sense | None]:
    """Read the MDP that the options name; what the reader warns of is a line on stderr."""
    goal: str | list[int] | None = state_numbers(config.goal) or config.goal
    discounted = config.objective == DISCOUNTED
    if goal is not None and not has_labels(config.mdp):
        needed = not discounted and "goal" in OBJECTIVES[config.objective].uses
        rule = f"must be left out for {config.mdp} and the objective {config.objective}"
        require(needed, "goal", config.goal, rule)
        goal = None  # no business of the reader's, see `run_undiscounted`
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(f"{PROG}: {message}")
        return load_problem(
            config.mdp,
            gamma=config.gamma if discounted else 0.0,  # objectives without a discount do not read it
            objective=goal,
            reward=config.reward,
            normalise=config.normalise,
            env_args=parse_env_args(config.env_arg),
        )


def parse_env_args(texts: Sequence[str]) -> dict[str, Any]:
    """Arguments of an environment from texts `NAME=VALUE`; see `virel_common.values.value_of`."""
    out: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name.isidentifier()) or name in out:
            raise InputError(f"`env_arg` must be NAME=VALUE, each name once; found {text!r}")
        out[name] = value_of(value, name=name)
    return out


def sizes(name: str, mdp: TabularMDP) -> str:
    """Text with the name and the sizes of an MDP."""
    storage = "sparse" if mdp.is_sparse else "dense"
    return f"{name}: {mdp.n_states} states, {mdp.n_pairs} state-action pairs ({storage})"


def summary(mdp: TabularMDP, solution: Solution, *, sense: Sense, seconds: float) -> dict[str, str]:
    """Printed rows that describe a solution: values, policy, error bound, status and method."""
    rows, error = value_rows(mdp, solution.value, solution.error_bound)
    return {
        **rows,
        "value at start": f"{rows['value at start']} ({sense})",
        "policy": policy_summary(solution.policy),
        **ended_rows(solution, "every value", error),
        "method": f"{solution.method}, {solution.n_steps} steps, {seconds:.3g} s, {solution.threads}",
    }


def show(rows: dict[str, str]) -> None:
    """Print rows as a table without lines."""
    table = Table.grid(padding=(0, 2))
    for row in rows.items():
        table.add_row(*map(Text, row))  # plain text: no markup, no emoji
    Console().print(table)


def certify(
    config: SolveConfig, mdp: TabularMDP, solution: Solution, *, sense: Sense, certifier: Certifier | None
) -> None:
    """Write the certificate that `--certify` asks for, and print the optimality gap that it proves.

    `certifier` is passed in by a layer above this package.
    """
    if config.certify is None or certifier is None:
        return
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
