"""Differences of the remaining statements: EM's decomposition, the design paper at T = 2.

MERL's counterexample.
"""

from typing import Any

from flint import arb, fmpq

from verify.balls import log, total, xlogy
from verify.certify.instance import Exact
from verify.exact import Vector, distribution_of, fraction_of, fractions

# Eqs. (8), (9): hidden variables, no MDP.


def hidden(instance: dict[str, Any]) -> Exact:
    """`joint` and `w` (the distribution q) of an instance; there is no MDP."""
    parts = {
        "joint": fractions(instance["joint"], name="joint"),
        "w": distribution_of(instance["q"], name="q"),
    }
    return Exact(None, parts)  # type: ignore[arg-type]


def marginal(x: Exact) -> list[arb]:
    """Log p(x) less (lower bound + KL to the posterior)."""
    evidence = sum(x.joint, fmpq(0))
    lower = total(xlogy(q, joint / q) for q, joint in zip(x.w, x.joint, strict=True) if q)
    kl = total(xlogy(q, q / (joint / evidence)) for q, joint in zip(x.w, x.joint, strict=True))
    return [log(evidence) - (lower + kl)]


def marginal_bound(x: Exact) -> list[arb]:
    """Log p(x) less the lower bound at q: zero exactly at the posterior."""
    evidence = sum(x.joint, fmpq(0))
    if all(q == joint / evidence for q, joint in zip(x.w, x.joint, strict=True)):
        return [arb(0)]
    return [log(evidence) - total(xlogy(q, joint / q) for q, joint in zip(x.w, x.joint, strict=True) if q)]


# Marino et al.: trajectories s1 a1 s2 a2.


def prior(x: Exact) -> Vector:
    """The prior policy; uniform where the statement has none."""
    given: Vector | None = x.parts.get("prior")
    return given or tuple(fmpq(1, len(x.mdp.of_state[s])) for s, _ in x.mdp.pairs)


def trajectories(x: Exact) -> list[tuple[fmpq, int, int]]:
    """Probability of the dynamics, and the two pairs, of every possible path."""
    return [
        (x.mdp.initial[s] * p, i, j)
        for i, (s, _) in enumerate(x.mdp.pairs)
        for t, p in x.mdp.rows[i]
        for j in x.mdp.of_state[t]
    ]


def log_ratio(x: Exact) -> list[arb]:
    """Log pi/p of every pair."""
    return [log(a / b) for a, b in zip(x.pi, prior(x), strict=True)]


def objective(x: Exact) -> arb:
    """(6): E[R] - alpha KL(pi(tau) || p(tau)) over trajectories."""
    r, kl = x.mdp.reward, log_ratio(x)
    return total(
        w * x.pi[i] * x.pi[j] * (r[i] + r[j] - x.alpha * (kl[i] + kl[j])) for w, i, j in trajectories(x)
    )


def mass_printed(x: Exact) -> list[arb]:
    """(5) as printed, summed over trajectories (a_1, s_2, a_2 for every s_1), less 1."""
    mass = sum(
        (
            x.pi[i] * p * x.pi[j]
            for i, row in enumerate(x.mdp.rows)
            for t, p in row
            for j in x.mdp.of_state[t]
        ),
        fmpq(0),
    )
    return [arb(mass - 1)]


def mass(x: Exact) -> list[arb]:
    """The same with the factor rho(s_1)."""
    return [arb(sum((w * x.pi[i] * x.pi[j] for w, i, j in trajectories(x)), fmpq(0)) - 1)]


def evidence_bound(x: Exact) -> list[arb]:
    """(6): alpha log p(O = 1) less J.

    Zero exactly where pi is the posterior of a single path or a constant return.
    """
    p, r = prior(x), x.mdp.reward
    paths = trajectories(x)
    evidence = total(w * p[i] * p[j] * arb((r[i] + r[j]) / x.alpha).exp() for w, i, j in paths)
    if x.pi == p and len({r[i] + r[j] for _, i, j in paths}) == 1:
        return [arb(0)]
    return [x.alpha * log(evidence) - objective(x)]


def by_steps(x: Exact) -> list[arb]:
    """(6) less (7), which is summed by the distributions of s_1 and s_2."""
    gain = [arb(r) - x.alpha * kl for r, kl in zip(x.mdp.reward, log_ratio(x), strict=True)]
    first = x.mdp.initial
    second = [fmpq(0)] * x.mdp.n_states
    for i, (s, _) in enumerate(x.mdp.pairs):
        for t, p in x.mdp.rows[i]:
            second[t] += first[s] * x.pi[i] * p
    steps = total((first[s] + second[s]) * x.pi[i] * gain[i] for i, (s, _) in enumerate(x.mdp.pairs))
    return [objective(x) - steps]


def soft_values(x: Exact, *, start: int) -> list[arb]:
    """(10) at t = 1: V, its sum from t' = 1 or (as printed) 2, less E[Q] - alpha KL."""
    gain = [arb(r) - x.alpha * kl for r, kl in zip(x.mdp.reward, log_ratio(x), strict=True)]
    last = [total(x.pi[i] * gain[i] for i in own) for own in x.mdp.of_state]
    q = [arb(r) + total(p * last[t] for t, p in row) for r, row in zip(x.mdp.reward, x.mdp.rows, strict=True)]
    kl = log_ratio(x)
    out = []
    for s, own in enumerate(x.mdp.of_state):
        later = total(x.pi[i] * p * last[t] for i in own for t, p in x.mdp.rows[i])
        value = later + last[s] if start == 1 else later
        out.append(value - total(x.pi[i] * (q[i] - x.alpha * kl[i]) for i in own))
    return out


def maximum_entropy(x: Exact, *, dynamics: bool) -> list[arb]:
    """(12): J + 2 alpha log A less E[R] + alpha times the entropy of trajectories (as printed) or of.

    The policy alone.
    """
    constant = 2 * x.alpha * log(fmpq(len(x.mdp.of_state[0])))
    r = x.mdp.reward
    terms = []
    for w, i, j in trajectories(x):
        seen = x.pi[i] * x.pi[j] * (w if dynamics else 1)
        terms.append(w * x.pi[i] * x.pi[j] * (r[i] + r[j] - x.alpha * log(seen)))
    return [objective(x) + constant - total(terms)]


# MERL.


def talk(instance: dict[str, Any]) -> Exact:
    """`k1`, `gamma`, `c` of the counterexample; its MDP is written out in `merl`."""
    parts = {
        "k1": fmpq(instance["k1"]),
        "gamma": (fraction_of(instance["gamma"]),),
        "c": fraction_of(instance["c"]),
    }
    return Exact(None, parts)  # type: ignore[arg-type]


def merl(x: Exact) -> list[arb]:
    """Logit of pi(a1|s0) by soft values (s1: k1 free actions; s2: one.

    A2 pays 1), less that of 1/(k1^-gamma e^(1/c) + 1).
    """
    gamma, k1 = x.gamma[0], int(x.k1)
    v1, v2 = (x.c * total(arb(0).exp() for _ in range(n)).log() for n in (k1, 1))
    a1, a2 = (gamma * v1 / x.c).exp(), ((1 + gamma * v2) / x.c).exp()
    closed = 1 / ((arb(k1).log() * -gamma + 1 / x.c).exp() + 1)
    return [log(a1 / a2) - log(closed / (1 - closed))]


def merl_threshold(x: Exact) -> list[arb]:
    """Logit of pi(a1|s0), positive where the talk says so, although Q*(a2) = 1 > 0 = Q*(a1)."""
    return [x.gamma[0] * arb(int(x.k1)).log() - 1 / x.c]
