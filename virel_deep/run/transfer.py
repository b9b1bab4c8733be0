"""Prior of an earlier run: read from its checkpoints, kept in the new run's folder, given to its seeds."""

import io
from collections.abc import Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import StorageError, write_atomically
from virel_deep.agent.interfaces import Agent
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed

FILE = "prior.npz"
NETWORK = "default"
"""Name of a prior's network in agents and checkpoints."""

Blocks = Mapping[str, NDArray[np.float32]]
"""Blocks of a network of one seed by name."""


def prior_of(run: Path, config: RunConfig) -> list[Blocks]:
    """Parameters of the learned prior of each seed of a run, checked to suit a new run's configuration.

    Raises:
        InputError: there is no run, it has no such prior or no checkpoint, or it is of another environment,
            of other sizes, or sees other entries.
    """
    old = read_config(run)
    _check(run, old, config)
    return [
        {
            name: np.asarray(x, np.float32)
            for name, x in load_seed(run, old, seed, with_rows=False).state["agent"][NETWORK].items()
        }
        for seed in old.seeds
    ]


def write_prior(run: Path, of_seeds: list[Blocks]) -> None:
    """Write the parameters of a prior, one set per seed of an earlier run, into a new run's folder.

    Raises:
        StorageError: it can't be written.
    """
    file = io.BytesIO()
    named = {f"{i}/{name}": x for i, blocks in enumerate(of_seeds) for name, x in blocks.items()}
    np.savez(file, **named)  # type: ignore[arg-type]
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"can't write {run}: {error.strerror or error}") from error
    write_atomically(run / FILE, file.getvalue())


def read_prior(run: Path) -> list[Blocks]:
    """Read what `write_prior` wrote.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(run / FILE, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{run / FILE}: can't be read: {error}") from None
    count = 1 + max(int(name.partition("/")[0]) for name in found)
    return [
        {name.partition("/")[2]: x for name, x in found.items() if int(name.partition("/")[0]) == i}
        for i in range(count)
    ]


def start_from(agent: Agent, run: Path, seeds: list[int]) -> None:
    """Give an agent's seeds the priors in their run's folder: seed s the one of number s modulo their number.

    Raises:
        InputError: the file is missing or damaged, or of other sizes.
    """
    priors = read_prior(run)
    for k, seed in enumerate(seeds):
        agent.load_network(
            k, NETWORK, {name: torch.from_numpy(x) for name, x in priors[seed % len(priors)].items()}
        )


def _check(run: Path, old: RunConfig, new: RunConfig) -> None:
    """Raise `InputError` unless the prior of a run suits another run."""
    mine, theirs = new.algorithm, old.algorithm
    kind = mine.prior.kind
    rule = f"must be a run whose prior is {kind!r}; the prior of {run} is"
    require(theirs.prior.kind == kind, "prior", theirs.prior.kind, rule)
    envs = {spec.id for spec in old.env_specs}
    others = [spec.id for spec in new.env_specs if spec.id not in envs]
    require(not others, "prior", str(run), f"must be a run in {', '.join(others)}, not in {', '.join(envs)}")
    plain = not (old.normalize or new.normalize)
    require(plain, "prior", str(run), "must be a run without --normalize, and so must be the new one")
    same = theirs.hidden == mine.hidden
    require(same, "prior", list(theirs.hidden), f"must have the layers of the new run, hidden={mine.hidden}")
    hidden = (
        mine.blind_to[: len(mine.blind_to) - len(new.tasks)],
        theirs.blind_to[: len(theirs.blind_to) - len(old.tasks)],
    )
    rule = f"must be blind to the entries of the new run, {list(hidden[0])}, beside the tasks"
    require(hidden[0] == hidden[1], "prior", list(hidden[1]), rule)
