r"""The exact algorithms by name: their iterates, up to a number of steps or a guaranteed bound."""

import sys
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import as_non_negative
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.iterate import Iterates
from virel_theory.variational.settings import require_known, settings_of
from virel_theory.variational.table import algorithm_row


def iterate(
    algorithm: str,
    mdp: TabularMDP | Sequence[TabularMDP],
    *,
    steps: int = 50,
    atol: float | None = None,
    **settings: Any,
) -> Iterates:
    r"""Iterates of an exact algorithm of variational RL, by its name, Marino et al. 2019, Table 1.

    Args:
        algorithm: name of the algorithm, a text such as "mpo". `virel iterate --list` lists them; in Python
            they are `[row.name for row in virel_theory.variational.table.ROWS]`.
        mdp: finite MDP, or a list of them, one per task, of the same shape.
        steps: largest number of iterations.
        atol: end after the first iteration whose policy is within this of optimal, guaranteed, in reward
            units; None: never before `steps`.
        settings: settings of the algorithm, by name; `virel iterate --list NAME` lists them.

    Returns: an iterator of `Iterate`; an iteration is computed when it is asked for.
    Raises: InputError: at once, if there is no such algorithm or setting, a setting is out of its range, or
        `mdp` is not what the algorithm takes.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> [round(x.value, 3) for x in iterate("mpo", mdp, steps=3, epsilon=0.1)]
        [1.44, 1.803, 1.999]
    """
    row = algorithm_row(algorithm)
    function = row.load()
    for name in settings:
        require_known(settings_of(function), name, algorithm=algorithm, argument="settings")
    most = as_whole(steps, name="steps", least=1)
    bound = -np.inf if atol is None else as_non_negative(atol, name="atol")
    tasks = _as_tasks(mdp)
    few = row.several_tasks or len(tasks) == 1
    require(few, "mdp", f"{len(tasks)} MDPs", f"must be a single MDP for {algorithm}, which has one task")
    iterates = function(tasks if row.several_tasks else tasks[0], **settings)
    return _until(islice(iterates, min(most, sys.maxsize)), bound)  # `islice` takes no larger number


def _as_tasks(mdp: TabularMDP | Sequence[TabularMDP]) -> list[TabularMDP]:
    """Return one MDP, or a list of them, as a list."""
    if isinstance(mdp, TabularMDP):
        return [mdp]
    fits = isinstance(mdp, list | tuple) and all(isinstance(one, TabularMDP) for one in mdp)
    require(fits, "mdp", mdp, "must be a TabularMDP, or a list of them; `load_mdp` reads one from a file")
    return list(mdp)


def _until(iterates: Iterates, atol: float) -> Iterates:
    """Iterates up to the first whose guaranteed bound is at most `atol`."""
    for x in iterates:
        yield x
        if x.bound <= atol:
            return
