"""Claims on learned priors with one error in the statement: sign, factor, index. Every verdict turns."""

import dataclasses

import numpy as np
import pytest

from tests.support.statement_mutants import mutant, turns
from verify.claims.priors import ascent
from verify.engine.registry import all_claims
from verify.engine.runner import run_check

DISTRAL, LIMITS = "verify.claims.priors.distral", "verify.claims.priors.distral_limits"
HIDDEN = "verify.claims.priors.hidden"
HIERARCHY, ASCENT = "verify.claims.priors.hierarchy", "verify.claims.priors.ascent"


def times(factor):
    """The original's result times a factor."""
    return lambda f: lambda *args, **settings: factor * f(*args, **settings)


def costs_with(change):
    """The cost at another temperature and exponent."""
    return lambda f: lambda pi, prior, alpha, rho: f(pi, prior, *change(alpha, rho))


def plain_mean(_):
    """The M-step that weighs all tasks alike."""
    return lambda policies, *_, **__: np.mean(policies, axis=0)


def without_discount(_):
    """Visits that count the first state only."""
    return lambda mdp, _: mdp.initial / (1 - mdp.gamma)


MUTANTS = [
    mutant("distral-blocks", "sign of the cost", DISTRAL, "costs", times(-1)),
    mutant("distral-blocks", "1 - rho", DISTRAL, "costs", costs_with(lambda a, r: (a, 1 - r))),
    mutant("distral-blocks", "half the temperature", DISTRAL, "costs", costs_with(lambda a, r: (a / 2, r))),
    mutant("distral-blocks", "maximum for log-sum-exp", DISTRAL, "logsumexp", lambda _: np.max),
    mutant("distral-blocks", "M-step without weights", DISTRAL, "prior_distilled", plain_mean),
    mutant("distral-monotone", "sign of the cost", DISTRAL, "costs", times(-1)),
    mutant("distral-monotone", "weights of the first state", DISTRAL, "visits", without_discount),
    mutant("distral-monotone", "mixture without weights", DISTRAL, "mixture", plain_mean),
    mutant(
        "distral-decoupled",
        "a uniform prior",
        LIMITS,
        "logsumexp",
        lambda f: lambda x, axis: f(x, axis) - np.log(x.shape[1]),
    ),
    mutant(
        "distral-decoupled",
        "twice the temperature",
        LIMITS,
        "soft_policy_iteration",
        lambda f: lambda task, c, **s: f(task, c=2 * c, **s),
    ),
    mutant("distral-decoupled", "maximum for log-sum-exp", LIMITS, "logsumexp", lambda _: np.max),
    mutant(
        "distral-deterministic",
        "rate 1/K^3",
        LIMITS,
        "rate",
        lambda f: lambda mdp, alpha, k: f(mdp, alpha, k**3),
        form="correction",
    ),
    mutant(
        "distral-deterministic",
        "no 1/(1 - gamma)",
        LIMITS,
        "rate",
        lambda f: lambda mdp, alpha, k: (1 - mdp.gamma) * f(mdp, alpha, k),
        form="correction",
    ),
    mutant(
        "distral-deterministic", "cost with the wrong sign", LIMITS, "costs", times(-1), form="correction"
    ),
    mutant(
        "distral-distilled",
        "no exponent",
        DISTRAL,
        "lost_by_prior",
        lambda f: lambda w, kl, alpha, _: f(w, kl, alpha, 1.0),
    ),
    mutant(
        "distral-distilled",
        "no temperature",
        DISTRAL,
        "lost_by_prior",
        lambda f: lambda w, kl, _, rho: f(w, kl, 1.0, rho),
    ),
    mutant("distral-distilled", "sign", DISTRAL, "lost_by_prior", times(-1)),
    mutant(
        "distral-distilled",
        "weights that sum to 1",
        DISTRAL,
        "lost_by_prior",
        lambda f: lambda w, *rest: f(w / w.sum(), *rest),
    ),
    mutant("distral-distilled", "weights of the first state", DISTRAL, "visits", without_discount),
    mutant("iadp-information", "sign of the information", HIDDEN, "conditional_information", times(-1)),
    mutant(
        "iadp-information",
        "information of the even state",
        HIDDEN,
        "conditional_information",
        lambda f: lambda pi, d, observation: f(pi, d=np.full(len(d), 1 / len(d)), observation=observation),
    ),
    mutant(
        "iadp-information",
        "information about everything",
        HIDDEN,
        "conditional_information",
        lambda f: lambda pi, d, observation: f(pi, d=d, observation=0 * observation),
    ),
    mutant(
        "iadp-information",
        "even mixture",
        HIDDEN,
        "prior_blind",
        lambda f: lambda pi, d, observation: f(pi, d=np.full(len(d), 1 / len(d)), observation=observation),
    ),
    mutant(
        "hdp-bound",
        "chain without the low level",
        HIERARCHY,
        "chain_kl",
        lambda f: lambda *levels, default_high, **_: f(*levels, default_high=default_high),
    ),
    mutant(
        "hdp-bound",
        "chain reversed",
        HIERARCHY,
        "chain_kl",
        lambda f: (
            lambda high, low, default_high, default_low=None: f(
                default_high,
                low if default_low is None else default_low,
                default_high=high,
                default_low=default_low if default_low is None else low,
            )
        ),
    ),
    mutant("hdp-bound", "half the chain", HIERARCHY, "chain_kl", times(0.5)),
    mutant(
        "hdp-bound",
        "posterior of another high level",
        HIERARCHY,
        "latent_posterior",
        lambda f: lambda high, low: f(np.full_like(high, 1 / high.shape[1]), low),
    ),
    mutant(
        "iadp-monotone",
        "half the temperature",
        ASCENT,
        "_boltzmann",
        lambda f: lambda q, log_prior, alpha: f(q, log_prior, alpha / 2),
    ),
    mutant(
        "iadp-monotone",
        "no prior",
        ASCENT,
        "_boltzmann",
        lambda f: lambda q, log_prior, alpha: f(q, 0 * log_prior, alpha),
    ),
    mutant("iadp-monotone", "sign of the cost", ASCENT, "costs", times(-1)),
    mutant("iadp-monotone", "weights of the first state", ASCENT, "visits", without_discount),
    mutant("iadp-monotone", "nothing hidden", ASCENT, "_blind", lambda _: lambda pi, *_: pi),
    mutant("hdp-monotone", "sign of the cost", ASCENT, "costs", times(-1)),
    mutant("hdp-monotone", "nothing hidden", ASCENT, "_blind", lambda _: lambda pi, *_: pi),
    mutant("hdp-monotone", "weights of the first state", ASCENT, "visits", without_discount),
    mutant(
        "hdp-monotone",
        "even low level",
        ASCENT,
        "_first_low",
        lambda f: lambda mdp, latents: 0 * f(mdp, latents) + 1 / mdp.n_actions,
    ),
    mutant("distral-backups", "mixture without weights", ASCENT, "mixture", plain_mean),
    mutant("distral-backups", "half the cost", ASCENT, "costs", times(0.5)),
    mutant(
        "distral-backups",
        "a backup at the uniform prior",
        ASCENT,
        "_soft_values",
        lambda f: lambda task, q, lean, alpha, sweeps: f(task, q, 0 * lean, alpha, sweeps),
    ),
    mutant(
        "distral-backups",
        "one backup of the weights",
        ASCENT,
        "_weights",
        lambda f: lambda task, pi, before, _: f(task, pi, before, 1),
    ),
]


@pytest.mark.parametrize(("claim", "form", "module", "attribute", "change"), MUTANTS)
def test_an_error_in_the_statement_turns_the_verdict(claim, form, module, attribute, change, monkeypatch):
    assert turns(claim, form, monkeypatch, module, attribute, change)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weights", [np.ones_like, lambda visits: visits[::-1]], ids=["even", "reversed"])
@pytest.mark.parametrize("claim", ["iadp-monotone", "hdp-monotone"])
def test_the_objective_falls_if_the_prior_mixes_by_other_weights_than_the_visits(
    claim, weights, seed, monkeypatch
):
    """A false statement on both sides: the iterates are taken as they are, and only J is looked at."""
    blind = ascent._blind
    monkeypatch.setattr(ascent, "_blind", lambda pi, visits, cell: blind(pi, weights(visits), cell))
    monkeypatch.setattr(ascent, "worst", lambda *gaps: gaps[-1])
    check = all_claims()[claim].check
    assert not run_check(check, seed=seed, shrink=False).ok
    monkeypatch.setattr(ascent, "_blind", blind)
    assert run_check(dataclasses.replace(check, n_random=10), seed=seed, shrink=False).ok
