"""What a learned prior is worth on a new task: `python -m benchmarks.deep.transfer`, in two rooms.

A prior is learned on four goals in the right one of two rooms. Then a fifth goal is learned with it, frozen,
and without. Compared are the areas under the curves of evaluations, and beside them what the exact
counterpart predicts (`benchmarks/deep/transfer_exact.py`): the mean return over backups of the fifth task.
`--preset distral` has the distilled policy, and exponent 0 without; `iadp` the prior that did not see the
goal, and a uniform one without; `hdp` the low level of a hierarchy, and a hierarchy that learns all anew.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tyro

import virel_deep
from benchmarks.deep.transfer_exact import predicted
from virel_common.errors import InputError
from virel_common.files import write_atomically
from virel_deep.design.environment import EnvSpec
from virel_deep.results.curves import draw
from virel_deep.results.names import Entry
from virel_deep.results.read import read_run
from virel_deep.results.statistics import RESAMPLES, Scores, improvement, iqm_interval

ENV = "virel/TwoRooms-v0"
EXPONENT = 0.5
SETTINGS = {"hidden": (64,), "gamma": 0.95, "data.batch": 64, "polyak": 0.02, "learning_rate": 1e-3}
"""Settings of all runs; alpha is 0.2, as in the exact figures."""
ONE_STEP = {"temperature.alpha": 0.2, "value.steps": 1, "value.trace": None}
LEVELS = {"temperature.alpha": 0.2, "prior.low_alpha": 0.5, "prior.exponent": 0.0}
BRIEF = {"data.warmup": 500, "update_every": 4}
FASTER = {"data.warmup": 1_000, "update_every": 2, "learning_rate": 3e-3, "polyak": 0.05}
"""Settings of a run on four goals; after 3,000 updates the critic of a hierarchy hardly tells them apart."""


class Plan(NamedTuple):
    """What is compared of a preset."""

    goals: tuple[int, ...]
    new: int
    labels: tuple[str, str]
    """Names of the two runs on the new goal: with the prior of the others, and without."""
    settings: Mapping[str, Any]
    without: Mapping[str, Any]
    """Settings of the run without the prior."""
    first: Mapping[str, Any]
    """Settings of the run on four goals, in place of those of all."""


PLANS = {
    "distral": Plan(
        (0, 1, 2, 3),
        4,
        ("distilled on four goals, frozen", "no prior"),
        {"prior.exponent": EXPONENT},
        {"prior.exponent": 0.0},
        BRIEF,
    ),
    "iadp": Plan(
        (0, 1, 2, 4),
        3,
        ("prior of four goals, frozen", "no prior"),
        ONE_STEP,
        {**ONE_STEP, "prior": "uniform"},
        BRIEF,
    ),
    "hdp": Plan(
        (0, 1, 2, 3),
        4,
        ("low level of four goals, frozen", "both levels learnt anew"),
        LEVELS,
        LEVELS,
        FASTER,
    ),
}


@dataclass(frozen=True)
class Options:
    """Learn four goals, then a fifth with the prior and without; runs that are there are read or finished."""

    preset: Literal["distral", "iadp", "hdp"] = "distral"
    """What learns."""
    out: Path | None = None
    """Folder of the runs, the figure and the table; default: out/transfer/PRESET."""
    seeds: int = 10
    """Seeds of every run, stacked in one process."""
    steps: int = 12_000
    """Steps per seed on four goals together."""
    new_steps: int = 3_000
    """Steps per seed on the fifth goal."""
    eval_every: int = 100
    """Steps between evaluations on the fifth goal."""


def folder_of(options: Options) -> Path:
    """Folder of the runs, the figure and the table."""
    return options.out or Path("out/transfer") / options.preset


def train(options: Options) -> tuple[Path, Path]:
    """Run folders of the fifth goal: with the prior, and without."""
    four, new, old = (folder_of(options) / name for name in ("four", "with", "without"))
    plan = PLANS[options.preset]
    if not _continued(four, options):
        virel_deep.train(
            options.preset, ENV, steps=options.steps, seeds=options.seeds, out=four,
            eval_every=options.steps // 3,
            task=tuple((f"goal={goal}",) for goal in plan.goals),
            settings={**SETTINGS, **plan.settings, **plan.first},
        )  # fmt: skip
    for folder, prior, settings in ((new, four, plan.settings), (old, None, plan.without)):
        if not _continued(folder, options):
            virel_deep.train(
                options.preset, EnvSpec(ENV, {"goal": plan.new}), steps=options.new_steps,
                seeds=options.seeds, out=folder, eval_every=options.eval_every, eval_episodes=2, prior=prior,
                settings={**SETTINGS, **settings, "data.warmup": 100},
            )  # fmt: skip
    return new, old


def _continued(folder: Path, options: Options) -> bool:
    """Whether a run is there; one that was stopped is finished first."""
    if not folder.exists():
        return False
    if not all((folder / f"seed-{seed}" / "done.json").exists() for seed in range(options.seeds)):
        virel_deep.resume(folder, seeds=options.seeds)
    return True


def difference(x: Scores, y: Scores) -> tuple[float, float, float]:
    """Difference of the means of two groups of seeds, with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = [rng.choice(z, (RESAMPLES, len(z))).mean(axis=1) for z in (x, y)]
    low, high = np.percentile(means[0] - means[1], (2.5, 97.5))
    return float(x.mean() - y.mean()), float(low), float(high)


def exact(preset: str) -> dict[str, float]:
    """Mean return over the backups of the exact counterpart's new task, by what was learned with."""
    plan = PLANS[preset]
    of = {"low_alpha": LEVELS["prior.low_alpha"]} if preset == "hdp" else {}
    return {label: float(np.mean(y)) for label, y in predicted(preset, plan.goals, plan.new, **of).items()}


def main() -> None:
    """Train what is missing, then write table and figure."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.transfer", description=__doc__)
    try:
        runs = [read_run(folder) for folder in train(options)]
    except InputError as error:
        sys.exit(f"benchmarks.deep.transfer: {error}")
    named = [Entry(label, run) for label, run in zip(PLANS[options.preset].labels, runs, strict=True)]
    lines = [
        "| fifth goal | seeds | area under curve (IQM) | final return (IQM) |",
        "| --- | --- | --- | --- |",
    ]
    for entry in named:
        scores = (iqm_interval([x]) for x in (entry.run.area(), entry.run.final()))
        cells = (f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in scores)
        lines.append(f"| {entry.label} | {len(entry.run.seeds)} | {' | '.join(cells)} |")
    areas = [run.area() for run in runs]
    value, low, high = difference(*areas)
    share = improvement([(areas[0], areas[1])])
    better = f"P(better) {share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
    lines += [
        "",
        f"Difference of the mean areas: {value:.2f} [{low:.2f}, {high:.2f}]; {better}.",
        "",
    ]
    lines += [
        "| exact counterpart | mean return over 25 backups |",
        "| --- | --- |",
        *(f"| {label} | {mean:.2f} |" for label, mean in exact(options.preset).items()),
        "",
    ]
    write_atomically(folder_of(options) / "table.md", "\n".join(lines).encode())
    draw(named, folder_of(options))
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    main()
