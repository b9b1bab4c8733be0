"""Model expansion: two steps by hand, paths written out, the true and wrong models, bad input."""

import numpy as np
import pytest

from tests.theory.variational.parts.test_plans import paths, random_mdp, random_policy
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.regularised import regularised_action_value, regularised_value
from virel_theory.variational.parts.expansion import (
    expanded_action_value,
    expanded_value,
    perturbed_model,
    simulation_bound,
)

BANDIT, HALF = TabularMDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5), [[0.5, 0.5]]


def settings(seed=0, *, masked=True):
    mdp = random_mdp(seed, masked=masked)
    rest = {"pi": random_policy(mdp, seed + 1), "prior": random_policy(mdp, seed + 2), "alpha": 0.7}
    return mdp, rest | {"exponent": 0.5}


def test_two_steps_on_a_bandit_by_hand():
    found = expanded_value(BANDIT, [4.0], pi=[[1.0, 0.0]], prior=HALF, alpha=1.0, steps=2)
    assert found[0] == pytest.approx((1 - np.log(2)) * 1.5 + 0.25 * 4, rel=1e-15)
    q = expanded_action_value(BANDIT, [4.0], pi=[[1.0, 0.0]], prior=HALF, alpha=1.0, steps=2)
    np.testing.assert_allclose(q, [[1 + 0.5 * (1 - np.log(2)) + 1, 0.5 * (1 - np.log(2)) + 1]], rtol=1e-15)


@pytest.mark.parametrize("sparse", [False, True])
def test_an_expansion_equals_the_mean_over_all_paths(sparse):
    mdp, rest = settings()
    v, pi, cost = np.array([0.5, -1.0, 2.0]), rest["pi"], np.zeros(mdp.shape)
    on = pi > 0
    cost[on] = rest["alpha"] * np.log(pi[on] / rest["prior"][on] ** rest["exponent"])
    expected = [
        sum(
            chance
            * (
                sum(mdp.gamma**i * (mdp.reward - cost)[s_i, a] for i, (s_i, a, _) in enumerate(path))
                + mdp.gamma**3 * v[path[-1][2]]
            )
            for chance, path in paths(mdp, pi, s, 3)
            if chance > 0
        )
        for s in range(3)
    ]
    model = mdp.to_sparse() if sparse else mdp
    np.testing.assert_allclose(expanded_value(model, v, steps=3, **rest), expected, rtol=1e-12)


def test_no_steps_leave_the_critic():
    mdp, rest = settings()
    assert expanded_value(mdp, [1.0, 2.0, 3.0], steps=0, **rest).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("steps", "trace"), [(1, 1.0), (2, 1.0), (4, 0.5), (3, 0.0)])
def test_the_true_model_and_the_exact_critic_give_the_action_value(steps, trace):
    mdp, rest = settings(3)
    found = expanded_action_value(mdp, regularised_value(mdp, **rest), steps=steps, trace=trace, **rest)
    np.testing.assert_allclose(found, regularised_action_value(mdp, **rest), rtol=1e-12)


@pytest.mark.parametrize("trace", [0.0, 0.25, 1.0])
def test_the_mixture_weighs_expansions_of_every_length(trace):
    mdp, rest = settings(4, masked=False)
    v = np.array([0.5, -1.0, 2.0])
    one, two, three = (expanded_action_value(mdp, v, steps=i, **rest) for i in (1, 2, 3))
    expected = (1 - trace) * (one + trace * two) + trace**2 * three
    found = expanded_action_value(mdp, v, steps=3, trace=trace, **rest)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_missing_action_has_no_value():
    mdp, rest = settings()
    assert expanded_action_value(mdp, np.zeros(3), steps=2, **rest)[1, 0] == -np.inf


def test_a_temperature_of_zero_expands_plain_values_whatever_the_prior():
    found = expanded_value(BANDIT, [0.0], pi=[[1.0, 0.0]], prior=[[0.0, 1.0]], alpha=0.0, steps=2)
    assert found.tolist() == [1.5]


@pytest.mark.parametrize("noise", [0.1, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_the_simulation_bound_covers_the_error_of_a_wrong_model(noise, alpha):
    mdp, rest = settings(5)
    model = perturbed_model(mdp, noise=noise, seed=1)
    values = [regularised_value(m, **rest | {"alpha": alpha}) for m in (mdp, model)]
    error = np.abs(values[0] - values[1]).max()
    assert 0 < error <= min(simulation_bound(mdp, model, v=v) for v in values)


def test_the_simulation_bound_counts_wrong_rewards():
    model = TabularMDP(BANDIT.transition, [[1.5, 0.0]], 0.5)
    assert simulation_bound(BANDIT, model, v=[7.0]) == 1.0


def test_a_perturbed_model_mixes_in_one_wrong_successor_per_pair():
    mdp = random_mdp(6, masked=True)
    wrong = np.random.default_rng(3).integers(3, size=(3, 2))
    expected = 0.75 * mdp.dense_transition + 0.25 * np.eye(3)[wrong] * mdp.available[:, :, None]
    for given in (mdp, mdp.to_sparse()):
        model = perturbed_model(given, noise=0.25, seed=3)
        assert model.is_sparse == given.is_sparse
        np.testing.assert_allclose(model.dense_transition, expected, rtol=1e-14)
        np.testing.assert_array_equal(model.reward, mdp.reward)


def test_terminal_states_stay_terminal_in_a_perturbed_model():
    stay = np.repeat(np.eye(3)[:, None, :], 2, axis=1)
    stay[0] = [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]  # one of its actions leaves: not terminal
    model = perturbed_model(TabularMDP(stay, np.zeros((3, 2)), 0.5), noise=1.0, seed=0)
    np.testing.assert_array_equal(model.dense_transition[1:], stay[1:])
    assert (model.dense_transition[0] != stay[0]).any()


def test_no_noise_is_the_mdp_itself():
    assert perturbed_model(BANDIT, noise=0.0) is BANDIT


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": -1}, "`steps` must be an integer of at least 0; found -1"),
        ({"steps": 1.5}, "`steps` must be an integer"),
        ({"prior": [[0.0, 1.0]]}, "`pi` must be 0 where the prior is"),
        ({"alpha": -1.0}, "`alpha` must be non-negative"),
        ({"v": [0.0, 1.0]}, "`v` must have shape"),
    ],
)
def test_bad_input_of_an_expansion_is_named(change, match):
    given = {"v": [0.0], "pi": HALF, "prior": HALF, "alpha": 1.0, "steps": 2} | change
    with pytest.raises(InputError, match=match):
        expanded_value(BANDIT, given.pop("v"), **given)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": 0}, "`steps` must be a positive integer; found 0"),
        ({"trace": 1.5}, r"`trace` must lie in \[0, 1\]; found 1.5"),
    ],
)
def test_bad_input_of_an_action_value_is_named(change, match):
    given = {"pi": HALF, "prior": HALF, "alpha": 1.0, "steps": 2} | change
    with pytest.raises(InputError, match=match):
        expanded_action_value(BANDIT, [0.0], **given)


@pytest.mark.parametrize(
    ("noise", "seed", "match"),
    [(1.5, 0, "`noise` must lie in"), (np.nan, 0, "`noise` must lie in"), (0.5, -1, "`seed` must be")],
)
def test_bad_noise_is_named(noise, seed, match):
    with pytest.raises(InputError, match=match):
        perturbed_model(BANDIT, noise=noise, seed=seed)


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (random_mdp(0), "`model` must have the shape"),
        (TabularMDP(BANDIT.transition, BANDIT.reward, 0.25), "`model` must have the discount 0.5"),
        (
            TabularMDP([[[1.0], [0.0]]], [[1.0, 0.0]], 0.5, mask=np.array([[True, False]])),
            "`model` must have the actions",
        ),
    ],
)
def test_a_model_of_another_mdp_is_refused(model, match):
    with pytest.raises(InputError, match=match):
        simulation_bound(BANDIT, model, v=[0.0])
