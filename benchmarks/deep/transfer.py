"""What a learned prior is worth on a new task: `python -m benchmarks.deep.transfer`, in two rooms.

Distral learns on four goals in the right one of two rooms. Then a fifth goal is learned with its distilled
policy, frozen, and without (exponent 0). Compared are the areas under the curves of evaluations, and beside
them those of the exact counterpart: the figure of the claim `distral-distilled`, the return after each backup
of the fifth task. With `--preset hdp` it is a hierarchy: its default and low level, frozen, against a
hierarchy that learns both anew; it has no exact figure.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

import virel_deep
from verify.claims.priors.transfer_figure import distral_figures
from virel_common.files import write_atomically
from virel_deep.design.environment import EnvSpec
from virel_deep.results.curves import draw
from virel_deep.results.names import Entry
from virel_deep.results.read import read_run
from virel_deep.results.statistics import RESAMPLES, Scores, improvement, iqm_interval

ENV = "virel/TwoRooms-v0"
GOALS, NEW_GOAL = (0, 1, 2, 3), 4
EXPONENT = 0.5
SETTINGS = {"hidden": (64,), "gamma": 0.95, "data.batch": 64, "polyak": 0.02}
"""Settings of all runs; alpha is 0.2, as in the exact figure."""
LABELS = {
    "distral": ("distilled on four goals, frozen", "no prior"),
    "hdp": ("low level and default of four goals, frozen", "both learnt anew"),
}
OWN = {
    "distral": ({"prior.exponent": EXPONENT}, {"prior.exponent": 0.0}),
    "hdp": ({"temperature.alpha": 0.2},) * 2,
}
"""Settings of a preset's own, with the prior and without."""


@dataclass(frozen=True)
class Options:
    """Learn four goals, then a fifth with the prior and without; runs that are there already are read."""

    preset: Literal["distral", "hdp"] = "distral"
    """What learns."""
    out: Path = Path("out/transfer")
    """Folder of the runs, the figure and the table."""
    seeds: int = 10
    """Seeds of every run, stacked in one process."""
    steps: int = 12_000
    """Steps per seed on four goals together."""
    new_steps: int = 3_000
    """Steps per seed on the fifth goal."""
    eval_every: int = 100
    """Steps between evaluations on the fifth goal."""


def train(options: Options) -> tuple[Path, Path]:
    """Run folders of the fifth goal: with the prior, and without."""
    four, new, old = (options.out / name for name in ("four", "with", "without"))
    own = OWN[options.preset]
    if not four.exists():
        virel_deep.train(
            options.preset, ENV, steps=options.steps, seeds=options.seeds, out=four,
            eval_every=options.steps // 3,
            task=tuple((f"goal={goal}",) for goal in GOALS),
            settings=SETTINGS | own[0] | {"data.warmup": 500, "update_every": 4},
        )  # fmt: skip
    for folder, prior, settings in ((new, four, own[0]), (old, None, own[1])):
        if not folder.exists():
            virel_deep.train(
                options.preset, EnvSpec(ENV, {"goal": NEW_GOAL}), steps=options.new_steps,
                seeds=options.seeds, out=folder, eval_every=options.eval_every, eval_episodes=2, prior=prior,
                settings=SETTINGS | settings | {"data.warmup": 100},
            )  # fmt: skip
    return new, old


def difference(x: Scores, y: Scores) -> tuple[float, float, float]:
    """Difference of the means of two groups of seeds, with its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = [rng.choice(z, (RESAMPLES, len(z))).mean(axis=1) for z in (x, y)]
    low, high = np.percentile(means[0] - means[1], (2.5, 97.5))
    return float(x.mean() - y.mean()), float(low), float(high)


def exact() -> dict[str, float]:
    """Mean return over the backups of the exact counterpart's fifth task, by curve."""
    [figure] = distral_figures(0)
    return {curve.label: float(np.mean(curve.y)) for curve in figure.panels[0].curves}


def main() -> None:
    """Train what is missing, then write table and figure."""
    options = tyro.cli(Options, description=__doc__)
    runs = [read_run(folder) for folder in train(options)]
    named = [Entry(label, run) for label, run in zip(LABELS[options.preset], runs, strict=True)]
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
    if options.preset == "distral":
        lines += [
            "| exact counterpart | mean return over 25 backups |",
            "| --- | --- |",
            *(f"| {label} | {mean:.2f} |" for label, mean in exact().items()),
            "",
        ]
    write_atomically(options.out / "table.md", "\n".join(lines).encode())
    draw(named, options.out)
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    main()
