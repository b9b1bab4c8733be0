"""Hypothesis strategies for MDPs, tables, policies and approximators; public, for your own property tests.

Everything is drawn as small integers and simple fractions. So a failing example shrinks to something to
check by hand, and converts to exact rationals. Degenerate cases are part of every strategy: S = 1, A = 1,
gamma = 0, ties, deterministic, periodic and absorbing chains.

Example:
    >>> from hypothesis import given
    >>> @given(instances(mdp=mdps(), q=q_tables, eps=temperatures()))
    ... def test_something(x):
    ...     assert x["q"].shape == x["mdp"].shape
    >>> test_something()
"""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from virel_common.arguments import as_whole, require_flag
from virel_common.errors import require
from virel_theory.checks import Array
from virel_theory.gradients.approximators import Approximator, LinearQ, TabularQ, TanhQ
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP

GAMMAS = (0.0, 0.5, 0.75, 0.9, 0.99)
TEMPERATURES = (1.0, 0.5, 2.0, 0.25, 4.0, 0.1, 10.0, 0.01, 100.0)
_GAMMAS = st.sampled_from(GAMMAS)
_TEMPERATURES = st.sampled_from(TEMPERATURES)


@st.composite
def mdps(
    draw: st.DrawFn,
    *,
    max_states: int = 5,
    max_actions: int = 3,
    min_actions: int = 1,
    rewards: st.SearchStrategy[float] | None = None,
    gammas: st.SearchStrategy[float] | None = None,
    masked: bool = False,
) -> TabularMDP:
    """Hypothesis strategy that draws finite MDPs, S <= `max_states` and `min_actions` <= A <= `max_actions`.

    The start state is uniform, or drawn with unequal probabilities, all positive.

    Args:
        draw: given by hypothesis; leave it out.
        max_states: largest S (the smallest is 1).
        max_actions: largest A.
        min_actions: smallest A.
        rewards: hypothesis strategy for the reward of one pair; by default integers in [-4, 4].
        gammas: hypothesis strategy for the discount; by default one of `GAMMAS`.
        masked: whether to draw state-dependent action sets too.

    Raises:
        InputError: a size is below 1, or there are more entries than hypothesis draws (S A S > 4,000).

    Example:
        >>> from hypothesis import find
        >>> smallest = find(mdps(), lambda mdp: mdp.n_states == 2)  # with the simplest numbers
        >>> smallest.shape, smallest.gamma
        ((2, 1), 0.0)
    """
    for name, size in (
        ("max_states", max_states),
        ("max_actions", max_actions),
        ("min_actions", min_actions),
    ):
        as_whole(size, name=name)
    for name, strategy in (("rewards", rewards), ("gammas", gammas)):
        is_one = strategy is None or isinstance(strategy, st.SearchStrategy)
        require(is_one, name, strategy, "must be a hypothesis strategy, such as `st.just(0.9)`, or None")
    require_flag(masked, name="masked")
    entries = max_states * max_actions * max_states
    rule = f"must lie in [1, max_actions = {max_actions}]"
    require(1 <= min_actions <= max_actions, "min_actions", min_actions, rule)
    require(
        max_states >= 1 and entries <= 4000,
        "max_states",
        max_states,
        f"must be at least 1 and, with max_actions = {max_actions}, have max_states^2 max_actions <= 4000",
    )
    n_states = draw(_sizes(1, max_states))
    n_actions = draw(_sizes(min_actions, max_actions))
    shape = (n_states, n_actions)
    weights = draw(_transitions(shape))
    reward = draw(_signed(shape, 4) if rewards is None else _array(np.float64, shape, elements=rewards))
    gamma = draw(_GAMMAS if gammas is None else gammas)
    mask = None
    if masked:
        mask = draw(_digits(shape, 2)) == 1
        mask[np.arange(n_states), draw(_digits(n_states, n_actions))] = True
        weights = weights * mask[:, :, None]
    sums = weights.sum(axis=2, keepdims=True)
    initial = draw(_starts(n_states))
    return TabularMDP(weights / np.where(sums == 0, 1, sums), reward, gamma, initial, mask)


@cache
def _starts(n_states: int) -> st.SearchStrategy[Array | None]:
    """Hypothesis strategy that draws positive distributions of the start state; None is the uniform one."""
    return st.none() | _policies((1, n_states), b"\1" * n_states, full_support=True).map(np.ravel)


def q_tables(mdp: TabularMDP, *, values: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws tables of action values `[S, A]`, with `-inf` at missing actions.

    Entries are multiples of 1/4 in [-5, 5] or, if it is given, drawn from the hypothesis strategy `values`.

    Example:
        >>> from hypothesis import find
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> find(q_tables(mdp), lambda q: q[0, 1] > 1).tolist()
        [[0.0, 1.25]]
    """
    require_mdp(mdp)
    if values is None:
        return _quarters(mdp.shape, mdp.available.tobytes())
    is_one = isinstance(values, st.SearchStrategy)
    require(is_one, "values", values, "must be a hypothesis strategy, or None")
    tables = _array(np.float64, mdp.shape, elements=values)
    return tables.map(lambda q: np.where(mdp.available, q, -np.inf))


def policies(mdp: TabularMDP, *, full_support: bool = True) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws policies `[S, A]` with rational probabilities, by default all positive.

    With `full_support=False` some are deterministic.

    Example:
        >>> from hypothesis import find
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> find(policies(mdp), lambda pi: True).tolist()
        [[0.5, 0.5]]
    """
    require_mdp(mdp)
    require_flag(full_support, name="full_support")
    return _policies(mdp.shape, mdp.available.tobytes(), full_support)


def distributions(mdp: TabularMDP, *, full_support: bool = True) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws rational distributions `[S]` over states, e.g. VIREL's d(s).

    Example:
        >>> from hypothesis import find
        >>> mdp = TabularMDP([[[1.0, 0.0]], [[0.0, 1.0]]], [[1.0], [0.0]], 0.5)
        >>> find(distributions(mdp), lambda d: True).tolist()
        [0.5, 0.5]
    """
    require_mdp(mdp)
    require_flag(full_support, name="full_support")
    return _policies((1, mdp.n_states), b"\1" * mdp.n_states, full_support).map(np.ravel)


@st.composite
def approximators(draw: st.DrawFn, mdp: TabularMDP) -> tuple[Approximator, Array]:
    """Hypothesis strategy that draws an action-value approximator on an MDP, and its parameters omega.

    The approximator is tabular, linear, or one tanh layer with one or two units. Features are in {-1, 0, 1},
    parameters are multiples of 1/2 in [-2, 2].

    Example:
        >>> from hypothesis import find
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> approximator, omega = find(approximators(mdp), lambda x: True)
        >>> approximator.value(omega).shape
        (1, 2)
    """
    require_mdp(mdp)
    kind = draw(st.sampled_from(("tabular", "linear", "tanh")))
    approximator: Approximator
    if kind == "tabular":
        approximator = TabularQ(mdp.available)
    else:
        size = (*mdp.shape, draw(st.integers(1, 3)))
        features = draw(_signed(size, 1))
        linear = kind == "linear"
        n_hidden = 1 if linear else draw(st.integers(1, 2))
        approximator = LinearQ(features, mdp.mask) if linear else TanhQ(features, n_hidden, mdp.mask)
    return approximator, draw(_signed(approximator.n_parameters, 4)) / 2


def temperatures() -> st.SearchStrategy[float]:
    """Hypothesis strategy that draws temperatures between 1/100 and 100, in reward units.

    Example:
        >>> from hypothesis import find
        >>> find(temperatures(), lambda eps: eps < 1)
        0.5
    """
    return _TEMPERATURES


@st.composite
def instances(
    draw: st.DrawFn, /, **parts: st.SearchStrategy[Any] | Callable[[TabularMDP], st.SearchStrategy[Any]]
) -> dict[str, Any]:
    """Hypothesis strategy that draws instances of a claim: dictionaries with one drawn value per named part.

    Parts are drawn in order. A part that is a function gets the `mdp` drawn before it, and returns its
    strategy.

    Example:
        >>> from hypothesis import find
        >>> x = find(instances(mdp=mdps(), q=q_tables), lambda x: True)
        >>> sorted(x), x["q"].shape == x["mdp"].shape
        (['mdp', 'q'], True)
    """
    drawn: dict[str, Any] = {}
    for name, part in parts.items():
        drawn[name] = draw(part if isinstance(part, st.SearchStrategy) else _of_mdp(name, part, drawn))
    return drawn


def _of_mdp(name: str, part: Any, drawn: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Hypothesis strategy that a function makes of the MDP drawn before it."""
    rule = "must be a hypothesis strategy, such as `mdps()`, or a function of the MDP, such as `q_tables`"
    require(callable(part) and part != mdps, name, part, rule)
    require("mdp" in drawn, name, part, "must come after a part named `mdp`: it is a function of that")
    found: st.SearchStrategy[Any] = part(drawn["mdp"])
    return found


def _array(
    dtype: type, shape: int | tuple[int, ...], *, elements: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Hypothesis strategy that draws arrays, each entry independently of the others.

    By default hypothesis fills most of a small array with one value.
    """
    return hnp.arrays(dtype, shape, elements=elements, fill=st.nothing())


@cache
def _sizes(least: int, most: int) -> st.SearchStrategy[int]:
    """Hypothesis strategy for a number of states or actions; the least is half as likely as any other."""
    return st.sampled_from((least, *(n for n in range(least + 1, most + 1) for _ in range(2))))


@cache
def _digits(shape: int | tuple[int, ...], base: int) -> st.SearchStrategy[Any]:
    """Hypothesis strategy that draws integer arrays with entries in `[0, base)`."""
    return _bytes(int(np.prod(shape))).map(_digits_of(shape, base))


@cache
def _signed(shape: int | tuple[int, ...], largest: int) -> st.SearchStrategy[Any]:
    """Hypothesis strategy that draws float arrays of integers between +-`largest`, small ones first."""
    digits = _digits_of(shape, 2 * largest + 1)
    return _bytes(int(np.prod(shape))).map(lambda data: _with_signs(digits(data)))


@cache
def _bytes(size: int) -> st.SearchStrategy[bytes]:
    """Hypothesis strategy for the bytes of an array of `size` entries, all in one draw.

    That is ten times faster than entry by entry. The number of bytes is one of a few, so that shrinking a
    dimension keeps the entries that are left.
    """
    n_bytes = next((n for n in (16, 128, 1024) if n >= size), size)
    return st.binary(min_size=n_bytes, max_size=n_bytes)


def _digits_of(shape: int | tuple[int, ...], base: int) -> Callable[[bytes], Any]:
    """Function that turns bytes into an integer array with entries in `[0, base)`, from the last byte on.

    A shrinker moves what it cannot make zero to the end of the bytes. There it belongs to the first state and
    action, which are left when the numbers of states and actions shrink.
    """
    size = int(np.prod(shape))
    return lambda data: (np.frombuffer(data, np.uint8)[::-1][:size] % base).astype(np.int64).reshape(shape)


def _with_signs(digits: Any) -> Array:
    """Replace 0, 1, 2, 3, 4, ... by 0, 1, -1, 2, -2, ..."""
    out: Array = np.where(digits % 2 == 1, 1.0, -1.0) * ((digits + 1) // 2) + 0.0
    return out


@lru_cache(4096)
def _quarters(shape: tuple[int, int], available: bytes) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws tables of multiples of 1/4 in [-5, 5], `-inf` at missing actions.

    The strategy is kept between draws, as all that are marked `cache` here: hypothesis validates new ones,
    which takes longer than to draw from them.
    """
    at, digits = np.frombuffer(available, np.bool_).reshape(shape), _digits_of(shape, 41)
    return _bytes(at.size).map(lambda data: np.where(at, _with_signs(digits(data)) / 4, -np.inf))


@lru_cache(4096)
def _policies(shape: tuple[int, int], available: bytes, full_support: bool) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws rows of rational probabilities, 0 at missing actions."""
    at = np.frombuffer(available, np.bool_).reshape(shape)
    uniform, least = at.astype(np.float64), int(full_support)
    digits = _digits_of(shape, 5 - least)
    return _bytes(at.size).map(lambda data: _normalise_rows((digits(data) + least) * at, uniform))


@cache
def _transitions(shape: tuple[int, int]) -> st.SearchStrategy[Array]:
    """Hypothesis strategy that draws transition weights `[S, A, S]`: deterministic, integer, ring.

    Three of five have integer weights; with one state or by chance some of these are deterministic too.
    """
    weights = _integer_weights(shape)
    kinds = (_deterministic(shape), weights, weights, weights, _ring(shape))  # `one_of` would take it once
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


def _deterministic(shape: tuple[int, int]) -> st.SearchStrategy[Array]:
    return _digits(shape, shape[0]).map(lambda successors: np.eye(shape[0])[successors])


@cache
def _integer_weights(shape: tuple[int, int]) -> st.SearchStrategy[Array]:
    def or_self_loop(w: Array) -> Array:
        return np.where(w.sum(axis=2, keepdims=True) > 0, w, np.eye(shape[0])[:, None, :])

    return _digits((*shape, shape[0]), 4).map(or_self_loop)


@cache
def _ring(shape: tuple[int, int]) -> st.SearchStrategy[Array]:
    """Hypothesis strategy for one periodic chain: every action in state s leads to state `(s + 1) mod S`."""
    successors = (np.arange(shape[0]) + 1) % shape[0]
    return st.just(np.repeat(np.eye(shape[0])[successors][:, None, :], shape[1], axis=1))


def _normalise_rows(weights: Array, available: Array) -> Array:
    weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, available)
    out: Array = weights / weights.sum(axis=1, keepdims=True)
    return out
