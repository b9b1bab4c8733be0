"""One seed of a run, apart from the shared agent: environments, random generators and log."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from virel_common.errors import InputError
from virel_common.files import remove_temporary, write_json
from virel_common.terminal import say
from virel_deep.data.environments import Episode, SeedEnvs, Transition
from virel_deep.data.guarded import EnvironmentFailure
from virel_deep.data.moments import Moments
from virel_deep.data.presence import inside
from virel_deep.design.adapt import require_suited
from virel_deep.design.run import RunConfig
from virel_deep.run.actors import Actor, SeedState, make_actor, normalised
from virel_deep.run.evaluate import Act, PolicyFailure, evaluate_beside, evaluate_tasks, evaluated
from virel_deep.run.evaluations import Evaluations
from virel_deep.run.explore import Explorer
from virel_deep.run.folder import record_failure, seed_folder
from virel_deep.run.metrics import FILE, SeedLog
from virel_deep.run.seed_checkpoint import owner
from virel_deep.run.survey import settings_record
from virel_deep.run.training.failures import SeedFailure, check_action, check_report, of_environment
from virel_deep.streams import generator, stream


class SeedRun:
    """Environments, random generators and log of one seed; the caller has locked its folder.

    Args:
        run: run folder.
        config: configuration of the run.
        seed: one of `config.seeds`.
        resume_step: step of the checkpoint that the seed continues from; -1 if it starts from scratch.

    Raises:
        InputError: the environment does not exist, or has actions of another kind than the algorithm.
        SeedFailure: an environment can't be made, or the first episode can't start; this is recorded.
        StorageError: a file can't be written, for instance because the disk is full.
    """

    def __init__(self, run: Path, config: RunConfig, seed: int, *, resume_step: int) -> None:
        """Make environments, generators and log; remove what an earlier failure or kill left."""
        self.config, self.seed, self.folder = config, seed, seed_folder(run, seed)
        key, failure = stream(seed, "environment"), None
        try:
            with inside(seed, max(resume_step, 0), "training: constructor"):
                self.envs = SeedEnvs(config.env_specs, config.copies, key, folder=self.folder)
            require_suited(config.algorithm, config.env, discrete=self.envs.discrete)
        except EnvironmentFailure as error:
            failure = of_environment(error, "training")
        except InputError:
            if hasattr(self, "envs"):
                self.envs.close()
            raise
        remove_temporary(self.folder)
        (self.folder / "failure.json").unlink(missing_ok=True)
        ended = resume_step >= config.steps
        self.log = SeedLog(self.folder, resume_step=resume_step, eval_every=config.eval_every, ended=ended)
        if failure is not None:
            self._record(max(resume_step, 0), failure)
            self.log.close()
            raise failure
        self.acting = generator(seed, "acting")
        self.learning = generator(seed, "learning", config.device)
        self.rows_saved = 0
        self.largest_reward = 0.0
        self.returns: list[float] = []
        """Returns of the episodes that ended since the last `train` row."""
        self.last_return: float | None = None
        self.cuts: list[int] = []
        """Numbers of replay rows that end an episode because it was given up."""
        self._told_alone = False
        self.moments = Moments(self.envs.observation_size) if config.normalize else None
        """Moments of the observations that the seed acted on, if they are normalised."""
        self.evaluations = Evaluations(config, self.folder, owner(config, seed))
        if resume_step < 0:
            self.evaluations.clear()

    def step(self, action: NDArray[np.float32], step: int) -> Transition:
        """Step the seed's environments with an action, and log the episodes that ended.

        Raises:
            SeedFailure: the policy returned an invalid action, or an environment failed.
        """
        check_action(action, step)
        try:
            with inside(self.seed, step, "training: step"):
                transition = self.envs.step(action)
        except EnvironmentFailure as error:
            raise of_environment(error, "training") from error
        self.largest_reward = max(self.largest_reward, float(np.abs(transition.reward).max()))
        for episode in transition.episodes:
            self._log_episode(episode, step)
        return transition

    def _log_episode(self, episode: Episode, step: int) -> None:
        self.returns.append(episode.return_)
        self.last_return = episode.return_
        tasks = self.config.task_names
        told = {"task": tasks[episode.copy % len(tasks)]} if tasks else {}
        self.log.write(step, "episode", {"return": episode.return_, "length": episode.length, **told})

    def log_training(self, step: int, report: dict[str, float], steps_per_second: float) -> None:
        """Write a `train` row to the log, with mean metrics since the previous one.

        Raises:
            SeedFailure: a reported value is not finite, or the critic is far beyond any possible value.
        """
        mean_return = float(np.mean(self.returns)) if self.returns else None
        self.returns.clear()
        self.log.write(step, "train", {"return": mean_return, **report, "steps_per_second": steps_per_second})
        n_action = self.envs.action_size
        check_report(report, step, self.config.algorithm, self.largest_reward, n_action=n_action)

    def acts_by(self, networks: SeedState) -> dict[str, Any]:
        """What the seed acts by: its networks, and the moments of its observations if it normalises them."""
        return {**networks, **self._moments()}

    def _moments(self) -> dict[str, Any]:
        return {} if self.moments is None else {"moments": self.moments.state()}

    def evaluate(self, step: int, acts_by: SeedState) -> float:
        """Evaluate what the seed acts by on separate environments; log the returns, and return their mean.

        Raises:
            SeedFailure: an environment failed, or the policy returned an invalid action.
        """
        config, at, key = self.config, f"evaluation at step {step}", stream(self.seed, "evaluation", step)
        actor: Actor
        source = stream(self.seed, "evaluation-actions", step)
        if config.eval_stochastic:
            actor = normalised(Explorer(config.algorithm, acts_by, source), acts_by)
        else:
            actor = make_actor(config.algorithm, acts_by, source)
        try:
            with inside(self.seed, step, "evaluation"):
                played = self._played(actor.act, key)
        except EnvironmentFailure as error:
            raise of_environment(error, "evaluation", at) from error
        except PolicyFailure as error:
            raise SeedFailure("diverged", f"{at}: {error}", "evaluation") from error
        if self.envs.interrupted:
            self._tell_alone(step)
        row = evaluated(played, config.task_names)
        self.log.write(step, "eval", row)
        self.evaluations.judge(step, row["return"], acts_by, regular=step % config.eval_every == 0)
        return float(row["return"])

    def _played(self, act: Act, key: np.random.SeedSequence) -> list[list[Episode]]:
        """Evaluation episodes, task by task; of a single task where only one environment may be open, too."""
        specs, episodes = self.config.eval_specs, self.config.eval_episodes
        if len(specs) > 1:
            return evaluate_tasks(act, specs, key, episodes)
        return [evaluate_beside(self.envs, act, specs[0], key, episodes)]

    def _tell_alone(self, step: int) -> None:
        """Say, once, that evaluations are played in the training environment, and why."""
        if not self._told_alone:
            detail = f"evaluations give up the episode in training and play in its place: {self.envs.alone}"
            self.log.write(step, "event", {"what": "one environment", "detail": detail})
            say(f"note: seed-{self.seed}: {detail}")
        self._told_alone = True

    def fail(self, step: int, failure: SeedFailure) -> None:
        """Record why the seed failed, in its log and in `failure.json`; its checkpoints stay."""
        self._record(step, failure)
        self.close()

    def _record(self, step: int, failure: SeedFailure) -> None:
        document = {"step": step, "what": failure.what, "where": failure.where, "detail": str(failure)}
        self.log.write(step, "event", {"what": "failed", "detail": f"{failure.what}: {failure}"})
        record_failure(self.folder.parent, self.seed, document)

    def finish(self, step: int) -> None:
        """Record in `done.json` that the seed has reached its last step, or why it needs no more."""
        document: dict[str, Any] = {"step": step}
        if self.evaluations.stops:
            document["stopped"] = self.evaluations.rule
            self.log.write(step, "event", {"what": "stopped", "detail": self.evaluations.rule})
        write_json(self.folder / "done.json", document)

    def state(self) -> dict[str, Any]:
        """State of a seed's environments, generators and counters for a checkpoint."""
        return {
            "owner": owner(self.config, self.seed),
            "settings": settings_record(self.config),
            "log": self.log.digest,
            "environment": self.envs.state(),
            "acting": self.acting.get_state(),
            "learning": self.learning.get_state(),
            "largest_reward": self.largest_reward,
            "returns": self.returns,
            "last_return": self.last_return,
            **self._moments(),
            **({"cuts": self.cuts} if self.cuts else {}),
            **self.evaluations.state(),
        }

    def restore(self, state: dict[str, Any], step: int) -> None:
        """Restore environments, generators and counters from a state that was saved at `step`.

        Raises:
            SeedFailure: the environments can't start new episodes.
        """
        if state.get("log", self.log.digest) != self.log.digest:
            say(
                f"note: {self.folder / FILE} lost or changed rows since its checkpoint of step {step} was "
                "written; what is left of them counts"
            )
        try:
            with inside(self.seed, step, "training: restore"):
                self.envs.restore(state["environment"])
        except EnvironmentFailure as error:
            raise of_environment(error, "training") from error
        self.acting.set_state(torch.as_tensor(state["acting"], dtype=torch.uint8))
        self.learning.set_state(torch.as_tensor(state["learning"], dtype=torch.uint8))
        self.largest_reward = state["largest_reward"]
        self.returns, self.last_return = list(state["returns"]), state["last_return"]
        self.cuts = list(state.get("cuts", ()))
        self.moments = Moments.of(state["moments"]) if self.moments is not None else None
        self.evaluations.restore(state)
        if not self.envs.exact:
            self.log.write(
                step, "event", {"what": "restarted", "detail": "new episodes: its state can't be restored"}
            )

    def close(self) -> None:
        """Close the seed's environments and log; say so if an environment can't be closed."""
        step = self.envs.steps * self.config.copies
        try:
            with inside(self.seed, step, "training: close"):
                self.envs.close()
        except EnvironmentFailure as error:
            self.log.write(step, "event", {"what": "not closed", "detail": str(error)})
            say(f"virel train: seed-{self.seed}: {error}; nothing is lost")
        self.log.close()
