"""Tampered certificates: no false claim is accepted, nothing crashes, each is one clear message.

The tamperer recomputes the hash, so that only the claims decide. Truth is judged by `tests.support.judge`,
which shares nothing with the checker. The operators are those of `tests.support.tampering`, by name.

FUZZ_SEED=7 FUZZ_FILES=10000 pytest -m long tests/verify/proofs/test_fuzz_certificates.py
"""

import json
import os
import random
import time
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from tests.support import judge
from tests.support.tampering import OPERATORS, signed, tampered
from verify import recheck
from verify.checker import answer, limits
from verify.engine.registry import all_claims
from verify.proofs import solution
from verify.proofs.certificate import Certificate, document
from verify.proofs.run import outcome_of
from verify.proofs.sampling import draw
from verify.proofs.table import all_jobs
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solve import solve

SEED = int(os.environ.get("FUZZ_SEED", "0"))
N_LONG = int(os.environ.get("FUZZ_FILES", "10000"))
FEW = [
    "eq-24",
    "eq-42-omega",
    "design-04",
    "design-06",
    "theorem-4",
    "eq-33-always-zero",
    "eq-41",
    "talk-limit-j",
]
FEW += ["corollary-1-hence", "app-c-1", "theorem-1-finite", "merl-counterexample-threshold", "rerpi-shrinks"]
MANY = [
    *FEW,
    "eq-05",
    "eq-11",
    "theorem-3",
    "app-g-m-step-prior",
    "design-12",
    "pseudo-likelihood-jensen",
    "eq-30",
]
MANY += [
    "pseudo-likelihood-risk-seeking",
    "eq-31",
    "eq-07",
    "eq-43",
    "app-e4-policy-gradient",
    "app-f1-gradient",
]
MANY += ["eq-39", "theorem-2", "corollary-1", "corollary-1-ii", "app-c-3", "eq-37", "theorem-5-iii", "mpo-21"]
MANY += ["mpo-dual-slope", "hdp-bound", "smc-limit", "erpg-n-step", "distral-blocks", "tanh-kl", "design-05"]


@cache
def bodies(claim_ids):
    """Contents of small certificate files, one per form of the claims, and a solver's."""
    out = [document([solved()])]
    for claim_id in claim_ids:
        claim = all_claims()[claim_id]
        for job in all_jobs()[claim_id]:
            recorded = job.check_of(claim).recorded
            n = 40 if job.refutes and job.instances is None else 8
            drawn = draw(job.instances_of(claim), seed=1, n=n)[::-1]
            if job.refutes and job.instances is None and recorded is not None:
                drawn = [recorded]
            found = (outcome_of(job, claim_id, x) for x in drawn)
            small = [c for c in found if isinstance(c, Certificate)]
            small.sort(key=lambda c: abs(len(str(c.instance)) - 500))
            out += [document(small[:1])] * bool(small)
    return [{key: x for key, x in json.loads(json.dumps(d)).items() if key != "sha256"} for d in out]


def solved():
    """A solver's certificate of two states; one pair does not exist."""
    mask = np.array([[True, True], [False, True]])
    mdp = TabularMDP(
        [[[0.9, 0.1], [0.3, 0.7]], [[0, 0], [1.0, 0.0]]], [[0.0, -1.0], [0, 0.0]], 0.9, mask=mask
    )
    found = solve(mdp, atol=1e-8)
    bound = solution.policy_bound(mdp, found.policy, found.value)
    delta = Fraction(2 * bound.delta)
    return solution.certificate(mdp, found.policy, bound.witness, delta=delta, norm=bound.norm)


def check_one(path, raw, name):
    """Check one tampered file; return its status, and whether it is rightly what it is."""
    path.write_bytes(raw)
    start = time.monotonic()
    found = answer.examine(path, second=False)
    assert time.monotonic() - start < 1.2 * limits.MAX_SECONDS
    if found["status"]:
        assert found["why"].isprintable(), name
        assert 0 < len(found["why"]) <= 200, name
        return found["status"]
    truth = judge.is_true(raw)
    assert truth is not False, (name, raw)
    assert sum(x["instances"] for x in found["statements"]) == judge.n_distinct(raw), name
    return 0 if truth else 3


def fuzz(n, claim_ids, path):
    """Tamper with `n` files; return how many had each status (3: the judge is undecided)."""
    rng, statuses, tried = random.Random(SEED), Counter(), Counter()
    all_of = bodies(claim_ids)
    others = [x for body in all_of for x in body["certificates"]]
    names = list(OPERATORS)
    while sum(tried.values()) < n:
        name = names[sum(tried.values()) % len(names)] if rng.random() < 0.8 else rng.choice(names)
        mixed = rng.sample(all_of, len(all_of))
        raw = next(raw for body in mixed * 5 if (raw := tampered(body, name, rng, others)) is not None)
        tried[name] += 1
        statuses[check_one(path, raw, name)] += 1
    return statuses, tried


def test_no_tampered_certificate_is_accepted_unless_it_is_still_true(tmp_path):
    statuses, tried = fuzz(400, tuple(FEW), tmp_path / "c.json")
    assert len(tried) >= 60
    assert statuses[0] > 20  # wider enclosures, other instances of a true identity: true claims
    assert statuses[1] > 20
    assert statuses[2] > 100
    assert statuses[3] == 0


@pytest.mark.long
def test_of_ten_thousand_tampered_files_none_is_accepted_that_is_false(tmp_path):
    statuses, tried = fuzz(N_LONG, tuple(MANY), tmp_path / "c.json")
    print(dict(statuses), len(tried))  # noqa: T201
    assert len(tried) == len(OPERATORS) or N_LONG < 1000
    assert statuses[3] <= N_LONG // 1000


def test_the_untouched_files_are_true_for_both(tmp_path):
    for body in bodies(tuple(FEW)):
        raw = signed(body)
        assert check_one(tmp_path / "c.json", raw, body["certificates"][0]["claim"]) == 0


PLANTED = {
    "identities always hold": ("verify.checker.proving.zero", lambda x: True),  # noqa: ARG005
    "every enclosure is right": ("verify.checker.proving.settle", lambda *_: True),
    "no part breaks a rule": ("verify.checker.formulas.RULES", defaultdict(lambda: bool)),
    "a key that nothing reads": ("verify.checker.reading.Read.__iter__", lambda _: iter(())),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_finds_what_a_blind_checker_would_accept(name, tmp_path, monkeypatch):
    monkeypatch.setattr(*PLANTED[name])
    with pytest.raises(
        AssertionError, match=r"(number|type|list|object|claim|instance|result|interval|file|packed): "
    ):
        fuzz(400, tuple(FEW), tmp_path / "c.json")


HOSTILE = {
    "deep": b"[" * 200_000,
    "deep-dict": b'{"a":' * 100_000,
    "huge-integer": b'{"schema": ' + b"9" * 10_000 + b"}",
    "float": b'{"schema": 1.0}',
    "nan": b'{"schema": NaN}',
    "twice": b'{"schema": 1, "schema": 1}',
    "empty": b"",
    "text": b"hello",
    "bytes": bytes(range(256)),
    "list": b"[]",
    "other": b'{"schema": 1}',
    "claims": b'{"claims": 1}',
    "row": b'{"claims": [{}]}',
    "deep-claims": b'{"claims": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_rejected_in_a_line(name, tmp_path, capsys):
    path = tmp_path / "c.json"
    path.write_bytes(HOSTILE[name])
    start = time.monotonic()
    assert recheck.main_recheck([str(path)]) == 2
    assert time.monotonic() - start < 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_worst_status_of_several_files_counts(tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(signed(bodies(tuple(FEW))[0]))
    bad.write_bytes(good.read_bytes()[:-10])
    assert recheck.main_recheck([str(good)]) == 0
    assert recheck.main_recheck([str(bad), str(good)]) == 2
