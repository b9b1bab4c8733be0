"""Studies with several tasks, and arms that start from the priors of another arm, seed by seed."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.studies import study_of
from virel_common.errors import InputError
from virel_deep.commands.study import main_study
from virel_deep.run.folder import read_config
from virel_deep.run.transfer import read_prior
from virel_deep.storage.checkpoint import load
from virel_deep.study.jobs import check_jobs, check_prior_stays, job_config, jobs_of, prepare, prior_job
from virel_deep.study.record import read_record, register
from virel_deep.study.runner import Jobs
from virel_deep.study.scores import read_results

TEXT = """
title = "Three lakes"
seeds = [2, 5]
steps = 60
checkpoint_every = 30
precision = "highest"
environments = [
    { name = "two", id = "virel/FrozenGoals-v0", tasks = [{ goal = 0 }, { goal = 3 }], steps = 80 },
    { name = "last", id = "virel/FrozenGoals-v0", arguments = { goal = 4 } },
]
[evaluation]
every = 30
[settings]
hidden = [8]
data.batch = 16
data.warmup = 20
[arms.with]
preset = "distral"
prior = "teacher"
environments = ["last"]
[arms.without]
preset = "distral"
settings.prior.exponent = 0.0
[arms.teacher]
preset = "distral"
environments = ["two"]
[[hypotheses]]
name = "helps"
better = "with"
than = "without"
[[hypotheses]]
name = "one task"
better = "teacher"
than = "without"
environments = ["two, goal=3"]
"""
ORDER = ["without-two", "teacher-two", "without-last", "with-last"]
EVALUATION = "[evaluation]\nevery = 30"


def test_a_table_is_an_environment_with_tasks_arguments_and_a_length_of_its_own():
    study = study_of(text=TEXT)
    two, last = study.environments
    assert (two.length.steps, last.length.steps, study.span) == (80, 60, "60 to 80")
    assert two.labels == ("two", "two, goal=0", "two, goal=3")
    jobs = {job.name: job_config(study, job) for job in jobs_of(study)}
    taught, new = jobs["teacher-two"], jobs["with-last"]
    assert (taught.task_names, taught.copies, taught.algorithm.prior.blind_last) == (
        ["goal=0", "goal=3"],
        2,
        2,
    )
    assert (new.env_arguments, new.copies, new.algorithm.prior.blind_last) == ({"goal": 4}, 1, 0)
    assert (new.prior_run, new.algorithm.prior.frozen) == ("../teacher-two", True)
    assert (jobs["without-last"].prior_run, jobs["without-last"].algorithm.prior.frozen) == (None, False)


def test_jobs_follow_those_whose_prior_they_take_and_hypotheses_hold_where_both_arms_train():
    study = study_of(text=TEXT)
    assert [job.name for job in jobs_of(study)] == ORDER
    assert [(source := prior_job(study, job)) and source.name for job in jobs_of(study)] == [
        None, None, None, "teacher-two",
    ]  # fmt: skip
    assert [one.environments for one in study.hypotheses] == [("last",), ("two, goal=3",)]


CIRCLE = ('preset = "distral"\nenvironments = ["two"]', 'preset = "distral"\nprior = "with"')
BAD = [
    (('prior = "teacher"', 'prior = "techer"'), "`study.toml: arms.with.prior` must be one of with, without"),
    (CIRCLE, "`study.toml: arms.with.prior` must not lead back to an arm that waits for it; "),
    (('prior = "teacher"', 'prior = "with"'), "`study.toml: arms.with.prior` must not lead back to an arm"),
    (
        ('"last", id = "virel/FrozenGoals-v0"', '"last", id = "virel/TwoRooms-v0"'),
        "`study.toml: arms.with.prior` must be an arm with exactly one environment of virel/TwoRooms-v0, ",
    ),
    (('environments = ["two"]', 'environments = ["too"]'), "`study.toml: arms.teacher.environments` must "),
    (("{ goal = 0 }, { goal = 3 }", "{ goal = 0 }"), "`study.toml: environments[0].tasks` must be at least"),
    (("{ goal = 3 }", "{ goal = 0 }"), "`study.toml: environments[0].tasks` must all be different"),
    (('name = "last", ', ""), "`study.toml: environments[1].name` must be given: the key is missing"),
    (('name = "last"', 'name = "a b"'), "`study.toml: environments[1].name` must be letters, digits and ._-"),
    (("arguments = {", "argument = {"), "`study.toml: key in environments[1]` must be one of arguments"),
    (("steps = 80", "steps = 20"), "`study.toml: environments[0].evaluation.every` must be at most `steps`"),
    (
        ('["two, goal=3"]', '["two, goal=3", "two"]'),
        "`study.toml: hypotheses[1].environments` must name an environment or one of its tasks, once: ",
    ),
    (('["two, goal=3"]', '["last"]'), "`study.toml: hypotheses[1].environments` must be among those where"),
    (('than = "without"\nenv', 'than = "with"\nenv'), "`study.toml: hypotheses[1].than` must train in an"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD, ids=range(len(BAD)))
def test_wrong_tasks_and_priors_are_one_line(change, message):
    with pytest.raises(InputError) as error:
        study_of(change, text=TEXT)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


WRONG_JOBS = [
    (("{ goal = 0 }", "{ depth = 3 }"), "study.toml: `env` must be an environment that can be made; 'virel"),
    (("{ goal = 0 }", "{ goal = 9 }"), "study.toml: `goal` must be a whole number from 0 to 4; found 9"),
    (("steps = 80", "steps = 81"), "study.toml: arms.without: `steps` must be a multiple of `copies` = 2"),
    (
        ('prior = "teacher"', 'prior = "teacher"\nsettings.hidden = [9]'),
        "study.toml: arms.with: `prior` must have the layers of the new run, hidden=(9,); found [8]",
    ),
    (
        ('prior = "teacher"', 'prior = "teacher"\nsettings.prior.blind = [1]'),
        "study.toml: arms.with: `prior` must be blind to the entries of the new run, [1], beside ",
    ),
    (
        ("arguments = { goal = 4 }", "arguments = { goal = 4, size = 8 }"),
        "study.toml: arms.with: `prior` must see as many entries as that of the new run, 64; found 16",
    ),
    (
        ('preset = "distral"\nprior', 'preset = "sac"\nprior'),
        "study.toml: arms.with: `prior` must be one of distilled, asymmetric, ",
    ),
    (
        ('[arms.teacher]\npreset = "distral"', '[arms.teacher]\npreset = "sac"'),
        "study.toml: arms.with: `prior` must be a run whose prior is 'distilled'; the prior of teacher-two",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG_JOBS, ids=range(len(WRONG_JOBS)))
def test_what_does_not_fit_the_environments_or_the_prior_is_one_line(change, message):
    with pytest.raises(InputError) as error:
        check_jobs(study_of(change, text=TEXT), "study.toml")
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_two_jobs_of_one_folder_are_refused():
    text = TEXT.replace('"two"', '"o-two"').replace("two,", "o-two,")
    text = text.replace("arms.without]", "arms.with-o]").replace('"without"', '"with-o"')
    changes = (('prior = "teacher"\nenvironments = ["last"]', ""), ('name = "last"', 'name = "two"'))
    with pytest.raises(InputError, match=r"must not give two jobs one folder; .* found 'with-o-two'"):
        check_jobs(study_of(*changes, text=text), "study.toml")


class Scheduled(Jobs):
    """Jobs that end at once with the status of their name, without a process."""

    def _start(self, job, run):
        self.waiting.remove((job, run))
        self.begun.append(job.name)
        process = SimpleNamespace(poll=lambda: 0, returncode=self.ends.get(job.name, 0))
        self.running.append(SimpleNamespace(job=job, run=run, process=process))

    def _status(self, one):
        return one.process.returncode


@pytest.mark.parametrize(("ends", "begun"), [({}, "bac"), ({"b": 1}, "bc")])
def test_a_job_starts_once_the_one_that_it_waits_for_has_ended_well(ends, begun):
    jobs = [(SimpleNamespace(name=name), None) for name in "abc"]
    scheduled = Scheduled(jobs, 1, lambda job: job.name != "a" or scheduled.statuses.get("b") == 0)
    scheduled.ends, scheduled.begun = ends, []
    assert scheduled.run(lambda _jobs: None) == max(ends.values(), default=0)
    assert "".join(scheduled.begun) == begun


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of which every job was run alone, in order."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(TEXT)
    for number in range(len(ORDER)):
        assert main_study([*command(folder, "run"), "--job", str(number)]) == 0
    return folder


def command(folder, action):
    return [action, str(folder / "study.toml"), "--out", str(folder / "out")]


def blocks(run, seed):
    return load(run / f"seed-{seed}" / "checkpoints").state["agent"]["default"]


def test_a_job_that_waits_says_so_in_one_line_and_in_the_status(tmp_path, capsys):
    (tmp_path / "study.toml").write_text(TEXT)
    assert main_study([*command(tmp_path, "run"), "--job", "3"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "`job` must be one whose prior is learned; with-last waits for teacher-two, job 1; found 3" in said
    assert main_study(command(tmp_path, "status")) == 1
    assert "waits for teacher-two" in capsys.readouterr().out


def test_each_seed_begins_with_the_prior_of_its_own_seed(folder):
    old, new = (folder / "out/jobs" / name for name in ("teacher-two", "with-last"))
    assert sorted(read_prior(new)) == [2, 5]
    for seed in (2, 5):
        for name, x in read_prior(new)[seed].items():
            assert np.array_equal(x, blocks(old, seed)[name])
            assert np.array_equal(x, blocks(new, seed)[name])
    assert not np.array_equal(blocks(new, 2)["0.weight"], blocks(new, 5)["0.weight"])


def test_the_report_has_tasks_apart_and_together(folder, capsys):
    assert main_study(command(folder, "report")) == 0
    table = (folder / "out/report/table.md").read_text()
    for label in ("two, mean of 2 tasks", "two, goal=0", "two, goal=3", "last"):
        assert f"| {label} | without |" in table
        assert (folder / "out/report" / label.replace(", ", "-").replace(" ", "-").replace("=", "-")).is_dir()
    assert "| last | with |" in table
    assert (
        "| environment | algorithm | seeds | steps | final return | area under curve | P(better than with) |"
        in table
    )
    assert "| hypothesis | two, goal=3 | last | together |" in table
    results = {one.job.name: one for one in read_results(folder / "out", study_of(text=TEXT))}
    whole = results["teacher-two"]
    np.testing.assert_allclose(whole.run.returns, np.mean([one.returns for one in whole.of_tasks], axis=0))
    rows = (folder / "out/report/scores.csv").read_text()
    assert "\ntwo,teacher,2,final," in rows
    assert '\n"two, goal=3",teacher,2,final,' in rows
    capsys.readouterr()


def test_more_seeds_begin_with_their_own_priors_and_the_others_keep_theirs(folder):
    new = folder / "out/jobs/with-last"
    kept, done = read_prior(new), (new / "seed-2/metrics.jsonl").read_bytes()
    (folder / "study.toml").write_text(TEXT.replace("[2, 5]", "[2, 5, 0]"))
    for number in (1, 3):
        amend = ["--amend", "one more"] if number == 1 else []
        assert main_study([*command(folder, "run"), "--job", str(number), *amend]) == 0
    assert len(read_record(folder / "out").plans) == 2
    assert read_config(new).seeds == (2, 5, 0)
    assert sorted(read_prior(new)) == [0, 2, 5]
    for seed in (2, 5):
        assert all(np.array_equal(x, read_prior(new)[seed][name]) for name, x in kept[seed].items())
    assert (new / "seed-2/metrics.jsonl").read_bytes() == done
    assert json.loads((new / "seed-0/done.json").read_text())["step"] == 60


def test_a_prior_that_another_run_began_with_is_not_trained_further(tmp_path):
    text = TEXT.replace("steps = 80", "steps = 2000")
    study = study_of(text=text)
    register(study, tmp_path, "study.toml")
    jobs = {job.name: job for job in jobs_of(study)}
    for name in ("teacher-two", "with-last"):
        run = prepare(tmp_path, study, jobs[name], "highest")
    longer = study_of(("steps = 2000", "steps = 4000"), text=text)
    check_prior_stays(tmp_path, longer, jobs_of(longer)[-1])
    (run / "prior.npz").touch()
    with pytest.raises(
        InputError, match=r"^`steps` must stay 2,000 in two: .*with-last began with its priors; "
    ):
        register(longer, tmp_path, "study.toml", amend="longer")
    assert len(read_record(tmp_path).plans) == 1
