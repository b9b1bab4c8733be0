"""Discrete SAC and MPO on a finite MDP against `virel_theory`: losses of a full batch are exact expectations.

The batch has every transition (s, a, s') as often as it is probable, states are one-hot, and everything is in
float64. The policy network has no hidden layer, so that its weights are a table of logits.
"""

import numpy as np
import pytest
import torch

from tests.support.deep import CPU, default_dtype, discrete_of
from virel_deep.axes import value
from virel_deep.axes.interfaces import Objective
from virel_deep.axes.posterior.categorical import Categorical, Enumerated
from virel_deep.axes.prior import categorical as categorical_prior
from virel_deep.axes.prior.constant import Uniform
from virel_deep.axes.tensors import Transitions
from virel_deep.networks.network import Network
from virel_theory import TabularMDP, merl_policy
from virel_theory.operators.bellman import bellman_soft, state_value
from virel_theory.operators.policies import entropy

S, A, QUARTERS, GAMMA, ALPHA = 4, 3, 4, 0.9, 0.7
ATOL = 1e-12
"""Tables hold numbers below 4, losses are means of 48 products of such: roundings of 1e-14 at most."""


@pytest.fixture(autouse=True)
def double():
    with default_dtype(torch.float64):
        yield


@pytest.fixture
def mdp():
    rng = np.random.default_rng(0)
    transition = np.stack([np.bincount(rng.integers(S, size=QUARTERS), minlength=S) for _ in range(S * A)])
    return TabularMDP(transition.reshape(S, A, S) / QUARTERS, rng.normal(size=(S, A)), GAMMA)


def table_network(table):
    """A network without hidden layer, whose outputs at one-hot inputs are the rows of a table."""
    network = Network(1, 1, table.shape, device=CPU)
    blocks = network.seed_blocks(network.flat, 0)
    blocks["0.weight"][0].copy_(torch.as_tensor(table))
    return network


def full_batch(mdp):
    """Every transition, `QUARTERS P(s'|s,a)` times, with one-hot states and actions."""
    rows = [
        (s, a, s_next)
        for s in range(S)
        for a in range(A)
        for s_next in range(S)
        for _ in range(round(QUARTERS * mdp.dense_transition[s, a, s_next]))
    ]
    s, a, s_next = np.array(rows).T
    states, actions = np.eye(S), np.eye(A)
    history = np.concatenate([states[s], actions[a]], axis=1)
    tensors = (states[s], history, mdp.reward[s, a], np.zeros(len(rows)), states[s_next])
    return Transitions(*(torch.as_tensor(x)[None] for x in tensors))


def critic_and_its_table():
    """A random critic with a hidden layer, and its values at every pair, `[S, A]`."""
    critic = Network(1, 1, (S + A, 8, 1), device=CPU)
    critic.initialise([torch.Generator().manual_seed(1)])
    pairs = torch.cat([torch.eye(S).repeat_interleave(A, 0), torch.eye(A).repeat(S, 1)], dim=1)
    return critic, critic(pairs[None]).view(S, A).numpy().copy()


def parts(logits, soft=True):
    critic, q = critic_and_its_table()
    policy, of_value = (
        Categorical(table_network(logits)),
        value.TargetQ(critic, critic, gamma=GAMMA, evaluation="soft" if soft else "hard"),
    )
    return policy, of_value, Objective(of_value.q_of, Uniform(), torch.full((1, 1), ALPHA)), q


class Following:
    def __init__(self, posterior, objective):
        self.posterior, self.objective = posterior, objective

    def __call__(self, state):
        return self.posterior.infer_next(state, {}, self.objective).detach()


@pytest.mark.parametrize("soft", [False, True])
def test_the_critic_loss_of_a_full_batch_is_the_exact_expectation(mdp, soft):
    logits = np.random.default_rng(2).normal(size=(S, A))
    policy, of_value, objective, q = parts(logits, soft)
    pi = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    v = state_value(mdp, q, pi=pi) + (ALPHA * entropy(pi) if soft else 0)
    errors = mdp.reward[:, :, None] + GAMMA * v - q[:, :, None]
    exact = 0.5 * (mdp.dense_transition * errors**2).sum(-1).mean()
    found = of_value.fit(full_batch(mdp), None, Following(policy, objective), objective)
    assert found.loss.item() == pytest.approx(exact, abs=ATOL)


def test_at_the_soft_greedy_policy_the_target_is_merls_backup_and_the_policy_loss_has_no_slope(mdp):
    _, q = critic_and_its_table()
    policy, of_value, objective, _ = parts(q / ALPHA)  # logits Q / alpha: pi = merl_policy(Q)
    batch = full_batch(mdp)
    here = policy.infer(torch.eye(S)[None], {}, objective)
    np.testing.assert_allclose(here.log_weight.exp()[0].detach(), merl_policy(q, c=ALPHA), atol=ATOL)
    td_error = of_value.fit(batch, None, Following(policy, objective), objective).td_error[0, 0]
    of_pair = td_error.view(S, A, QUARTERS).mean(-1).numpy()  # rows of a pair stand together
    np.testing.assert_allclose(of_pair, bellman_soft(mdp, q, c=ALPHA) - q, atol=ATOL)
    loss = policy.loss(here, of_value.q_of(torch.eye(S)[None], here.action), objective.alpha)
    soft_maximum = ALPHA * np.log(np.exp(q / ALPHA).sum(1))
    assert loss.item() == pytest.approx(-soft_maximum.mean(), abs=ATOL)
    (slope,) = torch.autograd.grad(loss.sum(), policy.networks["policy"].parameters)
    assert slope.abs().max() <= ATOL
    elsewhere, _, _, _ = parts(q / ALPHA + np.eye(S, A))
    moved = elsewhere.infer(torch.eye(S)[None], {}, objective)
    worse = elsewhere.loss(moved, of_value.q_of(torch.eye(S)[None], moved.action), objective.alpha)
    assert worse > loss + 1e-3


def test_the_e_step_weighs_all_actions_and_the_m_step_rests_exactly_at_these_weights():
    rng = np.random.default_rng(3)
    _, q = critic_and_its_table()
    old = rng.normal(size=(S, A))
    unnormalised = np.exp(old + q / ALPHA)
    posterior = unnormalised / unnormalised.sum(1, keepdims=True)
    settings = discrete_of("mpo", **{"prior.trust": None}).prior
    prior = categorical_prior.Learned(settings, table_network(np.log(posterior)), table_network(old))
    weighted, state = Enumerated(prior), torch.eye(S)[None]
    objective = Objective(None, prior, torch.full((1, 1), ALPHA))
    found = weighted.improve(weighted.infer(state, {}, objective), torch.as_tensor(q)[None], objective.alpha)
    np.testing.assert_allclose(found.log_weight.exp()[0], posterior, atol=ATOL)
    p = np.exp(old) / np.exp(old).sum(1, keepdims=True)
    np.testing.assert_allclose(found.divergence[0], (posterior * np.log(posterior / p)).sum(1), atol=ATOL)
    loss = prior.loss(state, found).loss
    assert loss.item() == pytest.approx(entropy(posterior).mean(), abs=ATOL)  # cross entropy at its least
    (slope,) = torch.autograd.grad(loss.sum(), prior.networks["policy"].parameters)
    assert slope.abs().max() <= ATOL
