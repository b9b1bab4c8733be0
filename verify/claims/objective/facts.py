r"""Left minus right sides as rigorous arb enclosures: Fellows et al. (5)-(24), Theorem 3, Lemma 1, App. B.

Probabilities are formed first and their logarithms taken after, as printed; the checker works with
logarithms throughout. A function that returns a list returns left side minus right side of a formula, one
ball per component.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import boltzmann, entropy, exp, log, softmax, total, xlogy
from verify.arithmetic.exact import first_greedy, uniform_over
from verify.arithmetic.instance import Exact

# The quantities that the formulas are made of.


def theta(x: Exact) -> list[fmpq]:
    """Variational policy pi_theta of an instance; the uniform policy where the instance has none."""
    return list(x.parts.get("pi_theta") or uniform_over(x.mdp, x.mdp.of_state))


def q_theta(x: Exact) -> list[fmpq]:
    """Joint distribution `q_theta(h) = d(s) pi_theta(a|s)` of states and actions."""
    return [x.d[s] * p for (s, _), p in zip(x.mdp.pairs, theta(x), strict=True)]


def objective(x: Exact) -> arb:
    """Objective L(omega, theta) of Fellows et al. (4), `E_d[E_pi[Q]/eps + H(pi)]` with pi = pi_theta."""
    pi = theta(x)
    return total(
        x.d[s] * (total(pi[i] * x.q[i] / x.eps for i in own) + entropy(pi[i] for i in own))
        for s, own in enumerate(x.mdp.of_state)
    )


def weights(x: Exact) -> list[arb]:
    """Boltzmann weights `exp(Q/eps)`, one per state-action pair."""
    return [exp(value / x.eps) for value in x.q]


def p_omega(x: Exact) -> list[arb]:
    """Joint Boltzmann distribution `p_omega(h) = exp(Q/eps) / sum_h exp(Q/eps)` of Fellows et al. (5)."""
    w = weights(x)
    return [value / total(w) for value in w]


def p_omega_s(x: Exact) -> list[arb]:
    """Marginal p_omega(s) over states of the joint Boltzmann distribution `p_omega(h)`, h = (s, a)."""
    p = p_omega(x)
    return [total(p[i] for i in own) for own in x.mdp.of_state]


def kl_joint(x: Exact) -> arb:
    """Divergence `KL(q_theta || p_omega)` of d(s) pi_theta(a|s) from the joint Boltzmann distribution."""
    return total(xlogy(u, u / p) for u, p in zip(q_theta(x), p_omega(x), strict=True))


def kl_policy(x: Exact) -> arb:
    """Expected divergence `E_d[KL(pi_theta || pi_omega)]` of a policy from the Boltzmann policy."""
    pi, omega = theta(x), boltzmann(x.mdp, x.q, x.eps)
    return total(x.d[s] * xlogy(pi[i], pi[i] / omega[i]) for i, (s, _) in enumerate(x.mdp.pairs))


def kl_states(x: Exact) -> arb:
    """Divergence `KL(d || p_omega(s))` of d from the joint Boltzmann distribution's state marginal."""
    return total(xlogy(d, d / p) for d, p in zip(x.d, p_omega_s(x), strict=True))


def log_partition(x: Exact) -> arb:
    """Log-partition `l(omega) = log sum_h exp(Q/eps)` of the joint Boltzmann distribution."""
    return total(weights(x)).log()


def max_objective(x: Exact) -> arb:
    """Maximum of the objective L over all policies pi_theta, `E_d[log sum_a exp(Q/eps)]`."""
    w = weights(x)
    return total(x.d[s] * total(w[i] for i in own).log() for s, own in enumerate(x.mdp.of_state))


def likelihood(x: Exact) -> list[arb]:
    """Optimality likelihood `y(h) = exp((Q - max_a Q)/eps)` of App. B."""
    top = x.mdp.best(x.q)
    return [exp((value - top[s]) / x.eps) for value, (s, _) in zip(x.q, x.mdp.pairs, strict=True)]


def surplus(x: Exact, pi: Sequence[fmpq]) -> arb:
    """Objective L at the policy `pi`, minus `min Q/eps`, computed as a rational plus entropies."""
    low = min(x.q)
    gain = sum((x.d[s] * pi[i] * (x.q[i] - low) for i, (s, _) in enumerate(x.mdp.pairs)), fmpq(0))
    entropies = (x.d[s] * entropy(pi[i] for i in own) for s, own in enumerate(x.mdp.of_state))
    return total([gain / x.eps, *entropies])


def greedy_policy(x: Exact, *, sign: int = 1) -> list[fmpq]:
    """Deterministic policy that takes in every state the first action of largest Q (least, if sign = -1)."""
    chosen = set(first_greedy(x.mdp, [sign * y for y in x.q]))
    return [fmpq(int(i in chosen)) for i in range(x.mdp.n_pairs)]


# (5), (11), Theorem 3 and its proof.


def lower_bound(x: Exact) -> list[arb]:
    """Zero if (5), (11) hold: `L - (l - KL(q_theta || p_omega) - H(d))`, l = log sum_h exp(Q/eps)."""
    return [objective(x) - (log_partition(x) - kl_joint(x) - entropy(x.d))]


def lower_bound_step(x: Exact) -> list[arb]:
    """Zero if App. D.1's end holds as printed, E_d[KL(pi_theta || pi_omega)] for KL(q_theta || p_omega).

    It is `L - (E[Q/eps] - E_d[KL(pi_theta || pi_omega)] - H(d) - E[log p_omega])`.
    """
    mean_q = total(u * value / x.eps for u, value in zip(q_theta(x), x.q, strict=True))
    mean_log_p = total(u * p.log() for u, p in zip(q_theta(x), p_omega(x), strict=True))
    return [objective(x) - (mean_q - kl_policy(x) - entropy(x.d) - mean_log_p)]


def at_boltzmann(x: Exact) -> arb:
    """Objective L at the Boltzmann policy, `E_d[E_pi[Q/eps] + H(pi)]`, term by term."""
    pi = boltzmann(x.mdp, x.q, x.eps)
    return total(
        x.d[s] * total(pi[i] * (x.q[i] / x.eps - log(pi[i])) for i in own)
        for s, own in enumerate(x.mdp.of_state)
    )


def boltzmann_kl_joint(x: Exact) -> arb:
    """Divergence of d(s) pi_omega(a|s) from the joint Boltzmann distribution, pair by pair."""
    pi, p = boltzmann(x.mdp, x.q, x.eps), p_omega(x)
    joint = [x.d[s] * y for (s, _), y in zip(x.mdp.pairs, pi, strict=True)]
    return total(u * (log(u) - log(w)) for u, w in zip(joint, p, strict=True) if u)


def theorem_3_printed(x: Exact) -> list[arb]:
    """Positive if Theorem 3 as printed fails: L at the Boltzmann policy, whose divergence from itself is 0.

    The maximum of L is at least that, the least divergence at most 0.
    """
    return [at_boltzmann(x)]


def theorem_3(x: Exact) -> list[arb]:
    """Zero if Theorem 3 corrected holds: `L + E_d[KL(pi_theta || pi_omega)] - max L`."""
    return [objective(x) + kl_policy(x) - max_objective(x)]


def maximum_attained(x: Exact) -> list[arb]:
    """Zero if the Boltzmann policy attains the maximum of L: L there minus `E_d[log sum_a exp(Q/eps)]`."""
    return [at_boltzmann(x) - max_objective(x)]


def divergence(x: Exact) -> list[arb]:
    """Nonnegative if no policy is closer to the Boltzmann policy than itself: `E_d[KL(pi_theta || pi_omega)]`.

    It is an exact zero where both are uniform.
    """
    terms = (
        x.d[s] * total(xlogy(theta(x)[i], theta(x)[i] / p) for i, p in zip(own, part, strict=True))
        for s, own in enumerate(x.mdp.of_state)
        if not _is_uniform(x, own)
        for part in [softmax([x.q[i] / x.eps for i in own])]
    )
    return [total(terms)]


def _is_uniform(x: Exact, own: Sequence[int]) -> bool:
    """Whether both policies are uniform in the state whose pairs are `own`."""
    return all(theta(x)[i] == fmpq(1, len(own)) and x.q[i] == x.q[own[0]] for i in own)


def eq_23_printed(x: Exact) -> list[arb]:
    """Positive if Eq. (23) as printed fails: L at the Boltzmann policy minus its joint divergence.

    The maximum of L is at least the first, the least divergence at most the second.
    """
    return [at_boltzmann(x) - boltzmann_kl_joint(x)]


def eq_23(x: Exact) -> list[arb]:
    """Zero if (23) corrected holds at the Boltzmann policy: `L - (l - H(d) - KL(d pi_omega || p_omega))`."""
    return [at_boltzmann(x) - (log_partition(x) - entropy(x.d) - boltzmann_kl_joint(x))]


def eq_24(x: Exact) -> list[arb]:
    """Zero if Eq. (24), the KL's chain rule, holds: KL of pairs minus those of states and of policies."""
    return [kl_joint(x) - kl_states(x) - kl_policy(x)]


def factorisation(x: Exact) -> list[arb]:
    """Zero if App. D.4's factorisation of p_omega holds: `pi_omega(a|s) p_omega(s) - p_omega(h)`."""
    p, p_s, pi = p_omega(x), p_omega_s(x), boltzmann(x.mdp, x.q, x.eps)
    return [pi[i] * p_s[s] - p[i] for i, (s, _) in enumerate(x.mdp.pairs)]


# Lemma 1 on finite sets.


def above_minimum(x: Exact) -> list[arb]:
    """Nonnegative if the objective L is bounded below by `min Q/eps`: `L - min Q/eps`."""
    return [surplus(x, theta(x))]


def least_value(x: Exact) -> list[arb]:
    """Smallest Q value of an instance, `min_{s,a} Q`, to be proved positive."""
    return [arb(min(x.q))]


def deterministic_policy(x: Exact) -> list[arb]:
    """Zero if pi_theta is deterministic: `p - p^2` for p = pi_theta(a|s), every s and a."""
    return [arb(p - p * p) for p in x.pi_theta]


def without_entropy(x: Exact) -> list[arb]:
    """Zero if L has no entropy part: L minus the scaled mean value `E_{q_theta}[Q]/eps`.

    That holds if the entropy of pi_theta is 0.
    """
    mean = sum((u * q for u, q in zip(q_theta(x), x.q, strict=True)), fmpq(0))
    return [objective(x) - mean / x.eps]
