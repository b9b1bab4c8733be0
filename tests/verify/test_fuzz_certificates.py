"""A thousand tampered certificates: no false claim is accepted, nothing crashes, each is one clear message.

Where the tamperer also recomputes the hash, the checker may accept only what is still true. Truth is judged
here by the certifiers, which share no code with the checker: the changed instance is certified anew.
"""

import copy
import json
import random
import re
import time
from functools import cache

import numpy as np
import pytest
from flint import ctx, fmpq

from verify import exact, recheck
from verify.balls import hull
from verify.certificate import Certificate, content_hash, document
from verify.certify import solution
from verify.certify.instance import Exact
from verify.certify.run import draw
from verify.certify.table import CERTIFIERS
from verify.registry import all_claims
from virel_theory._validate import InputError
from virel_theory.mdp import TabularMDP
from virel_theory.solvers import solve

N_TAMPERED = 1000
CLAIMS = [
    "eq-05",
    "eq-11",
    "theorem-3",
    "eq-24",
    "eq-42-omega",
    "app-g-m-step-prior",
    "design-04",
    "design-06",
    "theorem-4",
    "eq-30",
    "eq-31",
    "eq-39",
    "eq-41",
    "merl-counterexample",
    "merl-counterexample-threshold",
    "corollary-1",
    "corollary-1-ii",
    "app-c-1",
    "app-c-3",
    "theorem-1-finite",
]


def certified(job, claim_id, instance):
    """None where the instance is not one that can be certified (not rational, not tabular)."""
    try:
        return job.certify(claim_id, job.form, job.prepare(instance))
    except InputError:
        return None


@cache
def certificates():
    """Small certificates of every kind, as `(certificate, job)`."""
    out = []
    for claim_id in CLAIMS:
        for job in CERTIFIERS[claim_id]:
            instances = draw(job.check_of(all_claims()[claim_id]).instances, seed=1, n=60)
            if job.refutes and claim_id in ("corollary-1", "app-c-3"):
                mdp = TabularMDP([[[1.0], [1.0]]], [[104.0, 0.0]], 0.5)
                instances = [{"mdp": mdp, "q_star": np.array([[208.0, 104.0]])}]
            outcomes = (certified(job, claim_id, x) for x in instances[::-1])
            found = [c for c in outcomes if isinstance(c, Certificate)]
            out += [(c, job) for c in sorted(found, key=lambda c: abs(len(str(c.instance)) - 500))[:1]]
    mdp = TabularMDP([[[0.9, 0.1], [0.3, 0.7]], [[0.0, 1.0], [1.0, 0.0]]], [[0.0, -1.0], [2.0, 0.0]], 0.9)
    solved = solve(mdp, atol=1e-8)
    return [*out, (solution.embedded(mdp, solved.policy, solved.value), None)]


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
    digits = [m.start() for m in re.finditer(r"\d", value)]
    choice = rng.randrange(8)
    if digits and choice < 5:
        k = rng.choice(digits)
        return value[:k] + str((int(value[k]) + rng.randrange(1, 10)) % 10) + value[k + 1 :]
    return {5: value.removeprefix("-") if value.startswith("-") else "-" + value, 6: value + "0"}.get(
        choice, rng.choice(["", "1/0", "nan", "1e9999", "٣", "9" * 5000, "1p99999999", "eq-23", "falls", "-"])
    )


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


def instance_of(data):
    parts = {}
    for name, value in data.items():
        if name != "mdp":
            parts[name] = fmpq(value) if isinstance(value, str) else tuple(map(fmpq, value))
    return Exact(exact.from_json(data["mdp"]) if "mdp" in data else None, parts)


def interval(pair):
    return [fmpq(int(m)) * fmpq(2) ** int(e) for m, e in (x.split("p") for x in pair)]


def as_float(value):
    if isinstance(value, list):
        return [as_float(x) for x in value]
    return int(fmpq(value).p) / int(fmpq(value).q)


def still_true(entry, job):
    """Judged by the certifier on the entry's own instance."""
    claim, form, result = entry["claim"], entry["form"], entry["result"]
    if claim == "solve":
        data = entry["instance"]["mdp"]
        given = solution.ExactMDP(
            data["n_states"],
            data["n_actions"],
            tuple((s, a) for s, a, _, _ in data["pairs"]),
            tuple(tuple((t, fmpq(p)) for t, p in row) for *_, row in data["pairs"]),
            tuple(fmpq(r) for _, _, r, _ in data["pairs"]),
            fmpq(data["gamma"]),
            tuple(map(fmpq, data["initial"])),
            stochastic=False,
        )
        v = [fmpq(x) for x in entry["instance"]["v"]]
        return solution.exact_delta(given, result["policy"], v) <= fmpq(result["delta"])
    if claim == "theorem-1-finite":
        raw = {name: as_float(value) for name, value in entry["instance"].items()}
        again = job.certify(claim, form, raw)
        return isinstance(again, Certificate)
    x = instance_of(entry["instance"])
    sides = getattr(job.certify, "keywords", {}).get("sides")
    if sides is not None:
        with ctx.workprec(1024):
            balls = sides(x)
        if "component" in result:
            low, high = interval(result["enclosure"])
            return (
                (low > 0 or high < 0)
                and low <= balls[result["component"]]
                and balls[result["component"]] <= high
            )
        if "enclosure" in result:
            low, high = interval(result["enclosure"])
            inside = low <= hull(balls).upper() and hull(balls).lower() <= high
            return inside and all(ball >= 0 or ball.contains(0) for ball in balls)
        ends = [interval(pair) for pair in result.values()]
        return all(ball.contains(0) for ball in balls) and all(low <= 0 <= high for low, high in ends)
    if "w" in x.parts:
        x = x.with_parts(**{name: value for name, value in x.parts.items() if name != "w"})
    again = job.certify(claim, form, x)
    if not isinstance(again, Certificate):
        return False
    if "roots" in result:
        claimed, found = map(interval, result["roots"]), map(interval, again.result["roots"])
        return all(a[0] <= b[1] and b[0] <= a[1] for a, b in zip(claimed, found, strict=True))
    if "loss" in result or "enclosure" in result:
        return True  # the certifier proved the statement itself on this instance
    return json.loads(json.dumps(again.result)) == result


def test_the_certificates_are_of_every_kind_and_true(tmp_path):
    for k, (certificate, _) in enumerate(certificates()):
        path = tmp_path / f"{k}.json"
        path.write_text(json.dumps(document([certificate])))
        assert recheck.main_recheck([str(path)]) == 0
    assert len(certificates()) >= 20


def test_no_tampered_certificate_is_accepted_unless_it_is_still_true(tmp_path, capsys):
    rng, path = random.Random(0), tmp_path / "c.json"
    jobs = {(c.claim, c.form): job for c, job in certificates()}
    accepted, statuses, start = 0, [0, 0, 0], time.monotonic()
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
    assert time.monotonic() - start < 60
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
