"""Hypotheses of the sources that a counterexample on record has to meet, as data and as machine checks.

An author may wave away a counterexample that breaks an assumption of the paper. `HYPOTHESES` says for each
statement that is false, or whose proof has a false step, which ones its counterexample has to meet. They are
tested on the counterexamples themselves (`tests/verify/claims/test_hypotheses.py`).
"""

from collections.abc import Callable

import numpy as np

from verify.claims.theorem_5 import commute, fixed_k
from verify.engine.claim import Instance
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import bellman_residual, residual_error
from virel_theory.operators.bellman import bellman_boltzmann, bellman_optimal
from virel_theory.solvers.solve import solve

Hypothesis = Callable[[Instance], str]
"""Function of an instance: what it breaks, in words; empty if nothing."""

TOL = 1e-9
"""Largest difference that counts as equal; values of the counterexamples on record are of size 1 to 208."""


def optimum(mdp: TabularMDP) -> Array:
    """Optimal action values Q* of an MDP, `[S, A]`, within `TOL`/2 of the exact ones."""
    return np.asarray(solve(mdp, atol=TOL / 2).q)


def positive(x: Instance) -> str:
    """What breaks Assumption 1, `0 < Q* < inf`; empty if nothing does."""
    least = float(optimum(x["mdp"])[x["mdp"].available].min())
    return "" if least > TOL else f"the least value of Q* is {least:g}"


def unique(x: Instance) -> str:
    """What breaks Assumption 3 on a finite set: a state whose largest value of Q* is attained twice."""
    q = np.sort(np.where(x["mdp"].available, optimum(x["mdp"]), -np.inf), axis=1)
    if q.shape[1] == 1:
        return ""
    gaps = q[:, -1] - q[:, -2]
    return "" if gaps.min() > TOL else f"state {int(gaps.argmin())} has two maxima of Q*"


def q_star_is_optimal(x: Instance) -> str:
    """What is wrong with an instance's part `q_star`: how far it is from the Q* of its MDP."""
    on = x["mdp"].available
    distance = float(np.abs(x["q_star"] - optimum(x["mdp"]))[on].max())
    return "" if distance <= TOL else f"q_star is {distance:g} away from Q*"


def own_residual(x: Instance) -> str:
    """What breaks (2) with c = 1, p = 2, mean norm: an `eps` that is not the residual error of Q.

    Under T* or, as App. E.3 has it, under T^{pi_omega} at that very eps.
    """
    q, mdp = _table(x), x["mdp"]
    found = [
        residual_error(bellman_residual(backup, q))
        for backup in (bellman_optimal(mdp, q), bellman_boltzmann(mdp, q, eps=x["eps"]))
    ]
    ok = any(abs(eps - x["eps"]) <= TOL for eps in found)
    return "" if ok else f"eps is {x['eps']:g}, the residual error {found[0]:g}"


def representable(x: Instance) -> str:
    """What breaks Assumption 2: a set Omega, `q_star` and `others`, that holds no Q*."""
    return q_star_is_optimal(x)


def distributions(x: Instance) -> str:
    """What is wrong with the distributions of an instance: `d` has full support, and policies sum to 1."""
    for name in ("d", "pi", "pi_theta", "pi_phi", "prior", "psi", "p", "x0"):
        if name in x and not np.allclose(np.sum(x[name], axis=-1), 1, rtol=0, atol=TOL):
            return f"{name} does not sum to 1"
    return "" if "d" not in x or np.min(x["d"]) > 0 else "d(s) is 0 in some state"


def stochastic(x: Instance) -> str:
    """What breaks "non-deterministic": a variational policy that is deterministic in some state."""
    top = float(np.max(x["pi_theta"] if "pi_theta" in x else x["pi"]))
    return "" if top < 1 else "the variational policy is deterministic"


def temperature(x: Instance) -> str:
    """What is wrong with a temperature that is free in the source: it is not positive."""
    value = next(x[name] for name in ("eps", "eps_k", "c", "alpha", "eta") if name in x)
    return "" if value > 0 else f"the temperature is {value:g}"


def covered(x: Instance) -> str:
    """What breaks `KL(pi || p) < inf`: an action that the policy takes and the prior excludes."""
    excluded = (np.asarray(x["pi"]) > 0) & (np.asarray(x["prior"]) <= 0)
    return "the prior excludes an action of the policy" if excluded.any() else ""


def sizes(x: Instance) -> str:
    """What is wrong with a variance, a budget or a step size of an instance: it is not positive."""
    found = {name: x[name] for name in ("variance", "epsilon", "step") if name in x and not x[name] > 0}
    return "; ".join(f"{name} is {value:g}" for name, value in found.items())


def spreads(x: Instance) -> str:
    """What breaks a Gaussian: a covariance matrix, of `old` or `new`, that is not positive definite."""
    least = min(float(np.linalg.eigvalsh(np.asarray(x[name][1]))[0]) for name in ("old", "new"))
    return "" if least > 0 else f"a covariance has the eigenvalue {least:g}"


def regular_features(x: Instance) -> str:
    """What breaks F.1: a Gram matrix E[b b^T] of the features at omega that is singular."""
    b = x["b"] if "b" in x else x["phi"] + x["hessian"] @ x["omega"]
    least = float(np.linalg.eigvalsh(np.einsum("san,sam->nm", b, b))[0])
    return "" if least > TOL else "the Gram matrix of the features is singular"


def not_above_zero(x: Instance) -> str:
    """What breaks the talk's `r <= 0` of pseudo-likelihood methods: a positive reward."""
    top = float(x["mdp"].reward.max())
    return "" if top <= 0 else f"a reward is {top:g}"


def step_sizes(x: Instance) -> str:
    """What breaks F.1's conditions on the step sizes `k^-power` and `scale/k`.

    Both sums are infinite, those of squares finite, and the ratio of the second to the first tends to 0.
    """
    ok = 0.5 < x["power"] < 1 and x["scale"] > 0
    return "" if ok else f"the power is {x['power']:g}, the scale {x['scale']:g}"


def within(build: Callable[[int, float], TabularMDP], *hypotheses: Hypothesis) -> tuple[Hypothesis, ...]:
    """Hypotheses on the MDP that a gap function builds from the numbers `gap` and `gamma` of its instance."""

    def on_its_mdp(x: Instance) -> str:
        parts = {"mdp": build(x["gap"], x["gamma"])}
        return "; ".join(filter(None, (hypothesis(parts) for hypothesis in hypotheses)))

    return (on_its_mdp,)


def _table(x: Instance) -> Array:
    if "q" in x:
        return np.asarray(x["q"])
    approximator, omega = x["model"]
    return np.asarray(approximator.value(omega))


VALUES: tuple[Hypothesis, ...] = (positive, unique)
MEMBERS: tuple[Hypothesis, ...] = (*VALUES, representable, distributions)
OWN: tuple[Hypothesis, ...] = (*VALUES, own_residual, distributions)
DENSITY: tuple[Hypothesis, ...] = ()
"""No MDP: a function or a density on an interval, whose hypotheses are in the claim's own derivation."""

HYPOTHESES: dict[str, tuple[Hypothesis, ...]] = {
    "theorem-1": (temperature,),
    "theorem-1-density-range": (temperature,),
    "eq-12": DENSITY,
    "app-c-test-function": DENSITY,
    "lemma-1-i": DENSITY,
    "lemma-1-ii": DENSITY,
    "eq-21": DENSITY,
    "theorem-2": (*MEMBERS, stochastic),
    "theorem-2-variational-policy": (*MEMBERS, stochastic),
    "theorem-2-moreover": (temperature,),
    "corollary-1": (*VALUES, q_star_is_optimal),
    "app-c-3": (*VALUES, q_star_is_optimal),
    "theorem-3": OWN,
    "eq-23": OWN,
    "eq-11": (*OWN, stochastic),
    "app-b-minimising": (*OWN, q_star_is_optimal),
    "app-b-closer": DENSITY,
    "eq-42-omega": (*OWN, stochastic),
    "app-h-policy-loss": (*OWN, stochastic),
    "theorem-4": (*VALUES, own_residual),
    "eq-30": (*VALUES, own_residual),
    "eq-31": (*VALUES, temperature),
    "app-e3-optimal-target": VALUES,
    "app-f3-direct": (*VALUES, temperature),
    "eq-33-always-zero": (*VALUES, regular_features),
    "app-f1-convergence": (*VALUES, regular_features, distributions),
    "eq-35": (*VALUES, regular_features, distributions),
    "app-f1-two-timescales": (step_sizes,),  # S = A = 1, gamma = 0, r = b = 1, so that Q* = 1
    "eq-37-own-policy": VALUES,
    "theorem-5-ii-own-policy": VALUES,
    "theorem-5-iii": within(commute.mdp_of_iii, *VALUES),
    "eq-38": within(commute.mdp_of_38, *VALUES),
    "app-f2-fixed-k": within(fixed_k.mdp_of_printed, *VALUES),
    "app-f1-theorem-2": (*VALUES, q_star_is_optimal, regular_features),
    "talk-limit-dropped-term": (*VALUES, q_star_is_optimal, distributions, temperature),
    "eq-39": (*VALUES, q_star_is_optimal, distributions),
    "eq-41": VALUES,
    "alg-2-temperature": (*VALUES, q_star_is_optimal),
    "talk-limit-j": (*VALUES, distributions, temperature),
    "talk-reverse-kl": (not_above_zero, distributions),
    "talk-merl-elbo": (not_above_zero, distributions, temperature),
    # The design paper, and the sources of its rows
    "design-05": (distributions,),
    "design-10": (distributions, covered, temperature),
    "design-11": (distributions, covered, temperature),
    "design-12": (distributions, temperature),
    "mpo-21": (distributions, temperature),  # a softmax policy, which is smooth in its parameters
    "mpo-23": (distributions, temperature, sizes),
    "mpo-25": (distributions,),
    "mpo-26-27": (spreads,),
    "rerpi-shrinks": (sizes, temperature),
    "vmpo-14-15": (distributions, temperature, sizes),
    "sql-28": (),  # a softmax policy of all actions that exist; the statement has no temperature
    "erpg-advantage-scale": (distributions, temperature),
    "spo-advantage": (distributions,),
    "spo-marginal": (distributions, temperature),
}
"""Hypotheses by claim of a source."""
