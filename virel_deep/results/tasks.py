"""What a run's returns are of: its environment beyond the id, and how it is evaluated."""

import json
from collections.abc import Mapping
from typing import Any

from virel_deep.results.read import Run

SHORT = 8
"""Digits of a checksum that are shown."""


def environment_facts(run: Run) -> dict[str, str]:
    """What a run's environments were found to be when it began; empty if the run didn't record them."""
    records = run.environment
    if not records:
        return {}
    return {
        "the class of their environment": _of_each(records, "class"),
        "the wrappers of their environment": _of_each(records, "wrappers"),
        "the time limit of episodes": _of_each(records, "max_episode_steps"),
        "the checksum of their environment's file": _of_each(records, "source", SHORT),
    }


def task_facts(run: Run) -> dict[str, str]:
    """What decides what a run's returns are of, as far as it is known."""
    asked = {
        "the arguments of their environment": "env_arguments",
        "the environment of their evaluations": "eval_env",
        "whether actions are drawn in evaluations": "eval_stochastic",
    }
    settings = {what: _text(run.settings[name]) for what, name in asked.items() if name in run.settings}
    return settings | environment_facts(run)


def _of_each(records: tuple[Mapping[str, Any], ...], name: str, most: int | None = None) -> str:
    """Values of a fact in each environment, once where all are equal."""
    return ", ".join(dict.fromkeys(_text(record.get(name))[:most] for record in records))


def _text(value: Any) -> str:
    words = {None: "none", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
