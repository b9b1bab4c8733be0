"""Remarks below a comparison of runs: what numbers mean, seeds left out, differences between runs."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from virel_deep.results.names import Entry, environments, missing_environments
from virel_deep.results.read import LAST, Run
from virel_deep.results.tasks import task_facts

SIMULATORS = ("gymnasium", "mujoco")
WHAT_IS_SHOWN = (
    f"Final return: mean over the last {LAST} evaluations of each seed. Area under curve: divided by the "
    "curve's length, which makes it the mean return during training; of equally spaced evaluations the first "
    "and the last count half. Intervals: percentile bootstrap over seeds."
)
FEW_SEEDS = (
    "Few seeds: such intervals are wide, and still promise too much. They hold the true score in about 50 % "
    "of experiments with 2 seeds, 75 % with 3, 91 % with 5 and 93 % with 10 (normal scores)."
)
NO_PROOF = (
    " P = 1.00 [1.00, 1.00] is not proof: with 3 seeds each, 1 in 20 experiments shows it between equal "
    "algorithms, by chance."
)
INCOMPARABLE = "their returns can't be compared"
ONE_SEED = "A single seed has no interval: it does not tell how much seeds vary."


def remarks(named: Sequence[Entry], *, reference: str | None = None) -> list[str]:
    """Sentences below the tables of a comparison, without which a reader could misread them.

    Args:
        named: what is compared.
        reference: label of the algorithm that others are compared with; None: the first.
    """
    out = [WHAT_IS_SHOWN]
    for label, run in ((entry.label, entry.run) for entry in named):
        out += [f"{run.env}, {label}: {reason}." for reason in (*run.left_out, *run.mixed, *run.cut)]
        if run.at[-1] + (_spacing(run) or 1) <= run.steps:
            out.append(f"{run.env}, {label}: evaluated up to step {run.at[-1]} of {run.steps}.")
    for env, here in environments(named).items():
        out += _differences(env, here)
    out += _few_evaluations(named) + _left_out_settings(named)
    out += _left_out(named, reference or named[0].label) + _families(environments(named))
    counts = [len(entry.run.seeds) for entry in named]
    out += [ONE_SEED] if min(counts) == 1 else []
    if not any(1 < n < 10 for n in counts):
        return out
    has_p = any(len(here) > 1 for here in environments(named).values())
    return [*out, FEW_SEEDS + NO_PROOF if has_p else FEW_SEEDS]


def _few_evaluations(named: Sequence[Entry]) -> list[str]:
    """Sentence on the runs whose final return is the mean of all their evaluations, as they have so few."""
    few = [f"{len(one.run.at)} ({one.run.env}, {one.label})" for one in named if len(one.run.at) < LAST]
    rule = "a final return is then the mean of all of them, from the start of training on"
    return [f"Fewer than {LAST} evaluations: {rule}: {', '.join(few)}."] if few else []


def _left_out_settings(named: Sequence[Entry]) -> list[str]:
    """Sentences with the settings that differ between runs of one preset and that their names leave out."""
    told = {one.label: one for one in named if one.settings}
    return [
        f"Settings of {label}, as far as runs of {one.run.preset} differ in them: {one.settings}."
        for label, one in told.items()
    ]


def _differences(env: str, here: Sequence[Entry]) -> list[str]:
    """Sentences on how the compared runs in one environment differ in steps, evaluations or simulator."""
    ends = [str(entry.run.at[-1]) for entry in here]
    out = _differing(env, "the step of their last evaluation", here, ends)
    common = set.intersection(*(set(entry.run.at.tolist()) for entry in here))
    if len(set(ends)) > 1 and common:
        out.append(f"{env}: `--steps {max(common)}` compares at equal steps.")
    spaced = [entry for entry in here if _spacing(entry.run) is not None]
    spacings = [str(_spacing(entry.run)) for entry in spaced]
    out += _differing(env, "the number of steps between evaluations", spaced, spacings)
    for package in SIMULATORS:
        known = [str(entry.run.versions.get(package, "unknown")) for entry in here]
        out += _differing(env, f"their version of {package}", here, known)
    return [*_different_tasks(env, here), *out]


def _different_tasks(env: str, here: Sequence[Entry]) -> list[str]:
    """Sentences on what tells apart the tasks of runs in one environment."""
    facts = [task_facts(entry.run) for entry in here]
    out = []
    for what in dict.fromkeys(name for of_run in facts for name in of_run):
        known = [(entry, of_run[what]) for entry, of_run in zip(here, facts, strict=True) if what in of_run]
        differing = _differing(env, what, *zip(*known, strict=True))
        out += [f"{line.removesuffix('.')}; {INCOMPARABLE}." for line in differing]
    return out


def _differing(env: str, what: str, here: Sequence[Entry], values: Sequence[str]) -> list[str]:
    if len(set(values)) <= 1:
        return []
    listed = ", ".join(f"{value} ({entry.label})" for value, entry in zip(values, here, strict=True))
    return [f"{env}: runs differ in {what}: {listed}."]


def _spacing(run: Run) -> int | None:
    """Number of steps between two evaluations of a run; None if settings and curve don't tell it."""
    told = run.settings.get("eval_every")  # the last evaluation may follow earlier, at the run's goal
    if isinstance(told, int):
        return told
    return int(np.median(np.diff(run.at))) if len(run.at) > 1 else None


def _left_out(named: Sequence[Entry], first: str) -> list[str]:
    """Sentence on the algorithms that the table over all environments omits, and why."""
    missing = {label: envs for label, envs in missing_environments(named).items() if envs}
    n = len(environments(named))
    if n > 1 and first not in {one.label for one in named}:
        return [f"No table over {n} environments: {first}, the first, has no run that counts."]
    if first in missing:
        where = ", ".join(missing[first])
        return [f"No table over {n} environments: {first}, the first, has no run of that name in {where}."]
    if not missing:
        return []
    listed = "; ".join(f"{label} (none in {', '.join(envs)})" for label, envs in missing.items())
    return [f"Not in the table over {n} environments, for lack of a run of the same name in each: {listed}."]


def _families(envs: Iterable[str]) -> list[str]:
    """Sentences on environments that differ only in their version, so that returns can't be compared."""
    families: dict[str, list[str]] = {}
    for env in envs:
        families.setdefault(re.sub(r"-v\d+$", "", env), []).append(env)
    return [
        f"{' and '.join(versions)} are different tasks: {INCOMPARABLE}."
        for versions in families.values()
        if len(versions) > 1
    ]
