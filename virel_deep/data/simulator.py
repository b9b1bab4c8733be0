"""Exact snapshots of MuJoCo's state inside a Gymnasium environment, and a log file for its warnings.

`mj_getState` is not enough for a bit-for-bit continuation: an environment reads derived fields (`xpos`,
`xipos`, `cfrc_ext`, ...) before its next `mj_step`, and these lag one substep behind the positions. So all of
MuJoCo's main buffer is stored. The arena (contacts, constraint rows) is not stored: a step rebuilds it before
it reads it.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.envs.mujoco.mujoco_env import MujocoEnv

from virel_common.errors import require
from virel_deep.data.grids import FrozenGoals, TwoRooms
from virel_deep.data.tasks import TaskEntry

State = dict[str, Any]
LOG_NAME = "MUJOCO_LOG.TXT"
PLAIN = {PendulumEnv, CartPoleEnv, FrozenGoals, TwoRooms}
"""Environments whose state is numbers and arrays of fixed types among their attributes, and a generator."""
EXACT_WRAPPERS = {gymnasium.wrappers.TimeLimit, gymnasium.wrappers.OrderEnforcing, TaskEntry}
"""Wrappers whose state is numbers among their attributes; a subclass may hold more."""
MODULES = ("gymnasium.envs.mujoco.", "virel_deep.data.reacher")
"""Where MuJoCo environments come from whose whole state is MuJoCo's, a generator and plain attributes."""


class WarningLog(threading.local):
    """Handler that writes MuJoCo's warnings to a chosen folder, instead of stderr and the working folder.

    MuJoCo calls it in the thread that simulates, and each thread has a folder of its own.

    MuJoCo has one handler per process. This one is set when the first environment is made, unless the user
    has set another.
    """

    folder: Path | None = None
    """Folder for warnings of the environments in use at present; None drops the text."""
    unstable: str = ""
    """Last message by which MuJoCo said that it reset a diverged simulation inside a step."""

    def listen(self) -> None:
        """Register this object as MuJoCo's warning handler, unless one is set."""
        if mujoco.get_mju_user_warning() is None:
            mujoco.set_mju_user_warning(self)

    def __call__(self, message: str) -> None:
        """Write a warning from MuJoCo to the log file; remember it if the simulation became unstable."""
        if "unstable" in message:
            self.unstable = message
        if self.folder is None:
            return
        # MuJoCo calls this from C, where an exception (a full disk) ends the process.
        with suppress(OSError), (self.folder / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(f"WARNING {time.asctime()}: {message}\n\n")


log = WarningLog()


def is_exact(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment can be saved and restored so that it continues bit for bit.

    Gymnasium's own MuJoCo environments and those of virel can, and those others that are `PLAIN`.
    """
    known = all(type(layer) in EXACT_WRAPPERS for layer in layers(env) if layer is not env.unwrapped)
    own = type(env.unwrapped).__module__.startswith(MODULES)
    return known and (type(env.unwrapped) in PLAIN or (own and isinstance(env.unwrapped, MujocoEnv)))


def read_state(env: gymnasium.Env[Any, Any]) -> State:
    """Read everything that the future steps and resets of an environment depend on.

    Returns:
        `time`; MuJoCo's buffer as one array per number type (`float64`, `int32`, ...); `random`, the states
        of all generators; and `attributes` (time limit, goals, ...) by layer, wrappers first. All but the
        arrays are JSON values.
    """
    data = _data(env)
    packed = {kind: np.concatenate(fields, axis=None) for kind, fields in _fields(data).items()}
    random = {name: owner.np_random.bit_generator.state for name, owner in _random_owners(env).items()}
    attributes = [
        {name: _plain(value) for name, value in _attributes(layer).items()} for layer in layers(env)
    ]
    return {"time": data.time if data else 0.0, **packed, "random": random, "attributes": attributes}


def write_state(env: gymnasium.Env[Any, Any], state: State) -> None:
    """Restore a saved simulator state in an environment of the same id that has been reset.

    Raises:
        InputError: the state was read from another model, or with another version of Gymnasium or MuJoCo.
    """
    data = _data(env)
    for kind, fields in _fields(data).items():
        size, found = sum(field.size for field in fields), getattr(state.get(kind), "shape", None)
        require(
            found == (size,),
            f"state[{kind}]",
            found,
            f"must have the shape ({size},) of this environment's model",
        )
    names = [sorted(_attributes(layer)) for layer in layers(env)]
    stored = [sorted(values) for values in state["attributes"]]
    require(
        stored == names, "state[attributes]", stored, f"must be the attributes of this environment, {names}"
    )
    if data:
        data.time = state["time"]
    for kind, fields in _fields(data).items():
        ends = np.cumsum([field.size for field in fields])
        for field, values in zip(fields, np.split(state[kind], ends[:-1]), strict=True):
            field[...] = values.reshape(field.shape)
    for name, owner in _random_owners(env).items():
        owner.np_random.bit_generator.state = state["random"][name]
    for layer, values in zip(layers(env), state["attributes"], strict=True):
        for name, here in _attributes(layer).items():
            array = isinstance(here, np.ndarray)
            setattr(layer, name, np.asarray(values[name], here.dtype) if array else values[name])


def _data(env: gymnasium.Env[Any, Any]) -> mujoco.MjData | None:
    return env.unwrapped.data if isinstance(env.unwrapped, MujocoEnv) else None


def _fields(data: mujoco.MjData | None) -> dict[str, list[np.ndarray[Any, Any]]]:
    """Views of the arrays in MuJoCo's state buffer, grouped by number type, sorted by name."""
    if data is None:
        return {}
    start, kinds = data.qpos.ctypes.data, defaultdict(list)
    for name in sorted(dir(type(data))):
        field = None if name.startswith("_") else getattr(data, name)
        if isinstance(field, np.ndarray) and field.size and 0 <= field.ctypes.data - start < data.nbuffer:
            kinds[str(field.dtype)].append(field)
    return kinds


def _random_owners(env: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    return {"env": env.unwrapped, "actions": env.action_space, "observations": env.observation_space}


def layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """The wrappers of an environment, the outermost first, and last the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        yield env
        env = env.env
    yield env


def _attributes(layer: gymnasium.Env[Any, Any]) -> dict[str, Any]:
    """Numeric attributes of one wrapper or environment, such as counters and goals, constants included."""
    return {name: value for name, value in vars(layer).items() if isinstance(value, int | float | np.ndarray)}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
