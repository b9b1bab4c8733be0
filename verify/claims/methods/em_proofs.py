"""Proofs of App. F.5 in rational arithmetic: EM as policy iteration; with a fixed target, value iteration.

An instance holds the tables of all iterations, one after the other. Each decorated function returns left side
minus right side.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from flint import fmpq

from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP, Vector
from verify.arithmetic.instance import Exact, exactly
from verify.proofs.facts import Differences, above, differs, equal
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, POSITIVE_OPTIMUM, V_OF_PI, dot, minus, rational

N_STEPS = 6
"""Number of steps of EM with a fixed target."""


def em(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `tables`, the Q tables of EM with complete steps."""
    x = exactly(instance)
    return x.with_parts(tables=em_tables(x.mdp))


def fixed_target(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with `tables`, the Q tables of EM with a fixed target from k = 1 on."""
    x = exactly(instance)
    return x.with_parts(tables=fixed_target_tables(x)[1:])


def value_of_pi(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) made from a drawn Q*, with `v`, the state values V^pi of policy `pi`."""
    x = exactly(instance)
    return x.with_parts(v=exact.evaluate_states(x.mdp, x.pi))


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


def fixed_target_tables(x: Exact) -> list[Vector]:
    """Q tables of EM with a fixed target, Eq. (41), in rational arithmetic: Q_0, then k = 1, 2, ...

    The first policy is uniform.
    """
    pi, q, tables = exact.uniform_over(x.mdp, x.mdp.of_state), x.q, [x.q]
    for _ in range(N_STEPS):
        q = x.mdp.backup(x.mdp.mean(pi, q))
        pi = exact.deterministic(x.mdp, exact.first_greedy(x.mdp, q))
        tables.append(q)
    return tables


@rational
def as_policy_iteration(x: Exact) -> list[fmpq]:
    """Zero if EM with complete steps is policy iteration: EM's Q table minus the latter's, at every step.

    The latter evaluates policies by states.
    """
    start = exact.first_greedy(x.mdp, x.tables[0])
    other = [q for q, _ in exact.policy_iteration(x.mdp, start, n_steps=len(x.tables) - 1)]
    return [d for a, b in zip(x.tables[1:], other, strict=True) for d in minus(a, b)]


@rational
def last_is_optimal(x: Exact) -> list[fmpq]:
    """Zero if EM with complete steps ends at the optimum: its last Q table minus T* of it."""
    return minus(x.tables[-1], exact.optimal_backup(x.mdp, x.tables[-1]))


def starts_at(start: Callable[[Exact], Sequence[fmpq]]) -> Differences:
    """Function to be proved zero: an instance's first Q table minus the table that `start(x)` gives."""
    return rational(lambda x: minus(x.tables[0], start(x)))


def zero_table(x: Exact) -> list[fmpq]:
    """Table of zeros, one per state-action pair."""
    return [0 * r for r in x.mdp.reward]


def first_iterate(x: Exact) -> Vector:
    """First Q table of EM with a fixed target: T^pi Q_0, with pi the uniform policy pi_0."""
    return x.mdp.backup(x.mdp.mean(exact.uniform_over(x.mdp, x.mdp.of_state), x.q))


@rational
def greedy_steps(x: Exact) -> list[fmpq]:
    """Zero if each Q table is T^pi of the one before it, pi the first greedy policy of that one."""
    out = []
    for before, table in pairwise(x.tables):
        pi = exact.deterministic(x.mdp, exact.first_greedy(x.mdp, before))
        out += minus(table, x.mdp.backup(x.mdp.mean(pi, before)))
    return out


@rational
def value_iteration(x: Exact) -> list[fmpq]:
    """Zero if EM with a fixed target is value iteration, Eq. (41): each Q table minus T* of the previous."""
    return [
        d for before, table in pairwise(x.tables) for d in minus(table, exact.optimal_backup(x.mdp, before))
    ]


@rational
def printed_value_step(x: Exact) -> list[fmpq]:
    """Zero if Eq. (41) holds as printed, no gamma: `T* q_1 - (r + E[max q_1])`, q_1 EM's first Q table."""
    (_, q, *_) = fixed_target_tables(x)
    ahead = _next(x, x.mdp.best(q))
    printed = [r + y for r, y in zip(x.mdp.reward, ahead, strict=True)]
    return minus(exact.optimal_backup(x.mdp, q), printed)


def _next(x: Exact, v: Sequence[fmpq]) -> list[fmpq]:
    """Expected next state value `E[v(s')]` of every state-action pair, for state values v."""
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]


@rational
def m_step_premise(x: Exact) -> list[fmpq]:
    """Positive if (39)'s premise (L largest near Q^pi) fails: L at Q^pi + 64 minus L at Q^pi + 2^-10.

    The second has the smaller residual; the entropies cancel.
    """
    mean = dot(x.d, x.v)
    far, near = (2 * (mean + c) / ((1 - x.mdp.gamma) * c) ** 2 for c in (fmpq(64), fmpq(1, 1024)))
    return [far - near]


POLICY_ITERATION = proved(
    "printed",
    ("mdp", "tables"),
    equal(starts_at(zero_table)),
    equal(as_policy_iteration),
    equal(last_is_optimal),
    prepare=em,
)

JOBS: Jobs = {
    "eq-39": (
        POLICY_ITERATION,
        refuted(
            "step-1",
            ("mdp", "q_star", "pi", "d", "v"),
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            V_OF_PI,
            above(m_step_premise),
            prepare=value_of_pi,
        ),
    ),
    "eq-40": (POLICY_ITERATION,),
    "app-f5-policy-iteration": (POLICY_ITERATION,),
    "eq-41": (
        refuted("printed", ("mdp", "q"), differs(printed_value_step)),
        proved(
            "corrected",
            ("mdp", "q", "tables"),
            equal(starts_at(first_iterate)),
            equal(greedy_steps),
            equal(value_iteration),
            prepare=fixed_target,
        ),
    ),
}
