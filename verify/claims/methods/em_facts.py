"""Facts of App. F.5, left side minus right side: EM's tables, the complete M-step, the complete E-step.

An instance holds the tables of all iterations, one after the other.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from flint import arb, fmpq

from verify.arithmetic import exact
from verify.arithmetic.balls import boltzmann, entropy, exp, logsumexp, total, xlogy
from verify.arithmetic.exact import Vector
from verify.arithmetic.instance import Exact
from verify.proofs.facts import Differences
from verify.proofs.shared_facts import dot, minus, rational

N_STEPS = 6
"""Number of steps of EM with a fixed target."""


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
def six_tables(x: Exact) -> list[int]:
    """Zero if an instance holds six tables, each by one step from the one before; the first by one from q."""
    return [len(x.tables) - 6]


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
def is_value_of_pi(x: Exact) -> list[fmpq]:
    """Zero if and only if q is Q^pi, the value of the policy `pi`: `q - T^pi q`."""
    return minus(x.q, x.mdp.backup(x.mdp.mean(x.pi, x.q)))


@rational
def error_above_distance(x: Exact) -> list[fmpq]:
    """Nonnegative if no table but Q^pi has the residual error 0 under T^pi: `sum beta^2 - ((1 - gamma) D)^2`.

    beta is the residual of the other table, D its largest distance from Q^pi.
    """
    beta = minus(x.mdp.backup(x.mdp.mean(x.pi, x.q_two)), x.q_two)
    least = (1 - x.mdp.gamma) * max(abs(y) for y in minus(x.q, x.q_two))
    return [sum((b * b for b in beta), fmpq(0)) - least * least]


@rational
def one_best_action(x: Exact) -> list[int]:
    """Zero where a state has one best action: number of its maximisers minus 1."""
    return [len(ties) - 1 for ties in exact.greedy_sets(x.mdp, x.q)]


def e_step_shortfall(x: Exact) -> list[arb]:
    """Zero if `E_pi[Q/eps] + H(pi)` is below its maximum by KL(pi || Boltzmann), in every state."""
    omega, out = boltzmann(x.mdp, x.q, x.eps), []
    for own in x.mdp.of_state:
        gain = total(x.pi[i] * x.q[i] / x.eps for i in own) + entropy(x.pi[i] for i in own)
        kl = total(xlogy(x.pi[i], x.pi[i] / omega[i]) for i in own)
        out.append(logsumexp([x.q[i] / x.eps for i in own]) - gain - kl)
    return out


def mass_off_best(x: Exact, *, factor: int, side: int) -> list[arb]:
    """Nonnegative if the Boltzmann policy's mass off the best action is between its two bounds, eps/factor.

    With W the sum of `exp(-gap/temperature)` over the other actions, the mass is `W/(1 + W)`; it is at most 2 W
    (`side` 1) and at least W/A (`side` -1). The differences are `W (1 + 2 W)/(1 + W)` and
    `W (A - 1 - W)/(1 + W)`.
    """
    out, most = [], max(map(len, x.mdp.of_state))
    for own in x.mdp.of_state:
        top = max(x.q[i] for i in own)
        w = total(exp(-(top - x.q[i]) * factor / x.eps) for i in own if x.q[i] < top)
        out.append(w * (1 + 2 * w if side == 1 else most - 1 - w) / (1 + w))
    return out


@rational
def m_step_premise(x: Exact) -> list[fmpq]:
    """Positive if (39)'s premise (L largest near Q^pi) fails: L at Q^pi + 64 minus L at Q^pi + 2^-10.

    The second has the smaller residual; the entropies cancel.
    """
    mean = dot(x.d, x.mdp.mean(x.pi, x.q))
    far, near = (2 * (mean + c) / ((1 - x.mdp.gamma) * c) ** 2 for c in (fmpq(64), fmpq(1, 1024)))
    return [far - near]
