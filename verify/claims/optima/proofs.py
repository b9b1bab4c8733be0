"""Jobs of optima, self-consistent temperatures, EM, the projected residual error and (2)."""

from functools import partial

from verify.claims.methods import em_proofs
from verify.claims.objective import facts as ids
from verify.claims.projection import projection_facts
from verify.proofs import draws, prepare, soft_facts
from verify.proofs import shared_facts as rational
from verify.proofs.job import Jobs, above, as_drawn, at_least, differs, equal, featured, proved, refuted

G, GQ, ROOTS = "mdp q pi_theta d eps", "mdp q eps", "mdp q ends low high"
STAR, OTHER = "mdp q q_star", "mdp q q_star pi_theta d"
CURVE, SQUARE = "mdp features hessian omega pi zeta dzeta", "mdp beta features zeta"
AT_STAR, AT_Q = equal(rational.fixed_point("q_star")), equal(rational.fixed_point("q"))
OF_THETA, OF_PI = equal(rational.value_of("pi_theta")), equal(rational.value_of("pi"))
ZERO_IFF, POSITIVE = equal(rational.zero_iff_optimal), above(rational.mean_of_optimum)
COLDEST = equal(rational.coldest_root_iff_optimal)
COLD = [at_least(partial(soft_facts.loss_bound, entropic=entropic)) for entropic in (False, True)]
CURVED = equal(projection_facts.curved_normal_equation), equal(projection_facts.curved_slope_equation)
_member = {"prepare": prepare.other_member}
_optimum = {"prepare": prepare.at_optimum}
_shifted = {"prepare": prepare.shifted}
_roots = {"prepare": prepare.roots}
_values = {"prepare": prepare.policy_values}
_curved = {"prepare": as_drawn, "instances": draws.curved()}
_beta = {"prepare": as_drawn, "instances": draws.projected("beta")}

OPTIMA: Jobs = {
    "theorem-2": (
        proved("printed", OTHER, AT_STAR, POSITIVE, ZERO_IFF, **_member),
        refuted("step-2", OTHER, AT_STAR, POSITIVE, above(rational.negative_ratio), **_member),
    ),
    "theorem-2-variational-policy": (
        refuted(
            "printed",
            "mdp q_star pi_theta d v",
            AT_STAR,
            POSITIVE,
            OF_THETA,
            differs(rational.loss_of_policy),
            **_member,
        ),
        proved("corrected", G, AT_Q, at_least(ids.gibbs), *COLD, **_optimum),
    ),
    "theorem-2-moreover": (
        proved(
            "corrected",
            "mdp q d eps",
            AT_Q,
            equal(ids.at_greedy),
            at_least(ids.greedy_above_minimum),
            **_optimum,
        ),
    ),
    "talk-theorem-2-i": (proved("printed", STAR, AT_STAR, ZERO_IFF, **_shifted),),
    "corollary-1-hence": (proved("printed", STAR, AT_STAR, ZERO_IFF, **_shifted),),
    "talk-theorem-2-ii": (
        proved(
            "printed",
            "mdp q eps",
            AT_Q,
            equal(rational.unique_maxima),
            at_least(soft_facts.mass_off_maximum),
            **_optimum,
        ),
    ),
    "corollary-1": (
        refuted("printed", ROOTS, AT_Q, above(rational.largest_root), **_roots),
        proved("corrected", f"{STAR} ends low high", AT_STAR, ZERO_IFF, COLDEST, **_roots),
    ),
    "corollary-1-ii": (
        refuted("printed", "mdp q", equal(rational.one_action), above(rational.residual_error), **_shifted),
        proved(
            "corrected", GQ, above(soft_facts.two_actions), at_least(soft_facts.least_probability), **_optimum
        ),
    ),
    "app-c-1": (proved("printed", GQ, at_least(soft_facts.loss), *COLD),),
    "app-c-2": (proved("printed", f"{STAR} ends low high", AT_STAR, COLDEST, **_roots),),
    "app-c-3": (
        refuted("printed", ROOTS, above(rational.several_roots), **_roots),
        proved("corrected", ROOTS, equal(rational.odd_roots), **_roots),
    ),
    "talk-limit-j": (
        refuted(
            "printed",
            "mdp q_star pi_theta v",
            AT_STAR,
            OF_THETA,
            differs(rational.limit_less_j),
            **_values,
        ),
        proved(
            "corrected",
            "mdp q_star pi_theta v rho",
            AT_STAR,
            OF_THETA,
            equal(rational.visits),
            equal(rational.performance_difference),
            **_values,
        ),
    ),
    "eq-02": (
        proved(
            "printed",
            "mdp beta weight c p_norm",
            equal(rational.mean_of_powers),
            equal(rational.half_mean),
            equal(rational.mean_square),
            equal(rational.uniform_weights),
            equal(rational.power_zero),
            equal(rational.weighted_zero),
            equal(rational.mean_zero),
            prepare=prepare.residual_norms,
        ),
    ),
}
_EM = proved(
    "printed",
    "mdp tables",
    equal(em_proofs.starts_at(lambda x: [0 * r for r in x.mdp.reward])),
    equal(em_proofs.as_policy_iteration),
    equal(em_proofs.last_is_optimal),
    prepare=prepare.em,
)
ITERATIONS: Jobs = {
    "eq-39": (
        _EM,
        refuted(
            "step-1",
            "mdp q_star pi d v",
            AT_STAR,
            above(rational.least_of_optimum),
            OF_PI,
            above(rational.m_step_premise),
            prepare=prepare.value_of_pi,
        ),
    ),
    "eq-40": (_EM,),
    "app-f5-policy-iteration": (_EM,),
    "eq-41": (
        refuted("printed", "mdp q", differs(em_proofs.printed_value_step)),
        proved(
            "corrected",
            "mdp q tables",
            equal(em_proofs.starts_at(em_proofs.first_iterate)),
            equal(em_proofs.greedy_steps),
            equal(em_proofs.value_iteration),
            prepare=prepare.fixed_target,
        ),
    ),
}
_AT_REST = proved(
    "printed",
    SQUARE,
    equal(projection_facts.normal_equation("beta")),
    equal(projection_facts.at_rest),
    equal(projection_facts.orthogonal),
    **_beta,
)
PROJECTION: Jobs = {
    "eq-32": (
        proved(
            "printed",
            "mdp q features zeta other",
            equal(projection_facts.normal_equation("q")),
            equal(projection_facts.rise),
            prepare=as_drawn,
            instances=draws.projected("q"),
        ),
    ),
    "eq-33": (
        proved(
            "printed",
            SQUARE,
            equal(projection_facts.normal_equation("beta")),
            equal(projection_facts.both_forms),
            prepare=prepare.projected_residual,
        ),
    ),
    "eq-33-always-zero": (
        refuted(
            "printed",
            "mdp features",
            differs(projection_facts.not_zero_at_zero),
            at_least(projection_facts.no_zero_above),
            at_least(projection_facts.no_zero_below),
            prepare=prepare.one_feature,
        ),
        featured(
            "corrected",
            "mdp features pi",
            differs(projection_facts.regular),
            equal(projection_facts.zero_of_policy),
            equal(projection_facts.slope_of_moment),
            n_features=1,
            regular=True,
        ),
    ),
    "app-f1-convergence": (
        refuted(
            "printed",
            "mdp q_star features pi",
            AT_STAR,
            above(rational.least_of_optimum),
            equal(projection_facts.constant_moment),
            above(projection_facts.error_left),
            prepare=prepare.at_optimum_with_feature,
        ),
        featured(
            "corrected",
            "mdp features omega pi",
            differs(projection_facts.regular),
            equal(projection_facts.slope_of_error),
            n_features=1,
            regular=True,
        ),
    ),
    "eq-34": (_AT_REST,),
    "def-projection": (_AT_REST,),
    "def-masked-projection": (_AT_REST,),
    "app-f1-gradient": (
        proved("printed", CURVE, *CURVED, equal(projection_facts.projected_gradient), **_curved),
    ),
    "eq-35": (
        refuted(
            "printed", f"{CURVE} step", *CURVED, differs(projection_facts.update(scaled=False)), **_curved
        ),
        proved("corrected", f"{CURVE} step", *CURVED, equal(projection_facts.update(scaled=True)), **_curved),
    ),
}
