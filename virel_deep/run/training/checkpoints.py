"""Checkpoints of a stack of seeds: which to continue from, and how one seed is saved and restored."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from virel_common.errors import InputError, require
from virel_deep.agent.stacked import StackedAgent
from virel_deep.data.replay import Replay
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.run.training.failures import SeedFailure
from virel_deep.run.training.seed import SeedRun
from virel_deep.storage.checkpoint import Loaded, Rows, rows_of, save, tidy


class Found(NamedTuple):
    """Newest checkpoints of some seeds, of which those of the latest step train together."""

    step: int
    """Latest step of a checkpoint."""
    loaded: dict[int, Loaded]
    """Checkpoints of that step, by seed."""
    behind: list[list[int]]
    """Groups of seeds whose newest checkpoints are of the same earlier step."""
    broken: dict[int, str]
    """Seeds without a checkpoint that is whole and of this run, and why."""


def newest(run: Path, config: RunConfig, seeds: Sequence[int]) -> Found:
    """Load the newest checkpoint of each seed.

    Raises:
        InputError: no seed has a checkpoint that is whole and of this run.
    """
    loaded, broken = dict[int, Loaded](), dict[int, str]()
    for seed in seeds:
        try:
            loaded[seed] = load_seed(run, config, seed, checked=True)
        except InputError as error:
            broken[seed] = str(error)
    if not loaded:
        raise InputError("; ".join(dict.fromkeys(broken.values())))
    step, *earlier = sorted({one.step for one in loaded.values()}, reverse=True)
    at = {step: [seed for seed, one in loaded.items() if one.step == step] for step in earlier}
    together = {seed: one for seed, one in loaded.items() if one.step == step}
    return Found(step, together, list(at.values()), broken)


def require_unbegun(run: Path, seed: int) -> None:
    """Raise `InputError` if a seed that is to start from scratch has a checkpoint."""
    begun = next((seed_folder(run, seed) / "checkpoints").glob("step-*"), None)
    rule = "must have no checkpoint yet; run `virel train --resume` again"
    require(begun is None, "seed", str(begun), rule)


def save_seed(run: SeedRun, agent: StackedAgent, replay: Replay, k: int, step: int) -> None:
    """Write a checkpoint of a seed, whose place in agent and replay is k."""
    new = replay.since(k, run.rows_saved).cpu().numpy()
    rows = Rows(replay.added - len(new), new, run.config.kept)
    state = run.state() | {"agent": agent.seed_state(k)}
    save(run.folder / "checkpoints", step, state, rows=rows)
    run.rows_saved = replay.added


def restore_seed(
    run: SeedRun, agent: StackedAgent, replay: Replay, k: int, loaded: Loaded
) -> SeedFailure | None:
    """Restore a seed at place k from its checkpoint, its rows chunk by chunk; return why it can't go on.

    What a kill left in the seed's folder is removed.
    """
    tidy(run.folder / "checkpoints")
    failure = None
    agent.load_seed_state(k, loaded.state["agent"])
    try:
        run.restore(loaded.state, loaded.step)
    except SeedFailure as error:
        failure = error
    for rows in rows_of(run.folder / "checkpoints", loaded):
        replay.refill(k, torch.from_numpy(rows.data), rows.end)
    run.rows_saved = replay.added
    mark_cuts(run, agent, replay, k)
    return failure


def mark_cuts(run: SeedRun, agent: StackedAgent, replay: Replay, k: int) -> None:
    """Mark rows of a seed that end an episode given up, so that no window of rows reads across."""
    column, end = agent.columns.truncated, replay.added
    if column is None:
        return
    oldest = end - len(replay)
    new = range(end - run.config.copies, end) if run.envs.interrupted else ()
    run.cuts = [number for number in dict.fromkeys([*run.cuts, *new]) if number >= oldest]
    replay.mark(k, run.cuts, column)
