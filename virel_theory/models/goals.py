"""Goal states of a model: by their numbers, by a label of its files, or as the end of an episode."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from virel_common.errors import InputError, require
from virel_theory.checks import as_array
from virel_theory.mdp.storage import read_npz
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.assemble import Ints
from virel_theory.models.choices import as_indices
from virel_theory.models.drn import read_drn
from virel_theory.models.from_prism import read_labels
from virel_theory.models.from_qvbs import qvbs_choices
from virel_theory.models.model_text import stem_of
from virel_theory.models.prism_files import files_beside

GYM_PREFIX = "gym:"
Goal = str | Sequence[int]
"""Goal states of a model file: a label, or state numbers."""


def state_numbers(text: str | None) -> list[int] | None:
    """State numbers of a text such as `3,7`; None if it is something else."""
    parts = [] if text is None else text.split(",")
    numbers = all(part.strip().isascii() and part.strip().isdigit() and len(part) <= 18 for part in parts)
    return [int(part) for part in parts] if parts and numbers else None


def labelled_states(
    goal: Goal | None, labels: Mapping[str, Ints], n_states: int, *, source: str
) -> Ints | None:
    """States that a label or numbers name; None for None. Errors call the labels' file `source`."""
    if goal is None:
        return None
    if isinstance(goal, str):
        require(goal in labels, "goal", goal, f"must be one of the labels {sorted(labels)} of {source}")
        return labels[goal]
    listed = goal if isinstance(goal, np.ndarray) or not isinstance(goal, Iterable) else list(goal)
    given = as_array(listed, name="goal")
    require(given.ndim == 1, "goal", listed, "must be a label, or a list of state numbers")
    require(given.dtype.kind in "iu", "goal", listed, "must be a label, or a list of state numbers")
    return as_indices(given, n_states, name="goal")


def has_labels(spec: str | os.PathLike[str]) -> bool:
    """Whether goals of this kind of model have names: those of PRISM, Storm and QVBS do."""
    if os.fspath(spec).startswith(GYM_PREFIX):
        return False
    path = Path(spec)
    if path.suffix == ".npz":
        return "choice_ptr" in read_npz(path)
    return Path(stem_of(path)).suffix in {".tra", ".drn"}


def goal_states(
    spec: str | os.PathLike[str], goal: str | None, mdp: TabularMDP, *, reward: str | None = None
) -> Ints:
    """Goal states of the model that `mdp` was read from.

    Args:
        spec: where it was read from, as for `load_problem`.
        goal: a label, the name of a QVBS objective, or numbers such as `3,7`. None: the state that
            `from_gymnasium` adds for the end of an episode.
        mdp: the MDP.
        reward: name of the reward structure, as for `load_problem`.

    Returns: state numbers.
    Raises: InputError: if there is no such goal.
    """
    numbers = state_numbers(goal)
    if numbers is not None:
        return as_indices(np.array(numbers), mdp.n_states, name="goal")
    if goal is None:
        is_end = os.fspath(spec).startswith(GYM_PREFIX) and _is_end(mdp, mdp.n_states - 1)
        require(is_end, "goal", goal, "must be given: a label, or state numbers such as 3,7")
        return np.array([mdp.n_states - 1])
    if not has_labels(spec):
        raise InputError(f"`goal` must be state numbers such as 3,7 for {os.fspath(spec)}; found {goal!r}")
    return _named(Path(spec), goal, mdp.n_states, reward)


def _named(path: Path, goal: str, n_states: int, reward: str | None) -> Ints:
    """States of a label, or of a QVBS objective; the reader of the MDP has seen that it exists."""
    kind = Path(stem_of(path)).suffix
    if kind == ".drn":
        return read_drn(path).labels[goal]
    if kind == ".tra":
        lab, _ = files_beside(path, reward=reward)
        assert lab is not None
        return read_labels(lab, n_states)[goal]
    return qvbs_choices(str(path), read_npz(path), goal)[1]


def _is_end(mdp: TabularMDP, state: int) -> bool:
    """Whether every action stays in a state, at reward 0."""
    rows = mdp.csr_transition[np.flatnonzero(mdp.available[state]) + state * mdp.n_actions]
    return bool((rows.indices == state).all() and (mdp.reward[state] == 0).all())
