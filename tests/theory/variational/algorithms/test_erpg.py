"""Entropy-regularised policy gradients: by hand, finite differences, both forms, fixed point, bad input."""

import math
from itertools import islice

import numpy as np
import pytest

from tests.support.oracles import finite_difference
from virel_common.errors import InputError
from virel_theory import (
    TabularMDP,
    garnet,
    posterior_policy,
    regularised_objective,
    regularised_value,
    soft_maximum,
    soft_value_iteration,
)
from virel_theory.variational.algorithms.erpg import erpg

BANDIT = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
FORMS = ("policy-gradient", "soft-q")


@pytest.mark.parametrize("form", FORMS)
def test_two_steps_of_a_bandit_by_hand(form):
    # q_0 = 0, pi = (1/2, 1/2), Q = r: q_1 = (1/4, 0) for step 1/2; then pi_1 = e^(1/4)/(e^(1/4) + 1)
    first, second = islice(erpg(BANDIT, tau=1.0, step=0.5, form=form), 2)
    np.testing.assert_allclose(first.q, [[0.25, 0.0]], rtol=1e-15)
    p = 1 / (1 + math.exp(-0.25))
    np.testing.assert_allclose(first.policy, [[p, 1 - p]], rtol=1e-14)
    np.testing.assert_allclose(second.q, [[0.25 + 0.5 * p * 0.75, 0.0]], rtol=1e-14, atol=1e-16)
    assert first.value == pytest.approx(p, rel=1e-14)
    assert first.kl == pytest.approx(math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p), rel=1e-12)
    assert (first.step, first.temperature, first.prior.tolist()) == (1, 1.0, [[0.5, 0.5]])
    np.testing.assert_array_equal(first.posterior, first.policy)


def test_the_policy_gradient_form_is_the_gradient_of_the_regularised_return_and_of_the_value_error():
    mdp = garnet(4, 3, 2, gamma=0.7, rng=np.random.default_rng(0))
    prior = np.random.default_rng(1).dirichlet(np.ones(3), size=4)
    (x, y) = islice(erpg(mdp, tau=0.5, step=0.3, prior=prior), 2)
    weights = _visits(mdp, x.policy)
    v = regularised_value(mdp, pi=x.policy, prior=prior, alpha=0.5)

    def gain(flat):
        table = flat.reshape(4, 3)
        pi = posterior_policy(table, prior=prior, alpha=0.5)
        error = soft_maximum(table, prior=prior, alpha=0.5) - v
        return 0.5 * 0.3 * regularised_objective(mdp, pi=pi, prior=prior, alpha=0.5) - weights @ error**2 / 2

    expected = 0.3 * finite_difference(gain, x.q.ravel()).reshape(4, 3)
    np.testing.assert_allclose(y.q - x.q, expected, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
def test_soft_q_form_descends_the_squared_error_of_the_table(form):
    mdp = garnet(4, 3, 2, gamma=0.7, rng=np.random.default_rng(2)).to_sparse()
    (x, y) = islice(erpg(mdp, tau=0.5, step=0.3, form=form), 2)
    v = regularised_value(mdp, pi=x.policy, prior=x.prior, alpha=0.5)
    target = mdp.reward + 0.7 * mdp.expect_next(v)
    expected = x.q - 0.3 * _visits(mdp, x.policy)[:, None] * x.policy * (x.q - target)
    np.testing.assert_allclose(y.q, expected, rtol=1e-12, atol=1e-13)


def test_both_forms_end_at_the_soft_optimum():
    mdp = garnet(4, 3, 2, gamma=0.5, rng=np.random.default_rng(3))
    exact = soft_value_iteration(mdp, c=4.0, atol=1e-12)
    best = np.exp((exact.q - exact.q.max(axis=1, keepdims=True)) / 4.0)
    best /= best.sum(axis=1, keepdims=True)
    for form in FORMS:
        *_, last = islice(erpg(mdp, tau=4.0, step=1.5, form=form), 800)
        np.testing.assert_allclose(last.policy, best, atol=1e-6)


def test_missing_actions_stay_missing_and_the_reference_policy_may_lack_some():
    mask = np.array([[True, False], [True, True]])
    mdp = TabularMDP(np.eye(2)[[[1, 1], [0, 1]]] * mask[:, :, None], [[1.0, 0.0], [2.0, 0.0]], 0.5, mask=mask)
    for form in FORMS:
        (x,) = islice(erpg(mdp, form=form, prior=[[1.0, 0.0], [1.0, 0.0]]), 1)
        assert x.q[0, 1] == -np.inf
        assert x.policy.tolist() == [[1.0, 0.0], [1.0, 0.0]]
        assert x.q[1, 1] == 0.0
        assert x.kl == 0.0


def test_states_without_visits_keep_their_values():
    mdp = TabularMDP(np.eye(2)[[[0, 0], [1, 1]]], [[1.0, 0.0], [2.0, 0.0]], 0.5, [1.0, 0.0])
    for form in FORMS:
        (x,) = islice(erpg(mdp, form=form), 1)
        assert x.q[1].tolist() == [0.0, 0.0]
        assert x.q[0, 0] > x.q[0, 1]


def test_the_distribution_of_the_kl():
    mdp = TabularMDP(np.eye(2)[[[0, 0], [1, 1]]], [[1.0, 0.0], [2.0, 0.0]], 0.5, [1.0, 0.0])
    kls = [next(erpg(mdp, d=d)).kl for d in ([1.0, 0.0], [0.0, 1.0], None)]
    assert kls[1] == 0.0
    assert kls[2] == pytest.approx(kls[0] / 2, rel=1e-13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tau": 0.0}, "`tau` must be positive"),
        ({"step": -1.0}, "`step` must be positive"),
        ({"form": "reinforce"}, "`form` must be one of policy-gradient, soft-q; found 'reinforce'"),
        ({"prior": [[0.5, 0.6]]}, "`prior` must sum to 1"),
        ({"d": [1.0, 0.0]}, "`d` must have shape"),
    ],
)
def test_bad_settings_are_named_when_called(settings, message):
    with pytest.raises(InputError, match=message):
        erpg(BANDIT, **settings)


def _visits(mdp, pi):
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    return (1 - mdp.gamma) * np.linalg.solve((np.eye(mdp.n_states) - mdp.gamma * p_pi).T, mdp.initial)
