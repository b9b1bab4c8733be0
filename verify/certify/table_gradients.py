"""Jobs of App. E, F.3 and H: gradients in every direction of linear features."""

from functools import partial

from verify.certify import actor, draws, gradients, incremental, prepare
from verify.certify import exact_claims as rational
from verify.certify.job import Jobs, differs, equal, featured, proved, refuted

SELF, CONST = "mdp features omega beta", "mdp features omega eps_k"
LOSS = "mdp q features pi_theta d eps"
_direct = [equal(partial(incremental.direct, optimal=optimal, sign=1)) for optimal in (True, False)]
_linear = {"prepare": prepare.log_linear}
_unit = {"prepare": prepare.unit_directions}
_ACTOR = proved("printed", "mdp q features omega d eps", equal(actor.e_step), **_linear)

ACTOR: Jobs = {
    "eq-06": (_ACTOR,),
    "eq-25": (_ACTOR,),
    "app-e4-exchange": (proved("printed", "mdp q features omega d", equal(actor.exchange), **_linear),),
    "app-e4-policy-gradient": (
        proved(
            "printed",
            "mdp features pi_theta v rho dv",
            equal(rational.value_of("pi_theta")),
            equal(rational.visits),
            equal(actor.value_slope),
            equal(actor.policy_gradient),
            prepare=draws.with_policy_values,
            instances=draws.with_features("pi_theta"),
        ),
    ),
    "app-h-policy-loss": (
        refuted("printed", LOSS, differs(actor.score_reading), differs(actor.full_reading), **_unit),
        proved("corrected", LOSS, equal(actor.corrected_loss), **_unit),
    ),
}
NO_REWARD = equal(rational.no_reward)
UNIQUE = equal(incremental.in_all_directions(incremental.unique_maxima))

CRITIC: Jobs = {
    "eq-07": (featured("printed", f"{SELF} pi_theta d", NO_REWARD, equal(gradients.m_step)),),
    "app-e2": (featured("printed", f"{CONST} pi_theta d", equal(incremental.m_step_incremental)),),
    "eq-26": (
        featured(
            "printed",
            SELF,
            NO_REWARD,
            equal(gradients.chain_rule),
            UNIQUE,
            equal(gradients.optimal_chain_rule),
            unique=True,
        ),
    ),
    "app-e3-optimal-target": (
        featured(
            "printed",
            "mdp features omega",
            UNIQUE,
            differs(partial(incremental.optimal_target, gamma=False)),
            refutes=True,
            unique=True,
        ),
        featured(
            "corrected",
            "mdp features omega",
            UNIQUE,
            equal(partial(incremental.optimal_target, gamma=True)),
            unique=True,
        ),
    ),
    "eq-27": (featured("printed", SELF, NO_REWARD, equal(gradients.residual_slope)),),
    "eq-28": (featured("printed", SELF, NO_REWARD, equal(gradients.error_slope)),),
    "eq-29": (featured("printed", SELF, NO_REWARD, equal(gradients.policy_slope)),),
    "def-score": (featured("printed", SELF, NO_REWARD, equal(gradients.log_slope)),),
    "theorem-4": (
        featured("printed", SELF, NO_REWARD, differs(gradients.theorem_4), refutes=True),
        featured("corrected", SELF, NO_REWARD, equal(gradients.theorem_4_corrected)),
    ),
    "eq-30": (
        featured("printed", SELF, NO_REWARD, differs(gradients.eq_30), refutes=True),
        featured("corrected", SELF, NO_REWARD, equal(gradients.eq_30_corrected)),
    ),
    "eq-31": (
        featured(
            "printed", CONST, differs(partial(incremental.eq_31, gamma=False, with_q=False)), refutes=True
        ),
        featured(
            "step-3", CONST, differs(partial(incremental.eq_31, gamma=True, with_q=False)), refutes=True
        ),
        featured("corrected", CONST, equal(partial(incremental.eq_31, gamma=True, with_q=True))),
    ),
    "app-e3-log-derivative-k": (featured("printed", CONST, equal(incremental.log_slope_k)),),
    "app-f3-direct": (
        featured(
            "printed",
            CONST,
            *(differs(partial(incremental.direct, optimal=optimal, sign=-1)) for optimal in (True, False)),
            refutes=True,
        ),
        featured("corrected", CONST, *_direct),
    ),
    "app-f3-direct-m-step": (featured("printed", CONST, *_direct),),
}
