"""Facts of App. B, left side minus right side: the posterior, its lower bound, policies of least objective.

Probabilities are formed first and their logarithms taken after, as printed.
"""

from flint import arb, fmpq

from verify.arithmetic.balls import boltzmann, exp, log, total, xlogy
from verify.arithmetic.exact import residual_error
from verify.arithmetic.instance import Exact
from verify.claims.objective.facts import (
    greedy_policy,
    kl_policy,
    likelihood,
    max_objective,
    objective,
    q_theta,
    weights,
)


def likelihood_as_product(x: Exact) -> list[arb]:
    """Zero if App. B's optimality likelihood factors: `log y(h) - log(exp(Q/eps) y(s))`.

    y(h) is computed by its definition.
    """
    top = x.mdp.best(x.q)
    printed = [w * exp(-top[s] / x.eps) for w, (s, _) in zip(weights(x), x.mdp.pairs, strict=True)]
    return [log(y) - log(z) for y, z in zip(likelihood(x), printed, strict=True)]


def eq_10(x: Exact) -> list[arb]:
    """Zero if Fellows et al. (10), a posterior, holds: Bayes' rule with a uniform prior minus the printed."""
    prior, top = fmpq(1, x.mdp.n_pairs), x.mdp.best(x.q)
    bayes = [y * prior / total(z * prior for z in likelihood(x)) for y in likelihood(x)]
    printed = [w * exp(-top[s] / x.eps) for w, (s, _) in zip(weights(x), x.mdp.pairs, strict=True)]
    return [b - w / total(printed) for b, w in zip(bayes, printed, strict=True)]


def action_posterior(x: Exact) -> list[arb]:
    """Zero if App. B's posterior of actions given optimality O is Boltzmann: `p(a|s, O) - pi_omega(a|s)`."""
    y = likelihood(x)
    joint = [value / total(y) for value in y]
    state = [total(joint[i] for i in own) for own in x.mdp.of_state]
    pi = boltzmann(x.mdp, x.q, x.eps)
    return [joint[i] / state[s] - pi[i] for i, (s, _) in enumerate(x.mdp.pairs)]


def elbo(x: Exact) -> list[arb]:
    """Zero if App. B's decomposition holds: `KL(q_theta || posterior) - (log-evidence - lower bound)`."""
    y, u = likelihood(x), q_theta(x)
    evidence = total(y)
    kl = total(xlogy(w, w / (z / evidence)) for w, z in zip(u, y, strict=True))
    return [kl - (evidence.log() - _lower(x))]


def elbo_expansion(x: Exact) -> list[arb]:
    """Zero if App. B's expansion holds: lower bound of the log-evidence minus `L - E_d[max Q]/eps + H(d)`."""
    states = total(-d * t / x.eps - xlogy(d, d) for d, t in zip(x.d, x.mdp.best(x.q), strict=True))
    return [_lower(x) - (objective(x) + states)]


def _lower(x: Exact) -> arb:
    """Lower bound `E_{q_theta}[log(y/q_theta)]` of App. B's log-evidence, y the optimality likelihood."""
    return total(xlogy(w, z / w) for w, z in zip(q_theta(x), likelihood(x), strict=True) if w)


def own_temperature(x: Exact) -> list[arb]:
    """Zero if an instance's temperature is the residual error of its Q under T*: `eps - eps_omega`."""
    return [arb(x.eps - residual_error(x.mdp, x.q))]


def lowest_policy(x: Exact) -> list[arb]:
    """Zero if pi_theta takes an action of least Q in every state: pi_theta minus the policy that does.

    Of several worst actions it is the first.
    """
    return [arb(p - w) for p, w in zip(x.pi_theta, greedy_policy(x, sign=-1), strict=True)]


def least_objective(x: Exact) -> list[arb]:
    """Zero if no policy has a smaller objective L: `L - E_d[min_a Q]/eps`, as entropies are nonnegative."""
    least = (min(x.q[i] for i in own) for own in x.mdp.of_state)
    return [objective(x) - total(d * y / x.eps for d, y in zip(x.d, least, strict=True))]


def theta_divergence(x: Exact) -> list[arb]:
    """Positive if pi_theta does not attain the least divergence, 0: `E_d[KL(pi_theta || pi_omega)]`."""
    return [kl_policy(x)]


def shortfall(x: Exact) -> list[arb]:
    """Zero if a policy's divergence is its shortfall in L: `E_d[KL(pi_theta || pi_omega)] - (max L - L)`.

    L is largest at pi_omega.
    """
    return [kl_policy(x) - (max_objective(x) - objective(x))]
