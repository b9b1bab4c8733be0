"""Residual error: every normalisation by hand, masks, the incremental form, bad input."""

import math

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.gradients.residual_error import grad_eps_chain
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import (
    Normalisation,
    bellman_residual,
    incremental_residual_error,
    residual_error,
    residual_weights,
)
from virel_theory.operators.bellman import bellman_optimal

# One state, two actions, gamma = 1/2, r = (1, 0), Q = (2, 0). By hand: T* Q = (2, 1), beta = (0, 1).
HAND = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
HAND_Q = [[2.0, 0.0]]
HAND_BETA = [[0.0, 1.0]]
WEIGHTED = {"normalisation": Normalisation.WEIGHTED}


def random_beta(seed, shape=(3, 2)):
    return np.random.default_rng(seed).normal(size=shape)


def naive_sum(beta, p, d=None):
    total = 0.0
    for s in range(beta.shape[0]):
        for a in range(beta.shape[1]):
            if math.isfinite(beta[s, a]):
                total += (1.0 if d is None else d[s, a]) * abs(beta[s, a]) ** p
    return total


def test_the_residual_of_the_hand_worked_example():
    np.testing.assert_array_equal(bellman_residual(bellman_optimal(HAND, HAND_Q), HAND_Q), HAND_BETA)


@pytest.mark.parametrize(
    ("normalisation", "expected"),
    [
        (Normalisation.POWER, 0.5),
        (Normalisation.MEAN, 0.25),
        (Normalisation.HALF_MEAN, 0.25),
        (Normalisation.MEAN_SQUARE, 0.5),
    ],
)
def test_the_hand_worked_example_in_each_normalisation(normalisation, expected):
    assert residual_error(HAND_BETA, normalisation=normalisation) == expected


def test_the_hand_worked_example_under_a_distribution():
    assert residual_error(HAND_BETA, normalisation=Normalisation.WEIGHTED, d=[[0.25, 0.75]]) == 0.75


def test_a_residual_of_weight_zero_does_not_count_even_if_its_square_overflows():
    assert residual_error([[1e200, 1.0]], d=[[0.0, 1.0]], **WEIGHTED) == 1.0


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("c", [1.0, 0.5, 4.0])
def test_power_and_mean_agree_with_a_loop(p, c):
    beta = random_beta(0)
    power = residual_error(beta, c=c, p_norm=p, normalisation=Normalisation.POWER)
    mean = residual_error(beta, c=c, p_norm=p, normalisation=Normalisation.MEAN)
    np.testing.assert_allclose(power, c / p * naive_sum(beta, p), rtol=1e-14)
    np.testing.assert_allclose(mean, c / (p * 6) * naive_sum(beta, p), rtol=1e-14)


def test_the_weighted_norm_agrees_with_a_loop():
    beta, d = random_beta(1), np.random.default_rng(2).dirichlet(np.ones(6)).reshape(3, 2)
    eps = residual_error(beta, normalisation=Normalisation.WEIGHTED, d=d)
    np.testing.assert_allclose(eps, naive_sum(beta, 2, d), rtol=1e-14)


def test_every_normalisation_names_its_source():
    assert all("beta" in kind.source and ":" in kind.source for kind in Normalisation)


def test_missing_pairs_do_not_count():
    beta = np.array([[1.0, -np.inf], [2.0, 3.0]])
    np.testing.assert_allclose(
        residual_error(beta, normalisation=Normalisation.MEAN_SQUARE), 14 / 3, rtol=1e-15
    )
    np.testing.assert_array_equal(
        residual_weights([[True, False]], normalisation=Normalisation.MEAN_SQUARE), [[1.0, 0.0]]
    )


def test_the_residual_of_a_missing_action_is_minus_infinity():
    beta = bellman_residual([[1.0, -np.inf]], [[3.0, -np.inf]])
    np.testing.assert_array_equal(beta, [[-2.0, -np.inf]])


def test_the_incremental_error_at_eps_zero_is_the_error_of_the_optimal_operator():
    assert incremental_residual_error(HAND, HAND_Q, eps_k=0.0) == 0.25


@pytest.mark.parametrize("eps_k", [1e-300, 1e-3, 1.0, 1e3, 1e300])
def test_the_incremental_error_is_a_boltzmann_backup_by_hand_plus_eps(eps_k):
    p = 1 / (1 + math.exp(-min(2 / eps_k, 700.0)))
    v = 2 * p
    beta = np.array([[1 + 0.5 * v - 2, 0.5 * v]])
    expected = naive_sum(beta, 2) / 4 + eps_k
    np.testing.assert_allclose(incremental_residual_error(HAND, HAND_Q, eps_k=eps_k), expected, rtol=1e-14)


def test_the_incremental_error_takes_the_keywords_of_the_norm():
    eps = incremental_residual_error(HAND, HAND_Q, eps_k=0.0, normalisation=Normalisation.POWER, p_norm=1.0)
    assert eps == 1.0


def test_one_state_one_action_and_gamma_zero():
    mdp = TabularMDP([[[1.0]]], [[1.0]], 0.0)
    assert incremental_residual_error(mdp, [[3.0]], eps_k=0.5) == 0.5 * 4 + 0.5


@pytest.mark.parametrize(
    ("beta", "options", "text"),
    [
        ([[np.nan]], {}, "`beta` must be finite"),
        ([[np.inf]], {}, "`beta` must be finite"),
        ([1.0], {}, "`beta` must have shape"),
        ([[1.0]], {"c": 0.0}, "`c` must be positive"),
        ([[1.0]], {"c": np.inf}, "`c` must be positive"),
        ([[1.0]], {"p_norm": 0.5}, "`p_norm` must be finite and at least 1"),
        ([[1.0]], {"p_norm": 3.0, "normalisation": Normalisation.HALF_MEAN}, "`p_norm` must be 2"),
        ([[1.0]], {"normalisation": "sum"}, "`normalisation` must be one of power"),
        ([[1.0]], WEIGHTED, "`d` must be given"),
        ([[1.0]], {"d": [[1.0]]}, "`d` must be given for the normalisation 'weighted'"),
        ([[1.0]], WEIGHTED | {"d": [[0.5]]}, "`d` must sum to 1"),
        ([[1.0, 1.0]], WEIGHTED | {"d": [[0.5, 0.5 + 9e-10]]}, "`d` must sum to 1"),
        (
            [[1.0, 1.0]],
            WEIGHTED | {"d": [[2.0, -1.0]]},
            "`d` must be non-negative",
        ),
        (
            [[1.0, -np.inf]],
            WEIGHTED | {"d": [[0.5, 0.5]]},
            "`d` must be 0 where",
        ),
    ],
)
def test_bad_input_to_the_residual_error_is_named(beta, options, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        residual_error(beta, **options)


@pytest.mark.parametrize(
    ("target", "q", "text"),
    [
        ([[1.0]], [[1.0, 2.0]], "`target` must have shape"),
        ([[np.nan]], [[1.0]], "`target` must be finite where `q` is"),
        ([[1.0]], [[np.nan]], "`q` must be finite"),
        ([1.0], [1.0], "`q` must have shape"),
    ],
)
def test_bad_input_to_the_residual_is_named(target, q, text):
    with pytest.raises(InputError, match=text):
        bellman_residual(target, q)


def test_a_negative_incremental_temperature_is_refused():
    with pytest.raises(InputError, match="`eps_k` must be non-negative"):
        incremental_residual_error(HAND, HAND_Q, eps_k=-1.0)


def test_the_gradients_take_the_residual_of_a_masked_mdp():
    mask = np.array([[True, True], [True, False]])
    transition = np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]])
    mdp = TabularMDP(transition, [[1.0, 0.0], [2.0, 0.0]], 0.5, mask=mask)
    q = np.array([[1.0, 2.0], [3.0, -np.inf]])
    unit = np.zeros((2, 2, 3))
    unit[mask] = np.eye(3)
    beta = bellman_residual(bellman_optimal(mdp, q), q)  # by hand: (1.5, -1; 0.5)
    np.testing.assert_allclose(grad_eps_chain(mdp, beta, unit), np.array([1.5, -1.0, 0.5]) / 3)
    with pytest.raises(InputError, match="`beta` must be finite"):
        grad_eps_chain(mdp, np.where(mask, np.nan, beta), unit)


@pytest.mark.filterwarnings("error")
def test_the_mean_over_no_pair_is_refused():
    for call in (lambda: residual_error([[-np.inf, -np.inf]]), lambda: residual_weights([[False, False]])):
        with pytest.raises(InputError, match="`exists` must have at least one state-action pair"):
            call()
