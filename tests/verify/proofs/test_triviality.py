"""Instances that say nothing: each kind is found, none of them counts, and a telling instance does."""

import dataclasses
import json

import numpy as np
import pytest
from flint import fmpq

from tests.support.proofs import job_of
from verify.arithmetic import exact
from verify.arithmetic.instance import exactly
from verify.proofs import run
from verify.proofs.certificate import Certificate
from verify.proofs.facts import certify
from verify.proofs.triviality import is_trivial
from virel_theory.mdp.tabular import TabularMDP

STAYS = [[[1.0], [1.0]]]
CHOICE = TabularMDP(STAYS, [[1.0, 0.0]], 0.5)
TWO_STATES = TabularMDP([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]], [[1.0, 0.0], [2.0, 0.0]], 0.5)


def verdict(claim_id, form, x):
    """Whether a statement, which must be proved on `x`, says nothing there."""
    job = job_of(claim_id, form)
    proof = certify(claim_id, form, x, parts=job.parts, facts=job.facts)
    assert isinstance(proof, Certificate)
    return is_trivial(job, x, proof)


def at_eps_k(mdp, *values):
    return exactly({"mdp": mdp, "q": np.array([values]), "eps_k": 1.0})


def test_a_state_without_a_choice_says_nothing_of_a_maximum():
    alone = TabularMDP([[[1.0]]], [[1.0]], 0.5)
    assert verdict("theorem-5-i", "printed", exactly({"mdp": alone, "q": np.array([[3.0]]), "eps_k": 1.0}))


def test_a_discount_of_zero_says_nothing_of_a_target():
    undiscounted = TabularMDP(STAYS, [[1.0, 0.0]], 0.0)
    assert verdict("theorem-5-i", "printed", at_eps_k(undiscounted, 1.0, 0.0))
    assert not verdict("theorem-5-i", "printed", at_eps_k(CHOICE, 1.0, 0.0))


def test_an_inequality_that_is_an_equality_throughout_says_nothing():
    """Tied actions: T* Q and T_k Q are equal."""
    assert verdict("theorem-5-i", "printed", at_eps_k(CHOICE, 1.0, 1.0))


def with_policy(mdp, d):
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    q = np.arange(float(mdp.available.size)).reshape(mdp.shape)
    return exactly({"mdp": mdp, "q": q, "pi_theta": uniform, "d": np.array(d), "eps": 1.0})


def test_one_state_says_nothing_of_a_distribution_of_states():
    assert verdict("eq-24", "printed", with_policy(CHOICE, [1.0]))
    assert not verdict("eq-24", "printed", with_policy(TWO_STATES, [0.25, 0.75]))


def test_states_without_a_choice_say_nothing_of_a_policy_even_where_both_sides_are_not_zero():
    forced = TabularMDP([[[0.0, 1.0]], [[1.0, 0.0]]], [[1.0], [2.0]], 0.5)
    assert verdict("eq-24", "printed", with_policy(forced, [0.25, 0.75]))


def gradient(*feature, gamma=0.5):
    x = exactly({"mdp": TabularMDP(STAYS, [[0.0, 0.0]], gamma)})
    return x.with_parts(features=[list(map(fmpq, feature))], omega=[fmpq(1)], beta=[fmpq(1), fmpq(2)])


def test_features_of_zero_say_nothing_of_a_gradient():
    assert verdict("theorem-4", "corrected", gradient(0, 0))
    assert not verdict("theorem-4", "corrected", gradient(1, 0))


def test_a_discount_of_zero_says_nothing_of_a_derivative_even_where_both_sides_are_not_zero():
    assert verdict("theorem-4", "corrected", gradient(1, 0, gamma=0.0))


@pytest.mark.parametrize(("shift", "trivial"), [(0, True), (1, False)])
def test_the_optimum_itself_says_nothing_of_the_distance_from_it(shift, trivial):
    x = exactly({"mdp": CHOICE})
    star = exact.optimal_values(x.mdp)
    x = x.with_parts(q=tuple(y + shift for y in star), q_star=star)
    assert verdict("corollary-1-hence", "printed", x) is trivial


def test_a_premise_may_be_zero_on_both_sides():
    """`r == 0` of the gradient statements is one: without the mark, no instance would count."""
    job = job_of("theorem-4", "corrected")
    x = gradient(1, 0)
    proof = certify("theorem-4", "corrected", x, parts=job.parts, facts=job.facts)
    unmarked = dataclasses.replace(job, facts=[fact._replace(premise=False) for fact in job.facts])
    assert is_trivial(unmarked, x, proof)


def test_trivial_instances_are_counted_apart_and_not_written(tmp_path):
    (row,) = run.certify_claim("app-c-1", seed=0, out=tmp_path, n_instances=12)
    found = json.loads((tmp_path / row.file).read_text())["certificates"]
    assert (row.certified, len(found)) == (12, 12)
    assert row.trivial > 0
    assert all(len(x["instance"]["mdp"]["pairs"]) > x["instance"]["mdp"]["n_states"] for x in found)


def test_where_everything_is_trivial_nothing_is_certified(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "is_trivial", lambda *_: True)
    (row,) = run.certify_claim("app-c-1", seed=0, out=tmp_path, n_instances=2)
    assert (row.ok, row.certified, row.file) == (False, 0, "")
    assert row.trivial > 0
