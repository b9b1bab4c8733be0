"""MuJoCo behind a Gymnasium environment: its exact state as arrays, and its warnings kept in one folder.

`mj_getState` is not enough for a bit-for-bit continuation: an environment reads derived fields (`xpos`,
`xipos`, `cfrc_ext`, ...) before its next `mj_step`, and these lag one substep behind the positions. So all of
MuJoCo's main buffer is stored. The arena (contacts, constraint rows) is not: a step builds it anew before it
reads it.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv

from virel_deep.errors import require

Arrays = dict[str, Any]
LOG_NAME = "MUJOCO_LOG.TXT"
EXACT_WRAPPERS = (gymnasium.wrappers.TimeLimit, gymnasium.wrappers.OrderEnforcing)


class WarningLog:
    """Where MuJoCo's warnings go instead of `MUJOCO_LOG.TXT` in the working folder and stderr.

    MuJoCo knows one handler a process. It is set when the first environment is made, and a handler that the
    user has set stays.
    """

    folder: Path | None = None
    """Folder of the environments that are made or stepped now; None drops the text."""
    unstable: str = ""
    """The last message that says MuJoCo has put a diverged simulation back to its start, inside a step."""

    def listen(self) -> None:
        """Become MuJoCo's handler unless there is one."""
        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(self)

    def __call__(self, message: str) -> None:
        """Called by MuJoCo."""
        if "unstable" in message:
            self.unstable = message
        if self.folder is None:
            return
        # MuJoCo calls this from C, where an exception (a full disk) ends the process.
        with suppress(OSError), (self.folder / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(f"WARNING {time.asctime()}: {message}\n\n")


log = WarningLog()


def is_exact(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether `read_state` and `write_state` continue it bit for bit: Gymnasium's own MuJoCo environments."""
    known = all(isinstance(layer, EXACT_WRAPPERS) for layer in _layers(env) if layer is not env.unwrapped)
    own = type(env.unwrapped).__module__.startswith("gymnasium.envs.mujoco.")
    return known and own and isinstance(env.unwrapped, MujocoEnv)


def read_state(env: gymnasium.Env[Any, Any]) -> Arrays:
    """All that the next steps and resets of an exact environment read.

    Returns:
        `{"float64": [n], "int32": [m], "bool": [k], "python": ...}`: MuJoCo's buffer by type, `time` and
        `energy` first; the generators' states and the attributes (time limit, goals, ...) as JSON values.
    """
    data = _data(env)
    packed = {
        kind: np.concatenate([np.zeros(0, kind), *map(np.ravel, fields)])
        for kind, fields in _fields(data).items()
    }
    packed["float64"] = np.concatenate([[data.time], packed["float64"]])
    layers = [_attributes(layer) for layer in _layers(env)]
    return packed | {"python": {"random": random_state(env), "attributes": layers}}


def write_state(env: gymnasium.Env[Any, Any], state: Arrays) -> None:
    """Put back what `read_state` has read; `env` is a new environment of the same id that has been reset.

    Raises:
        InputError: the state was read from another model or another version of MuJoCo.
    """
    data = _data(env)
    for kind, fields in _fields(data).items():
        size = sum(field.size for field in fields) + (kind == "float64")
        found = np.shape(state[kind])
        require(
            found == (size,), f"state[{kind}]", found, f"must have the shape ({size},) of this MuJoCo model"
        )
    data.time = float(state["float64"][0])
    for kind, fields in _fields(data).items():
        start = int(kind == "float64")
        for field in fields:
            field[...] = state[kind][start : start + field.size].reshape(field.shape)
            start += field.size
    write_random_state(env, state["python"]["random"])
    for layer, values in zip(_layers(env), state["python"]["attributes"], strict=True):
        for name, value in values.items():
            setattr(layer, name, np.asarray(value) if isinstance(value, list) else value)


def random_state(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """States of the generators of the environment and of its spaces, as JSON values."""
    return {name: owner.np_random.bit_generator.state for name, owner in _random_owners(env).items()}


def write_random_state(env: gymnasium.Env[Any, Any], state: dict[str, Any]) -> None:
    """Put back what `random_state` has read."""
    for name, owner in _random_owners(env).items():
        owner.np_random.bit_generator.state = state[name]


def _random_owners(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    return {"env": env.unwrapped, "actions": env.action_space, "observations": env.observation_space}


def _data(env: gymnasium.Env[Any, Any]) -> mujoco.MjData:
    assert isinstance(env.unwrapped, MujocoEnv)
    return env.unwrapped.data


def _fields(data: mujoco.MjData) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Views of the arrays in MuJoCo's main buffer (which starts with `qpos`) by type, names sorted."""
    start = data.qpos.ctypes.data
    kinds: dict[str, list[np.ndarray[Any, Any]]] = {"float64": [data.energy], "int32": [], "bool": []}
    for name in sorted(dir(type(data))):
        field = getattr(data, name) if not name.startswith("_") else None
        if isinstance(field, np.ndarray) and 0 <= field.ctypes.data - start < data.nbuffer:
            kinds[str(field.dtype)].append(field)
    return kinds


def _layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def _attributes(layer: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Attributes that are numbers or arrays, as JSON values: counters, goals; constants come along."""
    values = {
        name: value for name, value in vars(layer).items() if isinstance(value, int | float | np.ndarray)
    }
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()
    }
