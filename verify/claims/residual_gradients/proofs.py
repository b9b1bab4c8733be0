"""Jobs of App. E, F.3 and H: gradients in every direction of linear features."""

from functools import partial

from verify.claims.residual_gradients import actor_facts, critic_facts, incremental_facts
from verify.proofs import draws, prepare
from verify.proofs import shared_facts as rational
from verify.proofs.job import Jobs, differs, equal, featured, proved, refuted

SELF, CONST = "mdp features omega beta", "mdp features omega eps_k"
LOSS = "mdp q features pi_theta d eps"
_direct = [equal(partial(incremental_facts.direct, optimal=optimal, sign=1)) for optimal in (True, False)]
_linear = {"prepare": prepare.log_linear}
_unit = {"prepare": prepare.unit_directions}
_ACTOR = proved("printed", "mdp q features omega d eps", equal(actor_facts.e_step), **_linear)

ACTOR: Jobs = {
    "eq-06": (_ACTOR,),
    "eq-25": (_ACTOR,),
    "app-e4-exchange": (proved("printed", "mdp q features omega d", equal(actor_facts.exchange), **_linear),),
    "app-e4-policy-gradient": (
        proved(
            "printed",
            "mdp features pi_theta v rho dv",
            equal(rational.value_of("pi_theta")),
            equal(rational.visits),
            equal(actor_facts.value_slope),
            equal(actor_facts.policy_gradient),
            prepare=draws.with_policy_values,
            instances=draws.with_features("pi_theta"),
        ),
    ),
    "app-h-policy-loss": (
        refuted(
            "printed", LOSS, differs(actor_facts.score_reading), differs(actor_facts.full_reading), **_unit
        ),
        proved("corrected", LOSS, equal(actor_facts.corrected_loss), **_unit),
    ),
}
NO_REWARD = equal(rational.no_reward)
UNIQUE = equal(incremental_facts.in_all_directions(incremental_facts.unique_maxima))

CRITIC: Jobs = {
    "eq-07": (featured("printed", f"{SELF} pi_theta d", NO_REWARD, equal(critic_facts.m_step)),),
    "app-e2": (featured("printed", f"{CONST} pi_theta d", equal(incremental_facts.m_step_incremental)),),
    "eq-26": (
        featured(
            "printed",
            SELF,
            NO_REWARD,
            equal(critic_facts.chain_rule),
            UNIQUE,
            equal(critic_facts.optimal_chain_rule),
            unique=True,
        ),
    ),
    "app-e3-optimal-target": (
        featured(
            "printed",
            "mdp features omega",
            UNIQUE,
            differs(partial(incremental_facts.optimal_target, gamma=False)),
            refutes=True,
            unique=True,
        ),
        featured(
            "corrected",
            "mdp features omega",
            UNIQUE,
            equal(partial(incremental_facts.optimal_target, gamma=True)),
            unique=True,
        ),
    ),
    "eq-27": (featured("printed", SELF, NO_REWARD, equal(critic_facts.residual_slope)),),
    "eq-28": (featured("printed", SELF, NO_REWARD, equal(critic_facts.error_slope)),),
    "eq-29": (featured("printed", SELF, NO_REWARD, equal(critic_facts.policy_slope)),),
    "def-score": (featured("printed", SELF, NO_REWARD, equal(critic_facts.log_slope)),),
    "theorem-4": (
        featured("printed", SELF, NO_REWARD, differs(critic_facts.theorem_4), refutes=True),
        featured("corrected", SELF, NO_REWARD, equal(critic_facts.theorem_4_corrected)),
    ),
    "eq-30": (
        featured("printed", SELF, NO_REWARD, differs(critic_facts.eq_30), refutes=True),
        featured("corrected", SELF, NO_REWARD, equal(critic_facts.eq_30_corrected)),
    ),
    "eq-31": (
        featured(
            "printed",
            CONST,
            differs(partial(incremental_facts.eq_31, gamma=False, with_q=False)),
            refutes=True,
        ),
        featured(
            "step-3", CONST, differs(partial(incremental_facts.eq_31, gamma=True, with_q=False)), refutes=True
        ),
        featured("corrected", CONST, equal(partial(incremental_facts.eq_31, gamma=True, with_q=True))),
    ),
    "app-e3-log-derivative-k": (featured("printed", CONST, equal(incremental_facts.log_slope_k)),),
    "app-f3-direct": (
        featured(
            "printed",
            CONST,
            *(
                differs(partial(incremental_facts.direct, optimal=optimal, sign=-1))
                for optimal in (True, False)
            ),
            refutes=True,
        ),
        featured("corrected", CONST, *_direct),
    ),
    "app-f3-direct-m-step": (featured("printed", CONST, *_direct),),
}
