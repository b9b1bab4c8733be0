"""Metrics of an update are what their names say, whatever the delay, the kind of actions and the prior."""

import math
import re
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, default_dtype, discrete_of, feed, update_data
from virel_common.errors import InputError
from virel_deep.axes.gaussian import kl_parts
from virel_deep.axes.posterior.tanh_gaussian import split
from virel_deep.design.presets import PRESETS

PAGE = Path(__file__).resolve().parents[3] / "docs/deep/metrics.md"
N_OBSERVATION, N_ACTION = 5, 2
SIZES = {"hidden": (8,), "data.batch": 12}
RARE = [
    ("mpo", {"posterior.samples": 4, "value.steps": 2}, ("price_mean", "price_spread", "policy_loss")),
    ("iadp", {"value.steps": 2}, ("prior_kl", "policy_loss")),
    ("sac-iterative", {}, ("amortisation_gap", "policy_loss")),
    ("sac", {}, ("policy_loss",)),
]


def reported(algorithm, updates):
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    feed(agent, update_data(algorithm, N_OBSERVATION, N_ACTION, updates=updates, seed=0))
    [report] = agent.report()
    return report


@pytest.mark.parametrize(("preset", "settings", "names"), RARE, ids=str)
def test_what_only_an_improving_update_has_is_a_mean_over_such_updates(preset, settings, names):
    # Of three updates with a delay of three the first improves, so that its metrics are those of one update.
    one = reported(algorithm_of(preset, **(SIZES | settings)), 1)
    three = reported(algorithm_of(preset, **(SIZES | settings | {"policy_delay": 3})), 3)
    for name in names:
        assert one[name] != 0
        assert three[name] == pytest.approx(one[name], rel=1e-6)  # products and quotients of single numbers


def test_the_entropy_of_top_share_is_that_of_the_policy_that_acted():
    algorithm = discrete_of("vmpo", **{"hidden": (8,), "data.length": 4096, "temperature.initial": 0.1})
    agent = agent_of(algorithm, N_OBSERVATION, 2)
    network = agent.networks["policy"]
    for layer in network.layers:
        layer.weight.zero_()
        layer.bias.zero_()
    network.layers[-1].bias[..., 0] = math.log(9.0)  # probabilities 0.9 and 0.1 at every state
    agent.copy_targets()
    batch, noise, own = update_data(algorithm, N_OBSERVATION, 2, updates=1, seed=0)[0]
    first = torch.rand(batch.shape[:-1], generator=torch.Generator().manual_seed(0)) < 0.9
    batch[..., agent.columns.action] = torch.stack((first, ~first), dim=-1).float()
    feed(agent, [(batch, noise, own)])
    entropy = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    # The mean of 8192 log probabilities, with a deviation of 0.3 log 9 = 0.66 each: four of 0.0073.
    assert agent.report()[0]["entropy"] == pytest.approx(entropy, abs=0.03)


def test_the_divergence_from_a_learned_prior_is_that_from_the_network_and_not_from_its_lagging_copy():
    algorithm = algorithm_of("iadp", **{"hidden": (8,), "data.batch": 2048, "value.steps": 2})
    with default_dtype(torch.float64):
        agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
        [(batch, noise, own)] = update_data(algorithm, N_OBSERVATION, N_ACTION, updates=1, seed=0)
        agent.networks["default"].layers[-1].bias.add_(0.3)  # the lagging copy stays
        state = batch[:, 0, agent.columns.observation][None].double()
        policy, network, copy = (
            split(net(state)[:, 0])
            for net in (agent.networks["policy"], agent.networks["default"], agent.targets["default"])
        )
        exact, other = (kl_parts(policy, prior).sum(-1).mean().item() for prior in (network, copy))
        feed(agent, [(batch.double(), noise.double(), own)])
        found = agent.report()[0]["prior_kl"]
    assert abs(exact - other) > 0.05
    # A log ratio has a deviation of about 0.5 nats here; the mean of 2048: four of 0.011.
    assert found == pytest.approx(exact, abs=0.045)


def forms(preset):
    """Algorithms of a preset: that for continuous actions, and for discrete ones if it has one."""
    yield algorithm_of(preset, hidden=(4,))
    with suppress(InputError):
        yield discrete_of(preset, hidden=(4,))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_metric_is_explained_on_the_page_about_the_log(preset):
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    for algorithm in forms(preset):
        assert set(agent_of(algorithm, 3, 2).metrics) <= explained
