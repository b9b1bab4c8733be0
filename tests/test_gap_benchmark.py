"""`python -m benchmarks.deep.gap`: the best Gaussian that it climbs to, its rows, and bad input."""

import math

import pytest
import torch

from benchmarks.deep.gap import __main__ as gap
from benchmarks.deep.gap.rows import Row, merged, report, sign_p, write
from tests.support.deep import default_dtype, small_run, train
from virel_deep.axes.interfaces import Objective
from virel_deep.axes.posterior import steps
from virel_deep.axes.prior.constant import Fixed
from virel_deep.design import inference

CURVATURE, PEAK, ALPHA = 2.0, 0.7, 0.5
OPTIONS = gap.Options(runs=())


def task():
    """A value that is quadratic before the tanh, so that the best Gaussian is known."""

    def q_of(_, action):
        return -CURVATURE / 2 * (action[..., 0].atanh() - PEAK).square()

    objective = Objective(q_of, Fixed(inference.Fixed(std=1.0)), torch.full((1, 1), ALPHA))
    return objective, torch.zeros(1, 3, 1), torch.tensor([1.0, -1.0]).expand(1, 3, 2)[..., None]


def value(head, objective, state, noise):
    return steps.measured(state, head, noise, objective).value


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


def test_adam_climbs_to_the_best_gaussian_from_either_start():
    objective, state, noise = task()
    precision = CURVATURE + ALPHA
    best = [CURVATURE * PEAK / precision, 0.5 * math.log(ALPHA / precision)]
    top = value(torch.tensor(best).expand(1, 3, 2), objective, state, noise)
    for start in (torch.tensor([-1.0, -1.0]), torch.zeros(2)):
        head = start.expand(1, 3, 2)
        found = value(gap.climbed(state, head, noise, objective, OPTIONS), objective, state, noise)
        first = value(head, objective, state, noise)
        # 100 steps of 0.05 go 5 units, the starts are 1.6 away at most; at the top they swing within a step,
        # where the objective is below it by (alpha + curvature) 0.05^2 = 0.6 % of what is gained from either.
        assert ((top - found).abs() <= precision * 0.05**2).all()
        assert (found - first > 0.4).all()


def test_a_climb_down_is_seen(monkeypatch):
    right = steps.measured
    monkeypatch.setattr(gap, "measured", lambda *args: right(*args)._replace(slope=-right(*args).slope))
    objective, state, noise = task()
    head = torch.zeros(1, 3, 2)
    found = gap.climbed(state, head, noise, objective, OPTIONS)
    assert (value(found, objective, state, noise) < value(head, objective, state, noise)).all()


def test_the_start_from_the_prior_is_its_parameters():
    head = gap.of_prior(torch.ones(1, 2, 4), 0.5)
    torch.testing.assert_close(head, torch.tensor([0.0, 0.0, -math.log(2), -math.log(2)]).expand(1, 2, 4))


def test_rows_of_two_calls_are_merged_and_signs_are_counted_per_seed(tmp_path):
    file = tmp_path / "gap.csv"
    first = [Row("it", s, 10, 0.5, 1.0, (1.1, 1.2, 1.3)[s]) for s in range(3)]
    write(file, first)
    again = [Row("it", 0, 10, 0.5, 1.0, 1.05), *(Row("dir", s, 10, 1.0, 2.0, 2.25) for s in (0, 1, 5))]
    rows = merged(file, again)
    assert len(rows) == 6
    assert [row.best for row in rows if row.run == "it"] == [1.05, 1.2, 1.3]
    # Gaps by alpha: it 0.1, 0.4, 0.6; dir 0.25 each; the seeds 0 and 1 are in both.
    table = report(rows, ["it", "dir"])
    assert "| it | 10 | 3 | 0.5 | 0.1833 | 0.3667 |" in table
    assert table[-1] == "| 10 | dir | 2 | 1 | 0.75 |"
    assert sign_p(7, 7) == 1 / 128
    assert len(report(rows, ["it"])) == 3


@pytest.mark.parametrize("preset", ["sac", "sac-iterative"])
def test_a_trained_run_is_measured_at_its_newest_checkpoint(tmp_path, preset, capsys):
    run, settings = tmp_path / preset, {"prior": "fixed", "posterior.samples": 2}
    with default_dtype(torch.float32):
        train(run, small_run(run, preset, "Pendulum-v1", steps=40, settings=settings))
        few = ["--states", "10", "--steps", "30", "--samples", "8", "--out", str(tmp_path / "out")]
        assert gap.main([str(run), *few]) == 0
        assert f"| {preset} | 40 | 1 |" in capsys.readouterr().out
        [row] = merged(tmp_path / "out/gap.csv", [])
        assert row.gap > 0
        assert (tmp_path / "out/gap.png").stat().st_size > 1000
        assert gap.main([str(run), "--states", "41", "--out", str(tmp_path / "out")]) == 2
    assert "`states` must be at most 40, the replay; found 41" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--steps", "0"], "`steps` must be at least 1; found 0"),
        (["--rate", "0"], "`rate` must be finite and positive; found 0.0"),
    ],
)
def test_bad_input_is_one_line(tmp_path, wrong, message, capsys):
    assert gap.main([str(tmp_path), *wrong]) == 2
    assert capsys.readouterr().err == f"benchmarks.deep.gap: {message}\n"
