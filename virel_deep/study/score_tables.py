"""Tables of the scores in a study's report: arms at equal steps, and those whose seeds all diverged too."""

from collections.abc import Sequence
from dataclasses import replace

from virel_deep.results.remarks import remarks
from virel_deep.results.tables import ScoreTable, overall_table, score_table
from virel_deep.study.scores import Result, at_equal_steps, entries_of, groups


def score_tables(results: Sequence[Result]) -> list[ScoreTable]:
    """Tables of each group of arms that train in the same environments; none before the first evaluation.

    In each environment the arms are compared at the last step that all of them have reached.
    """
    equal = [_at_equal_steps(group) for group in groups(results)]
    return [table for group in equal if any(one.run or one.diverged for one in group) for table in _of(group)]


def score_remarks(results: Sequence[Result]) -> list[str]:
    """Sentences below these tables, each once; what they say of steps is of the whole runs."""
    named = [(entries_of(group), group[0].job.arm.name) for group in groups(results)]
    said = [line for one, first in named if one for line in remarks(one, reference=first)]
    return [line for line in dict.fromkeys(said) if "--steps" not in line]


def _at_equal_steps(group: Sequence[Result]) -> list[Result]:
    envs = dict.fromkeys(one.job.env.name for one in group)
    return [cut for env in envs for cut in at_equal_steps([one for one in group if one.job.env.name == env])]


def _of(group: Sequence[Result]) -> list[ScoreTable]:
    """Tables of a group; the one over environments is of several arms, which can be compared."""
    named, first = entries_of(group), group[0].job.arm.name
    several = len({one.job.arm.name for one in group}) > 1
    overall = overall_table(named, reference=first) if several else None
    return [_with_diverged(score_table(named, reference=first), group), *([overall] if overall else [])]


def _with_diverged(table: ScoreTable, group: Sequence[Result]) -> ScoreTable:
    """Table of scores with the numbers of diverged seeds, and with rows of arms that have no others."""
    rows = []
    found = {row[:2]: row for row in table.rows}
    places = [(label, one) for one in group for label in _labels(one)]
    order = list(dict.fromkeys(label for label, _ in places))
    for label, one in sorted(places, key=lambda place: order.index(place[0])):
        empty = (label, one.job.arm.name, "0", *("-",) * (len(table.columns) - 3))
        row = found.get((label, one.job.arm.name), empty)
        rows.append((*row[:2], _seeds(int(row[2]), len(one.diverged)), *row[3:]))
    return replace(table, rows=rows)


def _labels(one: Result) -> list[str]:
    """Environments of a job's rows: with several tasks those of each, too; none before the first score."""
    if one.run is not None:
        return [run.env for run in one.runs]
    name, *tasks = one.job.env.labels
    together = f"{name}, mean of {len(tasks)} tasks" if tasks else name
    return [together, *tasks] if one.diverged else []


def _seeds(count: int, diverged: int) -> str:
    """Cell with the number of seeds that count, and with that of those that diverged."""
    return f"{count} ({diverged} of {count + diverged} diverged)" if diverged else str(count)
