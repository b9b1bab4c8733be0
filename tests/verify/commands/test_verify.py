import dataclasses
import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st
from rich.console import Console

import tests.support.claims as fake
from verify.commands import verify as commands
from verify.commands.documents import main_explain, main_report
from verify.commands.verify import main_claims, main_verify
from verify.engine import registry
from verify.engine.claim import Assumption, Check, Correction
from verify.engine.results import as_recorded, write_json
from verify.engine.verdict import Gap, Verdict
from verify.proofs.rows import certified_row
from verify.recheck import main_recheck
from verify.report.tables import verdict_table

ROOT = Path(__file__).resolve().parents[3]
ROW_KEYS = """id title source verdict expected instances error bound seconds corrected counterexample
assumptions steps"""
REAL_CLAIMS = registry.all_claims


@pytest.fixture(autouse=True)
def claims(monkeypatch):
    def use(*claims):
        monkeypatch.setattr(registry, "all_claims", fake.registry(*claims))

    use(fake.HOLDS, fake.REFUTED, fake.GAP)
    return use


def verify(out, *args):
    """Exit status and, if written, `results.json`; in this process, where the fake registry is."""
    status = main_verify([*args, "--jobs", "1", "--out", str(out)])
    path = out / "results.json"
    return status, json.loads(path.read_text(), parse_constant=pytest.fail) if path.is_file() else None


def test_verdicts_as_recorded_are_status_0_and_results_json_has_its_schema(tmp_path):
    status, document = verify(tmp_path / "deep" / "out", "--seed", "3")
    assert status == 0
    assert list(document) == ["schema", "seed", "versions", "claims"]
    assert (document["schema"], document["seed"]) == (2, 3)
    packages = "python virel numpy numba scipy hypothesis gymnasium python-flint torch"
    assert set(document["versions"]) == set(packages.split())
    assert [row["id"] for row in document["claims"]] == ["holds", "refuted", "gap"]
    for row in document["claims"]:
        assert set(row) >= set(ROW_KEYS.split())
        assert as_recorded(row)


def test_a_holding_row(tmp_path):
    row = verify(tmp_path)[1]["claims"][0]
    assert (row["verdict"], row["expected"], row["instances"]) == ("HOLDS", "HOLDS", 50)
    assert (row["corrected"], row["counterexample"], row["assumptions"], row["steps"]) == (None, None, [], [])


def test_a_refuted_row_has_the_error_of_its_counterexample_its_correction_and_ablations(tmp_path):
    row = verify(tmp_path)[1]["claims"][1]
    assert (row["verdict"], row["error"], row["bound"]) == ("REFUTED", 1.0, 0.0)
    assert row["counterexample"] == {"x": 17}
    assert row["corrected"].items() >= {"verdict": "HOLDS", "error": 0.0, "bound": 0.0}.items()
    needed, spare, unsearched = row["assumptions"]
    assert set(needed) == {"name", "text", "ablation", "instances", "counterexample"}
    assert (needed["ablation"], needed["counterexample"]) == ("necessary", {"x": 17})
    assert (spare["ablation"], spare["instances"], spare["counterexample"]) == ("not needed here", 50, None)
    assert (unsearched["ablation"], unsearched["instances"]) == ("not searched", 0)


def test_a_gap_row_names_the_step_what_breaks_it_and_its_repair(tmp_path):
    failing, holding = verify(tmp_path)[1]["claims"][2]["steps"]
    assert (failing["name"], failing["ok"], failing["error"]) == ("the step that fails", False, 1.0)
    assert failing["counterexample"] == {"x": 17}
    assert failing["repaired"].items() >= {"verdict": "HOLDS", "error": 0.0, "bound": 0.0}.items()
    assert (holding["ok"], holding["repaired"], holding["counterexample"]) == (True, None, None)


def test_the_terminal_shows_verdicts_corrections_steps_counterexamples_and_paths(tmp_path, capsys):
    verify(tmp_path, "--details")
    out, err = capsys.readouterr()
    for text in ("REFUTED", "corrected form HOLDS", "step fails: the step that fails", "refuted: x = 17"):
        assert text in out
    assert out.splitlines()[-2].startswith(f"written: {tmp_path}/results.json, {tmp_path}/figures/ (")
    assert out.splitlines()[-1] == f"report: {tmp_path}/report.html"
    assert err.splitlines()[0].startswith("[1/3] holds HOLDS")


def test_tables_fit_eighty_columns_unless_details_are_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(registry, "all_claims", REAL_CLAIMS)
    assert main_claims([]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    assert main_claims(["--details"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) > 80
    longest = max(REAL_CLAIMS(), key=len)
    row = {
        "id": longest,
        "source": "a place in a paper of two columns",
        "verdict": "REFUTED",
        "weight": "completion",
    }
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(
        verdict_table([row | {"expected": "REFUTED", "corrected": None, "steps": []}], details=False)
    )
    assert max(map(len, console.export_text().splitlines())) <= 80


def test_figures_land_beside_the_results_unless_they_are_not_wanted(tmp_path):
    verify(tmp_path / "with")
    names = {"holds-squares.png", "holds-squares.svg", "holds-squares.csv"}
    assert {path.name for path in (tmp_path / "with" / "figures").iterdir()} >= names
    verify(tmp_path / "without", "--no-figures")
    assert not (tmp_path / "without" / "figures").exists()


def test_only_the_claims_named_are_run_once_each(tmp_path):
    document = verify(tmp_path, "gap", "holds", "gap")[1]
    assert [row["id"] for row in document["claims"]] == ["gap", "holds"]


def test_all_is_the_same_as_naming_none(tmp_path):
    assert len(verify(tmp_path, "--all")[1]["claims"]) == 3


def test_another_verdict_than_the_recorded_one_is_status_1_and_loud(claims, tmp_path, capsys):
    claims(dataclasses.replace(fake.REFUTED, expected=Verdict.HOLDS), fake.HOLDS)
    status, document = verify(tmp_path)
    assert status == 1
    assert document["claims"][0]["verdict"] == "REFUTED"
    out = capsys.readouterr().out
    assert "refuted: REFUTED, but on record as HOLDS" in out
    assert "1 of 2 claims as recorded" in out


def test_a_check_that_finds_no_number_is_an_error_row(claims, tmp_path, capsys):
    claims(fake.NOT_A_NUMBER)
    status, document = verify(tmp_path)
    assert (status, document["claims"][0]["verdict"]) == (1, "ERROR")
    assert (
        "nan: ERROR: InputError: `error` must be a number or infinite; found nan" in capsys.readouterr().out
    )


def test_a_correction_that_fails_is_status_1(claims, tmp_path, capsys):
    claims(fake.BAD_CORRECTION)
    status, document = verify(tmp_path)
    assert status == 1
    assert document["claims"][0]["corrected"]["verdict"] == "REFUTED"
    assert "its correction, or the repair of one of its steps, fails its own check" in capsys.readouterr().out


def test_an_exception_in_a_check_is_an_error_row_and_other_claims_go_on(claims, tmp_path, capsys):
    claims(fake.ERROR, fake.HOLDS)
    status, document = verify(tmp_path)
    assert status == 1
    broken, holds = document["claims"]
    assert (broken["verdict"], broken["counterexample"]) == ("ERROR", {"x": 5})
    assert broken["exception"] == "ZeroDivisionError: a bug in the check"
    assert holds["verdict"] == "HOLDS"
    assert "error: ERROR: ZeroDivisionError: a bug in the check" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["no-such-claim"],
            "`claim` must be a .py file or an id that `virel claims` lists; found no-such-claim",
        ),
        (["holds", "--all"], "`all` must not be combined with claim ids; found ('holds',)"),
        (["--seed", "-1"], "`seed` must not be negative; found -1"),
    ],
)
def test_bad_input_is_one_line_on_stderr_status_2_and_no_folder(tmp_path, capsys, args, message):
    assert verify(tmp_path / "out", *args) == (2, None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(f"virel verify: {message}")
    assert not (tmp_path / "out").exists()


def test_certificates_of_an_earlier_run_do_not_stay(claims, tmp_path):
    """They would be files of no row for `virel recheck`; what is not a certificate file stays."""
    claims(fake.HOLDS)
    folder = tmp_path / "certificates"
    folder.mkdir()
    for name in ("old.json", "notes.txt"):
        (folder / name).write_text("{}")
    assert verify(tmp_path, "--no-figures")[0] == 0
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


HALF = "half a character: \ud800"
MDP_PARTS = {"transition": [[[1.0]]], "reward": [[0.0]], "gamma": 0.5}
ODD_VALUES = {
    "a word of ours": {"transition": 1},
    "tables that are empty": {"transition": [], "reward": [], "gamma": 0.5},
    "tables that do not fit": MDP_PARTS | {"reward": [[0.0, 1.0]]},
    "no action": MDP_PARTS | {"mask": [[False]]},
    "an action that leads nowhere": MDP_PARTS | {"transition": [[[0.0]]]},
    "texts for numbers": MDP_PARTS | {"reward": [["x"]]},
    "a size alone": {"n_states": 3},
    "sizes in words": {"n_states": "three", "n_actions": [2], "gamma": 0.5},
    "an integer above all floats": 10**400,
    "an integer that Python does not print": -(10**5000),
    "half a character": HALF,
    "half a character as a key": {HALF: 1},
    "no number": float("nan"),
}


@pytest.mark.parametrize("name", ODD_VALUES)
def test_an_instance_of_any_kind_is_written_printed_and_shown(name, claims, tmp_path):
    """Of a claim of one's own: what comes after hours of checks must not fail on what they found."""
    strategy = st.fixed_dictionaries({"x": st.just(ODD_VALUES[name])})
    fails, holds = (Check(lambda *, x, perturb=0.0, e=e: Gap(e, 0.0), strategy) for e in (1.0, 0.0))  # noqa: ARG005
    correction = Correction("x", "y", holds)
    dropped = Assumption("a", "b", without=fails)
    claims(dataclasses.replace(fake.REFUTED, check=fails, correction=correction, assumptions=(dropped,)))
    status, document = verify(tmp_path, "--no-figures", "--details")
    assert (status, document["claims"][0]["verdict"]) == (0, "REFUTED")
    assert main_report(["--out", str(tmp_path)]) == 0
    assert main_explain(["refuted"]) == 0


def test_texts_that_can_not_be_written_are_shown_with_a_question_mark(claims, tmp_path, capsys):
    correction = dataclasses.replace(fake.REFUTED.correction, derivation=HALF)
    claims(dataclasses.replace(fake.REFUTED, title=HALF, correction=correction))
    status, document = verify(tmp_path, "--no-figures")
    assert (status, document["claims"][0]["title"]) == (0, "half a character: ?")
    assert main_explain(["refuted"]) == 0
    assert "refuted: half a character: ?" in capsys.readouterr().out


def test_an_exception_whose_text_can_not_be_written_is_an_error_row(claims, tmp_path):
    def raising(*, x, perturb=0.0):  # noqa: ARG001
        raise FileNotFoundError(HALF)

    claims(dataclasses.replace(fake.REFUTED, check=Check(raising, fake.INTEGERS)))
    status, document = verify(tmp_path, "--no-figures")
    assert (status, document["claims"][0]["exception"]) == (1, "FileNotFoundError: half a character: ?")


def test_fewer_than_one_job_is_bad_input(tmp_path, capsys):
    assert main_verify(["--jobs", "0", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "virel verify: `jobs` must be at least 1; found 0\n"


def test_an_unwritable_folder_is_found_before_anything_runs(claims, tmp_path, capsys):
    claims(fake.ERROR)
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        assert main_verify(["--jobs", "1", "--out", str(out)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert err.startswith(f"virel verify: `out` must be a writable folder; found '{out}'")
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("args", [["--no-such-option"], ["--seed", "one"]])
def test_arguments_that_cannot_be_parsed_are_status_2(tmp_path, capsys, args):
    assert verify(tmp_path / "out", *args) == (2, None)
    assert capsys.readouterr().err


def test_help_is_status_0(capsys):
    assert main_verify(["--help"]) == 0
    assert "--no-figures" in capsys.readouterr().out


def test_an_interrupt_is_status_130_and_leaves_the_old_results(tmp_path, monkeypatch, capsys):
    verify(tmp_path)
    old = (tmp_path / "results.json").read_bytes()

    def interrupt(claim, *, seed):  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr("verify.commands.work.run_claim", interrupt)
    assert main_verify(["--jobs", "1", "--out", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert (tmp_path / "results.json").read_bytes() == old
    assert not list(tmp_path.glob(".*"))


def with_a_signal(monkeypatch, name, *, before, number=signal.SIGINT):
    """Have this process send itself a signal before or after a step of the command."""
    step = getattr(commands, name)

    def signalling(*args):
        if before:
            os.kill(os.getpid(), number)
        out = step(*args)
        if not before:
            os.kill(os.getpid(), number)
        return out

    monkeypatch.setattr(commands, name, signalling)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_while_files_are_moved_waits_until_all_are_there(tmp_path, monkeypatch, capsys, number):
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "old.json").write_text("{}")
    with_a_signal(monkeypatch, "write_json", before=True, number=number)
    status, document = verify(tmp_path, "--no-figures")
    assert (status, len(document["claims"])) == (130, 3)
    assert list((tmp_path / "certificates").iterdir()) == []
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == (
        f"virel verify: interrupted, but {tmp_path}/results.json is written; "
        f"`virel report --out {tmp_path}` writes its page"
    )


def test_an_interrupt_after_the_results_does_not_say_that_nothing_is_written(tmp_path, monkeypatch, capsys):
    with_a_signal(monkeypatch, "write_report", before=True)
    status, document = verify(tmp_path, "--no-figures")
    assert (status, len(document["claims"])) == (130, 3)
    assert f"interrupted, but {tmp_path}/results.json is written" in capsys.readouterr().err


def test_an_interrupt_before_files_are_moved_says_that_nothing_is_written(tmp_path, monkeypatch, capsys):
    with_a_signal(monkeypatch, "require_figure_names_differ", before=False)
    assert verify(tmp_path, "--no-figures") == (130, None)
    assert capsys.readouterr().err.splitlines()[-1] == "virel verify: interrupted, nothing written"


def test_a_run_that_ends_before_its_results_are_there_leaves_the_earlier_proofs(tmp_path, monkeypatch):
    """As a kill would, which nothing can hold back."""
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "old.json").write_text("{}")

    def killed(*_):
        raise MemoryError

    monkeypatch.setattr(commands, "write_json", killed)
    with pytest.raises(MemoryError):
        verify(tmp_path, "--no-figures")
    assert [path.name for path in (tmp_path / "certificates").iterdir()] == ["old.json"]


def test_a_file_that_no_row_names_is_not_published(claims, tmp_path, monkeypatch):
    """The first proof of a claim was written, and the second one raised an exception."""
    claims(fake.HOLDS)

    def raising(options, engine, rows, jobs, folder):  # noqa: ARG001
        folder.mkdir()
        for name in ("holds-printed.json", "holds-step-1.json"):
            (folder / name).write_text("{}")
        return [row | {"certificates": [PROVED]} for row in rows]

    monkeypatch.setattr(commands, "_certified", raising)
    assert verify(tmp_path, "--certify", "--no-figures")[0] == 0
    assert [path.name for path in (tmp_path / "certificates").iterdir()] == ["holds-printed.json"]


PROVED = {"file": "holds-printed.json", "certified": 1, "form": "printed", "ok": True, "sha256": ""}


def test_a_proof_that_fails_is_status_1_whatever_the_verdict(claims, tmp_path, monkeypatch, capsys):
    claims(fake.REFUTED)
    failed = PROVED | {"form": "corrected", "certified": 0, "ok": False, "file": ""}
    monkeypatch.setattr(
        commands, "_certified", lambda *given: [row | {"certificates": [failed]} for row in given[2]]
    )
    status, document = verify(tmp_path, "--certify", "--no-figures")
    assert (status, document["claims"][0]["verdict"]) == (1, "REFUTED")
    out = capsys.readouterr().out
    assert "refuted: its form corrected was not proved" in out
    assert "0 of 1 claims as recorded" in out


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
@pytest.mark.slow
def test_an_interrupt_leaves_the_old_certificates_too(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", REAL_CLAIMS)
    args = ["merl-counterexample", "eq-24", "--certify", "--no-figures"]
    assert verify(tmp_path, *args)[0] == 0
    assert f"{tmp_path}/certificates/ (2 files)" in capsys.readouterr().out
    assert main_recheck([str(tmp_path / "results.json")]) == 0
    old, certified = files_of(tmp_path), []

    def interrupt(claim_id, **options):
        if certified:
            raise KeyboardInterrupt
        certified.append(claim_id)
        return certified_row(claim_id, **options)

    monkeypatch.setattr("verify.proofs.rows.certified_row", interrupt)
    assert main_verify([*args, "--jobs", "1", "--seed", "1", "--out", str(tmp_path)]) == 130
    assert certified
    assert files_of(tmp_path) == old


def test_results_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_claims_are_listed_with_source_title_and_verdict_on_record(capsys):
    assert main_claims(["--details"]) == 0
    out = capsys.readouterr().out
    for text in ("refuted", "Eq. (2)", "REFUTED", "GAP"):
        assert text in out


def start_in_workers(tmp_path, *ids):
    command = [
        sys.executable,
        "-m",
        "virel_common.command",
        "verify",
        *ids,
        "--out",
        str(tmp_path / "out"),
        "--no-figures",
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.slow
def test_workers_give_the_same_results_as_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "all_claims", REAL_CLAIMS)
    ids = ["eq-24", "eq-23", "app-d4-factorisation"]
    out, err = (process := start_in_workers(tmp_path, *ids, "--jobs", "2")).communicate()
    assert process.returncode == 0, out + err
    here = verify(tmp_path / "here", *ids)[1]
    there = json.loads((tmp_path / "out" / "results.json").read_text())
    for row in (*here["claims"], *there["claims"]):
        row.pop("seconds")
    assert there == here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kill", "sent"),
    [
        pytest.param(os.kill, signal.SIGINT, marks=pytest.mark.long),
        (os.killpg, signal.SIGINT),
        pytest.param(os.kill, signal.SIGTERM, marks=pytest.mark.long),
        pytest.param(os.kill, signal.SIGHUP, marks=pytest.mark.long),
        pytest.param(os.killpg, signal.SIGUSR1, marks=pytest.mark.long),
    ],
    ids=["parent", "group", "sigterm", "sighup", "sigusr1 to all"],
)
def test_ctrl_c_stops_the_workers_and_writes_nothing(tmp_path, kill, sent):
    process = start_in_workers(tmp_path, "--jobs", "2")
    process.stderr.readline()  # the first claim is done, others are running
    kill(process.pid, sent)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "virel verify: interrupted, nothing written")
    assert "Traceback" not in err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("engine", ["slurm://head:1", "dask://127.0.0.1:nine", "dask://127.0.0.1:9"])
def test_an_engine_that_can_not_run_claims_is_one_line_and_nothing_written(
    tmp_path, monkeypatch, capsys, engine
):
    monkeypatch.setattr("virel_common.engine.find_spec", lambda _: True)
    assert main_verify(["--engine", engine, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel verify: ")
    assert engine in line
    assert not (tmp_path / "out").exists()
