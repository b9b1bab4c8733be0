"""Training loop of stacked seeds: act, store transitions, update; at intervals log, evaluate and save."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from virel_common.errors import InputError, require
from virel_common.terminal import say
from virel_deep.agent.build import make_agent
from virel_deep.agent.capture import CapturedUpdate, cuda_graph
from virel_deep.agent.interfaces import Agent, Own
from virel_deep.axes.interfaces import Noise
from virel_deep.data.minibatches import READ
from virel_deep.data.moments import Scaling
from virel_deep.data.replay import Replay, held_out
from virel_deep.design.run import RunConfig
from virel_deep.networks.perceptron import Floats
from virel_deep.networks.precision import products
from virel_deep.run.explore import explore, fill
from virel_deep.run.folder import locked, seed_folder
from virel_deep.run.normalising import normalise
from virel_deep.run.seed import SeedFailure, SeedRun
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.run.transfer import start_from
from virel_deep.storage.checkpoint import Loaded, Rows, rows_of, save
from virel_deep.streams import generator

Report = Callable[[int, dict[str, Any]], object]
"""Callback that takes a step, and means over the `seeds` in it, whenever `train` rows are written."""


class Trainer:
    """Training loop of some seeds of a run, which train in one process, stacked in one agent.

    All seeds start from scratch, or all from checkpoints of the same step. A seed that fails is removed;
    the bits of the others do not change.

    Args:
        run: run folder, with its `config.json`.
        config: configuration of the run.
        seeds: seeds to train, some of `config.seeds`.
        resume: whether to continue from the newest checkpoints.
    """

    def __init__(self, run: Path, config: RunConfig, seeds: Sequence[int], *, resume: bool) -> None:
        """Lock the seeds' folders, then build environments, agent and replay buffer, or restore them."""
        self.config, self.folder = config, run
        self.device = torch.device(config.device)
        self.step = 0
        self.runs: list[SeedRun] = []
        self.failed: list[int] = []
        """Seeds that failed and were removed."""
        self.behind: list[list[int]] = []
        """Groups of seeds that are left to train apart, from an earlier step than these."""
        self._loaded: dict[int, Loaded] = {}
        """Newest checkpoint of each seed that has not been restored yet."""
        self.scores: dict[int, float] = {}
        """Mean return of each seed evaluated after this step; empty if there was no evaluation."""
        with ExitStack() as held:
            held.enter_context(locked(run, seeds))  # before anything is read or changed
            held.callback(self._close_runs)
            if resume:
                self._load(seeds)
            for seed in self._loaded if resume else seeds:
                self._open(seed)
            if self.runs:
                self._build(resume=resume)
            if resume:
                self._restore()
            self._held = held.pop_all()
        if not self.runs:
            return
        self._buffers()
        if resume and self.done:  # a kill fell between the last checkpoint and its record
            self._finish()
        elif resume:
            self._stop()
        self._clock, self._clock_step = time.perf_counter(), self.step
        self._scalings: list[Scaling] = []
        """Normalisation of each seed's observations at this step; empty if they are not normalised."""

    def _load(self, seeds: Sequence[int]) -> None:
        """Load the newest checkpoint of each seed; leave out those that have none, or an earlier one.

        Raises:
            InputError: no seed has a checkpoint that is whole and of this run.
        """
        loaded, broken = dict[int, Loaded](), list[str]()
        for seed in seeds:
            try:
                loaded[seed] = load_seed(self.folder, self.config, seed, checked=True)
            except InputError as error:
                broken.append(str(error))
                self.failed.append(seed)
        if not loaded:
            raise InputError("; ".join(broken))
        for line in broken:
            say(f"virel train: left out: {line}")
        self.step, *earlier = sorted({one.step for one in loaded.values()}, reverse=True)
        at = {step: [seed for seed, one in loaded.items() if one.step == step] for step in earlier}
        self.behind = list(at.values())
        self._loaded = {seed: one for seed, one in loaded.items() if one.step == self.step}

    def _open(self, seed: int) -> None:
        """Make a seed's environments and log; a seed whose environment fails is recorded and left out."""
        step = self.step if seed in self._loaded else self._unbegun(seed)
        try:
            self.runs.append(SeedRun(self.folder, self.config, seed, resume_step=step))
        except SeedFailure as failure:
            self._count_out(seed, failure)

    def _unbegun(self, seed: int) -> int:
        begun = next((seed_folder(self.folder, seed) / "checkpoints").glob("step-*"), None)
        require(
            begun is None, "seed", str(begun), "must have no checkpoint yet; run `virel train --resume` again"
        )
        return -1  # stopped before its first checkpoint, it may have left rows

    def _restore(self) -> None:
        """Restore every seed from its checkpoint; a seed whose environments can't start is removed."""
        failures = {k: self._restored(k) for k in range(len(self.runs))}
        self._remove({k: failure for k, failure in failures.items() if failure is not None})

    def _restored(self, k: int) -> SeedFailure | None:
        """Restore one seed; its replay rows are read chunk by chunk."""
        run, failure = self.runs[k], None
        loaded = self._loaded.pop(run.seed)
        self.agent.load_seed_state(k, loaded.state["agent"])
        try:
            run.restore(loaded.state, self.step)
        except SeedFailure as error:
            failure = error
        for rows in rows_of(run.folder / "checkpoints", loaded):
            self.replay.refill(k, torch.from_numpy(rows.data), rows.end)
        run.rows_saved = self.replay.added
        self._cut(k)
        return failure

    def _build(self, *, resume: bool) -> None:
        """Create the agent and the replay buffer of all seeds."""
        seeds, first = [run.seed for run in self.runs], self.runs[0].envs
        self.agent = self._new_agent(seeds, first.observation_size, first.action_size)
        if self.config.prior_run is not None and not resume:
            start_from(self.agent, self.folder, seeds)
        capacity = min(self.config.kept, self.config.steps)
        self.replay = Replay(len(seeds), capacity, self.agent.columns.width, device=self.device)

    def _new_agent(self, seeds: Sequence[int], n_observation: int, n_action: int) -> Agent:
        generators = [generator(seed, "weights") for seed in seeds]
        return make_agent(self.config.algorithm, n_observation, n_action, generators, device=self.device)

    def _buffers(self) -> None:
        """Allocate the tensors that every step overwrites, and the update that reads them."""
        algorithm, columns, seeds = self.config.algorithm, self.agent.columns, len(self.runs)
        self.rows = np.zeros((seeds, self.config.copies, columns.width), np.float32)
        self._rows = torch.from_numpy(self.rows)
        copies = self.config.copies
        self._uniform = torch.empty(seeds, copies, self.agent.n_action)
        self._acting = torch.empty(seeds, copies, self.agent.acting.width)
        draws, shape = self.agent.draws, algorithm.data.shape(algorithm.value.window, copies)
        states = algorithm.data.transitions(copies) * (draws.here + draws.following)
        self.batch, self.noise = self._storage(shape, states)
        own = algorithm.temperature.estimate.batch
        self.own = Own(*self._storage((own, *shape[1:]), own * draws.following)) if own else None
        capture = cuda_graph if self.device.type == "cuda" else None
        self._compute = CapturedUpdate(self.agent, self.batch, self.noise, self.own, capture=capture)

    def _storage(self, shape: tuple[int, ...], states: int) -> tuple[Tensor, Noise]:
        """Allocate a minibatch of a shape, and random numbers for so many states."""
        seeds = len(self.runs)
        batch = torch.empty(seeds, *shape, self.agent.columns.width, device=self.device)
        noise = {
            name: torch.empty(seeds, states, draw.width, device=self.device)
            for name, draw in self.agent.noise.items()
        }
        return batch, noise

    @property
    def done(self) -> bool:
        """Whether every seed has reached the last step or failed."""
        return self.step >= self.config.steps or not self.runs

    def advance(self, report: Report) -> None:
        """Step every environment once, then do whatever is due: update, log, evaluate, save."""
        config = self.config
        self.step += config.copies
        self.scores = {}
        for row, run in zip(self.rows, self.runs, strict=True):
            row[:, self.agent.columns.observation] = run.envs.observation
            if self.agent.columns.age is not None:
                row[:, self.agent.columns.age] = run.envs.ages
            if run.moments is not None:
                run.moments.update(run.envs.observation)
        self._scalings = [run.moments.scaling for run in self.runs if run.moments is not None]
        self._collect(self._actions())
        if not self.runs:
            return
        if due := self._due_updates():
            with products(config.precision, config.device):
                for _ in range(due):
                    self._update()
        if self.step % config.log_every == 0:
            self._log(report)
        if self.step % config.eval_every == 0 or self.step >= config.steps:  # the last policy always
            self._evaluate()
            self._stop()
        if self.step % config.checkpoint_every == 0 or self.step >= config.steps:
            self.save()

    def _due_updates(self) -> int:
        """Number of updates that this step of all copies has."""
        algorithm, copies = self.config.algorithm, self.config.copies
        return algorithm.data.updates(
            self.step, window=algorithm.value.window, copies=copies,
            every=algorithm.update_every, ratio=algorithm.updates_per_step,
        )  # fmt: skip

    def _actions(self) -> Floats:
        """Actions `[K, E, A]` for the current observations: uniform during warm-up, then from the policy."""
        seen = self.rows[..., self.agent.columns.observation]
        if self._scalings:
            seen = np.stack([scaling(x) for scaling, x in zip(self._scalings, seen, strict=True)])
        if self.step <= self.config.algorithm.data.warmup:
            for of_seed, run in zip(self._uniform, self.runs, strict=True):
                of_seed.uniform_(-1, 1, generator=run.acting)
            return explore(self.agent, self.rows, self._uniform.numpy(), uniform=True, observation=seen)
        for of_seed, run in zip(self._acting, self.runs, strict=True):
            fill(of_seed, self.agent.acting, run.acting)
        return explore(self.agent, self.rows, self._acting.numpy(), uniform=False, observation=seen)

    def _collect(self, actions: Floats) -> None:
        """Step every seed's environments and store the transitions; drop a seed that fails."""
        columns, failed = self.agent.columns, {}
        for k, run in enumerate(self.runs):
            row = self.rows[k]
            row[:, columns.action] = actions[k]
            try:
                transition = run.step(actions[k], self.step)
            except SeedFailure as failure:
                failed[k] = failure.after(self.agent.unsound(k))
                continue
            row[:, columns.next_observation] = transition.next_observation
            row[:, columns.reward] = transition.reward
            row[:, columns.terminated] = transition.terminated
            if columns.truncated is not None:
                row[:, columns.truncated] = transition.truncated
            if columns.held_out is not None:
                row[:, columns.held_out] = held_out(self.replay.added, len(row))
        kept = [k for k in range(len(self.runs)) if k not in failed]
        rows = self._rows[kept] if failed else self._rows
        self._remove(failed)
        if self.runs:
            self.replay.add(rows.to(self.device))
        if self._scalings:
            self._scalings = [self._scalings[k] for k in kept]

    def _update(self) -> None:
        self._draw(self.batch, self.noise)
        if self.own is not None and self.agent.kind.observes:
            self._draw(*self.own)
        self._compute()

    def _draw(self, batch: Tensor, noise: Noise) -> None:
        """Read a minibatch of stored transitions, and draw random numbers, each seed by its own generator."""
        generators = [run.learning for run in self.runs]
        READ[type(self.config.algorithm.data)](self.replay, generators, self.config.copies, batch)
        if self._scalings:
            normalise(batch, self.agent.columns, self._scalings)
        for name, draw in self.agent.noise.items():
            for of_seed, one in zip(noise[name], generators, strict=True):
                fill(of_seed, draw, one)

    def _log(self, report: Report) -> None:
        now = time.perf_counter()
        speed = (self.step - self._clock_step) / (now - self._clock)
        self._clock, self._clock_step = now, self.step
        rows, failed = self.agent.report(), {}
        for k, (run, row) in enumerate(zip(self.runs, rows, strict=True)):
            try:
                run.log_training(self.step, row, speed)
            except SeedFailure as failure:
                failed[k] = failure
        shown: dict[str, Any] = {
            name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else {})
        }
        returns = [run.last_return for run in self.runs if run.last_return is not None]
        shown |= {"return": float(np.mean(returns)) if returns else None, "steps_per_second": speed}
        shown["seeds"] = [run.seed for run in self.runs]
        report(self.step, shown)
        self._remove(failed)

    def _evaluate(self) -> None:
        failed = {}
        state_of = self.agent.seed_state if self.config.eval_stochastic else self.agent.seed_networks
        for k, run in enumerate(self.runs):
            try:
                self.scores[run.seed] = run.evaluate(self.step, run.acts_by(state_of(k)))
                self._cut(k)
            except SeedFailure as failure:
                failed[k] = failure
        self._remove(failed)

    def _cut(self, k: int) -> None:
        """Mark rows of seed k that end an episode given up, so that no window of rows reads across."""
        column, run, newest = self.agent.columns.truncated, self.runs[k], self.replay.added
        if column is None:
            return
        oldest = newest - len(self.replay)
        new = range(newest - self.config.copies, newest) if run.envs.interrupted else ()
        run.cuts = [number for number in dict.fromkeys([*run.cuts, *new]) if number >= oldest]
        self.replay.mark(k, run.cuts, column)

    def save(self) -> None:
        """Write a checkpoint of every seed; after the last step, mark the seeds as done."""
        for k in range(len(self.runs)):
            self._save(k)
        if self.done:
            self._finish()

    def _save(self, k: int) -> None:
        run = self.runs[k]
        new = self.replay.since(k, run.rows_saved).cpu().numpy()
        rows = Rows(self.replay.added - len(new), new, self.config.kept)
        state = run.state() | {"agent": self.agent.seed_state(k)}
        save(run.folder / "checkpoints", self.step, state, rows=rows)
        run.rows_saved = self.replay.added

    def _finish(self) -> None:
        for run in self.runs:
            run.finish(self.step)

    def _stop(self) -> None:
        """Save and finish the seeds whose evaluations are good enough; the others train on."""
        stopping = [k for k, run in enumerate(self.runs) if run.evaluations.stops]
        for k in stopping:
            run = self.runs[k]
            self._save(k)
            run.finish(self.step)
            run.close()
            say(f"seed-{run.seed} stopped at step {self.step}: {run.evaluations.rule}")
        self._keep([k for k in range(len(self.runs)) if k not in stopping])

    def close(self) -> None:
        """Close every environment and log, and unlock the seeds' folders."""
        self._held.close()

    def _close_runs(self) -> None:
        for run in self.runs:
            run.close()

    def _remove(self, failed: dict[int, SeedFailure]) -> None:
        """Remove failed seeds from the stack; the results of the others do not change, bit for bit."""
        for k, failure in failed.items():
            self.runs[k].fail(self.step, failure)
            self._count_out(self.runs[k].seed, failure)
        self._keep([k for k in range(len(self.runs)) if k not in failed])

    def _count_out(self, seed: int, failure: SeedFailure) -> None:
        self.failed.append(seed)
        say(f"virel train: seed-{seed} failed at step {self.step}: {failure}")

    def _keep(self, kept: Sequence[int]) -> None:
        """Keep these seeds alone in the stack, if they are not all."""
        if len(kept) == len(self.runs):
            return
        states = [self.agent.seed_state(k) for k in kept]
        self.runs = [self.runs[k] for k in kept]
        if not self.runs:
            return
        seeds = [run.seed for run in self.runs]
        self.agent = self._new_agent(seeds, self.agent.n_observation, self.agent.n_action)
        for k, state in enumerate(states):
            self.agent.load_seed_state(k, state)
        self.replay.keep(kept)
        self._buffers()
