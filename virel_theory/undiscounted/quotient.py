"""The part of an MDP whose values are not known from its graph, with end components made single states."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from virel_theory.checks import Array, Mask
from virel_theory.undiscounted import graph
from virel_theory.undiscounted.graph import Components
from virel_theory.undiscounted.pairs import Ints, Pairs
from virel_theory.undiscounted.transient import Bounds, optimal_bounds


@dataclass(frozen=True, eq=False)
class Quotient:
    """Process on the open states of an MDP, in which every end component given is one state.

    Attributes:
        p: the process, with n states; entries that lead to states of known value are gone.
        ends: `[C']` its pairs that may lead to such a state.
        place: `[S]` state of the process for each state of the MDP, -1 if its value is known.
        pair: `[C']` pair of the MDP that each of its pairs is.
    """

    p: Pairs
    ends: Mask
    place: Ints
    pair: Ints


def quotient(p: Pairs, *, is_open: Mask, allowed: Mask, merged: Components, reward: Array) -> Quotient:
    """Process on the states `is_open`; it ends elsewhere. Pairs inside the components `merged` are dropped.

    Args:
        p: pairs of the MDP.
        is_open: `[S]` states of the process.
        allowed: `[C]` pairs that it may take.
        merged: end components of open states to collapse.
        reward: `[C]` reward of each pair, that of ending included.
    """
    alone = is_open & (merged.of < 0)
    place = np.where(alone, merged.n + np.cumsum(alone) - 1, merged.of)
    place = np.where(is_open, place, -1)
    kept = np.flatnonzero(allowed & is_open[p.state] & ~merged.pairs)
    kept = kept[np.argsort(place[p.state[kept]], kind="stable")]
    n = merged.n + int(alone.sum())
    entries, lengths = _entries(p, kept)
    target = place[p.successor[entries]]
    stays = target >= 0
    row = np.repeat(np.arange(len(kept)), lengths)
    ends = np.zeros(len(kept), dtype=np.bool_)
    ends[row[~stays]] = True
    process = Pairs(
        first=_pointers(place[p.state[kept]], n),
        state=place[p.state[kept]],
        action=p.action[kept],
        start=_pointers(row[stays], len(kept)),
        successor=target[stays],
        prob=p.prob[entries][stays],
        reward=reward[kept],
        n_actions=p.n_actions,
        n_terms=p.n_terms,
    )
    return Quotient(process, ends, place, kept)


def open_bounds(p: Pairs, q: Quotient, merged: Components, **limits: Any) -> Bounds:
    """Bounds `[S]` on the values of the open states, and the pair `[S]` of a policy; elsewhere 0 and -1.

    `limits` are those of `optimal_bounds`.
    """
    found = optimal_bounds(q.p, q.ends, proper_policy(q), **limits)
    lower, upper = np.zeros((2, p.n_states))
    is_open = q.place >= 0
    lower[is_open], upper[is_open] = found.lower[q.place[is_open]], found.upper[q.place[is_open]]
    return replace(found, lower=lower, upper=upper, pair=lifted_policy(p, q, merged, found.pair))


def proper_policy(q: Quotient) -> Ints:
    """Pair `[n]` of the process that a policy takes which ends it from every state."""
    everything = np.ones(len(q.p.state), dtype=np.bool_)
    closing = np.flatnonzero(q.ends)[::-1]  # the first pair of a state is written last
    last = np.full(q.p.n_states, -1)
    last[q.p.state[closing]] = closing
    way = graph.can_reach(q.p, last >= 0, everything)
    return np.where(last >= 0, last, way.via)


def lifted_policy(p: Pairs, q: Quotient, merged: Components, chosen: Ints) -> Ints:
    """Pair of the MDP `[S]` for every open state, of those `[n]` that a policy of the process takes; else -1.

    In a component that was collapsed all states make for the one whose pair leaves it.
    """
    leaving = q.pair[chosen]
    reached = np.zeros(p.n_states, dtype=np.bool_)
    reached[p.state[leaving]] = True
    via = graph.can_reach(p, reached, merged.pairs).via
    via[p.state[leaving]] = leaving
    return via


def _entries(p: Pairs, kept: Ints) -> tuple[Ints, Ints]:
    """Places of the entries of the pairs `kept`, in their order, and how many each has."""
    lengths = p.start[kept + 1] - p.start[kept]
    ends = lengths.cumsum()
    offsets = np.repeat(p.start[kept] - (ends - lengths), lengths)
    return np.arange(int(lengths.sum())) + offsets, lengths


def _pointers(group: Ints, n: int) -> Ints:
    """Pointers `[n + 1]` to the members of each group, which come in order."""
    out: Ints = np.concatenate([[0], np.bincount(group, minlength=n).cumsum()])
    return out
