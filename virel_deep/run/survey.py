"""Survey of a run folder before it is trained: how far each seed is, what is lost, damaged or changed."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from virel_common.errors import InputError
from virel_common.files import find_object
from virel_deep.design.records import encode
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder
from virel_deep.run.metrics import check_rows, last_step

GROWS = ("steps", "seeds")
"""Settings of a run that may grow."""
FIXED = {"copies", "capacity"}
"""Settings that decide what a checkpoint holds, so that they can't change; so do environment and algorithm,
which are compared when a checkpoint is loaded."""


@dataclass
class Survey:
    """What a run folder holds of its unfinished seeds."""

    reached: dict[int, list[int]] = field(default_factory=dict)
    """Unfinished seeds by the step of their newest checkpoint; -1 is the step of those without one."""
    broken: dict[int, str] = field(default_factory=dict)
    """Seeds that can't be continued, each with the reason."""
    changes: list[str] = field(default_factory=list)
    """Sentences on what changed since the checkpoints were written, without repetitions."""


def survey(run: Path, config: RunConfig) -> Survey:
    """Find out how far each unfinished seed of a run is, and what can't be continued."""
    found = Survey()
    for seed in config.seeds:
        try:
            step, settings = _newest(run, config, seed)
            changes = _changes(run, config, settings)
            check_rows(seed_folder(run, seed), step)
        except InputError as error:
            found.broken[seed] = str(error)
            continue
        ended = done(run, seed)
        if not (ended and (step >= config.steps or "stopped" in ended)):
            found.reached.setdefault(step, []).append(seed)
        found.changes += [one for one in changes if one not in found.changes]
    return found


def done(run: Path, seed: int) -> dict[str, Any]:
    """What a seed's `done.json` says: the step, and the rule if one stopped it early; empty without one."""
    try:
        return find_object(seed_folder(run, seed) / "done.json") or {}
    except InputError:  # damaged: not done
        return {"step": -1}


def bundles(survey: Survey, jobs: int) -> list[tuple[list[int], bool]]:
    """Split the unfinished seeds that reached the same step into at most `jobs` bundles that train together.

    Each bundle comes with whether it resumes from checkpoints.

    Example:
        >>> bundles(Survey({-1: [1], 40: [0, 2, 3]}), 2)
        [([0, 3], True), ([2], True), ([1], False)]
    """
    out = []
    for step, seeds in sorted(survey.reached.items(), reverse=True):
        n = min(jobs, len(seeds))
        out += [(seeds[i::n], step >= 0) for i in range(n)]
    return out


def settings_record(config: RunConfig) -> str:
    """Settings of a run as JSON, as a checkpoint keeps them: all but those that may grow."""
    return json.dumps({name: x for name, x in encode(config).items() if name not in GROWS}, sort_keys=True)


def _newest(run: Path, config: RunConfig, seed: int) -> tuple[int, dict[str, Any]]:
    """Step of a seed's newest valid checkpoint, -1 without one; and the settings that were recorded in it.

    Raises:
        InputError: no checkpoint is valid, or all of them are gone; or a folder that is none has the name of
            a later one.
    """
    from virel_deep.storage.checkpoint import newest, require_ours  # noqa: PLC0415  (brings torch)

    folder = seed_folder(run, seed)
    if any((folder / "checkpoints").glob("step-*")):
        loaded = newest(folder / "checkpoints")
        require_ours(folder / "checkpoints", after=loaded.step)
        recorded = loaded.state.get("settings")
        return loaded.step, json.loads(recorded) if isinstance(recorded, str) else {}
    logged = last_step(folder)
    if (folder / "done.json").exists() or logged > config.checkpoint_every:
        raise InputError(
            f"{folder}: its checkpoints are gone, although it was trained to step {logged}; put them back, "
            "or move the folder away to train this seed from the beginning"
        )
    return -1, {}


def _changes(run: Path, config: RunConfig, recorded: dict[str, Any]) -> list[str]:
    """Sentences on the settings in `config.json` that a checkpoint has otherwise.

    Raises:
        InputError: one of them decides what a checkpoint holds.
    """
    here = encode(config)
    changed = {
        name: f"`{name}` in {run / 'config.json'} was {was!r} when the newest checkpoint was written, and is "
        f"{here[name]!r} now"
        for name, was in recorded.items()
        if name in here and name != "algorithm" and here[name] != was
    }
    for name in changed.keys() & FIXED:
        raise InputError(f"{changed[name]}; write the old value there again")
    return list(changed.values())
