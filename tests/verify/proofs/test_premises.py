"""Premises of statements are checked: a certificate whose instance breaks one is rejected."""

import dataclasses

import pytest
from flint import fmpq

from tests.support.proofs import job_of
from verify import recheck
from verify.arithmetic.exact import ExactMDP
from verify.arithmetic.instance import Exact
from verify.engine.registry import all_claims
from verify.proofs.certificate import Certificate, Undecided, write
from verify.proofs.facts import certify
from verify.proofs.run import certify_claim, outcome_of
from verify.proofs.sampling import draw
from verify.proofs.shared_facts import POSITIVE_OPTIMUM


def proof_of(claim_id, form, tmp_path):
    """A certificate of a statement: the recorded counterexample, or one of a few drawn instances."""
    job, claim = job_of(claim_id, form), all_claims()[claim_id]
    recorded = job.check_of(claim).recorded
    instances = [recorded] if job.refutes and recorded else draw(job.instances_of(claim), seed=2, n=12)[::-1]
    found = next(
        filter(lambda x: isinstance(x, Certificate), (outcome_of(job, claim_id, x) for x in instances))
    )
    assert accepted(found, tmp_path)
    return found


def accepted(certificate, tmp_path):
    """Whether the checker accepts a certificate."""
    write(tmp_path / "c.json", [certificate])
    try:
        recheck.recheck(tmp_path / "c.json")
    except recheck.Rejected:
        return False
    return True


def with_reward(instance, pair, value):
    pairs = [
        [s, a, value if k == pair else r, row] for k, (s, a, r, row) in enumerate(instance["mdp"]["pairs"])
    ]
    return instance | {"mdp": instance["mdp"] | {"pairs": pairs}}


CHANGES = [
    ("theorem-3", "printed", lambda x: x | {"eps": "1/4"}),
    ("eq-23", "printed", lambda x: x | {"eps": "1/4"}),
    ("eq-11", "step-1", lambda x: x | {"eps": "1/4"}),
    ("eq-42-omega", "printed", lambda x: x | {"eps": "1/4"}),
    ("app-h-policy-loss", "printed", lambda x: x | {"eps": "1/4"}),
    ("theorem-3", "printed", lambda x: x | {"q_star": x["q"]}),
    ("merl-counterexample", "printed", lambda x: with_reward(x, 1, "2")),
    ("merl-counterexample", "printed", lambda x: with_reward(x, 2, "1")),
    ("merl-counterexample-threshold", "printed", lambda x: x | {"c": "1/100"}),
    ("pseudo-likelihood-risk-seeking", "printed", lambda x: with_reward(x, 1, "100")),
    ("pseudo-likelihood-risk-seeking", "printed", lambda x: with_reward(x, 1, "1/100")),
    (
        "def-projection",
        "printed",
        lambda x: x | {"gram_inverse": [["1/1000", *row[1:]] for row in x["gram_inverse"]]},
    ),
    ("def-projection", "printed", lambda x: x | {"zeta": ["1/1000", *x["zeta"][1:]]}),
    ("app-c-2", "printed", lambda x: x | {"q": x["q_star"]}),
    ("corollary-1", "corrected", lambda x: x | {"q": x["q_star"]}),
    ("talk-theorem-2-i", "printed", lambda x: x | {"q": x["q_star"]}),
    ("eq-39", "printed", lambda x: x | {"q": x["q_two"]}),
    ("eq-40", "printed", lambda x: x | {"q": ["0"] * len(x["q"])}),
    ("theorem-5-ii", "printed", lambda x: x | {"q_two": x["q"]}),
    ("theorem-2-moreover-finite", "printed", lambda x: x | {"q": ["-1"] * len(x["q"])}),
    ("mpo-em", "printed", lambda x: x | {"v": ["0"] * len(x["v"])}),
]


@pytest.mark.parametrize(
    ("claim_id", "form", "change"), CHANGES, ids=[f"{c}-{k}" for k, (c, _, _) in enumerate(CHANGES)]
)
def test_an_instance_that_breaks_a_premise_is_rejected(claim_id, form, change, tmp_path):
    proof = proof_of(claim_id, form, tmp_path)
    assert not accepted(dataclasses.replace(proof, instance=change(proof.instance)), tmp_path)


TO_ITSELF = ((0, fmpq(1)),)
ONE_STATE = ExactMDP(1, 2, ((0, 0), (0, 1)), (TO_ITSELF,) * 2, (fmpq(2), fmpq(-4)), fmpq(1, 2), (fmpq(1),))
NEGATIVE = {"q_star": (4, -2), "q": (-1, -2), "pi_theta": (fmpq(1, 2),) * 2, "d": (1,), "v": (-2,)}
"""Q* = (4, -2) breaks Assumption 1, Q* > 0, though its mean under an even policy is 1; that has value -2."""


@pytest.mark.parametrize(
    ("claim_id", "form"),
    [("theorem-2", "step-2"), ("theorem-2-variational-policy", "printed"), ("talk-limit-j", "printed")],
)
def test_a_counterexample_with_a_negative_optimum_is_neither_made_nor_accepted(claim_id, form, tmp_path):
    """Every other fact of the refutation holds; only Assumption 1 does not."""
    job = job_of(claim_id, form)
    x = Exact(ONE_STATE, {name: tuple(map(fmpq, values)) for name, values in NEGATIVE.items()})
    assert isinstance(certify(claim_id, form, x, parts=job.parts, facts=job.facts), Undecided)
    others = [fact for fact in job.facts if fact is not POSITIVE_OPTIMUM]
    found = certify(claim_id, form, x, parts=job.parts, facts=others)
    assert isinstance(found, Certificate)
    premise = {"enclosure": ["1p-20", "1p20"]}
    at = [fact is POSITIVE_OPTIMUM for fact in job.facts].index(True)
    result = [*found.result[:at], premise, *found.result[at:]]
    assert not accepted(dataclasses.replace(found, result=result), tmp_path)


def test_one_certificate_does_not_serve_three_claims(tmp_path):
    """(39), (40) and App. F.5 once shared one: each has parts of its own now."""
    for claim_id in ("eq-39", "eq-40", "app-f5-policy-iteration"):
        (row, *_) = certify_claim(claim_id, seed=0, out=tmp_path, n_instances=1)
        assert row.ok
    proof = proof_of("app-f5-policy-iteration", "printed", tmp_path)
    for claim_id in ("eq-39", "eq-40"):
        assert not accepted(dataclasses.replace(proof, claim=claim_id), tmp_path)
