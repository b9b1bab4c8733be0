"""Command line `virel iterate`: parse arguments, run an exact algorithm, print its iterates, write the files.

No mathematics here.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_common.signals import stop_signals_interrupt
from virel_common.terminal import DONE, FAILED, INTERRUPTED, run_command, say
from virel_theory.mdp.storage import atomic_npz
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.from_qvbs import Sense
from virel_theory.models.goals import has_labels, state_numbers
from virel_theory.models.load import load_problem
from virel_theory.output import check_writable, refusing_a_full_disk, round_up, with_error
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.record import Record, as_costs
from virel_theory.variational.run import iterate
from virel_theory.variational.settings import described, parse_settings, settings_of
from virel_theory.variational.table import ROWS, algorithm_row

PROG = "virel iterate"
HEAD = f"{'step':>6} {'value':>19} {'error':>9} {'KL, nats':>12} {'temperature':>12} {'bound':>9}"
LARGE = 20_000
"""States of a sparse MDP above which a direct solve per iteration may take minutes."""
Drawer = Callable[[Record, Path, str], Sequence[Path]]
"""Writer of the figure, called as `drawer(record, folder, command)`; it returns the files."""


@dataclass(frozen=True)
class IterateConfig:
    """Run an exact algorithm of variational RL on an MDP, and print every iterate with guaranteed bounds.

    Columns: expected return from the start, a bound on its error, mean KL divergence of the posterior from
    the prior, temperature of the E-step, a bound on how far the policy is from optimal in any state.

    Exit status: 0 finished, and within --atol if that is given; 1 --atol not reached, or a file could not be
    written; 2 bad input; 130 interrupted: the iterations that were finished are written.
    """

    algorithm: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="ALGORITHM")] = None
    """Algorithm to run, as --list lists them."""

    mdp: Annotated[
        tuple[str, ...],
        tyro.conf.Positional,
        tyro.conf.arg(metavar="[FILE|gym:ID ...]", help_behavior_hint=""),
    ] = ()
    """MDP, as `virel solve` reads it: an .npz file or .mdp folder, a PRISM/Storm .tra or .drn file, or a
    Gymnasium toy-text environment such as gym:FrozenLake-v1. Algorithms with several tasks take one each."""

    list: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """List the algorithms; with the name of one, list its settings."""

    set: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = ()
    """Settings of the algorithm, NAME=VALUE each, such as: --set epsilon=0.1 trust=0.01"""

    steps: int = 50
    """Largest number of iterations."""

    atol: float | None = None
    """Stop once the policy is within this of optimal in every state, guaranteed; default: run all steps."""

    gamma: float | None = None
    """Discount in [0, 1); default: the one in the MDP file. Required if the MDP comes without one."""

    sense: Literal["max", "min"] | None = None
    """Maximise rewards (max) or minimise costs (min); default: what the MDP file asks for, else max."""

    goal: str | None = None
    """Goal: the name of a QVBS objective, or the goal label of a .tra or .drn file, or
    state numbers of one, such as 3,7."""

    out: Path | None = None
    """Folder for ALGORITHM.csv (the printed numbers), ALGORITHM.npz (these and the tables of the last
    iterate), and the figure ALGORITHM-curves as SVG and PNG with its data as CSV."""


def main_iterate(argv: Sequence[str], *, drawer: Drawer | None = None) -> int:
    """Run `virel iterate`; return the exit status. `drawer` writes the figure of `--out`, if given."""
    return run_command(IterateConfig, argv, prog=PROG, run=partial(run, drawer=drawer))


def run(config: IterateConfig, *, drawer: Drawer | None = None) -> int:
    """Run the algorithm that the options name, print and write its iterates; return the exit status."""
    if config.list or config.algorithm is None:
        return show_list(config)
    function = algorithm_row(config.algorithm).load()
    if not config.mdp:
        raise InputError(f"`mdp` must name an MDP to run {config.algorithm} on; found none")
    tasks, sense = load_tasks(config)
    settings = parse_settings(function, tuple(chain(*config.set)), algorithm=config.algorithm)
    iterates = iterate(config.algorithm, tasks, steps=config.steps, atol=config.atol, **settings)
    if config.out is not None:
        make_writable(config.out, config.algorithm)
    for name, task in zip(config.mdp, tasks, strict=True):
        print(f"{name}: {sizes(task)} ({sense})")
    default = {name: one.default for name, one in settings_of(function).items()}
    exact = (default | settings).get("sweeps") is None
    if exact and any(task.is_sparse and task.n_states > LARGE for task in tasks):
        say(f"{PROG}: note: exact evaluation solves a sparse system per iteration; --set sweeps=1 does not")
    record = Record(config.algorithm)
    with stop_signals_interrupt():
        finished = follow(iterates if sense == "max" else map(as_costs, iterates), record, config.steps)
        if config.out is not None and record.rows:
            write(record, config.out, drawer=drawer, command=command_of(config))
    return status(config, record, finished=finished)


def show_list(config: IterateConfig) -> int:
    """Print the algorithms, or the settings of the one that is named."""
    require(config.list or not config.mdp, "algorithm", None, "must be given")
    if config.algorithm is None:
        width = max(len(row.name) for row in ROWS)
        print("\n".join(f"{row.name:<{width}}  {row.summary}" for row in ROWS))
        return DONE
    row = algorithm_row(config.algorithm)
    print("\n".join([f"{row.name}: {row.summary}", *described(settings_of(row.load()))]))
    return DONE


def load_tasks(config: IterateConfig) -> tuple[list[TabularMDP], Sense]:
    """Read the MDPs, with minus the costs as rewards where costs are minimised."""
    goal = state_numbers(config.goal) or config.goal
    for name in config.mdp:
        require(goal is None or has_labels(name), "goal", config.goal, f"must be left out for {name}")
    found = [load_problem(x, gamma=config.gamma, objective=goal) for x in config.mdp]
    senses: set[Sense] = {config.sense or asked or "max" for _, asked in found}
    if len(senses) > 1:
        raise InputError("`sense` must be given where some MDPs ask for max and others for min; found None")
    (sense,) = senses
    tasks = [task for task, _ in found]
    return (tasks if sense == "max" else [replace(task, reward=-task.reward) for task in tasks]), sense


def sizes(task: TabularMDP) -> str:
    """Text with the sizes of an MDP."""
    storage = "sparse" if task.is_sparse else "dense"
    return f"{task.n_states} states, {task.n_pairs} state-action pairs ({storage}), gamma = {task.gamma:g}"


def follow(iterates: Iterator[Iterate], record: Record, steps: int) -> bool:
    """Compute the iterates, print and record each; return whether that came to its end, not to a Ctrl-C."""
    try:
        with printer(steps) as show:
            show(HEAD)
            for x in iterates:
                record.add(x)
                show(line_of(x), 1)
    except KeyboardInterrupt:
        return False
    return True


@contextmanager
def printer(steps: int) -> Iterator[Callable[..., None]]:
    """A function that prints a line at once and moves the progress bar on; the bar needs a terminal."""
    on_terminal = sys.stdout.isatty()
    screen = Console(stderr=not on_terminal)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=min(steps, sys.maxsize))

        def show(line: str, done: int = 0) -> None:
            if on_terminal:
                screen.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                print(line, flush=True)
            progress.advance(task, done)

        yield show


def line_of(x: Iterate) -> str:
    """Printed row of an iterate; the error is a bound for the printed value, the bound is rounded up."""
    (value,), error = with_error([x.value], x.error)
    numbers = f"{x.step:>6} {value:>19} {error:>9} {x.kl:>12.6g} {x.temperature:>12.6g}"
    return f"{numbers} {round_up(x.bound):>9}"


def make_writable(out: Path, name: str) -> None:
    """Make the folder `out`; raise `InputError` unless files can be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        rule = "must be a folder that can be made and written"
        raise InputError(f"`out` {rule}; found {str(out)!r} ({err.strerror})") from None
    check_writable(out / f"{name}.npz")


def write(record: Record, out: Path, *, drawer: Drawer | None, command: str) -> None:
    """Write the files of a run, each whole or not at all, and print their folder."""
    with refusing_a_full_disk(out, name="out"):
        write_atomically(out / f"{record.algorithm}.csv", record.csv().encode())
        atomic_npz(out / f"{record.algorithm}.npz", record.arrays(), name="out")
        figures = drawer(record, out, command) if drawer is not None else []
    print(f"written: {out}/ ({2 + len(figures)} files)", flush=True)


def command_of(config: IterateConfig) -> str:
    """The command that runs the algorithm again, for the figure's caption."""
    parts = [PROG, config.algorithm, *config.mdp, "--steps", config.steps]
    for name in ("gamma", "sense", "goal", "atol"):
        value = getattr(config, name)
        parts += [] if value is None else [f"--{name}", value]
    settings = tuple(chain(*config.set))
    return " ".join(map(str, [*parts, *(("--set", *settings) if settings else ())]))


def status(config: IterateConfig, record: Record, *, finished: bool) -> int:
    """Say on stderr what is missing, and return the exit status."""
    n_steps = len(record.rows)
    if not finished:
        say(f"{PROG}: interrupted after {n_steps} of {config.steps} steps")
        return INTERRUPTED
    if config.atol is None or (record.last is not None and record.last.bound <= config.atol):
        return DONE
    bound = "unknown" if record.last is None else round_up(record.last.bound)
    say(f"{PROG}: the bound is {bound} after {n_steps} steps, above --atol {config.atol:g}; raise --steps")
    return FAILED
