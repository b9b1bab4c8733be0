"""Reader of the transition table of a Gymnasium toy-text environment."""

import re
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Mask

Columns = tuple[NDArray[Any], ...]


def open_env(env: Any) -> Any:
    """Return the unwrapped environment; one made from an id is closed at once, as only its table is read."""
    if not isinstance(env, str):
        require(hasattr(env, "unwrapped"), "env", env, "must be an environment or its id")
        return env.unwrapped
    import gymnasium  # noqa: PLC0415  (slow to import, and only needed here)

    try:
        with warnings.catch_warnings():
            if not re.search(r"-v\d+$", env):  # an id without a version asks for the newest one
                warnings.simplefilter("ignore", UserWarning)
            made = gymnasium.make(env)
    except (gymnasium.error.Error, ImportError) as err:
        raise InputError(f"`env` must be a Gymnasium id that can be made; found {env!r} ({err})") from None
    try:
        return made.unwrapped
    finally:
        made.close()


def gym_table(env: Any) -> tuple[int, int, Columns, Mask]:
    """Read an environment's transition table: S, A, the columns of all transitions, and the mask `[S, A]`.

    The columns are state, action, successor, probability, reward and terminated.
    """
    table: Any = getattr(env, "P", None)
    ok = isinstance(table, dict) and len(table) > 0
    require(ok, "env", type(env).__name__, "must have a transition table `P` (toy-text environments do)")
    n_states = len(table)
    numbered = set(table) == set(range(n_states))
    require(numbered, "env.P", list(table)[:5], f"must number the states 0 .. {n_states - 1}")
    keys = {action for actions in table.values() for action in actions}
    numbered = all(isinstance(action, int | np.integer) and action >= 0 for action in keys)
    require(numbered, "env.P", sorted(map(str, keys))[:5], "must number the actions 0, 1, ...")
    n_actions = 1 + max((action for actions in table.values() for action in actions), default=-1)
    mask = np.zeros((n_states, max(n_actions, 1)), dtype=np.bool_)
    listed = [
        (state, action, *_outcome(outcome, state, action))
        for state, actions in table.items()
        for action, outcomes in actions.items()
        for outcome in outcomes
    ]
    for state, actions in table.items():
        mask[state, list(actions)] = True
    dtypes = (np.int64, np.int64, np.int64, np.float64, np.float64, np.bool_)
    require(len(listed) > 0, "env.P", "no transition", "must list at least one transition")
    by_column = zip(zip(*listed, strict=True), dtypes, strict=True)
    columns: Columns = tuple(np.array(column, dtype) for column, dtype in by_column)
    _check_columns(columns, n_states)
    return n_states, n_actions, columns, mask


def _outcome(outcome: Any, state: int, action: int) -> tuple[int, float, float, bool]:
    """Convert one outcome of a Gymnasium table to `(successor, probability, reward, terminated)`."""
    try:
        prob, successor, reward, terminated = outcome
        np.int64(successor)
        return int(successor), float(prob), float(reward), bool(terminated)
    except (TypeError, ValueError, OverflowError) as err:
        rule = "must list (probability, successor, reward, terminated)"
        raise InputError(f"`env.P[{state}][{action}]` {rule}; found {outcome!r} ({err})") from None


def _check_columns(columns: Columns, n_states: int) -> None:
    """Raise `InputError` for the first successor, probability or reward in a table that is out of range."""
    state, action, successor, prob, reward, _ = columns
    rules = (
        (successor, (successor >= 0) & (successor < n_states), f"successors must lie in [0, {n_states})"),
        (prob, prob >= 0, "probabilities must be non-negative"),
        (reward, np.isfinite(reward), "rewards must be finite"),
    )
    for values, ok, rule in rules:
        if not ok.all():
            k = int(np.argmin(ok))
            raise InputError(f"`env.P[{state[k]}][{action[k]}]` {rule}; found {values[k].item()!r}")
