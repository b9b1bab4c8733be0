"""Training loop of stacked seeds: act, store transitions, update; at intervals log, evaluate and save."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from virel_common.terminal import say
from virel_deep.agent.build import make_agent
from virel_deep.agent.stacked import StackedAgent
from virel_deep.data.moments import Scaling
from virel_deep.data.replay import Replay
from virel_deep.design.run import RunConfig
from virel_deep.networks.precision import products
from virel_deep.run.folder import locked
from virel_deep.run.training.acting import Acting
from virel_deep.run.training.checkpoints import (
    mark_cuts,
    newest,
    require_unbegun,
    restore_seed,
    save_seed,
)
from virel_deep.run.training.failures import SeedFailure
from virel_deep.run.training.learning import Learning, due_updates
from virel_deep.run.training.reports import Report, Reports
from virel_deep.run.training.seed import SeedRun
from virel_deep.run.transfer import start_from
from virel_deep.storage.checkpoint import Loaded
from virel_deep.streams import generator


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
        self._reports = Reports(self.step)
        self._scalings: list[Scaling] = []
        """Normalisation of each seed's observations at this step; empty if they are not normalised."""

    def _load(self, seeds: Sequence[int]) -> None:
        """Load the newest checkpoint of each seed; leave out those that have none, or an earlier one.

        Raises:
            InputError: no seed has a checkpoint that is whole and of this run.
        """
        self.step, self._loaded, self.behind, broken = newest(self.folder, self.config, seeds)
        self.failed.extend(broken)
        for line in broken.values():
            say(f"virel train: left out: {line}")

    def _open(self, seed: int) -> None:
        """Make a seed's environments and log; a seed whose environment fails is recorded and left out."""
        step = self.step
        if seed not in self._loaded:
            require_unbegun(self.folder, seed)
            step = -1  # stopped before its first checkpoint, it may have left rows
        try:
            self.runs.append(SeedRun(self.folder, self.config, seed, resume_step=step))
        except SeedFailure as failure:
            self._count_out(seed, failure)

    def _restore(self) -> None:
        """Restore every seed from its checkpoint; a seed whose environments can't start is removed."""
        failures = {
            k: restore_seed(run, self.agent, self.replay, k, self._loaded.pop(run.seed))
            for k, run in enumerate(self.runs)
        }
        self._remove({k: failure for k, failure in failures.items() if failure is not None})

    def _build(self, *, resume: bool) -> None:
        """Create the agent and the replay buffer of all seeds."""
        seeds, first = [run.seed for run in self.runs], self.runs[0].envs
        self.agent = self._new_agent(seeds, first.observation_size, first.action_size)
        if self.config.prior_run is not None and not resume:
            start_from(self.agent, self.folder, seeds)
        capacity = min(self.config.kept, self.config.steps)
        self.replay = Replay(len(seeds), capacity, self.agent.columns.width, device=self.device)

    def _new_agent(self, seeds: Sequence[int], n_observation: int, n_action: int) -> StackedAgent:
        generators = [generator(seed, "weights") for seed in seeds]
        return make_agent(self.config.algorithm, n_observation, n_action, generators, device=self.device)

    def _buffers(self) -> None:
        """Allocate the tensors that every step and every update overwrites."""
        self.acting = Acting(self.agent, self.runs, self.config.copies)
        self.learning = Learning(self.agent, self.replay, self.runs, self.config)

    @property
    def done(self) -> bool:
        """Whether every seed has reached the last step or failed."""
        return self.step >= self.config.steps or not self.runs

    def advance(self, report: Report) -> None:
        """Step every environment once, then do whatever is due: update, log, evaluate, save."""
        config = self.config
        self.step += config.copies
        self.scores = {}
        self._collect()
        if not self.runs:
            return
        if due := due_updates(config, self.step):
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

    def _collect(self) -> None:
        """Step every seed's environments and store the transitions; drop a seed that fails."""
        acting = self.acting
        acting.observe()
        actions = acting.actions(uniform=self.step <= self.config.algorithm.data.warmup)
        failed = acting.act(actions, self.step, self.replay.added)
        kept = [k for k in range(len(self.runs)) if k not in failed]
        self._remove(failed)
        if self.runs:
            self.replay.add((acting.rows[kept] if failed else acting.rows).to(self.device))
        self._scalings = [acting.scalings[k] for k in kept if acting.scalings]

    def _update(self) -> None:
        self.learning.update(self._scalings)

    def _log(self, report: Report) -> None:
        self._remove(self._reports.write(self.step, self.runs, self.agent.report(), report))

    def _evaluate(self) -> None:
        failed = {}
        state_of = self.agent.seed_state if self.config.eval_stochastic else self.agent.seed_networks
        for k, run in enumerate(self.runs):
            try:
                self.scores[run.seed] = run.evaluate(self.step, run.acts_by(state_of(k)))
                mark_cuts(run, self.agent, self.replay, k)
            except SeedFailure as failure:
                failed[k] = failure
        self._remove(failed)

    def save(self) -> None:
        """Write a checkpoint of every seed; after the last step, mark the seeds as done."""
        for k, run in enumerate(self.runs):
            save_seed(run, self.agent, self.replay, k, self.step)
        if self.done:
            self._finish()

    def _finish(self) -> None:
        for run in self.runs:
            run.finish(self.step)

    def _stop(self) -> None:
        """Save and finish the seeds whose evaluations are good enough; the others train on."""
        stopping = [k for k, run in enumerate(self.runs) if run.evaluations.stops]
        for k in stopping:
            run = self.runs[k]
            save_seed(run, self.agent, self.replay, k, self.step)
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
