"""Environment copies whose every call is guarded: whatever goes wrong in one is an `EnvironmentFailure`."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import in_one_line
from virel_deep.data import simulator
from virel_deep.data.global_generators import GlobalGenerators, undisturbed
from virel_deep.data.making import NotMadeError, make_env, raise_if_asked
from virel_deep.data.observations import observations_of
from virel_deep.data.returned import Unusable, checked_reset, checked_step
from virel_deep.design.environment import EnvSpec

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

SAFE_SQUARE = 1e76
"""Bound for a cheap check: numbers whose squares sum to less are finite in float32. NaN fails the check."""


class EnvironmentFailure(RuntimeError):
    """An environment crashed or returned a non-finite or non-numeric value.

    The message gives environment, step and value; `where` is the part that failed: `constructor`, `reset`,
    `step` or `close`.
    """

    def __init__(self, message: str, where: str = "") -> None:
        """Store the message and the part that failed."""
        super().__init__(message)
        self.where = where


class Outcome(NamedTuple):
    """What E environment copies returned from one step, checked."""

    observation: Floats
    """`[E, O]`."""
    reward: NDArray[np.float64]
    """`[E]`: finite as float32, too."""
    terminated: Bools
    """`[E]`."""
    truncated: Bools
    """`[E]`."""


class GuardedEnvs:
    """E environment copies; the caller knows which seeds they are reset with, and where episodes end.

    Args:
        tasks: specification of each copy.
        generators: global random generators, lent to environments that may draw from them.
        folder: folder for MuJoCo's warnings; None drops them.
        lent: environments to use, which others made and will close; empty: new ones are made.

    Raises:
        InputError: the environment does not exist, or its spaces are of another kind.
        EnvironmentFailure: a constructor failed.
    """

    def __init__(
        self,
        tasks: Sequence[EnvSpec],
        generators: GlobalGenerators,
        *,
        folder: Path | None,
        lent: Sequence[Any],
    ) -> None:
        """Make the copies; if one fails, close the others."""
        self._tasks, self._generators, self._folder, self._own = tasks, generators, folder, not lent
        self.steps = 0
        """Steps of every copy so far."""
        self.envs: list[Any] = list(lent)
        if not lent:
            self._make()
        self._observations = observations_of(self.envs[0].observation_space)
        self._seen = np.array([self._observations.blank] * len(tasks))
        self.exact = all(map(simulator.is_exact, self.envs))
        """Whether the simulators' whole state can be read and written."""
        self._lent = nullcontext if self.exact else generators.lent

    def _make(self) -> None:
        try:
            with self._generators.lent():
                for task in self._tasks:
                    self.envs.append(make_env(task))
        except NotMadeError as error:
            self.close_quietly()
            raise EnvironmentFailure(
                f"{self._tasks[len(self.envs)].id}: it can't be made: {error.what}", "constructor"
            ) from error

    def step(self, command: Sequence[Any] | NDArray[Any]) -> Outcome:
        """Step every copy by its entry of `command`, in the environment's own units.

        Raises:
            EnvironmentFailure: a copy crashed, diverged, or returned a non-finite value.
        """
        self.steps += 1
        simulator.log.folder, simulator.log.unstable = self._folder, ""
        reward, terminated, truncated = np.zeros(len(self.envs)), *np.zeros((2, len(self.envs)), np.bool_)

        def stepped(i: int) -> None:
            returned = checked_step(self.envs[i].step(command[i]), self._seen[0])
            self._seen[i], reward[i], terminated[i], truncated[i] = returned
            if simulator.log.unstable:
                raise Unusable(f"the simulation diverged: {simulator.log.unstable}")

        vectors = self._vectors(range(len(self.envs)), stepped, "step")
        observation = self._finite(vectors, "observation")
        self._finite(reward, "reward")
        return Outcome(observation, reward, terminated, truncated)

    def reset(self, seeds: Sequence[int | None] | None, mask: Bools) -> Floats:
        """Reset the copies in `mask [E]`, with seeds `[E]` or without; return all observations `[E, O]`.

        Raises:
            EnvironmentFailure: a copy crashed, or returned a non-finite value.
        """
        simulator.log.folder = self._folder

        def begun(i: int) -> None:
            with undisturbed():
                returned = self.envs[i].reset(seed=seeds[i] if seeds else None)
            self._seen[i] = checked_reset(returned, self._seen[0])

        vectors = self._vectors([int(i) for i in np.flatnonzero(mask)], begun, "reset")
        return self._finite(vectors, "observation after a reset", "reset")

    def _vectors(self, chosen: Sequence[int], call: Callable[[int], None], where: str) -> NDArray[Any]:
        """Call chosen copies one after another, and return the vectors `[E, O]` of what all show then."""
        i = 0
        try:
            with self._lent():
                for i in chosen:
                    call(i)
            return self._observations.vectors(self._seen)
        except Unusable as error:
            raise self._failure(i, str(error), where) from None
        except BaseException as error:
            raise_if_asked(error)
            raise self._failure(i, f"its {where}() raised {in_one_line(error)}", where) from error

    def _finite(self, values: NDArray[Any], name: str, where: str = "step") -> Floats:
        """Cast observations or rewards to float32; fail if one of them is not finite as float32."""
        if float(np.vdot(values, values)) < SAFE_SQUARE:
            return values.astype(np.float32)
        with np.errstate(over="ignore"):
            cast = values.astype(np.float32)
        if not np.isfinite(cast).all():
            place = tuple(map(int, np.argwhere(~np.isfinite(cast))[0]))
            of_copy = f"{name} of environment copy {place[0]}" if len(values) > 1 else name
            entry = f", entry {place[1]}," if len(place) > 1 else ""
            what = f"{of_copy}{entry} is {float(values[place])!r}; must be finite"
            raise self._failure(place[0], what, where)
        return cast

    def _failure(self, i: int, what: str, where: str) -> EnvironmentFailure:
        """Failure of copy i."""
        return EnvironmentFailure(f"{self._tasks[i].id}, step {self.steps}: {what}", where)

    def close(self) -> None:
        """Close the simulators of all environment copies, but those that are lent.

        Raises:
            EnvironmentFailure: one can't be closed; the others are.
        """
        failures = []
        for i, env in enumerate(self.envs if self._own else ()):
            try:
                with undisturbed():
                    env.close()
            except BaseException as error:
                raise_if_asked(error)
                failures.append(self._failure(i, f"its close() raised {in_one_line(error)}", "close"))
        if failures:
            raise failures[0]

    def close_quietly(self) -> None:
        """Close the copies; that one can't be closed is of no concern."""
        with suppress(EnvironmentFailure):
            self.close()
