"""Proofs for App. F.2 and Theorem 5: incremental temperatures, on tables of at most three states."""

from functools import partial
from typing import Any

from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.theorem_5 import facts
from verify.claims.theorem_5.rates import EPS_K
from verify.proofs.facts import at_least
from verify.proofs.job import Jobs, as_drawn, proved
from verify.proofs.shared_facts import IS_OPTIMUM
from verify.strategies import mdps, q_tables


@st.composite
def tables_and_temperatures(draw: st.DrawFn) -> Exact:
    """Hypothesis strategy that draws an MDP, a table `q` and an incremental temperature `eps_k` > 0."""
    mdp = draw(mdps(max_states=3, masked=True))
    return exactly({"mdp": mdp, "q": draw(q_tables(mdp)), "eps_k": draw(EPS_K)})


def two_members(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) of a function class Omega = {Q*, q}, the first two tables of `omegas`."""
    x = exactly({name: part for name, part in instance.items() if name != "omegas"})
    first, second = (exact.table_of(x.mdp, table, name="omegas") for table in instance["omegas"][:2])
    return x.with_parts(q_star=first, q=second)


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
    "theorem-5-iii": (
        proved(
            "printed",
            ("mdp", "q", "q_star", "eps_k"),
            IS_OPTIMUM,
            at_least(partial(facts.incremental_error, name="q")),
            at_least(partial(facts.incremental_error, name="q_star")),
            at_least(facts.squeeze),
            prepare=two_members,
        ),
    ),
    "theorem-5-descent": (proved("printed", INCREMENTAL, at_least(facts.stationary)),),
}
