"""Limits of the checker hold within a fifth for hostile files: seconds, memory, and what is read at all."""

import base64
import json
import os
import random
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from tests.support.tampering import signed
from verify import recheck
from verify.checker import limits, reading
from verify.checker.child import answers

SCRIPT = Path(recheck.__file__)
RNG = random.Random(0)
SECONDS = 1


def body(claim, form, n_facts, **instance):
    zero = {bits: ["0p0", "0p0"] for bits in ("64", "128", "256")}
    entry = {"claim": claim, "form": form, "instance": instance, "result": [zero] * n_facts}
    return {"schema": 2, "versions": {"virel": "0"}, "certificates": [entry]}


def long_fraction(digits=2000):
    return f"{RNG.randrange(10 ** (digits - 1), 10**digits)}/{RNG.randrange(10 ** (digits - 1), 10**digits)}"


def mdp(n_states, n_actions, reward=lambda: "1"):
    pairs = [[s, a, reward(), [[s, "1"]]] for s in range(n_states) for a in range(n_actions)]
    initial = ["1"] + ["0"] * (n_states - 1)
    return {"n_states": n_states, "n_actions": n_actions, "gamma": "1/2", "initial": initial, "pairs": pairs}


def digits():
    """6 MB of fractions of 2,000 digits."""
    q = [long_fraction() for _ in range(750)]
    return signed(
        body("corollary-1-hence", "printed", 3, mdp=mdp(1, 750, long_fraction), q=q, q_star=["0"] * 750)
    )


def digits_to_add():
    """Fractions of 2,000 digits whose sum is asked for first."""
    n = 700
    pi = [long_fraction() for _ in range(n)]
    return signed(body("eq-24", "printed", 1, mdp=mdp(1, n), q=["0"] * n, pi_theta=pi, d=["1"], eps="1"))


def bomb():
    """A small file whose arrays unpack to hundreds of megabytes."""
    text = base64.b64encode(zlib.compress(bytes(30_000_000), 9)).decode()
    pairs = dict.fromkeys(("s", "a", "size", "to", "p", "r"), text)
    model = {"n_states": 1, "n_actions": 1, "gamma": "1/2", "initial": text, "pairs": pairs}
    return signed(body("solve", "policy", 2, model=model, v=text, pi=text, delta="1"))


def temperatures():
    ends = [f"{k}/1000" for k in range(1, 100_000)]
    q = [long_fraction() for _ in range(9)]
    return signed(
        body("corollary-1", "corrected", 3, mdp=mdp(3, 3), q=q, q_star=["2"] * 9, ends=ends, low=[], high=[])
    )


def trajectories():
    parts = {"pi": ["1/3"] * 3, "prior": ["1/3"] * 3, "alpha": "1/7", "horizon": "8"}
    return signed(body("design-06", "printed", 2, mdp=mdp(1, 3, lambda: long_fraction(3)), **parts))


def directions():
    n = 200
    features = [[str(i * j % 7) for i in range(n)] for j in range(n)]
    parts = {"q": ["1"] * n, "omega": ["1"] * n, "pi_phi": [f"1/{n}"] * n, "d": ["1"], "eps": "1"}
    return signed(body("eq-43", "printed", 1, mdp=mdp(1, n), features=features, **parts))


HOSTILE = {
    "long fractions": digits,
    "a sum of long fractions": digits_to_add,
    "a zlib bomb": bomb,
    "many boxes of temperatures": temperatures,
    "long polynomials over trajectories": trajectories,
    "many directions": directions,
    "deep lists": lambda: b"[" * 3_000_000,
    "deep objects": lambda: b'{"a":' * 1_000_000,
    "many keys": lambda: b"{" + b",".join(b'"k%d":1' % k for k in range(1_100_000)) + b"}",
    "many lists": lambda: b"[" + b",".join([b"[]"] * 450_000) + b"]",
    "many objects": lambda: b"[" + b",".join([b"{}"] * 450_000) + b"]",
    "many rows": lambda: b'{"claims":[' + b",".join([b"{}"] * 3_000_000) + b"]}",
    "a long integer": lambda: b'{"schema":' + b"9" * 5_000_000 + b"}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_kept(name, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SECONDS", SECONDS)
    path = tmp_path / "c.json"
    path.write_bytes(HOSTILE[name]())
    start = time.monotonic()
    (found,) = answers(_examine, [path])
    assert time.monotonic() - start < 1.2 * SECONDS + 0.5  # a loaded machine starts and ends processes late
    assert found["status"] in (1, 2)


def _examine(path):
    from verify.checker.answer import examine  # noqa: PLC0415

    return examine(path, second=False)


LAUNCHER = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True, check=False)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""
"""Measures the memory of a process that no large one has started."""


@pytest.mark.parametrize("name", ["a zlib bomb", "many objects", "many rows", "long fractions"])
def test_memory_is_kept(name, tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(HOSTILE[name]())
    command = [sys.executable, "-c", LAUNCHER, SCRIPT, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    status, memory = map(int, done.stdout.split())
    size = path.stat().st_size
    room = limits.UNPACKED + limits.UNPACKED_PER_BYTE * size
    allowed = limits.MEMORY + limits.PER_BYTE * (size + room * (name == "a zlib bomb"))
    assert status in (1, 2)
    assert memory < 1.2 * allowed


def test_a_process_that_does_not_notice_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_SECONDS", 1)
    start = time.monotonic()
    found = list(answers(_sleep, [tmp_path, tmp_path]))
    assert time.monotonic() - start < 4
    assert found == [{"status": 1, "why": "undecided: out of time; the check was ended"}] * 2


def _sleep(path):  # noqa: ARG001
    time.sleep(60)


def test_a_process_that_takes_too_much_memory_or_dies_is_undecided(tmp_path):
    found = list(answers(_take_memory, [tmp_path]))
    found += list(answers(_die, [tmp_path]))
    found += list(answers(_err, [tmp_path]))
    assert [x["status"] for x in found] == [1, 1, 1]
    assert ["out of memory" in x["why"] for x in found] == [True, True, False]
    assert "KeyError in the checker" in found[2]["why"]


def _take_memory(path):  # noqa: ARG001
    """More than a large process, as this one may be by now, has free of what it once had."""
    try:
        return {"status": 0, "taken": len(bytearray(limits.MAX_MEMORY))}
    except MemoryError:
        return {"status": 1, "why": "undecided: out of memory"}


def _err(path):
    raise KeyError(path)


def _die(path):  # noqa: ARG001
    os._exit(3)


def test_only_regular_files_are_read(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    names = [str(tmp_path / "pipe"), str(tmp_path / "link"), "/dev/zero", str(tmp_path)]
    start = time.monotonic()
    assert recheck.main_recheck(names) == 2
    assert time.monotonic() - start < 3
    assert capsys.readouterr().err.count("rejected: not a regular file") == 4


def test_a_file_over_the_limit_is_rejected_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 100)
    (tmp_path / "c.json").write_bytes(b" " * 101)
    with pytest.raises(limits.Rejected, match="larger than 100 bytes"):
        reading.read_bytes(tmp_path / "c.json")


def test_texts_are_left_out_of_the_measure_wherever_a_piece_ends(monkeypatch):
    raw = json.dumps({"a": ["[[[[", "}", ",,,,,,,,"], "b": {"c": "x" * 50}}).encode()
    whole = b"".join(reading.outside_texts(raw))
    for size in range(1, 40):
        monkeypatch.setattr(reading, "CHUNK", size)
        bare = b"".join(reading.outside_texts(raw))
        assert [bare.count(x) for x in b"[]{},:"] == [whole.count(x) for x in b"[]{},:"]
    assert whole.count(b",") == 3
    assert whole.count(b"[") == 1
