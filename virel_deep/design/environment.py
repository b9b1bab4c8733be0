"""Environments of a run: id, arguments and time limit of one, and several tasks; without Gymnasium."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from virel_common.errors import require
from virel_deep.design.fields import Table, Tables

KEYS = {"id", "arguments"}
"""What a task has in `config.json`."""
LONGEST = 1000
"""Steps after which an episode counts as over where no time limit ends it; it goes on all the same."""


@dataclass(frozen=True)
class EnvSpec:
    """Which environment to make, and how; equal specifications make equal environments.

    Example:
        >>> EnvSpec("Pendulum-v1", {"g": 9.0}, max_episode_steps=100).arguments
        {'g': 9.0}
    """

    id: str
    """Id in Gymnasium; one that a module registers has the module and a colon in front."""
    arguments: Mapping[str, object] = field(default_factory=dict)
    """Arguments of the environment by name, as `gymnasium.make` takes them."""
    max_episode_steps: int | None = None
    """Time limit in steps; None is the limit that the id was registered with."""
    task: tuple[int, int] | None = None
    """Number of its task and of all tasks, told by a one-hot entry of the observation; None: no entry."""

    def __post_init__(self) -> None:
        """Check the types of what was given."""
        require(isinstance(self.id, str), "env", self.id, "must be a Gymnasium id, as text")
        named = isinstance(self.arguments, Mapping) and all(isinstance(name, str) for name in self.arguments)
        require(named, "arguments", self.arguments, 'must be a dictionary such as {"g": 9.0}')

    @classmethod
    def of(cls, env: "EnvSpec | str") -> "EnvSpec":
        """Return a specification as it is; an id alone means no arguments and the registered time limit."""
        return env if isinstance(env, EnvSpec) else cls(env)


def either(envs: Sequence[EnvSpec]) -> str:
    """Ids of environments of which one is meant, for a message.

    Example:
        >>> either([EnvSpec("Lake-v0", {"goal": 0}), EnvSpec("Lake-v0", {"goal": 1}), EnvSpec("Sea-v0")])
        'Lake-v0 or Sea-v0'
    """
    return " or ".join(dict.fromkeys(env.id for env in envs))


def check_tasks(tasks: Tables) -> None:
    """Raise `InputError` unless tasks are at least two, each with an id and arguments, and all different."""
    if not tasks:
        return
    require(len(tasks) >= 2, "tasks", tasks, "must be at least 2; a single one is --env and --env-arg")
    for task in tasks:
        whole = set(task) == KEYS and isinstance(task["id"], str) and isinstance(task["arguments"], Mapping)
        require(whole, "tasks", dict(task), "must have an id and arguments each")
    names = labels(tasks)
    for name in names:
        require(names.count(name) == 1, "tasks", name, "must all be different")


def labels(tasks: Sequence[Table]) -> list[str]:
    """Names of tasks in logs and tables: their own arguments, and their ids if these differ.

    Example:
        >>> of = [{"id": "Lake-v0", "arguments": {"goal": n}} for n in (0, 1)]
        >>> labels(of), labels([{**of[0], "id": "Sea-v0"}, of[1]])
        (['goal=0', 'goal=1'], ['Sea-v0 goal=0', 'Lake-v0 goal=1'])
    """
    one_id = len({task["id"] for task in tasks}) == 1
    named = [" ".join(f"{name}={value}" for name, value in _arguments(task).items()) for task in tasks]
    if one_id and all(named):
        return named
    return [f"{task['id']} {name}".strip() for task, name in zip(tasks, named, strict=True)]


def specs(tasks: Sequence[Table], shared: EnvSpec) -> tuple[EnvSpec, ...]:
    """Specifications of the environments of all tasks; `shared` has the arguments and limit of all."""
    return tuple(
        EnvSpec(
            str(task["id"]),
            {**shared.arguments, **_arguments(task)},
            shared.max_episode_steps,
            task=(number, len(tasks)),
        )
        for number, task in enumerate(tasks)
    )


def whole_copies(copies: int, tasks: int) -> int:
    """Least number of copies of an environment that is at least `copies` and a multiple of the tasks.

    Example:
        >>> whole_copies(1, 4), whole_copies(8, 3), whole_copies(8, 0)
        (4, 9, 8)
    """
    return -(-copies // max(1, tasks)) * max(1, tasks)


def whole_interval(steps: int, copies: int) -> int:
    """Largest multiple of the copies of an environment that is at most `steps`; at least one step of each.

    Example:
        >>> whole_interval(1000, 1), whole_interval(1000, 3), whole_interval(1, 3)
        (1000, 999, 3)
    """
    return max(1, steps // copies) * copies


def numbered(task: str, names: Sequence[str]) -> int:
    """Number of a task by its name or its number as text.

    Raises:
        InputError: there is no such task.
    """
    known = [*names, *(str(number) for number in range(len(names)))]
    require(bool(names), "task", task, "must be left out: the run has one task")
    require(task in known, "task", task, f"must be one of {', '.join(names)}")
    return known.index(task) % len(names)


def _arguments(task: Table) -> dict[str, Any]:
    arguments = task["arguments"]
    assert isinstance(arguments, Mapping)
    return dict(arguments)
