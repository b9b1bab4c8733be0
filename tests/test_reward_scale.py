"""The command for study 1's second part: areas and temperatures at each scale, by hand."""

import json

import numpy as np
import pytest

from benchmarks.deep.reward_scale import main, points
from tests.support.studies import study_of, write_jobs

STUDY = """
title = "Scales"
environments = ["InvertedPendulum-v5"]
seeds = 2
steps = 2000
[settings]
hidden = [8, 8]
[arms.sac-scale-0_1]
preset = "sac"
settings = { reward_scale = 5 }
multiply = { reward_scale = 0.1 }
[arms.sac-scale-1]
preset = "sac"
[arms.td3-scale-1]
preset = "td3"
"""
ENV = "InvertedPendulum-v5"


@pytest.fixture
def runs(tmp_path):
    """Runs of one algorithm at two scales, with temperatures 1 to 20 and twice those for the second seed."""
    (tmp_path / "scales.toml").write_text(STUDY)
    curves = {
        (arm, ENV): np.full((2, 20), value) for arm, value in (("sac-scale-0_1", 7), ("sac-scale-1", 3))
    }
    curves["sac-scale-1", ENV][:, :10] = 1
    out = write_jobs(tmp_path / "out", study_of(text=STUDY), curves)
    for path in out.glob("jobs/sac*/seed-*/metrics.jsonl"):
        factor = 1 + int(path.parent.name == "seed-1")
        rows = [
            {"step": 100 * i, "kind": "train", "wall": 1.0, "temperature": factor * i} for i in range(1, 21)
        ]
        rows += [row for row in map(json.loads, path.read_text().splitlines()) if row["kind"] == "eval"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_areas_and_temperatures_are_those_of_the_scale(runs):
    found = {one.factor: one for one in points(runs / "scales.toml", runs / "out")}
    assert found.keys() == {0.1, 1.0}
    assert {(one.algorithm, one.env) for one in found.values()} == {("sac", ENV)}
    assert found[0.1].area == (7, 7, 7)
    assert found[1.0].area == (2, 2, 2)
    # The last tenth of 20 rows is 19 and 20; the seeds have 19.5 and 39. The scale is 0.5 in the first arm.
    assert found[0.1].temperature == pytest.approx(29.25 / 0.5)
    assert found[1.0].temperature == pytest.approx(29.25)


def test_the_figure_is_written_and_the_table_printed(runs, capsys):
    arguments = [str(runs / "scales.toml"), "--runs", str(runs / "out"), "--out", str(runs / "figures")]
    assert main(arguments) == 0
    assert (runs / "figures" / "reward-scale.png").stat().st_size > 10_000
    out = capsys.readouterr().out
    assert f"| {ENV} | `sac` | 7 [7, 7] | 2 [2, 2] |  | 58 | 29 |  |" in out


def test_without_a_finished_job_there_is_one_line(tmp_path, capsys):
    (tmp_path / "scales.toml").write_text(STUDY)
    arguments = [
        str(tmp_path / "scales.toml"),
        "--runs",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "f"),
    ]
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("benchmarks.deep.reward_scale: `runs` must hold a finished job")
    assert not (tmp_path / "f").exists()


def test_a_study_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "other.toml").write_text(STUDY.replace("multiply = { reward_scale = 0.1 }", ""))
    assert main([str(tmp_path / "other.toml"), "--runs", str(tmp_path), "--out", str(tmp_path / "f")]) == 2
    assert "other.toml: arms` must multiply `reward_scale` by 0.1, 1, 10" in capsys.readouterr().err
