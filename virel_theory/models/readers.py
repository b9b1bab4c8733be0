"""Readers of MDPs from Gymnasium toy-text, QVBS archives, and PRISM and Storm files, one function per format.

Every broken file is one `InputError` that names the file, the rule and what was found. Importing this module
does not import gymnasium.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from virel_common.arguments import as_path, require_flag
from virel_common.errors import require
from virel_theory.checks import Array, is_one_of
from virel_theory.mdp.storage import read_npz
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.mdp.validation import as_gamma
from virel_theory.models import from_prism as prism
from virel_theory.models.assemble import Ints, build, csr_rows
from virel_theory.models.choices import (
    Choices,
    arrival_rewards,
    check_choices,
    normalised,
    start_distribution,
    to_mdp,
)
from virel_theory.models.from_gymnasium import gym_start, gym_table, open_env
from virel_theory.models.from_qvbs import Sense, qvbs_choices, qvbs_sense
from virel_theory.models.goals import Goal, labelled_states

FilePath = str | os.PathLike[str]

DENSE_UP_TO = 4_000_000  # entries of `[S, A, S]`, 32 MB; larger toy-text tables become CSR


def from_gymnasium(env: Any, *, gamma: float) -> TabularMDP:
    r"""Toy-text environment of Gymnasium as an MDP, from its table `env.unwrapped.P`, Towers et al. 2024.

    Deviation: 1. every transition flagged `terminated` leads to one added absorbing state (the last) with
    reward 0, whatever successor is listed: nothing is earned after the end; 2. a successor listed several
    times adds up.

    Refused is what the table does not tell: wrappers that may change rewards or transitions, and options
    whose effect is not in it (a fickle passenger).

    Args:
        env: an id such as "FrozenLake-v1" ("FrozenLake" is the newest version of it), or an environment.
        gamma: discount in [0, 1).

    Returns:
        The MDP, dense up to 4 million entries and CSR beyond; rewards are expectations over the successors
        (rounded). It starts as `initial_state_distrib` says, uniformly over the listed states if the
        environment has none.

    Raises: InputError: on an unknown id, an environment without a table, a broken table, or a bad `gamma`.

    Example:
        >>> from_gymnasium("FrozenLake-v1", gamma=0.99).shape
        (17, 4)
    """
    unwrapped = open_env(env)
    n_listed, n_actions, columns, mask = gym_table(unwrapped)
    state, action, successor, prob, reward, ended = columns
    n_states = n_listed + bool(ended.any())
    row = state * n_actions + action
    rewards = _sums(row, prob * reward, size=n_states * n_actions).reshape(n_states, n_actions)
    if n_states > n_listed:
        successor = np.where(ended, n_listed, successor)
        loops = n_listed * n_actions + np.arange(n_actions)
        row, prob = np.concatenate([row, loops]), np.concatenate([prob, np.ones(n_actions)])
        successor = np.concatenate([successor, np.full(n_actions, n_listed)])
        mask = np.concatenate([mask, np.ones((1, n_actions), dtype=np.bool_)])
    transition = csr_rows(prob, row, successor, shape=(n_states * n_actions, n_states))
    initial = np.zeros(n_states)
    initial[:n_listed] = gym_start(unwrapped, n_listed)
    is_sparse = mask.size * n_states > DENSE_UP_TO
    return build(transition, rewards, gamma=gamma, initial=initial, mask=mask, is_sparse=is_sparse)


def from_qvbs(path: FilePath, objective: str, *, gamma: float) -> tuple[TabularMDP, Sense]:
    """MDP and optimisation sense from the Quantitative Verification Benchmark Set, Hartmanns et al. 2019.

    The archive holds `choice_ptr, indptr, indices, prob, init, meta` and, for each objective, `reward__NAME`
    and `goal__NAME`. Goal states become absorbing at reward 0. The k-th choice of a state is action k;
    actions without a choice are masked.

    Deviation: 1. the benchmark's total reward is discounted here.

    Args:
        path: an `.npz` archive (no pickle).
        objective: NAME of the objective.
        gamma: discount in [0, 1).

    Returns:
        The CSR MDP, starting in its initial state, and "max" or "min": what the objective asks of the
        discounted total.

    Raises: InputError: on a broken archive, an unknown objective, or a bad `gamma`.

    Example:
        >>> from_qvbs("missing.npz", "steps_min", gamma=0.99)
        Traceback (most recent call last):
        virel_common.errors.InputError: `missing.npz` must be a readable file; No such file or directory
    """
    discount, arrays = as_gamma(gamma), read_npz(as_path(path))
    known = sorted(key.removeprefix("reward__") for key in arrays if key.startswith("reward__"))
    require(
        is_one_of(objective, known),
        "objective",
        objective,
        f"must be one of {known}, the objectives of {path}",
    )
    choices, goal = qvbs_choices(str(path), arrays, objective)
    return to_mdp(check_choices(choices), gamma=discount, goal=goal), qvbs_sense(str(path), arrays, objective)


def from_prism(
    tra: FilePath,
    *,
    gamma: float,
    lab: FilePath | None = None,
    rew: FilePath | Sequence[FilePath] | None = None,
    goal: Goal | None = None,
    normalise: bool = False,
) -> TabularMDP:
    r"""Explicit-state model that PRISM or Storm exported, as a discounted MDP, Kwiatkowska et al. 2011.

    PRISM and Storm sum rewards until `goal` is reached, without a discount; here the reward of step t counts
    $\gamma^t$ times. State rewards are earned on every step from the state, by all its choices; transition
    rewards are averaged over $p(s'|h)$. States labelled `goal` absorb at reward 0. With `goal` and no reward
    file, r(h) is the probability of entering the goal in this step, so that the value is $E[\gamma^{T-1}]$
    with T the step of arrival.

    Args:
        tra: transitions (`.tra`) of an MDP or, with one action per state, a DTMC. All files may be in
            row form and may be compressed (`.gz`, `.xz`).
        gamma: discount in [0, 1).
        lab: labels (`.lab`); the label `init` gives the start (uniform over several); without it, state 0.
        rew: reward file or files (`.srew`, `.trew`, `.rew`), added up.
        goal: a label of `lab`, or state numbers.
        normalise: whether to divide every row by its sum, for probabilities that were rounded in print; a
            warning says by how much the sums differed from 1.

    Returns: the CSR MDP; the k-th choice of a state is action k, others are masked.
    Raises: InputError: on a broken file, an unknown label, neither `rew` nor `goal`, or a bad `gamma`.

    Example:
        >>> from_prism("missing.tra", gamma=0.99, goal="done")
        Traceback (most recent call last):
        virel_common.errors.InputError: `missing.tra` must be a readable file; No such file or directory
    """
    require_flag(normalise, name="normalise")
    gamma, transitions = as_gamma(gamma), prism.read_transitions(as_path(tra, name="tra"))
    choice_ptr, choice = prism.choice_rows(transitions)
    labels = {} if lab is None else prism.read_labels(as_path(lab, name="lab"), transitions.n_states)
    goals = labelled_states(goal, labels, transitions.n_states, source="the .lab file")
    require(
        rew is not None or goal is not None,
        "rew",
        None,
        "must be given if there is no `goal`: pass a reward file or a goal label",
    )
    initial = start_distribution(labels, transitions.n_states, name=str(lab))
    prob, successor = transitions.prob, transitions.successor
    c = Choices(str(tra), choice_ptr, choice, successor, prob, np.zeros(int(choice_ptr[-1])), initial)
    c = check_choices(normalised(c) if normalise else c)
    if rew is None and goals is not None:
        return to_mdp(replace(c, reward=arrival_rewards(c, goals)), gamma=gamma, goal=goals)
    given: Any = rew
    several = isinstance(given, Sequence) and not isinstance(given, str | bytes)
    files = [as_path(file, name="rew") for file in (given if several else [given])]
    require(len(files) > 0, "rew", rew, "must name at least one reward file")
    transitions = replace(transitions, prob=c.prob)
    rewards = [_choice_rewards(file, transitions, choice) for file in files]
    return to_mdp(replace(c, reward=np.sum(rewards, axis=0)), gamma=gamma, goal=goals)


def _sums(group: Ints, values: Array, *, size: int) -> Array:
    """Sum of the `values` in each group, `[size]`; `group` holds the group number of every value."""
    return np.bincount(group, weights=values, minlength=size).astype(np.float64, copy=False)


def _choice_rewards(path: Path, tra: prism.Transitions, choice: Ints) -> Array:
    """Expected rewards of all choices, `[C]`, read from one reward file."""
    values, by_successor = prism.read_rewards(path, tra)
    if by_successor:
        return _sums(choice, tra.prob * values, size=int(choice[-1]) + 1)
    return values[np.unique(choice, return_index=True)[1]]
