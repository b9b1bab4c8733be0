"""What is counted, said and printed of certificates: distinct instances, directions, names, rows."""

import base64
import copy
import json
import struct
import time
import zlib

import numpy as np
import pytest

from tests.support.proofs import THREE_ROOTS
from verify import recheck
from verify.arithmetic.instance import exactly
from verify.checker import binding, limits
from verify.checker.second.deciding import certificate_holds
from verify.checker.second.errors import Wrong
from verify.claims.optima.root_proofs import with_roots
from verify.proofs import run
from verify.proofs.certificate import content_hash

ZERO = {bits: ["0p0", "0p0"] for bits in ("64", "128", "256")}
WIDE = {bits: ["-1p-200", "1p-200"] for bits in ("64", "128", "256")}
MDP = {
    "n_states": 2,
    "n_actions": 2,
    "gamma": "1/2",
    "initial": ["1/3", "2/3"],
    "pairs": [
        [0, 0, "1", [[0, "1/4"], [1, "3/4"]]],
        [0, 1, "2", [[0, "1"]]],
        [1, 0, "-1", [[1, "1"]]],
    ],
}
CHAIN = {"mdp": MDP, "q": ["1", "0", "1/2"], "pi_theta": ["1/3", "2/3", "1"], "d": ["1/4", "3/4"], "eps": "1"}
"""An instance of the chain rule, eq-24, which asks neither for rewards nor for transitions."""


def packed(xs):
    return base64.b64encode(zlib.compress(struct.pack(f"<{len(xs)}d", *xs))).decode()


def changed(instance, *path, to):
    out = copy.deepcopy(instance)
    node = out
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return out


def said_of(path, claim, form, instances, results, capsys, *options):
    entries = [{"claim": claim, "form": form, "instance": x, "result": results} for x in instances]
    body = {"schema": 2, "versions": {}, "certificates": entries}
    path.write_text(json.dumps(body | {"sha256": content_hash(body)}))
    status = recheck.main_recheck([*options, str(path)])
    return status, "".join(capsys.readouterr())


SAME = {
    "other names of actions": changed(changed(CHAIN, "mdp", "n_actions", to=9), "mdp", "pairs", 1, 1, to=5),
    "more names of actions": changed(CHAIN, "mdp", "n_actions", to=200),
    "successors in another order": changed(CHAIN, "mdp", "pairs", 0, 3, to=[[1, "3/4"], [0, "1/4"]]),
    "packed floats": changed(CHAIN, "q", to=packed([1.0, 0.0, 0.5])),
    "a negative zero": changed(CHAIN, "q", to=packed([1.0, -0.0, 0.5])),
    "not in lowest terms": changed(CHAIN, "q", to=["2/2", "0/7", "2/4"]),
    "another reward": changed(CHAIN, "mdp", "pairs", 0, 2, to="77"),
    "another discount": changed(CHAIN, "mdp", "gamma", to="1/9"),
    "another start": changed(CHAIN, "mdp", "initial", to=["1", "0"]),
    "other transitions": changed(CHAIN, "mdp", "pairs", 1, 3, to=[[1, "1"]]),
}


@pytest.mark.parametrize("name", SAME)
def test_what_no_formula_reads_makes_no_other_instance(name, tmp_path, capsys):
    found = said_of(tmp_path / "c.json", "eq-24", "printed", [CHAIN, SAME[name]], [WIDE], capsys)
    assert found[0] == 0
    assert "proved on 1 instance, 2 times in the file" in found[1]


@pytest.mark.parametrize(
    "other",
    [
        changed(CHAIN, "q", to=["1", "0", "1/3"]),
        changed(CHAIN, "d", to=["1/2", "1/2"]),
        changed(CHAIN, "eps", to="2"),
        changed(CHAIN, "pi_theta", to=["1/2", "1/2", "1"]),
    ],
)
def test_what_a_formula_reads_does(other, tmp_path, capsys):
    found = said_of(tmp_path / "c.json", "eq-24", "printed", [CHAIN, other], [WIDE], capsys)
    assert found[0] == 0
    assert "proved on 2 instances" in found[1]


def test_an_mdp_counts_where_formulas_ask_for_it(tmp_path, capsys):
    """design-05 printed: the product of policies over two steps sums to the number of states, 2."""
    base = {"mdp": MDP, "pi": ["1/2", "1/2", "1"]}
    others = [
        changed(base, "mdp", "pairs", 0, 3, to=[[1, "3/4"], [0, "1/4"]]),
        changed(base, "mdp", "pairs", 0, 3, to=[[0, "1"]]),
        changed(base, "mdp", "initial", to=["1", "0"]),
    ]
    result = [{"enclosure": ["1p0", "1p0"], "component": 0}]
    found = said_of(tmp_path / "c.json", "design-05", "printed", [base, *others], result, capsys)
    assert found[0] == 0
    assert "refuted by 2 counterexamples, in 4 certificates" in found[1]


def test_which_actions_a_state_has_counts(tmp_path, capsys):
    """eq-10 asks for Q alone, in the order of the pairs: (2, 1) actions are not (1, 2)."""
    base = {"mdp": MDP, "q": ["1", "2", "3"], "eps": "1"}
    pairs = [[0, 0, "1", [[0, "1"]]], [1, 0, "1", [[0, "1"]]], [1, 1, "1", [[1, "1"]]]]
    other = changed(base, "mdp", "pairs", to=pairs)
    found = said_of(tmp_path / "c.json", "eq-10", "printed", [base, other, base], [WIDE, WIDE], capsys)
    assert found[0] == 0
    assert "proved on 2 instances, in 3 certificates" in found[1]


def test_trajectories_ask_for_the_start_and_the_transitions(tmp_path, capsys):
    """The structured posterior of two steps sums to 1 for each of these."""
    base = {"mdp": MDP, "pi": ["1/2", "1/2", "1"], "horizon": "2"}
    others = [
        changed(base, "mdp", "initial", to=["1", "0"]),
        changed(base, "mdp", "pairs", 0, 3, to=[[0, "1"]]),
        changed(base, "mdp", "pairs", 0, 2, to="77"),
    ]
    found = said_of(tmp_path / "c.json", "design-05", "corrected", [base, *others], [ZERO, WIDE], capsys)
    assert found[0] == 0
    assert "proved on 3 instances, in 4 certificates" in found[1]


def test_temperatures_ask_for_the_table_and_the_mdp(tmp_path, capsys):
    """The formula of app-c-3 counts solutions only: that they are those of q is shown by the boxes."""
    shifted = {"mdp": THREE_ROOTS["mdp"], "q": np.array([[208.25, 104.0]])}
    parts = recheck.CLAIMS["app-c-3 printed"][0].split()
    drawn = [with_roots(exactly(x)).as_json(*parts) for x in (THREE_ROOTS, shifted, THREE_ROOTS)]
    result = [{"enclosure": ["1p0", "1p9"]}]
    found = said_of(tmp_path / "c.json", "app-c-3", "printed", drawn, result, capsys)
    assert found[0] == 0
    assert "refuted by 2 counterexamples, in 3 certificates" in found[1]


def test_wider_intervals_of_temperatures_are_no_other_instance(tmp_path, capsys):
    (job,) = (job for job in run.all_jobs()["corollary-1"] if job.form == "corrected")
    rows = run.certify_claim("corollary-1", seed=0, out=tmp_path / "c", n_instances=1)
    assert [row.certified for row in rows] == [1, 1]
    body = json.loads((tmp_path / f"c/corollary-1-{job.form}.json").read_text())
    entry = body["certificates"][0]
    wider = copy.deepcopy(entry)
    last = wider["instance"]["ends"][-1]
    wider["instance"]["ends"].append(f"{int(last.partition('/')[0]) + 1000}")
    body = {"schema": 2, "versions": {}, "certificates": [entry, wider]}
    path = tmp_path / "two.json"
    path.write_text(json.dumps(body | {"sha256": content_hash(body)}))
    assert recheck.main_recheck([str(path)]) == 0
    assert "proved on 1 instance, 2 times in the file" in capsys.readouterr().out


def test_unequal_stands_in_refutations_alone():
    """`!=` needs one entry in one direction, which proves nothing of the others."""
    found = {name for name, (_, *facts) in recheck.CLAIMS.items() if any("!=" in fact for fact in facts)}
    assert found <= binding.REFUTATIONS
    assert len(found) > 20


@pytest.mark.parametrize("options", [[], ["--second"]])
def test_a_premise_is_demanded_in_every_direction(options, tmp_path, capsys):
    """One state, pi = (1, 0), gamma 5/6: the system of the feature (1, 1/2) is 0, that of (1, 1) is 1/6."""
    mdp = {
        "n_states": 1,
        "n_actions": 2,
        "gamma": "5/6",
        "initial": ["1"],
        "pairs": [[0, 0, "1", [[0, "1"]]], [0, 1, "2", [[0, "1"]]]],
    }
    square, results = {"enclosure": ["1p-10", "1p0"]}, []
    for features, status in (([["1", "1"]], 0), ([["1", "1"], ["1", "1/2"]], 1), ([["1", "1/2"]], 1)):
        instance = {"mdp": mdp, "features": features, "omega": ["1"] * len(features), "pi": ["1", "0"]}
        path = tmp_path / "c.json"
        found = said_of(path, "app-f1-convergence", "corrected", [instance], [square, WIDE], capsys, *options)
        results.append(found)
        assert found[0] == status, found
    assert "square(system) > 0: " in results[1][1]


def test_what_belongs_to_features_has_one_entry_for_each(tmp_path, capsys):
    """Further weights would be read by no formula, and make other instances of one."""
    instance = {"mdp": MDP, "features": [["1", "1", "2"]], "omega": ["1", "7"], "pi": ["1", "0", "1"]}
    square = {"enclosure": ["1p-20", "1p9"]}
    for options in ([], ["--second"]):
        found = said_of(
            tmp_path / "c.json",
            "app-f1-convergence",
            "corrected",
            [instance],
            [square, WIDE],
            capsys,
            *options,
        )
        assert found[0] == 2
        assert "`omega` must have 1 entries, one per direction" in found[1]
    with pytest.raises(Wrong, match="one row per direction"):
        certificate_holds(
            {
                "claim": "app-f1-convergence",
                "form": "corrected",
                "instance": instance,
                "result": [square, WIDE],
            }
        )


STEPS = {
    "design-05 corrected": ({"mdp": MDP, "pi": ["1/2", "1/2", "1"], "horizon": "1"}, [ZERO, WIDE]),
    "design-07 printed": (
        {"mdp": MDP, "pi": ["1/2", "1/2", "1"], "prior": ["1/2", "1/2", "1"], "alpha": "1", "horizon": "1"},
        [ZERO, WIDE],
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_the_number_of_steps_that_the_words_name_is_demanded(name, tmp_path, capsys):
    instance, results = STEPS[name]
    claim, form = name.split()
    found = said_of(tmp_path / "c.json", claim, form, [instance], results, capsys)
    assert found[0] == 1
    assert "horizon == 2: the two sides of an identity differ" in found[1]


def test_a_name_of_a_file_forges_no_line_and_moves_no_cursor(tmp_path, capsys):
    path = tmp_path / "c.json\n  theorem-2 printed: proved on 200 instances\x1b[2J\u202e"
    status, text = said_of(path, "eq-24", "printed", [CHAIN], [WIDE], capsys)
    assert status == 0
    assert "\\n  theorem-2 printed: proved on 200 instances\\x1b[2J\\u202e\n  eq-24" in text
    assert "\x1b" not in text
    path.write_text("{}")
    assert recheck.main_recheck([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-8-sig"])
def test_other_encodings_than_ascii_are_refused(encoding, tmp_path, capsys):
    path = tmp_path / "c.json"
    assert said_of(path, "eq-24", "printed", [CHAIN], [WIDE], capsys)[0] == 0
    path.write_bytes(path.read_text().encode(encoding))
    assert recheck.main_recheck([str(path)]) == 2


def rows_of(n):
    return json.dumps({"claims": [{"id": f"a{k}", "verdict": "HOLDS"} for k in range(n)]})


RESULTS = {
    "a key twice": '{"claims": [{"id": "x", "verdict": "HOLDS", "verdict": "REFUTED"}]}',
    "rows twice": '{"claims": [], "claims": []}',
    "NaN": '{"claims": [{"id": "x", "verdict": "HOLDS", "error": NaN}]}',
    "more rows than any run has": rows_of(limits.MAX_ITEMS + 1),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_that_two_readers_could_read_otherwise_are_refused(name, tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(RESULTS[name])
    assert recheck.main_recheck([str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_as_many_rows_as_are_read_take_seconds():
    """They are held against files in a process without a clock, so that the work must be linear."""
    rows = binding.read_rows(rows_of(limits.MAX_ITEMS).encode())
    start = time.process_time()
    assert binding.mismatches(rows, {}) == []
    assert time.process_time() - start < 2


def test_rows_without_certificates_are_counted_in_the_answer(tmp_path, capsys):
    (row,) = run.certify_claim("eq-24", seed=0, out=tmp_path / "certificates", n_instances=2)
    entry = vars(row) | {"ok": True}
    claims = [
        {"id": "eq-24", "verdict": "CERTIFIED", "certificates": [entry]},
        {"id": "riemann-hypothesis", "verdict": "HOLDS"},
    ]
    (tmp_path / "results.json").write_text(json.dumps({"claims": claims}))
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 0
    assert (
        "beside it agree; rows without a certificate, the word of who wrote them: 1"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("said", [1, 3])
def test_a_row_that_says_fewer_or_more_instances_than_its_file_has_is_refused(said, tmp_path, capsys):
    (row,) = run.certify_claim("eq-24", seed=0, out=tmp_path / "certificates", n_instances=2)
    entry = vars(row) | {"ok": True, "certified": said}
    claims = [{"id": "eq-24", "verdict": "CERTIFIED", "certificates": [entry]}]
    (tmp_path / "results.json").write_text(json.dumps({"claims": claims}))
    assert recheck.main_recheck([str(tmp_path / "results.json")]) == 2
    assert f"{said} instances, but the file has 2 distinct ones" in capsys.readouterr().err


def test_what_the_checker_does_not_accept_is_not_certified(tmp_path, monkeypatch):
    def refuse(path):
        assert path.is_file()
        raise limits.Rejected("the two sides of an identity differ", 1)

    monkeypatch.setattr(run, "recheck", refuse)
    (found,) = run.certify_claim("eq-24", seed=0, out=tmp_path, n_instances=2)
    assert (found.ok, found.certified, found.file, found.sha256) == (False, 0, "", "")
    assert "the two sides of an identity differ" in found.reason
    assert list(tmp_path.iterdir()) == []


def test_the_certifier_counts_instances_as_the_checker_does(tmp_path):
    """No formula of this statement reads delta: of those drawn, fewer than 200 instances are distinct."""
    _, corrected = run.certify_claim("rerpi-shrinks", seed=0, out=tmp_path, n_instances=200)
    proved = recheck.recheck(tmp_path / corrected.file)
    assert len(proved) == len({x.instance for x in proved}) == corrected.certified < 200
