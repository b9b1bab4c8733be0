"""Proofs for App. E, F.3 and H: gradients of actor and critic, in every direction of linear features."""

from functools import partial
from typing import Any

from flint import fmpq

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.objective.proofs import OWN_TEMPERATURE, with_optimum
from verify.claims.residual_gradients import actor_facts, critic_facts, incremental_facts
from verify.proofs.draws import tiny, with_features, with_unit_features
from verify.proofs.facts import differs, equal, given
from verify.proofs.job import Jobs, featured, proved, refuted
from verify.proofs.shared_facts import IS_VISITS, V_OF_PI_THETA, rational
from verify.strategies import distributions, q_tables, temperatures


def soft_logits(instance: dict[str, Any]) -> Exact:
    """Exact instance of a tabular softmax policy: unit vectors as `features`, logits `theta` as `omega`."""
    x = exactly({name: part for name, part in instance.items() if name != "theta"})
    return with_unit_features(x).with_parts(omega=exact.table_of(x.mdp, instance["theta"], name="theta"))


def unit_directions(instance: dict[str, Any]) -> Exact:
    """Exact instance with unit vectors as `features`: directions of the logits of a softmax at pi_theta."""
    return with_unit_features(with_optimum(instance))


def with_policy_values(x: Exact) -> Exact:
    """Exact instance with V^pi of pi_theta as `v`, its derivatives `dv`, and discounted visits `rho`.

    There is one derivative per direction of the features.
    """
    pi, mdp = x.pi_theta, x.mdp
    v, rho = exact.evaluate_states(mdp, pi), exact.visits(mdp, pi)
    q, slopes = mdp.backup(v), []
    for b in x.features:
        centre = mdp.mean(pi, b)
        d_pi = [p * (f - centre[s]) for p, f, (s, _) in zip(pi, b, mdp.pairs, strict=True)]
        gain = mdp.mean(d_pi, q)
        slopes.append(exact.solve_states(mdp, pi, gain))
    return x.with_parts(v=v, rho=rho, dv=slopes)


@rational
def no_reward(x: Exact) -> list[fmpq]:
    """Rewards of an exact instance, once per direction: zero, as they are derived from `beta` instead."""
    return [r for _ in x.features for r in x.mdp.reward]


def has_unique_maxima(x: Exact) -> bool:
    """Whether the linear critic Q = omega . features has one maximiser in every state."""
    return all(y == 0 for y in incremental_facts.unique_maxima(x))


SELF_CONSISTENT = ("mdp", "features", "omega", "beta")
CONSTANT = ("mdp", "features", "omega", "eps_k")
LINEAR, LOSS = ("mdp", "features", "omega"), ("mdp", "q", "features", "pi_theta", "d", "eps")
NO_REWARD = given(equal(no_reward))
UNIQUE = given(equal(incremental_facts.in_all_directions(incremental_facts.unique_maxima)))
DIRECT = [equal(partial(incremental_facts.direct, optimal=optimal, sign=1)) for optimal in (True, False)]
ACTOR = ("mdp", "q", "features", "omega", "d", "eps")
_unit = {"prepare": unit_directions}

JOBS: Jobs = {
    "eq-06": (
        proved(
            "printed",
            ACTOR,
            equal(actor_facts.e_step),
            prepare=soft_logits,
            instances=tiny(q=q_tables, theta=q_tables, d=distributions, eps=temperatures()),
        ),
    ),
    "eq-25": (featured("printed", ACTOR, equal(actor_facts.e_step)),),
    "app-e4-exchange": (
        featured("printed", ("mdp", "q", "features", "omega", "d"), equal(actor_facts.exchange)),
    ),
    "app-e4-policy-gradient": (
        proved(
            "printed",
            ("mdp", "features", "pi_theta", "v", "rho", "dv"),
            V_OF_PI_THETA,
            IS_VISITS,
            given(equal(actor_facts.value_slope)),
            equal(actor_facts.policy_gradient),
            prepare=with_policy_values,
            instances=with_features("pi_theta"),
        ),
    ),
    "app-h-policy-loss": (
        refuted(
            "printed",
            ("mdp", "q_star", *LOSS[1:]),
            *OWN_TEMPERATURE,
            differs(actor_facts.score_reading),
            differs(actor_facts.full_reading),
            **_unit,
        ),
        featured("corrected", LOSS, equal(actor_facts.corrected_loss)),
    ),
    "eq-07": (
        featured("printed", (*SELF_CONSISTENT, "pi_theta", "d"), NO_REWARD, equal(critic_facts.m_step)),
    ),
    "app-e2": (
        featured("printed", (*CONSTANT, "pi_theta", "d"), equal(incremental_facts.m_step_incremental)),
    ),
    "eq-26": (
        featured(
            "printed",
            SELF_CONSISTENT,
            NO_REWARD,
            equal(critic_facts.chain_rule),
            UNIQUE,
            equal(critic_facts.optimal_chain_rule),
            where=has_unique_maxima,
        ),
    ),
    "app-e3-optimal-target": (
        featured(
            "printed",
            LINEAR,
            UNIQUE,
            differs(partial(incremental_facts.optimal_target, gamma=False)),
            refutes=True,
            where=has_unique_maxima,
        ),
        featured(
            "corrected",
            LINEAR,
            UNIQUE,
            equal(partial(incremental_facts.optimal_target, gamma=True)),
            where=has_unique_maxima,
        ),
    ),
    "eq-27": (featured("printed", SELF_CONSISTENT, NO_REWARD, equal(critic_facts.residual_slope)),),
    "eq-28": (featured("printed", SELF_CONSISTENT, NO_REWARD, equal(critic_facts.error_slope)),),
    "eq-29": (featured("printed", SELF_CONSISTENT, NO_REWARD, equal(critic_facts.policy_slope)),),
    "theorem-4": (
        featured("printed", SELF_CONSISTENT, NO_REWARD, differs(critic_facts.theorem_4), refutes=True),
        featured("corrected", SELF_CONSISTENT, NO_REWARD, equal(critic_facts.theorem_4_corrected)),
    ),
    "eq-30": (
        featured("printed", SELF_CONSISTENT, NO_REWARD, differs(critic_facts.eq_30), refutes=True),
        featured("corrected", SELF_CONSISTENT, NO_REWARD, equal(critic_facts.eq_30_corrected)),
    ),
    "eq-31": (
        featured(
            "printed",
            CONSTANT,
            differs(partial(incremental_facts.eq_31, gamma=False, with_q=False)),
            refutes=True,
        ),
        featured(
            "step-3",
            CONSTANT,
            differs(partial(incremental_facts.eq_31, gamma=True, with_q=False)),
            refutes=True,
        ),
        featured("corrected", CONSTANT, equal(partial(incremental_facts.eq_31, gamma=True, with_q=True))),
    ),
    "app-e3-log-derivative-k": (featured("printed", CONSTANT, equal(incremental_facts.log_slope_k)),),
    "app-f3-direct": (
        featured(
            "printed",
            CONSTANT,
            *(
                differs(partial(incremental_facts.direct, optimal=optimal, sign=-1))
                for optimal in (True, False)
            ),
            refutes=True,
        ),
        featured("corrected", CONSTANT, *DIRECT),
    ),
    "app-f3-direct-m-step": (featured("printed", CONSTANT, *DIRECT),),
}
