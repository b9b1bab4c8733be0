"""Learning curves as a figure and as data."""

import csv
import json

import matplotlib as mpl
import numpy as np
import pytest

from tests.support.runs import learning, named, ramp, write_raw, write_run
from virel_deep.commands.results import main_compare
from virel_deep.results.curves import STYLE, _caption, _figure, band_of, csv_of, draw, styles_of
from virel_deep.results.read import read_run


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


@pytest.mark.parametrize(("counts", "said"), [((10, 12), False), ((10, 9), True)])
def test_the_caption_says_what_a_final_return_is_where_evaluations_are_few(tmp_path, counts, said):
    runs = [
        write_run(tmp_path / preset, preset, "Hopper-v5", np.ones((2, n)))
        for preset, n in zip(("sac", "td3"), counts, strict=True)
    ]
    caption = _caption(named(runs))
    assert "the mean of the last 10 evaluations" in caption
    assert ("or of all where there are fewer" in caption) == said


def test_the_caption_says_how_policies_acted(tmp_path):
    def evaluated(folder, preset, env, **more):
        run = write_run(tmp_path / folder, preset, env, np.ones((2, 3)))
        document = json.loads((run / "config.json").read_text())
        document["config"] |= more
        (run / "config.json").write_text(json.dumps(document))
        return run

    plain, planner = evaluated("a", "sac", "Hopper-v5"), evaluated("b", "smcp", "Hopper-v5")
    exploring = evaluated("c", "td3", "Hopper-v5", eval_stochastic=True)
    other = write_raw(tmp_path / "d", {"preset": "sb3", "env": "Hopper-v5", "steps": 3000}, np.ones((2, 3)))
    assert _caption(named([plain])).startswith("Deterministic evaluation. Unscaled returns.")
    assert _caption(named([exploring])).startswith("Evaluation with exploring actions. ")
    assert _caption(named([other])).startswith("Evaluation as in its own library. ")
    assert _caption(named([plain, planner, exploring])).startswith(
        "Deterministic evaluation: sac; Evaluation by planning with random numbers: smcp; "
        "Evaluation with exploring actions: td3. "
    )


def test_the_caption_says_that_curves_end_at_different_steps(tmp_path):
    runs = [
        write_run(tmp_path / preset, preset, "Hopper-v5", np.ones((2, n)))
        for preset, n in (("sac", 12), ("td3", 11), ("beta", 12))
    ]
    assert "curves end at different steps" in _caption(named(runs))
    assert "curves end at different steps" not in _caption(named([runs[0], runs[2]]))


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
        styles = styles_of(entry.label for entry in here)
        figure = _figure(here, [band_of(entry.run) for entry in here], styles)
        figure.draw_without_rendering()
        (legend,) = figure.legends
        inside = legend.get_window_extent().extents
    assert (inside[:2] >= 0).all()
    assert (inside[2:] <= figure.bbox.extents[2:]).all()


def test_one_algorithm_with_one_seed_and_one_evaluation_is_drawn(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", np.array([[5.0]]))
    assert main_compare([str(folder), "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(("n", "marker"), [(1, "o"), (2, "None")])
def test_a_curve_of_one_point_is_visible(tmp_path, n, marker):
    here = named([write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, n)))])
    figure = _figure(here, [band_of(entry.run) for entry in here], styles_of(["sac"]))
    curve, _bar = figure.axes[0].lines
    assert (len(curve.get_xdata()), curve.get_marker()) == (n, marker)


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
