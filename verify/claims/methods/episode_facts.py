"""Left minus right sides as rigorous arb enclosures: Marino et al. (5)-(12), pseudo-likelihood, MERL.

Probabilities of trajectories are exact; exponentials and logarithms are enclosed. Equation numbers are those
of Marino et al. A function that returns the components of a formula returns left side minus right side.
"""

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total, xlogy
from verify.arithmetic.exact import Vector
from verify.arithmetic.instance import Exact

# Trajectories: s1 a1 s2 a2 (horizon 2) for Marino et al., horizon 1 to 3 for pseudo-likelihood.


def prior(x: Exact) -> Vector:
    """Prior policy p(a|s) of an instance; the uniform policy where none is given."""
    given: Vector | None = x.parts.get("prior")
    return given or tuple(fmpq(1, len(x.mdp.of_state[s])) for s, _ in x.mdp.pairs)


def trajectories(x: Exact) -> list[tuple[fmpq, list[int]]]:
    """All possible paths of `horizon` pairs (s, a), each with the probability that the MDP contributes."""
    out = [(p, [i]) for own, p in zip(x.mdp.of_state, x.mdp.initial, strict=True) for i in own]
    for _ in range(int(x.horizon) - 1):
        out = [
            (w * p, [*path, j]) for w, path in out for t, p in x.mdp.rows[path[-1]] for j in x.mdp.of_state[t]
        ]
    return [(w, path) for w, path in out if w]


def chance(pi: Vector, path: list[int]) -> fmpq:
    """Product of a policy's action probabilities along a path of state-action pairs."""
    out = fmpq(1)
    for i in path:
        out *= pi[i]
    return out


def returned(x: Exact, path: list[int]) -> fmpq:
    """Undiscounted return R of a path of state-action pairs, the sum of its rewards."""
    return sum((x.mdp.reward[i] for i in path), fmpq(0))


def log_ratio(x: Exact) -> list[arb]:
    """Log-ratio `log(pi(a|s)/p(a|s))` of the policy to the prior policy p, for every state-action pair."""
    return [log(a / b) for a, b in zip(x.pi, prior(x), strict=True)]


def objective(x: Exact) -> arb:
    """Lower bound (6) of Marino et al., `J = E[R] - alpha KL(pi(tau) || p(tau))` over trajectories."""
    kl = log_ratio(x)
    return total(
        w * chance(x.pi, path) * (returned(x, path) - x.alpha * total(kl[i] for i in path))
        for w, path in trajectories(x)
    )


def mass_printed(x: Exact) -> list[arb]:
    """Zero if Marino et al. (5), a path's probability, sums to 1 as printed, without rho(s_1): sum minus 1.

    It is summed over s_1, a_1, s_2, a_2.
    """
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
    """Zero if Marino et al. (5), a path's probability, sums to 1 once corrected by rho(s_1): sum minus 1."""
    return [arb(sum((w * chance(x.pi, path) for w, path in trajectories(x)), fmpq(0)) - 1)]


def evidence_bound(x: Exact) -> list[arb]:
    """Nonnegative if Marino et al. (6), J, is a lower bound: log-evidence `alpha log p(O = 1)` minus J.

    It is an exact zero where pi is the prior and the return is the same on every path.
    """
    p, paths = prior(x), trajectories(x)
    evidence = total(w * chance(p, path) * exp(returned(x, path) / x.alpha) for w, path in paths)
    if x.pi == p and len({returned(x, path) for _, path in paths}) == 1:
        return [arb(0)]
    return [x.alpha * log(evidence) - objective(x)]


def evidence_gap(x: Exact) -> list[arb]:
    """Zero if (6)'s gap is a divergence: log-evidence minus J minus `alpha KL(pi(tau|O) || p(tau|O = 1))`.

    Both distributions are those of whole paths, dynamics included.
    """
    p, paths = prior(x), trajectories(x)
    weights = [w * chance(p, path) * exp(returned(x, path) / x.alpha) for w, path in paths]
    evidence = total(weights)
    kl = total(
        xlogy(w * chance(x.pi, path), w * chance(x.pi, path) / (y / evidence))
        for (w, path), y in zip(paths, weights, strict=True)
    )
    return [x.alpha * log(evidence) - objective(x) - x.alpha * kl]


def by_steps(x: Exact) -> list[arb]:
    """Zero if Marino et al. (7) holds: their objective J over trajectories (6) minus J over time steps."""
    gain = [arb(r) - x.alpha * kl for r, kl in zip(x.mdp.reward, log_ratio(x), strict=True)]
    first = x.mdp.initial
    second = [fmpq(0)] * x.mdp.n_states
    for i, (s, _) in enumerate(x.mdp.pairs):
        for t, p in x.mdp.rows[i]:
            second[t] += first[s] * x.pi[i] * p
    steps = total((first[s] + second[s]) * x.pi[i] * gain[i] for i, (s, _) in enumerate(x.mdp.pairs))
    return [objective(x) - steps]


def second_step(x: Exact) -> list[arb]:
    """State values of the second and last step, `E_pi[r - alpha log(pi/p)]`, with p the prior policy."""
    gain = [arb(r) - x.alpha * kl for r, kl in zip(x.mdp.reward, log_ratio(x), strict=True)]
    return [total(x.pi[i] * gain[i] for i in own) for own in x.mdp.of_state]


def soft_q(x: Exact) -> list[arb]:
    """Soft Q of Marino et al. (9), reward plus expected soft value, at the first of two steps, t = 1."""
    last = second_step(x)
    return [r + total(p * last[t] for t, p in row) for r, row in zip(x.mdp.reward, x.mdp.rows, strict=True)]


def soft_values(x: Exact, *, start: int) -> list[arb]:
    """Zero if Marino et al. (10) holds at t = 1: `V - (E_pi[Q] - alpha KL(pi || p))`, p the prior policy.

    V is summed from t' = `start`, which is printed as 2 and should be 1.
    """
    last, q, kl = second_step(x), soft_q(x), log_ratio(x)
    out = []
    for s, own in enumerate(x.mdp.of_state):
        later = total(x.pi[i] * p * last[t] for i in own for t, p in x.mdp.rows[i])
        value = later + last[s] if start == 1 else later
        out.append(value - total(x.pi[i] * (q[i] - x.alpha * kl[i]) for i in own))
    return out


def maximum_entropy_printed(x: Exact) -> list[arb]:
    """Zero if Marino et al. (12) holds as printed: `E[R] + alpha H(path) - J` minus that at uniform pi.

    J has the uniform prior, so that it is E[R] for the uniform policy.
    """
    terms, even = [], []
    for w, path in trajectories(x):
        p, p_even = w * chance(x.pi, path), w * chance(prior(x), path)
        terms.append(p * (returned(x, path) - x.alpha * log(p)))
        even.append(p_even * x.alpha * log(p_even))
    return [total(terms) - objective(x) + total(even)]


def maximum_entropy(x: Exact) -> list[arb]:
    """Zero if Marino et al. (12) corrected holds: `J + 2 alpha log A - (E[R] + alpha sum_t H(pi))`."""
    constant = 2 * x.alpha * log(fmpq(len(x.mdp.of_state[0])))
    terms = []
    for w, path in trajectories(x):
        policy = chance(x.pi, path)
        terms.append(w * policy * (returned(x, path) - x.alpha * log(policy)))
    return [objective(x) + constant - total(terms)]


# Pseudo-likelihood, at temperature c.


def marginal_evidence(x: Exact) -> list[arb]:
    """Zero if the evidence `E[exp(R/c)]` over paths is that by dynamic programming: their ratio minus 1."""
    paths = trajectories(x)
    by_paths = total(w * chance(x.pi, path) * exp(returned(x, path) / x.c) for w, path in paths)
    v = [arb(1)] * x.mdp.n_states
    for _ in range(int(x.horizon)):
        ahead = [total(p * v[t] for t, p in row) for row in x.mdp.rows]
        weights = [p * exp(r / x.c) * e for p, r, e in zip(x.pi, x.mdp.reward, ahead, strict=True)]
        v = [total(weights[i] for i in own) for own in x.mdp.of_state]
    return [by_paths / total(p * y for p, y in zip(x.mdp.initial, v, strict=True)) - 1]


def jensen(x: Exact) -> list[arb]:
    """Nonnegative by Jensen's inequality: certainty equivalent `c log E[exp(R/c)]` minus mean return.

    It is an exact zero where the return is constant.
    """
    chances: dict[fmpq, fmpq] = {}
    for w, path in trajectories(x):
        r = returned(x, path)
        chances[r] = chances.get(r, fmpq(0)) + w * chance(x.pi, path)
    if len([p for p in chances.values() if p]) == 1:
        return [arb(0)]
    equivalent = x.c * total(p * exp(r / x.c) for r, p in chances.items()).log()
    return [equivalent - sum((p * r for r, p in chances.items()), fmpq(0))]
