"""Claims decided in rational arithmetic alone: EM as policy and value iteration, eps = 0 iff Q = Q*."""

from itertools import pairwise

from flint import arb, ctx, fmpq

from verify import exact
from verify.balls import endpoints
from verify.certificate import Certificate, Undecided
from verify.certify.instance import Exact, text
from verify.exact import ExactMDP, Vector

N_STEPS = 6


def em_trace(mdp: ExactMDP, *, n_steps: int | None = None) -> list[tuple[Vector, tuple[int, ...]]]:
    """EM with complete steps over state-action pairs (the encoding that policy iteration does not use)."""
    chosen, steps = tuple(own[0] for own in mdp.of_state), list[tuple[Vector, tuple[int, ...]]]()
    while n_steps is None or len(steps) < n_steps:
        q = exact.evaluate_pairs(mdp, exact.deterministic(mdp, chosen))
        before, chosen = chosen, exact.first_greedy(mdp, q)
        steps.append((q, chosen))
        if n_steps is None and before == chosen:
            break
    return steps


def certify_em(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """(39), (40), F.5: every iterate of EM equals that of policy iteration, until the policy repeats.

    At Q*.
    """
    em = em_trace(x.mdp)
    pi = exact.policy_iteration(x.mdp, [own[0] for own in x.mdp.of_state])
    if em != pi:
        return Undecided(claim, form, "EM and policy iteration differ")
    if exact.optimal_backup(x.mdp, em[-1][0]) != em[-1][0]:
        return Undecided(claim, form, "EM ended at a table that is not optimal")
    steps = [{"q": text(q), "pi": list(chosen)} for q, chosen in em]
    return Certificate(claim, form, x.as_json("mdp"), {"steps": steps})


def fixed_target_tables(x: Exact) -> list[Vector]:
    """Tables of EM with fixed target (41), k = 1 ..., from a uniform pi_0."""
    pi, q, tables = exact.uniform_over(x.mdp, x.mdp.of_state), x.q, []
    for _ in range(N_STEPS):
        q = x.mdp.backup(x.mdp.mean(pi, q))
        pi = exact.deterministic(x.mdp, exact.first_greedy(x.mdp, q))
        tables.append(q)
    return tables


def certify_fixed_target(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """(41), corrected: from k = 2 on every M-step is T* of the table before it."""
    tables = fixed_target_tables(x)
    for before, after in pairwise(tables):
        if exact.optimal_backup(x.mdp, before) != after:
            return Undecided(claim, form, "an M-step is not Q-value iteration")
    return Certificate(claim, form, x.as_json("mdp", "q"), {"tables": [text(q) for q in tables]})


def refute_value_step(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """(41) as printed: T* q_1 less r + E[max q_1], in the first pair where they differ."""
    top = x.mdp.best(fixed_target_tables(x)[0])
    for component, row in enumerate(x.mdp.rows):
        expected = sum((p * top[t] for t, p in row), fmpq(0))
        if x.mdp.gamma * expected != expected:
            return _differs(claim, form, x, (x.mdp.gamma - 1) * expected, component, ("mdp", "q"))
    return Undecided(claim, form, "the printed step holds on this instance")


def refute_m_step(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """(39)'s premise: L at Q^pi + 64 exceeds L at Q^pi + 2^-10, nearer to zero residual.

    Exact, as the entropies cancel.
    """
    v = exact.evaluate_states(x.mdp, x.pi)
    mean_q = sum((p * value for p, value in zip(x.d, v, strict=True)), fmpq(0))
    far, near = (
        (mean_q + shift) / (((1 - x.mdp.gamma) * shift) ** 2 / 2) for shift in (fmpq(64), fmpq(1, 1024))
    )
    if far <= near:
        return Undecided(claim, form, "the step holds on this instance")
    return _differs(claim, form, x.with_parts(w=v), far - near, 0, ("mdp", "pi", "d", "w"))


def certify_optimum(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """Eps = 0 under T* iff Q = Q*; at Q* the greedy policy, uniform over ties, has the value max Q*."""
    q_star = exact.optimal_values(x.mdp)
    greedy = exact.uniform_over(x.mdp, exact.greedy_sets(x.mdp, q_star))
    if exact.evaluate_states(x.mdp, greedy) != x.mdp.best(q_star):
        return Undecided(claim, form, "a greedy policy of Q* is not optimal")
    eps = exact.residual_error(x.mdp, x.q)
    if (eps == 0) != (x.q == q_star):
        return Undecided(claim, form, "eps = 0 away from Q*, or eps > 0 at Q*")
    return Certificate(claim, form, x.as_json("mdp", "q"), {"q_star": text(q_star), "eps": str(eps)})


def refute_no_choice(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """Talk, Corollary 1 ii): with one action a state every policy is optimal and a Dirac, whatever eps."""
    if x.mdp.n_pairs != x.mdp.n_states or exact.residual_error(x.mdp, x.q) == 0:
        return Undecided(claim, form, "a state has a choice, or eps = 0")
    return certify_optimum(claim, form, x)


def certify_policy(claim: str, form: str, x: Exact) -> Certificate | Undecided:
    """Talk, Theorem 2 ii): at Q* with unique maxima the greedy policy is one Dirac a state, and optimal."""
    q_star = exact.optimal_values(x.mdp)
    if any(len(ties) > 1 for ties in exact.greedy_sets(x.mdp, q_star)):
        return Undecided(claim, form, "a maximum is not unique")
    return certify_optimum(claim, form, x.with_parts(q=q_star))


def _differs(
    claim: str, form: str, x: Exact, value: fmpq, component: int, parts: tuple[str, ...]
) -> Certificate:
    with ctx.workprec(256):
        ends = endpoints(arb(value))
    return Certificate(claim, form, x.as_json(*parts), {"enclosure": ends, "component": component})
