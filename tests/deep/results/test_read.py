"""Runs read from their folders: scores by hand, and damage named."""

import json
from fractions import Fraction

import numpy as np
import pytest

from tests.support.runs import write_raw, write_run
from virel_common.errors import InputError
from virel_deep.results.read import read_run
from virel_deep.study.scores import last_half


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


def test_equal_last_evaluations_give_equal_scores_whatever_came_before(tmp_path):
    """Rank tests count ties: 0.95 ten times is the same score after 0.85s as after 0.1s, in any order."""
    last = [1e16, 1.0, 0.1, 0.7, -1e16, 0.85, 0.1, 0.6, 1e-9, 0.3]  # sums depend on the order
    histories = ([0.95] * 10, [0.1] * 10, [1e6 / 3] * 10)
    scores, halves = [], []
    for number, history in enumerate(histories):
        folder = write_raw(tmp_path / str(number), {"preset": "p", "env": "E-v0", "steps": 20}, [])
        (folder / "seed-0").mkdir()
        returns = [*history, *(last if number != 1 else last[::-1])]
        rows = [{"step": i + 1, "kind": "eval", "wall": 0.0, "return": r} for i, r in enumerate(returns)]
        (folder / "seed-0" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        run = read_run(folder)
        scores.append(run.final()[0])
        halves.append(last_half(run)[0])
        assert run.smooth(10)[0, -1] == scores[-1]
    exact = float(sum(map(Fraction, last)) / 10)
    assert scores == halves == [pytest.approx(exact, rel=2e-16)] * 3
    assert len(set(scores)) == len(set(halves)) == 1


def test_a_half_written_last_line_is_passed_over(two_runs):
    with (two_runs[0] / "seed-0" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 21000, "kind": "eval", "wa')
    assert read_run(two_runs[0]).at[-1] == 20_000


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run / "config.json").unlink(), "config.json: No such file"),
        (lambda run: (run / "config.json").write_text("{"), "config.json: not JSON"),
        (lambda run: (run / "config.json").write_text("[]"), "must hold a JSON object"),
        (lambda run: (run / "config.json").write_text('{"config": {"preset": 3}}'), "preset.*found 3"),
        (lambda run: (run / "seed-0" / "metrics.jsonl").write_text("no\n"), r"metrics.jsonl:1: not JSON"),
    ],
    ids=["no-config", "half-config", "list", "no-preset", "broken-metrics"],
)
def test_a_damaged_run_is_one_clear_error(two_runs, spoil, message):
    spoil(two_runs[0])
    with pytest.raises(InputError, match=message):
        read_run(two_runs[0])


@pytest.mark.parametrize("value", ["null", "true", "NaN", "-Infinity", "1e300", "-2e307", "9" * 400])
def test_an_evaluation_without_a_number_is_named(two_runs, value):
    path = two_runs[0] / "seed-0" / "metrics.jsonl"
    path.write_text(f'{{"step": 1000, "kind": "eval", "wall": 0.0, "return": {value}}}\n')
    named = r"step 1000 must have a `return` of a size below 1e\+300; found"
    with pytest.raises(InputError, match=named) as said:
        read_run(two_runs[0])
    assert "9" * 400 not in str(said.value)


def test_a_run_without_any_evaluation_says_why(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((1, 0)), steps=1000)
    with pytest.raises(InputError, match="seed 0 has no evaluation yet"):
        read_run(folder)
