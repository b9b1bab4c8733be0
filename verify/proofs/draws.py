"""Rational instances for the claims whose own are floats, or larger than exact algebra needs.

Features and parameters are halves, so that they can be read; S, A <= 3 keeps polynomials small.
"""

from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.projection.projection_facts import Curve, system, weights
from verify.claims.residual_gradients.incremental_facts import unique_maxima
from verify.claims.theorem_5.rates import EPS_K
from verify.strategies import distributions, mdps, policies, q_tables, temperatures
from virel_theory.mdp.tabular import TabularMDP

Parts = st.SearchStrategy[Exact]
_OTHERS: dict[str, Any] = {
    "q": q_tables,
    "pi": policies,
    "pi_theta": policies,
    "pi_phi": policies,
    "d": distributions,
    "eps": lambda _: temperatures(),
    "eps_k": lambda _: temperatures(),
}


def _halves(size: int, largest: int = 4) -> st.SearchStrategy[list[fmpq]]:
    entries = st.integers(-largest, largest).map(lambda k: fmpq(k, 2))
    return st.lists(entries, min_size=size, max_size=size)


def with_features(*names: str, n_features: int = 2, unique: bool = False, regular: bool = False) -> Parts:
    """An MDP, `features` (unit vectors, or 1 to `n_features` rows of halves), and the parts named.

    `unique`: Q = omega . features has unique maxima. `regular`: E[b (b - gamma E_pi b')] is not 0.
    """
    drawn = _with_features(*names, n_features=n_features)
    if unique:
        drawn = drawn.filter(lambda x: all(y == 0 for y in unique_maxima(x)))
    return drawn.filter(lambda x: system(x) != 0) if regular else drawn


@st.composite
def _with_features(draw: st.DrawFn, *names: str, n_features: int) -> Exact:
    rewards = st.just(0.0) if "beta" in names else None
    mdp: TabularMDP = draw(mdps(max_states=3, rewards=rewards, masked=True))
    raw = {name: draw(part(mdp)) for name, part in _OTHERS.items() if name in names}
    x = exactly({"mdp": mdp} | raw)
    n = x.mdp.n_pairs
    if n_features > 1 and draw(st.booleans()):
        features = [[fmpq(int(i == j)) for i in range(n)] for j in range(n)]
    else:
        features = draw(st.lists(_halves(n, 2), min_size=1, max_size=n_features))
    parts: dict[str, Any] = {"features": features}
    if "omega" in names:
        parts["omega"] = draw(_halves(len(features)))
    if "beta" in names:
        nonzero = st.sampled_from([1, -1, 2, -2, 3, -3, 4, -4]).map(lambda k: fmpq(k, 2))
        parts["beta"] = draw(st.lists(nonzero, min_size=n, max_size=n))
    return x.with_parts(**parts)


@st.composite
def incremental(draw: st.DrawFn) -> Exact:
    """An MDP, a table and a temperature eps_k > 0."""
    mdp = draw(mdps(max_states=3, masked=True))
    return exactly({"mdp": mdp, "q": draw(q_tables(mdp)), "eps_k": draw(EPS_K)})


def projected(name: str) -> Parts:
    """Features with a regular E[b b^T], a table of halves `name`, its weights `zeta`, and `other` ones."""
    return _projected(name).filter(lambda x: x.zeta is not None)


@st.composite
def _projected(draw: st.DrawFn, name: str) -> Exact:
    x = draw(with_features())
    table = draw(_halves(x.mdp.n_pairs, 8))
    parts = {name: table, "zeta": weights(x.features, table), "other": draw(_halves(len(x.features)))}
    return x.with_parts(**parts)


def curved() -> Parts:
    """A quadratic Q with a regular E[b b^T], a policy, weights `zeta` of its residual and their slopes."""
    return _curved().filter(lambda x: x.zeta is not None)


@st.composite
def _curved(draw: st.DrawFn) -> Exact:
    x = draw(with_features("omega", "pi"))
    size, n = len(x.features), x.mdp.n_pairs
    rows = {(i, j): draw(_halves(n, 2)) for i in range(size) for j in range(i, size)}
    x = x.with_parts(
        hessian=[[rows[min(i, j), max(i, j)] for j in range(size)] for i in range(size)],
        step=draw(st.sampled_from([fmpq(1, 2), fmpq(1, 4), fmpq(1, 8)])),
    )
    c = Curve(x)
    zeta = weights(c.b, c.beta)
    if zeta is None:
        return x.with_parts(zeta=None)
    return x.with_parts(zeta=zeta, dzeta=[c.slope_of_zeta(zeta, j) for j in range(size)])


def with_policy_values(x: Exact) -> Exact:
    """`v`, V^pi of pi_theta, its slopes `dv` in every direction, and the discounted visits `rho`."""
    pi, mdp = x.pi_theta, x.mdp
    v, rho = exact.evaluate_states(mdp, pi), exact.visits(mdp, pi)
    q, slopes = mdp.backup(v), []
    for b in x.features:
        centre = mdp.mean(pi, b)
        moved = [p * (f - centre[s]) for p, f, (s, _) in zip(pi, b, mdp.pairs, strict=True)]
        gain = mdp.mean(moved, q)
        slopes.append(exact.solve_states(mdp, pi, gain))
    return x.with_parts(v=v, rho=rho, dv=slopes)
