"""Does an algorithm learn alike whatever the unit of its rewards? `python -m benchmarks.deep.reward_scale`.

Reads the runs of `studies/virel_scale.toml`, where four algorithms train with the reward scale of their
preset times 0.1, 1 and 10. Writes a figure and prints a Markdown table: the area under the learning curve
(mean return over the evaluations, unscaled), and the temperature in the last tenth of a run, in unscaled
reward units: alpha / reward_scale. An algorithm that adapts to the unit has a flat line in both.
"""

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.figure import Figure

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_common.plot_style import DPI, OKABE_ITO, STYLE, UNDATED, style
from virel_deep.results.statistics import Estimate, Scores, iqm_interval
from virel_deep.run.folder import read_config
from virel_deep.run.metrics import read_rows
from virel_deep.study.arms import Arm
from virel_deep.study.jobs import job_folder
from virel_deep.study.plan import read_study
from virel_deep.study.scores import Result, read_results

FACTORS = (0.1, 1.0, 10.0)
LINE: dict[str, Any] = {"marker": "o", "markersize": 3, "lw": 1.2}
DODGE = 0.06
"""Horizontal distance between the points of two algorithms, in decades."""
LAST = 10
"""The temperature is the mean over the last 1 / LAST of a run."""


@dataclass(frozen=True)
class Options:
    """Area under the curve and temperature against the factor of the reward scale."""

    study: tyro.conf.Positional[Path] = Path("studies/virel_scale.toml")
    """File of the study."""
    runs: Path = Path("out/study/virel_scale")
    """Folder of its runs."""
    out: Path = Path("out/reward_scale")
    """Folder for the figure `reward-scale.png`."""


@dataclass(frozen=True)
class Point:
    """One algorithm in one environment, at one factor of its reward scale."""

    env: str
    algorithm: str
    factor: float
    area: Estimate
    """Interquartile mean of the area under the curve over seeds, with its bootstrap interval."""
    temperature: float
    """Temperature in unscaled reward units at the end: median over seeds."""


def points(study_file: Path, runs: Path) -> list[Point]:
    """What the finished jobs of a study of reward scales show.

    Raises:
        InputError: its arms have other factors, no job is finished, or a file is damaged.
    """
    study = read_study(study_file)
    factors = sorted({_factor(arm) for arm in study.arms.values()})
    rule = (
        f"must multiply `reward_scale` by {', '.join(f'{x:g}' for x in FACTORS)}, some arms by other than 1"
    )
    require(set(factors) <= set(FACTORS) and len(factors) > 1, f"{study_file}: arms", factors, rule)
    found = [_point(runs, one) for one in read_results(runs, study) if one.complete]
    require(bool(found), "runs", str(runs), f"must hold a finished job of {study_file}")
    return found


def _point(runs: Path, result: Result) -> Point:
    arm = result.job.arm
    area = np.array(list(result.scores("area").values()))
    algorithm = arm.name.partition("-scale-")[0]
    temperature = float(np.median(_temperatures(job_folder(runs, result.job))))
    return Point(result.job.env.name, algorithm, _factor(arm), iqm_interval([area]), temperature)


def _factor(arm: Arm) -> float:
    return arm.multiply.get("reward_scale", 1.0)


def _temperatures(run: Path) -> Scores:
    """Temperature of each seed over the last tenth of a run, in unscaled reward units."""
    config = read_config(run)
    out = []
    for seed in config.seeds:
        rows = read_rows(run / f"seed-{seed}" / "metrics.jsonl", "train")
        last = [row for row in rows if row["step"] > config.steps * (1 - 1 / LAST)]
        values = [row["temperature"] for row in last if "temperature" in row]
        require(bool(values), str(run), "no temperature", "must have logged one at the end of training")
        out.append(np.mean(values))
    return np.array(out) / config.algorithm.reward_scale


def figure_of(found: list[Point]) -> Figure:
    """Area above, temperature below, one column per environment; a line per algorithm."""
    environments = list(dict.fromkeys(one.env for one in found))
    algorithms = list(dict.fromkeys(one.algorithm for one in found))
    figure = Figure(figsize=(3.4 * len(environments), 4.6))
    cells = figure.subplots(2, len(environments), squeeze=False, sharex=True)
    for column, env in enumerate(environments):
        above, below = cells[:, column]
        for number, (algorithm, colour) in enumerate(zip(algorithms, OKABE_ITO, strict=False)):
            here = [one for one in found if (one.env, one.algorithm) == (env, algorithm)]
            here.sort(key=lambda one: one.factor)
            beside = 10 ** (DODGE * (number - (len(algorithms) - 1) / 2))
            x = [one.factor * beside for one in here]
            area = np.array([one.area for one in here]).reshape(-1, 3).T  # value, low, high
            bars = np.abs(area[1:] - area[0])
            above.errorbar(x, area[0], bars, color=colour, label=algorithm, **LINE)
            below.plot(x, [one.temperature for one in here], color=colour, **LINE)
        above.set_title(env)
        above.set_ylim(bottom=min(0.0, above.get_ylim()[0]))
        below.set(xscale="log", yscale="log", xticks=FACTORS, xticklabels=[f"{x:g}" for x in FACTORS])
        below.set_xlabel("reward scale, times that of the preset")
        below.minorticks_off()
    cells[0, 0].set_ylabel("area under the curve,\nmean return")
    cells[1, 0].set_ylabel("temperature / reward scale")
    handles = cells[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def table(found: list[Point]) -> list[str]:
    """Lines of the Markdown table: areas with their intervals, then temperatures, at each factor."""
    heads = [*(f"area at {factor:g}" for factor in FACTORS), *(f"temp. at {factor:g}" for factor in FACTORS)]
    lines = [f"| environment | algorithm | {' | '.join(heads)} |", "| --- " * (len(heads) + 2) + "|"]
    at = {(one.env, one.algorithm, one.factor): one for one in found}
    for env, algorithm in dict.fromkeys((one.env, one.algorithm) for one in found):
        here = [at.get((env, algorithm, factor)) for factor in FACTORS]
        cells = [one and "{:,.0f} [{:,.0f}, {:,.0f}]".format(*one.area) for one in here]
        cells += [one and f"{one.temperature:.2g}" for one in here]
        lines.append(f"| {env} | `{algorithm}` | {' | '.join(cell or '' for cell in cells)} |")
    return lines


def main(argv: list[str] | None = None) -> int:
    """Draw the figure, print the table."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.reward_scale", args=argv)
    try:
        found = points(options.study, options.runs)
        with style(STYLE):
            file = io.BytesIO()
            figure_of(found).savefig(file, format="png", dpi=DPI, metadata=UNDATED["png"])
        options.out.mkdir(parents=True, exist_ok=True)
        write_atomically(options.out / "reward-scale.png", file.getvalue())
    except InputError as error:
        print(f"benchmarks.deep.reward_scale: {error}", file=sys.stderr)
        return 2
    print("\n".join(table(found)))
    print(f"\nwritten: {options.out / 'reward-scale.png'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
