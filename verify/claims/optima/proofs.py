"""Proofs for Theorem 2, Corollary 1, App. C and the VIREL talk's limit of `eps L`."""

from functools import partial
from typing import Any

from verify.arithmetic import exact
from verify.arithmetic.instance import Exact, exactly
from verify.claims.optima import facts
from verify.claims.optima.root_proofs import with_roots
from verify.proofs.draws import other_member
from verify.proofs.facts import above, at_least, differs, equal
from verify.proofs.job import Jobs, proved, refuted
from verify.proofs.shared_facts import IS_OPTIMUM, IS_VISITS, V_OF_PI_THETA, fixed_point
from verify.strategies import instances, mdps, q_tables


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
    x = exactly(instance)
    return with_roots(x.with_parts(q_star=exact.optimal_values(x.mdp)))


def at_optimum(instance: dict[str, Any]) -> Exact:
    """Exact instance at the optimum, `q = q_star`; a policy drawn as `pi` is also `pi_theta`."""
    x = exactly(instance)
    return x.with_parts(q=x.q_star, pi_theta=x.parts.get("pi_theta", x.parts.get("pi")))


def policy_values(instance: dict[str, Any]) -> Exact:
    """Exact instance with Q*, and with V^pi and the discounted state visits of pi_theta."""
    x = exactly(instance)
    v, rho = exact.evaluate_states(x.mdp, x.pi_theta), exact.visits(x.mdp, x.pi_theta)
    return x.with_parts(q_star=exact.optimal_values(x.mdp), v=v, rho=rho)


_TABLES = instances(mdp=mdps(max_states=2, max_actions=3, masked=True), q=q_tables)
STAR, MEMBER = ("mdp", "q", "q_star"), ("mdp", "q", "q_star", "pi_theta", "d")
Q_AND_EPS, ROOTS = ("mdp", "q", "eps"), ("mdp", "q", "ends", "low", "high")
Q_IS_OPTIMUM = equal(fixed_point("q"))
ZERO_IFF_OPTIMAL = equal(facts.zero_iff_optimal)
COLDEST_IFF_OPTIMAL = equal(facts.coldest_root_iff_optimal)
POSITIVE_MEAN = above(facts.mean_of_optimum)
LOSS_BOUNDS = [at_least(partial(facts.loss_bound, entropic=entropic)) for entropic in (False, True)]
_member = {"prepare": other_member}
_optimum = {"prepare": at_optimum}
_shifted = {"prepare": shifted}
_roots = {"prepare": roots}
_values = {"prepare": policy_values}

JOBS: Jobs = {
    "theorem-2": (
        refuted("step-2", MEMBER, IS_OPTIMUM, POSITIVE_MEAN, above(facts.negative_ratio), **_member),
    ),
    "theorem-2-variational-policy": (
        refuted(
            "printed",
            ("mdp", "q_star", "pi_theta", "d", "v"),
            IS_OPTIMUM,
            POSITIVE_MEAN,
            V_OF_PI_THETA,
            differs(facts.loss_of_policy),
            **_member,
        ),
        proved(
            "corrected",
            ("mdp", "q", "pi_theta", "d", "eps"),
            Q_IS_OPTIMUM,
            at_least(facts.policy_divergence),
            *LOSS_BOUNDS,
            **_optimum,
        ),
    ),
    "theorem-2-moreover": (
        proved(
            "corrected",
            ("mdp", "q", "d", "eps"),
            Q_IS_OPTIMUM,
            equal(facts.at_greedy),
            at_least(facts.greedy_above_minimum),
            **_optimum,
        ),
    ),
    "talk-theorem-2-i": (proved("printed", STAR, IS_OPTIMUM, ZERO_IFF_OPTIMAL, **_shifted),),
    "corollary-1-hence": (
        proved(
            "printed",
            STAR,
            IS_OPTIMUM,
            at_least(facts.error_above_distance),
            at_least(facts.error_below_distance),
            **_shifted,
        ),
    ),
    "talk-theorem-2-ii": (
        proved(
            "printed",
            Q_AND_EPS,
            Q_IS_OPTIMUM,
            equal(facts.unique_maxima),
            at_least(facts.mass_off_maximum),
            **_optimum,
        ),
    ),
    "corollary-1": (
        refuted("printed", ROOTS, Q_IS_OPTIMUM, above(facts.largest_root), **_roots),
        proved(
            "corrected",
            (*STAR, "ends", "low", "high"),
            IS_OPTIMUM,
            ZERO_IFF_OPTIMAL,
            COLDEST_IFF_OPTIMAL,
            **_roots,
        ),
    ),
    "corollary-1-ii": (
        proved(
            "printed",
            Q_AND_EPS,
            above(facts.more_than_one_action),
            at_least(facts.least_probability),
            **_optimum,
        ),
    ),
    "app-c-1": (proved("printed", Q_AND_EPS, at_least(facts.loss), *LOSS_BOUNDS),),
    "app-c-2": (
        proved(
            "printed",
            (*STAR, "ends", "low", "high"),
            IS_OPTIMUM,
            above(facts.distance_from_optimum),
            above(facts.smallest_root),
            prepare=roots_of_table,
            instances=_TABLES,
        ),
    ),
    "app-c-3": (
        refuted("printed", ROOTS, above(facts.several_roots), **_roots),
        proved("corrected", ROOTS, equal(facts.odd_roots), **_roots),
    ),
    "talk-limit-j": (
        refuted(
            "printed",
            ("mdp", "q_star", "pi_theta", "v"),
            IS_OPTIMUM,
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
