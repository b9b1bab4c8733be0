"""Fixed points of the Boltzmann operator: how many, images under it, limits, units, bad input."""

import numpy as np
import pytest

from tests.support.exact_mdp import random_mdp
from virel_theory import InputError, TabularMDP
from virel_theory.models import draw
from virel_theory.operators.bellman import bellman_boltzmann
from virel_theory.solvers.boltzmann import boltzmann_fixed_points
from virel_theory.solvers.solve import solve


def bistable():
    r"""Exit with reward 0 or stay with reward r: with t = Q_stay - Q_exit, eps = 1, the defect is h(t) + r/γ.

    h(t) = tσ(t) - t/γ falls, rises where σ + tσ' (at most 1.0998, near t = 2.4) exceeds 1/γ = 1.02, and
    falls again: a value of -r/γ between its local extremes gives three roots.
    """
    gamma = 0.98
    t = np.linspace(-5, 30, 3_500_001)
    h = t / (1 + np.exp(-t)) - t / gamma
    turns = np.flatnonzero(np.diff(np.sign(np.diff(h)))) + 1
    reward = -gamma * h[turns].mean()
    transition = [[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]]
    defect = h + reward / gamma
    roots = t[np.flatnonzero(np.diff(np.sign(defect)))]
    return TabularMDP(transition, [[0.0, reward], [0.0, 0.0]], gamma), roots


def test_all_three_fixed_points_of_a_bistable_mdp_are_found():
    mdp, roots = bistable()
    assert len(roots) == 3
    found = boltzmann_fixed_points(mdp, eps=1.0, n_starts=60)
    assert not found.unique
    np.testing.assert_allclose(found.q[:, 0, 1], roots, atol=1e-3)
    assert (found.residual <= 1e-9).all()


def test_fixed_points_are_fixed_under_the_operator_of_the_library():
    rng = np.random.default_rng(6)
    for _ in range(20):
        mdp = random_mdp(rng, gammas=(0.5, 0.9))
        eps = float(rng.choice([0.1, 1.0])) * max(1.0, np.abs(mdp.reward).max())
        found = boltzmann_fixed_points(mdp, eps=eps, n_starts=6)
        assert len(found.q) >= 1
        for q, residual in zip(found.q, found.residual, strict=True):
            gap = np.abs(bellman_boltzmann(mdp, q, eps=eps)[mdp.available] - q[mdp.available]).max()
            assert gap <= residual + 1e-10 * (1 + np.abs(q[mdp.available]).max())


def test_a_hot_operator_is_proved_to_have_one_fixed_point():
    mdp = draw.garnet(10, 3, 3, gamma=0.5, rng=np.random.default_rng(7))
    found = boltzmann_fixed_points(mdp, eps=100.0)
    assert found.unique
    assert len(found.q) == 1
    assert found.n_converged == found.n_starts


@pytest.mark.parametrize("eps", [1e-310, 1e-12, 1e-10, 1e-8])
def test_a_cold_operator_has_the_optimal_values_and_no_invented_fixed_points(eps):
    """Unique maxima, action gaps far above eps: the Boltzmann mean is the maximum to all digits."""
    mdp = TabularMDP([[[0.5, 0.5], [1, 0]], [[0, 1], [1.0, 0]]], [[1.0, 0.3], [0.2, 0.9]], 0.99)
    found, optimal = boltzmann_fixed_points(mdp, eps=eps), solve(mdp, atol=1e-9)
    assert len(found.q) == 1
    assert np.abs(found.q[0] - optimal.q).max() <= optimal.error_bound + 1.3e-10  # residual / (1 - gamma)
    assert found.residual.max() <= 1.3e-12  # 57 u (max|r| + max|v|): (S + 8) (1 + A) + 4 A + 16 = 57


@pytest.mark.parametrize("scale", [2.0**-400, 2.0**-23, 1.0, 2.0**400])
def test_the_unit_of_the_rewards_changes_no_number_of_fixed_points(scale):
    mdp, roots = bistable()
    small = TabularMDP(mdp.transition, scale * mdp.reward, mdp.gamma)
    found = boltzmann_fixed_points(small, eps=scale, n_starts=60)
    assert len(found.q) == 3
    np.testing.assert_allclose(found.q[:, 0, 1] / scale, roots, atol=1e-3)


def test_values_that_cancel_to_rounding_noise_are_one_fixed_point():
    mdp = TabularMDP([[[0.5, 0.5]] * 3] * 2, [[0.1, 0.2, -0.3], [0.3, -0.1, -0.2]], 0.9)
    assert len(boltzmann_fixed_points(mdp, eps=1e17).q) == 1


@pytest.mark.parametrize("keywords", [{"eps": 0.0}, {"eps": 1.0, "n_starts": 0}])
def test_a_bad_search_is_named(keywords):
    with pytest.raises(InputError, match="must be"):
        boltzmann_fixed_points(TabularMDP([[[1.0]]], [[1.0]], 0.5), **keywords)
