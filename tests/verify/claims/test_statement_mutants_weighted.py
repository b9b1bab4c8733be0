"""Statement mutants of RERPI and V-MPO: a wrong sign, factor, index or missing term turns every verdict."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from verify.claims.weighted import gaussian, improvement, lagrangian, samples, tanh_kl, top_share
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from virel_theory.variational import algorithms
from virel_theory.variational.algorithms.rerpi import rerpi
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.iterate import evaluate
from virel_theory.variational.parts import gaussian as closed
from virel_theory.variational.parts.gaussian import GaussianPolicy
from virel_theory.variational.parts.gaussian_fit import gaussian_iterates
from virel_theory.variational.parts.rank_weights import rank_posterior
from virel_theory.variational.parts.top_share import top_share_temperature


def moved(policy, *, optimum, curvature, eta):
    """E-step whose mean moves by t in place of 1 - t."""
    q = closed.gaussian_posterior(policy, optimum=optimum, curvature=curvature, eta=eta)
    t = q.variance / policy.variance
    return GaussianPolicy(policy.mean + t * (np.asarray(optimum) - policy.mean), q.variance)


def tempered(factor):
    """E-step at a multiple of the temperature."""
    return lambda policy, *, eta, **q: closed.gaussian_posterior(policy, eta=factor * eta, **q)


def around(centre):
    """M-step whose decoupled variance is another function of the shift of the mean."""

    def m_step(posterior, *, policy, decoupled):
        extra = centre(posterior.mean - policy.mean) if decoupled else 0.0
        return GaussianPolicy(posterior.mean, posterior.variance + extra)

    return m_step


def swapped_parts(old, new):
    parts = closed.gaussian_kl_parts(old, new)
    return SimpleNamespace(mean=parts.spread, spread=parts.mean)


def decoupled(policy, *, decoupled, **settings):  # noqa: ARG001  # the same signature as what it replaces
    return gaussian_iterates(policy, decoupled=True, **settings)


def flipped(policy, *, decoupled, **settings):
    return gaussian_iterates(policy, decoupled=not decoupled, **settings)


def halved(policy, **settings):
    """Half the temperature that meets the budget."""
    return closed.gaussian_budget_temperature(policy, **settings) / 2


def worst_kept(mdp, *, prior, **settings):
    """V-MPO that keeps the smallest advantages: that of the negated rewards."""
    return vmpo(dataclasses.replace(mdp, reward=-mdp.reward), prior=prior, **settings)


def towards_uniform(mdp, **settings):
    """V-MPO whose trust region is around the uniform policy."""
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    for found in vmpo(mdp, **settings):
        yield SimpleNamespace(policy=(found.policy + uniform) / 2)


def off_by_one(mdp, **settings):
    """V-MPO whose new policy is off by one action."""
    for found in vmpo(mdp, **settings):
        policy = np.where(mdp.available, np.roll(found.policy, 1, axis=1), 0) + 1e-9 * mdp.available
        yield SimpleNamespace(policy=policy / policy.sum(axis=1, keepdims=True))


def falling(q, *, prior, alpha):
    """Exponential weights that fall with the values."""
    on = q > -np.inf
    return posterior_policy(np.where(on, -np.where(on, q, 0), -np.inf), prior=prior, alpha=alpha)


def without_prior(q, *, prior, **settings):
    """Weights that forget the policy that they reweigh."""
    return rank_posterior(q, prior=(prior > 0) / (prior > 0).sum(axis=1, keepdims=True), **settings)


def loose(name):
    """RERPI that spends twice one of its budgets."""
    return lambda mdp, *, epsilon, trust, **settings: rerpi(
        mdp,
        **{"epsilon": epsilon, "trust": trust, name: 2 * {"epsilon": epsilon, "trust": trust}[name]},
        **settings,
    )


def slopes(change):
    """Gradient of (12) and (15) with other arguments."""
    original = lagrangian._loss_gradient
    return {"_loss_gradient": lambda *x: original(*change(x[:4], *x[4:]))}


def mpo(change):
    original = top_share._mpo
    return lambda q, pi, eta: original(*change(q, pi, eta))


def loss(change):
    original = top_share._loss
    return lambda *x: original(*change(*x))


ORIGINAL_MONOTONE, ORIGINAL_FRACTIONS = improvement.monotone, top_share.fractions
FALLING = {"monotone": lambda q, steps: 1 / ORIGINAL_MONOTONE(q, steps)}
HALF = {"vmpo": lambda mdp, *, keep, **x: vmpo(mdp, keep=keep / 2, **x)}
UNSCALED = {"_loss": lambda a, p, e, eta: eta * e + np.log(np.sum(p * np.exp(a / eta)))}
LOWEST = {"fractions": lambda table, p, keep: ORIGINAL_FRACTIONS(-table, p, keep)}


def with_budget(algorithm, name, factor):
    """An algorithm that takes a multiple of the budget `name`."""
    return lambda mdp, **settings: algorithm(mdp, **settings | {name: factor * settings.get(name, 1.0)})


def first_values(mdp, *, policy, v, sweeps):
    """Evaluation of the first policy alone: values, once there are any, stay as they are."""
    return v if v.any() else evaluate(mdp, policy=policy, v=v, sweeps=sweeps)


def nothing(*_, **__):
    """A divergence of 0, whatever the policies are."""
    return 0.0


def all_kept(advantage, **settings):
    """The temperature of all pairs, whatever share is kept."""
    return top_share_temperature(advantage, **settings | {"keep": 1.0})


MUTANTS = [
    ("rerpi-gaussian", "temperature", gaussian, {"gaussian_posterior": tempered(2.0)}),
    ("rerpi-gaussian", "mean", gaussian, {"gaussian_posterior": moved}),
    ("rerpi-gaussian", "no-shift", gaussian, {"gaussian_m_step": around(lambda x: 0 * x)}),
    ("rerpi-gaussian", "no-square", gaussian, {"gaussian_m_step": around(np.abs)}),
    (
        "rerpi-gaussian",
        "sign",
        gaussian,
        {"decoupled_law": lambda v, t, d: v - (1 - t) * (d**2 * (1 - t) - v)},
    ),
    ("rerpi-shrinks", "sign", gaussian, {"lost_variance": lambda c, eta, s, t: -c * s * t / eta}),
    ("rerpi-shrinks", "factor", gaussian, {"lost_variance": lambda c, eta, s, t: c * s * t / (2 * eta)}),
    ("rerpi-shrinks", "old-variance", gaussian, {"lost_variance": lambda c, eta, s, _: c * s * s / eta}),
    ("rerpi-shrinks", "parts", gaussian, {"gaussian_kl_parts": swapped_parts}),
    ("rerpi-premature", "no-square", gaussian, {"invariant": lambda d, v: d / np.sqrt(v)}),
    ("rerpi-premature", "product", gaussian, {"invariant": lambda d, v: d * v}),
    ("rerpi-premature", "other-fit", gaussian, {"gaussian_iterates": decoupled}),
    ("rerpi-samples", "mean", samples, {"gaussian_posterior": moved}),
    ("rerpi-samples", "temperature", samples, {"gaussian_budget_temperature": halved}),
    ("rerpi-samples", "other-fit", samples, {"gaussian_iterates": flipped}),
    ("rerpi-samples", "order", samples, {"gaussian_kl": lambda p, q: closed.gaussian_kl(q, p)}),
    ("tanh-kl", "order", tanh_kl, {"gaussian_kl": lambda p, q: closed.gaussian_kl(q, p)}),
    ("tanh-kl", "factor", tanh_kl, {"gaussian_kl": lambda p, q: 2 * closed.gaussian_kl(p, q)}),
    ("tanh-kl", "mean-only", tanh_kl, {"gaussian_kl": lambda p, q: closed.gaussian_kl_parts(q, p).mean}),
    ("rerpi-improvement", "sign", improvement, {"posterior_policy": falling}),
    ("rerpi-improvement", "no-prior", improvement, {"rank_posterior": without_prior}),
    ("rerpi-improvement", "falling", improvement, FALLING),
    ("rerpi-improvement", "budget", improvement, {"rerpi": loose("epsilon")}),
    ("rerpi-improvement", "trust", improvement, {"rerpi": loose("trust")}),
    ("rerpi-improvement", "half-budget", improvement, {"rerpi": with_budget(rerpi, "epsilon", 0.5)}),
    ("rerpi-improvement", "half-trust", improvement, {"rerpi": with_budget(rerpi, "trust", 0.5)}),
    ("rerpi-improvement", "first-values", algorithms.rerpi, {"evaluate": first_values}),
    ("rerpi-improvement", "no-divergence", algorithms.rerpi, {"expected_kl": nothing}),
    ("vmpo-improvement", "lowest-share", improvement, {"vmpo": worst_kept}),
    ("vmpo-improvement", "another-centre", improvement, {"vmpo": towards_uniform}),
    ("vmpo-improvement", "index", improvement, {"vmpo": off_by_one}),
    ("vmpo-keep-one", "no-prior", top_share, {"_mpo": mpo(lambda q, pi, eta: (q, (pi > 0) * 1.0, eta))}),
    ("vmpo-keep-one", "temperature", top_share, {"_mpo": mpo(lambda q, pi, eta: (q, pi, 2 * eta))}),
    ("vmpo-keep-one", "half-kept", top_share, HALF),
    ("vmpo-keep-one", "states", top_share, {"_visits": lambda mdp, _: mdp.initial}),
    ("vmpo-dual", "sign-of-epsilon", top_share, {"_loss": loss(lambda a, p, e, eta: (a, p, -e, eta))}),
    ("vmpo-dual", "not-normalised", top_share, {"_loss": loss(lambda a, p, e, eta: (a, p / 2, e, eta))}),
    ("vmpo-dual", "no-factor", top_share, UNSCALED),
    ("vmpo-dual", "another-share", top_share, LOWEST),
    ("vmpo-dual", "ten-budgets", top_share, {"vmpo": with_budget(vmpo, "epsilon", 10)}),
    ("vmpo-dual", "all-kept-in-the-dual", algorithms.vmpo, {"top_share_temperature": all_kept}),
    ("vmpo-dual", "first-values", algorithms.vmpo, {"evaluate": first_values}),
    ("vmpo-dual", "no-divergence", algorithms.vmpo, {"expected_kl": nothing}),
    ("vmpo-14-15", "no-states", lagrangian, slopes(lambda x, d, a: (*x, d**0, a))),
    ("vmpo-14-15", "factor", lagrangian, slopes(lambda x, d, a: (*x, d, a / 2))),
    ("vmpo-14-15", "sign-of-psi", lagrangian, slopes(lambda x, d, a: (*x[:3], -x[3], d, a))),
]


@pytest.mark.parametrize(
    ("claim", "module", "variants"),
    [(claim, module, variants) for claim, _, module, variants in MUTANTS],
    ids=[f"{claim}-{name}" for claim, name, *_ in MUTANTS],
)
def test_an_error_in_the_statement_turns_the_verdict(claim, module, variants, monkeypatch):
    found = all_claims()[claim]
    check = found.check if found.correction is None else found.correction.check
    for attribute, variant in variants.items():
        monkeypatch.setattr(module, attribute, variant)
    with np.errstate(all="ignore"):
        assert not run_check(check, seed=0, shrink=False).ok


def test_every_claim_has_at_least_three_mutants():
    ids = [claim for claim, *_ in MUTANTS]
    assert {claim: ids.count(claim) for claim in ids if ids.count(claim) < 3} == {}
    modules = (gaussian, improvement, lagrangian, samples, tanh_kl, top_share)
    assert set(ids) == {claim.id for module in modules for claim in module.CLAIMS}
