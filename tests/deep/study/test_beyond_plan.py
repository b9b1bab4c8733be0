"""Runs that are not as the plan says: what is beyond it does not count, and the report says so."""

import json
import shutil

import numpy as np
import pytest

from tests.support.studies import study_of, write_jobs
from virel_deep.study import scores
from virel_deep.study.decide import NOT_YET
from virel_deep.study.jobs import jobs_of, prepare
from virel_deep.study.page import markdown
from virel_deep.study.record import read_record, register
from virel_deep.study.report import contents
from virel_deep.study.state import job_state

NAME = "sac-Pendulum-v1"
KEY = ("sac", "Pendulum-v1")
ONE = ('environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["Pendulum-v1"]')
CURVES = {
    KEY: np.add.outer(np.arange(4.0), [11.0, 12.0, 13.0, 14.0]),
    ("td3", "Pendulum-v1"): np.add.outer(np.arange(4.0), [1.0, 2.0, 3.0, 4.0]),
}


@pytest.fixture
def out(tmp_path):
    return write_jobs(tmp_path / "out", study_of(ONE), CURVES)


def report(out):
    return contents(out, read_record(out))


def deviations(found):
    (part,) = (one for one in found.circumstances if one.key == "deviations")
    assert ("Nothing happened otherwise." in part.lead) == (part.remarks == ())
    return list(part.remarks)


def outcome(found):
    (decision,) = found.decisions
    return decision.outcome


def set_config(run, **values):
    document = json.loads((run / "config.json").read_text())
    document["config"] |= values
    (run / "config.json").write_text(json.dumps(document))


def train_on(run, steps, value, *, every=500):
    """Continue all seeds, done at step 2,000, as `virel train --resume RUN --steps` does."""
    set_config(run, steps=steps)
    for seed in run.glob("seed-*"):
        rows = [
            {"step": step, "kind": "eval", "wall": 9.0, "return": value}
            for step in range(2000 + every, steps + 1, every)
        ]
        with (seed / "metrics.jsonl").open("a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        (seed / "done.json").write_text(json.dumps({"step": steps}))


def test_training_beyond_the_plan_changes_no_score_and_is_a_deviation(out):
    before = report(out)
    train_on(out / "jobs" / NAME, 4000, -1000.0)
    after = report(out)
    assert markdown(after, after.parts) == markdown(before, before.parts)
    assert outcome(after) == "supported"
    assert deviations(before) == []
    assert deviations(after) == [
        f"{NAME}: trained to step 4000, the plan ends at 2000: later scores do not count."
    ]


def test_a_last_evaluation_that_training_on_has_replaced_is_missing(out):
    """`virel train` drops the evaluation of the last step, if it is not a regular one, when it goes on."""
    run = out / "jobs" / NAME
    for path in run.glob("seed-*/metrics.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if '"step": 2000, "kind": "eval"' not in line))
    train_on(run, 3000, -1000.0)
    found = report(out)
    assert (outcome(found), found.complete) == (NOT_YET, False)
    assert found.results[0].run.at.tolist() == [500, 1000, 1500]


def test_a_seed_that_is_not_in_the_plan_has_no_score_and_is_a_deviation(out):
    before = report(out)
    run = out / "jobs" / NAME
    shutil.copytree(run / "seed-0", run / "seed-7")
    after = report(out)
    assert after.results[0].scores("final").keys() == {0, 1, 2, 3}
    assert markdown(after, after.parts) == markdown(before, before.parts)
    assert deviations(after) == [f"{NAME}: has seeds that are not in the plan and do not count: 7."]
    log = run / "seed-7" / "metrics.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))  # fewer than the others
    after = report(out)
    assert markdown(after, after.parts) == markdown(before, before.parts)
    shutil.copy(run / "config.json", run / "seed-7" / "failure.json")  # not even read
    assert report(out).complete


def test_other_settings_than_the_plans_are_a_deviation(out):
    run = out / "jobs" / NAME
    algorithm = json.loads((run / "config.json").read_text())["config"]["algorithm"]
    set_config(run, algorithm=algorithm | {"gamma": 0.5}, eval_episodes=3)
    assert deviations(report(out)) == [
        f"{NAME}: trained with algorithm gamma=0.5, the plan has gamma=0.99.",
        f"{NAME}: trained with eval_episodes 3, the plan has 1.",
    ]


def test_a_run_that_an_amendment_has_yet_to_reach_is_no_deviation(tmp_path):
    study = study_of(ONE)
    register(study, tmp_path, "study.toml")
    prepare(tmp_path, study, jobs_of(study)[0], "highest")
    more = study_of(ONE, ("seeds = 4", "seeds = 6"), ("steps = 2000", "steps = 3000"))
    register(more, tmp_path, "study.toml", amend="more")
    (line,) = deviations(report(tmp_path))
    assert "plan changed" in line


@pytest.mark.parametrize("step", [2000, 2500])
def test_a_seed_that_fails_after_its_last_step_is_not_finished(out, step):
    failure = {"step": step, "what": "environment", "detail": "closed"}
    (out / "jobs" / NAME / "seed-1" / "failure.json").write_text(json.dumps(failure))
    assert not job_state(out, study_of(ONE), jobs_of(study_of(ONE))[0]).finished
    found = report(out)
    assert (outcome(found), found.complete) == (NOT_YET, False)
    assert "it has no score yet" in deviations(found)[0]


def test_a_report_while_a_job_ends_does_not_take_its_unfinished_scores_for_complete_ones(out, monkeypatch):
    run, read = out / "jobs" / NAME, scores.read_with_tasks
    whole = {path: path.read_bytes() for path in run.glob("seed-*/*") if path.is_file()}
    for path in run.glob("seed-*/done.json"):
        path.unlink()
    for path in run.glob("seed-*/metrics.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))

    def read_while_it_ends(folder, **options):
        found = read(folder, **options)
        for path, text in whole.items():
            path.write_bytes(text)
        return found

    monkeypatch.setattr(scores, "read_with_tasks", read_while_it_ends)
    assert outcome(report(out)) == NOT_YET
    monkeypatch.undo()
    assert outcome(report(out)) == "supported"
