"""The command `virel iterate`: what it prints and writes, exit statuses, errors, interrupts."""

import csv
import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from verify.commands.iterate import draw_curves
from virel_theory import garnet, iterate, iterate_cli, puterman_two_state
from virel_theory.iterate_cli import main_iterate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def files(tmp_path):
    """Paths of MDPs: `a` and `b` of one shape, `c` of another."""
    for seed, (name, n_actions) in enumerate([("a", 3), ("b", 3), ("c", 2)]):
        mdp = garnet(8, n_actions, 3, gamma=0.9, rng=np.random.default_rng(seed))
        mdp.save(tmp_path / f"{name}.npz")
    return {name: str(tmp_path / f"{name}.npz") for name in "abc"}


def rows(text):
    """Printed iterates: lists of numbers as texts, below the head."""
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.split()[:2] == ["step", "value"])
    return [line.split() for line in lines[head + 1 :] if line.split()[0].isdigit()]


def test_a_row_per_iteration_has_value_error_divergence_temperature_and_bound(files, capsys):
    assert main_iterate(["mpo", files["a"], "--steps", "3", "--set", "epsilon=0.05"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    assert "8 states, 24 state-action pairs (dense), gamma = 0.9 (max)" in out.out
    printed = rows(out.out)
    mdp = garnet(8, 3, 3, gamma=0.9, rng=np.random.default_rng(0))
    for row, x in zip(printed, iterate("mpo", mdp, steps=3, epsilon=0.05), strict=True):
        assert row[0] == str(x.step)
        rounding = abs(Fraction(row[1]) - Fraction(x.value))
        assert rounding + Fraction(x.error) <= Fraction(row[2])  # the error is one of the printed value
        assert float(row[2]) <= 1.11 * x.error  # a tenth for rounding the value, 1 % for the error's own
        assert float(row[3]) == pytest.approx(x.kl, rel=1e-5)
        assert float(row[4]) == pytest.approx(x.temperature, rel=1e-5)
        assert x.bound <= float(row[5]) <= 1.01 * x.bound


def test_more_steps_than_a_machine_integer_holds_end_at_atol(files, capsys):
    steps = "1" + 23 * "0"
    assert main_iterate(["mpo", files["a"], "--atol", "1e-9", "--steps", steps]) == 0
    assert float(rows(capsys.readouterr().out)[-1][5]) <= 1e-9


@pytest.mark.parametrize("goal", ["home", "2"])
def test_a_goal_of_a_model_file_has_a_name_and_a_number(goal, tmp_path, capsys):
    (tmp_path / "model.tra").write_text("mdp\n0 0 1 1.0\n0 1 2 1.0\n1 0 1 1.0\n2 0 2 1.0\n")
    (tmp_path / "model.lab").write_text('0="init" 1="home"\n0: 0\n2: 1\n')
    call = ["policy-iteration", str(tmp_path / "model.tra"), "--gamma", "0.5", "--goal", goal, "--steps", "1"]
    assert main_iterate(call) == 0
    (row,) = rows(capsys.readouterr().out)
    assert float(row[1]) == 1  # for entering state 2, by the second action


def test_it_stops_once_the_bound_is_small_enough(files, capsys):
    assert main_iterate(["mpo", files["a"], "--atol", "1e-9"]) == 0
    printed = rows(capsys.readouterr().out)
    assert 1 < len(printed) < 50
    assert float(printed[-1][5]) <= 1e-9 < float(printed[-2][5])


def test_a_bound_that_is_not_reached_is_status_1_and_says_so(files, capsys):
    assert main_iterate(["mpo", files["a"], "--steps", "2", "--atol", "1e-9"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "after 2 steps, above --atol 1e-09; raise --steps" in line


def test_out_holds_numbers_and_the_last_tables_and_the_figure(files, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    arguments = ["mpo", files["a"], "--steps", "4", "--out", str(out)]
    assert main_iterate(arguments, drawer=draw_curves) == 0
    names = [
        "mpo-curves-narrow.svg",
        "mpo-curves.csv",
        "mpo-curves.png",
        "mpo-curves.svg",
        "mpo.csv",
        "mpo.npz",
    ]
    assert sorted(path.name for path in out.iterdir()) == names
    assert f"written: {out}/ (6 files)" in capsys.readouterr().out
    mdp = garnet(8, 3, 3, gamma=0.9, rng=np.random.default_rng(0))
    *_, last = iterate("mpo", mdp, steps=4)
    with np.load(out / "mpo.npz", allow_pickle=False) as file:
        arrays = dict(file)
    for name in ("q", "posterior", "prior", "policy"):
        np.testing.assert_array_equal(arrays[name], getattr(last, name))
    assert arrays["step"].tolist() == [1, 2, 3, 4]
    table = list(csv.DictReader((out / "mpo.csv").read_text().splitlines()))
    for name in ("value", "error", "kl", "temperature", "bound"):
        assert [float(row[name]) for row in table] == arrays[name].tolist()
        assert arrays[name][-1] == getattr(last, name)
    curves = list(csv.DictReader((out / "mpo-curves.csv").read_text().splitlines()))
    values = [float(row["y"]) for row in curves if row["panel"] == "Expected return from the start"]
    assert values == arrays["value"].tolist()


def test_the_same_run_writes_the_same_bytes(files, tmp_path):
    contents = []
    for name in ("one", "two"):
        arguments = ["mpo", files["a"], "--steps", "2", "--out", str(tmp_path / name)]
        assert main_iterate(arguments, drawer=draw_curves) == 0
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).glob("*[vg]")})
    assert contents[0] == contents[1]
    assert {Path(name).suffix for name in contents[0]} == {".csv", ".svg", ".png"}


def test_several_tasks_are_several_files(files, tmp_path, capsys):
    out = tmp_path / "out"
    assert main_iterate(["distral", files["a"], files["b"], "--steps", "2", "--out", str(out)]) == 0
    assert len(rows(capsys.readouterr().out)) == 2
    with np.load(out / "distral.npz", allow_pickle=False) as file:
        assert file["policy"].shape == (2, 8, 3)


def test_costs_are_minimised_and_shown_as_costs(tmp_path, capsys):
    path, out = tmp_path / "puterman.npz", tmp_path / "out"
    puterman_two_state(gamma=0.5).save(path)
    arguments = ["policy-iteration", str(path), "--sense", "min", "--steps", "3", "--out", str(out)]
    assert main_iterate(arguments) == 0
    text = capsys.readouterr().out
    assert "gamma = 0.5 (min)" in text
    assert float(rows(text)[-1][1]) == pytest.approx(6, rel=1e-9)  # as `virel solve --sense min`
    with np.load(out / "policy-iteration.npz", allow_pickle=False) as file:
        assert file["q"][1].tolist() == [-2, np.inf]


def test_gamma_is_that_of_the_option(files, capsys):
    assert main_iterate(["policy-iteration", files["a"], "--gamma", "0", "--steps", "2"]) == 0
    mdp = garnet(8, 3, 3, gamma=0.9, rng=np.random.default_rng(0))
    greedy = float(mdp.initial @ mdp.reward.max(axis=1))
    assert float(rows(capsys.readouterr().out)[-1][1]) == pytest.approx(greedy, rel=1e-9)


def test_the_list_names_every_algorithm_and_no_arguments_show_it_too(capsys):
    assert main_iterate(["--list"]) == 0
    listed = capsys.readouterr().out
    assert main_iterate([]) == 0
    assert capsys.readouterr().out == listed
    assert {line.split()[0] for line in listed.splitlines()} == {row.name for row in iterate_cli.ROWS}


@pytest.mark.parametrize("row", iterate_cli.ROWS, ids=lambda row: row.name)
def test_every_setting_of_every_algorithm_is_listed_with_its_meaning(row, capsys):
    assert main_iterate([row.name, "--list"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == f"{row.name}: {row.summary}"
    assert lines
    for line in lines:
        setting, meaning = line.strip().split(None, 1)
        assert "=" in setting
        assert len(meaning) > 5


@pytest.mark.parametrize("row", iterate_cli.ROWS, ids=lambda row: row.name)
def test_every_algorithm_runs_from_the_command_line(row, files, capsys):
    mdps = [files["a"], files["b"]] if row.several_tasks else [files["a"]]
    assert main_iterate([row.name, *mdps, "--steps", "2"]) == 0
    assert len(rows(capsys.readouterr().out)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mpoo", "a"], "`algorithm` must be one of"),
        (["mpo"], "`mdp` must name an MDP to run mpo on; found none"),
        (["mpo", "a", "b"], "`mdp` must be a single MDP for mpo, which has one task; found '2 MDPs'"),
        (["distral", "a", "c"], "`mdps[1]` must have the shape of mdps[0], (8, 3); found (8, 2)"),
        (["mpo", "a", "--set", "epsilon"], "`set` must be NAME=VALUE; found 'epsilon'"),
        (["mpo", "a", "--set", "eta=1", "eta=2"], "`set` must not give eta twice; found 'eta=2'"),
        (["mpo", "a", "--set", "epsilon=x"], "`epsilon` must be a number; found 'x'"),
        (["mpo", "a", "--set", "epsilon=None"], "`epsilon` must be a number; found None"),
        (["mpo", "a", "--set", "epsilon=True"], "`epsilon` must be a number; found True"),
        (["mpo", "a", "--set", "epsilon=-0.1"], "`epsilon` must be positive and finite"),
        (["mpo", "a", "--set", "sweeps=1.5"], "`sweeps` must be an integer or None; found 1.5"),
        (["mpo", "a", "--set", "prior=[[1,0,0]]"], "`prior` must have shape [8, 3]; found (1, 3)"),
        (["smcp", "a", "--set", "particles=0"], "`particles` must be a positive integer; found 0"),
        (["mpo", "a", "--steps", "0"], "`steps` must be a positive integer; found 0"),
        (["mpo", "a", "--atol", "-1"], "`atol` must be non-negative and finite; found -1.0"),
        (["mpo", "missing.npz"], "`missing.npz` must be a readable file"),
        (["mpo", "gym:FrozenLake-v1"], "`gamma` must be given"),
        (["mpo", "a", "--goal", "3"], "`goal` must be left out for "),
        (["mpo", "gym:FrozenLake-v1", "--goal", "end"], "`goal` must be left out for gym:FrozenLake-v1"),
        (["mpo", "a", "--out", "/proc/nowhere"], "`out` must be a folder that can be made and written"),
    ],
    ids=str,
)
def test_bad_input_is_one_line_on_stderr_and_status_2(files, capsys, arguments, message):
    assert main_iterate([files.get(x, x) for x in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith(f"virel iterate: {message}")


def test_an_unknown_setting_lists_those_that_there_are(files, capsys):
    assert main_iterate(["mpo", files["a"], "--set", "epsilonn=1"]) == 2
    first, second, *lines = capsys.readouterr().err.splitlines()
    assert first == (
        "virel iterate: `set` must name a setting of mpo; found 'epsilonn'; did you mean epsilon?"
    )
    assert second == "settings of mpo:"
    assert lines[0].split()[0] == "epsilon=0.1"


def test_files_that_ask_for_different_senses_need_one_of_them(files, monkeypatch, capsys):
    answers = iter(["max", "min"])
    monkeypatch.setattr(
        iterate_cli, "load_problem", lambda *_, **__: (puterman_two_state(gamma=0.5), next(answers))
    )
    assert main_iterate(["distral", files["a"], files["b"]]) == 2
    assert "`sense` must be given" in capsys.readouterr().err


def interrupted_after(n):
    """`iterate`, but Ctrl-C comes while iteration n + 1 is computed."""

    def run(*args, **options):
        for k, x in enumerate(iterate(*args, **options)):
            if k == n:
                raise KeyboardInterrupt
            yield x

    return run


def test_an_interrupt_leaves_what_was_finished_and_is_status_130(files, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr(iterate_cli, "iterate", interrupted_after(2))
    assert main_iterate(["mpo", files["a"], "--out", str(out)], drawer=draw_curves) == 130
    printed = capsys.readouterr()
    assert printed.err == "virel iterate: interrupted after 2 of 50 steps\n"
    assert len(rows(printed.out)) == 2
    with np.load(out / "mpo.npz", allow_pickle=False) as file:
        assert file["step"].tolist() == [1, 2]
    assert len(list(out.iterdir())) == 6


def test_an_interrupt_before_the_first_iterate_writes_nothing(files, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(iterate_cli, "iterate", interrupted_after(0))
    assert main_iterate(["mpo", files["a"], "--out", str(out)], drawer=draw_curves) == 130
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("after", range(3))
def test_a_disk_that_fills_up_is_one_line_and_status_2(files, tmp_path, monkeypatch, capsys, after):
    left, real = [after], os.fsync

    def full(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr("virel_common.files.os.fsync", full)
    out = tmp_path / "out"
    assert main_iterate(["mpo", files["a"], "--steps", "2", "--out", str(out)], drawer=draw_curves) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel iterate: `out` must be")
    assert "No space left" in line
    assert not list(out.glob(".*"))


@pytest.mark.parametrize("value", ["[" * 30000, "-" * 30000 + "1", "(" * 30000])
def test_a_setting_that_is_nested_too_deeply_is_one_line(files, capsys, value):
    assert main_iterate(["mpo", files["a"], "--set", f"epsilon={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    rules = ("must not be nested that deeply", "must be JSON or a Python literal if it begins with a bracket")
    assert line.startswith(tuple(f"virel iterate: `epsilon` {rule}; found " for rule in rules))
    assert len(line) < 500


def test_a_large_sparse_mdp_gets_a_note_unless_its_evaluation_is_by_backups(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(iterate_cli, "LARGE", 4)
    path = tmp_path / "sparse.npz"
    garnet(8, 2, 2, gamma=0.5, rng=np.random.default_rng(0), sparse=True).save(path)
    assert main_iterate(["mpo", str(path), "--steps", "1"]) == 0
    assert "--set sweeps=1 does not" in capsys.readouterr().err
    assert main_iterate(["mpo", str(path), "--steps", "1", "--set", "sweeps=1"]) == 0
    assert capsys.readouterr().err == ""
    assert main_iterate(["beta", str(path), "--steps", "1"]) == 0  # its default is one backup
    assert capsys.readouterr().err == ""
    assert main_iterate(["beta", str(path), "--steps", "1", "--set", "sweeps=None"]) == 0
    assert "--set sweeps=1 does not" in capsys.readouterr().err


def test_the_papers_own_algorithms_run_and_a_truth_value_is_a_setting(files, capsys):
    assert main_iterate(["virel", files["a"], "--steps", "2", "--set", "alpha=0.5"]) == 0
    assert len(rows(capsys.readouterr().out)) == 2
    for value in ("True", "true"):
        assert main_iterate(["beta", files["a"], "--steps", "2", "--set", f"sampled={value}"]) == 0
        assert len(rows(capsys.readouterr().out)) == 2
    assert main_iterate(["beta", files["a"], "--set", "sampled=yes"]) == 2
    assert capsys.readouterr().err == "virel iterate: `sampled` must be True or False; found 'yes'\n"
    assert main_iterate(["--list", "beta"]) == 0
    assert "sampled=False" in capsys.readouterr().out


def test_help_says_what_the_columns_and_exit_statuses_mean(capsys):
    assert main_iterate(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("--set", "--steps", "--atol", "--gamma", "--sense", "--goal", "--out", "Exit status"):
        assert word in text


def test_the_command_runs_as_a_user_types_it(files):
    command = [sys.executable, "-m", "virel_common.command", "iterate", "mpo", files["a"], "--steps", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(rows(done.stdout)) == 1
