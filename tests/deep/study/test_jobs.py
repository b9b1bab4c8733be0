"""How far a job has come, read from its run folder while it may be written to."""

import json

import numpy as np
import pytest

from tests.support.studies import study_of, write_jobs
from virel_common.errors import InputError
from virel_deep.study.jobs import job_folder, jobs_of
from virel_deep.study.state import TAIL, job_state, newest_rows, unfinished

KEY = ("sac", "Pendulum-v1")
CURVES = {KEY: np.arange(16.0).reshape(4, 4)}


def state_of(out, study):
    (job,) = [job for job in jobs_of(study) if (job.arm.name, job.env.name) == KEY]
    return job_state(out, study, job)


def test_a_finished_job(tmp_path):
    state = state_of(write_jobs(tmp_path, study_of(), CURVES), study_of())
    assert (state.finished, state.step, state.failures, state.seconds) == (True, 2000, (), 3.0)


def test_a_job_that_has_not_begun(tmp_path):
    state = state_of(write_jobs(tmp_path, study_of(), {}), study_of())
    assert (state.finished, state.step, state.newest, state.steps_per_second) == (False, 0, None, None)


def test_a_job_is_as_far_as_its_slowest_seed_that_did_not_diverge(tmp_path):
    failed = [("sac-Pendulum-v1", 1, "diverged")]
    write_jobs(tmp_path, study_of(), CURVES, unfinished=["sac-Pendulum-v1"], failed=failed)
    run = job_folder(tmp_path, jobs_of(study_of())[2])
    for seed, rows in ((1, 2), (2, 4)):
        path = run / f"seed-{seed}" / "metrics.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:rows]))
    state = state_of(tmp_path, study_of())
    assert (state.finished, state.step) == (False, 1000)
    assert [(one.seed, one.what) for one in state.failures] == [(1, "diverged")]


def test_a_larger_goal_makes_finished_jobs_unfinished(tmp_path):
    write_jobs(tmp_path, study_of(), CURVES)
    further, wider = study_of(("steps = 2000", "steps = 3000")), study_of(("seeds = 4", "seeds = 5"))
    assert not state_of(tmp_path, further).finished
    assert not state_of(tmp_path, wider).finished
    states = [job_state(tmp_path, study_of(), job) for job in jobs_of(study_of())]
    assert [job.name for job in unfinished(states)] == [
        job.name for job in jobs_of(study_of()) if job.number != 2
    ]


def test_the_end_of_a_long_file_is_read_without_halves_of_rows(tmp_path):
    rows = [
        {"step": step, "kind": "train", "wall": step / 7, "steps_per_second": 1.0} for step in range(4000)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 4000, "ki')
    assert path.stat().st_size > 2 * TAIL
    found = newest_rows(path)
    assert found == rows[-len(found) :]
    assert TAIL / 100 < len(found) < len(rows)
    assert newest_rows(tmp_path / "nothing") == []


def test_a_row_that_is_longer_than_the_end_of_a_file_is_found(tmp_path):
    rows = [{"step": step, "kind": "eval", "wall": 1.0, "returns": [0.0] * TAIL} for step in (10, 20)]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 30, "ki')
    assert newest_rows(path)[-1] == rows[-1]
    path.write_text(json.dumps(rows[0])[:-1])
    assert newest_rows(path) == []


DAMAGED = [
    ("seed-1/done.json", "{", "not JSON"),
    ("seed-1/done.json", "[1]", "must hold a JSON object"),
    ("seed-1/done.json", '{"step": null}', "must be a whole number; found None"),
    ("seed-1/done.json", '{"step": "x"}', "must be a whole number; found 'x'"),
    ("seed-1/failure.json", "{}", "must be a whole number; found None"),
    ("seed-1/failure.json", '{"step": "x", "what": "diverged"}', "must be a whole number; found 'x'"),
    ("seed-1/failure.json", '{"step": 3}', "must be text; found None"),
    ("config.json", "{", "not JSON"),
]


@pytest.mark.parametrize(("name", "text", "said"), DAMAGED)
def test_a_damaged_file_of_a_job_is_one_line(tmp_path, name, text, said):
    path = write_jobs(tmp_path, study_of(), CURVES) / "jobs" / "sac-Pendulum-v1" / name
    path.write_text(text)
    with pytest.raises(InputError) as error:
        state_of(tmp_path, study_of())
    assert str(path) in str(error.value)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "row",
    [
        {"step": "x", "kind": "train", "wall": 1},
        {"step": 3, "kind": "train", "wall": "x"},
        {"step": 3, "kind": "train", "wall": 1, "steps_per_second": "x"},
    ],
)
def test_a_damaged_row_does_not_keep_the_others_from_being_read(tmp_path, row):
    path = tmp_path / "metrics.jsonl"
    good = {"step": 2, "kind": "train", "wall": 1, "steps_per_second": 5.0}
    path.write_text(json.dumps(good) + "\n" + json.dumps(row) + "\n")
    assert newest_rows(path) == [good]
