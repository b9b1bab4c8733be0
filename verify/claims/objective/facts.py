r"""Both sides of (5), (11), (23), (24), Theorem 3, App. B and G by their definitions, in ball arithmetic.

Probabilities are formed first and their logarithms taken after, as printed; the checker works with
logarithms throughout. Every function returns left less right, one ball a component.
"""

from collections.abc import Sequence

from flint import arb, fmpq

from verify.arithmetic.balls import boltzmann, entropy, exp, log, total, xlogy
from verify.arithmetic.exact import first_greedy, uniform_over
from verify.arithmetic.instance import Exact


def theta(x: Exact) -> list[fmpq]:
    """pi_theta; uniform where the statement has none."""
    return list(x.parts.get("pi_theta") or uniform_over(x.mdp, x.mdp.of_state))


def q_theta(x: Exact) -> list[fmpq]:
    """d(s) pi_theta(a|s)."""
    return [x.d[s] * p for (s, _), p in zip(x.mdp.pairs, theta(x), strict=True)]


def objective(x: Exact) -> arb:
    """(4)."""
    pi = theta(x)
    return total(
        x.d[s] * (total(pi[i] * x.q[i] / x.eps for i in own) + entropy(pi[i] for i in own))
        for s, own in enumerate(x.mdp.of_state)
    )


def weights(x: Exact) -> list[arb]:
    """exp(Q/eps)."""
    return [exp(value / x.eps) for value in x.q]


def p_omega(x: Exact) -> list[arb]:
    """Joint Boltzmann distribution of (5)."""
    w = weights(x)
    return [value / total(w) for value in w]


def p_omega_s(x: Exact) -> list[arb]:
    """Its marginal over states."""
    p = p_omega(x)
    return [total(p[i] for i in own) for own in x.mdp.of_state]


def kl_joint(x: Exact) -> arb:
    """KL(q_theta || p_omega)."""
    return total(xlogy(u, u / p) for u, p in zip(q_theta(x), p_omega(x), strict=True))


def kl_policy(x: Exact) -> arb:
    """E_d[KL(pi_theta || pi_omega)]."""
    pi, omega = theta(x), boltzmann(x.mdp, x.q, x.eps)
    return total(x.d[s] * xlogy(pi[i], pi[i] / omega[i]) for i, (s, _) in enumerate(x.mdp.pairs))


def kl_states(x: Exact) -> arb:
    """KL(d || p_omega(s))."""
    return total(xlogy(d, d / p) for d, p in zip(x.d, p_omega_s(x), strict=True))


def log_partition(x: Exact) -> arb:
    """l(omega)."""
    return total(weights(x)).log()


def max_objective(x: Exact) -> arb:
    """Max over theta of L: E_d[log sum_a exp(Q/eps)]."""
    w = weights(x)
    return total(x.d[s] * total(w[i] for i in own).log() for s, own in enumerate(x.mdp.of_state))


def lower_bound(x: Exact) -> list[arb]:
    """(5), (11)."""
    return [objective(x) - (log_partition(x) - kl_joint(x) - entropy(x.d))]


def lower_bound_step(x: Exact) -> list[arb]:
    """D.1's last displays as printed: the KL of the policies in place of the joint one."""
    mean_q = total(u * value / x.eps for u, value in zip(q_theta(x), x.q, strict=True))
    mean_log_p = total(u * p.log() for u, p in zip(q_theta(x), p_omega(x), strict=True))
    return [objective(x) - (mean_q - kl_policy(x) - entropy(x.d) - mean_log_p)]


def theorem_3_printed(x: Exact) -> list[arb]:
    """Max L less min E_d[KL], which is 0."""
    return [max_objective(x)]


def theorem_3(x: Exact) -> list[arb]:
    """L + E_d[KL(pi_theta || pi_omega)] less max L."""
    return [objective(x) + kl_policy(x) - max_objective(x)]


def eq_23_printed(x: Exact) -> list[arb]:
    """Max L less min KL(q_theta || p_omega)."""
    return [max_objective(x) - kl_states(x)]


def eq_23(x: Exact) -> list[arb]:
    """Max L less (l - H(d) - min KL)."""
    return [max_objective(x) - (log_partition(x) - entropy(x.d) - kl_states(x))]


def eq_24(x: Exact) -> list[arb]:
    """The chain rule."""
    return [kl_joint(x) - kl_states(x) - kl_policy(x)]


def factorisation(x: Exact) -> list[arb]:
    """pi_omega(a|s) p_omega(s) less p_omega(h)."""
    p, p_s, pi = p_omega(x), p_omega_s(x), boltzmann(x.mdp, x.q, x.eps)
    return [pi[i] * p_s[s] - p[i] for i, (s, _) in enumerate(x.mdp.pairs)]


def likelihood(x: Exact) -> list[arb]:
    """y(h)."""
    top = x.mdp.best(x.q)
    return [exp((value - top[s]) / x.eps) for value, (s, _) in zip(x.q, x.mdp.pairs, strict=True)]


def likelihood_as_product(x: Exact) -> list[arb]:
    """Log of y(h) by its definition less the log of exp(Q/eps) y(s)."""
    top = x.mdp.best(x.q)
    printed = [w * exp(-top[s] / x.eps) for w, (s, _) in zip(weights(x), x.mdp.pairs, strict=True)]
    return [log(y) - log(z) for y, z in zip(likelihood(x), printed, strict=True)]


def eq_10(x: Exact) -> list[arb]:
    """Bayes' rule with the uniform prior, less (10)."""
    prior, top = fmpq(1, x.mdp.n_pairs), x.mdp.best(x.q)
    bayes = [y * prior / total(z * prior for z in likelihood(x)) for y in likelihood(x)]
    printed = [w * exp(-top[s] / x.eps) for w, (s, _) in zip(weights(x), x.mdp.pairs, strict=True)]
    return [b - w / total(printed) for b, w in zip(bayes, printed, strict=True)]


def action_posterior(x: Exact) -> list[arb]:
    """p(a|s, O) less pi_omega."""
    y = likelihood(x)
    joint = [value / total(y) for value in y]
    state = [total(joint[i] for i in own) for own in x.mdp.of_state]
    pi = boltzmann(x.mdp, x.q, x.eps)
    return [joint[i] / state[s] - pi[i] for i, (s, _) in enumerate(x.mdp.pairs)]


def elbo(x: Exact) -> list[arb]:
    """App. B: KL to the posterior less (l - L)."""
    y, u = likelihood(x), q_theta(x)
    evidence = total(y)
    kl = total(xlogy(w, w / (z / evidence)) for w, z in zip(u, y, strict=True))
    return [kl - (evidence.log() - _lower(x))]


def elbo_expansion(x: Exact) -> list[arb]:
    """App. B: L less its expansion."""
    states = total(-d * t / x.eps - xlogy(d, d) for d, t in zip(x.d, x.mdp.best(x.q), strict=True))
    return [_lower(x) - (objective(x) + states)]


def _lower(x: Exact) -> arb:
    return total(xlogy(w, z / w) for w, z in zip(q_theta(x), likelihood(x), strict=True) if w)


def lowest_policy(x: Exact) -> list[arb]:
    """pi_theta less the policy that takes the first of the worst actions."""
    return [arb(p - w) for p, w in zip(x.pi_theta, _greedy(x, sign=-1), strict=True)]


def least_objective(x: Exact) -> list[arb]:
    """L less E_d[min Q]/eps, below which no policy gets."""
    least = (min(x.q[i] for i in own) for own in x.mdp.of_state)
    return [objective(x) - total(d * y / x.eps for d, y in zip(x.d, least, strict=True))]


def theta_divergence(x: Exact) -> list[arb]:
    """E_d[KL(pi_theta || pi_omega)]."""
    return [kl_policy(x)]


def shortfall(x: Exact) -> list[arb]:
    """E_d[KL(pi_theta || pi_omega)] less what L lacks to its value at pi_omega."""
    return [kl_policy(x) - (max_objective(x) - objective(x))]


def prior_posterior(x: Exact) -> list[arb]:
    """App. G: Bayes' rule conditioned on the state, less the closed form."""
    n, y, w = fmpq(1, x.mdp.n_states), likelihood(x), weights(x)
    joint = [z * p * n for z, p in zip(y, x.pi_phi, strict=True)]
    out = []
    for own in x.mdp.of_state:
        state, closed = total(joint[i] for i in own), total(w[i] * x.pi_phi[i] for i in own)
        out += [joint[i] / state - w[i] * x.pi_phi[i] / closed for i in own]
    return out


def remainder(x: Exact, pi: list[fmpq], phi: list[fmpq], *, q: int = 1) -> arb:
    """The lower bound of App. G less (42), at Q or at 0."""
    y = [z if q else arb(1) for z in likelihood(x)]
    out = arb(0)
    for i, (s, _) in enumerate(x.mdp.pairs):
        u = x.d[s] * pi[i]
        if u:
            out += u * log(y[i] * phi[i] / u) - u * (q * x.q[i] / x.eps - log(pi[i] / phi[i]))
    return out


def eq_42(x: Exact) -> list[arb]:
    """The remainder at (theta, phi) less that at (phi, theta)."""
    return [remainder(x, x.pi_theta, x.pi_phi) - remainder(x, x.pi_phi, x.pi_theta)]


def eq_42_omega_printed(x: Exact) -> list[arb]:
    """The remainder at Q less that at 0."""
    return [remainder(x, x.pi_theta, x.pi_phi) - remainder(x, x.pi_theta, x.pi_phi, q=0)]


def eq_42_omega(x: Exact) -> list[arb]:
    """The remainder less E_d[log(y(s)/d(s))]."""
    states = total(-d * t / x.eps - xlogy(d, d) for d, t in zip(x.d, x.mdp.best(x.q), strict=True))
    return [remainder(x, x.pi_theta, x.pi_phi) - states]


def best_prior(x: Exact) -> list[arb]:
    """(42) at phi = theta less (42) at phi."""
    if x.pi_theta == x.pi_phi:
        return [arb(0)]
    return [
        total(
            x.d[s] * xlogy(x.pi_theta[i], fmpq(1) * x.pi_theta[i] / x.pi_phi[i])
            for i, (s, _) in enumerate(x.mdp.pairs)
        )
    ]


def gibbs(x: Exact) -> list[arb]:
    """E_d[KL(pi_theta || pi_omega)]: what L lacks to its maximum; exactly 0 where both are uniform."""
    omega, out = boltzmann(x.mdp, x.q, x.eps), arb(0)
    for s, own in enumerate(x.mdp.of_state):
        tied = all(x.pi_theta[i] == fmpq(1, len(own)) and x.q[i] == x.q[own[0]] for i in own)
        out += 0 if tied else x.d[s] * total(xlogy(x.pi_theta[i], x.pi_theta[i] / omega[i]) for i in own)
    return [out]


def _surplus(x: Exact, pi: Sequence[fmpq]) -> arb:
    """L less min Q/eps: rational, plus the entropies."""
    low = min(x.q)
    gain = sum((x.d[s] * pi[i] * (x.q[i] - low) for i, (s, _) in enumerate(x.mdp.pairs)), fmpq(0))
    entropies = (x.d[s] * entropy(pi[i] for i in own) for s, own in enumerate(x.mdp.of_state))
    return total([gain / x.eps, *entropies])


def above_minimum(x: Exact) -> list[arb]:
    """L less min Q/eps."""
    return [_surplus(x, theta(x))]


def finite(x: Exact) -> list[arb]:
    """L less (min Q/eps - 1)."""
    return [_surplus(x, theta(x)) + 1]


def positive(x: Exact) -> list[arb]:
    """Min Q."""
    return [arb(min(x.q))]


def deterministic_policy(x: Exact) -> list[arb]:
    """Every probability less its square."""
    return [arb(p - p * p) for p in x.pi_theta]


def without_entropy(x: Exact) -> list[arb]:
    """L less E_{d pi}[Q]/eps."""
    mean = sum((u * q for u, q in zip(q_theta(x), x.q, strict=True)), fmpq(0))
    return [objective(x) - mean / x.eps]


def _greedy(x: Exact, *, sign: int = 1) -> list[fmpq]:
    chosen = set(first_greedy(x.mdp, [sign * y for y in x.q]))
    return [fmpq(int(i in chosen)) for i in range(x.mdp.n_pairs)]


def at_greedy(x: Exact) -> list[arb]:
    """L at the greedy policy less E_d[max Q]/eps."""
    top = sum((d * v for d, v in zip(x.d, x.mdp.best(x.q), strict=True)), fmpq(0))
    return [objective(x.with_parts(pi_theta=_greedy(x))) - top / x.eps]


def greedy_above_minimum(x: Exact) -> list[arb]:
    """L at the greedy policy less min Q/eps."""
    return [_surplus(x, _greedy(x))]
