"""The newest checkpoint of a seed of a run, and that it is this run's and this seed's."""

import json
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.design.fields import dotted, encode
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder
from virel_deep.storage.checkpoint import Loaded, load


def owner(config: RunConfig, seed: int) -> str:
    """What a checkpoint's state says it belongs to, as JSON: environment, seed, all of the algorithm."""
    algorithm = dotted(encode(config.algorithm))
    return json.dumps({"env": config.env, "seed": seed, **algorithm}, sort_keys=True)


def load_seed(run: Path, config: RunConfig, seed: int, *, with_rows: bool = True) -> Loaded:
    """The newest valid checkpoint of a seed.

    Raises:
        InputError: there is none, none is valid, or it is of another run or seed.
    """
    folder = seed_folder(run, seed) / "checkpoints"
    loaded = load(folder, with_rows=with_rows)
    found, here = loaded.state.get("owner"), owner(config, seed)
    if found != here:
        raise InputError(f"{folder}: a checkpoint of another run or seed: {_difference(found, here)}")
    return loaded


def _difference(found: object, here: str) -> str:
    """What differs first."""
    theirs = json.loads(found) if isinstance(found, str) else {}
    name, value = next((name, value) for name, value in json.loads(here).items() if theirs.get(name) != value)
    return f"`{name}` is {theirs.get(name)!r} there, {value!r} here"
