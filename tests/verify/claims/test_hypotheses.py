"""Counterexamples meet the hypotheses of their source, as VIREL's Assumptions 1 to 3."""

import dataclasses

import numpy as np
import pytest

from verify.claims import recorded
from verify.claims.hypotheses import (
    HYPOTHESES,
    covered,
    distributions,
    own_residual,
    positive,
    regular_features,
    representable,
    sizes,
    spreads,
    step_sizes,
    temperature,
    unique,
    within,
)
from verify.claims.theorem_5 import commute
from verify.engine.claim import Kind, kind_of
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict
from virel_theory import TabularMDP

FALSE = {
    claim.id: claim
    for claim in all_claims().values()
    if claim.expected in (Verdict.REFUTED, Verdict.GAP) and kind_of(claim) is Kind.SOURCE
}


def failing(claim):
    """Checks of a claim that are to fail: the printed statement, or the steps that have a repair."""
    checks = [claim.check] if claim.expected is Verdict.REFUTED else []
    return checks + [step.check for step in claim.steps if step.repaired is not None]


def counterexample(check):
    """Counterexample on record, which must fail the check; without one, what a search finds."""
    if check.recorded is not None:
        assert not check.gap(**check.recorded).ok
        return check.recorded
    return run_check(dataclasses.replace(check, n_random=min(check.n_random, 200)), seed=0).counterexample


def test_every_false_statement_of_a_source_has_its_list_of_hypotheses():
    assert set(HYPOTHESES) == set(FALSE)


@pytest.mark.parametrize("claim_id", FALSE)
def test_a_counterexample_meets_the_hypotheses_of_its_source(claim_id):
    for check in failing(FALSE[claim_id]):
        found = counterexample(check)
        assert found is not None
        hypotheses = HYPOTHESES[claim_id]
        on_record = "mdp" not in found or check.recorded is not None
        assert on_record or positive not in hypotheses, "few random MDPs meet VIREL's assumptions"
        broken = {hypothesis.__name__: hypothesis(found) for hypothesis in hypotheses}
        assert not any(broken.values()), broken


R = recorded.R_WITH_Q


@pytest.mark.parametrize(
    ("hypothesis", "instance", "words"),
    [
        (positive, R | {"mdp": recorded.one_state(2.0, 0.0, gamma=0.0)}, "least value of Q\\* is 0"),
        (unique, R | {"mdp": recorded.one_state(1.0, 1.0, gamma=0.0)}, "two maxima"),
        (own_residual, R | {"eps": 1.0}, "eps is 1, the residual error 0.5"),
        (representable, R | {"q_star": recorded.Q}, "1 away from Q\\*"),
        (regular_features, {"b": np.zeros((1, 2, 1))}, "singular"),
        (step_sizes, {"power": 0.5, "scale": 0.1}, "the power is 0.5"),
        (covered, {"pi": [[0.5, 0.5]], "prior": [[1.0, 0.0]]}, "the prior excludes an action"),
        (sizes, {"variance": 0.0, "step": 1.0}, "variance is 0"),
        (spreads, {"old": [[0.0], [[1.0]]], "new": [[0.0], [[0.0]]]}, "a covariance has the eigenvalue 0"),
        (temperature, {"alpha": 0.0}, "the temperature is 0"),
        (distributions, {"prior": [[0.5, 0.4]]}, "prior does not sum to 1"),
        (within(commute.mdp_of_iii, positive)[0], {"gap": 1, "gamma": 0.0}, "least value of Q\\* is 0"),
        (within(commute.mdp_of_38, unique)[0], {"gap": 0, "gamma": 0.5}, "two maxima"),
    ],
)
def test_a_broken_hypothesis_is_found_and_named(hypothesis, instance, words):
    assert pytest.approx(0.5) == recorded.EPS
    with pytest.raises(AssertionError, match=words):
        assert not hypothesis(instance), hypothesis(instance)
    assert "mdp" not in instance or hypothesis(R | {"q_star": recorded.Q_STAR}) == ""


def test_a_mask_is_no_zero_of_q_star():
    """An action that does not exist has no value; it breaks no assumption."""
    mdp = TabularMDP([[[1.0], [0.0]]], [[1.0, 0.0]], 0.5, mask=[[True, False]])
    assert (positive({"mdp": mdp}), unique({"mdp": mdp})) == ("", "")
