"""Tables of compared runs' scores, for a terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from virel_common.terminal import console
from virel_deep.results.names import Entry, environments, missing_environments
from virel_deep.results.read import Run
from virel_deep.results.statistics import Estimate, Scores, improvement, iqm_interval, ratio


@dataclass(frozen=True)
class ScoreTable:
    """Table of compared runs' scores as text cells, to be shown on a terminal or as Markdown."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    """Sentences on what cells hold, or why they are empty where a reader expects a number."""


def score_table(named: Sequence[Entry], *, reference: str | None = None) -> ScoreTable:
    """Table of each run's scores, and the probability that its seeds beat those of the reference.

    Args:
        named: what is compared.
        reference: label of the algorithm that others are compared with; None: the first.
    """
    reference = reference or named[0].label
    rows = []
    for env, here in environments(named).items():
        base = next((entry.run for entry in here if entry.label == reference), None)
        for label, run in ((entry.label, entry.run) for entry in here):
            final, area = (_score(iqm_interval([scores]), [scores]) for scores in (run.final(), run.area()))
            counts = (str(len(run.seeds)), str(run.at[-1]))
            rows.append((env, label, *counts, final, area, _against(run, base)))
    columns = (
        *("environment", "algorithm", "seeds", "steps", "final return", "area under curve"),
        f"P(better than {reference})",
    )
    several = len({reference, *(entry.label for entry in named)}) > 1
    shown = len(columns) if several else -1  # nothing to be better than
    title = "Scores: IQM over seeds [95 % interval]"
    return ScoreTable(title, columns[:shown], [row[:shown] for row in rows])


def _against(run: Run, base: Run | None) -> str:
    if base is None or base is run:
        return ""
    pair = run.final(), base.final()
    return _share(improvement([pair]), pair)


def overall_table(named: Sequence[Entry], *, reference: str | None = None) -> ScoreTable | None:
    """Table of scores over all environments, for algorithms that ran in each; None for one environment.

    The tasks of a run are environments; means over them do not count once more.

    Args:
        named: what is compared.
        reference: label of the algorithm that others are compared with; None: the first.
    """
    named = [entry for entry in named if not entry.run.together]
    groups = environments(named)
    reference = reference or named[0].label
    in_all = [label for label, envs in missing_environments(named).items() if not envs]
    if len(groups) < 2 or reference not in in_all:
        return None
    finals = {label: [_run_of(label, here).final() for here in groups.values()] for label in in_all}
    lowest = {env: float(scores.min()) for env, scores in zip(groups, finals[reference], strict=True)}
    divides = min(lowest.values()) > 0
    rows = [(reference, "1" if divides else "-", "")]
    for label in in_all:
        if label != reference:
            pairs = list(zip(finals[label], finals[reference], strict=True))
            resampled = [scores for pair in pairs for scores in pair]
            relative = _score(ratio(pairs), resampled) if divides else "-"
            rows.append((label, relative, _share(improvement(pairs), resampled)))
    title = f"Over {len(groups)} environments: means over them [95 % interval, stratified]"
    columns = ("algorithm", f"final return / that of {reference}", f"P(better than {reference})")
    return ScoreTable(title, columns, rows, (_on_ratio(reference, lowest),))


def _on_ratio(reference: str, lowest: dict[str, float]) -> str:
    """Note on what a ratio of final returns is, or why there is none: the lowest are not all positive."""
    found = ", ".join(f"{_number(least)} in {env}" for env, least in lowest.items() if least <= 0)
    what = f"final return / that of {reference}"
    if found:
        rule = "a ratio says nothing where a seed of it has a final return that is not positive"
        return f"No {what} over {len(lowest)} environments: {rule} ({found})."
    ratios = "a ratio of the IQMs in each environment, then the mean over environments"
    return f"{what[0].upper()}{what[1:]}: {ratios}. Its interval resamples the seeds of both."


def _run_of(label: str, here: Sequence[Entry]) -> Run:
    return next(entry.run for entry in here if entry.label == label)


def _score(x: Estimate, resampled: Sequence[Scores]) -> str:
    """A score with its interval, which there is none of where a single seed was resampled."""
    interval = f" [{_number(x.low)}, {_number(x.high)}]" if _vary(resampled) else ""
    return f"{_number(x.value)}{interval}"


def _share(x: Estimate, resampled: Sequence[Scores]) -> str:
    """A probability with its interval, as `_score`."""
    interval = f" [{x.low:.2f}, {x.high:.2f}]" if _vary(resampled) else ""
    return f"{x.value:.2f}{interval}"


def _vary(resampled: Sequence[Scores]) -> bool:
    """Whether each group has several seeds, so that resamples tell how scores vary."""
    return min(map(len, resampled)) > 1


def _number(x: float) -> str:
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"


def notes_on(tables: Sequence[ScoreTable]) -> list[str]:
    """Notes of several tables, each once."""
    return [*dict.fromkeys(note for table in tables for note in table.notes)]


def as_markdown(tables: Sequence[ScoreTable], remarks: Sequence[str]) -> str:
    """Format tables of scores as Markdown, with their notes and remarks as a list below."""
    lines = []
    for table in tables:
        lines += [f"**{table.title}**", "", _row(table.columns), _row(["---"] * len(table.columns))]
        lines += [*(_row(row) for row in table.rows), ""]
    return "\n".join([*lines, *(f"- {remark}" for remark in (*notes_on(tables), *remarks)), ""])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", r"\|").splitlines()) for cell in cells) + " |"


def as_rich(table: ScoreTable) -> Table:
    """Format a table of scores for a terminal."""
    out = Table(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        out.add_column(column)
    for row in table.rows:
        out.add_row(*map(Text, row))
    return out


def print_tables(tables: Sequence[ScoreTable], notes: Sequence[str]) -> None:
    """Print tables and, below them, a list of notes."""
    terminal = console()
    for table in tables:
        terminal.print(as_rich(table))
    for note in notes:
        terminal.print(f"- {note}", markup=False, highlight=False)
