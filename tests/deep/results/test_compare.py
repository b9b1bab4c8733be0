"""`virel compare`: scores by hand, other libraries' runs, and everything that limits a comparison said."""

import csv
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from tests.support.runs import learning, write_raw, write_run, write_seed
from virel_common.errors import InputError
from virel_deep.commands.results import main_compare
from virel_deep.results.curves import STYLE, _caption, _figure, band_of, csv_of, draw
from virel_deep.results.read import read_run
from virel_deep.results.tables import as_markdown, entries, overall_table, remarks, score_table


def ramp(*tops):
    """`[K, 20]`: straight lines from top / 20 to top."""
    return np.outer(tops, np.arange(1, 21) / 20)


@pytest.fixture
def two_runs(tmp_path):
    return [
        write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1000, 1200, 1400)),
        write_run(tmp_path / "b", "beta", "Hopper-v5", ramp(900, 1300, 1500)),
    ]


def named(folders):
    return entries([read_run(folder) for folder in folders])


def test_the_final_score_is_the_mean_of_the_last_ten_evaluations(two_runs):
    run = read_run(two_runs[0])
    # Evaluations 11/20 to 20/20 of the top have the mean 15.5/20.
    np.testing.assert_allclose(run.final(), np.array([1000, 1200, 1400]) * 15.5 / 20, rtol=1e-13)


def test_the_area_is_that_of_trapezes_over_unequal_steps(tmp_path):
    folder = write_raw(tmp_path / "a", {"preset": "p", "env": "E-v0", "steps": 4000}, [])
    (folder / "seed-0").mkdir()
    rows = [(1000, 0.0), (2000, 10.0), (4000, 20.0)]
    text = [json.dumps({"step": s, "kind": "eval", "wall": 0.0, "return": r}) + "\n" for s, r in rows]
    (folder / "seed-0" / "metrics.jsonl").write_text("".join(text))
    # (5 * 1000 + 15 * 2000) / 3000, by hand
    np.testing.assert_allclose(read_run(folder).area(), [35 / 3], rtol=1e-14)


def test_a_smooth_curve_ends_at_the_final_score_and_starts_at_the_first_evaluation(two_runs):
    run = read_run(two_runs[0])
    smooth = run.smooth(10)
    np.testing.assert_allclose(smooth[:, 0], run.returns[:, 0], rtol=1e-13)
    np.testing.assert_allclose(smooth[:, 2], run.returns[:, :3].mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(smooth[:, 14], run.returns[:, 5:15].mean(axis=1), rtol=1e-13)
    assert (smooth[:, -1] == run.final()).all()


def test_the_table_shows_scores_with_intervals_and_who_wins(two_runs):
    table = score_table(named(two_runs))
    # 3 seeds: the interval is their range. 900 loses to all three; 1300 to one; 1500 to none: 5/9.
    assert table.rows[0] == ("Hopper-v5", "sac", "3", "20000", "930 [775, 1085]", table.rows[0][5], "")
    assert table.rows[1][4] == "956 [698, 1162]"
    assert table.rows[1][6].startswith("0.56 [")
    assert table.columns[-1] == "P(better than sac)"


def test_over_environments_each_counts_in_units_of_the_first_algorithm(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(*(scale * unit for unit in units)))
        for env, scale in (("Hopper-v5", 1.0), ("HalfCheetah-v5", 1000.0))
        for preset, units in (("sac", (1.0, 1.0)), ("beta", (2.0, 2.0)))
    ]
    table = overall_table(named(folders))
    assert table.rows == [("sac", "1 [1, 1]", ""), ("beta", "2 [2, 2]", "1.00 [1.00, 1.00]")]


def test_there_is_no_table_over_environments_for_one_or_where_the_first_algorithm_is_missing(
    tmp_path, two_runs
):
    assert overall_table(named(two_runs)) is None
    other = write_run(tmp_path / "c", "beta", "Ant-v5", ramp(1.0, 2.0))
    assert overall_table(named([*two_runs, other])) is None
    assert score_table(named([*two_runs, other])).rows[2][6] == ""


def test_negative_returns_have_no_ratio(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(-100.0, -50.0))
        for env in ("Reacher-v5", "Pusher-v5")
        for preset in ("sac", "beta")
    ]
    assert [row[1] for row in overall_table(named(folders)).rows] == ["-", "-"]


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


def place_run(root, path, env, top=1.0, preset="sac", **settings):
    return write_run(root / path, preset, env, ramp(top, 2 * top), **settings)


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
    said = "for want of a run of the same name in each: beta (data.batch=128) (none in Ant-v5)."
    assert any(remark.endswith(said) for remark in remarks(here))


def test_runs_that_match_in_nothing_give_no_table_over_environments_and_that_is_said(tmp_path):
    folders = [
        place_run(tmp_path, path, env)
        for path, env in (("a", "Hopper-v5"), ("b", "Hopper-v5"), ("c", "Ant-v5"), ("d", "Ant-v5"))
    ]
    here = named(folders)
    assert overall_table(here) is None
    said = "No table over 2 environments: sac (a), the first, has no run of that name in Ant-v5."
    assert said in remarks(here)


def test_one_preset_in_two_environments_keeps_its_name_although_its_scales_differ(tmp_path):
    folders = [
        write_run(tmp_path / env, "beta", env, ramp(1.0, 2.0), reward_scale=scale)
        for env, scale in (("Hopper-v5", 5.0), ("Ant-v5", 1.0))
    ]
    assert [entry.label for entry in named(folders)] == ["beta", "beta"]


def test_a_run_of_another_library_takes_part(tmp_path, two_runs):
    config = {
        "preset": "sb3-sac",
        "env": "Hopper-v5",
        "steps": 20_000,
        "policy": "MlpPolicy",
        "seeds": [0, 1, 2],
    }
    peer = write_raw(tmp_path / "sb3", config, ramp(1000, 1100, 1200))
    table = score_table(named([*two_runs, peer]))
    assert table.rows[2][1:5] == ("sb3-sac", "3", "20000", "852 [775, 930]")


def test_a_failed_seed_does_not_count_and_that_is_said(two_runs):
    failure = {"step": 4000, "what": "diverged", "detail": "q is nan"}
    (two_runs[0] / "seed-1" / "failure.json").write_text(json.dumps(failure))
    here = named(two_runs)
    assert here[0].run.seeds == (0, 2)
    assert any("sac: seed 1 failed at step 4000 (diverged)" in remark for remark in remarks(here))


def test_a_running_run_is_compared_where_all_its_seeds_are(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0), steps=50_000)
    write_seed(folder, 2, np.ones(7))
    (folder / "seed-3").mkdir()
    here = named([folder])
    assert here[0].run.seeds == (0, 1, 2)
    assert here[0].run.at.tolist() == [1000 * t for t in range(1, 8)]
    said = "\n".join(remarks(here))
    assert "sac: evaluated up to step 7000 of 50000" in said
    assert "sac: seed 3 has no evaluation yet" in said


def test_a_half_written_last_line_is_passed_over(two_runs):
    with (two_runs[0] / "seed-0" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 21000, "kind": "eval", "wa')
    assert read_run(two_runs[0]).at[-1] == 20_000


def test_unequal_steps_versions_and_tasks_are_said(tmp_path):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0)),
        write_run(
            tmp_path / "b", "beta", "Hopper-v5", ramp(1.0, 2.0), every=500, versions={"mujoco": "3.3.0"}
        ),
        write_run(tmp_path / "c", "beta", "Hopper-v4", ramp(1.0, 2.0)),
    ]
    said = remarks(named(folders))
    assert "Hopper-v5: not alike: last evaluation at step 20000 (sac), 10000 (beta)." in said
    assert "Hopper-v5: `--steps 10000` compares at equal steps." in said
    assert "Hopper-v5: not alike: steps between evaluations 1000 (sac), 500 (beta)." in said
    assert "Hopper-v5: not alike: mujoco version 4.0.0 (sac), 3.3.0 (beta)." in said
    assert "Hopper-v5: not alike: gymnasium version 1.4.0 (sac), unknown (beta)." in said
    assert "Hopper-v5 and Hopper-v4 are different tasks: their returns can't be compared." in said


@pytest.mark.parametrize(("spacing", "hint"), [(700, 7000), (1500, 9000), (1200, 6000)])
def test_the_hint_is_the_last_step_at_which_all_were_evaluated(tmp_path, spacing, hint):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, 9)), every=1000),
        write_run(tmp_path / "b", "beta", "Hopper-v5", np.ones((2, 14)), every=spacing),
    ]
    assert f"Hopper-v5: `--steps {hint}` compares at equal steps." in remarks(named(folders))
    at_hint = entries([read_run(folder).until(hint) for folder in folders])
    assert {entry.run.at[-1] for entry in at_hint} == {hint}


def test_without_a_common_step_there_is_no_hint(tmp_path):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, 4)), every=1000),
        write_run(tmp_path / "b", "beta", "Hopper-v5", np.ones((2, 4)), every=999),
    ]
    said = remarks(named(folders))
    assert any("last evaluation at step 4000 (sac), 3996 (beta)" in remark for remark in said)
    assert not any("--steps" in remark for remark in said)


def test_equal_runs_of_many_seeds_need_no_remark_but_what_is_shown(tmp_path):
    folders = [
        write_run(tmp_path / preset, preset, "Hopper-v5", ramp(*range(1, 11))) for preset in ("sac", "beta")
    ]
    assert len(remarks(named(folders))) == 1


def test_three_seeds_are_said_to_give_wide_intervals(two_runs):
    assert "Few seeds: such intervals are wide" in remarks(named(two_runs))[-1]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "config.json").unlink(), "config.json: No such file"),
        (lambda run: (run / "config.json").write_text("{"), "config.json: not JSON"),
        (lambda run: (run / "config.json").write_text("[]"), "must hold an object"),
        (lambda run: (run / "config.json").write_text('{"config": {"preset": 3}}'), "preset.*found 3"),
        (lambda run: (run / "seed-0" / "metrics.jsonl").write_text("no\n"), r"metrics.jsonl:1: not JSON"),
    ],
    ids=["no-config", "half-config", "list", "no-preset", "broken-metrics"],
)
def test_a_damaged_run_is_one_clear_error(two_runs, spoil, message):
    spoil(two_runs[0])
    with pytest.raises(InputError, match=message):
        read_run(two_runs[0])


def test_an_evaluation_without_a_number_is_named(two_runs):
    path = two_runs[0] / "seed-0" / "metrics.jsonl"
    path.write_text('{"step": 1000, "kind": "eval", "wall": 0.0, "return": null}\n')
    with pytest.raises(InputError, match=r"step 1000 must have a `return`; found None"):
        read_run(two_runs[0])


def test_a_run_without_any_evaluation_says_why(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((1, 0)), steps=1000)
    with pytest.raises(InputError, match="seed 0 has no evaluation yet"):
        read_run(folder)


def test_runs_can_be_compared_at_equal_steps(two_runs, tmp_path):
    longer = write_run(tmp_path / "c", "td3", "Hopper-v5", np.hstack([ramp(900, 1300, 1500)] * 2))
    out = tmp_path / "out"
    assert main_compare([*map(str, (*two_runs, longer)), "--steps", "20000", "--out", str(out)]) == 0
    beta, td3 = [line for line in (out / "table.md").read_text().splitlines() if line.startswith("| Hop")][1:]
    assert beta.replace("beta", "td3") == td3
    assert "not alike" not in (out / "table.md").read_text()


def test_no_evaluation_until_the_given_step_is_an_error(two_runs, tmp_path, capsys):
    assert main_compare([str(two_runs[0]), "--steps", "999", "--out", str(tmp_path / "out")]) == 2
    assert "`steps` must be at least 1000, the first evaluation of" in capsys.readouterr().err


def test_the_figures_data_are_the_bands(two_runs):
    here = named(two_runs)
    rows = list(csv.DictReader(csv_of(here, [band_of(entry.run) for entry in here]).splitlines()))
    assert len(rows) == 40
    last = rows[19]
    assert (last["algorithm"], last["step"]) == ("sac", "20000")
    # 20 evaluations: 5 % of them are one, so that nothing is smoothed.
    assert [float(last[name]) for name in ("iqm", "low", "high")] == pytest.approx(
        [1200, 1000, 1400], rel=1e-13
    )


def test_a_curve_is_smoothed_over_5_percent_of_it(tmp_path):
    step = np.repeat([0.0, 1.0], 30)  # 60 evaluations: windows of 3
    run = read_run(write_run(tmp_path / "a", "sac", "Hopper-v5", [step]))
    assert band_of(run).value[28:34] == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1], rel=1e-13)


@pytest.mark.parametrize(
    ("counts", "said"),
    [((1,), "over 1 seed,"), ((3, 3), "over 3 seeds,"), ((4, 2, 3), "over 2 to 4 seeds,")],
)
def test_the_caption_says_how_many_seeds_a_line_has(tmp_path, counts, said):
    presets = ("sac", "beta", "td3")
    runs = [
        write_run(tmp_path / preset, preset, "Hopper-v5", np.ones((n, 5)))
        for preset, n in zip(presets, counts, strict=False)
    ]
    caption = _caption(named(runs))
    assert said in caption
    assert "windows of 5 % of the curve" in caption


def test_the_same_runs_give_the_same_bytes(two_runs, tmp_path):
    here = named(two_runs)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        draw(here, folder)
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["curves.csv", "curves.png", "curves.svg"]
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)


@pytest.mark.parametrize("name", [r"my$\frac$alg", "$5 and $6", r"a\$b$c$", "one$"])
def test_dollars_in_names_are_no_formulas(tmp_path, name):
    folder = write_raw(tmp_path / "a", {"preset": name, "env": name, "steps": 5000}, [np.ones(5)])
    assert main_compare([str(folder), "--out", str(tmp_path / "out")]) == 0
    svg = (tmp_path / "out" / "curves.svg").read_text()
    texts = [text.partition("</g>")[0] for text in svg.split(f"<!-- {name} -->")[1:]]  # title and legend
    assert [text.count("<use") for text in texts] == [len(name)] * 2  # a glyph a character, dollars too


def test_a_long_name_stays_inside_the_figure(tmp_path):
    settings = ({}, {"temperature.batch": 4096, "temperature.period": 100}, {"temperature.smoothing": 0.99})
    here = named(
        write_run(tmp_path / str(i), "beta", "Hopper-v5", ramp(1000, 1200), **each)
        for i, each in enumerate(settings)
    )
    with mpl.rc_context(STYLE):
        figure = _figure(here, [band_of(entry.run) for entry in here])
        figure.draw_without_rendering()
        (legend,) = figure.legends
        inside = legend.get_window_extent().extents
    assert (inside[:2] >= 0).all()
    assert (inside[2:] <= figure.bbox.extents[2:]).all()


def test_a_markdown_table_has_as_many_cells_in_every_row(two_runs):
    here = named(two_runs)
    lines = as_markdown([score_table(here)], remarks(here)).splitlines()
    assert {line.count("|") for line in lines if line.startswith("|")} == {8}


def test_the_command_writes_everything_and_prints_the_table(two_runs, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main_compare([*map(str, two_runs), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "curves.csv",
        "curves.png",
        "curves.svg",
        "table.md",
    ]
    assert "930 [775, 1085]" in (out / "table.md").read_text()
    assert "930 [775, 1085]" in capsys.readouterr().out


def test_one_algorithm_with_one_seed_and_one_evaluation_is_drawn(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", np.array([[5.0]]))
    assert main_compare([str(folder), "--out", str(tmp_path / "out")]) == 0


def test_seven_panels_and_nine_algorithms_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    envs = [f"Task{n}-v0" for n in range(7)]
    folders = [
        write_raw(
            tmp_path / f"{p}-{env}", {"preset": f"p{p}", "env": env, "steps": 9000}, learning(rng, 2, 9, 1)
        )
        for env in envs
        for p in range(9)
    ]
    assert main_compare([*map(str, folders), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize("arguments", [[], ["no-such-folder"], ["twice"]], ids=["none", "missing", "twice"])
def test_bad_arguments_are_one_line_and_status_2(two_runs, tmp_path, capsys, arguments):
    runs = [str(two_runs[0])] * 2 if arguments == ["twice"] else arguments
    assert main_compare([*runs, "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()
    capsys.readouterr()


def test_an_unwritable_folder_is_one_line_and_status_2(two_runs, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main_compare([*map(str, two_runs), "--out", str(tmp_path / "file")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`out` must be a writable folder" in line
