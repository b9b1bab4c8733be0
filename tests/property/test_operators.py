"""Properties of the Bellman operators.

Contraction and monotonicity are asserted for T^pi, T* and the soft operator only: a Boltzmann backup has
neither (Asadi and Littman 2017). Tolerances: twice the rounding bound that `virel_theory.operators.bellman`
states.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from verify.strategies import mdps, policies, q_tables, temperatures
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.bellman import (
    bellman_boltzmann,
    bellman_incremental,
    bellman_optimal,
    bellman_policy,
    bellman_soft,
)

U = float(np.finfo(np.float64).eps)
MONOTONE = {
    "policy": lambda mdp, q, pi, _: bellman_policy(mdp, q, pi=pi),
    "optimal": lambda mdp, q, _, __: bellman_optimal(mdp, q),
    "soft": lambda mdp, q, _, eps: bellman_soft(mdp, q, c=eps),
}
OPERATORS = MONOTONE | {
    "boltzmann": lambda mdp, q, _, eps: bellman_boltzmann(mdp, q, eps=eps),
    "incremental": lambda mdp, q, _, eps: bellman_incremental(mdp, q, eps_k=eps),
}


def _tol(mdp, eps, extra=0.0):
    size = 5 + 4 + eps * np.log(mdp.n_actions) + extra  # |q| <= 5, |r| <= 4
    return 2 * (4 * mdp.n_actions + mdp.n_states + 16) * U * size


def _draw(data, mdp):
    return data.draw(q_tables(mdp)), data.draw(policies(mdp, full_support=False)), data.draw(temperatures())


def _assert_close(x, y, tol):
    np.testing.assert_array_equal(np.isfinite(x), np.isfinite(y))
    on = np.isfinite(x)
    np.testing.assert_allclose(x[on], y[on], rtol=0, atol=tol)


@pytest.mark.parametrize("name", MONOTONE)
@given(data=st.data(), mdp=mdps(masked=True))
def test_two_tables_move_together_by_gamma(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    other = data.draw(q_tables(mdp))
    on = mdp.available
    moved = np.abs(MONOTONE[name](mdp, q, pi, eps)[on] - MONOTONE[name](mdp, other, pi, eps)[on]).max()
    assert moved <= mdp.gamma * np.abs(q[on] - other[on]).max() + _tol(mdp, eps)


@pytest.mark.parametrize("name", MONOTONE)
@given(data=st.data(), mdp=mdps(masked=True))
def test_a_larger_table_has_a_larger_backup(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    above = np.maximum(q, data.draw(q_tables(mdp)))
    on = mdp.available
    assert (
        MONOTONE[name](mdp, above, pi, eps)[on] >= MONOTONE[name](mdp, q, pi, eps)[on] - _tol(mdp, eps)
    ).all()


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data(), mdp=mdps(masked=True), shift=st.integers(-200, 200).map(lambda k: k / 4))
def test_adding_a_constant_to_q_adds_gamma_times_it_to_the_backup(name, data, mdp, shift):
    q, pi, eps = _draw(data, mdp)
    moved = OPERATORS[name](mdp, q + shift, pi, eps)
    _assert_close(moved, OPERATORS[name](mdp, q, pi, eps) + mdp.gamma * shift, _tol(mdp, eps, abs(shift)))


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data(), mdp=mdps(masked=True))
def test_renaming_states_and_actions_renames_the_backup(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    s = np.array(data.draw(st.permutations(range(mdp.n_states))))
    a = np.array(data.draw(st.permutations(range(mdp.n_actions))))
    table = np.ix_(s, a)
    mask = None if mdp.mask is None else mdp.mask[table]
    renamed = TabularMDP(mdp.transition[np.ix_(s, a, s)], mdp.reward[table], mdp.gamma, mask=mask)
    out = OPERATORS[name](renamed, q[table], pi[table], eps)
    _assert_close(out, OPERATORS[name](mdp, q, pi, eps)[table], _tol(mdp, eps))


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data(), mdp=mdps(masked=True))
def test_sparse_and_dense_transitions_agree(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    sparse = OPERATORS[name](mdp.to_sparse(), q, pi, eps)
    _assert_close(sparse, OPERATORS[name](mdp, q, pi, eps), _tol(mdp, eps))


@pytest.mark.parametrize("name", OPERATORS)
@given(data=st.data(), mdp=mdps())
def test_an_action_that_exists_nowhere_changes_nothing(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    wide = ((0, 0), (0, 1))
    mask = np.pad(np.ones(mdp.shape, bool), wide)
    embedded = TabularMDP(
        np.pad(mdp.transition, (*wide, (0, 0))), np.pad(mdp.reward, wide), mdp.gamma, mask=mask
    )
    out = OPERATORS[name](embedded, np.pad(q, wide), np.pad(pi, wide), eps)
    _assert_close(out[:, :-1], OPERATORS[name](mdp, q, pi, eps), _tol(mdp, eps))
    assert np.isneginf(out[:, -1]).all()


@pytest.mark.parametrize("name", ["boltzmann", "incremental"])
@given(data=st.data(), mdp=mdps(masked=True))
def test_a_boltzmann_backup_lies_between_the_worst_and_the_best(name, data, mdp):
    q, pi, eps = _draw(data, mdp)
    on = mdp.available
    out = OPERATORS[name](mdp, q, pi, eps)[on]
    assert (out <= bellman_optimal(mdp, q)[on] + _tol(mdp, eps)).all()
    worst = mdp.reward + mdp.gamma * mdp.expect_next(np.where(on, q, np.inf).min(axis=1))
    assert (out >= worst[on] - _tol(mdp, eps)).all()


@given(data=st.data(), mdp=mdps(masked=True))
def test_the_soft_backup_exceeds_the_optimal_one_by_at_most_gamma_c_log_a(data, mdp):
    q, _, c = _draw(data, mdp)
    on = mdp.available
    gain = bellman_soft(mdp, q, c=c)[on] - bellman_optimal(mdp, q)[on]
    assert (gain >= -_tol(mdp, c)).all()
    assert (gain <= mdp.gamma * c * np.log(mdp.n_actions) + _tol(mdp, c)).all()


@pytest.mark.parametrize("name", ["boltzmann", "incremental"])
@given(data=st.data(), mdp=mdps(masked=True))
def test_the_two_ends_of_the_temperature(name, data, mdp):
    q, pi, _ = _draw(data, mdp)
    # gaps are multiples of 1/4: at 1/1000 the rest weighs exp(-250); at 1e18 weights differ from 1 by 1e-17
    _assert_close(OPERATORS[name](mdp, q, pi, 1e-3), bellman_optimal(mdp, q), _tol(mdp, 0))
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    _assert_close(OPERATORS[name](mdp, q, pi, 1e18), bellman_policy(mdp, q, pi=uniform), _tol(mdp, 0))
