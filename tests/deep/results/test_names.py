"""Names that tell compared runs apart."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import named, place_run, ramp, write_raw, write_run
from virel_deep.results.remarks import remarks
from virel_deep.results.tables import overall_table


def test_runs_of_one_preset_are_told_apart_by_the_settings_that_differ(tmp_path):
    folders = [
        write_run(tmp_path / f"run{n}", "beta", "Hopper-v5", ramp(1.0, 2.0), **{"temperature.batch": n})
        for n in (0, 4096)
    ]
    assert [entry.label for entry in named(folders)] == [
        "beta (temperature.batch=0)",
        "beta (temperature.batch=4096)",
    ]


def test_runs_that_differ_in_nothing_are_told_apart_by_their_folders(tmp_path):
    folders = [write_run(tmp_path / name, "sac", "Hopper-v5", ramp(1.0, 2.0)) for name in ("one", "two")]
    assert [entry.label for entry in named(folders)] == ["sac (one)", "sac (two)"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (("a/run", "b/run"), ["a/run", "b/run"]),
        (("x/a/run", "y/a/run", "z/run"), ["x/a/run", "y/a/run", "{root}/z/run"]),
        (("a/run", "a/run/again/run"), ["a/run", "again/run"]),
    ],
)
def test_folders_of_one_name_are_told_apart_by_those_above(tmp_path, paths, names):
    folders = [place_run(tmp_path, path, "Hopper-v5") for path in paths]
    labels = [entry.label for entry in named(folders)]
    assert labels == [f"sac ({name.format(root=tmp_path.name)})" for name in names]


def test_a_run_named_from_inside_has_its_folders_name(tmp_path, monkeypatch):
    folders = [place_run(tmp_path, path, "Hopper-v5") for path in ("a", "b")]
    monkeypatch.chdir(folders[0])
    assert [entry.label for entry in named([Path(), Path("../b")])] == ["sac (a)", "sac (b)"]


def test_settings_that_print_alike_do_not_tell_runs_apart(tmp_path):
    folders = [
        write_raw(tmp_path / f"{lr!r}", {"preset": "p", "env": "E-v0", "steps": 5000, "lr": lr}, [np.ones(5)])
        for lr in (1, "1")
    ]
    assert [entry.label for entry in named(folders)] == ["p (1)", "p ('1')"]


@pytest.mark.parametrize("pattern", ["{age}/{env}/run", "{age}/sac-{env}", "{env}/{age}"])
def test_runs_told_apart_by_folders_belong_together_over_environments(tmp_path, pattern):
    folders = [
        place_run(tmp_path, pattern.format(age=age, env=env), env, top)
        for age, top in (("old", 1.0), ("new", 2.0))
        for env in ("Hopper-v5", "Ant-v5")
    ]
    here = named(folders)
    old, new = (pattern.format(age=age, env="ENV") for age in ("old", "new"))
    if pattern.endswith("{age}"):
        old, new = "old", "new"
    assert [entry.label for entry in here] == [f"sac ({name})" for name in (old, old, new, new)]
    rows = overall_table(here).rows
    # Means of the last ten evaluations over two seeds, in units of those of the first.
    assert [(row[0], row[1][:2]) for row in rows] == [(f"sac ({old})", "1 "), (f"sac ({new})", "2 ")]
    assert not any("over 2 environments" in remark for remark in remarks(here))


def test_settings_that_differ_in_one_environment_name_the_run_in_another(tmp_path):
    folders = [
        place_run(tmp_path, f"{n}-{env}", env, preset="beta", **{"data.batch": n})
        for n, env in ((64, "Hopper-v5"), (128, "Hopper-v5"), (64, "Ant-v5"))
    ]
    here = named(folders)
    assert [entry.label for entry in here] == [f"beta (data.batch={n})" for n in (64, 128, 64)]
    assert [row[0] for row in overall_table(here).rows] == ["beta (data.batch=64)"]
    said = "for lack of a run of the same name in each: beta (data.batch=128) (none in Ant-v5)."
    assert any(remark.endswith(said) for remark in remarks(here))


def test_one_preset_in_two_environments_keeps_its_name_although_its_scales_differ(tmp_path):
    folders = [
        write_run(tmp_path / env, "beta", env, ramp(1.0, 2.0), reward_scale=scale)
        for env, scale in (("Hopper-v5", 5.0), ("Ant-v5", 1.0))
    ]
    assert [entry.label for entry in named(folders)] == ["beta", "beta"]
