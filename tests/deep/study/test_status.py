"""The expected wall time of a study's jobs, which are indivisible and may wait for each other."""

import pytest

from tests.support.studies import study_of
from virel_deep.study.jobs import jobs_of
from virel_deep.study.probe import Speed
from virel_deep.study.status import plan_notes

ONE = ('environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["Pendulum-v1"]')
THIRD = ("[arms.td3]", '[arms.third]\npreset = "sac"\n[arms.td3]')


@pytest.mark.parametrize(("cores", "hours"), [(1, "3.00 hours on 1 core."), (2, "2.00 hours on 2 cores.")])
def test_jobs_are_not_divided_among_cores(cores, hours):
    study = study_of(ONE, THIRD)
    jobs = jobs_of(study)
    speeds = {job.name: Speed(1.8, 0, 0, 1) for job in jobs}  # 2,000 steps: an hour
    assert f"Expected: 3.00 core hours, about {hours}" in plan_notes(study, jobs, speeds, cores)
