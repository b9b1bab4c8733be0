"""Jobs of Section 3, App. A, B, D and G, of episodes, and of limits at a given temperature."""

from functools import partial

from verify.claims.methods import episode_facts
from verify.claims.objective import facts as ids
from verify.claims.residual_gradients import actor_facts
from verify.proofs import prepare, soft_facts
from verify.proofs import shared_facts as rational
from verify.proofs.draws import incremental
from verify.proofs.job import Jobs, above, as_drawn, at_least, differs, equal, proved, refuted

G, GD, GQ, GM = "mdp q pi_theta d eps", "mdp q d eps", "mdp q eps", "mdp q pi_theta pi_phi d eps"
DP, DA, EM, MERL = "mdp pi prior alpha", "mdp pi alpha horizon", "joint w", "k1 discount c"
DPH, EPISODE, INCREMENTAL = f"{DP} horizon", "mdp pi c horizon", "mdp q eps_k"
LOTTERY = "chance prize share c"
_worse = (
    above(episode_facts.proper_lottery),
    above(episode_facts.safe_above_mean),
    above(episode_facts.equivalent_above_safe),
)
_hidden = {"prepare": episode_facts.hidden}
_dirac = {"prepare": prepare.dirac_policy}
_two = {"prepare": prepare.two_steps}
_own = {"prepare": as_drawn, "instances": incremental()}

LIKELIHOOD: Jobs = {
    "eq-05": (proved("printed", G, equal(ids.lower_bound)),),
    "eq-11": (
        proved("printed", G, equal(ids.lower_bound)),
        refuted("step-1", G, differs(ids.lower_bound_step)),
    ),
    "theorem-3": (
        refuted("printed", GD, differs(ids.theorem_3_printed)),
        proved("corrected", G, equal(ids.theorem_3)),
    ),
    "eq-23": (refuted("printed", GD, differs(ids.eq_23_printed)), proved("corrected", GD, equal(ids.eq_23))),
    "eq-24": (proved("printed", G, equal(ids.eq_24)),),
    "app-d4-factorisation": (proved("printed", GQ, equal(ids.factorisation)),),
    "eq-10": (proved("printed", GQ, equal(ids.likelihood_as_product), equal(ids.eq_10)),),
    "app-b-action-posterior": (proved("printed", GQ, equal(ids.action_posterior)),),
    "app-b-elbo": (proved("printed", G, equal(ids.elbo), equal(ids.elbo_expansion)),),
    "app-b-minimising": (
        refuted(
            "printed",
            "mdp q_star q pi_theta d eps",
            equal(rational.fixed_point("q_star")),
            above(rational.least_of_optimum),
            equal(rational.own_temperature),
            equal(ids.lowest_policy),
            equal(ids.least_objective),
            above(ids.theta_divergence),
            prepare=prepare.least_policy,
        ),
        proved("corrected", G, equal(ids.shortfall)),
    ),
    "app-g-posterior": (proved("printed", "mdp q pi_phi eps", equal(ids.prior_posterior)),),
    "eq-42": (proved("printed", GM, equal(ids.eq_42)),),
    "eq-42-omega": (
        refuted("printed", GM, differs(ids.eq_42_omega_printed)),
        proved("corrected", GM, equal(ids.eq_42_omega)),
    ),
    "app-g-m-step-prior": (proved("printed", GM, at_least(ids.best_prior)),),
    "eq-09": (proved("printed", EM, equal(episode_facts.marginal), **_hidden),),
    "design-02": (proved("printed", EM, equal(episode_facts.marginal), **_hidden),),
    "design-04": (
        proved(
            "printed",
            EM,
            at_least(episode_facts.marginal_bound),
            equal(episode_facts.posterior_attained),
            **_hidden,
        ),
    ),
    "lemma-1-i-finite": (
        refuted("printed", G, equal(ids.deterministic_policy), above(ids.finite), **_dirac),
        proved("corrected", G, equal(ids.deterministic_policy), equal(ids.without_entropy), **_dirac),
    ),
    "lemma-1-ii-finite": (proved("printed", G, above(ids.positive), at_least(ids.above_minimum)),),
    "eq-43": (
        proved(
            "printed",
            "mdp q features omega pi_phi d eps",
            equal(actor_facts.mpo_e_step),
            prepare=prepare.soft_logits,
        ),
    ),
}
EPISODES: Jobs = {
    "design-05": (
        refuted("printed", "mdp pi", differs(episode_facts.mass_printed)),
        proved("corrected", "mdp pi horizon", equal(episode_facts.mass), **_two),
    ),
    "design-06": (proved("printed", DPH, at_least(episode_facts.evidence_bound), **_two),),
    "design-07": (proved("printed", DPH, equal(episode_facts.by_steps), **_two),),
    "design-10": (
        refuted("printed", DP, differs(partial(episode_facts.soft_values, start=2))),
        proved("corrected", DP, equal(partial(episode_facts.soft_values, start=1))),
    ),
    "design-11": (
        proved(
            "printed", DP, equal(episode_facts.posterior_attains), at_least(episode_facts.no_policy_exceeds)
        ),
    ),
    "design-12": (
        refuted("printed", DA, differs(episode_facts.maximum_entropy_printed), **_two),
        proved("corrected", DA, equal(episode_facts.maximum_entropy), **_two),
    ),
    "pseudo-likelihood-marginal": (
        proved("printed", EPISODE, equal(episode_facts.marginal_evidence), prepare=prepare.episodes),
    ),
    "pseudo-likelihood-jensen": (
        proved("printed", EPISODE, at_least(episode_facts.jensen), prepare=prepare.episodes),
    ),
    "pseudo-likelihood-risk-seeking": (
        refuted(
            "printed", LOTTERY, *_worse, equal(episode_facts.slope_of_printed_fit), prepare=prepare.lottery
        ),
        proved("corrected", LOTTERY, *_worse, above(episode_facts.fitted_lottery), prepare=prepare.lottery),
    ),
    "merl-counterexample": (proved("printed", MERL, equal(episode_facts.merl), prepare=prepare.talk),),
    "merl-counterexample-threshold": (
        proved("printed", MERL, above(episode_facts.merl_threshold), prepare=prepare.talk),
    ),
}
LIMITS: Jobs = {
    "theorem-1-finite": (
        proved(
            "printed",
            "f phi eps",
            equal(soft_facts.maximisers),
            at_least(partial(soft_facts.dirac, side=1)),
            at_least(partial(soft_facts.dirac, side=-1)),
            prepare=prepare.finite_set,
        ),
    ),
    "eq-37": (
        proved(
            "printed",
            INCREMENTAL,
            at_least(partial(soft_facts.rate_above, entropic=False)),
            at_least(partial(soft_facts.rate_below, entropic=False)),
            at_least(partial(soft_facts.rate_above, entropic=True)),
            at_least(partial(soft_facts.rate_below, entropic=True)),
            **_own,
        ),
    ),
    "eq-38": (
        proved(
            "printed",
            INCREMENTAL,
            at_least(partial(soft_facts.rate_above, entropic=False)),
            at_least(partial(soft_facts.rate_above, entropic=True)),
            **_own,
        ),
    ),
    "theorem-5-i": (
        proved(
            "printed",
            INCREMENTAL,
            at_least(soft_facts.target),
            at_least(partial(soft_facts.target_bound, entropic=False)),
            at_least(partial(soft_facts.target_bound, entropic=True)),
            **_own,
        ),
    ),
    "theorem-5-ii": (proved("printed", "mdp q", equal(rational.greedy_limit), prepare=prepare.other_member),),
    "theorem-5-iii": (
        proved(
            "printed",
            "mdp q q_star eps_k",
            equal(rational.fixed_point("q_star")),
            at_least(partial(soft_facts.own_error, name="q")),
            at_least(partial(soft_facts.own_error, name="q_star")),
            at_least(soft_facts.squeeze),
            prepare=prepare.two_members,
        ),
    ),
    "theorem-5-descent": (proved("corrected", INCREMENTAL, at_least(soft_facts.stationary)),),
}
