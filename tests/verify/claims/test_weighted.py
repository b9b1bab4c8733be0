"""Counterexamples on RERPI and V-MPO, each by hand, and the figure of the finite-sample effect."""

from itertools import islice

import numpy as np
import pytest

from verify.claims.weighted import gaussian, gaussian_figure, improvement, lagrangian
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.gaussian import GaussianPolicy
from virel_theory.variational.parts.gaussian_fit import gaussian_iterates


def test_a_convex_value_makes_the_joint_fit_gain_entropy():
    """pi = N(0, 1), Q = a^2/2, eta = 2: pi e^(Q/eta) is e^(-a^2/4), of variance 2."""
    convex = {"variance": 1.0, "curvature": -1.0, "eta": 2.0, "distance": 0.0}
    assert gaussian.shrinks_printed_gap(**convex).error == pytest.approx(1.0)
    assert not gaussian.shrinks_printed_gap(**convex).ok
    assert gaussian.shrinks_gap(**convex).ok
    assert gaussian.shrinks_printed_gap(**convex | {"curvature": 2.0}).ok  # the sphere of RERPI, Section 5.1


def test_the_exact_joint_fit_of_the_sphere_grows_its_spread_against_the_distance():
    assert not gaussian.premature_printed_gap(first=np.array([10.0]), variance=1.0, epsilon=0.1, step=1.0).ok
    assert gaussian.premature_gap(first=np.array([10.0]), variance=1.0, epsilon=0.1, step=1.0).ok


def test_with_samples_the_spread_vanishes_against_the_distance_left():
    runs = gaussian_iterates(
        GaussianPolicy([10.0, 0.0], [1.0, 1.0]),
        optimum=[0.0, 0.0],
        curvature=[2.0, 2.0],
        decoupled=False,
        step=0.1,
        samples=10,
        rng=np.random.default_rng(0),
    )
    last = next(islice(runs, 799, None))
    assert last.spread / np.linalg.norm(last.mean) < 0.001


def test_the_printed_lagrangian_falls_without_bound_as_the_policy_leaves_the_old_one():
    mdp = TabularMDP(np.ones((1, 2, 1)), [[0.0, 0.0]], 0.5)
    old, psi, d = np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]), np.ones(1)

    def both(logit):
        theta = np.array([[logit, 0.0]])
        return [
            lagrangian._lagrangian(mdp, theta, old, psi, d, 1.0, 0.1, sign=sign).real for sign in (-1.0, 1.0)
        ]

    for logit in (2.0, 20.0, 200.0):
        assert both(logit)[0] == pytest.approx(0.1 + np.log(2) - logit / 2)  # epsilon + log(4 p_2/p_1)/2
    assert both(0.0)[1] < both(20.0)[1] < both(200.0)[1]


def test_the_better_half_of_a_batch_may_hold_only_a_bad_action():
    """One state, rewards 0 and 1, pi uniform; the batch has seen the first action only."""
    mdp = TabularMDP(np.ones((1, 2, 1)), [[0.0, 1.0]], 0.0)
    x = {"mdp": mdp, "pi": np.array([[0.5, 0.5]]), "eta": 1.0}
    gap = improvement.batch_gap(**x, batch=np.array([[True, False]]))
    assert gap.error == pytest.approx(0.5)
    assert improvement.batch_gap(**x, batch=np.array([[True, True]])).ok
    assert improvement.vmpo_gap(mdp=mdp, pi=x["pi"], keep=0.5, eta=1.0, trust=None).ok


def test_the_figure_shows_four_runs_of_which_one_stops_far_from_the_optimum(monkeypatch):
    monkeypatch.setattr(gaussian_figure, "N_ITERATIONS", 300)
    (figure,) = gaussian_figure.figures(0)
    distance = {curve.label: curve.y[-1] for curve in figure.panels[0].curves}
    assert list(distance) == [
        "joint, exact",
        "decoupled, exact",
        "joint, 10 samples",
        "decoupled, 10 samples",
    ]
    assert distance["joint, 10 samples"] > 4
    assert max(d for name, d in distance.items() if name != "joint, 10 samples") < 1.5
