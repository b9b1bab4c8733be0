"""Names that tell compared runs apart."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.runs import named, place_run, ramp, write_raw, write_run
from virel_deep.results.names import LONGEST
from virel_deep.results.remarks import remarks
from virel_deep.results.tables import overall_table

HOPPER = "Hopper-v5"
MANY = {"data.batch": 64, "gamma": 0.98, "learning_rate": 1e-3, "data.warmup": 70, "polyak": 0.01}
CONSTANT = {"temperature": "constant", "temperature.alpha": 0.2}


def test_runs_of_one_preset_are_told_apart_by_the_settings_that_differ(tmp_path):
    folders = [
        write_run(tmp_path / f"run{n}", "beta", "Hopper-v5", ramp(1.0, 2.0), **{"temperature.batch": n})
        for n in (0, 4096)
    ]
    assert [entry.label for entry in named(folders)] == [
        "beta (temperature.batch=0)",
        "beta (temperature.batch=4096)",
    ]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        ({"data.batch": 64}, ["batch=256", "batch=64"]),  # no other setting of sac is called so
        ({"gamma": 0.98, "hidden": (64, 64)}, ["gamma=0.99, hidden=256,256", "gamma=0.98, hidden=64,64"]),
        (CONSTANT, ["temperature=dual, initial=1.0", "temperature=constant, alpha=0.2"]),
        (MANY | CONSTANT, ["temperature=dual, …", "temperature=constant, …"]),
        (MANY, ["batch=256, …", "batch=64, …"]),
    ],
    ids=["one", "two", "kind", "many-and-kind", "many"],
)
def test_a_name_is_short_and_has_no_setting_that_its_algorithm_lacks(tmp_path, settings, labels):
    folders = [
        write_run(tmp_path / "a", "sac", HOPPER, ramp(1.0, 2.0)),
        write_run(tmp_path / "b", "sac", HOPPER, ramp(1.0, 2.0), **settings),
    ]
    here = named(folders)
    assert [entry.label for entry in here] == [f"sac ({label})" for label in labels]
    assert max(len(entry.label) for entry in here) <= LONGEST
    assert "None" not in "".join(remarks(here))


def test_what_a_short_name_leaves_out_is_told_below_the_table(tmp_path):
    folders = [
        write_run(tmp_path / "a", "sac", HOPPER, ramp(1.0, 2.0)),
        write_run(tmp_path / "b", "sac", HOPPER, ramp(1.0, 2.0), **MANY, **CONSTANT),
        write_run(tmp_path / "c", "td3", HOPPER, ramp(1.0, 2.0)),
    ]
    told = [line for line in remarks(named(folders)) if line.startswith("Settings of ")]
    assert told[1] == (
        "Settings of sac (temperature=constant, …), as far as runs of sac differ in them: "
        "temperature=constant, data.batch=64, data.warmup=70, gamma=0.98, learning_rate=0.001, polyak=0.01, "
        "temperature.alpha=0.2."
    )
    assert len(told) == 2


def test_names_too_long_for_settings_are_those_of_the_folders_and_the_settings_are_told(tmp_path):
    changes = [{}, *({name: value} for name, value in MANY.items())]  # no few settings tell all apart
    folders = [
        write_run(tmp_path / f"run{i}", "sac", HOPPER, ramp(1.0, 2.0), **change)
        for i, change in enumerate(changes)
    ]
    here = named(folders)
    assert [entry.label for entry in here] == [f"sac (run{i})" for i in range(6)]
    told = [line for line in remarks(here) if line.startswith("Settings of ")]
    assert len(told) == 6
    assert "gamma=0.98" in told[2]
    assert "gamma=0.99" in told[1]


def test_a_short_name_does_not_make_one_algorithm_of_two(tmp_path):
    others = {name: MANY[name] for name in ("learning_rate", "data.warmup", "polyak")}
    folders = [
        place_run(tmp_path, f"{i}", env, **settings)
        for i, (env, settings) in enumerate(
            [
                (HOPPER, {"data.batch": 64, "gamma": 0.9}),
                (HOPPER, {"data.batch": 128, "gamma": 0.8, **others}),
                ("Ant-v5", {"data.batch": 64, "gamma": 0.8, **others}),
            ]
        )
    ]
    labels = [entry.label for entry in named(folders)]
    assert labels == [f"sac (batch={n}, warmup={m}, …)" for n, m in ((64, 5000), (128, 70), (64, 70))]


@pytest.mark.parametrize(
    ("settings", "labels"),
    [({}, ["steps=20000", "steps=40000"]), ({"gamma": 0.9}, ["gamma=0.99", "gamma=0.9"])],
    ids=["alone", "beside-another"],
)
def test_what_the_table_shows_anyway_names_a_run_only_if_nothing_else_does(tmp_path, settings, labels):
    folders = [
        write_run(tmp_path / "a", "sac", HOPPER, ramp(1.0, 2.0)),
        write_run(tmp_path / "b", "sac", HOPPER, ramp(1.0, 2.0), steps=40_000, **settings),
    ]
    assert [entry.label for entry in named(folders)] == [f"sac ({label})" for label in labels]


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
    assert [(row[0], row[1][:2]) for row in rows] == [(f"sac ({old})", "1"), (f"sac ({new})", "2 ")]
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
