"""Environments of a study: an id, or a table with arguments, several tasks and a length of its own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from virel_common.errors import require
from virel_deep.design.environment import labels, whole_interval
from virel_deep.design.fields import Tables
from virel_deep.design.run import RunConfig
from virel_deep.study.toml_table import Table

EVALUATE_EVERY = RunConfig.eval_every
"""Steps from one evaluation to the next where a study file says nothing else."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of arms and of environments, which are parts of folders' names."""
REPORT_FILES = ("table.md", "scores.csv", "report.md", "index.html")
"""Files of a study's report, in whose folder each environment has one for its figure."""
NAME_RULE = "must be letters, digits and ._- with a letter or digit first: it names a folder"


@dataclass(frozen=True)
class Length:
    """How long a run is, and when it is evaluated."""

    steps: int
    """Environment steps per seed."""
    evaluate_every: int | None = None
    """Steps from one evaluation to the next; None: 1000, rounded down to a multiple of the copies."""
    evaluation_episodes: int = 1
    """Episodes of each evaluation, in every task."""

    def every(self, copies: int = 1) -> int:
        """Steps from one evaluation to the next, with so many copies of the environment per seed."""
        return self.evaluate_every or whole_interval(EVALUATE_EVERY, copies)

    def evaluations(self, copies: int = 1) -> int:
        """Number of evaluations of a run; the policy of the last step is always evaluated.

        Example:
            >>> Length(2500, evaluate_every=1000).evaluations()
            3
        """
        return -(-self.steps // self.every(copies))


@dataclass(frozen=True)
class Environment:
    """Environment of a study, of equal weight with the others; with several tasks its score is their mean."""

    name: str
    """Name in hypotheses, tables and folders: the id, unless the file gives another."""
    id: str
    """Gymnasium id."""
    length: Length
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment by name, shared by its tasks."""
    tasks: Tables = ()
    """Tasks that each seed trains at once, as in `RunConfig`; () is one."""

    @property
    def ids(self) -> frozenset[str]:
        """Gymnasium ids of the environment's tasks."""
        return frozenset(str(task["id"]) for task in self.tasks) or frozenset([self.id])

    @property
    def labels(self) -> tuple[str, ...]:
        """What a hypothesis may name: the environment, and each of several tasks.

        Example:
            >>> tasks = tuple({"id": "Lake-v0", "arguments": {"goal": n}} for n in (0, 1))
            >>> Environment("two", "Lake-v0", Length(100), tasks=tasks).labels
            ('two', 'two, goal=0', 'two, goal=1')
        """
        return (self.name, *(f"{self.name}, {task}" for task in labels(self.tasks)))


def read_length(table: Table, default: Length | None = None) -> Length:
    """Read `steps` and the table `evaluation`; what is missing is the default, if there is one."""
    evaluation = table.table("evaluation")
    plain = default or Length(0)
    length = Length(
        table.count("steps") if default is None else table.count("steps", plain.steps),
        evaluation.count("every") if "every" in evaluation.values else plain.evaluate_every,
        evaluation.count("episodes", plain.evaluation_episodes),
    )
    evaluation.no_other_keys()
    rule = f"must be at most `steps` = {length.steps}, the last of which is always evaluated"
    every = length.evaluate_every
    require((every or 1) <= length.steps, evaluation.name("every"), every, rule)
    return length


def read_environments(table: Table, default: Length) -> tuple[Environment, ...]:
    """Read `environments` of a study file, a list of ids and tables; `default` is the study's own length."""
    given = table.take("environments")
    listed = isinstance(given, list) and given != [] and all(isinstance(one, str | dict) for one in given)
    require(listed, table.name("environments"), given, "must be a list of ids and tables, and not empty")
    out = [
        Environment(one, one, default)
        if isinstance(one, str)
        else _environment(Table(one, table.place, f"environments[{i}]."), default)
        for i, one in enumerate(given)
    ]
    table.differ("environments", [one.name for one in out], "must all be different")
    return tuple(out)


def _environment(table: Table, default: Length) -> Environment:
    name, env = table.text("name"), table.text("id")
    require(NAME.fullmatch(name) is not None, table.name("name"), name, NAME_RULE)
    rule = f"must not be one of {', '.join(REPORT_FILES)}: its figure needs a folder beside these files"
    require(name not in REPORT_FILES, table.name("name"), name, rule)
    given = table.list_of_tables("tasks")
    rule = "must be at least 2; a single task is given by `arguments`"
    require(len(given) != 1, table.name("tasks"), table.raw("tasks"), rule)
    tasks = tuple(_task(one, env) for one in given)
    named = labels(tasks)
    table.differ("tasks", named, "must all be different")
    environment = Environment(
        name, env, read_length(table, default), table.table("arguments").keep_all(), tasks
    )
    table.no_other_keys()
    return environment


def _task(table: Table, env: str) -> dict[str, Any]:
    """Task from a table of arguments; `id` in it is that of its environment, if it is another one."""
    arguments = table.keep_all()
    own = table.text("id", env)
    arguments.pop("id", None)
    return {"id": own, "arguments": arguments}
