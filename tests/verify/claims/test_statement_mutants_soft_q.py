"""Deliberate errors in the statements on soft Q-learning and policy gradients: each must be refuted.

A mutant replaces the function that holds one side of a statement. Not among them: the constant 1 of (28),
which the score's mean of 0 makes irrelevant.
"""

import dataclasses

import numpy as np
import pytest

from verify.claims.soft_q import bandit, bonus, contraction, n_step, natural, stein, value_samples
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict

N_INSTANCES = 40


def scaled(function, factor):
    return lambda *args, **options: factor * function(*args, **options)


def parts(function, *factors):
    """The function with each of the arrays that it returns multiplied by a factor."""
    return lambda *args, **options: tuple(
        f * x for f, x in zip(factors, function(*args, **options), strict=True)
    )


def no_mean(q, pi, *, alpha, n, perturb):
    return value_samples_expected(q, pi, alpha=alpha, n=n, perturb=perturb) + alpha * np.log(n)


value_samples_expected = value_samples.expected


def moved(function, **changes):
    """`n_step.printed` with factors on the parts that it adds up."""
    return lambda x, tau, perturb: function(
        x._replace(**{name: change(tau) * getattr(x, name) for name, change in changes.items()}), tau, perturb
    )


def squashed(sign=1.0, power=1, cold=False):
    """Score of u with errors: sign of 2a, power of 1 - a^2, temperature left out."""

    def score(u, *, q, alpha):
        a = np.tanh(np.asarray(u))
        return (1 - a**2) ** power * q.deriv()(a) / (1 if cold else alpha) - sign * 2 * a

    return score


MUTANTS = [
    ("sql-contraction", contraction, "factor", lambda gamma: gamma**2 / 2),
    ("sql-contraction", contraction, "factor", lambda gamma: gamma / 2),
    ("sql-contraction", contraction, "factor", lambda gamma: (1 - gamma) / 4),
    ("sql-improvement", contraction, "improved", lambda q, on, alpha: _improved(-q, on, alpha)),
    ("sql-improvement", contraction, "improved", lambda q, on, alpha: _improved(0 * q, on, alpha)),
    ("sql-improvement", contraction, "improved", lambda q, on, alpha: _improved(q[:, ::-1], on, alpha)),
    ("sql-value-samples", value_samples, "expected", no_mean),
    ("sql-value-samples", value_samples, "expected", scaled(value_samples.expected, 1.01)),
    (
        "sql-value-samples",
        value_samples,
        "expected",
        lambda q, pi, *, alpha, n, perturb: value_samples_expected(
            q, pi, alpha=2 * alpha, n=n, perturb=perturb
        ),
    ),
    ("sql-policy-proposal", value_samples, "softmax", lambda x, axis: _softmax(2 * x, axis=axis)),
    (
        "sql-policy-proposal",
        value_samples,
        "softmax",
        lambda x, axis: _softmax(np.where(np.isfinite(x), -x, x), axis=axis),
    ),
    (
        "sql-policy-proposal",
        value_samples,
        "softmax",
        lambda x, axis: np.isfinite(x) / np.isfinite(x).sum(axis=axis, keepdims=True),
    ),
    ("sql-stein", stein, "squashed_score", squashed(sign=-1.0)),
    ("sql-stein", stein, "squashed_score", squashed(power=0)),
    ("sql-stein", stein, "squashed_score", squashed(cold=True)),
    (
        "sql-stein-one",
        stein,
        "log_density",
        lambda u, q, alpha: _log_density(u, q, alpha) + np.log(np.cosh(u)),
    ),
    ("sql-stein-one", stein, "log_density", lambda u, q, _: _log_density(u, q, 1.0)),
    ("sql-stein-one", stein, "log_density", lambda u, q, alpha: -_log_density(u, q, alpha)),
    ("sql-stein-boundary", stein, "boundary", scaled(stein.boundary, -1)),
    ("sql-stein-boundary", stein, "boundary", scaled(stein.boundary, 0)),
    ("sql-stein-boundary", stein, "boundary", lambda end, f, alpha: _boundary(end, f, 2 * alpha)),
    ("sql-stein-space", stein, "target_power", lambda: 2),
    ("sql-stein-space", stein, "target_power", lambda: 0),
    ("sql-stein-space", stein, "target_power", lambda: -1),
    ("sql-28", bonus, "_entropy_gradients", parts(bonus._entropy_gradients, 1, 1, -1)),
    ("sql-28", bonus, "_entropy_gradients", parts(bonus._entropy_gradients, 1, 1, 2)),
    ("sql-28", bonus, "_entropy_gradients", parts(bonus._entropy_gradients, 1, -1, 1)),
    ("erpg-bandit", bandit, "printed", lambda *x, weight: _bandit(*x, weight=-weight)),
    ("erpg-bandit", bandit, "printed", lambda *x, weight: _bandit(*x, weight=weight / x[3])),
    ("erpg-bandit", bandit, "printed", scaled(bandit.printed, 2)),
    ("erpg-n-step", n_step, "printed", moved(n_step.printed, score=lambda _: -1)),
    ("erpg-n-step", n_step, "printed", moved(n_step.printed, kl=lambda tau: 1 / tau)),
    ("erpg-n-step", n_step, "printed", moved(n_step.printed, value=lambda _: 2)),
    ("erpg-n-step", n_step, "printed", moved(n_step.printed, score=lambda tau: 1 / tau)),
    ("erpg-coefficient", n_step, "value_weight", lambda tau: tau),
    ("erpg-coefficient", n_step, "value_weight", lambda _: 1.0),
    ("erpg-coefficient", n_step, "value_weight", lambda tau: 2 / tau),
    ("erpg-advantage-scale", n_step, "advantage_scale", lambda tau: tau),
    ("erpg-advantage-scale", n_step, "advantage_scale", lambda _: 1.0),
    ("erpg-advantage-scale", n_step, "advantage_scale", lambda tau: 1 / tau**2),
    ("erpg-natural", natural, "step_size", lambda tau: tau),
    ("erpg-natural", natural, "step_size", lambda _: 1.0),
    ("erpg-natural", natural, "step_size", lambda tau: -1 / tau),
    ("erpg-naive-bonus", bonus, "proper", lambda x, weight: _proper(x, -weight)),
    ("erpg-naive-bonus", bonus, "proper", lambda x, weight: _proper(x, weight / 2)),
    ("erpg-naive-bonus", bonus, "proper", lambda x, weight: _proper(x, weight) - 2 * x.naive),
    ("erpg-uniform-kl", bonus, "_difference", lambda mdp, pi, tau: _return(mdp, pi, tau, 0.0)),
    ("erpg-uniform-kl", bonus, "_difference", lambda mdp, pi, tau: _return(mdp, pi, tau, 1.0)),
    (
        "erpg-uniform-kl",
        bonus,
        "_difference",
        lambda mdp, pi, tau: _return(mdp, pi, tau, 0.0) - _return(mdp, pi, 2 * tau, 1.0),
    ),
    ("erpg-uniform-kl-episodes", bonus, "per_step", scaled(bonus.per_step, -1)),
    ("erpg-uniform-kl-episodes", bonus, "per_step", lambda mdp, _: np.log(mdp.n_actions)),
    ("erpg-uniform-kl-episodes", bonus, "per_step", lambda mdp, tau: tau * np.log(mdp.n_actions + 1)),
    ("erpg-fixed-point", bonus, "optimal_logits", lambda q, prior, tau: _logits(q, prior, 2 * tau)),
    ("erpg-fixed-point", bonus, "optimal_logits", lambda q, prior, tau: _logits(-q, prior, tau)),
    ("erpg-fixed-point", bonus, "optimal_logits", lambda q, _, tau: q / tau),
]
_improved, _softmax, _log_density = contraction.improved, value_samples.softmax, stein.log_density
_boundary, _bandit, _proper, _logits = stein.boundary, bandit.printed, bonus.proper, bonus.optimal_logits


def _return(mdp, pi, tau, rho):
    even = mdp.available / mdp.n_actions
    return bonus.regularised_objective(mdp, pi=pi, prior=even, alpha=tau, exponent=rho)


def check_that_holds(claim):
    return claim.correction.check if claim.expected is Verdict.REFUTED else claim.check


@pytest.mark.parametrize(
    ("claim_id", "module", "name", "mutant"),
    MUTANTS,
    ids=[f"{claim_id}-{i}" for i, (claim_id, *_) in enumerate(MUTANTS)],
)
def test_a_wrong_statement_is_refuted(monkeypatch, claim_id, module, name, mutant):
    monkeypatch.setattr(module, name, mutant)
    check = dataclasses.replace(check_that_holds(all_claims()[claim_id]), n_random=N_INSTANCES)
    with np.errstate(all="ignore"):
        assert not run_check(check, seed=0, shrink=False).ok


def test_every_claim_of_the_topic_has_three_mutants():
    counts = {claim_id: 0 for claim_id in all_claims() if claim_id.startswith(("sql-", "erpg-"))}
    for claim_id, *_ in MUTANTS:
        counts[claim_id] += 1
    assert min(counts.values()) >= 3, counts
