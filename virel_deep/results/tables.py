"""Runs side by side: their names, the table of their scores, and what limits the comparison."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from virel_deep.results.read import LAST, Run
from virel_deep.results.statistics import Estimate, Scores, improvement, iqm_interval

Naming = Callable[[Run], str]
SIMULATORS = ("gymnasium", "mujoco")
WHAT_IS_SHOWN = (
    f"Final return: a seed's mean over its last {LAST} evaluations. Area under curve: divided by its length, "
    "which makes it the mean return while training. Intervals: bootstrap of the seeds, percentiles."
)
FEW_SEEDS = (
    "Few seeds: such intervals are wide, and still promise too much. They hold the true score in about 50 % "
    "of experiments with 2 seeds, 75 % with 3, 91 % with 5 and 93 % with 10 (normal scores). P = 1.00 "
    "[1.00, 1.00] is no certainty: of two equal algorithms, the one comes out like this against the other in "
    "1 of 20 experiments with 3 seeds each."
)


@dataclass(frozen=True)
class Entry:
    """A run under the name that tables and figures give it."""

    label: str
    run: Run


@dataclass(frozen=True)
class ScoreTable:
    """A table of text, to be shown on a terminal or as Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def entries(runs: Sequence[Run]) -> list[Entry]:
    """Name the runs, no two alike in one environment: by preset, and by what tells runs of a preset apart.

    That is the settings in which they differ within an environment, or else their folders. Runs of one name
    in several environments are taken for the same algorithm.
    """
    namings = {run.preset: _naming([one for one in runs if one.preset == run.preset]) for run in runs}
    return [Entry(namings[run.preset](run), run) for run in runs]


def _naming(alike: Sequence[Run]) -> Naming:
    """The shortest way to name runs of one preset that tells those in one environment apart."""
    return next(
        naming for naming in _namings(alike) if len({(run.env, naming(run)) for run in alike}) == len(alike)
    )


def _namings(alike: Sequence[Run]) -> Iterator[Naming]:
    yield lambda run: run.preset
    yield partial(_by_settings, names=_differing_settings(alike))
    several = len({run.env for run in alike}) > 1
    longest = max(len(run.folder.resolve().parts) for run in alike)
    for hide_env, depth in product((several, False), range(1, longest + 1)):
        yield partial(_by_folder, depth=depth, hide_env=hide_env)


def _by_settings(run: Run, names: Sequence[str]) -> str:
    return f"{run.preset} ({', '.join(f'{name}={run.settings.get(name)}' for name in names)})"


def _by_folder(run: Run, depth: int, *, hide_env: bool) -> str:
    """The end of its path; ENV hides the environment, so that an algorithm has one name in several."""
    path = str(run.folder.resolve())
    parts = Path(path.replace(run.env, "ENV") if hide_env else path).parts
    return f"{run.preset} ({Path(*parts[-depth:])})"


def _differing_settings(alike: Sequence[Run]) -> list[str]:
    """Those that differ between runs in one environment."""
    n_envs = len({run.env for run in alike})
    names = sorted({name for run in alike for name in run.settings} - {"seeds", "algorithm"})
    return [name for name in names if len({(run.env, str(run.settings.get(name))) for run in alike}) > n_envs]


def environments(named: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The entries of each environment, in the order given."""
    out: dict[str, list[Entry]] = {}
    for entry in named:
        out.setdefault(entry.run.env, []).append(entry)
    return out


def score_table(named: Sequence[Entry]) -> ScoreTable:
    """Scores of each run, and the probability that a seed beats one of the first algorithm."""
    reference = named[0].label
    rows = []
    for env, here in environments(named).items():
        base = next((entry.run for entry in here if entry.label == reference), None)
        for label, run in ((entry.label, entry.run) for entry in here):
            final, area = (_score(iqm_interval([scores])) for scores in (run.final(), run.area()))
            counts = (str(len(run.seeds)), str(run.at[-1]))
            rows.append((env, label, *counts, final, area, _against(run, base)))
    columns = (
        *("environment", "algorithm", "seeds", "steps", "final return", "area under curve"),
        f"P(better than {reference})",
    )
    shown = len(columns) if len({entry.label for entry in named}) > 1 else -1  # nothing to be better than
    title = "Scores: IQM over seeds [95 % interval]"
    return ScoreTable(title, columns[:shown], [row[:shown] for row in rows])


def _against(run: Run, base: Run | None) -> str:
    if base is None or base is run:
        return ""
    return _share(improvement([(run.final(), base.final())]))


def overall_table(named: Sequence[Entry]) -> ScoreTable | None:
    """Algorithms over all environments, for those that ran in each; None in a single environment."""
    groups = environments(named)
    reference = named[0].label
    missing = _missing(named)
    in_all = [label for label, envs in missing.items() if not envs]
    if len(groups) < 2 or reference not in in_all:
        return None
    finals = {label: [_run_of(label, here).final() for here in groups.values()] for label in in_all}
    units = [float(np.mean(scores)) for scores in finals[reference]]
    rows = []
    for label in in_all:
        pairs = list(zip(finals[label], finals[reference], strict=True))
        ratio = _score(iqm_interval(_in_units(finals[label], units))) if min(units) > 0 else "-"
        against = "" if label == reference else _share(improvement(pairs))
        rows.append((label, ratio, against))
    title = f"Over {len(groups)} environments: IQM [95 % interval, stratified]"
    return ScoreTable(
        title, ("algorithm", f"final return / mean of {reference}", f"P(better than {reference})"), rows
    )


def _missing(named: Sequence[Entry]) -> dict[str, list[str]]:
    """For each label the environments in which it has no run."""
    ran = {(entry.label, entry.run.env) for entry in named}
    labels = dict.fromkeys(entry.label for entry in named)
    return {label: [env for env in environments(named) if (label, env) not in ran] for label in labels}


def _run_of(label: str, here: Sequence[Entry]) -> Run:
    return next(entry.run for entry in here if entry.label == label)


def _in_units(strata: Sequence[Scores], units: Sequence[float]) -> list[Scores]:
    return [scores / unit for scores, unit in zip(strata, units, strict=True)]


def _score(x: Estimate) -> str:
    return f"{_number(x.value)} [{_number(x.low)}, {_number(x.high)}]"


def _share(x: Estimate) -> str:
    return f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]"


def _number(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def remarks(named: Sequence[Entry]) -> list[str]:
    """What a reader must know: what the numbers are, which seeds do not count, how the runs differ."""
    out = [WHAT_IS_SHOWN]
    for label, run in ((entry.label, entry.run) for entry in named):
        out += [f"{run.env}, {label}: {what}." for what in run.left_out]
        if run.at[-1] + _spacing(run) <= run.steps:
            out.append(f"{run.env}, {label}: evaluated up to step {run.at[-1]} of {run.steps}.")
    for env, here in environments(named).items():
        ends = [str(entry.run.at[-1]) for entry in here]
        out += _differing(env, "last evaluation at step", here, ends)
        common = set.intersection(*(set(entry.run.at.tolist()) for entry in here))
        if len(set(ends)) > 1 and common:
            out.append(f"{env}: `--steps {max(common)}` compares at equal steps.")
        out += _differing(
            env, "steps between evaluations", here, [str(_spacing(entry.run)) for entry in here]
        )
        for package in SIMULATORS:
            known = [str(entry.run.versions.get(package, "unknown")) for entry in here]
            out += _differing(env, f"{package} version", here, known)
    out += _left_out(named) + _families(environments(named))
    return [*out, FEW_SEEDS] if min(len(entry.run.seeds) for entry in named) < 10 else out


def _left_out(named: Sequence[Entry]) -> list[str]:
    """Whom the table over environments does not show, and why."""
    missing = {label: envs for label, envs in _missing(named).items() if envs}
    n = len(environments(named))
    first = named[0].label
    if first in missing:
        where = ", ".join(missing[first])
        return [f"No table over {n} environments: {first}, the first, has no run of that name in {where}."]
    if not missing:
        return []
    listed = "; ".join(f"{label} (none in {', '.join(envs)})" for label, envs in missing.items())
    return [f"Not in the table over {n} environments, for want of a run of the same name in each: {listed}."]


def _spacing(run: Run) -> int:
    return int(np.median(np.diff(run.at))) if len(run.at) > 1 else 1


def _differing(env: str, what: str, here: Sequence[Entry], values: Sequence[str]) -> list[str]:
    if len(set(values)) == 1:
        return []
    listed = ", ".join(f"{value} ({entry.label})" for value, entry in zip(values, here, strict=True))
    return [f"{env}: not alike: {what} {listed}."]


def _families(envs: Iterable[str]) -> list[str]:
    """Hopper-v4 and Hopper-v5 pay different rewards."""
    families: dict[str, list[str]] = {}
    for env in envs:
        families.setdefault(re.sub(r"-v\d+$", "", env), []).append(env)
    return [
        f"{' and '.join(versions)} are different tasks: their returns can't be compared."
        for versions in families.values()
        if len(versions) > 1
    ]


def as_markdown(tables: Sequence[ScoreTable], remarks_: Sequence[str]) -> str:
    """The tables with the remarks as a list below."""
    lines = []
    for table in tables:
        lines += [f"**{table.title}**", "", _row(table.columns), _row(["---"] * len(table.columns))]
        lines += [*(_row(row) for row in table.rows), ""]
    return "\n".join([*lines, *(f"- {remark}" for remark in remarks_), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def as_rich(table: ScoreTable) -> Table:
    """The table for a terminal."""
    out = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        out.add_column(column)
    for row in table.rows:
        out.add_row(*map(Text, row))
    return out
