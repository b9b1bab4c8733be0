"""The command `virel solve`: what it prints and writes, exit statuses, one-line errors."""

import errno
import json
import math
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from verify.commands.solve import main_solve as main_certified
from virel_theory import cli
from virel_theory.cli import main_solve, round_up
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.models.draw import ring as ring_mdp
from virel_theory.models.textbook import puterman_two_state
from virel_theory.output import with_error

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "mdps"


@pytest.fixture
def puterman(tmp_path):
    path = tmp_path / "puterman.npz"
    puterman_two_state(gamma=0.5).save(path)
    return str(path)


@pytest.fixture
def no_solving(monkeypatch):
    def solve(*_, **__):
        raise AssertionError("the solver ran before the arguments were checked")

    monkeypatch.setattr(cli, "solve", solve)


def words(text):
    return " ".join(text.split())  # undo the wrapping of the table


def test_a_textbook_mdp_is_solved_and_summarised(puterman, capsys):
    assert main_solve([puterman]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    out = words(printed.out)
    assert "2 states, 3 state-action pairs (dense), gamma = 0.5" in out
    assert "value at start 9 (max)" in out  # (10 - 11 gamma) / (1 - gamma)
    assert "value over states -2 to 9" in out
    assert "action 0 in 1 states, action 1 in 1 states" in out
    assert "guaranteed" in out
    assert "CONVERGED" in out
    assert " steps, " in out


def test_what_auto_picked_and_fell_back_on_is_printed(puterman, tmp_path, capsys):
    assert main_solve([puterman]) == 0
    assert "method auto: one sweep, " in words(capsys.readouterr().out)
    ring = tmp_path / "ring.npz"
    ring_mdp(200, gamma=0.999).save(ring)
    assert main_solve([str(ring)]) == 0
    assert "method auto: mpi, then banded LU, " in words(capsys.readouterr().out)
    assert main_solve([str(ring), "--method", "ipi"]) == 0
    assert "method ipi, " in words(capsys.readouterr().out)


def test_out_holds_value_q_policy_and_bound_and_nothing_is_left_beside_it(puterman, tmp_path):
    out = tmp_path / "solution.npz"
    assert main_solve([puterman, "--out", str(out), "--atol", "1e-9"]) == 0
    with np.load(out, allow_pickle=False) as file:
        arrays = dict(file)
    assert sorted(arrays) == ["error_bound", "policy", "q", "value"]
    bound = float(arrays["error_bound"])
    assert 0 <= bound <= 1e-9
    exact = np.array([[5 + 0.25 * 9 - 0.25 * 2, 9], [-2, -np.inf]])
    np.testing.assert_allclose(arrays["q"], exact, rtol=0, atol=bound)
    np.testing.assert_allclose(arrays["value"], [9, -2], rtol=0, atol=bound)
    assert arrays["policy"].tolist() == [1, 0]
    assert arrays["policy"].dtype.kind == "i"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["puterman.npz", "solution.npz"]


def test_costs_are_minimised_on_request(puterman, capsys):
    assert main_solve([puterman, "--sense", "min"]) == 0
    # v = 5 + v/4 + (1/4)(-2) = 4.5 + v/4, so v = 6 < 9
    assert "value at start 6 (min)" in words(capsys.readouterr().out)


def test_gamma_can_be_replaced(puterman, capsys):
    assert main_solve([puterman, "--gamma", "0"]) == 0
    assert "value at start 10 (max)" in words(capsys.readouterr().out)


def test_a_gymnasium_id_is_a_source_and_its_colon_word_is_no_emoji(capsys):
    assert main_solve(["gym:Taxi", "--gamma", "0.99"]) == 0
    out = words(capsys.readouterr().out)
    assert "gym:Taxi: 501 states" in out
    assert "value at start 6.3274643" in out


@pytest.mark.skipif(not REAL.is_dir(), reason="the folder ../shared/mdps is not there")
@pytest.mark.parametrize("objective", ["time_min", "time_max"])
def test_the_sense_is_the_objectives_own_and_the_value_the_published_one(capsys, objective):
    path = REAL / "qvbs_csma.npz"
    assert main_solve([str(path), "--gamma", "0.9", "--goal", objective]) == 0
    properties = json.loads(path.with_suffix(".json").read_text())["properties"][objective]
    published = int(properties["exact_value_at_init_gamma_9/10"].split()[1].removesuffix("e-30")) / 10**30
    assert f"value at start {published:.9g}"[:-1] in words(capsys.readouterr().out)


def test_a_prism_model_is_a_source(tmp_path, capsys):
    tra = tmp_path / "walk.tra"
    tra.write_text("2 3 4\n0 0 0 0.5\n0 0 1 0.5\n0 1 1 1\n1 0 1 1\n")
    tra.with_suffix(".lab").write_text('0="init" 1="goal"\n0: 0\n1: 1\n')
    assert main_solve([str(tra), "--gamma", "0.5", "--goal", "goal", "--sense", "min"]) == 0
    assert "value at start 0.666666666666666" in words(capsys.readouterr().out)  # v = 1/2 + v/4


def test_a_missed_tolerance_is_status_1_and_the_bound_is_still_written(tmp_path, capsys):
    path, out = tmp_path / "garnet.npz", tmp_path / "out.npz"
    garnet(20, 2, 3, gamma=0.99, rng=np.random.default_rng(0)).save(path)
    assert main_solve([str(path), "--method", "vi", "--max-steps", "2", "--out", str(out)]) == 1
    assert "MAX_STEPS" in capsys.readouterr().out
    assert float(np.load(out)["error_bound"]) > 1e-8


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.npz"], "missing.npz"),
        (["model.txt"], "model.txt"),
        (["gym:FrozenLake-v1"], "`gamma`"),
        (["gym:FrozenLake-v1", "--gamma", "1"], "`gamma`"),
        (["gym:FrozenLake-v1", "--gamma", "nan"], "`gamma`"),
        (["gym:NoSuchEnv-v0", "--gamma", "0.9"], "NoSuchEnv"),
        (["gym:FrozenLake-v1", "--gamma", "0.9", "--method", "magic"], "`method`"),
        (["gym:FrozenLake-v1", "--gamma", "0.9", "--atol", "-1"], "`atol`"),
        (["gym:FrozenLake-v1", "--gamma", "0.9", "--rtol", "nan"], "`rtol`"),
        (["gym:FrozenLake-v1", "--gamma", "0.9", "--objective", "x"], "`objective`"),
    ],
    ids=map(str, range(10)),
)
def test_bad_input_is_one_line_on_stderr_and_status_2(capsys, arguments, named):
    assert main_solve(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("virel solve: ")
    assert named in line


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.npz", "b.npz"], ["a.npz", "--gamma", "x"], ["a.npz", "--sense", "up"], ["a.npz", "--no-such"]],
    ids=["nothing", "two sources", "gamma", "sense", "unknown"],
)
def test_a_command_line_that_does_not_parse_is_status_2(capsys, arguments):
    assert main_solve(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err


def test_help_is_status_0_and_describes_every_option(capsys):
    assert main_solve(["--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "--gamma",
        "--method",
        "--atol",
        "--rtol",
        "--max-steps",
        "--sense",
        "--objective",
        "--out",
    ):
        assert option in text
    assert "Exit status" in text


@pytest.mark.usefixtures("no_solving")
@pytest.mark.parametrize(
    "name", ["solution.txt", "solution", "no-such-folder/solution.npz", "a-file/solution.npz", "folder.npz"]
)
def test_an_output_that_cannot_be_written_is_found_before_solving(puterman, tmp_path, capsys, name):
    (tmp_path / "a-file").write_text("")
    (tmp_path / "folder.npz").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main_solve([puterman, "--out", str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "`out`" in line
    assert sorted(tmp_path.rglob("*")) == before


def test_without_the_package_verify_a_certificate_is_refused_before_any_work(
    puterman, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("virel_theory.cli.load", lambda _: pytest.fail("the MDP was read"))
    assert main_solve([puterman, "--certify", str(tmp_path / "o.json")]) == 2
    assert "`certify` needs the package verify" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize(("option", "name"), [("--out", "o.npz"), ("--certify", "o.json")])
def test_a_disk_that_fills_up_is_one_line_and_leaves_no_file(
    puterman, tmp_path, capsys, monkeypatch, option, name, number
):
    def full(_):
        raise OSError(number, os.strerror(number))

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("virel_common.files.os.fsync", full)
    assert main_certified([puterman, option, str(tmp_path / name)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"virel solve: `{option.removeprefix('--')}` must be")
    assert os.strerror(number) in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("value", ["[" * 30000, '{"a":' * 30000, "[[" * 20000 + "1"])
def test_an_argument_that_is_nested_too_deeply_is_one_short_line(capsys, value):
    assert main_solve(["gym:FrozenLake-v1", "--gamma", "0.5", "--env-arg", f"is_slippery={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must not be nested that deeply" in line
    assert len(line) < 200


def test_an_interrupt_is_status_130(puterman, capsys, monkeypatch):
    def solve(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "solve", solve)
    assert main_solve([puterman]) == 130
    assert capsys.readouterr().err == "virel solve: interrupted\n"


@pytest.mark.parametrize("x", [0.0, 1.2341e-13, 9.9999, 1e300, 0.1, 123.0, 2.675e-9, float("inf")])
def test_a_printed_bound_is_never_below_the_bound(x):
    assert x <= float(round_up(x)) <= x * 1.01


VALUES = [17.565864853749996, 2 / 3, -1e-7 / 3, 12345678.9, 0.0, 9.0, 0.1, -1e300, 5e-324]


@pytest.mark.parametrize("error", [0.0, 1e-300, 3.92e-13, 1e-8, 0.3, 5e7])
def test_a_printed_error_covers_the_rounding_of_the_printed_values(error):
    texts, bound = with_error(VALUES, error)
    for text, x in zip(texts, VALUES, strict=True):
        assert abs(Fraction(text) - Fraction(x)) + Fraction(error) <= Fraction(bound)
        (one,), alone = with_error([x], error)
        assert one == text
        half_an_ulp = Fraction(math.ulp(x)) / 2  # what 17 digits, or a text that reads as x, leave
        allowed = Fraction(error) + max(Fraction(error) / 10, half_an_ulp)
        assert Fraction(alone) <= Fraction(101, 100) * allowed  # 3 digits of the bound: 1 %


def test_a_value_has_as_many_digits_as_its_error_warrants():
    found = [with_error([17.565864853749996], error)[0][0] for error in (0.0, 3.92e-13, 1e-8, 1e-3, 5.0)]
    assert found == ["17.565864853749996", "17.56586485375", "17.565864854", "17.5659", "17.5659"]


def test_values_and_errors_that_are_not_finite_are_printed():
    assert with_error([1 / 3, math.inf], math.inf) == (["0.333333", "inf"], "inf")
    assert with_error([math.inf, -math.inf], 1e-9) == (["inf", "-inf"], round_up(1e-9))


def test_the_printed_bound_covers_every_printed_value(tmp_path, capsys):
    """One state per action reward 1/3, 1/7: V = r / (1 - 1/2), started with probabilities 0.3 and 0.7."""
    mdp = TabularMDP([[[1.0, 0.0]], [[0.0, 1.0]]], [[1 / 3], [1 / 7]], 0.5, initial=[0.3, 0.7])
    mdp.save(tmp_path / "two.npz")
    assert main_solve([str(tmp_path / "two.npz")]) == 0
    out = words(capsys.readouterr().out)
    pattern = "value at start ([^ ]+) .*value over states ([^ ]+) to ([^ ]+) .*?error bound ([^ ]+)"
    start, low, high, bound = map(Fraction, re.search(pattern, out).groups())
    a, b, p = Fraction(1 / 3) * 2, Fraction(1 / 7) * 2, Fraction(0.3)
    for found, true in ((start, p * a + Fraction(0.7) * b), (low, b), (high, a)):
        assert abs(found - true) <= bound < Fraction("1e-8")


def test_the_command_runs_as_a_user_types_it(puterman):
    command = [sys.executable, "-m", "virel_common.command", "solve", puterman]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "value at start" in done.stdout
