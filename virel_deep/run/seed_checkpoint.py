"""Load a seed's newest checkpoint, after checking that it belongs to this run and seed."""

import json
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.design.fields import dotted, encode
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder
from virel_deep.storage.checkpoint import Loaded, load


def owner(config: RunConfig, seed: int) -> str:
    """Identity of a checkpoint as JSON: environment, seed and all settings of the algorithm."""
    algorithm = dotted(encode(config.algorithm))
    return json.dumps({"env": config.env, "seed": seed, **algorithm}, sort_keys=True)


def load_seed(run: Path, config: RunConfig, seed: int, *, with_rows: bool = True) -> Loaded:
    """Load the newest valid checkpoint of a seed; fail if it is of another run or seed.

    Raises:
        InputError: there is no checkpoint, none is valid, or it belongs to another run or seed.
    """
    folder = seed_folder(run, seed) / "checkpoints"
    loaded = load(folder, with_rows=with_rows)
    found, here = loaded.state.get("owner"), owner(config, seed)
    if found != here:
        raise InputError(
            f"{folder}: the checkpoint belongs to another run or seed: {_difference(found, here)}"
        )
    return loaded


def _difference(found: object, here: str) -> str:
    """First setting in which two checkpoint identities differ, as words for an error message."""
    theirs = json.loads(found) if isinstance(found, str) else {}
    name, value = next((name, value) for name, value in json.loads(here).items() if theirs.get(name) != value)
    return f"`{name}` is {theirs.get(name)!r} there, {value!r} here"
