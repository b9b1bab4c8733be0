import csv
import dataclasses
import io

import matplotlib as mpl
import numpy as np
import pytest

from verify.engine.plotdata import Curve, Figure, Panel
from verify.report.figures import csv_of, draw
from virel_theory import InputError

EPS = np.logspace(-4, 0, 9)
RATE = Panel(
    r"Smooth interior maximum, $\pi_\omega \to \delta$",
    "temperature",
    "error",
    [Curve("measured, with a comma", EPS, EPS / 3), Curve("predicted", EPS, EPS, kind="predicted")],
    xscale="log",
    yscale="log",
)
STEPS = Panel("", "k", "error", [Curve("points", np.arange(3.0), np.array([1.0, 0.1, 0.0]), kind="points")])
FIGURE = Figure("theorem-1-rate", [RATE, STEPS], "One MDP, gamma = 0.9, seed 0.")


def read(paths):
    return {path.suffix: path.read_bytes() for path in paths}


def test_a_figure_is_a_png_an_svg_and_a_csv_file(tmp_path):
    paths = draw(FIGURE, tmp_path, command="virel verify theorem-1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)
    files = read(paths)
    assert set(files) >= {".png", ".svg", ".csv"}
    assert files[".png"].startswith(b"\x89PNG")
    assert files[".svg"].startswith(b"<?xml")
    assert files[".csv"].startswith(b"panel,curve,kind,x,y\n")


def test_the_same_data_give_the_same_bytes_whatever_the_users_style(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    one = read(draw(FIGURE, first, command="virel verify"))
    with mpl.rc_context({"font.size": 20.0, "axes.grid": False, "svg.hashsalt": None}):
        two = read(draw(FIGURE, second, command="virel verify"))
    assert one == two
    assert b"<dc:date>" not in one[".svg"]


def test_csv_floats_read_back_exactly_and_labels_are_quoted():
    rows = list(csv.DictReader(io.StringIO(csv_of(FIGURE))))
    measured = [row for row in rows if row["curve"] == "measured, with a comma"]
    assert [float(row["x"]) for row in measured] == EPS.tolist()
    assert [float(row["y"]) for row in measured] == (EPS / 3).tolist()
    assert len(rows) == 9 + 9 + 3


@pytest.mark.parametrize("y", [[0.0, 0.0, 0.0], [1.0, 0.0, -1.0], [np.nan, np.inf, 1.0]])
def test_a_log_axis_takes_zeros_and_nothing_at_all(tmp_path, y):
    curve = Curve("odd", np.arange(3.0), np.array(y))
    draw(Figure("odd", [Panel("", "x", "y", [curve], xscale="log", yscale="log")], ""), tmp_path)


def test_drawing_again_replaces_the_files(tmp_path):
    (tmp_path / "theorem-1-rate.png").write_text("old")
    assert read(draw(FIGURE, tmp_path))[".png"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../up"}, "`name` must be kebab-case, such as theorem-2-rate; found '../up'"),
        ({"panels": []}, "`panels` must not be empty"),
        (
            {"panels": [Panel("", "x", "y", [Curve("c", np.ones(2), np.ones(3))])]},
            "must have x and y of one shape",
        ),
    ],
)
def test_bad_figures_are_one_error_and_leave_no_file(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        draw(dataclasses.replace(FIGURE, **changes), tmp_path)
    assert list(tmp_path.iterdir()) == []
