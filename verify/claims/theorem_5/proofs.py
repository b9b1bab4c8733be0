"""Proofs for App. F.2 and Theorem 5: incremental temperatures, on tables of at most three states."""

from functools import partial

from hypothesis import assume
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.theorem_5 import facts
from verify.claims.theorem_5.rates import EPS_K
from verify.proofs.facts import above, at_least, given
from verify.proofs.job import Jobs, as_drawn, proved
from verify.proofs.shared_facts import IS_OPTIMUM
from verify.strategies import mdps, q_tables

_DISCOUNTS = st.sampled_from((0.5, 0.75, 0.9, 0.99))


@st.composite
def tables_and_temperatures(draw: st.DrawFn) -> Exact:
    """Hypothesis strategy that draws an MDP, a table `q` and an incremental temperature `eps_k` > 0."""
    mdp = draw(mdps(max_states=3, min_actions=2, gammas=_DISCOUNTS, masked=True))
    return exactly({"mdp": mdp, "q": draw(q_tables(mdp)), "eps_k": draw(EPS_K)})


@st.composite
def two_tables(draw: st.DrawFn) -> Exact:
    """Hypothesis strategy that draws an MDP, Omega = {`q`, `q_two`}, and an incremental temperature `eps_k`."""
    mdp = draw(mdps(max_states=2, min_actions=2, max_actions=2, gammas=_DISCOUNTS))
    x = exactly({"mdp": mdp, "q": draw(q_tables(mdp)), "eps_k": draw(EPS_K)})
    x = x.with_parts(q_two=exact.table_of(x.mdp, draw(q_tables(mdp)), name="q_two"))
    assume(x.q != x.q_two)
    return x


def with_optimum(x: Exact) -> Exact:
    """Copy of an exact instance with Q* as `q_star`."""
    return x.with_parts(q_star=exact.optimal_values(x.mdp))


INCREMENTAL = ("mdp", "q", "eps_k")
_drawn_here = {"prepare": as_drawn, "instances": tables_and_temperatures()}

JOBS: Jobs = {
    "eq-37": (
        proved(
            "printed",
            INCREMENTAL,
            at_least(partial(facts.rate_above, entropic=False)),
            at_least(partial(facts.rate_below, entropic=False)),
            at_least(partial(facts.rate_above, entropic=True)),
            at_least(partial(facts.rate_below, entropic=True)),
            **_drawn_here,
        ),
    ),
    "theorem-5-i": (
        proved(
            "printed",
            INCREMENTAL,
            at_least(facts.target),
            at_least(partial(facts.target_bound, entropic=False)),
            at_least(partial(facts.target_bound, entropic=True)),
            **_drawn_here,
        ),
    ),
    "theorem-5-ii": (
        proved(
            "printed",
            ("mdp", "q", "q_two", "eps_k"),
            given(above(facts.two_members)),
            *(
                at_least(partial(facts.minima, factor=factor, side=side))
                for factor, side in ((1, -1), (1, 1), (64, 1), (64, -1))
            ),
            prepare=as_drawn,
            instances=two_tables(),
        ),
    ),
    "theorem-5-iii": (
        proved(
            "printed",
            ("mdp", "q", "q_star", "eps_k"),
            IS_OPTIMUM,
            at_least(partial(facts.incremental_error, name="q")),
            at_least(partial(facts.incremental_error, name="q_star")),
            at_least(facts.squeeze),
            prepare=as_drawn,
            instances=tables_and_temperatures().map(with_optimum),
        ),
    ),
    "theorem-5-descent": (proved("printed", INCREMENTAL, at_least(facts.stationary)),),
}
