"""A job that goes on with another environment or other libraries: its report says so."""

import json
import shutil
import sys

import pytest

from virel_common.errors import InputError
from virel_deep.commands.study import main_study
from virel_deep.commands.train import main_train
from virel_deep.data.first_look import first_look
from virel_deep.run.changes import FILE, changes_of, record_changes
from virel_deep.run.folder import read_config, recorded_environment
from virel_deep.study.record import read_record
from virel_deep.study.report import contents

pytestmark = [pytest.mark.mujoco, pytest.mark.slow]
MODULE = """
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

class Mine(PendulumEnv):
    pass

def make():
    return gymnasium.wrappers.TimeLimit(Mine(), 20)
"""
STUDY = """
title = "One arm"
environments = [{ name = "mine", id = "my_pendulum:make" }]
seeds = 1
steps = 40
precision = "highest"
[settings]
hidden = [8]
data.batch = 16
data.warmup = 20
[arms.sac]
preset = "sac"
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with a study whose only job has run its first 40 steps."""
    folder = tmp_path_factory.mktemp("begun")
    (folder / "my_pendulum.py").write_text(MODULE)
    (folder / "study.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        assert run() == 0
    del sys.modules["my_pendulum"]
    return folder


@pytest.fixture
def study(begun, tmp_path, monkeypatch):
    folder = shutil.copytree(begun, tmp_path / "study")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("my_pendulum", None)


def run(*more):
    return main_study(["run", "study.toml", "--out", "out", "--job", "0", *more])


def job(folder):
    return folder / "out/jobs/sac-mine"


def goes_on(folder, steps):
    """Continue the job up to another step."""
    text = (folder / "study.toml").read_text()
    (folder / "study.toml").write_text(text.replace("steps = 40", f"steps = {steps}"))
    assert run("--amend", "further") == 0


def deviations(folder):
    """What the report says happened otherwise, without the amendments."""
    out = folder / "out"
    (part,) = (one for one in contents(out, read_record(out)).circumstances if one.key == "deviations")
    assert ("Nothing happened otherwise." in part.lead) == (part.remarks == ())
    return [line for line in part.remarks if "plan changed" not in line]


def test_a_job_records_its_environment_as_virel_train_does(study):
    config = read_config(job(study))
    assert recorded_environment(job(study)) == first_look(config).record
    assert not (job(study) / FILE).exists()
    assert deviations(study) == []


def test_a_changed_environment_is_a_deviation(study):
    with (study / "my_pendulum.py").open("a") as file:
        file.write("# other rewards\n")
    goes_on(study, 80)
    (change,) = changes_of(job(study))
    assert change.what.startswith("the environment's source changed from ")
    assert deviations(study) == [f"sac-mine, {change.time}: {change.what}."]


def test_other_libraries_are_a_deviation_told_once(study, monkeypatch):
    now = json.loads((job(study) / "config.json").read_text())["versions"]
    monkeypatch.setattr("virel_deep.run.folder.run_versions", lambda: now | {"torch": "99.0"})
    goes_on(study, 80)
    record_changes(job(study), begun=True)  # as a third start of the job does
    said = f"torch changed from {now['torch']} to 99.0 since this run began"
    (change,) = changes_of(job(study))
    assert change.what == said
    assert deviations(study) == [f"sac-mine, {change.time}: {said}."]


def test_a_job_that_virel_train_continues_says_so_too(study):
    with (study / "my_pendulum.py").open("a") as file:
        file.write("# other rewards\n")
    assert main_train(["--resume", str(job(study)), "--jobs", "1"]) == 0
    assert deviations(study) == []  # nothing was left to train
    assert main_train(["--resume", str(job(study)), "--steps", "80", "--jobs", "1"]) == 0
    further, line = deviations(study)
    assert further == "sac-mine: trained to step 80, the plan ends at 40: later scores do not count."
    assert ": the environment's source changed from " in line


def test_a_job_of_an_earlier_version_recorded_no_environment_and_goes_on(study):
    document = json.loads((job(study) / "config.json").read_text())
    del document["environment"]
    (job(study) / "config.json").write_text(json.dumps(document))
    goes_on(study, 80)
    assert deviations(study) == []


@pytest.mark.parametrize("text", ["{", '{"time": 1}', "[1]", '[{"time": "now"}]', "3"])
def test_a_damaged_record_is_one_line(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError) as error:
        changes_of(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / FILE}: not a list of changes, or damaged: ")
    assert "\n" not in str(error.value)
