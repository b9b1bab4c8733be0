"""Claims on inference with one error in the statement: sign, factor, exponent, step. Every verdict turns."""

import dataclasses

import numpy as np
import pytest

from tests.support.statement_mutants import mutant, turns

ITERATIVE, GAUSSIAN = "verify.claims.inference.iterative", "verify.claims.inference.gaussian"
RESIDUAL = "verify.claims.inference.residual_temperature"


def times(factor):
    """The original's result times a factor."""
    return lambda f: lambda *args, **settings: factor * f(*args, **settings)


def posterior_with(change):
    """The posterior's logarithm for another table, prior or temperature."""
    return lambda f: lambda q, prior, alpha: f(*change(q, prior, alpha))


def even(prior):
    """The uniform prior on the actions that the given one has."""
    return (prior > 0) / (prior > 0).sum(axis=1, keepdims=True)


def without_best(task, field):
    """The task with another optimum: twice its curvature or temperature."""
    return dataclasses.replace(task, **{field: 2 * getattr(task, field)})


def objective_of(field):
    """The Gaussian objective of a task in which one number is doubled."""
    return lambda f: lambda task, mean, std: f(without_best(task, field), mean, std)


def objective_at(factor):
    """The objective on finite actions at another temperature."""
    return lambda f: lambda q, pi, p, alpha, rho: f(q, pi, p, factor * alpha, rho)


def flipped_exponent(f):
    """The objective with 1 - rho for rho."""
    return lambda q, pi, p, alpha, rho: f(q, pi, p, alpha, 1 - rho)


def guarantee_with(change):
    """The guarantee with another residual and another cost."""
    return lambda f: lambda mdp, eps, cost: f(mdp, *change(cost, eps))


def undiscounted(f):
    """The guarantee times (1 - gamma)^2."""
    return lambda mdp, eps, cost: (1 - mdp.gamma) ** 2 * f(mdp, eps, cost)


def charge_times(factor):
    """The values in which the divergence is charged with another factor."""
    return lambda f: lambda mdp, q, pi, gain, sweeps: f(mdp, q, pi, factor * gain, sweeps)


MUTANTS = [
    mutant("iterative-gap", "half the divergence", ITERATIVE, "inference_gap", times(2)),
    mutant(
        "iterative-gap",
        "twice the temperature",
        ITERATIVE,
        "_log_posterior",
        posterior_with(lambda q, p, a: (q, p, 2 * a)),
    ),
    mutant(
        "iterative-gap",
        "no prior",
        ITERATIVE,
        "_log_posterior",
        posterior_with(lambda q, p, a: (q, even(p), a)),
    ),
    mutant(
        "iterative-gap",
        "sign of the values",
        ITERATIVE,
        "_log_posterior",
        posterior_with(lambda q, p, a: (np.where(np.isfinite(q), -q, q), p, a)),
    ),
    mutant(
        "iterative-gap",
        "steps of half the length",
        ITERATIVE,
        "inference_policies",
        lambda f: lambda q, step, **s: f(q, step=step / 2, **s),
    ),
    mutant(
        "iterative-temperature",
        "twice the temperature",
        ITERATIVE,
        "_log_posterior",
        posterior_with(lambda q, p, a: (q, p, 2 * a)),
    ),
    mutant(
        "iterative-temperature",
        "no prior",
        ITERATIVE,
        "_log_posterior",
        posterior_with(lambda q, p, a: (q, even(p), a)),
    ),
    mutant(
        "iterative-temperature", "no charge in the values", ITERATIVE, "_charged_values", charge_times(0.0)
    ),
    mutant("iterative-temperature", "sign of the charge", ITERATIVE, "_charged_values", charge_times(-1.0)),
    mutant("iterative-ascent-finite", "descent", ITERATIVE, "_objective", times(-1)),
    mutant("iterative-ascent-finite", "1 - rho", ITERATIVE, "_objective", flipped_exponent),
    mutant("iterative-ascent-finite", "twenty safe steps", ITERATIVE, "safe_step", times(20)),
    mutant("iterative-ascent-finite", "two and a half safe steps", ITERATIVE, "safe_step", times(2.5)),
    mutant(
        "iterative-ascent-finite", "four times the temperature", ITERATIVE, "_objective", objective_at(4.0)
    ),
    mutant(
        "iterative-gate",
        "the gate closes",
        ITERATIVE,
        "gated_update",
        lambda f: lambda lam, delta, gate: f(lam, delta, gate=1 - gate),
    ),
    mutant(
        "iterative-gate",
        "half a gate",
        ITERATIVE,
        "gated_update",
        lambda f: lambda lam, delta, gate: f(lam, delta, gate=gate / 2),
    ),
    mutant(
        "iterative-gate",
        "proposals on top",
        ITERATIVE,
        "gated_update",
        lambda f: lambda lam, delta, gate: f(lam, lam + delta, gate=gate),
    ),
    mutant(
        "iterative-gate",
        "one step is none",
        ITERATIVE,
        "inference_policies",
        lambda f: lambda q, iterations, **s: f(q, iterations=iterations + 1, **s),
    ),
    mutant("iterative-ascent", "twice the family gap", GAUSSIAN, "gaussian_family_gap", times(2)),
    mutant("iterative-ascent", "ten safe steps", GAUSSIAN, "gaussian_safe_step", times(10)),
    mutant("iterative-ascent", "descent", GAUSSIAN, "_objective", times(-1)),
    mutant("iterative-ascent", "twice the curvature", GAUSSIAN, "_objective", objective_of("curvature")),
    mutant("iterative-ascent", "twice the temperature", GAUSSIAN, "_objective", objective_of("alpha")),
    mutant("variational-residual", "no 1/(1 - gamma)", RESIDUAL, "guarantee", undiscounted),
    mutant(
        "variational-residual",
        "cost alone",
        RESIDUAL,
        "guarantee",
        guarantee_with(lambda cost, _: (0.0, cost)),
    ),
    mutant(
        "variational-residual",
        "residual alone, to the fourth",
        RESIDUAL,
        "guarantee",
        guarantee_with(lambda _, eps: (eps**4, 0.0)),
    ),
    mutant(
        "variational-residual",
        "posterior of -Q at 0",
        RESIDUAL,
        "tempered_posterior",
        lambda f: lambda q, **s: f(-q, **s),
    ),
    mutant("variational-residual", "a tenth", RESIDUAL, "guarantee", times(0.1)),
]


@pytest.mark.parametrize(("claim", "form", "module", "attribute", "change"), MUTANTS)
def test_an_error_in_the_statement_turns_the_verdict(claim, form, module, attribute, change, monkeypatch):
    assert turns(claim, form, monkeypatch, module, attribute, change)
