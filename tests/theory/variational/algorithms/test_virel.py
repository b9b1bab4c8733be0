"""virel and beta with exact expectations: by hand, limits, the residual error, edge cases, bad input."""

import math
from functools import partial
from itertools import islice

import numpy as np
import pytest

from tests.theory.variational.test_mpo_steps import BANDIT, masked_with_a_terminal_state, random_mdp, take
from virel_common.errors import InputError
from virel_theory import TabularMDP, bellman_policy, bellman_residual, solve
from virel_theory.operators.policies import boltzmann_policy
from virel_theory.solvers.solve import policy_evaluation
from virel_theory.variational.algorithms.classical import policy_iteration_steps
from virel_theory.variational.algorithms.virel import _product, beta, virel

FORMS = [
    virel,
    partial(virel, alpha=0.1, sweeps=2),
    beta,
    partial(beta, sampled=True),
    partial(beta, sampled=True, sweeps=None),
]


def sampled_error(mdp, q, w, d=None):
    """Algorithm 2's line, `E_D[(r + gamma w(s') - q)^2]`, summed over states, actions and next states."""
    total, p = 0.0, mdp.dense_transition
    for s in range(mdp.n_states):
        acts = np.flatnonzero(mdp.available[s])
        for a in acts:
            for t in range(mdp.n_states):
                square = (mdp.reward[s, a] + mdp.gamma * w[t] - q[s, a]) ** 2
                total += (1 / mdp.n_states if d is None else d[s]) / len(acts) * p[s, a, t] * square
    return total


def policy_mean(pi, q):
    return np.array(
        [sum(x * y for x, y in zip(a, b, strict=True) if x > 0) for a, b in zip(pi, q, strict=True)]
    )


# By hand


def test_one_step_of_virel_by_hand():
    # V = 1, Q = (3/2, 1/2): at alpha = 1 / log 3 the policy is (3/4, 1/4), its return 3/2, the best one 2
    x = next(virel(BANDIT, alpha=1 / math.log(3)))
    assert x.q.tolist() == [[1.5, 0.5]]
    np.testing.assert_allclose(x.policy, [[0.75, 0.25]], rtol=1e-14)
    assert x.posterior is x.policy
    assert x.prior.tolist() == [[0.5, 0.5]]
    assert x.temperature == 1 / math.log(3)
    assert x.kl == pytest.approx(math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25), rel=1e-13)
    assert x.value == pytest.approx(1.5, rel=1e-14)
    assert x.bound == pytest.approx(0.5, rel=1e-12)


def test_the_second_step_of_virel_has_the_values_of_the_first_policy():
    _, second = take(virel(BANDIT, alpha=1 / math.log(3)), 2)
    np.testing.assert_allclose(second.q, [[1.75, 0.75]], rtol=1e-14)


def test_two_steps_of_beta_by_hand():
    # v_0 = 1/2, Q_0 = (5/4, 1/4), w_0 = 3/4: beta = (w_0 - v_0) / 2 = 1/8, alpha = 64 / 64
    # with p = pi_1(first action): v_1 = p + v_0 / 2, Q_1 = r + v_1 / 2, w_1 = p + v_1 / 2
    first, second = take(beta(BANDIT, scale=64.0), 2)
    assert (first.q.tolist(), first.temperature) == ([[1.25, 0.25]], 1.0)
    p = math.e / (math.e + 1)
    np.testing.assert_allclose(first.policy, [[p, 1 - p]], rtol=1e-15)
    v = p + 0.25
    np.testing.assert_allclose(second.q, [[1 + v / 2, v / 2]], rtol=1e-15)
    alpha = 64 * ((p + v / 2 - v) / 2) ** 2
    assert second.temperature == pytest.approx(alpha, rel=1e-13)
    assert second.policy[0, 0] == pytest.approx(1 / (1 + math.exp(-1 / alpha)), rel=1e-13)


def test_the_temperature_with_sampled_next_states_by_hand():
    # s0 goes to s1 or s2, which stay: V = (3, 2, 6), and the mean of V(s') at s0 is 4. Temporal differences
    # there are (2 - 4) / 2 and (6 - 4) / 2, squares 1 (the counterexample of alg-2-temperature)
    step = np.array([[[0.0, 0.5, 0.5]], [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]])
    mdp = TabularMDP(step, [[1.0], [1.0], [3.0]], 0.5)
    exact, sampled = (next(beta(mdp, scale=2.0, sampled=x, sweeps=None)) for x in (False, True))
    assert exact.temperature == 0.0
    assert sampled.temperature == pytest.approx(2 / 3, rel=1e-14)
    assert next(beta(mdp, scale=2.0, sampled=True, sweeps=None, d=[1, 0, 0])).temperature == pytest.approx(
        2.0
    )


# Limits


@pytest.mark.parametrize("form", ["to_dense", "to_sparse"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "run", [partial(beta, sweeps=None), partial(beta, scale=1e9, sweeps=None), partial(virel, alpha=0.0)]
)
def test_without_a_temperature_the_iterates_are_those_of_policy_iteration_bit_for_bit(run, seed, form):
    mdp = getattr(random_mdp(seed), form)()
    for x, y in zip(take(run(mdp), 8), take(policy_iteration_steps(mdp), 8), strict=True):
        np.testing.assert_array_equal(x.q, y.q)
        np.testing.assert_array_equal(x.policy, y.policy)
        assert (x.step, x.temperature, x.value, x.error, x.bound) == (y.step, 0, y.value, y.error, y.bound)


def test_virel_at_temperature_0_with_sweeps_is_modified_policy_iteration():
    mdp = random_mdp(1)
    runs = take(virel(mdp, alpha=0.0, sweeps=3), 12), take(policy_iteration_steps(mdp, sweeps=3), 12)
    for x, y in zip(*runs, strict=True):
        np.testing.assert_array_equal(x.q, y.q)
        np.testing.assert_array_equal(x.policy, y.policy)


@pytest.mark.parametrize("run", [partial(virel, alpha=0.0), partial(beta, sweeps=None)])
def test_at_temperature_0_ties_are_uniform_over_the_maximisers(run):
    mdp = TabularMDP([[[1.0]] * 3], [[1.0, 1.0, 0.0]], 0.5)
    x = next(run(mdp, prior=[[0.0, 0.0, 1.0]]))
    assert x.policy.tolist() == [[0.5, 0.5, 0.0]]
    assert x.kl == pytest.approx(math.log(1.5), rel=1e-14)


def test_temperature_0_is_greedy_however_small_the_values_are():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1e-305, 0.0]], 0.5)
    for x in (next(virel(mdp, alpha=0.0)), next(beta(mdp, sweeps=None))):
        assert x.policy.tolist() == [[1.0, 0.0]]


def test_virels_policies_tend_to_the_greedy_one_and_to_the_uniform_one():
    mdp = random_mdp()
    greedy = next(policy_iteration_steps(mdp)).policy
    gap = np.diff(np.sort(next(virel(mdp)).q, axis=1))[:, -1].min()
    for alpha in (gap / 10, gap / 30, 1e-300):  # two other actions, each lighter by a factor of e^(gap/alpha)
        x = next(virel(mdp, alpha=alpha))
        np.testing.assert_allclose(x.policy, greedy, atol=2 * math.exp(-gap / alpha))
    x = next(virel(mdp, alpha=1e15))
    np.testing.assert_allclose(x.policy, 1 / 3, atol=np.ptp(x.q) / 1e15)
    assert next(virel(mdp, alpha=1e300)).policy.tolist() == np.full(mdp.shape, 1 / 3).tolist()


def test_virel_converges_to_a_policy_that_is_boltzmann_in_its_own_values():
    mdp = random_mdp()
    x = take(virel(mdp, alpha=0.5), 60)[-1]
    v = policy_evaluation(mdp, pi=x.policy, atol=1e-12).value
    np.testing.assert_allclose(x.q, mdp.reward + mdp.gamma * mdp.expect_next(v), rtol=1e-9)
    np.testing.assert_allclose(x.policy, boltzmann_policy(x.q, eps=0.5), rtol=1e-12)


def test_beta_comes_to_the_optimum_unless_next_states_are_sampled():
    mdp = random_mdp()
    exact, sampled = (take(beta(mdp, sampled=x), 400)[-1] for x in (False, True))
    assert exact.temperature < 1e-6
    assert exact.bound < 1e-6
    assert sampled.temperature > 1e-3
    assert sampled.bound > 1e-3


def test_on_deterministic_transitions_sampled_next_states_change_nothing():
    mdp = TabularMDP(np.eye(4)[[[1, 2], [0, 3], [3, 1], [2, 2]]], np.arange(8.0).reshape(4, 2) % 3, 0.9)
    for form in (mdp, mdp.to_sparse()):
        runs = take(beta(form, sampled=True), 6), take(beta(form, sampled=False), 6)
        for x, y in zip(*runs, strict=True):
            assert x.temperature == pytest.approx(y.temperature, rel=1e-13, abs=0)
            np.testing.assert_allclose(x.policy, y.policy, rtol=1e-9)


# The residual error


@pytest.mark.parametrize("sweeps", [1, 3])
def test_the_temperature_is_scale_times_the_mean_square_of_the_operators_residual(sweeps):
    mdp = masked_with_a_terminal_state()
    d, old = np.array([0.5, 0.2, 0.3]), np.where(mdp.available, 1 / mdp.available.sum(1, keepdims=True), 0.0)
    for x in take(beta(mdp, scale=0.7, d=d, sweeps=sweeps), 6):
        residual = bellman_residual(bellman_policy(mdp, x.q, pi=old), x.q)
        means = [np.mean([y**2 for y in row if y > -np.inf]) for row in residual]
        assert x.temperature == pytest.approx(0.7 * d @ means, rel=1e-10)
        old = x.policy


@pytest.mark.parametrize("sweeps", [1, 2, None])
@pytest.mark.parametrize("form", ["to_dense", "to_sparse"])
def test_with_sampled_next_states_it_is_algorithm_2s_line_by_a_direct_sum(form, sweeps):
    mdp = random_mdp(2)
    d, old = np.random.default_rng(0).dirichlet(np.ones(6)), np.full(mdp.shape, 1 / 3)
    for x in take(beta(getattr(mdp, form)(), scale=0.7, sampled=True, d=d, sweeps=sweeps), 6):
        # w is within 1e-15 * 10 of its values, which are a few units, so the squares within 1e-12, relative
        wanted = 0.7 * sampled_error(mdp, x.q, policy_mean(old, x.q), d)
        assert x.temperature == pytest.approx(wanted, rel=1e-11)
        old = x.policy


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_an_offset_of_all_rewards_moves_the_temperature_by_rounding_alone(offset):
    """Values near 1e9 have ulps of 1e-7: gaps of 0.1 to 1 are off by 1e-6 of themselves at most."""
    mdp = random_mdp()
    moved = TabularMDP(mdp.transition, mdp.reward + offset, mdp.gamma)
    for sampled in (False, True):
        plain, other = (next(beta(m, sampled=sampled, sweeps=None)).temperature for m in (mdp, moved))
        assert other == pytest.approx(plain, rel=1e-5, abs=0)


def test_states_of_weight_0_in_d_do_not_heat():
    mdp = masked_with_a_terminal_state()
    assert next(beta(mdp, d=[0.0, 0.0, 1.0])).temperature == 0.0  # the absorbing state has no residual
    assert next(beta(mdp, d=[1.0, 0.0, 0.0])).temperature > 0.1


def test_squares_that_underflow_do_not_lose_the_temperature():
    mdp = random_mdp()
    tiny = TabularMDP(mdp.transition, mdp.reward * 2.0**-600, mdp.gamma)
    for x, y in zip(take(beta(tiny, scale=2.0**600), 4), take(beta(mdp), 4), strict=True):
        assert x.temperature * 2.0**600 == y.temperature
        np.testing.assert_array_equal(x.policy, y.policy)
    assert next(beta(tiny, scale=1.0)).temperature == 0.0


def test_a_factor_of_the_temperature_out_of_range_does_not_take_it_out_of_range():
    # v = 1e20 / 2, w - v = gamma v, beta = gamma^2 v = 1/2
    x = next(beta(TabularMDP([[[1.0], [1.0]]], [[1e20, 0.0]], 1e-10), scale=1e300))
    assert x.temperature == pytest.approx(0.25e300, rel=1e-5)


@pytest.mark.parametrize(
    ("factors", "product"),
    [
        ((1e300, 1e300, 1e-300, 1e-300), 1.0),
        ((1e-300, 1e-300, 1e300, 1e300), 1.0),
        ((1e200, 1e200), math.inf),
        ((1e-200, 1e-200), 0.0),
        ((0.0, 1e300, 1e300), 0.0),
    ],
)
def test_a_product_leaves_the_range_where_its_result_does(factors, product):
    assert _product(*factors) == pytest.approx(product, rel=1e-14)


# Both


@pytest.mark.parametrize("algorithm", FORMS)
def test_values_and_bounds_are_those_of_the_acting_policy(algorithm):
    mdp = random_mdp()
    best = solve(mdp, atol=1e-10).value
    for x in take(algorithm(mdp), 4):
        v = policy_evaluation(mdp, pi=x.policy, atol=1e-10).value
        assert abs(mdp.initial @ v - x.value) <= x.error + 1e-9
        assert (best - v).max() <= x.bound + 1e-9


@pytest.mark.parametrize("algorithm", FORMS)
def test_missing_actions_and_terminal_states(algorithm):
    mdp = masked_with_a_terminal_state()
    for form in (mdp, mdp.to_sparse()):
        for x in take(algorithm(form), 20):
            assert (x.policy[~mdp.available] == 0).all()
            assert (x.q[~mdp.available] == -np.inf).all()
            assert x.prior.tolist() == [[1.0, 0.0], [0.5, 0.5], [1.0, 0.0]]
            np.testing.assert_allclose(x.policy.sum(axis=1), 1, rtol=1e-14)
            assert np.isfinite([x.temperature, x.kl, x.value, x.error]).all()


@pytest.mark.parametrize("algorithm", FORMS)
def test_dense_and_sparse_storage_give_the_same_iterates(algorithm):
    mdp = random_mdp(1)
    for x, y in zip(take(algorithm(mdp), 5), take(algorithm(mdp.to_sparse()), 5), strict=True):
        assert x.temperature == pytest.approx(y.temperature, rel=1e-10)
        np.testing.assert_allclose(x.policy, y.policy, atol=1e-8)  # values off by 1e-14 over 1e-4 or more
        np.testing.assert_allclose(x.q, y.q, atol=1e-8)


@pytest.mark.parametrize("algorithm", FORMS)
def test_one_state_and_one_action(algorithm):
    for mdp in (TabularMDP([[[1.0]]], [[3.0]], 0.0), TabularMDP([[[1.0]]], [[3.0]], 0.9)):
        for x in take(algorithm(mdp), 3):
            assert (x.policy.tolist(), x.kl) == ([[1.0]], 0.0)
            assert x.value == pytest.approx(3 / (1 - mdp.gamma), abs=x.error + 1e-12)


@pytest.mark.parametrize("sampled", [False, True])
def test_without_a_future_beta_is_greedy_from_the_first_step(sampled):
    mdp = TabularMDP(random_mdp().transition, random_mdp().reward, 0.0)
    x = next(beta(mdp, sampled=sampled))
    assert x.temperature == 0.0
    assert x.bound < 1e-13


@pytest.mark.parametrize("algorithm", FORMS)
def test_the_first_policy_only_starts(algorithm):
    prior = np.array([[0.1, 0.9, 0.0]] * 6)
    first, second = take(algorithm(random_mdp(), prior=prior), 2)
    other = next(algorithm(random_mdp()))
    assert np.abs(first.q - other.q).max() > 1e-3
    assert first.prior.tolist() == second.prior.tolist() == np.full((6, 3), 1 / 3).tolist()
    assert (first.policy[:, 2] > 0).any()


@pytest.mark.parametrize(
    ("algorithm", "bad", "message"),
    [
        (virel, {"alpha": -1.0}, "`alpha` must be non-negative and finite; found -1.0"),
        (virel, {"alpha": math.inf}, "`alpha` must be non-negative and finite; found inf"),
        (virel, {"alpha": "warm"}, "`alpha` must be a"),
        (virel, {"sweeps": 0}, "`sweeps` must be a positive integer or None; found 0"),
        (virel, {"prior": [[1.0]]}, "`prior` must have shape"),
        (virel, {"d": [0.5]}, "`d` must sum to 1"),
        (beta, {"scale": 0.0}, "`scale` must be positive and finite; found 0.0"),
        (beta, {"scale": math.nan}, "`scale` must be positive and finite; found nan"),
        (beta, {"sampled": 1}, "`sampled` must be True or False; found 1"),
        (beta, {"sampled": None}, "`sampled` must be True or False; found None"),
        (beta, {"sweeps": True}, "`sweeps` must be a positive integer or None; found True"),
        (beta, {"prior": [[0.5, 0.4]]}, "`prior`"),
        (beta, {"d": [0.5]}, "`d` must sum to 1"),
    ],
)
def test_a_bad_setting_is_one_line_when_the_function_is_called(algorithm, bad, message):
    with pytest.raises(InputError) as caught:
        algorithm(BANDIT, **bad)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_scale_that_takes_the_temperature_out_of_range_is_named_in_its_step():
    run = beta(TabularMDP([[[1.0], [1.0]]], [[1e10, 0.0]], 0.5), scale=1e300)
    rule = "`scale` must be so small that the temperature stays in the range of float64; found 1e\\+300"
    with pytest.raises(InputError, match=rule):
        next(islice(run, 1))
