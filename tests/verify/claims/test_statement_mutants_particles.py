"""Errors planted in the statements on particles and models: each must turn the verdict of its check.

A mutant replaces a piece of a gap function's source, in the side that stands for the statement: a sign, a
discount, an index, a factor. The module is run again with that piece changed, and the check of the claim (of
its correction, if the claim is refuted) must fail.
"""

import dataclasses
import inspect
import types

import numpy as np
import pytest

from verify.claims.inference import model
from verify.claims.particles import evidence, first_action, iterates, limit, one_step, tools, weights
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict

N_DRAWN = 60
MUTANTS = [
    ("smc-unbiased", evidence, tools, "discount**2 * v - v[s]", "discount * v - v[s]"),
    (
        "smc-unbiased",
        evidence,
        tools,
        "np.exp(gain / alpha)).sum(axis=(1, 2, 3))",
        "np.exp(gain)).sum(axis=(1, 2, 3))",
    ),
    (
        "smc-unbiased",
        evidence,
        tools,
        "mass[..., 0][:, :, None, None, None, None] / 2 * both / 2",
        "mass[..., 0][:, :, None, None, None, None] * both / 2",
    ),
    ("smc-unbiased", evidence, evidence, "Gap(mean_log, bound)", "Gap(-mean_log, bound)"),
    ("smc-unbiased", evidence, tools, "np.divide(pairs, mass,", "np.divide(pairs[..., ::-1], mass,"),
    ("smc-evidence", evidence, tools, "discount**2 * v - v[s]", "discount * v - v[s]"),
    ("smc-evidence", evidence, tools, "+ discount * mdp.reward[None", "+ mdp.reward[None"),
    ("smc-evidence", evidence, evidence, "+ v[s] / alpha", "- v[s] / alpha"),
    ("smc-consistent", first_action, tools, "discount**2 * v - v[s]", "discount * v - v[s]"),
    (
        "smc-consistent",
        first_action,
        first_action,
        "ratio = np.exp(law.log_evidence - v[0] / alpha) / exact.sum()",
        "ratio = np.ones(len(law.log_evidence))",
    ),
    (
        "smc-consistent",
        first_action,
        tools,
        "prior[None, :, :, None] * dense[None]",
        "dense[None] / prior.shape[1]",
    ),
    ("smc-rate", first_action, first_action, "error = n *", "error = n**1.2 *"),
    (
        "smc-rate",
        first_action,
        first_action,
        "g = w * (np.array([1.0, 0.0]) - p)",
        "g = w * np.array([1.0, 0.0]) - p",
    ),
    (
        "smc-rate",
        first_action,
        first_action,
        "raw = np.exp(np.array([gain, 0.0])) * prior / proposal",
        "raw = np.exp(np.array([gain, 0.0])) * prior",
    ),
    ("smcp-iterates", iterates, iterates, "weights = prior * np.exp(", "weights = np.exp("),
    ("smcp-iterates", iterates, iterates, "- alpha * cost", "+ alpha * cost"),
    ("smcp-iterates", iterates, tools, "discount**2 * v - v[s]", "discount * v - v[s]"),
    ("smc-simulator", iterates, iterates, "+ discount * v[ahead] - v[s[i]]", "+ v[ahead] - v[s[i]]"),
    ("smc-simulator", iterates, iterates, "* prior[s[i], a] /", "/"),
    ("smc-simulator", iterates, iterates, "discount**t * gain", "gain"),
    ("smc-simulator", iterates, iterates, "sum(w) ** 2 / sum", "sum(w) / sum"),
    (
        "model-iterates",
        iterates,
        iterates,
        "(1 - trace) * one + trace * two",
        "trace * one + (1 - trace) * two",
    ),
    ("model-iterates", iterates, iterates, "- alpha * cost", "+ alpha * cost"),
    (
        "model-iterates",
        iterates,
        iterates,
        "d[seen == o] @ pi[seen == o] / d",
        "pi[seen == o].sum(axis=0) / d",
    ),
    ("spo-iterates", iterates, iterates, "one = tilted(pi, q, eta)", "one = tilted(pi, 2 * q, eta)"),
    ("spo-iterates", iterates, iterates, "discount=mdp.gamma, s=s", "discount=1.0, s=s"),
    ("spo-iterates", iterates, iterates, "- epsilon), MET", "- 2 * epsilon), MET"),
    ("smc-limit", limit, tools, "v = tau * logsumexp(scores, axis=1)", "v = logsumexp(scores, axis=1)"),
    ("smc-limit", limit, tools, "q = mdp.reward + discount", "q = discount * mdp.reward + 0.5 * discount"),
    ("smc-limit", limit, tools, "scores = log(prior) +", "scores ="),
    ("smc-limit", limit, tools, "return out[::-1]", "return out"),
    ("smc-limit-discount", limit, limit, "/ discount**t for t", "* discount**t for t"),
    ("smc-limit-discount", limit, limit, "/ discount**t for t", "/ discount for t"),
    ("smc-limit-discount", limit, tools, "q = mdp.reward + discount *", "q = mdp.reward +"),
    ("smc-limit-risk", limit, limit, "soft - plan_q[0] + perturb", "plan_q[0] - soft + perturb"),
    ("smc-limit-risk", limit, limit, "0.5 - plan, 0.5 - merl", "plan - 0.5, 0.5 - merl"),
    ("smc-limit-risk", limit, limit, "0.5 - plan, 0.5 - merl", "0.5 - plan, merl - 0.5"),
    ("smc-weights", weights, weights, "x, 0.0) + v[:, None]", "x, 0.0) - v[:, None]"),
    ("smc-weights", weights, weights, "- alpha * normaliser - lucky", "- lucky"),
    ("smc-weights", weights, weights, "- alpha * normaliser - lucky", "- alpha * normaliser"),
    (
        "smc-weights",
        weights,
        weights,
        "scores - normaliser)",
        "2 * scores - logsumexp(2 * scores, axis=1, keepdims=True))",
    ),
    ("smc-weights-variance", weights, weights, "grown = second / mean**2", "grown = second / mean"),
    (
        "smc-weights-variance",
        weights,
        weights,
        "np.exp(v / alpha) * (1 + perturb",
        "np.exp(-v / alpha) * (1 + perturb",
    ),
    ("smc-weights-variance", weights, weights, "spread - (grown - 1)", "spread - grown"),
    ("smc-one-step", one_step, one_step, "+ used.gamma * used.expect_next(v)", "+ used.expect_next(v)"),
    (
        "smc-one-step",
        one_step,
        one_step,
        "normalised(log(pi) + np.where(used",
        "normalised(2 * log(pi) + np.where(used",
    ),
    (
        "smc-one-step",
        one_step,
        one_step,
        "drawn.first_action, axis=1) /",
        "drawn.first_action, axis=1) * 2 /",
    ),
    ("spo-advantage", one_step, one_step, "factor = mdp.gamma if", "factor = mdp.gamma**2 if"),
    ("spo-advantage", one_step, one_step, "expect_next(factor * v) - v", "expect_next(factor * v) + v"),
    (
        "spo-advantage",
        one_step,
        one_step,
        "mean = mdp.reward + mdp.expect_next(factor * v)",
        "mean = mdp.expect_next(factor * v)",
    ),
    ("spo-telescope", one_step, one_step, "- (1 - mdp.gamma) * v[s[1:]]", "- mdp.gamma * v[s[1:]]"),
    ("spo-telescope", one_step, one_step, "* v[s[1:]].sum()", "* v[s[:-1]].sum()"),
    ("spo-telescope", one_step, one_step, "ends = v[s[-1]] - v[s[0]]", "ends = v[s[0]] - v[s[-1]]"),
    ("spo-marginal", one_step, one_step, "weight / (pi * weight).sum(", "weight / weight.sum("),
    (
        "spo-marginal",
        one_step,
        one_step,
        "pi * weight, mdp.dense_transition, pi * weight",
        "weight, mdp.dense_transition, pi * weight",
    ),
    ("spo-marginal", one_step, one_step, "np.exp((q - v[:, None]) / eta)", "np.exp((v[:, None] - q) / eta)"),
    (
        "model-expansion",
        model,
        model,
        "value = regularised(mdp, pi, prior, alpha * (1 + perturb))",
        "value = mdp.gamma * regularised(mdp, pi, prior, alpha)",
    ),
    (
        "model-expansion",
        model,
        model,
        "gain = (pi * (mdp.reward - alpha * ratio))",
        "gain = (pi * (mdp.reward + alpha * ratio))",
    ),
    (
        "model-expansion",
        model,
        model,
        'p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)\n    on',
        'p_pi = np.einsum("sa,sat->st", prior, mdp.dense_transition)\n    on',
    ),
    ("model-fading", model, model, "matrix_power(p_pi, steps - 1)", "matrix_power(p_pi, steps)"),
    ("model-fading", model, model, "factor = mdp.gamma**steps *", "factor = mdp.gamma ** (steps - 1) *"),
    (
        "model-fading",
        model,
        model,
        "largest = mdp.gamma**steps * np.abs",
        "largest = mdp.gamma ** (steps + 1) * np.abs",
    ),
    ("model-simulation", model, model, "sum(axis=2).max() / 2", "sum(axis=2).max() / 4"),
    ("model-simulation", model, model, "np.ptp(v)) / (1 - mdp.gamma)", "np.ptp(v))"),
    ("model-simulation", model, model, "mdp.gamma * variation * np.ptp(v)", "variation * np.ptp(v)"),
    (
        "model-prior-rollouts",
        model,
        model,
        "order = max((plain - soft).max()",
        "order = max((soft - plain).max()",
    ),
    (
        "model-prior-rollouts",
        model,
        model,
        (
            "rolled = expanded_action_value(mdp, plain, pi=prior, prior=prior, alpha=alpha, steps=steps)\n"
            "    scores = log(prior) + q_p"
        ),
        (
            "rolled = expanded_action_value(mdp, plain, pi=prior, prior=prior, alpha=alpha, steps=steps)\n"
            "    scores = log(prior) - q_p"
        ),
    ),
    (
        "model-prior-rollouts",
        model,
        model,
        "(soft - value).max() if pi is None",
        "(value - soft).max() if pi is None",
    ),
]
"""Claim, its module, the module that is changed, a piece of its source, and what stands there instead."""


def changed(module, old, new):
    """A copy of a module, run from its source with one piece of it changed, at its first place."""
    source = inspect.getsource(module)
    assert old in source, f"no {old!r} in {module.__name__}"
    copy = types.ModuleType(module.__name__)
    exec(compile(source.replace(old, new, 1), module.__file__, "exec"), copy.__dict__)
    return copy


def mutant(claim_id, module, target, old, new):
    """The check of a claim with one piece of `module`, or of the `target` that it imports from, changed."""
    copy = changed(target, old, new)
    if target is not module:
        used = {name: x for name, x in vars(module).items() if getattr(target, name, None) is x}
        names = {name: getattr(copy, name) for name in used if inspect.isfunction(used[name])}
        copy = changed(module, "", "")
        vars(copy).update(names)
    (claim,) = (claim for claim in copy.CLAIMS if claim.id == claim_id)
    return claim.correction.check if claim.expected is Verdict.REFUTED else claim.check


@pytest.mark.parametrize(("claim_id", "module", "target", "old", "new"), MUTANTS)
def test_an_error_in_a_statement_turns_its_verdict(claim_id, module, target, old, new):
    check = dataclasses.replace(mutant(claim_id, module, target, old, new), n_random=N_DRAWN, named=tuple)
    with np.errstate(all="ignore"):
        assert not run_check(check, seed=0, shrink=False).ok


def test_every_claim_has_three_mutants():
    modules = (evidence, first_action, iterates, limit, weights, one_step, model)
    counts = {claim.id: 0 for m in modules for claim in m.CLAIMS}
    for claim_id, *_ in MUTANTS:
        counts[claim_id] += 1
    assert min(counts.values()) >= 3


def test_an_unchanged_copy_holds():
    check = dataclasses.replace(mutant("smc-limit", limit, tools, "v = tau *", "v = tau *"), n_random=N_DRAWN)
    assert run_check(check, seed=0, shrink=False).ok
