"""The expected time of a job: by hand, from a clock of our own, and in environments of every kind."""

import pytest

from tests.support.studies import TWO_ARMS, study_of
from virel_common.errors import InputError
from virel_common.terminal import DONE, FAILED
from virel_deep.run.training.learning import due_updates
from virel_deep.study.environments import Length
from virel_deep.study.jobs import jobs_of
from virel_deep.study.plan import parse_study
from virel_deep.study.probe import LONGEST, Look, Speed, costs, probe

STEP, UPDATE, SLOW = 1e-3, 0.1, 5.0
"""Seconds of a step and of an update on our clock, and those that the first of each takes longer."""
ON_POLICY = """
title = "On-policy"
environments = ["Pendulum-v1"]
seeds = 1
steps = 10_000
[settings]
hidden = [8]
data.epochs = 1
[arms.vmpo]
preset = "vmpo"
"""
OFF_POLICY = TWO_ARMS.replace("data.batch = 16", "data.batch = 64").replace("steps = 2000", "steps = 6000")


def test_every_evaluation_counts_that_a_run_makes_the_last_one_too():
    """2,500 steps with an evaluation every 1,000 are 3 evaluations: at 1,000, 2,000 and 2,500."""
    speed = Speed(step=0.0, plain=1.0, episode=100, tasks=2)
    assert speed.core_hours(Length(2500, 1000, 5)) * 3600 == 2 * 5 * 3 * 100


def on_our_clock(ended):
    """A training that takes the seconds above, and what it saw: how many steps until the probe ended."""

    def train_bundle(_run, config, _seeds, _resume, *, report):
        seconds, updates, slow = 0.0, 0, {True: SLOW, False: SLOW}
        for step in range(config.copies, config.steps + 1, config.copies):
            due = due_updates(config, step)
            seconds += STEP * config.copies + UPDATE * due + slow.pop(due > 0, 0.0)
            updates += due
            if step % config.log_every == 0:
                ended[:] = [step]
                speed = {"steps_per_second": config.log_every / seconds}
                report(step, speed | ({"q": 0.0} if updates else {}))
                seconds, updates = 0.0, 0
        return DONE

    return train_bundle


def expected(monkeypatch, study):
    """Seconds per step that the probe expects of a study's first job, and the steps that it took."""
    ended = []
    monkeypatch.setattr("virel_deep.study.probe.train_bundle", on_our_clock(ended))
    jobs = jobs_of(study)[:1]
    return probe(study, jobs, "highest", seen=lambda _job: None)[jobs[0].name].step, ended[0]


@pytest.mark.parametrize(
    ("text", "changes", "updates", "least", "most"),
    [
        (ON_POLICY, [], 10_000 // 256, 3000, 3000),
        (ON_POLICY, [("hidden", "data.length = 2048\nhidden")], 4, 2 * 2048, 3 * 2048),
        (ON_POLICY, [("hidden", "data.length = 15000\nhidden")], 0, 13 * 25, LONGEST),
        (ON_POLICY, [("hidden", "data.length = 8\nhidden"), ('"vmpo"', '"erpg"')], 10_000 // 64, 64, 2000),
        (OFF_POLICY, [("hidden", "update_every = 100\nhidden")], 10, 0, 2000),
        (OFF_POLICY, [], 1000, 0, 500),
        (OFF_POLICY, [("hidden", "updates_per_step = 4.0\nhidden")], 4000, 0, 500),
        (OFF_POLICY, [("6000", "500_000")], 495_000, 0, 500),
    ],
)  # fmt: skip
def test_updates_count_as_often_as_the_whole_job_makes_them(monkeypatch, text, changes, updates, least, most):
    study = study_of(*changes, text=text)
    step, steps = expected(monkeypatch, study)
    total = study.environments[0].length.steps
    assert step == pytest.approx(STEP + UPDATE * updates / total, rel=1e-9)
    assert least <= steps <= most


def test_steps_and_updates_that_always_come_together_are_not_told_apart():
    assert costs([Look(25, 25, 9.0), Look(25, 25, 0.5), Look(25, 25, 0.5)]) == (0.02, 0.0)


def test_a_probe_that_fails_is_one_line(monkeypatch):
    monkeypatch.setattr("virel_deep.study.probe.train_bundle", lambda *_, **__: FAILED)
    jobs = jobs_of(study_of())[:1]
    rule = r"^sac-InvertedPendulum-v5: its probe failed, as said above; --no-probe plans without it$"
    with pytest.raises(InputError, match=rule):
        probe(study_of(), jobs, "highest", seen=lambda _job: None)


MODULE = """
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

def made(length=20):
    return gymnasium.wrappers.TimeLimit(PendulumEnv(), length)
"""


@pytest.mark.slow
def test_a_function_that_makes_the_environment_is_timed_with_its_limit(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "maker_of_probe.py").write_text(MODULE)
    tasks = '[{ name = "two", id = "maker_of_probe:made", tasks = [{ length = 30 }, { length = 40 }] }]'
    text = ON_POLICY.replace('["Pendulum-v1"]', tasks).replace('"vmpo"', '"sac"')
    text = text.replace("data.epochs = 1", "data.batch = 64")
    study = parse_study(text, "study.toml")
    (speed,) = probe(study, jobs_of(study), "highest", seen=lambda _job: None).values()
    assert (speed.episode, speed.tasks, speed.copies) == (40, 2, 2)
    assert 0 < speed.plain < speed.step
