"""Deliberate errors in the coincidences: other temperatures, discounts and ties, a step too many."""

import dataclasses
from functools import partial
from itertools import islice

import numpy as np
import pytest

from verify.claims.coincidences import rows
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.virel import beta, virel

CHANGED = {
    "same-mpo-sql": ("mpo", "eta"),
    "same-distral-sql": ("distral", "alpha"),
    "same-iadp-mpo": ("mpo", "eta"),
    "same-vmpo-mpo": ("vmpo", "eta"),
    "same-smcp-mpo": ("smcp", "alpha"),
    "same-hdp-iadp": ("hdp", "alpha"),
    "same-mb-sac": ("mb_sac", "alpha"),
    "same-erpg-soft-q": ("erpg", "tau"),
}
"""The algorithm whose settings a mutant changes, and the name of its temperature."""


def with_discount(mdps):
    if isinstance(mdps, list):
        return [with_discount(mdp) for mdp in mdps]
    return TabularMDP(mdps.transition, mdps.reward, mdps.gamma / 2 + 0.1, mdps.initial, mdps.mask)


def hotter(algorithm, temperature):
    return lambda mdps, **settings: algorithm(mdps, **settings | {temperature: 1.5 * settings[temperature]})


def other_discount(algorithm, _):
    return lambda mdps, **settings: algorithm(with_discount(mdps), **settings)


def one_step_later(algorithm, _):
    return lambda mdps, **settings: islice(algorithm(mdps, **settings), 1, None)


def only_one_form(mutant):
    """The mutant of `erpg` as a policy gradient alone: the other form is what it is compared with."""

    def changed(algorithm, temperature):
        wrong = mutant(algorithm, temperature)
        return lambda mdps, **settings: (wrong if settings["form"] == "policy-gradient" else algorithm)(
            mdps, **settings
        )

    return changed


@pytest.mark.parametrize("mutant", [hotter, other_discount, one_step_later])
@pytest.mark.parametrize("claim_id", CHANGED)
def test_a_wrong_coincidence_is_refuted(monkeypatch, claim_id, mutant):
    name, temperature = CHANGED[claim_id]
    change = only_one_form(mutant) if name == "erpg" else mutant
    monkeypatch.setattr(rows, name, change(getattr(rows, name), temperature))
    check = dataclasses.replace(all_claims()[claim_id].check, n_random=40)
    assert not run_check(check, seed=0, shrink=False).ok


def _lowest_of_the_ties(mdp, **settings):
    """beta whose Dirac of (40) takes the lowest of several maximisers."""
    for x in beta(mdp, **settings):
        lowest = np.eye(mdp.n_actions)[x.policy.argmax(axis=1)]
        yield dataclasses.replace(x, policy=lowest)


def _over_the_support_of_the_old(mdp, *, prior, **settings):
    """beta whose first greedy policy is confined to the actions of the policy before, as MPO's is."""
    for x in beta(mdp, prior=prior, **settings):
        inside = np.where(prior > 0, x.q, -np.inf)
        best = inside == inside.max(axis=1, keepdims=True)
        yield dataclasses.replace(x, policy=best / best.sum(axis=1, keepdims=True))


BETA = {
    "other discount": other_discount(beta, None),
    "one step later": one_step_later(beta, None),
    "a temperature": lambda mdp, *, scale, **settings: virel(mdp, alpha=0.1 * scale, **settings),
    "one backup": lambda mdp, **settings: beta(mdp, **settings | {"sweeps": 1}),
    "twenty backups": lambda mdp, **settings: beta(mdp, **settings | {"sweeps": 20}),
    "sampled next states": partial(beta, sampled=True),
    "lowest of the ties": _lowest_of_the_ties,
    "support of the old policy": _over_the_support_of_the_old,
    "first policy forgotten": lambda mdp, **settings: beta(mdp, **settings | {"prior": None}),
}
"""Errors in beta as policy iteration, which has no temperature to change."""


@pytest.mark.parametrize("name", BETA)
def test_a_wrong_beta_is_not_policy_iteration(monkeypatch, name):
    monkeypatch.setattr(rows, "beta", BETA[name])
    check = dataclasses.replace(all_claims()["same-beta-policy-iteration"].check, n_random=40)
    assert not run_check(check, seed=0, shrink=False).ok
