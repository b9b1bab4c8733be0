"""EM with complete steps: worked example, naive re-implementation, edges, bad input."""

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import e_step_complete, em_fixed_target_steps, em_steps, m_step_complete

# Two states; action 0 stays, action 1 moves to the other state. Staying in state 1 pays 2, moving out of
# state 0 costs 1; gamma = 1/2.
# By hand: staying for ever in state 1 is worth 2 / (1 - 1/2) = 4; going there from state 0 is worth -1 + 4/2
# = 1 > 0 (staying in 0).
TWO_STATES = TabularMDP(
    [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]],
    [[0.0, -1.0], [2.0, 0.0]],
    0.5,
)
STAY = np.array([[1.0, 0.0], [1.0, 0.0]])


def test_the_complete_m_step_of_the_hand_worked_mdp_is_its_evaluation():
    np.testing.assert_allclose(m_step_complete(TWO_STATES, pi=STAY), [[0.0, 1.0], [4.0, 0.0]], atol=1e-14)


def test_em_improves_the_hand_worked_policy_to_the_optimal_one_and_stays_there():
    first, second, third = em_steps(TWO_STATES, pi_0=STAY, n_steps=3)
    assert first.pi.tolist() == [[0.0, 1.0], [1.0, 0.0]]
    np.testing.assert_allclose(second.q, [[0.5, 1.0], [4.0, 0.5]], atol=1e-14)
    assert second.pi.tolist() == third.pi.tolist() == first.pi.tolist()


def test_the_m_step_equals_a_long_sum_of_discounted_rewards():
    rng = np.random.default_rng(0)
    mdp = TabularMDP(rng.dirichlet(np.ones(4), size=(4, 3)), rng.normal(size=(4, 3)), 0.5)
    pi = rng.dirichlet(np.ones(3), size=4)
    q, weight = np.zeros((4, 3)), 1.0
    occupancy = np.eye(12).reshape(4, 3, 4, 3)
    for _ in range(80):  # the tail is below 2^-80 max|r|
        q += weight * np.einsum("sato,to->sa", occupancy, mdp.reward)
        occupancy = np.einsum("satn,tnu,uo->sauo", occupancy, mdp.transition, pi)
        weight *= mdp.gamma
    np.testing.assert_allclose(m_step_complete(mdp, pi=pi), q, atol=1e-13)


def test_the_fixed_target_m_step_is_one_backup_for_the_policy_then_for_the_maximum():
    q_0 = np.array([[3.0, 1.0], [0.0, -2.0]])
    first, second = em_fixed_target_steps(TWO_STATES, q_0=q_0, pi_0=STAY, n_steps=2)
    assert first.q.tolist() == [[1.5, -1.0], [2.0, 1.5]]  # r + (1/2) q_0(s', stay)
    assert second.q.tolist() == [[0.75, 0.0], [3.0, 0.75]]  # r + (1/2) max first.q(s', .)


def test_missing_actions_stay_missing_and_are_never_chosen():
    mask = np.array([[True, False], [True, True]])
    transition = np.where(mask[:, :, None], TWO_STATES.transition, 0.0)
    mdp = TabularMDP(transition, TWO_STATES.reward, 0.5, mask=mask)
    for step in (
        *em_steps(mdp, pi_0=STAY, n_steps=2),
        *em_fixed_target_steps(mdp, q_0=np.zeros((2, 2)), pi_0=STAY, n_steps=2),
    ):
        assert np.isneginf(step.q[0, 1])
        assert step.pi[0].tolist() == [1.0, 0.0]


def test_dense_and_sparse_transitions_give_the_same_steps():
    for dense, sparse in zip(
        em_steps(TWO_STATES, pi_0=STAY, n_steps=3),
        em_steps(TWO_STATES.to_sparse(), pi_0=STAY, n_steps=3),
        strict=True,
    ):
        np.testing.assert_allclose(dense.q, sparse.q, atol=1e-14)
        assert np.array_equal(dense.pi, sparse.pi)


def test_ties_within_the_tolerance_go_to_the_lowest_index():
    assert e_step_complete([[1.0, 1.0 + 1e-12]], tie_tol=1e-9).tolist() == [[1.0, 0.0]]
    assert e_step_complete([[1.0, 1.0 + 1e-12]]).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("pi", "message"),
    [
        ([[1.0, 0.0]], r"`pi` must have shape \[2, 2\]; found \(1, 2\)"),
        ([[0.7, 0.2], [1.0, 0.0]], r"`pi` must sum to 1 in every state; found 0.89"),
        ([[1.5, -0.5], [1.0, 0.0]], r"`pi` must be non-negative; found -0.5 at \[0, 1\]"),
    ],
)
def test_a_bad_policy_gets_one_clear_error(pi, message):
    with pytest.raises(InputError, match=message):
        m_step_complete(TWO_STATES, pi=pi)


def test_a_negative_number_of_steps_gets_one_clear_error():
    with pytest.raises(InputError, match=r"`n_steps` must be an integer of at least 0; found -1"):
        em_steps(TWO_STATES, pi_0=STAY, n_steps=-1)
