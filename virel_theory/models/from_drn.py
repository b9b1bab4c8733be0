"""Models of Storm's `.drn` format as MDPs."""

import os
from dataclasses import replace

from virel_common.arguments import as_path, require_flag
from virel_common.errors import require
from virel_theory.checks import is_one_of
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.mdp.validation import as_gamma
from virel_theory.models.choices import arrival_rewards, check_choices, normalised, to_mdp
from virel_theory.models.drn import read_drn
from virel_theory.models.goals import Goal, labelled_states


def from_drn(
    path: str | os.PathLike[str],
    *,
    gamma: float,
    reward: str | None = None,
    goal: Goal | None = None,
    normalise: bool = False,
) -> TabularMDP:
    r"""Explicit-state model in Storm's format `.drn` as a discounted MDP, Hensel et al. 2022.

    Storm sums rewards until `goal` is reached, without a discount; here the reward of step t counts
    $\gamma^t$ times. State rewards are earned on every step from the state, by all its actions, and added to
    those of the action. States labelled `goal` absorb at reward 0. Without a reward model, r(h) is the
    probability of entering the goal in this step, so that the value is $E[\gamma^{T-1}]$ with T the step of
    arrival.

    Args:
        path: an MDP or, with one action per state, a DTMC; may be compressed (`.gz`, `.xz`).
        gamma: discount in [0, 1).
        reward: name of a reward model; None: the only one of the file.
        goal: a label of the file, or state numbers. The label `init` gives the start (uniform over several).
        normalise: whether to divide every row by its sum, for probabilities that were rounded in print; a
            warning says by how much the sums differed from 1.

    Returns: the CSR MDP; the k-th action of a state is action k, others are masked.
    Raises: InputError: on a model in continuous time, with parameters, intervals or hidden states, a broken
        file, an unknown reward model or label, neither of the two, or a bad `gamma`.

    Example:
        >>> from_drn("missing.drn", gamma=0.99, goal="done")
        Traceback (most recent call last):
        virel_common.errors.InputError: `missing.drn` must be a readable file; No such file or directory
    """
    require_flag(normalise, name="normalise")
    gamma, model = as_gamma(gamma), read_drn(as_path(path))
    names, labels = sorted(model.rewards), sorted(model.labels)
    goals = labelled_states(goal, model.labels, model.choices.n_states, source=str(path))
    if reward is None and len(names) == 1:
        (reward,) = names
    needs_one = reward is not None or len(names) > 1
    require(
        not needs_one or is_one_of(reward, names),
        "reward",
        reward,
        f"must be one of the reward models {names} of {path}",
    )
    require(
        needs_one or goal is not None,
        "goal",
        None,
        f"must be one of the labels {labels}, as {path} has no rewards",
    )
    c = normalised(model.choices) if normalise else model.choices
    if reward is not None:
        c = replace(c, reward=model.rewards[reward])
    elif goals is not None:
        c = replace(c, reward=arrival_rewards(c, goals))
    return to_mdp(check_choices(c), gamma=gamma, goal=goals)
