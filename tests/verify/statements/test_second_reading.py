"""What the second reading found, by hand: each example in a few lines, with numbers of its own."""

import numpy as np
import pytest

from verify.claims.definitions import residual
from verify.claims.optima import limit_dropped, spikes
from verify.claims.projection import theorem_2
from verify.claims.theorem_5 import commute, fixed_k
from verify.engine.registry import all_claims
from verify.proofs.sampling import draw
from virel_theory.mdp.tabular import TabularMDP

R = TabularMDP(np.ones((1, 2, 1)), [[2.0, 1.0]], 0.0)
"""S = 1, A = 2, gamma = 0, r = (2, 1) = Q*: positive, with a unique maximum."""
Q_STAR = np.array([[2.0, 1.0]])


def test_a_zero_of_the_projected_error_may_prefer_the_worse_action():
    """b = (1, 3): E[b (r - b omega)] = (5 - 10 omega)/2: omega = 1/2, Q = (1/2, 3/2): the policy loses 1."""
    b = np.array([[1.0, 3.0]])
    assert theorem_2.zeros_of_projected_error(R, b) == [0.5]
    x = {"mdp": R, "q_star": Q_STAR, "b": b[:, :, None], "omega": np.array([0.5])}
    assert theorem_2.gap_printed(**x).error == 1
    assert theorem_2.gap_corrected(**x).ok


def test_a_zero_of_the_projected_error_may_be_far_from_optimal_though_q_star_is_in_the_class():
    """One feature b = Q* = (2, 1), gamma = 7/8: r = (1/4, -3/4); besides 1 there is the zero omega = -2/19.

    There max Q = -2/19, beta = (28, -56)/76, and the greedy action is worth -6 in place of 2.
    """
    mdp, b = TabularMDP(np.ones((1, 2, 1)), [[0.25, -0.75]], 0.875), np.array([[2.0, 1.0]])
    assert theorem_2.zeros_of_projected_error(mdp, b) == pytest.approx([1, -2 / 19], rel=1e-12)
    x = {"mdp": mdp, "q_star": b, "b": b[:, :, None], "omega": np.array([-2 / 19])}
    assert theorem_2.gap_printed(**x).error == pytest.approx(8, rel=1e-12)
    assert theorem_2.gap_corrected(**x).ok


def test_so_it_may_where_the_values_are_positive():
    """Two features: the recorded example. Its Q is (2, 7/4, 1) and beta (-1/4, 1, -5/4), by hand."""
    x = theorem_2.CLAIMS[0].check.recorded
    assert (x["b"] @ x["omega"]).tolist() == [[2.0, 1.75, 1.0]]
    assert np.einsum("san,sa->n", x["b"], np.array([[-0.25, 1.0, -1.25]])).tolist() == [0.0, 0.0]
    assert (x["b"] @ [1.0, 2.0]).tolist() == x["q_star"].tolist()
    assert theorem_2.gap_printed(**x).error == pytest.approx(8, rel=1e-12)


def test_eps_times_the_lower_bound_tends_to_minus_one_half():
    """The uniform policy: E[Q*] = 3/2 as the talk has it, minus max Q* = 2."""
    x = {"mdp": R, "q_star": Q_STAR, "pi": np.full((1, 2), 0.5), "d": np.ones(1), "eps": 2.0**-30}
    assert limit_dropped.gap_printed(**x).error == pytest.approx(2, abs=1e-8)
    assert limit_dropped.gap_corrected(**x).ok


def test_at_a_fixed_temperature_the_minimiser_is_the_fixed_point_and_not_the_optimum():
    """r = (2, 1), gamma = 1/2, eps_k = 1: p = (e, 1)/(e + 1), Q = r + m, m = E_p[r]: eps is (m - 2)^2/8."""
    mean = (2 * np.e + 1) / (np.e + 1)
    found = fixed_k.gap_printed(gap=1, gamma=0.5, k=0)
    assert found.error == pytest.approx((mean - 2) ** 2 / 8, rel=1e-12)
    assert not found.ok


@pytest.mark.parametrize("nats", [60, 400])
def test_a_narrow_spike_is_not_seen_by_a_policy_that_is_nearly_greedy(nats):
    """The mean by a sum over a grid, in steps of the temperature/200, and the spike as a mass of its own."""
    eps = float(spikes.brentq(spikes.excess, 1 / (2 * nats), 1.0, args=(nats,), xtol=1e-14))
    assert eps < 1.2 / nats
    a = (np.arange(int(200 / eps)) + 0.5) * eps / 200
    weight, spike = np.exp(-a / eps) * eps / 200, np.exp(1 / eps - nats)
    mean = ((4 - a) @ weight + 5 * spike) / (weight.sum() + spike)
    assert (2 - 4 + mean / 2) ** 2 / 2 == pytest.approx(eps, rel=1e-2)
    assert (5 - mean) / 2 > 0.3


def test_the_limit_of_the_minimisers_is_a_table_of_positive_error():
    """r = (2, 1), gamma = 1/2: Q_1 = (3, 2), T* Q_1 - Q_1 = (1/2, 1/2), eps = 1/8."""
    found = commute.gap_limit_of_minimisers(gap=1, gamma=0.5, below=1, n=4)
    assert found.error == 0.125
    assert not found.ok
    assert commute.gap_limit_of_minimisers(gap=1, gamma=0.5, below=0, n=4).ok


def test_the_temperature_of_algorithm_2_at_the_optimum_is_the_variance_of_the_next_value():
    """s0 leads to s1 or s2, where 1 and 3 are paid, then to the end; gamma^2 Var V = 1/4, over 4 pairs."""
    transition = np.zeros((4, 1, 4))
    transition[0, 0, [1, 2]], transition[1:, 0, 3] = 0.5, 1.0
    mdp = TabularMDP(transition, [[0.0], [1.0], [3.0], [0.0]], 0.5)
    q_star = np.array([[1.0], [1.0], [3.0], [0.0]])
    assert residual.gap_sampled(mdp=mdp, q_star=q_star).error == 0.25 / 4


def test_drawn_optima_differ_between_states():
    """They were equal once, so that no claim on such instances depended on where the transitions lead."""
    drawn = draw(all_claims()["talk-theorem-2-i"].check.instances, seed=0, n=200)
    several = [x for x in drawn if x["mdp"].n_states > 1]
    assert sum(np.ptp(x["q_star"].max(axis=1)) > 0 for x in several) > len(several) / 3
    for x in several:
        ahead = x["mdp"].dense_transition @ x["q_star"].max(axis=1)
        np.testing.assert_array_equal(x["mdp"].reward + x["mdp"].gamma * ahead, x["q_star"])
