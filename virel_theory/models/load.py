"""Load an MDP from whatever names it: `.npz`, `.mdp`, `.tra` or `.drn`, or the id of an environment.

Importing this module does not import gymnasium.
"""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from virel_common.arguments import as_path, require_flag
from virel_common.errors import InputError, require
from virel_theory.mdp.storage import BROKEN, FOLDER
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.from_drn import from_drn
from virel_theory.models.from_gymnasium import made_env
from virel_theory.models.from_qvbs import Sense
from virel_theory.models.goals import GYM_PREFIX, Goal
from virel_theory.models.model_text import stem_of
from virel_theory.models.prism_files import files_beside
from virel_theory.models.readers import FilePath, from_gymnasium, from_prism, from_qvbs


def load_problem(
    spec: FilePath,
    *,
    gamma: float | None = None,
    objective: Goal | None = None,
    reward: str | None = None,
    normalise: bool = False,
    env_args: Mapping[str, Any] | None = None,
) -> tuple[TabularMDP, Sense | None]:
    """MDP from a file or a `gym:ID`, with the optimisation sense it asks for, Puterman 1994, Section 2.1.

    Args:
        spec: an `.npz` file that `TabularMDP.save` or QVBS wrote, an `.mdp` folder, a `.tra` file
            (`prism_files.files_beside` says which labels and rewards are read with it), a `.drn` file, or
            `gym:ID`.
        gamma: discount in [0, 1); None: the one in the file, an error where there is none.
        objective: name of a QVBS objective, or goal of a `.tra` or `.drn` file: a label, or state numbers;
            None elsewhere.
        reward: name of a reward structure or model of a `.tra` or `.drn` file; None: the only one.
        normalise: whether to divide the rows of a `.tra` or `.drn` file, rounded in print, by their sums.
        env_args: arguments of the environment `gym:ID`, such as `{"is_slippery": False}`; None elsewhere.

    Returns: the MDP, and "max", "min" or None (the file does not say).
    Raises: InputError: on a broken or missing file, an unknown id or objective, or a `gamma` that is bad or
    missing.

    Example:
        >>> load_problem("gym:FrozenLake-v1", gamma=0.99)[1] is None
        True
    """
    require_flag(normalise, name="normalise")
    path = as_path(spec, name="spec")
    name = os.fspath(spec)
    require(reward is None or isinstance(reward, str), "reward", reward, "must be a name, or None")
    is_mapping = env_args is None or isinstance(env_args, Mapping)
    require(is_mapping, "env_args", env_args, "must be a dictionary of arguments by name, or None")
    if name.startswith(GYM_PREFIX):
        _left_out(objective=objective, reward=reward, normalise=normalise)
        env = made_env(name.removeprefix(GYM_PREFIX), env_args or {})
        return from_gymnasium(env, gamma=_given(gamma, name)), None
    require(not env_args, "env_args", env_args, "must be left out, as the MDP is not a Gymnasium environment")
    kind = Path(stem_of(path)).suffix
    if kind == ".drn":
        options: dict[str, Any] = {"reward": reward, "goal": objective, "normalise": normalise}
        return from_drn(path, gamma=_given(gamma, name), **options), None
    if kind == ".tra":
        lab, rew = files_beside(path, reward=reward)
        options = {"lab": lab, "rew": rew, "goal": objective, "normalise": normalise}
        return from_prism(path, gamma=_given(gamma, name), **options), None
    rule = "must be an .npz file, an .mdp folder, a .tra or .drn file, or gym:ID (Gymnasium)"
    require(path.suffix in {".npz", FOLDER}, "mdp", name, rule)
    _left_out(reward=reward, normalise=normalise)
    if _is_qvbs(path):
        require(isinstance(objective, str | None), "objective", objective, "must be the name of an objective")
        return from_qvbs(path, str(objective or ""), gamma=_given(gamma, name))
    _left_out(objective=objective)
    return TabularMDP.load(path, gamma=gamma), None


def load_mdp(
    spec: FilePath,
    gamma: float | None = None,
    *,
    objective: Goal | None = None,
    reward: str | None = None,
    normalise: bool = False,
) -> TabularMDP:
    """MDP from a file or a `gym:ID`, Puterman 1994, Section 2.1.

    Args:
        spec: as for `load_problem`, which also tells the sense of an objective.
        gamma: discount in [0, 1); None: the one in the file.
        objective: as for `load_problem`.
        reward: as for `load_problem`.
        normalise: as for `load_problem`.

    Returns: the MDP.
    Raises: InputError: as `load_problem`.

    Example:
        >>> load_mdp("gym:CliffWalking-v1", 0.99).n_states
        49
    """
    return load_problem(spec, gamma=gamma, objective=objective, reward=reward, normalise=normalise)[0]


def _is_qvbs(path: Path) -> bool:
    """Whether an `.npz` archive is a QVBS model: it then holds lists of choices."""
    try:
        with zipfile.ZipFile(path) as file:
            return "choice_ptr.npy" in file.namelist()
    except (OSError, *BROKEN):
        return False  # `TabularMDP.load` says what is wrong


def _given(gamma: float | None, name: str) -> float:
    """Return the discount `gamma`; raise `InputError` if it is None, for a model that holds no discount."""
    if gamma is None:
        raise InputError(
            f"`gamma` must be given for {name}, which holds no discount: pass a number in [0, 1); found None"
        )
    return gamma


def _left_out(**options: Any) -> None:
    """Raise `InputError` for an option that was given for an MDP of a kind that has no use for it."""
    for name, value in options.items():
        unused = value is None or value is False
        require(unused, name, value, "must be left out, as the MDP has no such thing to choose")
