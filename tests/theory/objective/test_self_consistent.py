"""Self-consistent temperatures: roots counted and proved, enclosures, units, bad input."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import Normalisation, bellman_residual, residual_error
from virel_theory.objective.self_consistent import (
    self_consistent_temperatures,
    temperature_map,
    temperature_map_derivative,
)
from virel_theory.operators.bellman import bellman_boltzmann, bellman_optimal, bellman_policy


def one_state(reward, gamma):
    return TabularMDP(np.ones((1, len(reward), 1)), [reward], gamma)


# Q = Q* with gap 104 at gamma = 1/2: g = (52 sigma(-104/eps))^2 / 2, by hand.
HOT = one_state([104.0, 0.0], 0.5)
HOT_Q = [[208.0, 104.0]]


def exact_map(mdp, q, eps, p=2):
    """g in 40 digits, mean norm, by loops."""
    with mpmath.workdps(40):
        v = []
        for row in np.asarray(q):
            mass = [mpmath.exp((mpmath.mpf(x) - row.max()) / eps) for x in row]
            v.append(sum(m * mpmath.mpf(x) for m, x in zip(mass, row, strict=True)) / sum(mass))
        total = mpmath.mpf(0)
        for s in range(mdp.n_states):
            for a in range(mdp.n_actions):
                mean = sum(mpmath.mpf(x) * y for x, y in zip(mdp.transition[s, a], v, strict=True))
                beta = mpmath.mpf(mdp.reward[s, a]) + mpmath.mpf(mdp.gamma) * mean - mpmath.mpf(q[s][a])
                total += abs(beta) ** p
        return total / (p * mdp.n_pairs)


def random_instance(seed, *, scale=100.0):
    rng = np.random.default_rng(seed)
    n_states, n_actions = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    transition = rng.dirichlet(np.ones(n_states), size=(n_states, n_actions))
    q = rng.uniform(0, scale, size=(n_states, n_actions))
    gamma = float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    reward = q - gamma * transition @ q.max(axis=1) + rng.choice([0.0, 0.5]) * rng.normal(size=q.shape)
    return TabularMDP(transition, reward, gamma), q


def test_the_map_of_the_hand_worked_example():
    for eps in (10.0, 104.0, 1000.0):
        by_hand = (52 / (1 + np.exp(104 / eps))) ** 2 / 2
        np.testing.assert_allclose(temperature_map(HOT, HOT_Q, eps=eps), by_hand, rtol=1e-11)


def test_the_map_at_zero_is_the_error_of_the_optimal_operator_and_at_infinity_of_the_uniform_policy():
    mdp, q = random_instance(3)
    optimal = residual_error(bellman_residual(bellman_optimal(mdp, q), q))
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    hot = residual_error(bellman_residual(bellman_policy(mdp, q, pi=uniform), q))
    np.testing.assert_allclose(temperature_map(mdp, q, eps=0.0), optimal, rtol=1e-12, atol=1e-24)
    np.testing.assert_allclose(temperature_map(mdp, q, eps=np.inf), hot, rtol=1e-12)
    np.testing.assert_allclose(temperature_map(mdp, q, eps=1e12), hot, rtol=1e-9)


@pytest.mark.parametrize("eps", [1e-3, 1.0, 30.0, 1e5])
def test_the_map_is_the_residual_error_of_the_boltzmann_operator(eps):
    mdp, q = random_instance(4)
    expected = residual_error(bellman_residual(bellman_boltzmann(mdp, q, eps=eps), q))
    np.testing.assert_allclose(temperature_map(mdp, q, eps=eps), expected, rtol=1e-11)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("p", [2, 3])
def test_the_derivative_agrees_with_a_central_difference_in_40_digits(seed, p):
    mdp, q = random_instance(seed)
    eps = mpmath.mpf(20)
    with mpmath.workdps(40):
        h = mpmath.mpf(10) ** -12
        slope = (exact_map(mdp, q, eps + h, p) - exact_map(mdp, q, eps - h, p)) / (2 * h)
    ours = temperature_map_derivative(mdp, q, eps=20.0, p_norm=float(p))
    np.testing.assert_allclose(ours, float(slope), rtol=1e-9, atol=1e-12)


def test_the_optimum_has_three_temperatures_and_they_solve_the_equation_in_40_digits():
    found = self_consistent_temperatures(HOT, HOT_Q)
    assert found.complete
    assert [round(root.eps, 4) for root in found.roots] == [0.0, 130.5087, 152.2216]
    for root in found.roots[1:]:
        below = exact_map(HOT, HOT_Q, mpmath.mpf(root.lower)) - root.lower
        above = exact_map(HOT, HOT_Q, mpmath.mpf(root.upper)) - root.upper
        assert below * above < 0
        assert root.upper - root.lower < 1e-9


def test_a_gap_of_103_has_one_temperature_at_the_optimum():
    found = self_consistent_temperatures(one_state([103.0, 0.0], 0.5), [[206.0, 103.0]])
    assert found.complete
    assert [root.eps for root in found.roots] == [0.0]


def test_near_the_optimum_there_are_three_positive_temperatures():
    found = self_consistent_temperatures(one_state([105.0, -1.0], 0.5), HOT_Q)
    assert found.complete
    assert [round(root.eps, 3) for root in found.roots] == [0.5, 126.311, 156.778]
    assert [root.slope > 1 for root in found.roots] == [False, True, False]


@pytest.mark.parametrize("seed", range(40))
def test_no_root_of_a_fine_scan_is_missed_and_the_count_is_odd(seed):
    mdp, q = random_instance(seed, scale=float(10 ** np.random.default_rng(seed).uniform(0, 4)))
    found = self_consistent_temperatures(mdp, q)
    assert found.complete
    assert len(found.roots) % 2 == 1
    top = 2 * max(root.upper for root in found.roots) + 1
    grid = np.concatenate([np.logspace(-6, np.log10(top), 300), np.linspace(1e-6, top, 300)])
    signs = {e: np.sign(temperature_map(mdp, q, eps=float(e)) - e) for e in np.sort(grid)}
    order = sorted(signs)
    for a, b in pairwise(order):
        if signs[a] * signs[b] < 0:
            assert sum(a <= root.upper and root.lower <= b for root in found.roots) % 2 == 1


def test_every_enclosure_holds_a_sign_change_in_40_digits():
    for seed in range(10):
        mdp, q = random_instance(seed)
        for root in self_consistent_temperatures(mdp, q).roots:
            if root.lower > 0:
                low = exact_map(mdp, q, mpmath.mpf(root.lower)) - mpmath.mpf(root.lower)
                high = exact_map(mdp, q, mpmath.mpf(root.upper)) - mpmath.mpf(root.upper)
                assert low * high < 0


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
def test_other_norms_have_roots_that_solve_the_equation(p):
    mdp, q = random_instance(7)
    found = self_consistent_temperatures(mdp, q, p_norm=p, normalisation=Normalisation.POWER, c=0.5)
    assert found.complete
    for root in found.roots:
        value = temperature_map(mdp, q, eps=root.eps, p_norm=p, normalisation=Normalisation.POWER, c=0.5)
        np.testing.assert_allclose(value, root.eps, rtol=1e-9, atol=1e-12)


def test_scaling_rewards_and_values_scales_the_temperatures():
    found = self_consistent_temperatures(HOT, HOT_Q).roots
    scaled = self_consistent_temperatures(
        one_state([1.04, 0.0], 0.5), [[2.08, 1.04]], c=100.0
    ).roots  # c |beta|^2 scales like beta
    np.testing.assert_allclose([r.eps for r in scaled], [r.eps / 100 for r in found], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [1e-140, 1e-100, 1e-78, 1e-10])
def test_small_rewards_have_the_temperature_of_their_greedy_residual(scale):
    """beta = (0, 4 scale): eps = 4 scale^2, so gap / eps > 1e11 and the policy is greedy to all digits."""
    found = self_consistent_temperatures(one_state([104 * scale, 0.0], 0.5), [[208 * scale, 100 * scale]])
    assert found.complete
    np.testing.assert_allclose([root.eps for root in found.roots], [4 * scale**2], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-163, 1e-200])
def test_a_temperature_too_small_for_float64_is_not_reported_as_exactly_zero(scale):
    found = self_consistent_temperatures(one_state([104 * scale, 0.0], 0.5), [[208 * scale, 100 * scale]])
    assert [(root.lower, root.upper) for root in found.roots] == [(0.0, 5e-324)]


def test_a_temperature_too_large_for_float64_is_enclosed_by_infinity():
    (root,) = self_consistent_temperatures(one_state([1e200, 0.0], 0.5), [[2e200, 0.0]]).roots
    assert (root.eps, root.lower, root.upper) == (np.inf, np.finfo(np.float64).max, np.inf)


@pytest.mark.parametrize("scale", [1e-300, 1e250])
def test_a_temperature_out_of_range_in_units_of_the_values_is_undecided(scale):
    found = self_consistent_temperatures(one_state([scale, 0.0], 0.5), [[4 * scale, 0.0]], p_norm=3.0)
    assert (found.roots, found.undecided) == ((), ((0.0, np.inf),))


def test_a_gap_far_beyond_the_temperature_leaves_the_greedy_policy():
    (root,) = self_consistent_temperatures(HOT, [[208.0, 100.0]], c=1e-200).roots  # gap / eps = 2.7e201
    np.testing.assert_allclose(root.eps, 4e-200, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e12, 1e14, 1e100])
@pytest.mark.parametrize("n_actions", [2, 50])
def test_large_rewards_have_the_one_temperature_of_the_uniform_policy(scale, n_actions):
    """eps = c scale^2 is far above the gaps 2 scale: beta = scale (1/2 - t), but for gap / eps < 1e-10."""
    t = np.linspace(0, 1, n_actions)
    found = self_consistent_temperatures(one_state(scale * t, 0.5), [2 * scale * t])
    assert found.complete
    expected = scale**2 * np.mean((0.5 - t) ** 2) / 2
    np.testing.assert_allclose([root.eps for root in found.roots], [expected], rtol=1e-9)


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("k", [-90, 7, 90])
def test_the_temperatures_scale_with_the_values_when_the_weights_make_up_for_the_power(p, k):
    mdp, q = random_instance(8)
    scale = 2.0**k
    scaled = TabularMDP(mdp.transition, scale * mdp.reward, mdp.gamma)
    here = self_consistent_temperatures(mdp, q, p_norm=p)
    there = self_consistent_temperatures(scaled, scale * q, p_norm=p, c=scale ** (1 - p))
    np.testing.assert_allclose([r.eps / scale for r in there.roots], [r.eps for r in here.roots], rtol=1e-9)


def test_dense_sparse_masked_and_permuted_encodings_agree():
    mdp, q = random_instance(5)
    roots = [root.eps for root in self_consistent_temperatures(mdp, q).roots]
    sparse = self_consistent_temperatures(mdp.to_sparse(), q).roots
    transition = np.concatenate([mdp.transition, np.zeros((mdp.n_states, 1, mdp.n_states))], axis=1)
    mask = np.ones((mdp.n_states, mdp.n_actions + 1), bool)
    mask[:, -1] = False
    padded = TabularMDP(transition, np.c_[mdp.reward, np.zeros(mdp.n_states)], mdp.gamma, mask=mask)
    masked = self_consistent_temperatures(padded, np.c_[q, np.full(mdp.n_states, -np.inf)]).roots
    flipped = TabularMDP(mdp.transition[:, ::-1], mdp.reward[:, ::-1], mdp.gamma)
    permuted = self_consistent_temperatures(flipped, q[:, ::-1]).roots
    for other in (sparse, masked, permuted):
        np.testing.assert_allclose([root.eps for root in other], roots, rtol=1e-9, atol=1e-12)


def test_one_action_has_the_residual_error_itself_as_temperature():
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.5)
    found = self_consistent_temperatures(mdp, [[4.0]])
    assert found.complete
    assert [root.eps for root in found.roots] == [0.5]


def test_gamma_zero_and_ties_leave_a_constant_map():
    tied = TabularMDP(np.ones((1, 2, 1)), [[1.0, 2.0]], 0.75)
    for mdp, q in ((one_state([1.0, 0.0], 0.0), [[3.0, 0.0]]), (tied, [[5.0, 5.0]])):
        found = self_consistent_temperatures(mdp, q)
        assert found.complete
        assert len(found.roots) == 1
        np.testing.assert_allclose(found.roots[0].eps, temperature_map(mdp, q, eps=0.0), rtol=1e-12)


def test_a_table_of_zeros_without_reward_has_temperature_zero():
    found = self_consistent_temperatures(one_state([0.0, 0.0], 0.5), [[0.0, 0.0]])
    assert [(root.lower, root.upper) for root in found.roots] == [(0.0, 0.0)]


def test_a_fold_is_reported_as_undecided_or_not_at_all_but_never_as_an_even_count():
    """At D = 2/(gamma^2 max x sigma(-x)^2) the two positive roots merge (2 x sigma(x) = 1)."""
    with mpmath.workdps(30):
        x = mpmath.findroot(lambda t: 2 * t / (1 + mpmath.exp(-t)) - 1, 0.74)
        gap = float(8 * (1 + mpmath.exp(x)) ** 2 / x)
    for nudge in (-1e-9, -1e-13, 0.0, 1e-13, 1e-9):
        d = gap * (1 + nudge)
        found = self_consistent_temperatures(one_state([d, 0.0], 0.5), [[2 * d, d]])
        assert not found.complete or len(found.roots) in (1, 3)
        if nudge == 1e-9:
            assert len(found.roots) == 3
        if nudge == -1e-9:
            assert len(found.roots) == 1


def test_too_few_boxes_are_reported_as_undecided():
    found = self_consistent_temperatures(HOT, HOT_Q, max_boxes=3)
    assert not found.complete


@pytest.mark.parametrize("eps", [-1.0, np.nan])
def test_a_temperature_below_zero_is_refused(eps):
    for function in (temperature_map, temperature_map_derivative):
        with pytest.raises(InputError, match="`eps` must lie in"):
            function(HOT, HOT_Q, eps=eps)


def test_bad_tables_and_box_limits_are_refused():
    with pytest.raises(InputError, match="`q` must be finite"):
        self_consistent_temperatures(HOT, [[np.nan, 0.0]])
    with pytest.raises(InputError, match="`max_boxes` must be a positive integer"):
        self_consistent_temperatures(HOT, HOT_Q, max_boxes=0)
