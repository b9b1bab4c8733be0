"""Proofs of App. F.5 in rational arithmetic: EM as policy iteration; with a fixed target, value iteration.

An instance holds the tables of all iterations, one after the other. Each decorated function returns left side
minus right side.
"""

from functools import partial
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP, Vector
from verify.arithmetic.instance import Exact, exactly
from verify.claims.methods import em_facts as facts
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, POSITIVE_OPTIMUM
from verify.strategies import instances, mdps, policies, q_tables


def em(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `tables`, the Q tables of EM with complete steps."""
    x = exactly(instance)
    return x.with_parts(tables=em_tables(x.mdp))


def fixed_target(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `tables`, the Q tables of EM with a fixed target from k = 1 on."""
    x = exactly(instance)
    return x.with_parts(tables=facts.fixed_target_tables(x)[1:])


def value_of_pi(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `q`, the action values Q^pi of its policy `pi`."""
    x = exactly({name: part for name, part in instance.items() if name != "q_two"})
    x = x.with_parts(q=exact.evaluate_pairs(x.mdp, x.pi))
    if "q_two" not in instance:
        return x
    return x.with_parts(q_two=exact.table_of(x.mdp, instance["q_two"], name="q_two"))


def has_unique_maxima(instance: dict[str, Any]) -> bool:
    """Whether Q^pi has one best action in every state."""
    x = value_of_pi(instance)
    return all(len(ties) == 1 for ties in exact.greedy_sets(x.mdp, x.q))


def em_tables(mdp: ExactMDP) -> list[Vector]:
    """Q tables of EM with complete steps in rational arithmetic, from zeros until the policy repeats.

    Policies are evaluated by state-action pairs.
    """
    tables: list[Vector] = [(fmpq(0),) * mdp.n_pairs]
    chosen, before = exact.first_greedy(mdp, tables[0]), None
    while before != chosen:
        tables.append(exact.evaluate_pairs(mdp, exact.deterministic(mdp, chosen)))
        before, chosen = chosen, exact.first_greedy(mdp, tables[-1])
    return tables


IS_Q_OF_PI = given(equal(facts.is_value_of_pi))
_SMALL = mdps(max_states=3, masked=True)
_EVALUATED = instances(mdp=_SMALL, q_two=q_tables, pi=policies)
_IMPROVED = instances(mdp=_SMALL, pi=policies, eps=st.sampled_from((1.0, 0.5, 2.0, 4.0))).filter(
    has_unique_maxima
)
POLICY_ITERATION = proved(
    "printed",
    ("mdp", "tables"),
    given(equal(facts.starts_at(facts.zero_table))),
    equal(facts.as_policy_iteration),
    equal(facts.last_is_optimal),
    prepare=em,
)

JOBS: Jobs = {
    "eq-39": (
        proved(
            "printed",
            ("mdp", "q", "q_two", "pi"),
            IS_Q_OF_PI,
            at_least(facts.error_above_distance),
            prepare=value_of_pi,
            instances=_EVALUATED,
        ),
        refuted(
            "step-1",
            ("mdp", "q_star", "q", "pi", "d"),
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            IS_Q_OF_PI,
            above(facts.m_step_premise),
            prepare=value_of_pi,
        ),
    ),
    "eq-40": (
        proved(
            "printed",
            ("mdp", "q", "pi", "eps"),
            IS_Q_OF_PI,
            given(equal(facts.one_best_action)),
            equal(facts.e_step_shortfall),
            *(
                at_least(partial(facts.mass_off_best, factor=factor, side=side))
                for factor in (1, 8, 64)
                for side in (1, -1)
            ),
            prepare=value_of_pi,
            instances=_IMPROVED,
        ),
    ),
    "app-f5-policy-iteration": (POLICY_ITERATION,),
    "eq-41": (
        refuted("printed", ("mdp", "q"), differs(facts.printed_value_step)),
        proved(
            "corrected",
            ("mdp", "q", "tables"),
            given(equal(facts.six_tables)),
            given(equal(facts.starts_at(facts.first_iterate))),
            given(equal(facts.greedy_steps)),
            equal(facts.value_iteration),
            prepare=fixed_target,
        ),
    ),
}
