"""Study file: which algorithms are compared, on which tasks, for how long, with which hypotheses."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from virel_common.errors import InputError, require
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import algorithm
from virel_deep.design.records import dotted, encode
from virel_deep.design.run import Precision
from virel_deep.study.toml_table import Table

Score = Literal["final", "area", "last-half"]
"""A seed's score: mean of its last 10 evaluations, area under its curve, mean of the last half of them."""
Correction = Literal["holm", "bonferroni"]
OF_RUN = (
    "capacity", "env_arguments", "max_episode_steps", "normalize", "eval_env", "eval_stochastic",
    "keep_best", "stop_return", "stop_evaluations", "threads",
)  # fmt: skip
"""Settings of a run that a study's table `[run]` may have, by their names in `RunConfig`."""
ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Arm:
    """One algorithm of a study: a preset with changed settings."""

    name: str
    preset: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that replace those of the preset and of the study; nested ones under dotted names."""
    multiply: Mapping[str, float] = field(default_factory=dict)
    """Factors for number settings, such as the reward scale that the preset has for each environment."""


@dataclass(frozen=True)
class Hypothesis:
    """Hypothesis of a study, written down before the runs: arm `better` scores higher than arm `than`."""

    name: str
    better: str
    than: str
    score: Score = "final"
    environments: tuple[str, ...] = ()
    """Tasks of the hypothesis, each of equal weight."""
    paired: bool = False
    """Whether seeds of the two arms are compared in pairs: same seed, same resets and warm-up."""


@dataclass(frozen=True)
class Study:
    """Study as stated in its file: tasks, seeds, arms, hypotheses and decision rules."""

    title: str
    environments: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    arms: Mapping[str, Arm]
    hypotheses: tuple[Hypothesis, ...] = ()
    evaluate_every: int = 1000
    evaluation_episodes: int = 1
    checkpoint_every: int = 10_000
    precision: Precision = "auto"
    run: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of every run, by their names in `RunConfig`."""
    level: Fraction = Fraction(1, 20)
    """Family-wise error: the largest probability of any wrong decision."""
    correction: Correction = "holm"
    core_hours: float | None = None
    """Budget, compared by `virel study plan` with the time that its probe expects."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The parsed file, which `sha256` identifies."""
    text: str = field(default="", repr=False)

    @property
    def sha256(self) -> str:
        """Identity of a study's plan: SHA-256 of its parsed file as canonical JSON, whatever the layout."""
        return hashlib.sha256(canonical(self.document).encode()).hexdigest()


def canonical(document: Mapping[str, Any]) -> str:
    """Canonical JSON of a parsed file: sorted keys and no spaces, so that equal contents give equal text.

    Example:
        >>> canonical({"b": 1, "a": [2]})
        '{"a":[2],"b":1}'
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


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
    return _study(Table(document, place), document, text)


def arm_algorithm(study: Study, arm: Arm, env: str, *, warm: bool = False) -> Algorithm:
    """Algorithm of a study's arm in one environment, from its preset, shared settings and own settings.

    Args:
        study: whose `[settings]` hold for every arm.
        arm: preset and settings; its own settings win.
        env: Gymnasium id, which decides the scales of a preset.
        warm: skip the warm-up with random actions, as the probe of `virel study plan` does.

    Raises:
        InputError: the preset or a setting is unknown, or a value breaks a rule.
    """
    shared = flat(study.document.get("settings", {}))
    settings = {**shared, **arm.settings}
    discrete = _has_discrete_actions(env)
    values = dotted(encode(algorithm(arm.preset, env, settings, discrete=discrete)))
    for name, factor in arm.multiply.items():
        value = values.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number, "multiply", name, "must name settings that are numbers")
        settings[name] = factor * values[name]
    chosen = algorithm(arm.preset, env, settings, discrete=discrete)
    return replace(chosen, data=chosen.data.without_warmup()) if warm else chosen


@cache
def _has_discrete_actions(env: str) -> bool:
    """Whether an environment's actions are discrete; False if there is none, which `check_jobs` reports."""
    from virel_deep.data.making import has_discrete_actions  # noqa: PLC0415  (brings MuJoCo)

    try:
        return has_discrete_actions(env)
    except InputError:
        return False


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted names; lists become tuples.

    Example:
        >>> flat({"hidden": [64, 64], "temperature": {"scale": 0.01}})
        {'hidden': (64, 64), 'temperature.scale': 0.01}
    """
    out: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            out |= flat(value, f"{prefix}{name}.")
        else:
            out[prefix + name] = tuple(value) if isinstance(value, list) else value
    return out


def _study(table: Table, document: Mapping[str, Any], text: str) -> Study:
    environments = table.texts("environments")
    arms = {name: _arm(one, name) for name, one in table.tables("arms").items()}
    require(len(arms) > 0, f"{table.place}: arms", [], "must name an arm, as in [arms.sac]")
    table.table("settings").keep_all()
    evaluation, decision = table.table("evaluation"), table.table("decision")
    budget = table.table("budget")
    hypotheses = [_hypothesis(one, list(arms), environments) for one in table.list_of_tables("hypotheses")]
    table.differ("hypotheses", [one.name for one in hypotheses], "must have different names")
    level = decision.number("level", 0.05)
    require(0 < level < 0.5, decision.name("level"), level, "must be between 0 and 0.5")
    hours = budget.number("core_hours", None)
    require(hours is None or hours > 0, budget.name("core_hours"), hours, "must be positive")
    study = Study(
        title=table.text("title"),
        environments=environments,
        seeds=_seeds(table),
        steps=table.count("steps"),
        arms=arms,
        hypotheses=tuple(hypotheses),
        evaluate_every=evaluation.count("every", 1000),
        evaluation_episodes=evaluation.count("episodes", 1),
        checkpoint_every=table.count("checkpoint_every", 10_000),
        precision=table.choice("precision", get_args(Precision), "auto"),
        run=_run(table.table("run")),
        level=Fraction(str(level)),
        correction=decision.choice("correction", get_args(Correction), "holm"),
        core_hours=hours,
        document=document,
        text=text,
    )
    rule = f"must be at most `steps` = {study.steps}, or no seed is ever evaluated"
    require(study.evaluate_every <= study.steps, evaluation.name("every"), study.evaluate_every, rule)
    for part in (table, evaluation, decision, budget):
        part.no_other_keys()
    return study


def _run(table: Table) -> dict[str, Any]:
    """Read the settings that every run of the study has; those that the study sets by itself are refused."""
    for key in table.values:
        require(key in OF_RUN, f"{table.place}: key in run", key, f"must be one of {', '.join(OF_RUN)}")
    return table.keep_all()


def _arm(table: Table, name: str) -> Arm:
    rule = "must be letters, digits and ._- with a letter or digit first: it names a folder"
    require(ARM_NAME.fullmatch(name) is not None, f"{table.place}: arms", name, rule)
    settings, multiply = table.table("settings"), table.table("multiply")
    factors = {key: multiply.number(key) for key in multiply.keep_all()}
    arm = Arm(name, table.text("preset"), flat(settings.keep_all()), factors)
    table.no_other_keys()
    return arm


def _hypothesis(table: Table, arms: list[str], environments: tuple[str, ...]) -> Hypothesis:
    better, than = table.choice("better", arms), table.choice("than", arms)
    require(better != than, table.name("than"), than, "must be another arm than `better`")
    chosen = table.texts("environments", environments)
    for env in chosen:
        rule = f"must be among the study's {', '.join(environments)}"
        require(env in environments, table.name("environments"), env, rule)
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
