"""Counterexamples as sentences: "one state, two actions with rewards 104 and 0, discount 1/2; eps = 3"."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from verify.engine.describe import as_json, in_short, is_large_mdp, is_mdp

WORDS = ("no", "one", "two", "three", "four", "five", "six")
MAX_PAIRS = 8
"""State-action pairs up to which each is described; a larger MDP only by its size."""


def sentence(instance: Mapping[str, Any], *, width: int = 2000) -> str:
    """Describe an instance of `results.json` in words, cut at `width` characters.

    One with a horizon is about episodes, whose returns have no discount.

    Example:
        >>> mdp = {"transition": [[[1.0], [1.0]]], "reward": [[104.0, 0.0]], "gamma": 0.5}
        >>> sentence({"mdp": mdp, "eps": 2.0})
        'one state, two actions with rewards 104 and 0, discount 1/2; eps = 2'
    """
    episodes = "horizon" in instance
    text = "; ".join(_part(name, value, episodes=episodes) for name, value in instance.items())
    return text if len(text) <= width else text[: width - 4] + " ..."


def number(value: Any) -> str:
    """A number as people write it: a fraction if it is one with a small denominator, else 6 digits."""
    value = as_json(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    exact = Fraction(value).limit_denominator(64)
    return str(exact) if float(exact) == float(value) else f"{value:.6g}"


def _part(name: str, value: Any, *, episodes: bool) -> str:
    if is_mdp(value):
        text = _mdp(value, facts=_facts(value, episodes=episodes))
        return text if name == "mdp" else f"{name}: {text}"
    if is_large_mdp(value):
        return f"{value['n_states']} states, {value['n_actions']} actions, discount {number(value['gamma'])}"
    if isinstance(value, Mapping):
        return f"{name}: {in_short(value, width=400)}"
    return f"{name} {_value(value)}" if isinstance(value, str) else f"{name} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], list):  # a table of a single state
            return _value(value[0])
        return f"({', '.join(map(_value, value))})"
    if isinstance(value, Mapping):
        return in_short(value, width=400)
    return str(value).lower() if value is None or isinstance(value, bool) else number(value)


def _facts(mdp: Mapping[str, Any], *, episodes: bool) -> str:
    """Discount and start of an MDP, unless it has none or starts anywhere with the same probability."""
    found = [] if episodes else [f"discount {number(mdp['gamma'])}"]
    start = mdp.get("initial")
    if start is not None:
        surely = max(start) == 1
        found += [f"starting in state {start.index(1)}" if surely else f"start probabilities {_value(start)}"]
    return "".join(f", {one}" for one in found)


def _mdp(mdp: Mapping[str, Any], *, facts: str) -> str:
    transition, reward, mask = mdp["transition"], mdp["reward"], mdp.get("mask")
    n_states, n_actions = len(reward), len(reward[0])
    pairs = [(s, a) for s in range(n_states) for a in range(n_actions) if mask is None or mask[s][a]]
    if n_states == 1:
        rewards = [number(reward[s][a]) for s, a in pairs]
        paid = f"reward{'s' * (len(rewards) > 1)} {_and(rewards)}"
        return f"one state, {_count(len(pairs), 'action')} with {paid}{facts}"
    head = f"{_count(n_states, 'state')}, {_count(n_actions, 'action')}{facts}"
    if len(pairs) > MAX_PAIRS:
        return head
    return f"{head}, where {_and([_pair(s, a, transition[s][a], reward[s][a]) for s, a in pairs])}"


def _pair(s: int, a: int, row: Sequence[float], reward: float) -> str:
    reached = [(p, i) for i, p in enumerate(row) if p > 0]
    where = (
        f"state {reached[0][1]}"
        if len(reached) == 1
        else _and([f"state {i} with probability {number(p)}" for p, i in reached])
    )
    return f"action {a} in state {s} pays {number(reward)} and leads to {where}"


def _count(n: int, noun: str) -> str:
    return f"{WORDS[n] if n < len(WORDS) else n} {noun}{'' if n == 1 else 's'}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
