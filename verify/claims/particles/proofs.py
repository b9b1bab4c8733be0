"""Proofs on particle planning: unbiased evidence, its limit, equal weights, one step, SPO."""

from dataclasses import replace
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.particles import facts
from verify.proofs.draws import small, with_unit_features
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.strategies import q_tables, temperatures

ONE = fmpq(1)


def with_draws(instance: dict[str, Any]) -> Exact:
    """Exact instance with a unit vector per pair: the first draw of one particle. The proposal is `pi`."""
    names = {"mdp": "mdp", "pi": "proposal", "prior": "prior", "alpha": "alpha"}
    return with_unit_features(exactly({name: instance[key] for name, key in names.items()}))


def with_a_chance(instance: dict[str, Any]) -> Exact:
    """Exact instance with state values `v`, the largest entries of a drawn table."""
    x = exactly({"mdp": instance["mdp"], "alpha": instance["alpha"]})
    return x.with_parts(v=x.mdp.best(exact.table_of(x.mdp, instance["v_of"], name="v_of")))


def is_chancy(instance: dict[str, Any]) -> bool:
    """Whether a pair leads to states of different values."""
    x = with_a_chance(instance)
    return any(len({x.v[t] for t, _ in row}) > 1 for row in x.mdp.rows)


def warm_temperatures() -> st.SearchStrategy[float]:
    """Hypothesis strategy that draws temperatures of at least 1/2, at which exponentials stay small."""
    return temperatures().filter(lambda alpha: alpha >= 0.5)


def certain(instance: dict[str, Any]) -> Exact:
    """Exact instance whose pairs all lead to their likeliest successor; further parts as they are."""
    kept = {key: x for key, x in instance.items() if key in ("mdp", "v", "prior", "alpha", "pi")}
    return settled(exactly(kept))


def settled(x: Exact) -> Exact:
    """Exact instance with one successor per pair, the likeliest (the first of those)."""
    rows = tuple(((max(row, key=lambda entry: entry[1])[0], ONE),) for row in x.mdp.rows)
    return Exact(replace(x.mdp, rows=rows), x.parts)


def evaluated(instance: dict[str, Any]) -> Exact:
    """Exact instance with the action values `q` and state values `v` of its policy; `eps` is eta."""
    kept = {"eps" if key == "eta" else key: x for key, x in instance.items()}
    return with_values(exactly(kept))


def evaluated_and_certain(instance: dict[str, Any]) -> Exact:
    """The same on dynamics without chance."""
    return with_values(
        settled(exactly({"mdp": instance["mdp"], "pi": instance["pi"], "eps": instance["eta"]}))
    )


def with_values(x: Exact) -> Exact:
    """Copy of an instance with `v` and `q` of its policy `pi`."""
    v = exact.evaluate_states(x.mdp, x.pi)
    return x.with_parts(v=v, q=x.mdp.backup(v))


IS_Q, IS_V, CERTAIN = (given(equal(fact)) for fact in (facts.is_q_of_pi, facts.is_its_value, facts.certain))
VALUED, PRIORS = ("mdp", "q", "pi", "v"), ("mdp", "v", "prior", "alpha")

JOBS: Jobs = {
    "smc-unbiased": (
        proved(
            "printed",
            ("mdp", "pi", "prior", "alpha", "features"),
            equal(facts.unbiased),
            at_least(facts.jensen),
            prepare=with_draws,
        ),
    ),
    "smc-limit": (
        proved("printed", PRIORS, CERTAIN, equal(facts.last_step), equal(facts.step_before), prepare=certain),
    ),
    "smc-limit-risk": (
        proved(
            "printed",
            ("mdp", "v", "alpha"),
            at_least(facts.luck),
            above(facts.lottery),
            above(facts.sure),
            prepare=with_a_chance,
            instances=small(v_of=q_tables, alpha=warm_temperatures()).filter(is_chancy),
        ),
    ),
    "smc-weights": (proved("printed", PRIORS, CERTAIN, equal(facts.equal_weights), prepare=certain),),
    "smc-one-step": (
        proved(
            "printed",
            (*VALUED, "eps"),
            IS_Q,
            IS_V,
            equal(facts.one_step),
            prepare=evaluated_and_certain,
        ),
    ),
    "spo-advantage": (
        refuted("printed", VALUED, IS_Q, IS_V, differs(facts.printed_advantage), prepare=evaluated),
        proved("corrected", VALUED, IS_Q, IS_V, equal(facts.corrected_advantage), prepare=evaluated),
    ),
    "spo-marginal": (
        refuted("printed", (*VALUED, "eps"), IS_Q, IS_V, differs(facts.printed_marginal), prepare=evaluated),
        proved("corrected", (*VALUED, "eps"), IS_Q, IS_V, equal(facts.corrected_marginal), prepare=evaluated),
    ),
}
