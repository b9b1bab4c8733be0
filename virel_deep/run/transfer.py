"""Prior of an earlier run: read from its checkpoints, kept in the new run's folder, given to its seeds."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from virel_common.errors import InputError
from virel_common.files import storing, write_atomically
from virel_deep.agent.stacked import StackedAgent
from virel_deep.design.run import RunConfig
from virel_deep.design.transfer import PRIORS, check_prior, check_prior_size
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed

NETWORK = "default"
"""Name of a prior's network in agents and checkpoints."""
LOW = "low"
"""Name of the network of a prior that has a second one, the low level of a hierarchy."""

Blocks = Mapping[str, NDArray[np.float32]]
"""Blocks of a prior of one seed by name; those of a low level begin with `low/`.

Folders from before a hierarchy gave its low level alone hold those of the default too."""


def prior_of(run: Path, config: RunConfig, n_observation: int) -> dict[int, Blocks]:
    """Parameters of the learned prior of each seed of a run, by number, checked to suit a new run.

    `n_observation` is the number of entries of an observation of the new run.

    Raises:
        InputError: there is no run, it has no such prior or no checkpoint, or it is of another environment,
            of other sizes, or sees other entries.
    """
    old = read_config(run)
    check_prior(run, old, config)
    out = dict(zip(old.seeds, blocks_of(run, old, old.seeds), strict=True))
    first = next(x for name, x in out[old.seeds[0]].items() if name.endswith("0.weight"))
    check_prior_size(first.shape[1], config, n_observation)
    return out


def blocks_of(run: Path, config: RunConfig, seeds: Sequence[int]) -> list[Blocks]:
    """Parameters of the learned priors in the newest checkpoints of seeds of a run with a configuration.

    Raises:
        InputError: a seed has no valid checkpoint.
    """
    return [_blocks(load_seed(run, config, seed).state["agent"]) for seed in seeds]


def take_priors(run: Path, config: RunConfig) -> None:
    """Write those priors of a run's seeds that its folder lacks: each seed's own, of the run `prior_run`.

    That run's path is relative to this one. A seed that diverged there gives that of its newest checkpoint.

    Raises:
        InputError: there is no such run, or a seed of it has no valid checkpoint.
        StorageError: they can't be written.
    """
    assert config.prior_run is not None
    held = read_prior(run) if (run / PRIORS).exists() else {}
    lacking = [seed for seed in config.seeds if seed not in held]
    if lacking:
        source = run / config.prior_run
        new = blocks_of(source, read_config(source), lacking)
        write_prior(run, {**held, **dict(zip(lacking, new, strict=True))})


def write_prior(run: Path, of_seeds: Mapping[int, Blocks]) -> None:
    """Write the parameters of priors by number into a run's folder; `start_from` says which seed takes which.

    Raises:
        StorageError: it can't be written.
    """
    file = io.BytesIO()
    named = {f"{i}/{name}": x for i, blocks in of_seeds.items() for name, x in blocks.items()}
    np.savez(file, **named)  # type: ignore[arg-type]
    with storing(run):
        run.mkdir(parents=True, exist_ok=True)
    write_atomically(run / PRIORS, file.getvalue())


def read_prior(run: Path) -> dict[int, Blocks]:
    """Read what `write_prior` wrote, in order of the numbers.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with np.load(run / PRIORS, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile) as error:
        raise InputError(f"{run / PRIORS}: can't be read: {error}") from None
    numbers = sorted({int(name.partition("/")[0]) for name in found})
    return {
        i: {name.partition("/")[2]: x for name, x in found.items() if name.startswith(f"{i}/")}
        for i in numbers
    }


def start_from(agent: StackedAgent, run: Path, seeds: list[int]) -> None:
    """Give an agent's seeds the priors in their run's folder.

    Seed s takes the prior of number s; without one, the one that is s modulo their count in their order.

    Raises:
        InputError: the file is missing or damaged, or of other sizes.
    """
    priors = read_prior(run)
    for k, seed in enumerate(seeds):
        number = seed if seed in priors else list(priors)[seed % len(priors)]
        mine = {name: torch.from_numpy(x) for name, x in priors[number].items()}
        low = {name.removeprefix(f"{LOW}/"): x for name, x in mine.items() if name.startswith(f"{LOW}/")}
        if low:
            agent.load_network(k, LOW, low)
        if len(low) < len(mine):  # else it is a low level alone
            agent.load_network(k, NETWORK, mine)


def _blocks(agent: Mapping[str, Any]) -> Blocks:
    """Blocks of the prior in an agent's state; of a hierarchy, those of the low level alone."""
    of = {f"{LOW}/": agent[LOW]} if LOW in agent else {"": agent[NETWORK]}
    return {
        prefix + name: np.asarray(x, np.float32)
        for prefix, blocks in of.items()
        for name, x in blocks.items()
    }
