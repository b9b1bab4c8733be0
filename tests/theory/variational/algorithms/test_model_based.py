"""Model-based cells: without a model, with the true and with a wrong one, both rollouts, plans, bad input."""

from itertools import islice

import numpy as np
import pytest

from tests.theory.variational.algorithms.test_smcp import deterministic, last
from tests.theory.variational.parts.test_plans import random_mdp, random_policy
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import m_step_complete
from virel_theory.solvers.solve import value_iteration
from virel_theory.variational.algorithms.model_based import mb_iadp, mb_mpo, mb_sac
from virel_theory.variational.core.budget import budget_temperature, tempered_posterior
from virel_theory.variational.core.e_step import posterior_policy
from virel_theory.variational.core.m_steps import prior_blind
from virel_theory.variational.core.regularised import regularised_action_value
from virel_theory.variational.parts.expansion import perturbed_model

MDP = random_mdp(0, masked=True)
PRIOR = random_policy(MDP, 1)


def soft_policy_iteration(mdp, prior, alpha, n):
    pi, out = prior, []
    for _ in range(n):
        q = regularised_action_value(mdp, pi=pi, prior=prior, alpha=alpha)
        pi = posterior_policy(q, prior=prior, alpha=alpha)
        out.append(pi)
    return out


@pytest.mark.parametrize(
    "change", [{"horizon": 0, "noise": 0.5}, {"horizon": 1}, {"horizon": 4, "trace": 0.5}]
)
def test_without_a_model_or_with_the_true_one_mb_sac_is_soft_policy_iteration(change):
    found = islice(mb_sac(MDP, alpha=0.7, prior=PRIOR, **change), 5)
    for step, pi in zip(found, soft_policy_iteration(MDP, PRIOR, 0.7, 5), strict=True):
        np.testing.assert_allclose(step.policy, pi, rtol=1e-11)


def test_a_long_expansion_is_soft_policy_iteration_in_the_model():
    model = perturbed_model(MDP, noise=0.5, seed=2)
    given = [
        mb_sac(MDP, alpha=0.7, prior=PRIOR, horizon=200, **x)
        for x in ({"model": model}, {"noise": 0.5, "seed": 2})
    ]
    for one, two, pi in zip(
        *(islice(x, 4) for x in given), soft_policy_iteration(model, PRIOR, 0.7, 4), strict=True
    ):
        np.testing.assert_allclose(one.policy, pi, atol=1e-12)
        np.testing.assert_array_equal(one.policy, two.policy)


def test_a_wrong_model_costs_return_and_the_truth_certifies_it():
    right, wrong = (last(mb_sac(MDP, alpha=0.1, noise=x, seed=3), 20) for x in (0.0, 0.9))
    assert wrong.value < right.value
    assert wrong.bound > right.bound


def test_rollouts_of_the_prior_take_its_plain_values():
    first, second = islice(mb_iadp(MDP, alpha=0.7, prior=PRIOR, horizon=3), 2)
    np.testing.assert_allclose(first.q, m_step_complete(MDP, pi=PRIOR), rtol=1e-11)
    np.testing.assert_allclose(second.q, m_step_complete(MDP, pi=first.prior), rtol=1e-11)
    np.testing.assert_array_equal(first.prior, first.policy)


def test_rollouts_of_the_posterior_pay_its_divergence_from_the_prior():
    seen, d = np.array([0, 1, 0]), np.array([0.5, 0.25, 0.25])
    first, second = islice(
        mb_iadp(MDP, alpha=0.7, prior=PRIOR, rollout="posterior", observation=seen, d=d), 2
    )
    np.testing.assert_allclose(first.prior, prior_blind(first.policy, d=d, observation=seen))
    q = regularised_action_value(MDP, pi=first.policy, prior=first.prior, alpha=0.7)
    np.testing.assert_allclose(second.q, q, rtol=1e-11)
    np.testing.assert_allclose(second.policy, posterior_policy(q, prior=first.prior, alpha=0.7), rtol=1e-11)


def test_a_prior_that_sees_everything_converges_to_an_optimal_policy():
    best = float(MDP.initial @ value_iteration(MDP, atol=1e-10).value)
    for iterates in (mb_iadp(MDP, alpha=0.5), mb_iadp(MDP, alpha=0.5, rollout="posterior")):
        assert last(iterates, 200).value == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("sparse", [False, True])
def test_without_a_model_mb_mpo_is_mpo_with_a_complete_m_step(sparse):
    pi, d = PRIOR, np.full(3, 1 / 3)
    for step in islice(mb_mpo(MDP.to_sparse() if sparse else MDP, prior=PRIOR, horizon=0), 4):
        q = m_step_complete(MDP, pi=pi)
        eta = budget_temperature(q, prior=pi, d=d, epsilon=0.1).eta
        pi = tempered_posterior(q, prior=pi, eta=eta)
        assert step.temperature == pytest.approx(eta, rel=1e-9)
        np.testing.assert_allclose(step.policy, pi, rtol=1e-9)


def test_plans_of_one_step_on_deterministic_dynamics_are_mpo_too():
    mdp = deterministic(MDP, 4)
    for one, none in zip(*(islice(mb_mpo(mdp, horizon=h), 4) for h in (1, 0)), strict=True):
        np.testing.assert_allclose(one.policy, none.policy, rtol=1e-9)
        assert one.kl == pytest.approx(none.kl, rel=1e-9)


def test_a_budget_that_does_not_bind_takes_the_best_possible_plan():
    step = next(mb_mpo(MDP, epsilon=10.0, horizon=2))
    assert step.temperature == 0.0
    assert set(np.unique(step.policy)) <= {0.0, 1.0}


def test_plans_seek_risk_on_random_dynamics():
    # action 0 pays 0.3 for sure; action 1 leads to state 1 (worth 1) or 2 (worth -1) with equal chances
    moves = np.zeros((3, 2, 3))
    moves[0] = [[1, 0, 0], [0, 0.5, 0.5]]
    moves[1:, :, 0] = 1
    mdp = TabularMDP(moves, np.array([[0.3, 0.0], [1.0, 1.0], [-1.0, -1.0]]), 0.9)
    assert last(mb_mpo(mdp, horizon=0), 60).policy[0, 0] > 0.99
    assert last(mb_mpo(mdp, horizon=1), 60).policy[0, 1] > 0.99  # the true model, and the worst policy


@pytest.mark.parametrize("algorithm", [mb_sac, mb_iadp, mb_mpo])
def test_sweeps_and_sparse_storage_give_the_same_limits(algorithm):
    exact, swept = (
        last(algorithm(m, noise=0.2, sweeps=n), 60) for m, n in ((MDP, None), (MDP.to_sparse(), 4))
    )
    np.testing.assert_allclose(swept.policy, exact.policy, atol=1e-4)
    assert abs(swept.value - exact.value) <= swept.error + exact.error + 1e-3


@pytest.mark.parametrize(
    ("algorithm", "change", "match"),
    [
        (mb_sac, {"alpha": -1.0}, "`alpha` must be positive"),
        (mb_sac, {"horizon": -1}, "`horizon` must be an integer of at least 0"),
        (mb_sac, {"trace": 2.0}, "`trace` must lie in"),
        (mb_sac, {"noise": 2.0}, "`noise` must lie in"),
        (mb_sac, {"model": MDP, "noise": 0.5}, "`noise` must be 0 if a `model` is given"),
        (mb_sac, {"model": random_mdp(0)}, "`model` must have the actions"),
        (mb_sac, {"sweeps": 1.5}, "`sweeps` must be a positive integer or None"),
        (mb_iadp, {"rollout": "both"}, "`rollout` must be one of prior, posterior; found 'both'"),
        (mb_iadp, {"observation": [0, 0, 1]}, "`observation` must differ between states with"),
        (mb_iadp, {"observation": [0.5, 0.5, 1]}, "`observation` must be one integer per state"),
        (mb_iadp, {"alpha": 0.0}, "`alpha` must be positive"),
        (mb_mpo, {"epsilon": -0.1}, "`epsilon` must be positive"),
        (mb_mpo, {"horizon": 0.5}, "`horizon` must be an integer"),
        (mb_mpo, {"d": [1.0]}, "`d` must have shape"),
    ],
)
def test_bad_settings_are_named_when_the_function_is_called(algorithm, change, match):
    with pytest.raises(InputError, match=match):
        algorithm(MDP, **change)
