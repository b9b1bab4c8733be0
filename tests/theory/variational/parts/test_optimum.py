"""Regularised optimum and visits: by hand, against plain iteration, sparse and masked MDPs."""

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.variational.core.regularised import bellman_regularised
from virel_theory.variational.parts.optimum import regularised_optimum, visit_distribution, visits_after


@pytest.mark.parametrize("exponent", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_the_optimum_is_the_fixed_point_of_the_regularised_backup(exponent, gamma):
    mdp = garnet(6, 3, 2, gamma=gamma, rng=np.random.default_rng(1), missing=0.3)
    prior = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    settings = {"prior": prior, "alpha": 0.3, "exponent": exponent}
    q, pi = regularised_optimum(mdp, **settings)
    on = mdp.available
    np.testing.assert_allclose(bellman_regularised(mdp, q, **settings)[on], q[on], atol=1e-12)
    assert (pi[~on] == 0).all()
    assert np.isneginf(q[~on]).all()
    sparse = regularised_optimum(mdp.to_sparse(), **settings)[0]
    np.testing.assert_allclose(sparse[on], q[on], atol=1e-12)


def test_a_prior_without_an_action_keeps_it_out():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    q, pi = regularised_optimum(mdp, prior=[[0.0, 1.0]], alpha=1.0)
    assert pi.tolist() == [[0.0, 1.0]]
    np.testing.assert_allclose(q, [[1.0, 0.0]], atol=1e-15)


def test_a_cold_optimum_neither_overflows_nor_stops_early():
    mdp = garnet(20, 4, 3, gamma=0.99, rng=np.random.default_rng(2))
    uniform = np.full(mdp.shape, 0.25)
    q, _ = regularised_optimum(mdp, prior=uniform, alpha=1e-3)
    gap = bellman_regularised(mdp, q, prior=uniform, alpha=1e-3) - q
    assert np.abs(gap).max() < 1e-10


def test_visits_of_a_walk_into_an_absorbing_state():
    mdp = TabularMDP([[[0.0, 1.0]], [[0.0, 1.0]]], [[0.0], [0.0]], 0.75, [1.0, 0.0])
    np.testing.assert_allclose(visit_distribution(mdp, pi=[[1.0], [1.0]]), [0.25, 0.75], rtol=1e-15)


def test_backups_of_visits_start_at_the_given_distribution_and_end_at_the_visits():
    mdp = garnet(5, 2, 2, gamma=0.5, rng=np.random.default_rng(0))
    pi = np.full(mdp.shape, 0.5)
    one = visits_after(mdp, pi=pi, d=mdp.initial, sweeps=1)
    ahead = np.einsum("s,sa,sat->t", mdp.initial, pi, mdp.dense_transition)
    np.testing.assert_allclose(one, 0.5 * mdp.initial + 0.5 * ahead, rtol=1e-14)
    late = visits_after(mdp, pi=pi, d=one, sweeps=60)
    np.testing.assert_allclose(late, visit_distribution(mdp, pi=pi), rtol=1e-13)


def test_unreachable_states_are_not_visited():
    mdp = TabularMDP([[[1.0, 0.0]], [[1.0, 0.0]]], [[0.0], [0.0]], 0.9, [1.0, 0.0])
    assert visit_distribution(mdp, pi=[[1.0], [1.0]]).tolist() == [1.0, 0.0]


def test_bad_input_names_the_argument():
    mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
    with pytest.raises(InputError, match="`prior`"):
        regularised_optimum(mdp, prior=[[0.5, 0.6]], alpha=1.0)
    with pytest.raises(InputError, match="`alpha`"):
        regularised_optimum(mdp, prior=[[0.5, 0.5]], alpha=0.0)
    with pytest.raises(InputError, match="`pi`"):
        visit_distribution(mdp, pi=[[0.5, 0.6]])
