"""Iterative inference on finite actions: closed form of mirror steps, ascent, gates, masks, bad input."""

import numpy as np
import pytest

from virel_common.errors import InputError
from virel_theory.variational.core.e_step import one_step_objective, posterior_policy
from virel_theory.variational.parts.amortisation import (
    gated_update,
    inference_gap,
    inference_policies,
    safe_step,
)

Q = np.array([[3.0, 1.0, -2.0], [0.5, -np.inf, 0.0]])
PRIOR = np.array([[0.5, 0.25, 0.25], [0.75, 0.0, 0.25]])


def test_one_mirror_step_of_length_one_over_alpha_is_the_posterior():
    for alpha in (0.5, 2.0):
        found = inference_policies(Q, prior=PRIOR, alpha=alpha, iterations=1, step=1 / alpha)[1]
        np.testing.assert_allclose(found, posterior_policy(Q, prior=PRIOR, alpha=alpha), rtol=1e-14)


def test_the_length_of_a_step_that_is_not_given():
    of = {"prior": PRIOR, "alpha": 4.0, "iterations": 2}
    np.testing.assert_array_equal(inference_policies(Q, **of), inference_policies(Q, **of, step=0.125))
    safe = safe_step(Q, prior=PRIOR, alpha=4.0)
    np.testing.assert_allclose(safe, [2 / (4 + 5), 1 / 4], rtol=1e-15)  # spans of 5 and 0.5
    for s in range(2):
        found, given = (
            inference_policies(Q, **of, form="gradient", **x)[:, s] for x in ({}, {"step": safe[s]})
        )
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("exponent", [1.0, 0.5, 0.0])
def test_n_mirror_steps_are_the_geometric_mean_of_prior_and_posterior(exponent):
    alpha, t, n = 2.0, 0.125, 3
    settings = {"prior": PRIOR, "alpha": alpha, "exponent": exponent}
    found = inference_policies(Q, iterations=n, step=t, **settings)[n]
    left = (1 - alpha * t) ** n
    weights = PRIOR**left * posterior_policy(Q, **settings) ** (1 - left)
    np.testing.assert_allclose(found, weights / weights.sum(axis=1, keepdims=True), rtol=1e-13)


def test_a_hand_worked_gradient_step():
    # uniform on 2 actions, g = (1, 0): lambda = 0 + t pi (g - 1/2) = (t/4, -t/4), a ratio of e^(t/2)
    pi = inference_policies(
        [[1.0, 0.0]], prior=[[0.5, 0.5]], alpha=1.0, iterations=1, step=0.5, form="gradient"
    )
    np.testing.assert_allclose(pi[1, 0, 0] / pi[1, 0, 1], np.exp(0.25), rtol=1e-14)


def test_the_second_gradient_step_feels_the_divergence():
    pi = inference_policies(
        [[1.0, 0.0]], prior=[[0.5, 0.5]], alpha=2.0, iterations=2, step=0.25, form="gradient"
    )
    p, q = pi[1, 0]
    g = np.array([1.0, 0.0]) - 2.0 * np.log(pi[1, 0] / 0.5)
    lam = np.array([0.0625, -0.0625]) + 0.25 * pi[1, 0] * (g - p * g[0] - q * g[1])
    np.testing.assert_allclose(pi[2, 0, 0] / pi[2, 0, 1], np.exp(lam[0] - lam[1]), rtol=1e-13)


@pytest.mark.parametrize("form", ["mirror", "gradient"])
def test_default_steps_never_lower_the_objective_and_end_at_the_posterior(form):
    settings = {"prior": PRIOR, "alpha": 2.0}  # gradient steps crawl where probabilities are small
    pi = inference_policies(Q, iterations=4000, form=form, **settings)
    values = np.array([one_step_objective(Q, pi=x, **settings) for x in pi])
    assert (np.diff(values, axis=0) >= -1e-14).all()
    np.testing.assert_allclose(pi[-1], posterior_policy(Q, **settings), atol=1e-9)


def test_a_half_open_gate_halves_the_step():
    whole = inference_policies(Q, prior=PRIOR, alpha=1.0, iterations=3, step=0.25)
    half = inference_policies(Q, prior=PRIOR, alpha=1.0, iterations=3, step=0.5, gate=0.5)
    np.testing.assert_allclose(half, whole, rtol=1e-13)


@pytest.mark.parametrize("form", ["mirror", "gradient"])
@pytest.mark.parametrize("exponent", [1.0, 0.5])
def test_what_all_values_have_in_common_changes_no_bit(form, exponent):
    settings = {"prior": PRIOR, "alpha": 0.125, "exponent": exponent}
    far = Q + 2.0**40  # exact, as values are multiples of 1/2
    np.testing.assert_array_equal(safe_step(far, **settings), safe_step(Q, **settings))
    found, expected = (inference_policies(x, iterations=3, form=form, **settings) for x in (far, Q))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", ["mirror", "gradient"])
@pytest.mark.parametrize(("alpha", "unit"), [(1e-300, 1e10), (5e-324, 1.0), (1.0, 4e307), (1e-300, 4e307)])
def test_steps_far_shorter_than_the_values_end_at_the_best_action(form, alpha, unit):
    settings = {"prior": PRIOR, "alpha": alpha, "iterations": 80, "form": form}
    found = inference_policies(Q * unit, **settings)
    assert (safe_step(Q * unit, prior=PRIOR, alpha=alpha) > 0).all()
    np.testing.assert_allclose(found.sum(axis=2), 1.0, rtol=1e-14)
    if form == "mirror":  # every step moves by half of a distance above 1e307 alpha
        np.testing.assert_array_equal(found[1:], np.broadcast_to([[1.0, 0, 0], [1.0, 0, 0]], (80, 2, 3)))
    else:  # gradient steps raise the best action's share, however slowly
        assert (np.diff(found[:, 0, 0]) > 0).all()


def test_a_gradient_step_without_measure_ends_at_an_action_and_not_at_nan():
    found = inference_policies(Q, prior=PRIOR, alpha=1e10, iterations=3, form="gradient", step=1e300)
    np.testing.assert_allclose(found.sum(axis=2), 1.0, rtol=1e-14)


def test_no_iteration_and_a_closed_gate_leave_the_prior():
    assert inference_policies(Q, prior=PRIOR, alpha=1.0, iterations=0).tolist() == [PRIOR.tolist()]
    shut = inference_policies(Q, prior=PRIOR, alpha=1.0, iterations=2, gate=1.0)
    np.testing.assert_allclose(shut[2], PRIOR, rtol=1e-15)


def test_missing_actions_keep_probability_zero():
    assert (inference_policies(Q, prior=PRIOR, alpha=1.0, iterations=2, form="gradient")[:, 1, 1] == 0).all()


def test_the_gap_is_alpha_times_the_divergence_from_the_posterior():
    pi = np.array([[0.2, 0.3, 0.5], [0.5, 0.0, 0.5]])
    best = posterior_policy(Q, prior=PRIOR, alpha=2.0)
    log_ratio = np.log(np.where(pi > 0, pi, 1.0) / np.where(pi > 0, best, 1.0))
    gap = inference_gap(Q, pi=pi, prior=PRIOR, alpha=2.0)
    np.testing.assert_allclose(gap, 2.0 * (pi * log_ratio).sum(axis=1), rtol=1e-13)


def test_the_safe_step_counts_existing_actions_and_the_prior_only_for_a_small_exponent():
    np.testing.assert_allclose(safe_step(Q, prior=PRIOR, alpha=1.0), [2 / 6, 1.0], rtol=1e-15)
    entropic = safe_step(Q, prior=PRIOR, alpha=1.0, exponent=0.0)
    np.testing.assert_allclose(entropic[0], 2 / (1 + 5 - np.log(2)), rtol=1e-14)
    np.testing.assert_allclose(entropic[1], 1.0, rtol=1e-14)  # span 1/2 - log 3 < alpha: 1/alpha is smaller


def test_gates_zero_and_one_return_the_bits_of_one_side():
    lam, delta = np.array([0.1, -np.inf]), np.array([0.7, -np.inf])
    assert gated_update(lam, delta, gate=1).tolist() == lam.tolist()
    assert gated_update(lam, delta, gate=0).tolist() == delta.tolist()
    assert gated_update([0.25, -np.inf], [0.75, -np.inf], gate=0.5).tolist() == [0.5, -np.inf]
    assert gated_update(lam, delta, gate=1) is not lam


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"prior": [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]}, "prior"),
        ({"alpha": 0.0}, "alpha"),
        ({"iterations": -1}, "iterations"),
        ({"iterations": 1.5}, "iterations"),
        ({"step": 0.0}, "step"),
        ({"step": 1.5}, "step"),
        ({"step": np.inf, "form": "gradient"}, "step"),
        ({"form": "newton"}, "form"),
        ({"gate": 1.5}, "gate"),
        ({"exponent": -0.5}, "exponent"),
    ],
)
def test_bad_input_names_the_argument(change, name):
    with pytest.raises(InputError, match=f"`{name}`"):
        inference_policies(Q, **({"prior": PRIOR, "alpha": 1.0, "iterations": 1} | change))


def test_a_bad_update_names_the_argument():
    with pytest.raises(InputError, match="`gate`"):
        gated_update([0.0], [0.0], gate=-0.1)
    with pytest.raises(InputError, match="`delta`"):
        gated_update([0.0], [0.0, 1.0], gate=0.5)
