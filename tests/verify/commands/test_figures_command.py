import os
import signal
from pathlib import Path

import pytest

import tests.support.claims as fake
from verify.commands.documents import main_figures
from verify.engine import registry

REPRODUCIBLE = ["eq-39", "theorem-1-finite"]


def figures(out, *args):
    return main_figures([*args, "--jobs", "1", "--out", str(out)])


@pytest.mark.long
def test_the_same_seed_gives_the_same_csv_bytes_but_for_measured_times(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert figures(one, *REPRODUCIBLE) == figures(two, *REPRODUCIBLE) == 0
    names = sorted(path.name for path in one.glob("*.csv"))
    assert names == sorted(path.name for path in two.glob("*.csv"))
    timed = [name for name in names if name.endswith(".times.csv")]
    assert timed == ["eq-39-methods-time.times.csv"]
    for name in set(names) - set(timed):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_each_figure_comes_as_svg_pdf_png_and_csv(tmp_path):
    assert figures(tmp_path, "merl-counterexample") == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".pdf", ".png", ".csv"}
    assert (tmp_path / "merl-counterexample-temperature.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.long
def test_another_seed_gives_other_data(tmp_path):
    figures(tmp_path / "0", "theorem-3")
    figures(tmp_path / "1", "theorem-3", "--seed", "1")
    zero, one = ((tmp_path / seed / "theorem-3-touching.csv").read_bytes() for seed in "01")
    assert zero != one


def test_a_signal_while_figures_are_moved_waits_until_all_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.HOLDS))
    replace = Path.replace

    def interrupted(path, target):
        os.kill(os.getpid(), signal.SIGINT)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    assert figures(tmp_path) == 130
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".pdf", ".png", ".csv"}
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"virel figures: interrupted, but the figures are in {tmp_path}"


def test_a_claim_without_a_figure_and_an_unknown_one_are_one_line_and_status_2(tmp_path, capsys):
    assert figures(tmp_path, "eq-05") == 2
    assert "must have a figure" in capsys.readouterr().err
    assert figures(tmp_path, "no-such-claim") == 2
    assert "no-such-claim" in capsys.readouterr().err


def test_a_figure_that_raises_is_named_and_the_others_are_drawn(tmp_path, monkeypatch, capsys):
    def broken(seed):  # noqa: ARG001
        raise ZeroDivisionError("no data")

    claims = (fake.HOLDS, fake.dataclasses.replace(fake.GAP, figures=broken))
    monkeypatch.setattr(registry, "all_claims", fake.registry(*claims))
    assert figures(tmp_path) == 1
    assert "gap: ZeroDivisionError: no data" in capsys.readouterr().err
    assert (tmp_path / "holds-squares.svg").is_file()


@pytest.mark.parametrize("bad", [("--jobs", "0"), ("--seed", "-1")])
def test_bad_options_are_status_2(tmp_path, bad):
    assert main_figures(["theorem-3", "--out", str(tmp_path), *bad]) == 2
