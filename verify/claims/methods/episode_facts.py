"""What has trajectories, or no MDP: EM's decomposition, the design paper, pseudo-likelihood, MERL."""

from typing import Any

from flint import arb, fmpq

from verify.arithmetic.balls import exp, log, total, xlogy
from verify.arithmetic.exact import Vector, distribution_of, fractions
from verify.arithmetic.instance import Exact

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


def posterior_attained(x: Exact) -> list[arb]:
    """The lower bound at the posterior less log p(x)."""
    evidence = sum(x.joint, fmpq(0))
    posterior = [joint / evidence for joint in x.joint]
    terms = [p * (log(joint) - log(p)) for p, joint in zip(posterior, x.joint, strict=True)]
    return [total(terms) - log(evidence)]


# Marino et al.: trajectories s1 a1 s2 a2, horizon 2; and pseudo-likelihood, horizon 1 to 3.


def prior(x: Exact) -> Vector:
    """The prior policy; uniform where the statement has none."""
    given: Vector | None = x.parts.get("prior")
    return given or tuple(fmpq(1, len(x.mdp.of_state[s])) for s, _ in x.mdp.pairs)


def trajectories(x: Exact) -> list[tuple[fmpq, list[int]]]:
    """Probability of the dynamics, and the pairs, of every possible path of `horizon` steps."""
    out = [(p, [i]) for own, p in zip(x.mdp.of_state, x.mdp.initial, strict=True) for i in own]
    for _ in range(int(x.horizon) - 1):
        out = [
            (w * p, [*path, j]) for w, path in out for t, p in x.mdp.rows[path[-1]] for j in x.mdp.of_state[t]
        ]
    return [(w, path) for w, path in out if w]


def chance(pi: Vector, path: list[int]) -> fmpq:
    """A policy's part of a path's probability."""
    out = fmpq(1)
    for i in path:
        out *= pi[i]
    return out


def returned(x: Exact, path: list[int]) -> fmpq:
    """R, undiscounted."""
    return sum((x.mdp.reward[i] for i in path), fmpq(0))


def log_ratio(x: Exact) -> list[arb]:
    """Log pi/p of every pair."""
    return [log(a / b) for a, b in zip(x.pi, prior(x), strict=True)]


def objective(x: Exact) -> arb:
    """(6): E[R] - alpha KL(pi(tau) || p(tau)) over trajectories."""
    kl = log_ratio(x)
    return total(
        w * chance(x.pi, path) * (returned(x, path) - x.alpha * total(kl[i] for i in path))
        for w, path in trajectories(x)
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
    return [arb(sum((w * chance(x.pi, path) for w, path in trajectories(x)), fmpq(0)) - 1)]


def evidence_bound(x: Exact) -> list[arb]:
    """(6): alpha log p(O = 1) less J.

    Zero exactly where pi is the posterior of a single path or a constant return.
    """
    p, paths = prior(x), trajectories(x)
    evidence = total(w * chance(p, path) * exp(returned(x, path) / x.alpha) for w, path in paths)
    if x.pi == p and len({returned(x, path) for _, path in paths}) == 1:
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


def second_step(x: Exact) -> list[arb]:
    """E_pi[r - alpha log(pi/p)] of every state."""
    gain = [arb(r) - x.alpha * kl for r, kl in zip(x.mdp.reward, log_ratio(x), strict=True)]
    return [total(x.pi[i] * gain[i] for i in own) for own in x.mdp.of_state]


def soft_q(x: Exact) -> list[arb]:
    """(9) at t = 1."""
    last = second_step(x)
    return [r + total(p * last[t] for t, p in row) for r, row in zip(x.mdp.reward, x.mdp.rows, strict=True)]


def soft_values(x: Exact, *, start: int) -> list[arb]:
    """(10) at t = 1: V, its sum from t' = 1 or (as printed) 2, less E[Q] - alpha KL."""
    last, q, kl = second_step(x), soft_q(x), log_ratio(x)
    out = []
    for s, own in enumerate(x.mdp.of_state):
        later = total(x.pi[i] * p * last[t] for i in own for t, p in x.mdp.rows[i])
        value = later + last[s] if start == 1 else later
        out.append(value - total(x.pi[i] * (q[i] - x.alpha * kl[i]) for i in own))
    return out


def _log_evidence(x: Exact) -> list[arb]:
    """Alpha log E_p[exp(Q/alpha)] of every state."""
    q, p = soft_q(x), prior(x)
    return [x.alpha * total(p[i] * exp(q[i] / x.alpha) for i in own).log() for own in x.mdp.of_state]


def posterior_attains(x: Exact) -> list[arb]:
    """(11): E[Q] - alpha KL at the Boltzmann posterior less its maximum."""
    q, p, out = soft_q(x), prior(x), []
    for own, top in zip(x.mdp.of_state, _log_evidence(x), strict=True):
        weights = {i: p[i] * exp(q[i] / x.alpha) for i in own}
        post = {i: w / total(weights.values()) for i, w in weights.items()}
        out.append(total(w * (q[i] - x.alpha * (w / p[i]).log()) for i, w in post.items()) - top)
    return out


def no_policy_exceeds(x: Exact) -> list[arb]:
    """The maximum less E_pi[Q] - alpha KL(pi || p): exactly 0 where pi is p and Q is the same for all."""
    q, kl, keys, out = soft_q(x), log_ratio(x), _soft_q_keys(x), []
    for own, top in zip(x.mdp.of_state, _log_evidence(x), strict=True):
        tied = len({keys[i] for i in own}) == 1 and all(x.pi[i] == prior(x)[i] for i in own)
        out.append(arb(0) if tied else top - total(x.pi[i] * (q[i] - x.alpha * kl[i]) for i in own))
    return out


def _soft_q_keys(x: Exact) -> list[Any]:
    """(9) as coefficients of 1 and of log(pi/p): equal keys, equal values."""
    ratios = [a / b for a, b in zip(x.pi, prior(x), strict=True)]
    keys = []
    for reward, row in zip(x.mdp.reward, x.mdp.rows, strict=True):
        terms = {fmpq(1): reward}
        for i, w in ((i, p * x.pi[i]) for t, p in row for i in x.mdp.of_state[t]):
            terms[fmpq(1)] += w * x.mdp.reward[i]
            if ratios[i] != 1:
                terms[ratios[i]] = terms.get(ratios[i], fmpq(0)) + w
        keys.append(tuple(sorted(terms.items())))
    return keys


def maximum_entropy_printed(x: Exact) -> list[arb]:
    """(12): E[R] + alpha H(path) less J, of pi, less the same of the uniform policy, where J is E[R]."""
    terms, even = [], []
    for w, path in trajectories(x):
        p, p_even = w * chance(x.pi, path), w * chance(prior(x), path)
        terms.append(p * (returned(x, path) - x.alpha * log(p)))
        even.append(p_even * x.alpha * log(p_even))
    return [total(terms) - objective(x) + total(even)]


def maximum_entropy(x: Exact) -> list[arb]:
    """(12) corrected: J + 2 alpha log A less E[R] + alpha times the entropies of the policy."""
    constant = 2 * x.alpha * log(fmpq(len(x.mdp.of_state[0])))
    terms = []
    for w, path in trajectories(x):
        policy = chance(x.pi, path)
        terms.append(w * policy * (returned(x, path) - x.alpha * log(policy)))
    return [objective(x) + constant - total(terms)]


# Pseudo-likelihood, at temperature c.


def marginal_evidence(x: Exact) -> list[arb]:
    """E[exp(R/c)] by enumeration over what the dynamic programme finds, less 1."""
    paths = trajectories(x)
    by_paths = total(w * chance(x.pi, path) * exp(returned(x, path) / x.c) for w, path in paths)
    v = [arb(1)] * x.mdp.n_states
    for _ in range(int(x.horizon)):
        ahead = [total(p * v[t] for t, p in row) for row in x.mdp.rows]
        weights = [p * exp(r / x.c) * e for p, r, e in zip(x.pi, x.mdp.reward, ahead, strict=True)]
        v = [total(weights[i] for i in own) for own in x.mdp.of_state]
    return [by_paths / total(p * y for p, y in zip(x.mdp.initial, v, strict=True)) - 1]


def jensen(x: Exact) -> list[arb]:
    """C log E[exp(R/c)] less E[R]; exactly 0 where the return is constant."""
    chances: dict[fmpq, fmpq] = {}
    for w, path in trajectories(x):
        r = returned(x, path)
        chances[r] = chances.get(r, fmpq(0)) + w * chance(x.pi, path)
    if len([p for p in chances.values() if p]) == 1:
        return [arb(0)]
    equivalent = x.c * total(p * exp(r / x.c) for r, p in chances.items()).log()
    return [equivalent - sum((p * r for r, p in chances.items()), fmpq(0))]


def _equivalent(x: Exact) -> arb:
    """C log E[exp(prize/c)] of the lottery."""
    out: arb = x.c * (x.chance * exp(x.prize / x.c) + 1 - x.chance).log()
    return out


def proper_lottery(x: Exact) -> list[arb]:
    """It may be lost."""
    return [arb(1 - x.chance)]


def safe_above_mean(x: Exact) -> list[arb]:
    """The safe reward less the lottery's mean."""
    mean = x.chance * x.prize
    return [x.share * (_equivalent(x) - mean)]


def equivalent_above_safe(x: Exact) -> list[arb]:
    """The lottery's certainty equivalent less the safe reward."""
    mean = x.chance * x.prize
    return [(1 - x.share) * (_equivalent(x) - mean)]


def _posterior_of_lottery(x: Exact) -> arb:
    """Its probability under p(tau|O), from equal odds."""
    mean = x.chance * x.prize
    safe = mean + x.share * (_equivalent(x) - mean)
    odds = exp((_equivalent(x) - safe) / x.c)
    return odds / (odds + 1)


def fitted_lottery(x: Exact) -> list[arb]:
    """Probability that the forward-KL fit gives the lottery, from equal odds, less 1/2."""
    return [_posterior_of_lottery(x) - fmpq(1, 2)]


def slope_of_printed_fit(x: Exact) -> list[arb]:
    """Slope in theta, at 1/2, of E_q[log p_theta(tau|O)], q = p_{1/2}(tau|O).

    With z = theta w + (1 - theta) e, w and e the exponential returns of lottery and safe arm, the slope of
    log(theta w/z) is 1/theta - (w - e)/z, that of log((1 - theta) e/z) is -1/(1 - theta) - (w - e)/z.
    """
    q = _posterior_of_lottery(x)
    lean = 2 * (q - (1 - q))  # (w - e)/z at 1/2
    return [q * (2 - lean) - (1 - q) * (2 + lean)]


# MERL.


def merl(x: Exact) -> list[arb]:
    """Logit of pi(a1|s0) by soft values (s1: k1 free actions; s2: one; a2 pays 1), less its closed form's.

    The closed form is 1/(k1^-gamma e^(1/c) + 1).
    """
    gamma, k1 = x.discount, int(x.k1)
    v1, v2 = (x.c * total(arb(0).exp() for _ in range(n)).log() for n in (k1, 1))
    a1, a2 = (gamma * v1 / x.c).exp(), ((1 + gamma * v2) / x.c).exp()
    closed = 1 / ((arb(k1).log() * -gamma + 1 / x.c).exp() + 1)
    return [log(a1 / a2) - log(closed / (1 - closed))]


def merl_threshold(x: Exact) -> list[arb]:
    """Logit of pi(a1|s0), positive where the talk says so: above 1/2.

    That Q*(a2) = 1 > 0 = Q*(a1), so pi*(a2|s0) = 1, is left to the float check, which is exact.
    """
    return [x.discount * arb(int(x.k1)).log() - 1 / x.c]
