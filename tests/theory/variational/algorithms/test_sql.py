"""Soft Q-learning with exact expectations: by hand, against the soft solver, edge cases, invalid input."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory import TabularMDP, garnet, merl_objective, soft_value_iteration
from virel_theory.variational.algorithms.sql import sql

ONE = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)


def test_two_steps_by_hand():
    # q_1 = r, V_1 = log(e + 1); q_2 = r + V_1 / 2
    first, second = islice(sql(ONE, alpha=1.0), 2)
    v = math.log(math.e + 1)
    assert (first.step, second.step) == (1, 2)
    np.testing.assert_allclose(first.q, [[1.0, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(second.q, [[1 + v / 2, v / 2]], rtol=1e-15)
    pi = math.e / (math.e + 1)
    for x in (first, second):
        np.testing.assert_allclose(x.policy, [[pi, 1 - pi]], rtol=1e-15)
        assert x.kl == pytest.approx(math.log(2) + pi * math.log(pi) + (1 - pi) * math.log(1 - pi), rel=1e-13)
        assert x.value == pytest.approx(2 * pi, rel=1e-14)
        assert x.prior.tolist() == [[0.5, 0.5]]
        assert x.temperature == 1.0
        np.testing.assert_array_equal(x.posterior, x.policy)


def test_the_first_values_and_the_temperature_enter():
    (first,) = islice(sql(ONE, alpha=2.0, v0=[4.0]), 1)
    np.testing.assert_allclose(first.q, [[3.0, 2.0]], rtol=1e-15)
    assert first.policy[0, 0] == pytest.approx(1 / (1 + math.exp(-0.5)), rel=1e-14)


@pytest.mark.parametrize("form", ["to_dense", "to_sparse"])
def test_iterates_converge_to_the_soft_solver_at_rate_gamma(form):
    mdp = getattr(garnet(12, 3, 4, gamma=0.8, rng=np.random.default_rng(0)), form)()
    exact = soft_value_iteration(mdp, c=0.5, atol=1e-11)
    errors = [np.abs(x.q - exact.q).max() for x in islice(sql(mdp, alpha=0.5), 40)]
    assert all(b <= 0.8 * a + 1e-10 for a, b in pairwise(errors))
    assert errors[-1] < 0.8**39 * errors[0] + 1e-10


def test_the_return_is_that_of_the_policy_and_its_distance_from_optimal_is_bounded():
    mdp = garnet(12, 3, 4, gamma=0.8, rng=np.random.default_rng(1))
    for x in islice(sql(mdp, alpha=0.5), 3):
        truth = merl_objective(mdp, pi=x.policy, c=0.0)
        assert abs(x.value - truth) <= x.error + 1e-13
        assert x.bound >= 0


def test_sweeps_change_the_reported_numbers_only():
    mdp = garnet(12, 3, 4, gamma=0.8, rng=np.random.default_rng(2))
    exact, swept = (list(islice(sql(mdp, alpha=0.5, sweeps=n), 4)) for n in (None, 5))
    for x, y in zip(exact, swept, strict=True):
        np.testing.assert_array_equal(x.q, y.q)
        assert abs(x.value - y.value) <= x.error + y.error
        assert y.bound >= x.bound > 0


def test_missing_actions_and_the_distribution_of_the_kl():
    mask = np.array([[True, False], [True, True]])
    mdp = TabularMDP(np.eye(2)[[[0, 0], [1, 1]]] * mask[:, :, None], [[1.0, 0.0], [2.0, 0.0]], 0.5, mask=mask)
    (x,) = islice(sql(mdp, alpha=1.0, d=[1.0, 0.0]), 1)
    assert x.q[0, 1] == -np.inf
    assert x.policy[0].tolist() == [1.0, 0.0]
    assert x.kl == 0.0
    (y,) = islice(sql(mdp, alpha=1.0, d=[0.0, 1.0]), 1)
    assert y.kl > 0.1


def test_one_action_and_no_discount():
    mdp = TabularMDP([[[1.0]]], [[3.0]], 0.0)
    for x in islice(sql(mdp), 2):
        assert (x.q.tolist(), x.kl, x.value) == ([[3.0]], 0.0, 3.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha": 0.0}, "`alpha` must be positive"),
        ({"v0": [1.0, 2.0]}, "`v0` must have shape"),
        ({"d": [0.5]}, "`d` must sum to 1"),
        ({"sweeps": 0}, "`sweeps` must be a positive integer"),
    ],
)
def test_bad_settings_are_named_when_called(settings, message):
    with pytest.raises(InputError, match=message):
        sql(ONE, **settings)
