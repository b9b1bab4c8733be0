"""Every preset against an independent, plain version of its paper (`naive_agents`); what updates report."""

import numpy as np
import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, default_dtype, differing, feed, update_data
from tests.support.naive_agents import NAIVE
from tests.support.updates import ordered, parameters
from virel_deep.agent.interfaces import METRICS

N_OBSERVATION, N_ACTION, UPDATES = 5, 2, 20
SIZES = {"hidden": (24, 16), "data.batch": 32, "reward_scale": 3.0}
LEARNING_RATE, BETA2, ADAM_EPS = 3e-4, 0.999, 1e-8


def pair(preset, dtype, *, naive_dtype=None, **settings):
    """Our agent and the naive one with the same weights, and data for their updates."""
    algorithm = algorithm_of(preset, **(SIZES | settings))
    with default_dtype(torch.float32):  # one draw, whatever the types
        source = agent_of(algorithm, N_OBSERVATION, N_ACTION)
        data = update_data(algorithm, N_OBSERVATION, N_ACTION, updates=UPDATES, seed=0)
    weights = {
        name: {block: x.clone() for block, x in net.seed_blocks(net.flat, 0).items()}
        for name, net in source.networks.items()
    }
    with default_dtype(dtype):
        ours = agent_of(algorithm, N_OBSERVATION, N_ACTION)
        ours.load_seed_state(0, source.seed_state(0))
    with default_dtype(naive_dtype or dtype):
        plain = NAIVE[preset](weights, algorithm, N_OBSERVATION, N_ACTION)
    return ours, plain, data


def cast(data, dtype):
    return [
        (batch.to(dtype), noise.to(dtype), own and tuple(x.to(dtype) for x in own))
        for batch, noise, own in data
    ]


def run(ours, plain, data, dtype, naive_dtype):
    with default_dtype(dtype):
        feed(ours, cast(data, dtype))
    with default_dtype(naive_dtype):
        for batch, noise, own in cast(data, naive_dtype):
            plain.update(batch, noise, *([] if own is None else [own]))


def vectors(ours):
    """All that seed 0 has learnt, by network; and the tuned temperature, where there is one."""
    state = ours.seed_state(0)
    names = [*ours.networks, *(f"target_{name}" for name in ours.targets)]
    tuned = [state["temperature"].get("log_alpha", 0.0)]
    out = {name: ordered(state[name]) for name in names}
    return out | {"log_alpha": torch.tensor(tuned, dtype=torch.float64)}


def naive_vectors(plain):
    tuned = float(getattr(plain, "log_alpha", torch.zeros(())).detach())
    return parameters(plain) | {"log_alpha": torch.tensor([tuned], dtype=torch.float64)}


def step_error(ours):
    """How far the last update's step may be from the naive agent's in float64, each entry of `vectors`.

    An entry of a gradient is a sum of at most 32 (batch) x 24 (width) products a layer, each off by a few
    roundings of 1.1e-16, of values below 30 (rewards are scaled by 3): an error d below 1e-12. Adam's step is
    lr m / (sqrt(v) + eps). m and sqrt(v) are weighted means, so off by d at most, and |m| <= 1.2 sqrt(v) in
    20 updates (Cauchy-Schwarz): together 2.2 lr d / (sqrt(v) + eps). A network that did not move (a delayed
    policy) is counted again. A target is a mean of what it follows. What errors do to later gradients is
    left out: steps are 3e-4, and what is seen is below 0.3 % of this bound.
    """
    state = ours.seed_state(0)
    out = {"log_alpha": torch.zeros(1, dtype=torch.float64)}
    if "log_alpha" in state["temperature"]:
        out["log_alpha"] += _step_error(state["temperature"]["exp_avg_sq"], state["temperature"]["step"])
    for name in ours.networks:
        out[name] = _step_error(ordered(state[f"{name}_exp_avg_sq"]), state["steps"][name])
    return out | {f"target_{name}": out[name] for name in ours.targets}


def _step_error(exp_avg_sq, steps):
    v = exp_avg_sq / (1 - BETA2**steps)
    return 2.2 * LEARNING_RATE * 1e-12 / (v**0.5 + ADAM_EPS)


@pytest.mark.parametrize("preset", NAIVE)
def test_twenty_updates_in_double_precision_are_those_of_the_paper(preset):
    assert_equal_updates(*pair(preset, torch.float64))


@pytest.mark.parametrize("preset", ["beta", "beta-twin"])
@pytest.mark.parametrize(
    "options",
    [
        {"temperature.batch": 48},
        {"temperature.period": 3},
        {"temperature.smoothing": 0.75},
        {"temperature.batch": 48, "temperature.period": 4, "temperature.smoothing": 0.5},
    ],
    ids=" ".join,
)
def test_the_options_of_the_residual_temperature_do_what_they_say(preset, options):
    # A scale that makes the temperature matter: with 4e-3 it is about 0.1 here.
    assert_equal_updates(*pair(preset, torch.float64, **{"temperature.scale": 0.1}, **options))


def assert_equal_updates(ours, plain, data):
    start = vectors(ours)
    allowed = {name: torch.zeros_like(x) for name, x in start.items()}
    for one in data:
        run(ours, plain, [one], torch.float64, torch.float64)
        for name, error in step_error(ours).items():
            allowed[name] += error
    mine, theirs = vectors(ours), naive_vectors(plain)
    assert mine.keys() == theirs.keys() == allowed.keys()
    for name in mine:
        assert ((mine[name] - theirs[name]).abs() <= allowed[name]).all(), name
        assert (mine[name] - start[name]).abs().median() >= 1e3 * allowed[name].median(), name


@pytest.mark.parametrize("preset", NAIVE)
def test_twenty_updates_in_single_precision_are_as_near_to_the_exact_ones_as_the_plain_agent_is(preset):
    # Both float32 agents make the same roundings in another order, and Adam amplifies them alike. So their
    # distances to the float64 agent are of one size; 4 allows for products that sum in a worse order.
    ours, exact, data = pair(preset, torch.float32, naive_dtype=torch.float64)
    run(ours, exact, data, torch.float32, torch.float64)
    _, rounded, _ = pair(preset, torch.float32)
    with default_dtype(torch.float32):
        for batch, noise, _ in data:
            rounded.update(batch, noise)
    mine, floor, exact = vectors(ours), naive_vectors(rounded), naive_vectors(exact)
    for name in exact:
        assert (mine[name] - exact[name]).norm() <= 4 * (floor[name] - exact[name]).norm(), name


@pytest.mark.parametrize("preset", NAIVE)
def test_a_report_holds_the_means_over_the_updates_since_the_last_one(preset):
    ours, plain, data = pair(preset, torch.float64)
    expected = []
    with default_dtype(torch.float64):
        for batch, noise, _ in cast(data, torch.float64):
            plain.update(batch, noise)
            expected.append(
                {name: float(torch.as_tensor(value).detach()) for name, value in plain.reported.items()}
            )
        feed(ours, cast(data[:5], torch.float64))
        assert set(ours.report()[0]) == set(METRICS)
        feed(ours, cast(data[5:], torch.float64))
        [report] = ours.report()
        assert ours.report() == [{}]
    for name in expected[0]:
        # Sums of at most 1,000 parameters, which agree to 1e-11 (above), times values below 10.
        mean = sum(row[name] for row in expected[5:]) / len(expected[5:])
        assert report[name] == pytest.approx(mean, rel=0, abs=1e-7), name
    # Both are means of the squared TD error of the minibatches, in float64.
    assert report["td_error"] ** 2 == pytest.approx(report["eps_omega"], rel=1e-12)
    assert report["q_loss"] == pytest.approx(len(plain.qs) * report["eps_omega"] / 2, rel=1e-12)


def test_a_delayed_policy_moves_with_its_targets_every_second_update_only():
    algorithm = algorithm_of("td3", **SIZES)
    agent, moved = agent_of(algorithm, N_OBSERVATION, N_ACTION), []
    for one in update_data(algorithm, N_OBSERVATION, N_ACTION, updates=6, seed=0):
        before = agent.seed_state(0)
        feed(agent, [one])
        after = agent.seed_state(0)
        names = ("policy", "target_policy", "target_critic", "critic")
        moved.append({name for name in names if differing(before[name], after[name])})
    assert moved == [{"policy", "target_policy", "target_critic", "critic"}, {"critic"}] * 3


def test_the_policy_loss_of_a_delayed_policy_is_a_mean_over_its_own_steps():
    algorithm = algorithm_of("td3", **SIZES)
    delayed, always = (
        agent_of(algorithm, N_OBSERVATION, N_ACTION),
        agent_of(algorithm_of("td3", **SIZES, policy_delay=1), N_OBSERVATION, N_ACTION),
    )
    data = update_data(algorithm, N_OBSERVATION, N_ACTION, updates=2, seed=0)
    feed(delayed, data)
    feed(always, data[:1])
    assert delayed.report()[0]["policy_loss"] == always.report()[0]["policy_loss"]


def test_targets_start_as_copies_and_a_polyak_weight_of_one_keeps_them_so():
    algorithm = algorithm_of("td3", **SIZES, polyak=1.0)
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    for _ in range(2):
        state = agent.seed_state(0)
        assert differing(state["policy"], state["target_policy"]) == []
        assert differing(state["critic"], state["target_critic"]) == []
        feed(agent, update_data(algorithm, N_OBSERVATION, N_ACTION, updates=1, seed=0))


@pytest.mark.parametrize("preset", NAIVE)
def test_acting_takes_the_noise_of_its_preset_and_stays_in_the_unit_box(preset):
    algorithm = algorithm_of(preset, **SIZES)
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    rng = np.random.default_rng(0)
    observation, noise = (rng.standard_normal((1, 400, n), np.float32) for n in (N_OBSERVATION, N_ACTION))
    [head] = agent.heads(observation)
    # Products of numpy and torch, sums of at most 24 values below 10: as in test_policy.
    torchs = agent.policy(torch.from_numpy(observation))[0, 0].numpy()
    np.testing.assert_allclose(head, torchs, rtol=0, atol=5e-5)
    mean, log_std = head[:, :N_ACTION], head[:, N_ACTION:]
    noisy = (
        np.tanh(mean + np.exp(log_std) * noise)
        if algorithm.posterior.has_density
        else np.tanh(mean) + 0.1 * noise
    )
    assert np.array_equal(agent.act(observation, noise), noisy.clip(-1, 1))
    assert np.array_equal(agent.act(observation, 0 * noise), np.tanh(mean)[None])
    assert abs(agent.act(observation, 1e6 * noise)).max() == 1
    assert agent.act(observation, noise).dtype == np.float32


def test_many_updates_on_one_batch_fit_it():
    # gamma = 0: the target is the reward, which 24 x 16 units can hold for 32 transitions.
    algorithm = algorithm_of("virel", **SIZES, gamma=0.0, learning_rate=1e-2)
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    [one] = update_data(algorithm, N_OBSERVATION, N_ACTION, updates=1, seed=0)
    feed(agent, [one])
    first = agent.report()[0]["td_error"]
    feed(agent, [one] * 200)
    agent.report()
    feed(agent, [one])
    assert agent.report()[0]["td_error"] < first / 10


@pytest.mark.parametrize(
    ("preset", "settings"), [("sac-iterative", {}), ("mb-sac", {}), ("smcp", {}), ("td3", {})]
)
def test_seeds_share_the_weights_of_equal_critics_whatever_their_policies_are(preset, settings):
    sizes = {"hidden": (8, 6)}
    one = agent_of(algorithm_of("sac", **sizes), 5, 2, (3, 4))
    other = agent_of(algorithm_of(preset, **(sizes | settings)), 5, 2, (3, 4))
    for k in (0, 1):
        mine, theirs = (agent.seed_state(k)["critic"] for agent in (one, other))
        assert mine.keys() == theirs.keys()
        for name, x in mine.items():
            assert torch.equal(x, theirs[name])
