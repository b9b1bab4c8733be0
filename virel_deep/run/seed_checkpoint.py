"""Load a seed's newest checkpoint, after checking that it belongs to this run and seed."""

import json
from collections.abc import Mapping
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.design.records import additions, dotted, encode
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder
from virel_deep.storage.checkpoint import Loaded, load

OF_ENVIRONMENT = ("env_arguments", "max_episode_steps", "normalize", "tasks", "prior_run")
"""Settings of a run that are part of a checkpoint's identity where they are not the default."""


def owner(config: RunConfig, seed: int) -> str:
    """Identity of a checkpoint as JSON: environment, seed and all settings of the algorithm."""
    made = {name: getattr(config, name) for name in OF_ENVIRONMENT if getattr(config, name)}
    algorithm = dotted(encode(config.algorithm))
    return json.dumps({"env": config.env, "seed": seed, **made, **algorithm}, sort_keys=True)


def load_seed(
    run: Path, config: RunConfig, seed: int, *, checked: bool = False, place: str = "checkpoints"
) -> Loaded:
    """Load the newest valid checkpoint of a seed; fail if it is of another run or seed.

    Args:
        run: run folder.
        config: its configuration.
        seed: one of the run's seeds.
        checked: whether to check the replay, too, for `rows_of`; it is not loaded.
        place: folder of the seed that holds the checkpoints: of training, or of the best policy.

    Raises:
        InputError: there is no checkpoint, none is valid, or it belongs to another run or seed.
    """
    folder = seed_folder(run, seed) / place
    loaded = load(folder, with_rows=False, checked=checked)
    found, here = loaded.state.get("owner"), json.loads(owner(config, seed))
    theirs = additions(config.algorithm) | (json.loads(found) if isinstance(found, str) else {})
    if theirs != here:
        raise InputError(
            f"{folder}: the checkpoint belongs to another run or seed: {_difference(theirs, here)}"
        )
    return loaded


def _difference(theirs: Mapping[str, object], here: Mapping[str, object]) -> str:
    """First setting in which two checkpoint identities differ, as words for an error message."""
    name = next(name for name in [*here, *theirs] if theirs.get(name) != here.get(name))
    return f"`{name}` is {theirs.get(name)!r} there, {here.get(name)!r} here"
