"""`virel solve --objective`: what it prints and writes for each; goals by name and number; its errors."""

import re
from fractions import Fraction

import numpy as np
import pytest

from tests.support.model_files import (
    PRISM_LAB,
    PRISM_TRA,
    SREW,
    STORM_LAB,
    STORM_TRA,
    write_files,
    write_qvbs,
)
from virel_theory import TabularMDP
from virel_theory.cli import main_solve

LAKE = "gym:FrozenLake-v1"
DRN = """@type: MDP
@parameters

@reward_models
steps
@nr_states
2
@nr_choices
2
@model
state 0 [0] init
\taction try [3/2]
\t\t0 : 1/3
\t\t1 : 2/3
state 1 [0] end
\taction stay [0]
\t\t1 : 1
"""


def words(text):
    return " ".join(text.split())  # undo the wrapping of the table


def printed(capsys, *arguments, status=0):
    assert main_solve([str(x) for x in arguments]) == status
    out = capsys.readouterr()
    assert out.err == ""
    return words(out.out)


def test_an_environment_ends_with_its_episode(capsys):
    out = printed(capsys, LAKE, "--objective", "shortest-path", "--sense", "max", "--atol", "1e-9")
    assert "total until state 16, by policies that surely arrive (max)" in out
    value, bound = (re.search(f"{head} ([^ ]+)", out)[1] for head in ("value at start", "error bound"))
    assert abs(Fraction(value) - Fraction(14, 17)) <= Fraction(bound) <= Fraction("1e-9")
    assert "on every finite value, guaranteed" in out
    assert "CONVERGED" in out
    assert "gamma" not in out
    out = printed(capsys, LAKE, "--objective", "reach", "--goal", "16")
    assert "probability of ever reaching state 16 (max) value at start 1 " in out


def test_a_finite_horizon_shows_its_first_step(capsys, tmp_path):
    out = tmp_path / "out.npz"
    text = printed(capsys, LAKE, "--objective", "finite-horizon", "--horizon", "5", "--out", out)
    assert "total of 5 steps (max)" in text
    assert "first step action 0 in" in text
    with np.load(out) as arrays:
        assert sorted(arrays) == ["error_bound", "policy", "value"]
        assert arrays["value"].shape == (6, 17)
        assert arrays["policy"].shape == (5, 17)
    discounted = printed(capsys, LAKE, "--objective", "finite-horizon", "--horizon", "30", "--gamma", "0.5")
    assert discounted != text


@pytest.mark.parametrize(("tra", "lab"), [(PRISM_TRA, PRISM_LAB), (STORM_TRA, STORM_LAB)])
@pytest.mark.parametrize("goal", ["goal", "2"])
def test_goals_of_prism_and_storm_files_have_names_and_numbers(capsys, tmp_path, tra, lab, goal):
    path = write_files(tmp_path, tra=tra, lab=lab, srew=SREW)["tra"]
    cheapest = printed(capsys, path, "--objective", "shortest-path", "--goal", goal)
    assert "value at start 1 " in cheapest  # the sure step
    dearest = printed(capsys, path, "--objective", "shortest-path", "--goal", goal, "--sense", "max")
    assert "value at start 2 " in dearest  # the fair one, until it goes on
    (tmp_path / "model.srew").unlink()
    assert "value at start 1 " in printed(capsys, path, "--objective", "reach", "--goal", goal)


@pytest.mark.parametrize("goal", ["end", "1"])
def test_goals_of_drn_files_have_names_and_numbers(capsys, tmp_path, goal):
    path = write_files(tmp_path, drn=DRN)["drn"]
    out = printed(capsys, path, "--objective", "shortest-path", "--goal", goal)
    assert "value at start 2.25 " in out  # 3/2 / (2/3)


def test_the_sense_of_a_qvbs_objective_is_its_own(capsys, tmp_path):
    path = write_qvbs(tmp_path)
    out = printed(capsys, path, "--objective", "shortest-path", "--goal", "cost")
    assert "total until state 2, by policies that surely arrive (min)" in out
    assert "value at start 6 " in out


def test_an_average_and_its_arrays(capsys, tmp_path):
    path, out = tmp_path / "two.npz", tmp_path / "out.npz"
    TabularMDP([[[0, 1]], [[1, 0]]], [[3.0], [1.0]], 0.9).save(path)
    assert "gain 2 from every state" in printed(capsys, path, "--objective", "average", "--out", out)
    with np.load(out) as arrays:
        assert sorted(arrays) == ["bias", "error_bound", "gain", "lower", "policy", "upper"]
        assert arrays["lower"] <= 2 <= arrays["upper"]


def test_infinite_values_and_a_missed_tolerance_are_shown(capsys, tmp_path):
    path = tmp_path / "trap.npz"
    TabularMDP([[[0, 0.5, 0.5]], [[0, 1, 0]], [[0, 0, 1]]], [[1.0], [0.0], [0.0]], 0.9).save(path)
    out = printed(capsys, path, "--objective", "shortest-path", "--goal", "1")
    assert "value at start inf value over states 0 to 0, inf in 2 states" in out
    out = printed(capsys, path, "--objective", "reach", "--goal", "1", "--atol", "0", status=1)
    assert "ROUNDING_LIMIT" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([LAKE, "--objective", "average"], "one maximal end component"),
        (
            [LAKE, "--objective", "average", "--gamma", "0.9"],
            "`gamma` must be left out for the objective average",
        ),
        ([LAKE, "--objective", "average", "--goal", "3"], "`goal` must be left out for gym:FrozenLake-v1"),
        ([LAKE, "--objective", "finite-horizon"], "`horizon` must be given"),
        ([LAKE, "--objective", "finite-horizon", "--horizon", "0"], "`horizon` must be a positive integer"),
        ([LAKE, "--objective", "reach", "--goal", "17"], "`goal` must lie in [0, 17)"),
        ([LAKE, "--objective", "reach", "--goal", "end"], "`goal` must be state numbers such as 3,7"),
        ([LAKE, "--objective", "reach", "--method", "vi"], "`method` must be left out"),
        ([LAKE, "--objective", "reach", "--certify", "x.json"], "`certify` must be left out"),
        ([LAKE, "--horizon", "3", "--gamma", "0.9"], "`horizon` must be left out"),
        ([LAKE, "--objective", "steps_min"], "(goals are named by --goal)"),
        (["FILE", "--objective", "reach"], "`goal` must be given"),
        (["FILE", "--objective", "reach", "--goal", "home"], "`goal` must be one of the labels"),
        (["FILE", "--objective", "reach", "--goal", "3"], "`goal` must lie in [0, 3)"),
        (["missing.npz", "--objective", "reach", "--goal", "3"], "missing.npz"),
        (["missing.tra", "--objective", "reach", "--goal", "home"], "missing.tra"),
    ],
    ids=map(str, range(16)),
)
def test_bad_input_is_one_line_on_stderr_and_status_2(capsys, tmp_path, arguments, message):
    path = write_files(tmp_path, tra=PRISM_TRA, lab=PRISM_LAB)["tra"]
    assert main_solve([str(path) if x == "FILE" else x for x in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    assert line.startswith("virel solve: ")
    assert message in line
