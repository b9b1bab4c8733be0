"""Proofs for Section 3, Lemma 1, Theorem 3 and App. A, B and D: objective, its bound, the posterior."""

from typing import Any

from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.exact import distribution_of, fractions
from verify.arithmetic.instance import Exact, exactly, without_mdp
from verify.claims.objective import facts, latent_facts, posterior_facts
from verify.proofs.draws import positive_tables, small
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, POSITIVE_OPTIMUM
from verify.strategies import distributions, policies, q_tables, temperatures

WITH_POLICY = ("mdp", "q", "pi_theta", "d", "eps")
Q_AND_EPS, HIDDEN, LATENT = ("mdp", "q", "eps"), ("joint", "w"), ("joint", "w", "p_z")


def hidden_variables(instance: dict[str, Any]) -> Exact:
    """Exact instance of a hidden-variable model: joint weights p(x, h) as `joint`, q(h) as `w`."""
    joint = fractions(instance["joint"], name="joint")
    return without_mdp(joint=joint, w=distribution_of(instance["q"], name="q"))


def latent_variables(instance: dict[str, Any]) -> Exact:
    """Exact instance of a latent-variable model: likelihood p(x|z) as `joint`, q(z|x) as `w`, prior as `p_z`."""
    w, p_z = (distribution_of(instance[name], name=name) for name in ("q", "prior"))
    return without_mdp(joint=fractions(instance["likelihood"], name="likelihood"), w=w, p_z=p_z)


def dirac_policy(instance: dict[str, Any]) -> Exact:
    """Exact instance whose pi_theta takes the action that `actions` names, one index per state.

    Numbers are modulo that of the actions.
    """
    x = exactly({name: part for name, part in instance.items() if name != "actions"})
    chosen = [own[int(k) % len(own)] for own, k in zip(x.mdp.of_state, instance["actions"], strict=False)]
    return x.with_parts(pi_theta=exact.deterministic(x.mdp, chosen))


def least_policy(instance: dict[str, Any]) -> Exact:
    """Exact instance whose pi_theta takes in each state the first action of least Q."""
    x = exactly(instance)
    worst = exact.first_greedy(x.mdp, [-y for y in x.q])
    return x.with_parts(pi_theta=exact.deterministic(x.mdp, worst))


def with_optimum(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with Q* as `q_star`."""
    x = exactly(instance)
    return x.with_parts(q_star=exact.optimal_values(x.mdp))


_ON_Q = small(q=q_tables, eps=temperatures())
_ON_POLICY = small(q=q_tables, pi_theta=policies, d=distributions, eps=temperatures())
_RAISED = small(q=positive_tables, pi_theta=policies, d=distributions, eps=temperatures())
_CHOSEN = small(
    q=q_tables,
    actions=st.lists(st.integers(0, 5), min_size=3, max_size=3),
    d=distributions,
    eps=temperatures(),
)
OWN_TEMPERATURE = (IS_OPTIMUM, POSITIVE_OPTIMUM, given(equal(posterior_facts.own_temperature)))
"""Facts on a counterexample: its Q* is positive, and eps is the residual error of its Q under T*, with c = 1."""
_own = {"prepare": with_optimum}
_hidden = {"prepare": hidden_variables}
_latent = {"prepare": latent_variables}
_dirac: dict[str, Any] = {"prepare": dirac_policy, "instances": _CHOSEN}

JOBS: Jobs = {
    "eq-05": (proved("printed", WITH_POLICY, equal(facts.lower_bound), instances=_ON_POLICY),),
    "eq-11": (
        proved("printed", WITH_POLICY, equal(facts.lower_bound), instances=_ON_POLICY),
        refuted(
            "step-1",
            ("mdp", "q_star", *WITH_POLICY[1:]),
            *OWN_TEMPERATURE,
            differs(facts.lower_bound_step),
            **_own,
        ),
    ),
    "theorem-3": (
        refuted(
            "printed",
            ("mdp", "q_star", "q", "d", "eps"),
            *OWN_TEMPERATURE,
            above(facts.theorem_3_printed),
            **_own,
        ),
        proved(
            "corrected",
            WITH_POLICY,
            equal(facts.theorem_3),
            equal(facts.maximum_attained),
            at_least(facts.divergence),
            instances=_ON_POLICY,
        ),
    ),
    "eq-23": (
        refuted(
            "printed",
            ("mdp", "q_star", "q", "d", "eps"),
            *OWN_TEMPERATURE,
            above(facts.eq_23_printed),
            **_own,
        ),
        proved(
            "corrected",
            WITH_POLICY,
            equal(facts.eq_23),
            at_least(facts.divergence),
            at_least(facts.divergence),
            instances=_ON_POLICY,
        ),
    ),
    "eq-24": (proved("printed", WITH_POLICY, equal(facts.eq_24), instances=_ON_POLICY),),
    "app-d4-factorisation": (proved("printed", Q_AND_EPS, equal(facts.factorisation), instances=_ON_Q),),
    "eq-10": (
        proved(
            "printed",
            Q_AND_EPS,
            equal(posterior_facts.likelihood_as_product),
            equal(posterior_facts.eq_10),
            instances=_ON_Q,
        ),
    ),
    "app-b-action-posterior": (
        proved("printed", Q_AND_EPS, equal(posterior_facts.action_posterior), instances=_ON_Q),
    ),
    "app-b-elbo": (
        proved(
            "printed",
            WITH_POLICY,
            equal(posterior_facts.elbo),
            equal(posterior_facts.elbo_expansion),
            instances=_ON_POLICY,
        ),
    ),
    "app-b-minimising": (
        refuted(
            "printed",
            ("mdp", "q_star", "q", "pi_theta", "d", "eps"),
            *OWN_TEMPERATURE,
            equal(posterior_facts.lowest_policy),
            equal(posterior_facts.least_objective),
            above(posterior_facts.theta_divergence),
            prepare=least_policy,
        ),
        proved("corrected", WITH_POLICY, equal(posterior_facts.shortfall), instances=_ON_POLICY),
    ),
    "eq-09": (proved("printed", HIDDEN, equal(latent_facts.marginal), **_hidden),),
    "design-02": (proved("printed", LATENT, equal(latent_facts.design_marginal), **_latent),),
    "design-04": (
        proved(
            "printed",
            LATENT,
            at_least(latent_facts.design_bound),
            equal(latent_facts.boltzmann_attains),
            **_latent,
        ),
    ),
    "lemma-1-i-finite": (
        proved(
            "printed",
            WITH_POLICY,
            given(equal(facts.deterministic_policy)),
            equal(facts.without_entropy),
            **_dirac,
        ),
    ),
    "lemma-1-ii-finite": (
        proved(
            "printed",
            WITH_POLICY,
            given(above(facts.least_value)),
            at_least(facts.above_minimum),
            instances=_RAISED,
        ),
    ),
}
