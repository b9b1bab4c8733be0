"""The command for Figure 2 of Marino et al.: curves start at the prior, files hold what was measured."""

import csv

import numpy as np
import pytest
import torch

from benchmarks.deep.inference import Options, curve, draw, measure
from tests.support.deep import agent_of, algorithm_of, small_run
from virel_common.errors import InputError
from virel_deep.run.actors import make_actor


def test_a_curve_starts_at_the_objective_of_the_prior(tmp_path):
    algorithm = algorithm_of("sac-iterative", **{"hidden": (8, 8), "posterior.samples": 2})
    actor = make_actor(algorithm, agent_of(algorithm, 4, 2).seed_networks(0))
    states = np.random.default_rng(0).standard_normal((3, 4), np.float32)
    options = Options(tmp_path, iterations=3, samples=50)
    found = curve(actor, states, options, torch.Generator().manual_seed(0))
    assert found.shape == (4,)
    # The divergence of the prior from itself is 0; left is E[Q], of values that differ by less than 1 from
    # action to action: 150 draws leave a standard error below 0.1, here by other draws.
    action = torch.randn(1, 3, 2000, 2).tanh()
    q = actor.objective.q_of(torch.from_numpy(states)[None], action)
    assert q.std() < 1
    assert found[0] == pytest.approx(float(q.mean()), abs=0.3)
    assert len(set(found)) == 4


def test_the_figure_and_its_numbers_are_written(tmp_path):
    draw(np.array([[-2.0, -1.5, -1.25], [-4.0, -3.0, -2.5]]), "title", tmp_path)
    rows = list(csv.DictReader((tmp_path / "inference.csv").read_text().splitlines()))
    assert [float(row["objective"]) for row in rows] == [-2.0, -1.5, -1.25, -4.0, -3.0, -2.5]
    assert {path.suffix for path in tmp_path.iterdir()} == {".csv", ".svg", ".png"}


def test_a_run_of_another_posterior_is_refused(tmp_path):
    small_run(tmp_path, "sac", "InvertedPendulum-v5", steps=40)
    with pytest.raises(
        InputError, match=r"^`posterior` must be 'iterative' in the run; found 'tanh-gaussian'$"
    ):
        measure(Options(tmp_path))
