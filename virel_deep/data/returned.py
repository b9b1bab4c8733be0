"""Check what an environment's `reset` and `step` return: observation, reward and the two flags."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Unusable(ValueError):
    """Something that an environment returned and that no agent can use; the message is one line."""


class Returned(NamedTuple):
    """What one environment returned from one step, after the checks."""

    observation: Any
    reward: float
    terminated: bool
    truncated: bool


def checked_step(returned: Any, wanted: NDArray[Any]) -> Returned:
    """Check what one environment's step() returned; `wanted` has shape and number type of an observation.

    Raises:
        Unusable: it is no tuple of five, or one of its entries is not what Gymnasium defines.
    """
    seen, reward, terminated, truncated, _ = parts_of_step(returned)
    if type(reward) is not float:
        reward = checked_reward(reward)
    if type(terminated) is not bool:
        terminated = _flag(terminated, "terminated")
    if type(truncated) is not bool:
        truncated = _flag(truncated, "truncated")
    return Returned(checked_observation(seen, wanted, "step()"), reward, terminated, truncated)


def parts_of_step(returned: Any) -> tuple[Any, Any, Any, Any, Any]:
    """The five parts of what one environment's step() returned.

    Raises:
        Unusable: it is no tuple of five.
    """
    if not (isinstance(returned, tuple) and len(returned) == 5):
        parts = "(observation, reward, terminated, truncated, info)"
        raise Unusable(f"its step() must return {parts}; it returned {described(returned)}")
    return returned


def checked_reset(returned: Any, wanted: NDArray[Any]) -> Any:
    """Check what one environment's reset() returned, and return the observation.

    Raises:
        Unusable: it is no tuple of two, or the observation does not belong to the space.
    """
    if not (isinstance(returned, tuple) and len(returned) == 2):
        raise Unusable(f"its reset() must return (observation, info); it returned {described(returned)}")
    return checked_observation(returned[0], wanted, "reset()")


def checked_observation(seen: Any, wanted: NDArray[Any], source: str) -> Any:
    """Check one observation, and return it in the announced number type, which must be able to hold it.

    Raises:
        Unusable: it has another shape, or its numbers are none of that type, such as fractions for integers.
    """
    if isinstance(seen, np.ndarray) and seen.shape == wanted.shape and seen.dtype == wanted.dtype:
        return seen
    try:
        values = np.asarray(seen)
    except ValueError:  # a ragged list
        raise Unusable(f"its {source} returned {described(seen)} as observation, no array") from None
    if values.shape != wanted.shape:
        shapes = f"shape {list(values.shape)}; it must be {list(wanted.shape)}"
        raise Unusable(f"its {source} returned an observation of {shapes}")
    if values.dtype.kind not in "biuf":
        raise Unusable(f"its {source} returned an observation of {values.dtype}, no numbers")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = values.astype(wanted.dtype)
    kept = cast == values if wanted.dtype.kind != "f" else np.isfinite(cast) | ~np.isfinite(values)
    if not kept.all():
        found, rule = values[~kept][0].item(), _range(wanted.dtype)
        raise Unusable(
            f"its {source} returned {found!r} in an observation, but its observation space has {rule}"
        )
    return cast


def _range(dtype: np.dtype[Any]) -> str:
    """Type of an observation space, and the numbers that it can hold."""
    if dtype.kind == "f":
        return f"{dtype}: no numbers beyond {np.finfo(dtype).max:.3g}"
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return f"{dtype}: no fractions, and numbers from {least} to {most}"


def described(value: Any) -> str:
    """What an environment returned, in few words: type, shape or length, and the value if it is short."""
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    if isinstance(value, np.ndarray) and value.size > 1:
        return f"an array of shape {list(value.shape)}"
    return f"{type(value).__name__} {str(value)[:40]!r}"


def checked_reward(reward: Any) -> float:
    """Check that a reward is one number; an array with one entry is taken.

    Raises:
        Unusable: it is something else.
    """
    values = np.asarray(reward)
    if values.size != 1 or values.dtype.kind not in "biuf":
        raise Unusable(f"its step() must return a number as reward; it returned {described(reward)}")
    return float(values.reshape(()))


def _flag(flag: Any, name: str) -> bool:
    """Check that the end of an episode is told by a boolean; 0 and 1 as whole numbers are taken."""
    values = np.asarray(flag)
    whole = values.size == 1 and values.dtype.kind in "biu" and int(values.reshape(())) in (0, 1)
    if not whole:
        raise Unusable(f"its step() must return True or False as {name}; it returned {described(flag)}")
    return bool(values.reshape(()))
