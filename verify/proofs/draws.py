"""Rational instances for the proofs: hypothesis strategies that draw them, and conversions of drawn ones.

The claims' own instances are floats, or larger than exact algebra needs. Here features and parameters are
multiples of 1/2, so that they can be read, and MDPs have at most six pairs, so that the checker's
polynomials stay small.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import fractions
from verify.arithmetic.instance import Exact, exactly
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.mdp.tabular import TabularMDP

Instance = dict[str, Any]
"""Keyword arguments of a gap function, as a claim's check draws them."""
Instances = st.SearchStrategy[Exact]
GAMMAS = st.sampled_from((0.5, 0.75, 0.9, 0.99))
"""Hypothesis strategy that draws discounts above 0."""
_SIZES = st.sampled_from(((3, 2), (2, 3)))
_NO_REWARD = st.just(0.0)
_PARTS: dict[str, Any] = {
    "q": q_tables,
    "pi": policies,
    "pi_theta": policies,
    "pi_phi": policies,
    "d": distributions,
    "eps": lambda _: temperatures(),
    "eps_k": lambda _: temperatures(),
}
"""Hypothesis strategies, as functions of the MDP, for the parts that `with_features` may be asked for."""


@st.composite
def small_mdps(draw: st.DrawFn, /, **options: Any) -> TabularMDP:
    """Hypothesis strategy that draws MDPs of up to six pairs, two or three actions and a discount above 0.

    `options` are those of `strategies.mdps`.
    """
    mdp: TabularMDP = draw(_mdps_up_to(draw(_SIZES), frozenset(({"gammas": GAMMAS} | options).items())))
    return mdp


@cache
def _mdps_up_to(size: tuple[int, int], options: frozenset[tuple[str, Any]]) -> st.SearchStrategy[TabularMDP]:
    """Hypothesis strategy for MDPs of at most this `S, A`, kept between draws."""
    return mdps(max_states=size[0], max_actions=size[1], min_actions=2, **dict(options))


def tiny(**parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Hypothesis strategy that draws instances with these parts, on MDPs of up to two states and actions."""
    return instances(
        mdp=mdps(max_states=2, min_actions=2, max_actions=2, gammas=GAMMAS, masked=True), **parts
    )


def small(**parts: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Hypothesis strategy that draws instances with these parts, on small MDPs that may lack actions."""
    return instances(mdp=small_mdps(masked=True), **parts)


def positive_tables(mdp: TabularMDP) -> st.SearchStrategy[Any]:
    """Hypothesis strategy that draws tables of action values above 0, with `-inf` at missing actions."""
    return q_tables(mdp).map(lambda q: np.where(mdp.available, np.abs(q) + 0.25, -np.inf))


@cache
def halves(size: int, largest: int = 4) -> st.SearchStrategy[list[fmpq]]:
    """Hypothesis strategy that draws `size` multiples of 1/2, each at most `largest / 2` in size."""
    return _from_bytes(
        size, [fmpq(0), *(fmpq(sign * k, 2) for k in range(1, largest + 1) for sign in (1, -1))]
    )


def _from_bytes(size: int, values: Sequence[fmpq]) -> st.SearchStrategy[list[fmpq]]:
    """Hypothesis strategy that draws `size` of the values, all from one draw of bytes: ten times as fast."""
    length = max(16, size)  # one length for all, so that few are all zeros
    drawn = st.binary(min_size=length, max_size=length)
    return drawn.map(lambda data: [values[byte % len(values)] for byte in data[:size]])


def with_features(
    *names: str, n_features: int = 2, where: Callable[[Exact], bool] | None = None
) -> Instances:
    """Hypothesis strategy that draws instances: a rational MDP, features of a linear Q, parts asked for.

    Args:
        names: the parts asked for; `mdp` and `features` are always drawn. With `beta`, the rewards are 0.
        n_features: the features are unit vectors (only if this exceeds 1), or 1 to this many rows of halves.
        where: condition that every instance must satisfy; None accepts all.
    """
    drawn = _with_features(*names, n_features=n_features)
    return drawn if where is None else drawn.filter(where)


@st.composite
def _with_features(draw: st.DrawFn, *names: str, n_features: int) -> Exact:
    mdp: TabularMDP = draw(_small("beta" in names))
    raw = {name: draw(part(mdp)) for name, part in _PARTS.items() if name in names}
    x = exactly({"mdp": mdp} | raw)
    n = x.mdp.n_pairs
    alone = n_features > 1 and draw(st.booleans())
    features = _unit_vectors(n) if alone else draw(_features(n, n_features))
    parts: dict[str, Any] = {"features": features}
    if "omega" in names:
        parts["omega"] = draw(_nonzero(len(features), 4))
    if "beta" in names:
        parts["beta"] = draw(_exponents(n))
    return x.with_parts(**parts)


@cache
def _small(without_rewards: bool) -> st.SearchStrategy[TabularMDP]:
    return small_mdps(rewards=_NO_REWARD if without_rewards else None, masked=True)


@cache
def _nonzero(size: int, largest: int) -> st.SearchStrategy[list[fmpq]]:
    return halves(size, largest).filter(any)


@cache
def _features(size: int, most: int) -> st.SearchStrategy[list[list[fmpq]]]:
    return st.lists(_nonzero(size, 2), min_size=1, max_size=most)


@cache
def _exponents(size: int) -> st.SearchStrategy[list[fmpq]]:
    return _from_bytes(size, [fmpq(k, 2) for k in (1, -1, 2, -2, 3, -3, 4, -4)])


def with_table_features(x: Exact, table: Any, omega: Any) -> Exact:
    """Copy of an instance with features of a linear Q, from a table `[S, A, N]`, and parameters omega."""
    columns = np.moveaxis(np.asarray(table), -1, 0)
    features = [exact.table_of(x.mdp, column, name="features") for column in columns]
    return x.with_parts(features=features, omega=fractions(omega, name="omega"))


def with_unit_features(x: Exact) -> Exact:
    """Copy of an instance with a unit vector per pair as `features`: every table Q is linear in them."""
    return x.with_parts(features=_unit_vectors(x.mdp.n_pairs))


def _unit_vectors(n: int) -> Sequence[Sequence[fmpq]]:
    return [[fmpq(int(i == j)) for i in range(n)] for j in range(n)]


def other_member(instance: Instance) -> Exact:
    """Exact instance whose function class is Omega = {Q*, q}, with q the first table in the part `others`.

    A policy drawn as `pi` becomes `pi_theta`, with its state values `v`.
    """
    x = exactly({name: part for name, part in instance.items() if name != "others"})
    q = exact.table_of(x.mdp, instance["others"][0], name="others")
    x = x.with_parts(q=q, pi_theta=x.parts.get("pi"))
    return x if x.pi_theta is None else x.with_parts(v=exact.evaluate_states(x.mdp, x.pi_theta))
