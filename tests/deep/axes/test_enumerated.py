"""Weights by rank and the Boltzmann policy over enumerated actions: by hand, and against the exact ones."""

import math

import numpy as np
import pytest
import torch

from tests.support.deep import agent_of, default_dtype, discrete_of
from virel_common.errors import InputError
from virel_deep.axes.weights import rank_weights
from virel_deep.design.adapt import discrete_form
from virel_deep.design.presets import PRESETS
from virel_deep.networks.perceptron import perceptron
from virel_deep.run.actors import make_actor
from virel_theory import rank_posterior

U = 2.0**-53


def weights_of(q, p):
    return rank_weights(torch.as_tensor(p).log(), torch.as_tensor(q)).log_weight.exp().numpy()


def test_weights_by_rank_are_those_of_cma_es_whatever_the_order_and_the_scale():
    # N = 4: ln(4.5 / rank), the best first, with the probabilities of the prior.
    by_rank = np.log(4.5 / np.array([1, 2, 3, 4]))
    q, p = np.array([3.0, -7.0, 100.0, 2.5]), np.array([0.1, 0.2, 0.3, 0.4])
    wanted = p * by_rank[[1, 3, 0, 2]]
    np.testing.assert_allclose(weights_of(q, p), wanted / wanted.sum(), rtol=32 * U)
    assert (weights_of(1e-3 * q - 5, p) == weights_of(q, p)).all()
    assert (weights_of(q.astype(np.float32), p.astype(np.float32)) > 0).all()


def test_actions_of_equal_value_share_their_ranks_weights_as_in_the_exact_e_step():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 20):
        q, p = rng.integers(0, 4, (30, n)).astype(float), rng.dirichlet(np.ones(n), 30)
        # Logarithms of up to 20 numbers, their sums, a softmax: 64 roundings leave room for all.
        np.testing.assert_allclose(weights_of(q, p), rank_posterior(q, prior=p), rtol=64 * U * n, atol=0)


def test_a_value_that_is_not_a_number_gives_weights_that_are_none():
    assert np.isnan(weights_of(np.array([1.0, math.nan]), np.array([0.5, 0.5]))).any()


@pytest.fixture
def boltzmann():
    with default_dtype(torch.float32):
        agent = agent_of(discrete_of("sql", hidden=(8,), **{"temperature.alpha": 0.05}), 3, 4, (0, 1))
    state = np.random.default_rng(1).normal(size=(2, 1, 3)).astype(np.float32)
    q = agent.parts.value.q_of(torch.from_numpy(state), torch.eye(4).expand(2, 1, 4, 4)).numpy()[:, 0]
    return agent, state, q


def test_exploratory_actions_have_the_probabilities_of_the_boltzmann_policy(boltzmann):
    agent, state, q = boltzmann
    n = 4000
    noise = np.random.default_rng(2).uniform(size=(2, n, 1)).astype(np.float32)
    found = agent.act(state.repeat(n, axis=1), noise).mean(axis=1)
    wanted = np.exp(q / 0.05) / np.exp(q / 0.05).sum(1, keepdims=True)
    assert wanted.max() - wanted.min() > 0.2  # not the uniform policy
    # A share of 4000 draws has a deviation of 0.008 at most; 5 of them leave 6e-7 for each of 8.
    np.testing.assert_allclose(found, wanted, atol=0.04)


def test_the_deterministic_action_has_the_largest_value(boltzmann):
    agent, state, q = boltzmann
    settled = agent.parts.posterior.settle(torch.from_numpy(state), agent.objective).numpy()
    assert (settled[:, 0].argmax(1) == q.argmax(1)).all()
    assert (settled.sum(-1) == 1).all()


@pytest.mark.parametrize("critics", [1, 2])
def test_the_actor_that_is_exported_takes_the_smaller_critics_values_in_one_network(critics):
    algorithm = discrete_of("sql", hidden=(7, 5), **{"value.critics": critics})
    agent = agent_of(algorithm, 3, 4, (0, 1))
    agent.networks["critic"].flat.normal_(generator=torch.Generator().manual_seed(5))
    seen = np.random.default_rng(3).normal(size=(2, 30, 3)).astype(np.float32)
    state, every = torch.from_numpy(seen), torch.eye(4).expand(2, 30, 4, 4)
    q = agent.parts.value.q_of(state, every).numpy()
    for k in (0, 1):
        actor = make_actor(algorithm, agent.seed_networks(k))
        # Sums of at most 8 products of size 10 in three layers, in another order, in float32.
        np.testing.assert_allclose(perceptron(actor.layers, seen[k]), q[k], rtol=0, atol=1e-4)
        assert (actor.act(seen[k]).argmax(1) == q[k].argmax(1)).all()


def test_critics_that_are_not_finite_give_no_action(boltzmann):
    agent, state, _ = boltzmann
    agent.networks["critic"].flat.fill_(math.nan)
    assert np.isnan(agent.act(state, np.zeros((2, 1, 1), np.float32))).all()


@pytest.mark.parametrize(
    ("preset", "reason"),
    [
        ("td3", "it is improved by the gradient of Q in the action"),
        (
            "sac-iterative",
            "the best posterior over them, softmax(Q / alpha), is a formula: there is nothing to infer",
        ),
    ],
)
def test_a_row_that_makes_no_sense_for_discrete_actions_says_why_in_one_line(preset, reason):
    algorithm = PRESETS[preset].algorithm
    with pytest.raises(InputError) as caught:
        discrete_form(algorithm)
    assert str(caught.value) == (
        f"`posterior` must be one with a counterpart for discrete actions ({reason}); "
        f"found '{algorithm.posterior.kind}'"
    )


@pytest.mark.parametrize(
    ("preset", "settings", "message"),
    [
        ("sql", {"temperature": "dual"}, "`temperature` must be 'constant' for a tilted posterior"),
        ("sql", {"value.evaluation": "soft"}, "`value.evaluation` must be 'optimal' for a tilted"),
        ("sql", {"posterior.samples": 8}, "`settings` must name none of posterior, as"),
        ("sql", {"value.steps": 2, "value.trace": 1.0}, "`value.trace` must be None if the posterior is"),
        ("vmpo", {"posterior.keep": 1.5}, "`posterior.keep` must be in"),
        ("vmpo", {"posterior": "enumerated"}, "`posterior` must be 'top-share' or 'score' (or -categorical)"),
        ("vmpo", {"posterior": "categorical"}, "`posterior` must be 'top-share' or 'score'"),
        ("mpo", {"posterior": "top-share-categorical"}, "`value` must be 'advantage' for a top-share"),
        ("erpg", {"data.epochs": 2}, "`data.epochs` must be 1 for a score posterior"),
        ("erpg", {"prior": "previous-categorical"}, "`prior` must be one that never changes"),
        ("rerpi", {"posterior.weights": "rank"}, "`temperature` must be 'zero' for weights by rank"),
        ("rerpi", {"posterior.weights": "ranks"}, "`posterior.weights` must be one of 'softmax', 'rank'"),
    ],
)  # fmt: skip
def test_a_combination_that_means_nothing_is_refused_in_one_line(preset, settings, message):
    with pytest.raises(InputError) as caught:
        discrete_of(preset, **settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
