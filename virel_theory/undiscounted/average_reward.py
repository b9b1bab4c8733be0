r"""Largest average reward per step where it is the same from every state, with bounds on both sides.

The derivation was written before the first run.

When it is the same. If an MDP has exactly one maximal end component M, every policy ends up in M, as states
and pairs that are taken for ever form an end component. From M no action leads out for good: from wherever it
leads, every policy comes back, so that the states that M reaches form an end component with it, and M is the
largest. So M is closed, all its states reach each other, and the optimal gain is that of M everywhere. Two of
them can have any two gains. One maximal end component is what Puterman (1994, Section 8.3.1) calls weakly
communicating; MDPs that communicate, or in which every policy has one recurrent class (unichain: the classes
of two policies reach each other), are of this kind.

Bounds. With $Tv(s) = \max_a r + pv$ and $l \le Tv - v \le h$: $T^n v \ge v + nl$ as p has sums of 1, so $g^*
\ge l$, and in the same way $g^* \le h$. For the policy that attains the maxima $T_\pi v \ge v + l$, so that
its gain is at least l from every state. This holds in any MDP and for any v. Rounding moves Tv by at most
$\kappa(|r| + \sum P|v|)$ and the difference by $u|Tv - v|$ (`rounding`).

Search. $v \leftarrow v + (Tv - v)/2$ is value iteration for the MDP that stays put half of the time, which
has the same policies and half the gain, and whose chains are aperiodic: the span of Tv - v falls to 0. Every
so often a few steps of policy iteration are tried: of a greedy policy the best recurrent class is kept, the
other states make for it, and v solves $h + g = r_\pi + P_\pi h$. The best v is taken if its span is smaller.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg
from scipy.sparse.csgraph import connected_components

from virel_common.arguments import require_flag
from virel_common.errors import InputError
from virel_theory.checks import Array, U, as_sign
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.bounds import TINY
from virel_theory.solvers.solution import Status, checked
from virel_theory.undiscounted import graph, kernels, rounding
from virel_theory.undiscounted.pairs import Ints, Pairs, as_steps, as_tolerances, pairs_of
from virel_theory.undiscounted.solution import AverageSolution, actions_of

MAX_STEPS = 100_000
SURE = 1 - 1e-12  # share of the tolerance to reach, as the bound is rounded up later
BETWEEN = 20  # sweeps between two rounds of policy iteration
MAX_POLICIES = 20  # of a round
MAX_DIRECT = 5000  # states up to which policies are evaluated
PATIENCE = 5  # rounds without progress, at a span that rounding can explain, before the end


@dataclass(frozen=True, eq=False)
class _Backup:
    """Backup w = Tv of values v, the pairs that attain it, and bounds on T v - v, rounding included."""

    v: Array
    w: Array
    pair: Ints
    low: float
    high: float
    rounding: float

    @property
    def span(self) -> float:
        return self.high - self.low


def average_reward(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int = MAX_STEPS,
    throw: bool = False,
) -> AverageSolution:
    r"""Optimal average reward per step of a weakly communicating MDP, Puterman 1994, Section 8.5.

    $g^* = \sup_\pi\liminf_n \frac1n E_\pi[\sum_{t<n} r(h_t)]$, the same from every state. The MDP's discount
    plays no role; its rows are divided by their exact sums (`rounding`).

    Args:
        mdp: the MDP; it must have one maximal end component, as unichain and communicating MDPs do.
        atol: absolute tolerance on the error bound, reward units per step.
        rtol: tolerance relative to |g|.
        sense: "max" (rewards) or "min" (costs).
        max_steps: largest number of sweeps.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        An `AverageSolution`; its bounds are true whatever the status says.

    Raises:
        InputError: if the MDP has several maximal end components, on an unknown sense, or bad tolerances.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> mdp = TabularMDP([[[0, 1]], [[1, 0]]], [[3.0], [1.0]], 0.9)
        >>> round(average_reward(mdp, atol=1e-9).gain, 9)
        2.0
    """
    require_flag(throw, name="throw")
    sign = as_sign(sense)
    (atol, rtol), max_steps = as_tolerances(atol, rtol), as_steps(max_steps)
    p = pairs_of(mdp, sign=sign)
    _refuse_several_components(p)
    best, status, step = _search(p, atol=atol, rtol=rtol, max_steps=max_steps)
    lower, upper = (best.low, best.high) if sign > 0 else (0.0 - best.high, 0.0 - best.low)
    gain = lower + (upper - lower) / 2
    bound = float(rounding.above(max(upper - gain, gain - lower)))
    if bound <= atol + rtol * abs(gain):
        status = Status.CONVERGED
    elif status is Status.CONVERGED:  # but for the rounding of the middle
        status = Status.ROUNDING_LIMIT
    bias = 0.0 + sign * (best.v - best.v[0])
    policy, method = actions_of(p, best.pair), "value and policy iteration"
    found = AverageSolution(gain, lower, upper, bias, policy, status, step, bound, method)
    return checked(found, throw=throw)


def gain_bounds(p: Pairs, *, rtol: float, max_steps: int) -> tuple[float, float]:
    """Bounds on the largest gain of pairs that are one end component; `rtol` is relative to the gain."""
    best, _, _ = _search(p, atol=0.0, rtol=rtol, max_steps=max_steps)
    return best.low, best.high


def _refuse_several_components(p: Pairs) -> None:
    """Raise `InputError` unless the MDP has exactly one maximal end component."""
    everywhere, all_pairs = np.ones(p.n_states, dtype=np.bool_), np.ones(len(p.state), dtype=np.bool_)
    found = graph.end_components(p, everywhere, all_pairs)
    if found.n > 1:
        examples = [int(np.flatnonzero(found.of == k)[0]) for k in (0, 1)]
        raise InputError(
            "`mdp` must have one maximal end component (unichain or communicating), for the average reward "
            f"to be the same from every state; found {found.n}, with states {examples[0]} and {examples[1]} "
            "in different ones"
        )


def _search(p: Pairs, *, atol: float, rtol: float, max_steps: int) -> tuple[_Backup, Status, int]:
    """Backup with the closest bounds, how the search ended, and the number of sweeps."""
    x = best = _backup(p, np.zeros(p.n_states))
    stale, step = 0, 1
    while True:
        if best.span / 2 <= SURE * (atol + rtol * abs(best.low + best.high) / 2):
            return best, Status.CONVERGED, step
        stuck = x.span <= 4 * x.rounding or stale >= PATIENCE * BETWEEN
        if stuck and x.span <= 100 * x.rounding:
            return best, Status.ROUNDING_LIMIT, step
        if step >= max_steps:
            return best, Status.MAX_STEPS, step
        y = x
        if step % BETWEEN == 0 and p.n_states <= MAX_DIRECT:
            y, n = _policy_iteration(p, x, max_steps - step)
            step += n
        if not y.span < x.span and step < max_steps:
            v = x.v + (x.w - x.v) / 2
            y, step = _backup(p, v - v[0]), step + 1
        x = y
        stale = 0 if x.span < 0.99 * best.span else stale + 1
        best = x if x.span < best.span else best


def _backup(p: Pairs, v: Array) -> _Backup:
    """Backup of v by one sweep, with bounds on its distance from v."""
    w, pair = np.empty_like(v), np.empty(p.n_states, dtype=np.int64)
    kernels.sweep(p.first, p.start, p.successor, p.prob, p.reward, 1.0, v, w, pair)
    d = w - v
    noise = p.error * (float(np.abs(p.reward).max()) + 2 * float(np.abs(v).max())) + TINY
    noise += U * float(np.abs(d).max())
    low, high = float(np.nextafter(d.min() - noise, -np.inf)), float(np.nextafter(d.max() + noise, np.inf))
    return _Backup(v, w, pair, low, high, noise)


def _policy_iteration(p: Pairs, x: _Backup, max_steps: int) -> tuple[_Backup, int]:
    """Best backup of a few policies, each greedy for the values of the last, and how many there were."""
    best, y = x, x
    for step in range(1, min(MAX_POLICIES, max_steps) + 1):
        v = _evaluated(p, y)
        if v is None:
            return best, step
        before, y = y, _backup(p, v)
        best = y if y.span < best.span else best
        if (y.pair == before.pair).all():
            return best, step
    return best, min(MAX_POLICIES, max_steps)


def _evaluated(p: Pairs, x: _Backup) -> Array | None:
    """Relative values of the greedy policy, made unichain; None if its system is singular in float64."""
    pair, gain_class = _unichain(p, x)
    n, root = p.n_states, int(gain_class[0])
    whole = sparse.csr_array((p.prob, p.successor, p.start), shape=(len(p.state), n), copy=False)
    rows = sparse.csr_array(whole[pair])
    matrix = sparse.lil_array(sparse.eye_array(n, format="csr") - rows)
    matrix[:, [root]] = np.ones((n, 1))  # the unknown in place of h(root) = 0 is the gain
    try:
        h: Array = sparse_linalg.splu(sparse.csc_array(matrix)).solve(p.reward[pair])
    except RuntimeError:
        return None
    h[root] = 0.0
    return h - h[0] if np.isfinite(h).all() else None


def _unichain(p: Pairs, x: _Backup) -> tuple[Ints, Ints]:
    """Greedy policy in whose best recurrent class all other states end up, and the states of that class."""
    taken = np.zeros(len(p.state), dtype=np.bool_)
    taken[x.pair] = True
    used = taken[p.owner]
    edges = (p.state[p.owner[used]], p.successor[used])
    arcs = sparse.csr_matrix((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(p.n_states, p.n_states))
    n, label = connected_components(arcs, directed=True, connection="strong")
    closed = np.ones(n, dtype=np.bool_)
    closed[label[edges[0]][label[edges[0]] != label[edges[1]]]] = False
    gains = np.full(n, -np.inf)
    np.maximum.at(gains, label, x.w - x.v)  # of a recurrent class: at least its gain
    chosen = label == int(np.argmax(np.where(closed, gains, -np.inf)))
    if closed.sum() == 1:
        return x.pair, np.flatnonzero(chosen)
    way = graph.can_reach(p, chosen, np.ones(len(p.state), dtype=np.bool_))
    return np.where(chosen, x.pair, way.via), np.flatnonzero(chosen)
