"""Prior of an earlier run: read from its checkpoints, kept in the new run's folder, given to its seeds."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import StorageError, write_atomically
from virel_deep.agent.interfaces import Agent
from virel_deep.design.hierarchy import Hierarchy
from virel_deep.design.priors import Blind
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed

FILE = "prior.npz"
NETWORK = "default"
"""Name of a prior's network in agents and checkpoints."""
LOW = "low"
"""Name of the network of a prior that has a second one, the low level of a hierarchy."""

Blocks = Mapping[str, NDArray[np.float32]]
"""Blocks of a prior of one seed by name; those of a low level begin with `low/`.

Folders from before a hierarchy gave its low level alone hold those of the default too."""


def prior_of(run: Path, config: RunConfig, n_observation: int) -> list[Blocks]:
    """Parameters of the learned prior of each seed of a run, checked to suit a new run's configuration.

    `n_observation` is the number of entries of an observation of the new run.

    Raises:
        InputError: there is no run, it has no such prior or no checkpoint, or it is of another environment,
            of other sizes, or sees other entries.
    """
    old = read_config(run)
    _check(run, old, config)
    out = [_blocks(load_seed(run, old, seed).state["agent"]) for seed in old.seeds]
    _check_size(out[0], config, n_observation)
    return out


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
        mine = {name: torch.from_numpy(x) for name, x in priors[seed % len(priors)].items()}
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
    rule = f"must have the layers of the new run, hidden={mine.hidden}"
    require(theirs.hidden == mine.hidden, "prior", list(theirs.hidden), rule)
    if isinstance(mine.posterior, Hierarchy) and isinstance(theirs.posterior, Hierarchy):
        rule = f"must have the latents of the new run, {mine.posterior.latents}"
        found = theirs.posterior.latents
        require(found == mine.posterior.latents, "prior", found, rule)
    rule = "must be blind to the tasks that it was learned in, to be used in another one"
    assert isinstance(theirs.prior, Blind)
    seen = len(old.tasks) - theirs.prior.blind_last
    require(seen <= 0, "prior", f"prior.blind_last={theirs.prior.blind_last}", rule)
    blind, others_blind = (_blind(one) for one in (new, old))
    rule = f"must be blind to the entries of the new run, {blind}, beside the tasks"
    require(blind == others_blind, "prior", others_blind, rule)


def _blind(of: RunConfig) -> list[int]:
    """Entries that the prior of a run is blind to, without those of its tasks; -1 is the last before them."""
    prior = of.algorithm.prior
    assert isinstance(prior, Blind)
    return [*prior.blind, *range(len(of.tasks) - prior.blind_last, 0)]


def _check_size(prior: Blocks, config: RunConfig, n_observation: int) -> None:
    """Raise `InputError` unless a prior sees as many entries as that of a run with so many."""
    wanted = n_observation - len({entry % n_observation for entry in config.algorithm.blind_to})
    rule = f"must see as many entries as that of the new run, {wanted}"
    found = next(x for name, x in prior.items() if name.endswith("0.weight")).shape[1]
    require(found == wanted, "prior", found, rule)
