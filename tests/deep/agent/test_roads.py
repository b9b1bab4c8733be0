"""The update by hand against the general road: the same update, written twice, for every preset."""

from functools import cache
from typing import NamedTuple

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, default_dtype, differing, feed, leaves, update_data
from virel_deep.agent import build, fused_kernels
from virel_deep.agent.build import fused
from virel_deep.agent.fused import FusedAgent
from virel_deep.agent.general import GeneralAgent
from virel_deep.axes import losses
from virel_deep.axes.posterior.pathwise import Pathwise
from virel_deep.axes.tensors import Weighted
from virel_deep.design.presets import PRESETS
from virel_deep.networks.stacks import cpu_products

N_OBSERVATION, N_ACTION, UPDATES, SEEDS = 5, 2, 50, (0, 1)
SIZES = {"hidden": (24, 16), "data.batch": 32, "reward_scale": 3.0}
OWN = {
    "temperature.batch": 48,
    "temperature.period": 4,
    "temperature.smoothing": 0.5,
    "temperature.scale": 0.1,
}
BY_HAND = [preset for preset, row in PRESETS.items() if fused(row.algorithm)]
CASES = [(preset, {}) for preset in BY_HAND] + [
    ("beta", OWN),
    ("beta", {"temperature.scale": "auto", "temperature.period": 3}),
    ("beta-twin", OWN),
    ("beta-twin", OWN | {"temperature.scale": "auto", "value.evaluation": "soft"}),
    ("virel-twin", {"policy_delay": 3}),
]
every_case = pytest.mark.parametrize("case", range(len(CASES)), ids=map(str, CASES))


class Trained(NamedTuple):
    """What updates leave of both seeds: tensors and numbers by name, and reports."""

    state: list
    reports: list


def trained(algorithm, dtype, *, general, updates=UPDATES, engine="torch"):
    """What updates leave of an agent; weights, batches and noise are the same for every type and road."""
    with default_dtype(torch.float32):
        source = agent_of(algorithm, N_OBSERVATION, N_ACTION, SEEDS)
        data = [update_data(algorithm, N_OBSERVATION, N_ACTION, updates=updates, seed=seed) for seed in SEEDS]
    with default_dtype(dtype):
        agent = agent_of(algorithm, N_OBSERVATION, N_ACTION, SEEDS, general=general)
        for k in range(len(SEEDS)):
            agent.load_seed_state(k, source.seed_state(k))
        with cpu_products(engine):
            feed(agent, *[[cast(one, dtype) for one in of_seed] for of_seed in data])
    return Trained(vectors(agent), agent.report())


@cache
def trained_case(case, dtype, *, general, engine="torch"):
    """What fifty updates leave of one of `CASES`, trained once for all tests that read it."""
    preset, settings = CASES[case]
    return trained(algorithm_of(preset, **(SIZES | settings)), dtype, general=general, engine=engine)


def cast(one, dtype):
    batch, noise, own = one
    return batch.to(dtype), noise.to(dtype), own and tuple(x.to(dtype) for x in own)


def vectors(agent):
    """Every tensor and number of both seeds, in float64."""
    return [
        {name: torch.as_tensor(x, dtype=torch.float64) for name, x in leaves(agent.seed_state(k)).items()}
        for k in range(len(SEEDS))
    ]


def distances(one, other):
    """Norm of the difference of every leaf, relative to the other's."""
    return {
        (k, name): float((mine[name] - theirs[name]).norm() / theirs[name].norm().clamp(min=1e-300))
        for k, (mine, theirs) in enumerate(zip(one.state, other.state, strict=True))
        for name in theirs
    }


def worst_in_double(algorithm, *, engine="torch"):
    """Worst distance of five updates by hand under an engine from the general road in torch."""
    hand = trained(algorithm, torch.float64, general=False, updates=5, engine=engine)
    return worst_distance(trained(algorithm, torch.float64, general=True, updates=5), hand)


def worst_distance(general, hand):
    """Largest distance of any leaf and of any reported number of two agents."""
    worst = max(distances(general, hand).values())
    for mine, theirs in zip(general.reports, hand.reports, strict=True):
        assert mine.keys() == theirs.keys()
        apart = (abs(mine[name] - theirs[name]) / max(abs(theirs[name]), 1e-300) for name in theirs)
        worst = max(worst, *apart)
    return worst


@every_case
def test_fifty_updates_in_double_precision_agree_to_twelve_digits(case):
    # A gradient is a sum of 32 x 24 products, off by a few roundings of 1.1e-16. Fifty steps of 3e-4 add such
    # errors up, and Adam's quotient amplifies them where a gradient is small: 1e-12 leaves 4 digits for both.
    road, hand = (trained_case(case, torch.float64, general=general) for general in (True, False))
    assert worst_distance(road, hand) <= 1e-12


@pytest.mark.parametrize("general", [False, True], ids=["by hand", "general"])
@every_case
def test_compiled_passes_in_double_precision_agree_with_the_general_road_to_twelve_digits(case, general):
    # The bound is that of the test above: the same sums, in another order.
    road = trained_case(case, torch.float64, general=True)
    compiled = trained_case(case, torch.float64, general=general, engine="compiled")
    assert worst_distance(road, compiled) <= 1e-12


@every_case
def test_compiled_updates_in_single_precision_are_as_near_to_the_exact_ones(case):
    # The bound is that of the test below. It holds one way only: the compiled sample is made in float64.
    exact = trained_case(case, torch.float64, general=False)
    hand = distances(trained_case(case, torch.float32, general=False), exact)
    compiled = distances(trained_case(case, torch.float32, general=False, engine="compiled"), exact)
    for name in hand:
        assert compiled[name] <= 4 * max(hand[name], 2.0**-24), name


@every_case
def test_fifty_updates_in_single_precision_are_as_near_to_the_exact_ones_on_both_roads(case):
    # Both roads make roundings of the same size in another order, and Adam amplifies them alike: so their
    # distances to the float64 run are of one size; 4 allows for products that sum in a worse order. Below
    # 2^-24 a distance is the rounding of a number that both have exactly.
    exact = trained_case(case, torch.float64, general=False)
    hand, general = (
        distances(trained_case(case, torch.float32, general=road), exact) for road in (False, True)
    )
    for name in hand:
        assert general[name] <= 4 * max(hand[name], 2.0**-24), name
        assert hand[name] <= 4 * max(general[name], 2.0**-24), name


def half_weighted(self, x):
    return (self.log_weight.exp() * x).sum(-1) / 2


def no_gradient_of_density(_, posterior, q, alpha):
    return (alpha * posterior.log_ratio.detach()[..., 0] - q[..., 0]).mean(-1)


PLANTED = [
    ("sac", Weighted, "mean", half_weighted),
    ("sac", Pathwise, "loss", no_gradient_of_density),
    ("beta", losses, "d_penalty", lambda head, *_, **__: torch.zeros_like(head)),
    ("beta-twin", losses, "d_smaller", lambda q: torch.stack((q[:, 0] > q[:, 1], q[:, 0] <= q[:, 1]), dim=1)),
    ("td3", losses, "d_squared_loss", lambda value, target: (value - target) * 1.000001 / value.shape[-1]),
]


@pytest.mark.parametrize(("preset", "owner", "name", "wrong"), PLANTED)
def test_an_error_planted_on_one_road_is_seen(monkeypatch, preset, owner, name, wrong):
    algorithm = algorithm_of(preset, **SIZES)
    assert worst_in_double(algorithm) <= 1e-12
    monkeypatch.setattr(owner, name, wrong)
    assert worst_in_double(algorithm) > 1e-9


def test_an_error_planted_in_the_compiled_sample_is_seen(monkeypatch):
    algorithm = algorithm_of("sac", **SIZES)
    right = fused_kernels.sample
    monkeypatch.setattr(
        fused_kernels, "sample", lambda *x: right(*x)._replace(pushed=right(*x).pushed * 1.000001)
    )
    assert worst_in_double(algorithm, engine="compiled") > 1e-9


def test_the_presets_of_the_sac_family_and_no_other_go_by_hand():
    others = {
        "mpo",
        "mpo-parametric",
        "rerpi",
        "vmpo",
        "erpg",
        "sac-iterative",
        "sql",
        "mb-sac",
        "mb-mpo",
        "smcp",
        "distral",
        "iadp",
        "hdp",
        "mb-iadp",
    }
    assert set(BY_HAND) == set(PRESETS) - others


@pytest.mark.parametrize("preset", BY_HAND)
def test_a_preset_goes_by_hand_unless_the_general_road_is_asked_for(preset):
    algorithm = algorithm_of(preset, **SIZES)
    assert isinstance(agent_of(algorithm, N_OBSERVATION, N_ACTION), FusedAgent)
    assert isinstance(agent_of(algorithm, N_OBSERVATION, N_ACTION, general=True), GeneralAgent)


def test_an_algorithm_with_a_part_that_is_not_written_by_hand_goes_the_general_road(monkeypatch):
    algorithm = algorithm_of("sac", **SIZES)
    monkeypatch.setattr(build, "OTHER_PARTS", build.OTHER_PARTS - {type(algorithm.temperature)})
    assert isinstance(agent_of(algorithm, N_OBSERVATION, N_ACTION), GeneralAgent)


@pytest.mark.parametrize(
    "settings",
    [
        {"target_period": 3},
        {"value.steps": 3, "value.evaluation": "hard"},
        {"value.steps": 3, "value.trace": 0.5},
        {"gradient_norm": 1.0},
    ],
    ids=str,
)
def test_targets_of_several_steps_copied_ones_and_short_gradients_go_the_general_road(settings):
    assert isinstance(agent_of(algorithm_of("sac", **SIZES, **settings), 5, 2), GeneralAgent)


@pytest.mark.parametrize("preset", ["sac", "td3", "beta"])
def test_a_seed_continues_on_the_general_road_from_its_state_in_another_stack(preset):
    algorithm = algorithm_of(preset, **SIZES)
    data = [update_data(algorithm, N_OBSERVATION, N_ACTION, updates=5, seed=seed) for seed in SEEDS]
    whole = agent_of(algorithm, N_OBSERVATION, N_ACTION, SEEDS, general=True)
    feed(whole, *[of_seed[:3] for of_seed in data])
    alone = agent_of(algorithm, N_OBSERVATION, N_ACTION, (7,), general=True)
    alone.load_seed_state(0, whole.seed_state(1))
    feed(whole, *[of_seed[3:] for of_seed in data])
    feed(alone, data[1][3:])
    assert differing(alone.seed_state(0), whole.seed_state(1)) == []
