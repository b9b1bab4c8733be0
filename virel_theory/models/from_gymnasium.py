"""Reader of the transition table of a Gymnasium toy-text environment."""

import re
import warnings
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, in_one_line, require
from virel_common.values import misread_by
from virel_theory.checks import Mask, as_distribution

HARMLESS = {
    "Autoreset",
    "HumanRendering",
    "OrderEnforcing",
    "PassiveEnvChecker",
    "RecordEpisodeStatistics",
    "RecordVideo",
    "RenderCollection",
    "TimeLimit",
}
"""Wrappers that change neither rewards nor transitions; a time limit is no part of the MDP."""
HIDDEN_OPTIONS = ("fickle_passenger",)
"""Options of toy-text environments that change their steps, but not their table `P`."""
MAX_ACTIONS = 1_000_000
TOY_TEXT = "gymnasium.envs.toy_text"
Columns = tuple[NDArray[Any], ...]


def open_env(env: Any) -> Any:
    """Return the unwrapped environment; one made from an id is closed at once, as only its table is read."""
    if isinstance(env, str):
        env = made_env(env, {})
    require(hasattr(env, "unwrapped"), "env", env, "must be an environment or its id")
    _refuse_what_the_table_lacks(env)
    return env.unwrapped


def made_env(name: str, arguments: Mapping[str, Any]) -> Any:
    """Make an environment from its id and arguments, and close it at once, as only its table is read."""
    import gymnasium  # noqa: PLC0415  (slow to import, and only needed here)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what comes of it is checked
            if not re.search(r"-v\d+$", name):  # an id without a version asks for the newest one
                warnings.simplefilter("ignore", UserWarning)
            if wrong := misread_by(name, arguments):
                raise InputError(wrong)
            made = gymnasium.make(name, **arguments)
    except InputError:
        raise
    except Exception as err:  # whatever a constructor raises
        wanted = f"{name!r} with {dict(arguments)}" if arguments else repr(name)
        rule = "must be a Gymnasium id that can be made"
        raise InputError(f"`env` {rule}; found {wanted} ({in_one_line(err)})") from None
    made.close()
    return made


def gym_start(env: Any, n_states: int) -> Any:
    """Distribution over the listed states in which the environment starts; uniform if it does not say.

    Gymnasium keeps it in `initial_state_distrib`, gym before it in `isd`.
    """
    for name in ("initial_state_distrib", "isd"):
        if getattr(env, name, None) is not None:
            return as_distribution(getattr(env, name), n_states, name=name)
    return np.full(n_states, 1 / n_states)


def _refuse_what_the_table_lacks(env: Any) -> None:
    """Raise `InputError` for wrappers that may change the MDP, and for options that `P` does not show."""
    wrapper = env
    while wrapper is not wrapper.unwrapped:
        kind = type(wrapper).__name__
        rule = "must have no wrapper that may change rewards or transitions, which `P` does not tell"
        known = kind in HARMLESS and type(wrapper).__module__.startswith(("gymnasium.", "gym."))
        require(known, "env", kind, f"{rule} (pass `env.unwrapped` if it changes neither)")
        wrapper = wrapper.env
    changed = _redefined(wrapper)
    rule = "must not redefine its steps or its start, as the table `P` is that of the environment below"
    require(changed is None, "env", changed, rule)
    for option in HIDDEN_OPTIONS:
        rule = f"must be made without `{option}`, whose effect its table `P` does not hold"
        require(
            not getattr(wrapper, option, False), "env", f"{option}={getattr(wrapper, option, None)}", rule
        )


def _redefined(env: Any) -> str | None:
    """Method of a toy-text environment of Gymnasium that is not Gymnasium's own, though the table is."""
    if not _is_toy_text(type(env)):
        return None
    for name in ("step", "reset"):
        kind = next(kind for kind in type(env).__mro__ if name in vars(kind))
        if name in vars(env) or not kind.__module__.startswith(TOY_TEXT):
            return f"{kind.__name__}.{name}"
    return None


def _is_toy_text(kind: type) -> bool:
    """Whether a class is, or is derived from, an environment of Gymnasium's toy-text family."""
    return any(base.__module__.startswith(TOY_TEXT) for base in kind.__mro__)


def gym_table(env: Any) -> tuple[int, int, Columns, Mask]:
    """Read an environment's transition table: S, A, the columns of all transitions, and the mask `[S, A]`.

    The columns are state, action, successor, probability, reward and terminated.
    """
    table: Any = getattr(env, "P", None)
    ok = isinstance(table, dict) and len(table) > 0
    require(ok, "env", type(env).__name__, "must have a transition table `P` (toy-text environments do)")
    n_states = len(table)
    numbered = set(table) == set(range(n_states)) and all(map(_is_whole, table))
    require(numbered, "env.P", list(table)[:5], f"must number the states 0 .. {n_states - 1}")
    for state, actions in table.items():
        rule = "must be a mapping from actions to lists of outcomes"
        whole = isinstance(actions, dict) and all(isinstance(x, list | tuple) for x in actions.values())
        require(whole, f"env.P[{state}]", actions, rule)
    keys = {action for actions in table.values() for action in actions}
    numbered = all(_is_whole(action) and 0 <= action < MAX_ACTIONS for action in keys)
    rule = f"must number the actions 0, 1, ..., at most {MAX_ACTIONS}"
    require(numbered, "env.P", sorted(map(str, keys))[:5], rule)
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
        if not _is_whole(successor):
            raise TypeError("the successor must be a whole number")
        if not (isinstance(prob, Real) and isinstance(reward, Real)):
            raise TypeError("probability and reward must be numbers")
        if not (isinstance(terminated, bool | np.bool_) or (_is_whole(terminated) and terminated in {0, 1})):
            raise TypeError("`terminated` must be True or False")
        np.int64(successor)
        return int(successor), float(prob), float(reward), bool(terminated)
    except (TypeError, ValueError, OverflowError) as err:
        rule = "must list (probability, successor, reward, terminated)"
        raise InputError(f"`env.P[{state}][{action}]` {rule}; found {outcome!r} ({err})") from None


def _is_whole(x: Any) -> bool:
    """Whether `x` is a whole number of Python or numpy, and no boolean."""
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


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
