"""The overview figure: its dashed guarantees hold, and its duals have their minima marked."""

import numpy as np
import pytest

from verify.claims.mpo.overview_figure import figures
from virel_theory.variational.table import ROWS

GUARANTEES = {
    "policy iteration: gamma^k": "policy-iteration",
    "natural gradient: 1/k": "natural-policy-gradient",
    "soft policy iteration: price of the prior + gamma^k": "soft-policy-iteration",
}


@pytest.fixture(scope="module", params=[0, 1])
def figure(request):
    (found,) = figures(request.param)
    return found


def curves(figure):
    return {curve.label: curve for panel in figure.panels for curve in panel.curves}


def test_it_shows_every_algorithm_of_one_task(figure):
    assert {row.name for row in ROWS if not row.several_tasks} <= set(curves(figure))


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_no_algorithm_is_above_its_guarantee(figure, guarantee):
    promised, found = curves(figure)[guarantee], curves(figure)[GUARANTEES[guarantee]]
    assert promised.kind == "predicted"
    assert (found.y <= promised.y + 1e-13).all()


def test_a_dual_is_nowhere_below_its_marked_minimum(figure):
    duals = [curve for label, curve in curves(figure).items() if label.startswith("iteration ")]
    marked = curves(figure)["temperature eta_k"]
    assert len(duals) == len(marked.x) > 1
    for curve, eta in zip(duals, marked.x, strict=True):
        assert (curve.y >= -1e-12).all()
        assert curve.x.min() < eta < curve.x.max()
        near = np.abs(np.log(curve.x / eta)) < 0.1
        assert (curve.y[near] < 0.1 * curve.y.max()).all()
