"""A thousand tampered certificates: no false claim is accepted, nothing crashes, each is one clear message.

Where the tamperer also recomputes the hash, the checker may accept only what is still true. Truth is judged
here by the certifiers, which share no code with the checker: the changed instance is certified anew.
"""

import base64
import copy
import json
import os
import random
import re
import time
import zlib
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from flint import ctx, fmpq

from verify import recheck
from verify.arithmetic import exact
from verify.arithmetic.exact import ExactMDP
from verify.arithmetic.instance import Exact
from verify.claims.optima.root_proofs import with_roots
from verify.engine.registry import all_claims
from verify.proofs import solution
from verify.proofs.certificate import Certificate, content_hash, document
from verify.proofs.run import draw, outcome_of
from verify.proofs.table import all_jobs
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solve import solve

N_TAMPERED = 1000
SEED = int(os.environ.get("FUZZ_SEED", "0"))
CLAIMS = [
    "eq-05",
    "eq-11",
    "theorem-3",
    "eq-24",
    "eq-42-omega",
    "app-g-m-step-prior",
    "design-04",
    "design-06",
    "design-12",
    "pseudo-likelihood-jensen",
    "pseudo-likelihood-risk-seeking",
    "merl-counterexample",
    "merl-counterexample-threshold",
    "theorem-4",
    "eq-30",
    "eq-31",
    "eq-07",
    "eq-43",
    "app-e4-policy-gradient",
    "app-f1-gradient",
    "eq-33-always-zero",
    "eq-39",
    "eq-41",
    "theorem-2",
    "corollary-1",
    "corollary-1-ii",
    "app-c-1",
    "app-c-3",
    "eq-37",
    "theorem-5-iii",
    "theorem-1-finite",
]


@cache
def certificates():
    """Small certificates of every kind, as `(certificate, job)`."""
    out = []
    for claim_id in CLAIMS:
        claim = all_claims()[claim_id]
        for job in all_jobs()[claim_id]:
            instances = draw(job.instances_of(claim), seed=1, n=60)
            recorded = job.check_of(claim).recorded
            if job.refutes and job.instances is None and recorded is not None:
                instances = [recorded]
            if job.refutes and claim_id in ("corollary-1", "app-c-3"):
                mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
                instances = [{"mdp": mdp, "q_star": np.array([[208.0, 104.0]])}]
            outcomes = (outcome_of(job, claim_id, x) for x in instances[::-1])
            found = [c for c in outcomes if isinstance(c, Certificate)]
            out += [(c, job) for c in sorted(found, key=lambda c: abs(len(str(c.instance)) - 500))[:1]]
    return [*out, (solved(), None)]


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


def leaves(node, path=()):
    """Paths to every string and integer."""
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            yield from leaves(child, (*path, key))
    else:
        yield path


def parent_of(body, path):
    for key in path[:-1]:
        body = body[key]
    return body


def change(value, rng):
    """Another value: a digit, a sign, a power of two, a type."""
    if isinstance(value, int):
        return rng.choice([value + 1, value - 1, -value, 10**50, str(value), None, True, 1 << 40])
    value = str(value)  # None, if it was changed before
    if value.startswith("eA") and rng.random() < 0.7:
        return changed_array(value, rng)
    digits = [m.start() for m in re.finditer(r"\d", value)]
    choice = rng.randrange(8)
    if digits and choice < 5:
        k = rng.choice(digits)
        return value[:k] + str((int(value[k]) + rng.randrange(1, 10)) % 10) + value[k + 1 :]
    return {5: value.removeprefix("-") if value.startswith("-") else "-" + value, 6: value + "0"}.get(
        choice, rng.choice(["", "1/0", "nan", "1e9999", "٣", "9" * 5000, "1p99999999", "eq-23", "falls", "-"])
    )


def changed_array(text, rng):
    """A packed array with one byte changed, or cut."""
    raw = bytearray(zlib.decompress(base64.b64decode(text)))
    k = rng.randrange(len(raw))
    raw[k] = (raw[k] + rng.randrange(1, 256)) % 256
    return base64.b64encode(zlib.compress(bytes(raw if rng.random() < 0.9 else raw[:k]), 1)).decode()


def restructure(body, rng):
    """Drop, repeat or move a part."""
    path = rng.choice([p for p in leaves(body) if len(p) > 2])
    cut = path[: rng.randrange(2, len(path) + 1)]
    parent, key = parent_of(body, cut), cut[-1]
    if isinstance(parent, list) and rng.random() < 0.5:
        parent.insert(key, copy.deepcopy(parent[key]))
    elif isinstance(parent, dict) and rng.random() < 0.5:
        parent["extra"] = parent[key]
    else:
        del parent[key]


def tamper(rng, certificate):
    """Bytes of a tampered file, and its body if the hash was recomputed (None: it was not)."""
    whole = json.loads(json.dumps(document([certificate])))
    if rng.random() < 0.2:
        raw = bytearray(json.dumps(whole, separators=(",", ":")).encode())
        k = rng.randrange(len(raw))
        if rng.random() < 0.4:
            return bytes(raw[:k]), None
        raw[k] = (raw[k] + rng.randrange(1, 256)) % 256
        return bytes(raw), None
    body = {key: value for key, value in whole.items() if key != "sha256"}
    if rng.random() < 0.15:
        restructure(body, rng)
    else:
        for _ in range(rng.choice([1, 1, 1, 2])):
            path = rng.choice(list(leaves(body["certificates"])))
            parent = parent_of(body["certificates"], path)
            parent[path[-1]] = change(parent[path[-1]], rng)
    keeps_hash = rng.random() < 0.25
    digest = whole["sha256"] if keeps_hash else content_hash(body)
    same = body == {key: value for key, value in whole.items() if key != "sha256"}
    return json.dumps(body | {"sha256": digest}).encode(), None if keeps_hash and not same else body


def exactly(value):
    """A part of an instance, as the certifiers have it."""
    return fmpq(value) if isinstance(value, str) else tuple(map(exactly, value))


def instance_of(data):
    parts = {name: exactly(value) for name, value in data.items() if name != "mdp"}
    return Exact(exact.from_json(data["mdp"]) if "mdp" in data else None, parts)


def interval(pair):
    return [fmpq(int(m)) * fmpq(2) ** int(e) for m, e in (x.split("p") for x in pair)]


def unpacked(text, dtype):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype)


def solver_delta(data):
    """What the arrays prove, over the rationals."""
    model, pairs = data["model"], data["model"]["pairs"]
    sizes, to, p = (unpacked(pairs[key], t) for key, t in (("size", "<i4"), ("to", "<i4"), ("p", "<f8")))
    ends = np.cumsum(sizes)
    dyadic = [fmpq(*float(x).as_integer_ratio()) for x in p]
    rows = [
        tuple(zip(to[e - n : e].tolist(), dyadic[e - n : e], strict=True))
        for e, n in zip(ends, sizes, strict=True)
    ]
    given = ExactMDP(
        model["n_states"],
        model["n_actions"],
        tuple(zip(unpacked(pairs["s"], "<i4").tolist(), unpacked(pairs["a"], "<i4").tolist(), strict=True)),
        tuple(rows),
        tuple(fmpq(*float(x).as_integer_ratio()) for x in unpacked(pairs["r"], "<f8")),
        fmpq(model["gamma"]),
        (),
        stochastic=False,
    )
    v = [fmpq(*float(x).as_integer_ratio()) for x in unpacked(data["v"], "<f8")]
    (chosen,) = np.nonzero(unpacked(data["pi"], "<f8"))
    return solution.exact_delta(given, chosen.tolist(), v)


def fact_holds(relation, balls, result):
    """What is claimed of one fact, judged by the certifier's enclosures at 1024 bits."""
    if relation == "==":
        ends = [interval(result[bits]) for bits in ("64", "128", "256")]
        return all(ball.contains(0) for ball in balls) and all(low <= 0 <= high for low, high in ends)
    low, high = interval(result["enclosure"])
    if relation == "!=":
        ball = balls[result["component"]]
        return (low > 0 or high < 0) and low <= ball <= high
    inside = all(low <= ball.upper() and ball.lower() <= high for ball in balls)
    sign = all(ball > 0 if relation == ">" else not ball < 0 for ball in balls)
    return inside and sign and (low > 0 if relation == ">" else low >= 0)


def still_true(entry, job):
    """Judged by the certifier on the entry's own instance; and nothing but its claim is in it."""
    if "extra" in json.dumps(entry):
        return False
    if entry["claim"] == "solve":
        return solver_delta(entry["instance"]) <= fmpq(entry["instance"]["delta"])
    x = instance_of(entry["instance"])
    if set(x.parts) | ({"mdp"} if x.mdp else set()) != set(job.parts):
        return False
    if "ends" in x.parts and not isolates(x):
        return False
    with ctx.workprec(1024):
        facts = [(fact.relation, fact.differences(x)) for fact in job.facts]
    return all(
        set(result) == KEYS[relation] and fact_holds(relation, balls, result)
        for (relation, balls), result in zip(facts, entry["result"], strict=True)
    )


KEYS = {"==": {"64", "128", "256"}, "!=": {"enclosure", "component"}}
KEYS |= {">=": {"enclosure"}, ">": {"enclosure"}}


def isolates(x):
    """The roots claimed are those that the certifier finds, one each."""
    found = with_roots(x)
    pairs = zip(x.low, x.high, found.low, found.high, strict=True)
    return all(a <= d and c <= b for a, b, c, d in pairs)


def test_the_certificates_are_of_every_kind_and_true(tmp_path):
    for k, (certificate, _) in enumerate(certificates()):
        path = tmp_path / f"{k}.json"
        path.write_text(json.dumps(document([certificate])))
        assert recheck.main_recheck([str(path)]) == 0
    assert len(certificates()) >= 45


def test_no_tampered_certificate_is_accepted_unless_it_is_still_true(tmp_path, capsys):
    rng, path = random.Random(SEED), tmp_path / "c.json"
    jobs = {(c.claim, c.form): job for c, job in certificates()}
    accepted, statuses, start = 0, [0, 0, 0], time.process_time()
    for _ in range(N_TAMPERED):
        certificate, _ = rng.choice(certificates())
        raw, body = tamper(rng, certificate)
        path.write_bytes(raw)
        status = recheck.main_recheck([str(path)])
        output = capsys.readouterr()
        statuses[status] += 1
        message = output.out + output.err
        assert message.count("\n") == 1, message
        assert len(message) < 400, message
        if body is None:
            assert status == 2, message
        elif status == 0:
            accepted += 1
            for entry in body["certificates"]:
                assert still_true(entry, jobs.get((entry["claim"], entry["form"]))), entry
    assert time.process_time() - start < 60
    assert statuses[1] > 50
    assert statuses[2] > 200
    assert accepted > 20  # wider enclosures, other instances of a true identity: true claims


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
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_rejected_in_a_line(name, tmp_path, capsys):
    path = tmp_path / "c.json"
    path.write_bytes(HOSTILE[name])
    start = time.monotonic()
    assert recheck.main_recheck([str(path)]) == 2
    assert time.monotonic() - start < 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_over_the_limit_is_rejected_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(recheck, "MAX_BYTES", 100)
    (tmp_path / "c.json").write_bytes(b" " * 101)
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 2


def test_a_missing_file_and_a_folder_are_rejected(tmp_path, capsys):
    assert recheck.main_recheck([str(tmp_path / "none.json"), str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("rejected: unreadable") == 2


def test_time_is_limited(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recheck, "MAX_SECONDS", -1)
    (certificate, _), *_ = certificates()
    (tmp_path / "c.json").write_text(json.dumps(document([certificate])))
    assert recheck.main_recheck([str(tmp_path / "c.json")]) == 1
    assert "out of time" in capsys.readouterr().err


def test_the_worst_status_of_several_files_counts(tmp_path):
    (certificate, _), *_ = certificates()
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(document([certificate])))
    bad.write_text(good.read_text()[:-10])
    assert recheck.main_recheck([str(good)]) == 0
    assert recheck.main_recheck([str(bad), str(good)]) == 2
