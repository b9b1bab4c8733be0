"""The deterministic policy in numpy is the agent's; reading it from a run."""

import numpy as np
import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, feed, sized, small_run, update_data
from virel_common.errors import InputError
from virel_deep.design.environment import EnvSpec
from virel_deep.design.presets import PRESETS
from virel_deep.run.actors import make_actor
from virel_deep.run.explore import Explorer, fill
from virel_deep.run.policy import Policy, load_policy
from virel_deep.run.seed_checkpoint import owner
from virel_deep.storage.checkpoint import save

SIZES = {"hidden": (24, 16), "data.batch": 32}


def policy_of(agent, k=0):
    return Policy(make_actor(agent.algorithm, agent.seed_networks(k)), EnvSpec("env"), 0)


DELIBERATE = {"iterative", "stein", "smc", "tilted", "latent"}
AMORTISED = [name for name, row in PRESETS.items() if row.algorithm.posterior.kind not in DELIBERATE]


@pytest.mark.parametrize("preset", AMORTISED)
def test_the_policy_in_numpy_acts_as_the_agent_does_without_noise(preset):
    algorithm = algorithm_of(preset, **sized(preset, SIZES))
    agent = agent_of(algorithm, 5, 2, (0, 1))
    feed(agent, *[update_data(algorithm, 5, 2, updates=3, seed=seed) for seed in (0, 1)])
    observation = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    theirs = agent.policy(observation.expand(2, 50, 5))[:, 0, :, :2].tanh()
    for k in (0, 1):
        mine = policy_of(agent, k).act(observation.numpy())
        # Sums of at most 24 products of values below 10 in another order, through three layers whose weights
        # have norms of order 1: below 3 x 24 roundings of 6e-8 x 10.
        np.testing.assert_allclose(mine, theirs[k].numpy(), rtol=0, atol=5e-5)
        assert mine.dtype == np.float32
        assert [weight.shape for weight, _ in policy_of(agent).actor.layers] == [(5, 24), (24, 16), (16, 2)]


@pytest.mark.parametrize("preset", PRESETS)
def test_an_explorer_acts_as_the_agent_does_with_the_same_noise(preset):
    algorithm = algorithm_of(preset, hidden=(8, 8))
    agent = agent_of(algorithm, 5, 2, (0, 1))
    explorer = Explorer(algorithm, agent.seed_state(1), np.random.SeedSequence(0))
    observation = np.random.default_rng(0).standard_normal((2, 3, 5), np.float32)
    source = torch.Generator().manual_seed(int(np.random.SeedSequence(0).generate_state(1)[0]))
    noise = torch.empty(2, 3, agent.acting.width)
    fill(noise[1], agent.acting, source)
    fill(noise[0], agent.acting, source)
    acted = agent.act(observation, noise.numpy())
    assert np.array_equal(explorer.act(observation[1]), acted[1])
    assert not np.array_equal(explorer.act(observation[1]), acted[1])  # it draws anew


def test_a_policy_does_not_change_with_the_agent_that_it_came_from():
    algorithm = algorithm_of("sac", **SIZES)
    agent = agent_of(algorithm, 5, 2)
    policy = policy_of(agent)
    observation = np.ones((1, 5), np.float32)
    before = policy.act(observation)
    feed(agent, update_data(algorithm, 5, 2, updates=5, seed=0))
    assert (policy.act(observation) == before).all()
    assert (policy_of(agent).act(observation) != before).all()


def test_the_newest_checkpoint_of_a_run_holds_the_policy(tmp_path):
    config = small_run(tmp_path, "sac", "InvertedPendulum-v5", steps=100, seeds=(3,))
    agent, observation, acted = agent_of(config.algorithm, 4, 1), np.ones((1, 4), np.float32), []
    for step in (40, 80):
        feed(agent, update_data(config.algorithm, 4, 1, updates=1, seed=0))
        acted.append(policy_of(agent).act(observation))
        state = {"agent": agent.seed_state(0), "owner": owner(config, 3)}
        save(tmp_path / "seed-3/checkpoints", step, state, rows=None)
    policy = load_policy(tmp_path, 3)
    assert (policy.env, policy.step) == (EnvSpec("InvertedPendulum-v5"), 80)
    assert acted[0] != acted[1]
    assert policy.act(observation) == acted[1]


def test_what_is_no_run_no_seed_or_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="`run` must be a run folder"):
        load_policy(tmp_path / "nowhere", 0)
    small_run(tmp_path, "sac", "InvertedPendulum-v5", steps=100, seeds=(0, 1))
    with pytest.raises(InputError, match=r"`seed` must be one of \[0, 1\]; found 2"):
        load_policy(tmp_path, 2)
    with pytest.raises(InputError, match="must hold a checkpoint"):
        load_policy(tmp_path, 1)
