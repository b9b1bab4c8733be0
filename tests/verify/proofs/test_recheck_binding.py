"""A run's results are bound to its certificates: what is substituted is refused, whatever the names say."""

import copy
import dataclasses
import json
import os
import shutil

import pytest

from verify import recheck
from verify.proofs.certificate import content_hash
from verify.proofs.run import certify_claim

VERDICTS = {"eq-24": "CERTIFIED", "theorem-3": "REFUTED", "eq-36": "HOLDS", "eq-11": "GAP"}


def row(claim_id, folder, seed):
    rows = certify_claim(claim_id, seed=seed, out=folder, n_instances=3)
    entries = [dataclasses.asdict(x) | {"ok": x.ok} for x in rows]
    plain = {"id": claim_id, "verdict": VERDICTS[claim_id], "steps": [{"ok": claim_id != "eq-11"}]}
    return plain | ({"certificates": entries} if entries else {})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of four claims, and the same with another seed."""
    root = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        folder = root / str(seed) / "certificates"
        folder.mkdir(parents=True)
        rows = [row(claim_id, folder, seed) for claim_id in VERDICTS]
        (folder.parent / "results.json").write_text(json.dumps({"schema": 2, "claims": rows}))
    return root


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made / "0", tmp_path / "run")
    return tmp_path / "run"


def rows_of(run):
    return json.loads((run / "results.json").read_text())["claims"]


def with_rows(run, change):
    """Change the rows of a run."""
    rows = rows_of(run)
    change(rows)
    (run / "results.json").write_text(json.dumps({"schema": 2, "claims": rows}))


def with_file(run, name, change):
    """Change a certificate file, sign it, and enter the new hash into its row."""
    path = run / "certificates" / name
    body = json.loads(path.read_text())
    old = body.pop("sha256")
    body["certificates"] = change(body["certificates"])
    path.write_text(json.dumps(body | {"sha256": content_hash(body)}))
    text = (run / "results.json").read_text()
    assert old in text
    (run / "results.json").write_text(text.replace(old, content_hash(body)))


def entries_of(run, name):
    return json.loads((run / "certificates" / name).read_text())["certificates"]


def test_the_rows_of_an_honest_run_are_what_is_there(run, capsys):
    assert recheck.main_recheck([str(run / "results.json")]) == 0
    out = capsys.readouterr().out
    assert "its 4 rows and the 5 files beside it agree" in out
    assert "theorem-3 printed: refuted by 1 counterexample" in out
    assert "eq-24 printed: proved on 3 instances" in out
    assert "KL(u, p_omega) == KL(d, by(p_omega)) + EKL" in out


def test_the_name_of_the_results_carries_no_meaning(run, capsys):
    (run / "results.json").rename(run / "anything.txt")
    assert recheck.main_recheck([str(run / "anything.txt")]) == 0
    assert "files beside it agree" in capsys.readouterr().out


def test_a_certificate_named_as_results_is_one(run, capsys):
    shutil.copy(run / "certificates/eq-24-printed.json", run / "certificates/results.json")
    assert recheck.main_recheck([str(run / "certificates/results.json")]) == 0
    assert "eq-24 printed: proved on 3 instances" in capsys.readouterr().out


A, B, C = "eq-24-printed.json", "theorem-3-corrected.json", "theorem-3-printed.json"


def move(run, old, new):
    (run / "certificates" / old).rename(run / "certificates" / new)


def swap(run):
    move(run, A, "x")
    move(run, B, A)
    move(run, "x", B)


def entry(rows, k=0):
    """The entry of a row for its `k`-th certificate file: of eq-24, or of theorem-3."""
    return [x for row in rows for x in row.get("certificates", [])][k]


def refutation_for_proof(run):
    """theorem-3 as CERTIFIED, by its counterexample."""

    def change(rows):
        rows[1]["verdict"] = "CERTIFIED"
        entry(rows, 1)["refutes"] = False

    with_rows(run, change)


def of_another_claim(run):
    """The row of eq-24 for the certificates of theorem-3, with their hash and count."""

    def change(rows):
        theirs = entry(rows, 2)
        entry(rows).update({key: theirs[key] for key in ("file", "sha256", "certified")})
        del rows[1]["certificates"][1]

    with_rows(run, change)
    (run / "certificates" / A).unlink()


def copies(run):
    with_file(run, A, lambda xs: xs[:1] * 200)
    with_rows(run, lambda rows: entry(rows).update(certified=200))


def copies_in_disguise(run):
    """The same instance with its keys and fractions written in other ways."""

    def change(xs):
        other = copy.deepcopy(xs[0])
        other["instance"] = dict(reversed(other["instance"].items()))
        other["instance"]["eps"] = "/".join(str(2 * int(n)) for n in _fraction(other["instance"]["eps"]))
        return [xs[0], other, other]

    with_file(run, A, change)


def _fraction(text):
    top, _, below = text.partition("/")
    return top, below or "1"


def without_refutation(run):
    """theorem-3 as holding: neither its counterexample nor the entry for it is there."""

    def change(rows):
        rows[1]["verdict"] = "HOLDS"
        rows[1]["certificates"] = [x for x in rows[1]["certificates"] if x["form"] != "printed"]

    with_rows(run, change)
    (run / "certificates" / C).unlink()


ATTACKS = {
    "renamed": (lambda run: move(run, A, "theorem-1-printed.json"), "the file eq-24-printed.json is missing"),
    "names swapped": (swap, "is not the one that the run wrote"),
    "copied": (lambda run: shutil.copy(run / "certificates" / A, run / "certificates/b.json"), "of no row"),
    "missing": (lambda run: (run / "certificates" / A).unlink(), "is missing"),
    "all missing": (lambda run: shutil.rmtree(run / "certificates"), "is missing"),
    "a file that is none": (lambda run: (run / "certificates/note.txt").write_text("x"), "of no row"),
    "a folder": (lambda run: (run / "certificates/more").mkdir(), "of no row"),
    "a pipe": (lambda run: os.mkfifo(run / "certificates/pipe"), "of no row"),
    "a row less": (lambda run: with_rows(run, lambda rows: rows.pop(0)), "a file of no row"),
    "a row twice": (lambda run: with_rows(run, lambda rows: rows.append(rows[0])), "two rows"),
    "another claim": (of_another_claim, "is of theorem-3 corrected"),
    "another claim beside it": (
        lambda run: with_file(run, A, lambda xs: [*xs, *entries_of(run, B)]),
        "is of eq-24 printed, theorem-3 corrected",
    ),
    "refutation for proof": (refutation_for_proof, "a refutation is not a proof"),
    "another verdict": (
        lambda run: with_rows(run, lambda rows: rows[0].update(verdict="REFUTED")),
        "REFUTED, with a proof of the printed form",
    ),
    "certified by nothing": (
        lambda run: with_rows(run, lambda rows: rows[2].update(verdict="CERTIFIED")),
        "eq-36: CERTIFIED, without a proof",
    ),
    "proved, but on record as holding": (
        lambda run: with_rows(run, lambda rows: rows[0].update(verdict="HOLDS")),
        "HOLDS, with a proof",
    ),
    "proved, but on record as a gap": (
        lambda run: with_rows(run, lambda rows: rows[0].update(verdict="GAP")),
        "eq-24: GAP, without a step that fails",
    ),
    "a gap, but on record as proved": (
        lambda run: with_rows(run, lambda rows: rows[3].update(verdict="CERTIFIED")),
        "eq-11: CERTIFIED, with a step that fails",
    ),
    "the same, and its steps all true": (
        lambda run: with_rows(run, lambda rows: rows[3].update(verdict="CERTIFIED", steps=[])),
        "eq-11: CERTIFIED, with a step that fails",
    ),
    "a gap without a job, but holding": (
        lambda run: with_rows(run, lambda rows: rows[2].update(steps=[{"ok": False}])),
        "eq-36: HOLDS, with a step that fails",
    ),
    "no verdict": (
        lambda run: with_rows(run, lambda rows: rows[2].update(verdict="TRUE")),
        "eq-36: the verdict 'TRUE' is not one",
    ),
    "steps that are none": (
        lambda run: with_rows(run, lambda rows: rows[2].update(steps=[3])),
        "eq-36: `steps` is not a list of objects",
    ),
    "a proof that was not asked for": (
        lambda run: with_rows(run, lambda rows: rows.append({"id": "eq-05", "verdict": "REFUTED"})),
        "eq-05: no entry for printed",
    ),
    "a refutation that has gone": (without_refutation, "theorem-3: no entry for printed"),
    "refuted, but holding": (
        lambda run: with_rows(run, lambda rows: rows[1].update(verdict="HOLDS")),
        "HOLDS, with a refutation",
    ),
    "another form": (
        lambda run: with_rows(run, lambda rows: entry(rows, 2).update(form="step-1")),
        "is of theorem-3 corrected",
    ),
    "another claim's entry": (
        lambda run: with_rows(run, lambda rows: entry(rows).update(claim="eq-05")),
        "its entry is of the claim eq-05",
    ),
    "a count too large": (
        lambda run: with_rows(run, lambda rows: entry(rows).update(certified=200)),
        "200 instances, but the file has 3 distinct ones",
    ),
    "an instance less": (lambda run: with_file(run, A, lambda xs: xs[1:]), "3 instances, but the file has 2"),
    "200 copies": (copies, "200 instances, but the file has 1 distinct ones"),
    "copies in disguise": (copies_in_disguise, "3 instances, but the file has 1 distinct ones"),
    "undecided, but ok": (
        lambda run: with_rows(run, lambda rows: entry(rows).update(undecided=1)),
        "its counts contradict each other",
    ),
    "no file, but proved": (
        lambda run: with_rows(run, lambda rows: entry(rows).update(file="")),
        "its counts contradict each other",
    ),
    "a false certificate": (
        lambda run: with_file(run, A, lambda xs: [xs[0] | {"form": "corrected"}, *xs[1:]]),
        "is not accepted",
    ),
    "results without hashes": (
        lambda run: with_rows(run, lambda rows: [entry(rows, k).pop("sha256") for k in range(3)]),
        "certify again",
    ),
    "results with another type": (
        lambda run: with_rows(run, lambda rows: entry(rows).update(certified=True)),
        "has one of another type",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_whatever_is_substituted_is_refused(name, run, capsys):
    attack, why = ATTACKS[name]
    attack(run)
    assert recheck.main_recheck([str(run / "results.json")]) == 2
    err = capsys.readouterr().err
    assert why in err
    assert all(len(line) < 400 for line in err.splitlines())


def unproved(rows):
    """A corrected form that the run did not prove."""
    entry(rows, 2).update(certified=0, undecided=1, ok=False, file="", sha256="", reason="why")


def test_what_a_run_says_it_has_not_proved_is_status_1(run, capsys):
    with_rows(run, unproved)
    (run / "certificates" / B).unlink()
    assert recheck.main_recheck([str(run / "results.json")]) == 1
    err = capsys.readouterr().err
    assert "not true: by its own rows these failed: theorem-3 corrected" in err
    assert recheck.main_recheck(["--json", str(run / "results.json")]) == 1
    (found, *_) = json.loads(capsys.readouterr().out)["files"]
    assert (found["mismatches"], found["failed"]) == ([], ["theorem-3 corrected"])


@pytest.mark.parametrize("k", [0, 1])
def test_a_row_whose_checks_raised_an_error_is_status_1_whatever_is_proved(run, capsys, k):
    with_rows(run, lambda rows: rows[k].update(verdict="ERROR"))
    assert recheck.main_recheck([str(run / "results.json")]) == 1
    assert f"failed: the checks of {list(VERDICTS)[k]}" in capsys.readouterr().err


def test_certificates_of_another_run_are_stale(made, run, capsys):
    shutil.rmtree(run / "certificates")
    shutil.copytree(made / "1" / "certificates", run / "certificates")
    assert recheck.main_recheck([str(run / "results.json")]) == 2
    err = capsys.readouterr().err
    assert f"{A} is not the one that the run wrote" in err
    assert f"{B} is not the one that the run wrote" in err
