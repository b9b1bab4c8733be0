"""At which states a policy is improved: where episodes begin, and never after their end."""

import pytest
import torch

from tests.support.deep import (
    agent_of,
    algorithm_of,
    differing,
    discrete_of,
    feed,
    one_hot,
    sized,
    update_data,
)
from virel_deep.design.presets import PRESETS

ODD = {"hidden": (17, 9), "data.batch": 12}
MODELS = {"mb-sac", "mb-iadp", "mb-mpo", "smcp"}
"""Presets whose model learns what the last step of an episode leads to."""
WEIGHTED = [
    ("mpo", {"value.steps": 3}),
    ("mpo", {"value.steps": 1, "value.trace": None}),
    ("mpo", {"value.steps": 3, "value.trace": None}),
    ("rerpi", {}),
]


def state_after(agent, data):
    feed(agent, data)
    return agent.seed_state(0)


@pytest.mark.parametrize(
    ("preset", "settings"), [(name, {}) for name in PRESETS if name not in MODELS] + WEIGHTED[:3], ids=str
)
def test_what_is_seen_after_the_end_of_an_episode_changes_no_bit(preset, settings):
    algorithm = algorithm_of(preset, **sized(preset, ODD), **settings)
    data = update_data(algorithm, 4, 2, updates=5, seed=0)
    mine, other = (agent_of(algorithm, 4, 2) for _ in range(2))
    columns = mine.columns
    for batch, _, _ in data:
        batch[::3, ..., columns.terminated] = 1.0
    changed = [(batch.clone(), noise, own) for batch, noise, own in data]
    for batch, _, _ in changed:
        ends = batch[..., columns.terminated] > 0
        seen = batch[..., columns.next_observation]
        batch[..., columns.next_observation] = torch.where(ends[..., None], 3 - 2 * seen, seen)
    assert differing(state_after(mine, data), state_after(other, changed)) == []


def lever(algorithm, *, updates, discrete):
    """Updates on episodes of two steps: the first action pays 1 if it has the sign of the first observation.

    No action leads to a state that begins episodes. Actions are uniform, as in a warm-up.
    """
    data, rng = update_data(algorithm, 2, 2 if discrete else 1, updates=updates, seed=0), torch.Generator()
    columns = agent_of(algorithm, 2, 2 if discrete else 1).columns
    for batch, _, _ in data:
        shape = batch.shape[:-1]
        place = torch.arange(shape[0]).view(-1, *[1] * (len(shape) - 1)) + torch.arange(shape[-1])
        begins = (place % 2 == 0).float().expand(shape) if len(shape) > 1 else torch.arange(shape[0]) % 2.0
        sign = torch.randint(2, shape, generator=rng) * 2.0 - 1
        action = torch.rand(shape, generator=rng) * 2 - 1
        batch[..., columns.observation] = torch.stack((begins * sign, 1 - begins), dim=-1)
        batch[..., columns.next_observation] = torch.tensor([0.0, 1.0])
        batch[..., columns.reward] = begins * (action * sign > 0)
        batch[..., columns.terminated] = 1 - begins
        if discrete:
            batch[..., columns.action] = one_hot(torch.stack((-action, action), dim=-1))
        else:
            batch[..., columns.action] = action[..., None]
            if columns.pre is not None:
                batch[..., columns.pre] = action.atanh()[..., None]
        if columns.truncated is not None:
            batch[..., columns.truncated] = 0.0
        if columns.log_density is not None:
            batch[..., columns.log_density] = -0.5
    return data


@pytest.mark.parametrize("discrete", [False, True], ids=["continuous", "discrete"])
@pytest.mark.parametrize(("preset", "settings"), WEIGHTED, ids=str)
def test_a_policy_learns_the_first_action_of_an_episode(preset, settings, discrete):
    # 400 updates on rows that tell all that there is: the policy must take the right sign in both states.
    more = {"hidden": (32, 32), "data.batch": 32, "learning_rate": 3e-3, "target_period": 10}
    samples = {} if discrete else {"posterior.samples": 8}
    algorithm = (discrete_of if discrete else algorithm_of)(preset, **more, **samples, **settings)
    agent = agent_of(algorithm, 2, 2 if discrete else 1)
    feed(agent, lever(algorithm, updates=400, discrete=discrete))
    heads = agent.heads(torch.tensor([[[-1.0, 0.0], [1.0, 0.0]]]).numpy())
    (head,) = heads
    score = head[:, 1] - head[:, 0] if discrete else head[:, 0]
    assert score[0] < 0 < score[1]
