"""Planted errors: a difference that is off, a step that is wrong, a pair that is forgotten prove nothing."""

import numpy as np
import pytest
from flint import fmpq

from tests.support.proofs import JOBS, THREE_ROOTS
from verify.arithmetic import exact
from verify.arithmetic.instance import exactly
from verify.claims.methods import em_facts, em_proofs
from verify.claims.optima import facts as optima
from verify.engine.registry import all_claims
from verify.proofs.certificate import Certificate, Undecided
from verify.proofs.facts import Fact, above, certify, equal
from verify.proofs.sampling import draw
from virel_theory.mdp.tabular import TabularMDP

PROOFS = [(claim_id, job) for claim_id, job in JOBS if not job.refutes]


@pytest.mark.parametrize(("claim_id", "job"), PROOFS, ids=[f"{c}-{job.form}" for c, job in PROOFS])
def test_a_planted_error_in_any_fact_is_not_certified(claim_id, job):
    """A difference that is off by 2^-20 downwards is not an identity and, next to zero, not an inequality."""
    (instance, *_) = draw(job.instances_of(all_claims()[claim_id]), seed=0, n=3)
    x = job.prepare(instance)
    for k, (relation, sides, _) in enumerate(job.facts):

        def wrong(y, sides=sides):
            return [-abs(ball) - fmpq(1, 2**20) for ball in sides(y)]

        facts = [*job.facts[:k], Fact("==" if relation == "==" else ">=", wrong), *job.facts[k + 1 :]]
        assert isinstance(certify(claim_id, job.form, x, parts=job.parts, facts=facts), Undecided)


REFUTATIONS = [(claim_id, job) for claim_id, job in JOBS if job.refutes]


@pytest.mark.parametrize(("claim_id", "job"), REFUTATIONS, ids=[f"{c}-{job.form}" for c, job in REFUTATIONS])
def test_a_refuted_identity_is_not_certified_and_a_true_one_is_not_refuted(claim_id, job):
    """What a counterexample shows is lost if a difference is made to vanish, or to change its sign."""
    instances = draw(job.instances_of(all_claims()[claim_id]), seed=0, n=3)
    x = job.prepare(instances[0])
    for k, (relation, sides, _) in enumerate(job.facts):
        if relation in ("!=", ">"):

            def wrong(y, sides=sides):
                return [ball * 0 for ball in sides(y)]

            facts = [*job.facts[:k], Fact(relation, wrong), *job.facts[k + 1 :]]
            assert isinstance(certify(claim_id, job.form, x, parts=job.parts, facts=facts), Undecided)


def test_an_em_that_takes_another_greedy_action_is_not_certified():
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5)
    x = em_proofs.em({"mdp": mdp})
    wrong = x.with_parts(tables=[tuple(2 * value for value in q) for q in x.tables])
    facts = [equal(em_facts.as_policy_iteration)]
    assert isinstance(
        certify("app-f5-policy-iteration", "printed", x, parts=("mdp", "tables"), facts=facts), Certificate
    )
    assert isinstance(
        certify("app-f5-policy-iteration", "printed", wrong, parts=("mdp", "tables"), facts=facts), Undecided
    )


def test_a_value_iteration_that_repeats_a_table_is_not_certified():
    x = em_proofs.fixed_target(THREE_ROOTS)
    wrong = x.with_parts(tables=[*x.tables[:3], x.tables[2]])
    facts = [equal(em_facts.value_iteration)]
    assert isinstance(
        certify("eq-41", "corrected", wrong, parts=("mdp", "q", "tables"), facts=facts), Undecided
    )


def test_a_residual_error_that_forgets_a_pair_is_not_certified(monkeypatch):
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 1.0]], 0.5), "q": np.array([[5.0, 2.0]])})
    x = x.with_parts(q_star=(fmpq(1), fmpq(2)))
    monkeypatch.setattr(exact, "residual_error", lambda *_: fmpq(0))
    facts = [above(optima.error_of_table)]
    assert isinstance(certify("corollary-1", "corrected", x, parts=("mdp", "q"), facts=facts), Undecided)
