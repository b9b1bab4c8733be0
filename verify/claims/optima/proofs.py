"""Proofs for Theorem 2, Corollary 1, App. C and the VIREL talk's limit of `eps L`."""

from dataclasses import replace
from functools import partial
from typing import Any

from flint import fmpq
from hypothesis import strategies as st

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.objective import facts as objective
from verify.claims.objective import posterior_facts
from verify.claims.objective.proofs import with_optimum
from verify.claims.optima import facts
from verify.claims.optima.root_proofs import with_roots
from verify.proofs.draws import other_member, small
from verify.proofs.facts import above, at_least, differs, equal, given
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, IS_VISITS, POSITIVE_OPTIMUM, V_OF_PI_THETA, fixed_point
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures


def positive_optimum(instance: dict[str, Any]) -> Exact:
    """Exact instance at the optimum, `q = q_star`, whose rewards are raised until the least value of Q* is 1."""
    x = with_optimum(instance)
    rise = max(fmpq(0), 1 - min(x.q_star))
    raised = tuple(r + (1 - x.mdp.gamma) * rise for r in x.mdp.reward)
    return Exact(replace(x.mdp, reward=raised), x.parts | {"q": tuple(y + rise for y in x.q_star)})


def computed_optimum(instance: dict[str, Any]) -> Exact:
    """Exact instance at the optimum, `q` = Q*, of a drawn MDP."""
    x = with_optimum(instance)
    return x.with_parts(q=x.q_star)


def has_unique_maxima(instance: dict[str, Any]) -> bool:
    """Whether Q* has one best action in every state."""
    x = with_optimum(instance)
    return all(len(ties) == 1 for ties in exact.greedy_sets(x.mdp, x.q_star))


def shifted(instance: dict[str, Any]) -> Exact:
    """Exact instance (rational MDP) with table `q = q_star + shift`, or `q_star` where no shift is drawn."""
    x = exactly(instance)
    shift = x.parts.get("shift") or (0,) * len(x.q_star)
    return x.with_parts(q=tuple(a + b for a, b in zip(x.q_star, shift, strict=True)))


def roots(instance: dict[str, Any]) -> Exact:
    """Exact instance with `q = q_star + shift` and intervals around all its self-consistent temperatures.

    Raises: Open: if the table is too close to a fold.
    """
    return with_roots(shifted(instance))


def roots_of_table(instance: dict[str, Any]) -> Exact:
    """Exact instance with a drawn table `q`, with Q*, and with intervals around all temperatures of the table."""
    return with_roots(with_optimum(instance))


def is_not_optimal(instance: dict[str, Any]) -> bool:
    """Whether the table `q` differs from Q*."""
    x = with_optimum(instance)
    return bool(x.q != x.q_star)


def policy_values(instance: dict[str, Any]) -> Exact:
    """Exact instance with Q*, and with V^pi and the discounted state visits of pi_theta."""
    x = exactly(instance)
    v, rho = exact.evaluate_states(x.mdp, x.pi_theta), exact.visits(x.mdp, x.pi_theta)
    return x.with_parts(q_star=exact.optimal_values(x.mdp), v=v, rho=rho)


_DISCOUNTS = st.sampled_from((0.5, 0.75, 0.9))
_MDPS = mdps(max_states=3, min_actions=2, gammas=_DISCOUNTS, masked=True)
_TABLES = instances(mdp=_MDPS, q=q_tables).filter(is_not_optimal)
POSITIVE_TABLE = given(above(objective.least_value))
STAR, MEMBER = ("mdp", "q", "q_star"), ("mdp", "q", "q_star", "pi_theta", "d")
Q_AND_EPS, ROOTS = ("mdp", "q", "eps"), ("mdp", "q", "ends", "low", "high")
Q_IS_OPTIMUM = given(equal(fixed_point("q")))
NOT_OPTIMAL = given(above(facts.distance_from_optimum))
WITH_ERROR, WITHOUT_ZERO = above(facts.error_of_table), above(facts.smallest_root)
POSITIVE_MEAN = given(above(facts.mean_of_optimum))
LOSS_BOUNDS = [at_least(partial(facts.loss_bound, entropic=entropic)) for entropic in (False, True)]
_member = {"prepare": other_member}
_roots = {"prepare": roots}
_values = {"prepare": policy_values}

JOBS: Jobs = {
    "theorem-2": (
        refuted(
            "step-2",
            MEMBER,
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            POSITIVE_MEAN,
            above(facts.negative_ratio),
            **_member,
        ),
    ),
    "theorem-2-variational-policy": (
        refuted(
            "printed",
            ("mdp", "q_star", "pi_theta", "d", "v"),
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            POSITIVE_MEAN,
            V_OF_PI_THETA,
            differs(facts.loss_of_policy),
            **_member,
        ),
        proved(
            "corrected",
            ("mdp", "q", "pi_theta", "d", "eps"),
            Q_IS_OPTIMUM,
            equal(posterior_facts.shortfall),
            *LOSS_BOUNDS,
            prepare=computed_optimum,
            instances=instances(mdp=_MDPS, pi_theta=policies, d=distributions, eps=temperatures()),
        ),
    ),
    "theorem-2-moreover-finite": (
        proved(
            "printed",
            ("mdp", "q", "d", "eps"),
            Q_IS_OPTIMUM,
            POSITIVE_TABLE,
            equal(facts.at_greedy),
            at_least(facts.greedy_above_minimum),
            prepare=positive_optimum,
            instances=instances(mdp=_MDPS, d=distributions, eps=temperatures()),
        ),
    ),
    "talk-theorem-2-i": (
        proved("printed", STAR, IS_OPTIMUM, NOT_OPTIMAL, WITH_ERROR, prepare=with_optimum, instances=_TABLES),
    ),
    "corollary-1-hence": (
        proved(
            "printed",
            STAR,
            IS_OPTIMUM,
            at_least(facts.error_above_distance),
            at_least(facts.error_below_distance),
            prepare=with_optimum,
            instances=_TABLES,
        ),
    ),
    "talk-theorem-2-ii": (
        proved(
            "printed",
            Q_AND_EPS,
            Q_IS_OPTIMUM,
            given(equal(facts.unique_maxima)),
            at_least(facts.mass_off_maximum),
            prepare=computed_optimum,
            instances=instances(mdp=_MDPS, eps=temperatures()).filter(has_unique_maxima),
        ),
    ),
    "corollary-1": (
        refuted("printed", ROOTS, Q_IS_OPTIMUM, POSITIVE_TABLE, above(facts.largest_root), **_roots),
        proved(
            "corrected",
            (*STAR, "ends", "low", "high"),
            IS_OPTIMUM,
            NOT_OPTIMAL,
            WITH_ERROR,
            WITHOUT_ZERO,
            prepare=roots_of_table,
            instances=_TABLES,
        ),
    ),
    "corollary-1-ii": (
        proved(
            "printed",
            Q_AND_EPS,
            given(above(facts.more_than_one_action)),
            at_least(facts.least_probability),
            prepare=computed_optimum,
            instances=instances(mdp=mdps(max_states=3, min_actions=2, gammas=_DISCOUNTS), eps=temperatures()),
        ),
    ),
    "app-c-1": (
        proved(
            "printed",
            Q_AND_EPS,
            at_least(facts.loss),
            *LOSS_BOUNDS,
            instances=small(q=q_tables, eps=temperatures()),
        ),
    ),
    "app-c-2": (
        proved(
            "printed",
            (*STAR, "ends", "low", "high"),
            IS_OPTIMUM,
            NOT_OPTIMAL,
            WITHOUT_ZERO,
            prepare=roots_of_table,
            instances=_TABLES,
        ),
    ),
    "app-c-3": (
        refuted("printed", ROOTS, above(facts.several_roots), **_roots),
        proved("corrected", ROOTS, equal(facts.odd_roots), prepare=roots_of_table, instances=_TABLES),
    ),
    "talk-limit-j": (
        refuted(
            "printed",
            ("mdp", "q_star", "pi_theta", "v"),
            IS_OPTIMUM,
            POSITIVE_OPTIMUM,
            V_OF_PI_THETA,
            differs(facts.limit_minus_j),
            **_values,
        ),
        proved(
            "corrected",
            ("mdp", "q_star", "pi_theta", "v", "rho"),
            IS_OPTIMUM,
            V_OF_PI_THETA,
            IS_VISITS,
            equal(facts.performance_difference),
            **_values,
        ),
    ),
}
