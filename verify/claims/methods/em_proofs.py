"""App. F.5: EM as policy iteration and as value iteration, tables one after the other, in rationals."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from flint import fmpq

from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP, Vector
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences
from verify.proofs.shared_facts import less, rational

N_STEPS = 6


def em_tables(mdp: ExactMDP) -> list[Vector]:
    """EM with complete steps over state-action pairs, from a table of zeros, until the policy repeats."""
    tables: list[Vector] = [(fmpq(0),) * mdp.n_pairs]
    chosen, before = exact.first_greedy(mdp, tables[0]), None
    while before != chosen:
        tables.append(exact.evaluate_pairs(mdp, exact.deterministic(mdp, chosen)))
        before, chosen = chosen, exact.first_greedy(mdp, tables[-1])
    return tables


@rational
def as_policy_iteration(x: Exact) -> list[fmpq]:
    """EM's tables less those of policy iteration (the other encoding), step by step."""
    start = exact.first_greedy(x.mdp, x.tables[0])
    other = [q for q, _ in exact.policy_iteration(x.mdp, start, n_steps=len(x.tables) - 1)]
    return [d for a, b in zip(x.tables[1:], other, strict=True) for d in less(a, b)]


@rational
def last_is_optimal(x: Exact) -> list[fmpq]:
    """The last table less T* of it."""
    return less(x.tables[-1], exact.optimal_backup(x.mdp, x.tables[-1]))


def starts_at(start: Callable[[Exact], Sequence[fmpq]]) -> Differences:
    """The first table less what it should be."""
    return rational(lambda x: less(x.tables[0], start(x)))


def fixed_target_tables(x: Exact) -> list[Vector]:
    """Tables of EM with fixed target (41): Q_0, then k = 1 ..., from a uniform pi_0."""
    pi, q, tables = exact.uniform_over(x.mdp, x.mdp.of_state), x.q, [x.q]
    for _ in range(N_STEPS):
        q = x.mdp.backup(x.mdp.mean(pi, q))
        pi = exact.deterministic(x.mdp, exact.first_greedy(x.mdp, q))
        tables.append(q)
    return tables


def first_iterate(x: Exact) -> Vector:
    """T^{pi_0} Q_0."""
    return x.mdp.backup(x.mdp.mean(exact.uniform_over(x.mdp, x.mdp.of_state), x.q))


@rational
def greedy_steps(x: Exact) -> list[fmpq]:
    """Each table less T^pi of the one before, pi its lowest greedy policy."""
    out = []
    for before, table in pairwise(x.tables):
        pi = exact.deterministic(x.mdp, exact.first_greedy(x.mdp, before))
        out += less(table, x.mdp.backup(x.mdp.mean(pi, before)))
    return out


@rational
def value_iteration(x: Exact) -> list[fmpq]:
    """Each table less T* of the one before."""
    return [
        d for before, table in pairwise(x.tables) for d in less(table, exact.optimal_backup(x.mdp, before))
    ]


@rational
def printed_value_step(x: Exact) -> list[fmpq]:
    """(41) as printed: T* q_1 less r + E[max q_1]."""
    (_, q, *_) = fixed_target_tables(x)
    printed = [r + y for r, y in zip(x.mdp.reward, _next(x, x.mdp.best(q)), strict=True)]
    return less(exact.optimal_backup(x.mdp, q), printed)


def _next(x: Exact, v: Sequence[fmpq]) -> list[fmpq]:
    return [sum((p * v[t] for t, p in row), fmpq(0)) for row in x.mdp.rows]
