"""Deliberate errors in the coincidences: another temperature, another discount, a step too many."""

import dataclasses
from itertools import islice

import pytest

from verify.claims.coincidences import rows
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from virel_theory.mdp.tabular import TabularMDP

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
