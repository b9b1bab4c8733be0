"""Study file: which algorithms are compared, on which tasks, for how long, with which hypotheses."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

from virel_common.errors import InputError, require
from virel_deep.design.run import Precision
from virel_deep.study.arms import Arm, read_arms
from virel_deep.study.environments import Environment, read_environments, read_length
from virel_deep.study.toml_table import Table, reject_dates

Score = Literal["final", "area", "last-half"]
"""A seed's score: mean of its last 10 evaluations, area under its curve per step, mean of their last half."""
Correction = Literal["holm", "bonferroni"]
OF_RUN = (
    "capacity", "env_arguments", "max_episode_steps", "normalize", "eval_env", "eval_stochastic",
    "keep_best", "stop_return", "stop_evaluations", "threads",
)  # fmt: skip
"""Settings of a run that a study's table `[run]` may have, by their names in `RunConfig`."""
STOPS = ("stop_return", "stop_evaluations")
"""Those of them that end a seed early, which a study with hypotheses may not have."""


@dataclass(frozen=True)
class Hypothesis:
    """Hypothesis of a study, written down before the runs: arm `better` scores higher than arm `than`."""

    name: str
    better: str
    than: str
    score: Score = "final"
    environments: tuple[str, ...] = ()
    """Environments of the hypothesis, each of equal weight; one task of several is `ENVIRONMENT, TASK`."""
    paired: bool = False
    """Whether seeds of the two arms are compared in pairs: same seed, same resets and warm-up."""


@dataclass(frozen=True)
class Study:
    """Study as stated in its file: environments, seeds, arms, hypotheses and decision rules."""

    title: str
    environments: tuple[Environment, ...]
    seeds: tuple[int, ...]
    arms: Mapping[str, Arm]
    hypotheses: tuple[Hypothesis, ...] = ()
    checkpoint_every: int | None = None
    """Steps from one checkpoint to the next; None: 10,000, rounded down to a multiple of a job's copies."""
    precision: Precision = "auto"
    run: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of every run, by their names in `RunConfig`."""
    level: Fraction = Fraction(1, 20)
    """Family-wise error: the largest probability that any true null hypothesis of `decide` is rejected."""
    correction: Correction = "holm"
    core_hours: float | None = None
    """Budget, compared by `virel study plan` with the time that its probe expects."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The parsed file, which `sha256` identifies."""
    text: str = field(default="", repr=False)

    @property
    def sha256(self) -> str:
        """Identity of a study's plan: SHA-256 of its parsed file as canonical JSON, whatever the layout."""
        return identity(self.document)

    @property
    def span(self) -> str:
        """Steps per seed in words: one number, or the least and the most of the environments."""
        steps = [one.length.steps for one in self.environments]
        return " to ".join(f"{n:,}" for n in sorted({min(steps), max(steps)}))


def canonical(document: Mapping[str, Any]) -> str:
    """Canonical JSON of a parsed file: sorted keys and no spaces, so that equal contents give equal text.

    Example:
        >>> canonical({"b": 1, "a": [2]})
        '{"a":[2],"b":1}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def identity(document: Mapping[str, Any]) -> str:
    """SHA-256 of a parsed file as canonical JSON."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def read_study(path: Path) -> Study:
    """Read and check a study file (TOML).

    Raises:
        InputError: it can't be read, or breaks a rule; one line with file, key, rule and the value found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = getattr(error, "strerror", None) or "not UTF-8"
        raise InputError(f"`study` must be a study file; {path}: {what}") from None
    return parse_study(text, str(path))


def parse_study(text: str, place: str) -> Study:
    """Parse and check the text of a study file; `place` names the file in messages.

    Raises:
        InputError: the text is not TOML, or breaks a rule.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{place}: not TOML: {error}") from None
    reject_dates(document, place)
    return _study(Table(document, place), document, text)


def _study(table: Table, document: Mapping[str, Any], text: str) -> Study:
    environments = read_environments(table, read_length(table))
    arms = read_arms(table, environments)
    table.table("settings").keep_all()
    decision, budget = table.table("decision"), table.table("budget")
    hypotheses = [_hypothesis(one, arms, environments) for one in table.list_of_tables("hypotheses")]
    table.differ("hypotheses", [one.name for one in hypotheses], "must have different names")
    level = decision.number("level", 0.05)
    require(0 < level < 0.5, decision.name("level"), level, "must be between 0 and 0.5")
    hours = budget.number("core_hours", None)
    require(hours is None or hours > 0, budget.name("core_hours"), hours, "must be positive")
    study = Study(
        title=table.text("title"),
        environments=environments,
        seeds=_seeds(table),
        arms=arms,
        hypotheses=tuple(hypotheses),
        checkpoint_every=table.count("checkpoint_every") if "checkpoint_every" in table.values else None,
        precision=table.choice("precision", get_args(Precision), "auto"),
        run=_run(table.table("run"), tested=bool(hypotheses)),
        level=Fraction(str(level)),
        correction=decision.choice("correction", get_args(Correction), "holm"),
        core_hours=hours,
        document=document,
        text=text,
    )
    for part in (table, decision, budget):
        part.no_other_keys()
    return study


def _run(table: Table, *, tested: bool) -> dict[str, Any]:
    """Read the settings that every run of the study has; those that the study sets by itself are refused.

    So are rules that stop seeds early where hypotheses are `tested`: they shorten curves by their scores.
    """
    for key in table.values:
        require(key in OF_RUN, f"{table.place}: key in run", key, f"must be one of {', '.join(OF_RUN)}")
        rule = "must be left out of a study with hypotheses: they compare arms at equal steps"
        require(not (tested and key in STOPS), table.name(key), table.raw(key), rule)
    stops = "stop_evaluations" not in table.values or "stop_return" in table.values
    rule = "must not be given without `stop_return`"
    require(stops, table.name("stop_evaluations"), table.values.get("stop_evaluations"), rule)
    table.table("env_arguments")
    return table.keep_all()


def _hypothesis(table: Table, arms: Mapping[str, Arm], environments: Sequence[Environment]) -> Hypothesis:
    better, than = (table.choice(key, list(arms)) for key in ("better", "than"))
    require(better != than, table.name("than"), than, "must be another arm than `better`")
    both = [one for one in environments if all(one.name in arms[arm].environments for arm in (better, than))]
    rule = f"must train in an environment where {better} does"
    require(both != [], table.name("than"), than, rule)
    places = {label: one.name for one in both for label in one.labels}
    chosen = table.texts("environments", tuple(one.name for one in both))
    for label in chosen:
        rule = f"must be among those where both arms train, {', '.join(places)}"
        require(label in places, table.name("environments"), label, rule)
    rule = "must name an environment or one of its tasks, once: tasks of one run are not independent"
    once = len({places[label] for label in chosen}) == len(chosen)
    require(once, table.name("environments"), list(chosen), rule)
    score = table.choice("score", get_args(Score), "final")
    name = table.text("name")
    hypothesis = Hypothesis(name, better, than, score, chosen, table.truth("paired", default=False))
    table.no_other_keys()
    return hypothesis


def _seeds(table: Table) -> tuple[int, ...]:
    """Seeds of a study: `seeds = 3` means 0, 1 and 2, while a list names them."""
    if isinstance(table.raw("seeds"), list):
        return table.seeds("seeds")
    return tuple(range(table.count("seeds")))
