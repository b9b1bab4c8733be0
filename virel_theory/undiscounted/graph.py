"""Graph of an MDP: what can, must or may never be reached, whatever the probabilities; end components.

Definitions: an *end component* is a set of states with some of their pairs that a policy need never leave and
in which it can go from every state to every other. The largest ones are disjoint (de Alfaro 1997).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from virel_theory.checks import Mask
from virel_theory.undiscounted import kernels
from virel_theory.undiscounted.pairs import Ints, Pairs


@dataclass(frozen=True, eq=False)
class Way:
    """States `[S]` from which a goal is reached, and the pair `[S]` that takes each nearer; -1 if none."""

    states: Mask
    via: Ints


@dataclass(frozen=True, eq=False)
class Components:
    """Maximal end components: their number, that of each state `[S]` (-1: in none), and their pairs `[C]`."""

    n: int
    of: Ints
    pairs: Mask


def no_components(p: Pairs) -> Components:
    """No end component at all."""
    return Components(0, np.full(p.n_states, -1), np.zeros(len(p.state), dtype=np.bool_))


def can_reach(p: Pairs, target: Mask, allowed: Mask) -> Way:
    """States that reach `target` with positive probability, by allowed pairs alone."""
    reached, via, queue = target.copy(), np.full(p.n_states, -1), np.empty(p.n_states, dtype=np.int64)
    kernels.attract(*p.before, p.state, allowed, reached, via, queue)
    return Way(reached, via)


def trimmed(p: Pairs, inside: Mask, allowed: Mask, kept: Mask) -> tuple[Mask, Mask]:
    """States of `inside` that a policy need never leave, and the pairs with which it does not leave them.

    States in `kept` stay without a pair.
    """
    inside, allowed = inside.copy(), allowed.copy()
    queue = np.empty(p.n_states, dtype=np.int64)
    kernels.trim(*p.before, p.state, allowed, inside, kept, queue)
    return inside, allowed


def surely(p: Pairs, target: Mask) -> tuple[Way, Mask]:
    """States from which some policy reaches `target` with probability 1, and the pairs that stay there."""
    inside, allowed = np.ones(p.n_states, dtype=np.bool_), np.ones(len(p.state), dtype=np.bool_)
    while True:
        way = can_reach(p, target, allowed)
        if (way.states == inside).all():
            return way, allowed
        inside, allowed = trimmed(p, way.states, allowed, target)


def avoidable(p: Pairs, target: Mask) -> Way:
    """States from which some policy never reaches `target`, and the pair that keeps it away."""
    everything, nobody = np.ones(len(p.state), dtype=np.bool_), np.zeros(p.n_states, dtype=np.bool_)
    inside, allowed = trimmed(p, ~target, everything, nobody)
    via = np.full(p.n_states, -1)
    kept = np.flatnonzero(allowed)[::-1]  # the first pair of a state is written last
    via[p.state[kept]] = kept
    return Way(inside, via)


def end_components(p: Pairs, inside: Mask, allowed: Mask) -> Components:
    """Maximal end components among the states `inside` and the allowed pairs, Courcoubetis & Yannakakis 1995.

    In turn, pairs that leave are dropped, and those that lead out of their strongly connected component.
    """
    nobody = np.zeros(p.n_states, dtype=np.bool_)
    while True:
        inside, allowed = trimmed(p, inside, allowed, nobody)
        used = allowed[p.owner]
        edges = (p.state[p.owner[used]], p.successor[used])
        ones = np.ones(len(edges[0]), dtype=np.int8)
        arcs = sparse.csr_matrix((ones, edges), shape=(p.n_states, p.n_states))
        _, label = connected_components(arcs, directed=True, connection="strong")
        leaving = used & (label[p.state[p.owner]] != label[p.successor])
        if not leaving.any():
            break
        allowed[p.owner[leaving]] = False
    of = np.full(p.n_states, -1)
    names, numbers = np.unique(label[inside], return_inverse=True)
    of[inside] = numbers
    return Components(len(names), of, allowed)
