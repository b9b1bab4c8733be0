"""MDPs as lists of choices, the form of most model files: states may differ in how many they offer."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Array, first_bad
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.assemble import Ints, build, csr_rows

ROUNDED = 0.1 + 1e-9
"""Distance from 1 up to which the sum of a row may be that of numbers rounded in print: 0.3 three times.

A tenth, and the rounding of a sum of up to 4 million numbers."""


@dataclass(frozen=True, eq=False)
class Choices:
    """MDP as a list of choices; those of state s have the numbers `choice_ptr[s] : choice_ptr[s + 1]`.

    Attributes:
        name: what error messages call the source, usually the file.
        choice_ptr: `[S + 1]` integers that rise from 0 to C.
        choice: `[N]` choice that each listed transition belongs to.
        successor: `[N]` successor states; entries of one choice with the same successor add up.
        prob: `[N]` probabilities.
        reward: `[C]` rewards of the choices, in reward units.
        initial: `[S]` distribution of the first state.
    """

    name: str
    choice_ptr: Ints
    choice: Ints
    successor: Ints
    prob: Array
    reward: Array
    initial: Array

    @property
    def n_states(self) -> int:
        """Number S of states of the model."""
        return len(self.choice_ptr) - 1

    @property
    def n_choices(self) -> int:
        """Number C of choices of the model, summed over all states."""
        return len(self.reward)


def check_choices(c: Choices) -> Choices:
    """Return the choices `c`, or raise `InputError` for a state without one or an invalid entry."""
    counts = np.diff(c.choice_ptr)
    if (counts < 1).any():
        state = int(np.argmax(counts < 1))
        raise InputError(f"`{c.name}` must give every state an action; found none in state {state}")
    as_indices(c.successor, c.n_states, name=f"{c.name}: successor")
    first_bad(~(c.prob >= 0), c.prob, name=f"{c.name}: probability", rule="must be non-negative")
    sums = _sums(c)
    if (far := np.abs(sums - 1) > ROUNDED).any():
        k = int(np.argmax(far))
        state = int(np.searchsorted(c.choice_ptr, k, side="right")) - 1
        rule = "must hold probabilities, which sum to 1 in every choice, not rates"
        raise InputError(f"`{c.name}` {rule}; found the sum {sums[k]:.6g} in state {state}")
    first_bad(~np.isfinite(c.reward), c.reward, name=f"{c.name}: reward", rule="must be finite")
    return c


def start_distribution(labels: Mapping[str, Ints], n_states: int, *, name: str) -> Array:
    """Distribution `[S]` of the first state: uniform over the label `init`, or state 0 if there is none."""
    starts = labels.get("init", np.array([0]))
    require(len(starts) > 0, name, "none", "must give the label `init` to at least one state")
    starts = np.unique(starts)  # a label may be listed twice
    return np.bincount(starts, minlength=n_states) / len(starts)


def arrival_rewards(c: Choices, goal: Ints) -> Array:
    """Probability `[C]` that a choice enters a goal state in this step."""
    enters: Array = c.prob * np.isin(c.successor, goal)
    return np.bincount(c.choice, weights=enters, minlength=c.n_choices).astype(np.float64, copy=False)


def normalised(c: Choices) -> Choices:
    """Copy of the choices `c` whose probabilities, rounded in print, are divided by their sums.

    A warning says by how much the sums differed from 1. Raises `InputError` if that is more than rounding.
    """
    sums = _sums(c)
    warn_of_rescaling(sums, name=c.name)
    return replace(c, prob=c.prob / sums[c.choice])


def _sums(c: Choices) -> Array:
    """Sum `[C]` of the probabilities of every choice."""
    return np.bincount(c.choice, weights=c.prob, minlength=c.n_choices).astype(np.float64, copy=False)


def warn_of_rescaling(sums: Array, *, name: str) -> None:
    """Warn by how much row sums, which rows will be divided by, differ from 1; refuse what is no rounding."""
    if sums.size == 0:
        return
    off = np.abs(sums - 1)
    worst = float(off.max())
    require(
        worst <= ROUNDED,
        name,
        float(sums[np.argmax(off)]),
        "must have rows whose sums are 1, but for rounding",
    )
    if worst > 0:
        warnings.warn(
            f"rows of `{name}` rescaled: their sums differed from 1 by up to {worst:.3g}", stacklevel=3
        )


def as_indices(x: NDArray[np.generic], size: int, *, name: str) -> Ints:
    """Return the indices `x` (of states, say) as integers, all in `[0, size)`."""
    require(x.dtype.kind in "iu", name, str(x.dtype), "must hold integers")
    out = x.astype(np.int64)
    bad = (out < 0) | (out >= size)
    if bad.any():
        k = int(np.argmax(bad))
        raise InputError(f"`{name}` must lie in [0, {size}); found {int(out.ravel()[k])} at [{k}]")
    return out


def make_absorbing(c: Choices, goal: Ints) -> Choices:
    """Copy of the choices `c` in which the first choice of each goal state stays there at reward 0."""
    is_goal = np.zeros(c.n_states, dtype=np.bool_)
    is_goal[goal] = True
    of_goal = np.repeat(is_goal, np.diff(c.choice_ptr))  # [C]
    kept = ~of_goal[c.choice]
    goals = np.flatnonzero(is_goal)
    return replace(
        c,
        choice=np.concatenate([c.choice[kept], c.choice_ptr[goals]]),
        successor=np.concatenate([c.successor[kept], goals]),
        prob=np.concatenate([c.prob[kept], np.ones(len(goals))]),
        reward=np.where(of_goal, 0.0, c.reward),
    )


def to_mdp(c: Choices, *, gamma: float, goal: Ints | None = None) -> TabularMDP:
    """Convert checked choices to a CSR MDP: a state's k-th choice is action k; goals keep action 0 only."""
    counts = np.diff(c.choice_ptr)
    n_actions = int(counts.max())
    mask = np.arange(n_actions) < counts[:, None]
    if goal is not None:
        c = make_absorbing(c, goal)
        mask[goal, 1:] = False
    state = np.repeat(np.arange(c.n_states), counts)
    row = state * n_actions + np.arange(c.n_choices) - c.choice_ptr[state]  # [C]
    reward = np.zeros(mask.shape)
    reward[state, row % n_actions] = c.reward
    transition = csr_rows(c.prob, row[c.choice], c.successor, shape=(mask.size, c.n_states))
    return build(transition, reward, gamma=gamma, initial=c.initial, mask=mask, is_sparse=True)
