"""The Slurm scripts of the guide, with stand-ins for Slurm's commands: what status an element ends with."""

import os
import subprocess
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide"


def script(page):
    """The one script of a page that is an array of Slurm."""
    blocks = (GUIDE / page).read_text().split("```")[1::2]
    (found,) = [block for block in blocks if "#SBATCH" in block]
    return found.partition("\n")[2]


def command(folder, name, line):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("page", ["clusters.md", "studies.md"])
@pytest.mark.parametrize(("status", "requeued"), [(0, ""), (1, ""), (2, ""), (130, "requeue 7_3\n")])
def test_a_script_ends_with_the_status_of_its_job_and_only_a_stopped_job_is_requeued(
    tmp_path, page, status, requeued
):
    command(tmp_path, "srun", f"exit {status}")
    command(tmp_path, "scontrol", 'echo "$@"')
    names = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"} | names
    done = subprocess.run(
        ["bash", "-c", script(page)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, requeued, "")


@pytest.mark.parametrize("page", ["clusters.md", "studies.md"])
def test_an_element_that_is_requeued_keeps_its_log(page):
    assert "--open-mode=append" in script(page)
