"""MPO, parametric MPO, natural gradient, policy iteration: worked steps, guarantees, limits, bad input."""

from itertools import islice, pairwise

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.operators.policies import kl_divergence
from virel_theory.solvers.solve import policy_evaluation, solve
from virel_theory.variational.algorithms.classical import policy_iteration_steps, soft_policy_iteration_steps
from virel_theory.variational.algorithms.mpo import mpo, mpo_parametric
from virel_theory.variational.algorithms.natural import natural_policy_gradient
from virel_theory.variational.table import algorithm_row

BANDIT = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
ALL = [mpo, mpo_parametric, natural_policy_gradient, policy_iteration_steps, soft_policy_iteration_steps]


def random_mdp(seed=0):
    return garnet(6, 3, 2, gamma=0.9, rng=np.random.default_rng(seed))


def masked_with_a_terminal_state():
    """State 2 absorbs with reward 0 and one action; state 0 lacks action 1."""
    transition = np.zeros((3, 2, 3))
    transition[0, 0, 1] = transition[1, 0, 0] = transition[1, 1, 2] = transition[2, 0, 2] = 1.0
    mask = np.array([[True, False], [True, True], [True, False]])
    return TabularMDP(transition, [[-1.0, 0.0], [1.0, 2.0], [0.0, 0.0]], 0.9, mask=mask)


def take(steps, n):
    return list(islice(steps, n))


@pytest.mark.parametrize("algorithm", ALL)
def test_values_and_bounds_are_those_of_the_acting_policy(algorithm):
    mdp = random_mdp()
    best = solve(mdp, atol=1e-10).value
    for x in take(algorithm(mdp), 4):
        v = policy_evaluation(mdp, pi=x.policy, atol=1e-10).value
        assert abs(mdp.initial @ v - x.value) <= x.error + 1e-9
        assert (best - v).max() <= x.bound + 1e-9
        assert x.error <= 1e-11


@pytest.mark.parametrize("algorithm", ALL)
def test_steps_count_from_one_and_never_end(algorithm):
    assert [x.step for x in take(algorithm(BANDIT), 50)] == list(range(1, 51))


@pytest.mark.parametrize("algorithm", ALL)
def test_missing_actions_and_terminal_states(algorithm):
    mdp = masked_with_a_terminal_state()
    for x in take(algorithm(mdp), 20):
        assert (x.policy[~mdp.available] == 0).all()
        assert (x.q[~mdp.available] == -np.inf).all()
        np.testing.assert_allclose(x.policy.sum(axis=1), 1, rtol=1e-14)
    assert x.policy[2].tolist() == [1.0, 0.0]


@pytest.mark.parametrize("algorithm", ALL)
def test_dense_and_sparse_storage_give_the_same_iterates(algorithm):
    mdp = random_mdp(1)
    for x, y in zip(take(algorithm(mdp), 5), take(algorithm(mdp.to_sparse()), 5), strict=True):
        np.testing.assert_allclose(x.policy, y.policy, atol=1e-10)
        np.testing.assert_allclose(x.q, y.q, atol=1e-10)


@pytest.mark.parametrize("algorithm", ALL)
def test_settings_are_checked_when_the_function_is_called(algorithm):
    with pytest.raises(InputError, match="`prior` must have shape"):
        algorithm(BANDIT, prior=[[1.0]])
    with pytest.raises(InputError, match="`d` must sum to 1"):
        algorithm(BANDIT, d=[0.5])


@pytest.mark.parametrize("algorithm", [mpo, mpo_parametric, natural_policy_gradient, policy_iteration_steps])
@pytest.mark.parametrize("sweeps", [0, -1, 1.5, True])
def test_the_number_of_sweeps_is_a_positive_integer(algorithm, sweeps):
    with pytest.raises(InputError, match="`sweeps` must be a positive integer or None"):
        algorithm(BANDIT, sweeps=sweeps)


@pytest.mark.parametrize(
    ("algorithm", "bad"),
    [
        (mpo, {"epsilon": 0.0}),
        (mpo, {"eta": 0.0}),
        (mpo, {"trust": -1.0}),
        (mpo_parametric, {"trust": 0.0}),
        (natural_policy_gradient, {"step": 0.0}),
        (policy_iteration_steps, {"tie_tol": -1.0}),
        (soft_policy_iteration_steps, {"alpha": 0.0}),
        (soft_policy_iteration_steps, {"exponent": 1.5}),
    ],
)
def test_a_setting_out_of_its_range_is_named(algorithm, bad):
    (name,) = bad
    with pytest.raises(InputError, match=f"`{name}`"):
        algorithm(BANDIT, **bad)


@pytest.mark.parametrize(
    "name", ["mpo", "mpo-parametric", "natural-policy-gradient", "policy-iteration", "soft-policy-iteration"]
)
def test_the_table_finds_the_functions(name):
    assert next(algorithm_row(name).load()(BANDIT)).step == 1


# One algorithm each.


def test_one_step_of_mpo_by_hand():
    # Q = (1.5, 0.5): with eta = 1 / log 3 the posterior is (3/4, 1/4)
    x = next(mpo(BANDIT, eta=1 / np.log(3)))
    np.testing.assert_allclose(x.q, [[1.5, 0.5]])
    np.testing.assert_allclose(x.posterior, [[0.75, 0.25]], rtol=1e-14)
    assert x.policy is x.posterior
    assert x.kl == pytest.approx(np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert x.value == pytest.approx(1.5)


@pytest.mark.parametrize("seed", range(3))
def test_mpo_spends_its_budget_and_the_trust_region_binds(seed):
    mdp = random_mdp(seed)
    d = np.random.default_rng(seed).dirichlet(np.ones(6))
    old = np.full(mdp.shape, 1 / 3)
    for x in take(mpo(mdp, epsilon=0.05, trust=0.01, d=d), 5):
        assert x.kl == pytest.approx(0.05, rel=1e-10)
        assert d @ kl_divergence(x.posterior, old) == pytest.approx(0.05, rel=1e-10)
        assert d @ kl_divergence(old, x.prior) == pytest.approx(0.01, rel=1e-10)
        tilted = old * np.exp(x.q / x.temperature)
        np.testing.assert_allclose(x.posterior, tilted / tilted.sum(axis=1, keepdims=True), rtol=1e-10)
        old = x.prior


def test_a_fixed_temperature_overrules_the_budget():
    assert [x.temperature for x in take(mpo(random_mdp(), eta=0.3, epsilon=1e-6), 3)] == [0.3] * 3


def test_a_budget_that_does_not_bind_gives_the_greedy_policy_which_then_stays():
    mdp = random_mdp()
    first, second = take(mpo(mdp, epsilon=50.0), 2)
    assert first.temperature == second.temperature == 0.0
    np.testing.assert_array_equal(first.policy, next(policy_iteration_steps(mdp)).policy)
    np.testing.assert_array_equal(second.policy, first.policy)
    assert second.bound > 1e-3  # the lost actions would be better: a budget this large stops MPO early


def test_exact_values_rise_in_every_state_under_mpo():
    mdp = random_mdp()
    q = [(x.prior * x.q).sum(axis=1) for x in take(mpo(mdp, epsilon=0.2), 10)]
    assert all((after >= before - 1e-12).all() for before, after in pairwise(q))


def test_a_prior_that_excludes_an_action_keeps_it_out():
    prior = np.array([[0.5, 0.5, 0.0]] * 6)
    for algorithm in (mpo, mpo_parametric, natural_policy_gradient):
        assert (take(algorithm(random_mdp(), prior=prior), 3)[-1].policy[:, 2] == 0).all()


def test_sweeps_back_up_from_the_last_values():
    mdp = random_mdp()
    first, second = take(mpo(mdp, sweeps=2), 2)
    v = np.zeros(6)
    for policy, q in ((np.full(mdp.shape, 1 / 3), first.q), (first.policy, second.q)):
        for _ in range(2):
            v = (policy * (mdp.reward + mdp.gamma * mdp.expect_next(v))).sum(axis=1)
        np.testing.assert_allclose(q, mdp.reward + mdp.gamma * mdp.expect_next(v), rtol=1e-13)


def test_one_step_of_parametric_mpo_by_hand():
    x = next(mpo_parametric(BANDIT, trust=np.log(4 / 3) / 2))
    np.testing.assert_allclose(x.policy, [[0.75, 0.25]], rtol=1e-12)
    assert x.temperature == pytest.approx(0.75, rel=1e-12)
    assert x.kl == pytest.approx(np.log(2) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25))


def test_parametric_mpo_meets_its_bound_from_the_old_policy():
    old = np.full((6, 3), 1 / 3)
    for x in take(mpo_parametric(random_mdp(), trust=0.02), 4):
        assert kl_divergence(old, x.policy).mean() == pytest.approx(0.02, rel=1e-10)
        old = x.policy


def test_one_step_of_natural_policy_gradient_by_hand():
    x = next(natural_policy_gradient(BANDIT, step=np.log(3)))
    np.testing.assert_allclose(x.policy, [[0.75, 0.25]], rtol=1e-14)
    assert x.temperature == pytest.approx(1 / np.log(3))


def test_natural_policy_gradient_is_mpo_at_a_fixed_temperature():
    mdp = random_mdp()
    steps = take(natural_policy_gradient(mdp, step=1 / 0.7), 30), take(mpo(mdp, eta=0.7), 30)
    for x, y in zip(*steps, strict=True):
        np.testing.assert_allclose(x.policy, y.policy, rtol=1e-9)
        assert x.kl == pytest.approx(y.kl, rel=1e-6, abs=1e-14)


def test_policy_iteration_stays_at_the_optimum_and_ties_are_uniform():
    mdp = TabularMDP([[[1.0], [1.0], [1.0]]], [[1.0, 1.0, 0.0]], 0.5)
    first, second = take(policy_iteration_steps(mdp), 2)
    assert first.policy.tolist() == second.policy.tolist() == [[0.5, 0.5, 0.0]]
    assert first.kl == pytest.approx(np.log(1.5))
    assert second.kl == 0.0
    assert next(policy_iteration_steps(mdp, prior=[[0.0, 0.0, 1.0]])).kl == np.inf
    assert next(policy_iteration_steps(mdp, tie_tol=1.0)).policy.tolist() == [[1 / 3] * 3]


def test_soft_policy_iteration_converges_to_its_fixed_point():
    mdp, alpha = random_mdp(), 0.5
    prior = np.random.default_rng(0).dirichlet(np.ones(3), size=6)
    x = take(soft_policy_iteration_steps(mdp, alpha=alpha, exponent=0.5, prior=prior), 30)[-1]
    weights = prior**0.5 * np.exp(x.q / alpha)
    np.testing.assert_allclose(x.policy, weights / weights.sum(axis=1, keepdims=True), rtol=1e-10)
    v = alpha * np.log(weights.sum(axis=1))
    np.testing.assert_allclose(x.q, mdp.reward + mdp.gamma * mdp.expect_next(v), rtol=1e-10)
    assert x.prior.tolist() == prior.tolist()
    assert x.kl == pytest.approx(kl_divergence(x.policy, prior).mean())
