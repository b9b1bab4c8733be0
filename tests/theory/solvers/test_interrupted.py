"""Ctrl-C during a solve, going on from where it stopped, and what a solve tells while it runs."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, instances
from virel_theory import SolverInterrupted, Status, garnet, ring, solve
from virel_theory.cli import main_solve
from virel_theory.output import state_line
from virel_theory.solvers import linear
from virel_theory.solvers.solve import METHODS
from virel_theory.solvers.watch import Clock, Progress


def stop_at(step):
    """Ctrl-C when the step is reached."""

    def watch(now):
        if now.n_steps == step:
            os.kill(os.getpid(), signal.SIGINT)

    return watch


def test_what_was_reached_at_an_interrupt_has_a_bound_that_is_true():
    names = sorted(METHODS)
    stopped = 0
    for i, (mdp, exact) in enumerate(instances(20, 5)):
        for step in (1, 2):
            try:
                solve(mdp, atol=1e-12, method=names[i % len(names)], watch=stop_at(step))
            except SolverInterrupted as caught:
                found = caught.solution
                assert exact_error(found.q, exact) <= found.error_bound
                assert found.status in {Status.INTERRUPTED, Status.CONVERGED}
                np.testing.assert_array_equal(found.value, found.q.max(axis=1))
                stopped += 1
    assert stopped >= 20


def test_an_interrupt_while_a_band_has_borrowed_the_table_leaves_a_whole_one(monkeypatch):
    mdp = ring(400, gamma=0.999, rng=np.random.default_rng(7))

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(linear.banded, "by_state", broken)
    with pytest.raises(SolverInterrupted) as caught:
        solve(mdp, atol=1e-7)
    monkeypatch.undo()
    found, whole = caught.value.solution, solve(mdp, atol=1e-7)
    assert found.q.shape == mdp.shape
    assert np.abs(found.q - whole.q).max() <= found.error_bound + whole.error_bound


def test_a_solve_goes_on_from_where_it_was_interrupted():
    mdp = garnet(200, 3, 4, gamma=0.99, rng=np.random.default_rng(0))
    whole = solve(mdp, atol=1e-9, method="vi")
    with pytest.raises(SolverInterrupted) as caught:
        solve(mdp, atol=1e-9, method="vi", watch=stop_at(whole.n_steps - 3))
    assert solve(mdp, atol=1e-9, method="vi", start=caught.value.solution.value).n_steps <= 5


def test_bound_and_time_left_are_told_after_every_step():
    told = []
    found = solve(
        ring(50, gamma=0.9, rng=np.random.default_rng(0)), atol=1e-9, method="vi", watch=told.append
    )
    assert [x.n_steps for x in told] == list(range(1, found.n_steps + 1))
    assert told[-1].error_bound == found.error_bound <= told[-1].tolerance == 1e-9
    assert told[-1].left_s == 0
    assert told[0].left_s is None
    assert all(x.left_s > 0 for x in told[2:-1])


def test_the_time_left_is_that_of_a_bound_that_falls_by_the_same_factor():
    clock = Clock(began=0.0)
    clock.first = (0.0, 1.0)
    seconds, left = clock.left(1e-2, 1e-6)  # 2 of 6 orders of magnitude
    assert left == pytest.approx(2 * seconds, rel=1e-9)
    assert clock.left(2.0, 1e-6)[1] is None
    assert clock.left(1e-2, 0.0)[1] is None


def test_the_state_of_a_solve_is_one_line():
    now = Progress(3, 0.5, 1e-6, 5.0, 19.7, lambda: np.zeros(1))
    assert state_line(now) == "step 3: bound 0.5, to reach 1e-06, about 20 s left"


def test_the_command_prints_and_writes_what_was_reached_and_resumes(tmp_path, monkeypatch, capsys):
    mdp = garnet(200, 3, 4, gamma=0.99, rng=np.random.default_rng(0))
    mdp.save(tmp_path / "m.mdp")
    argv = [str(tmp_path / "m.mdp"), "--method", "vi", "--atol", "1e-9", "--out", str(tmp_path / "v.npz")]
    with monkeypatch.context() as patch:
        patch.setattr("virel_theory.output.Bar.__call__", lambda _, now: stop_at(20)(now))
        assert main_solve(argv) == 130
    out = capsys.readouterr().out
    assert "INTERRUPTED" in out
    with np.load(tmp_path / "v.npz") as stored:
        assert np.abs(stored["value"] - solve(mdp, atol=1e-9).value).max() <= stored["error_bound"] + 1e-9
    assert main_solve([*argv, "--resume", str(tmp_path / "v.npz")]) == 0
    resumed = capsys.readouterr().out
    assert main_solve(argv) == 0
    steps = [int(x.split("vi, ")[1].split()[0]) for x in (resumed, capsys.readouterr().out)]
    assert steps[0] < steps[1]


def test_a_file_to_resume_from_that_does_not_fit_is_one_line(tmp_path, capsys):
    mdp = garnet(5, 2, 2, gamma=0.9, rng=np.random.default_rng(0))
    mdp.save(tmp_path / "m.npz")
    np.savez(tmp_path / "v.npz", value=np.zeros(4))
    np.savez(tmp_path / "w.npz", q=np.zeros(4))
    for name, message in [
        ("v", "`resume` must have shape [5]"),
        ("w", "`resume` must hold the array 'value'"),
    ]:
        assert main_solve([str(tmp_path / "m.npz"), "--resume", str(tmp_path / f"{name}.npz")]) == 2
        assert message in capsys.readouterr().err


def measured(*words):
    """What the benchmark of a billion transitions measures at 150,000 states."""
    command = [sys.executable, "-m", "benchmarks.theory.billion", "--no-floors", "--states", "150000", *words]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)


@pytest.mark.long
def test_a_large_mdp_takes_a_quarter_more_memory_than_itself_and_is_shared_where_it_is_mapped(tmp_path):
    folder = ("--folder", str(tmp_path / "m.mdp"))
    drawn, mapped = measured(*folder), measured(*folder)
    assert drawn["indices"] == "int32"
    assert drawn["memory"] <= 1.25
    assert mapped["memory"] <= 1.25
    assert mapped["own_bytes"] < drawn["own_bytes"] - 0.8 * mapped["mdp_bytes"]  # others can share the rest
    assert mapped["value"] == drawn["value"]
