"""Contents of a study's report as tables and sentences, before they are written as HTML and Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

from virel_deep.results.statistics import Estimate
from virel_deep.results.tables import ScoreTable, notes_on
from virel_deep.run.changes import changes_of
from virel_deep.study.decide import Decision, decide, power_note, short_note
from virel_deep.study.jobs import departures, job_folder
from virel_deep.study.plan import Study
from virel_deep.study.record import Plan, Record, changes
from virel_deep.study.score_tables import score_remarks, score_tables
from virel_deep.study.scores import Result, read_results
from virel_deep.study.state import Failure


@dataclass(frozen=True)
class Part:
    """One section of a study's report: a sentence or two, tables, and remarks."""

    key: str
    """Anchor within the page."""
    title: str
    lead: str
    tables: tuple[ScoreTable, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """Sentences below the tables: their own notes, then the remarks."""
        return [*notes_on(self.tables), *self.remarks]


@dataclass(frozen=True)
class Contents:
    """All sections of a study's report, with the results that they rest on."""

    study: Study
    record: Record
    results: Sequence[Result]
    decisions: Sequence[Decision]
    parts: tuple[Part, ...]
    """Sections that depend on scores alone: the same runs give the same bytes."""
    circumstances: tuple[Part, ...]
    """Sections about this computation: cost, versions, deviations."""

    @property
    def complete(self) -> bool:
        """Whether every job of the study is finished."""
        return all(one.complete for one in self.results)

    @property
    def progress(self) -> str:
        """Sentence on how much of the study is finished, and so how much the report rests on."""
        done = sum(one.complete for one in self.results)
        if self.complete:
            return f"All {done} jobs are finished."
        return f"Partial: {done} of {len(self.results)} jobs are finished; all numbers below are provisional."


def contents(out: Path, record: Record, *, differing: Sequence[str] = ()) -> Contents:
    """Assemble a study's report: read its runs and decide its hypotheses.

    Args:
        out: the study's folder.
        record: the plan in force and those before it.
        differing: what the study file says otherwise now, without having been recorded.

    Raises:
        InputError: a run folder is damaged.
    """
    study = record.study
    results = read_results(out, study)
    decisions = decide(study, results)
    parts = (
        _decisions(study, decisions, amended=len(record.plans) > 1),
        _improvement(study, decisions),
        _scores(results),
    )
    circumstances = (_deviations(out, record, results, differing), _cost(study, results), _versions(record))
    return Contents(study, record, results, decisions, parts, circumstances)


def scores_csv(study: Study, results: Sequence[Result]) -> str:
    """Scores of a study as CSV text in long form, one row per seed; floats read back exactly."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("environment", "arm", "seed", "score", "value"))
    kinds = dict.fromkeys(["final", "area", *(one.score for one in study.hypotheses)])
    apart = [(label, result.at(label)) for result in results for label in result.job.env.labels]
    for (label, result), kind in product(apart, kinds):
        rows = result.scores(kind).items()
        writer.writerows((label, result.job.arm.name, seed, kind, repr(x)) for seed, x in rows)
    return out.getvalue()


def _decisions(study: Study, decisions: Sequence[Decision], *, amended: bool) -> Part:
    rows = [
        (
            one.hypothesis.name,
            f"{one.hypothesis.better} above {one.hypothesis.than}",
            f"{one.hypothesis.score}{', paired' if one.hypothesis.paired else ''}",
            _together(one),
            *((_p(one.test.better), _p(one.test.worse)) if one.test else ("-", "-")),
            one.outcome,
        )
        for one in decisions
    ]
    columns = ("hypothesis", "claim", "score", "P(better)", "p supported", "p contradicted", "decision")
    lead = _procedure(study, decisions)
    if amended:
        lead += (
            " The plan was amended after the first run (see the deviations): if that was because of scores "
            "seen by then, as when seeds are added where nothing was decided, the bound does not hold."
        )
    if not decisions:
        lead = "The study states no hypothesis; its scores are descriptive."
    missing = [
        f"{one.hypothesis.name}: waits for {', '.join(one.missing)}." for one in decisions if one.missing
    ]
    notes = [power_note(study, one.hypothesis) for one in decisions]
    notes += filter(None, (short_note(study, one.hypothesis) for one in decisions))
    tables = (ScoreTable("Hypotheses", columns, rows),) if rows else ()
    return Part("decisions", "Decisions", lead, tables, (*missing, *notes))


def _procedure(study: Study, decisions: Sequence[Decision]) -> str:
    """Sentences on what the decisions mean, and on what their error is bounded."""
    procedure = {"holm": "Holm's procedure", "bonferroni": "Bonferroni's correction"}[study.correction]
    said = (
        "Exact rank tests, stratified by environment, one-sided in both directions. The null hypothesis of "
        "'supported': in every environment the second arm is stochastically at least as large as the first. "
        "Supported means that this is rejected: in at least one environment, though not necessarily in each, "
        "there is a score that the first arm exceeds with a higher probability. Contradicted means the same "
        f"of the second arm. {procedure} over all {2 * len(decisions)} p-values keeps the probability that "
        f"any true null hypothesis is rejected at most {float(study.level):g}. P(better) = 1/2 is not the "
        "null: a difference in spread alone can be decided."
    )
    if any(one.hypothesis.paired for one in decisions):
        said += (
            " Where arms are paired, the null hypothesis is that differences within pairs are stochastically "
            "at most as large as one that is symmetric about 0."
        )
    return said


def _improvement(study: Study, decisions: Sequence[Decision]) -> Part:
    labels = [label for env in study.environments for label in env.labels]
    envs = [label for label in labels if any(label in one.apart for one in decisions)]
    rows = [
        (one.hypothesis.name, *(_estimate(one, one.apart.get(env)) for env in envs), _together(one))
        for one in decisions
    ]
    lead = (
        "Probability that a seed of the first arm scores above one of the second, with the 95 % bootstrap "
        "interval over seeds; where arms are paired, the share of pairs in which it does. Ties count half. "
        "Arms are compared at the last step that both have reached. Intervals describe; the exact tests "
        "above decide."
    )
    table = ScoreTable("Probability of improvement", ("hypothesis", *envs, "together"), rows)
    return Part("improvement", "Each environment", lead, (table,) if rows else ())


def _scores(results: Sequence[Result]) -> Part:
    tables = score_tables(results)
    if not tables:
        return Part("scores", "Scores", "No seed has been evaluated yet.")
    lead = (
        "Interquartile means over seeds, with 95 % intervals of a stratified bootstrap, at the last step "
        "that all arms in an environment have reached. P(better) is of final returns here, whatever score a "
        "hypothesis has."
    )
    if any(one.diverged for one in results):
        lead += " Seeds that diverged are left out here; hypotheses count them as lower than any return."
    return Part("scores", "Scores", lead, tuple(tables), tuple(score_remarks(results)))


def _deviations(out: Path, record: Record, results: Sequence[Result], differing: Sequence[str]) -> Part:
    remarks = [_amendment(*pair) for pair in pairwise(record.plans)]
    if differing:
        remarks.append(f"The study file has changed, unrecorded and without effect: {'; '.join(differing)}.")
    for one in results:
        remarks += [_failure(one.job.name, failure) for failure in one.state.failures]
        others = departures(job_folder(out, one.job), record.study, one.job, record.precision)
        remarks += [f"{one.job.name}: {other}." for other in others]
        known = one.run.versions if one.run else {}
        remarks += [
            f"{one.job.name}: computed with {name} {known[name]}, the study began with {was}."
            for name, was in record.versions.items()
            if known.get(name, was) != was
        ]
        changed = changes_of(job_folder(out, one.job))
        remarks += [f"{one.job.name}, {change.time}: {change.what}." for change in changed]
    first = record.plans[0]
    lead = f"The plan was written down before the first run, at {first.time}, with SHA-256 {first.sha256}. "
    lead += "What happened otherwise:" if remarks else "Nothing happened otherwise."
    return Part("deviations", "Deviations from the plan", lead, (), tuple(remarks))


def _amendment(before: Plan, after: Plan) -> str:
    changed = "; ".join(changes(before.document, after.document))
    hashes = f"{before.sha256[:12]} to {after.sha256[:12]}"
    return f"{after.time}: plan changed ({hashes}), because: {after.reason}. Changes: {changed}."


def _failure(job: str, failure: Failure) -> str:
    counts = "it counts as lower than any return" if failure.what == "diverged" else "it has no score yet"
    return f"{job}, seed {failure.seed}: {failure.what} at step {failure.step}, {counts} ({failure.detail})."


def _cost(study: Study, results: Sequence[Result]) -> Part:
    states = [one.state for one in results]
    rows = [
        (
            one.job.name,
            f"{one.step:,}",
            f"{one.seconds / 3600:.2f}",
            f"{one.steps_per_second:.0f}" if one.steps_per_second else "-",
        )
        for one in states
    ]
    hours = sum(one.seconds for one in states) / 3600
    lead = (
        f"{hours:.2f} core hours in all: one core per job, pauses and work lost to kills not counted. "
        "Speeds are environment steps of each seed, with all seeds of the job trained together."
    )
    if study.core_hours is not None:
        lead += f" The plan's budget: {study.core_hours:g} core hours, of which these are "
        lead += f"{hours / study.core_hours:.0%}."
    table = ScoreTable("Jobs", ("job", "steps", "core hours", "steps/s"), rows)
    return Part("cost", "Cost", lead, (table,))


def _versions(record: Record) -> Part:
    rows = [*record.versions.items(), ("float32 products", record.precision)]
    table = ScoreTable("The study began with", ("what", "version"), rows)
    return Part("versions", "Versions", "Bits depend on these; scores should not.", (table,))


def _together(one: Decision) -> str:
    return _estimate(one, one.together)


def _estimate(one: Decision, x: Estimate | None) -> str:
    """Cell of an estimate of a hypothesis, which is a share of pairs where the arms are paired."""
    return f"{_share(x)}{' of pairs' if one.hypothesis.paired and x else ''}"


def _share(x: Estimate | None) -> str:
    return "-" if x is None else f"{x.value:.2f} [{x.low:.2f}, {x.high:.2f}]"


def _p(p: Fraction) -> str:
    return f"{float(p):.3g}"
