"""Study files and study folders of our choice."""

import json

import numpy as np

from tests.support.runs import write_raw
from virel_deep.design.run import to_json
from virel_deep.study.jobs import job_config, job_folder, jobs_of
from virel_deep.study.plan import parse_study
from virel_deep.study.record import register

TWO_ARMS = """
title = "Two arms"
environments = ["InvertedPendulum-v5", "Pendulum-v1"]
seeds = 4
steps = 2000
precision = "highest"
[settings]
hidden = [8, 8]
data.batch = 16
[arms.sac]
preset = "sac"
[arms.td3]
preset = "td3"
[[hypotheses]]
name = "first"
better = "sac"
than = "td3"
[decision]
level = 0.1
"""


def study_of(*changes, text=TWO_ARMS):
    """The study of a text in which each pair of `changes` replaces one by the other."""
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return parse_study(text, "study.toml")


def write_jobs(out, study, curves, *, unfinished=(), failed=()):
    """A study folder: `curves[arm, env] [K, T]` are the returns of the seeds, at equal distances.

    Jobs named in `unfinished` lack the records of having reached the end; `failed` lists job, seed, kind.
    """
    register(study, out, "study.toml")
    for job in jobs_of(study):
        if (job.arm.name, job.env.name) not in curves:
            continue
        values = np.asarray(curves[job.arm.name, job.env.name], np.float64)
        folder = job_folder(out, job)
        config = to_json(job_config(study, job))
        write_raw(folder, config, values, every=job.env.length.steps // values.shape[1])
        for seed in range(len(values)):
            if job.name not in unfinished:
                (folder / f"seed-{seed}" / "done.json").write_text(json.dumps({"step": job.env.length.steps}))
        for name, seed, what in failed:
            if name == job.name:
                (folder / f"seed-{seed}" / "done.json").unlink(missing_ok=True)
                document = {"step": 500, "what": what, "detail": "for the test"}
                (folder / f"seed-{seed}" / "failure.json").write_text(json.dumps(document))
    return out
