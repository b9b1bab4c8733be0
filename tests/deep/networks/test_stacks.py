"""K stacked seeds are K single runs bit for bit: losses, gradients, parameters, actions. Seeds never meet."""

import numpy as np
import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, differing, feed, sized, update_data
from virel_deep.agent.build import fused
from virel_deep.design.presets import PRESETS
from virel_deep.networks.precision import products
from virel_deep.networks.stacks import Stack, affine, by_numpy, cpu_products, product

SEEDS = (0, 1, 2)
SLOW = {"sac-iterative", "sql", "mb-sac", "mb-iadp", "mb-mpo", "smcp"}
"""Presets whose updates take long."""
ROADS = [
    (preset, general)
    for preset, row in PRESETS.items()
    for general in (False, True)
    if general or fused(row.algorithm)
]
"""Presets and whether their update is by autograd; those without gradients by hand have that road alone."""
KIN = ("mpo", "rerpi", "mpo-parametric", "vmpo", "erpg", "sac-iterative", "sql")
ODD = {"hidden": (33, 17), "data.batch": 20}
"""Sizes that no vector divides: every product has tails, every matrix would be unaligned."""


def outcome(agent, k):
    """All that seed k's updates leave: its state, what it reports, its last gradients."""
    gradients = {
        name: {block: x.clone() for block, x in net.seed_blocks(net.gradient, k).items()}
        for name, net in agent.networks.items()
    }
    return {"state": agent.seed_state(k), "gradients": gradients}


def stacked_and_alone(algorithm, n_observation, n_action, updates, *, apart=SEEDS, general=False):
    """The agent of all seeds, and by place in it the agents of those of `apart`, after the same updates."""
    data = [update_data(algorithm, n_observation, n_action, updates=updates, seed=seed) for seed in SEEDS]
    together = agent_of(algorithm, n_observation, n_action, SEEDS, general=general)
    feed(together, *data)
    alone = {k: agent_of(algorithm, n_observation, n_action, (k,), general=general) for k in apart}
    for k, agent in alone.items():
        feed(agent, data[k])
    return together, alone


def assert_same_bits(together, alone):
    for k, single in alone.items():
        assert differing(outcome(together, k), outcome(single, 0)) == []
    reports = together.report()
    assert {k: reports[k] for k in alone} == {k: single.report()[0] for k, single in alone.items()}


@pytest.mark.parametrize("precision", ["stacked", "compiled"])
@pytest.mark.parametrize("sizes", [pytest.param((8, 8), marks=pytest.mark.long), (24, 16), (64, 64)], ids=str)
@pytest.mark.parametrize("general", [False, True], ids=["by hand", "general"])
@pytest.mark.parametrize("preset", ["beta", "sac", "td3"])
def test_products_of_whole_stacks_keep_the_bits_of_a_seed(preset, general, sizes, precision):
    algorithm = algorithm_of(preset, **(ODD | {"hidden": sizes}))
    with products(precision, "cpu"):
        assert_same_bits(*stacked_and_alone(algorithm, 5, 3, 10, general=general))


@pytest.mark.parametrize("precision", ["stacked", "compiled"])
@pytest.mark.parametrize("preset", [*KIN, "mb-sac", "mb-iadp", "mb-mpo", "smcp"])
def test_products_of_whole_stacks_keep_the_bits_of_mpo_and_its_kin(preset, precision):
    algorithm = algorithm_of(preset, **sized(preset, ODD), target_period=3)
    with products(precision, "cpu"):
        assert_same_bits(*stacked_and_alone(algorithm, 5, 3, 8, apart=(1,)))


@pytest.mark.parametrize(("preset", "general"), ROADS)
def test_many_updates_of_three_stacked_seeds_are_those_of_three_single_ones(preset, general):
    updates = 5 if preset in SLOW else 12
    algorithm = algorithm_of(preset, **sized(preset, ODD))
    assert_same_bits(*stacked_and_alone(algorithm, 5, 3, updates, general=general))


@pytest.mark.parametrize(
    ("preset", "precision", "updates"),
    [
        ("beta", "highest", 20),
        ("beta", "medium", 10),
        ("beta", "stacked", 20),
        ("sac", "highest", 10),
        ("sac", "medium", 10),
        ("sac", "stacked", 10),
        ("beta", "compiled", 20),
        ("sac", "compiled", 10),
    ],
)
def test_the_sizes_that_are_trained_keep_the_bits_too(preset, precision, updates):
    with products(precision, "cpu"):
        assert_same_bits(*stacked_and_alone(algorithm_of(preset), 17, 6, updates, apart=(1,)))


@pytest.mark.parametrize("batch_size", [1, 2, 16, 77, 100, 128])
@pytest.mark.parametrize("preset", ["beta", "sac", "td3"])
@pytest.mark.parametrize("general", [False, True], ids=["by hand", "general"])
def test_any_batch_size_keeps_the_bits(preset, batch_size, general):
    algorithm = algorithm_of(preset, **(ODD | {"data.batch": batch_size}))
    assert_same_bits(*stacked_and_alone(algorithm, 4, 1, 5, general=general))


@pytest.mark.parametrize("batch_size", [1, 2, 77])
@pytest.mark.parametrize("n_action", [1, 3])
def test_compiled_passes_keep_the_bits_at_any_batch_size(batch_size, n_action):
    algorithm = algorithm_of("sac", **(ODD | {"data.batch": batch_size}))
    with products("compiled", "cpu"):
        assert_same_bits(*stacked_and_alone(algorithm, 4, n_action, 5))


@pytest.mark.parametrize("general", [False, True], ids=["by hand", "general"])
def test_a_running_average_reward_keeps_the_bits(general):
    algorithm = algorithm_of("beta", **ODD, **{"temperature.scale": "auto"})
    assert_same_bits(*stacked_and_alone(algorithm, 5, 3, 20, general=general))


@pytest.mark.parametrize("general", [False, True], ids=["by hand", "general"])
def test_an_own_batch_for_the_residual_keeps_the_bits(general):
    own = {"temperature.batch": 50, "temperature.period": 2, "temperature.smoothing": 0.5}
    algorithm = algorithm_of("beta-twin", **ODD, **own)
    assert_same_bits(*stacked_and_alone(algorithm, 5, 3, 5, general=general))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("spoiled", [1.0, float("nan")], ids=["changed", "NaN"])
def test_what_one_seed_sees_leaves_the_bits_of_the_others_alone(preset, spoiled):
    settings = {} if fused(PRESETS[preset].algorithm) else {"target_period": 2}  # a policy sees old critics
    algorithm = algorithm_of(preset, **sized(preset, ODD), **settings)
    data = [update_data(algorithm, 5, 3, updates=6, seed=seed) for seed in SEEDS]
    agents = [agent_of(algorithm, 5, 3, SEEDS) for _ in range(2)]
    feed(agents[0], *data)
    column = agents[0].columns.reward
    data[1][2][0][..., column] = spoiled  # rewards of seed 1 in its third update
    feed(agents[1], *data)
    for k in (0, 2):
        assert differing(outcome(agents[0], k), outcome(agents[1], k)) == []
    touched = differing(outcome(agents[0], 1), outcome(agents[1], 1))
    learnt = "critic" if "critic" in agents[0].networks else "value"
    acts = "policy" if "policy" in agents[0].networks else "default"
    weights = (f"state/{learnt}", f"state/{acts}", f"gradients/{learnt}")
    assert {f"{name}/0.weight" for name in weights} <= set(touched)
    reports = [agent.report() for agent in agents]
    assert [repr(reports[0][k]) for k in (0, 2)] == [repr(reports[1][k]) for k in (0, 2)]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("copies", [1, 3, pytest.param(16, marks=pytest.mark.long)])
def test_seeds_act_alike_stacked_and_alone(preset, copies):
    algorithm = algorithm_of(preset, **sized(preset, ODD))
    together = agent_of(algorithm, 5, 3, SEEDS)
    rng = np.random.default_rng(0)
    widths = (5, together.acting.width)
    observation, noise = (rng.standard_normal((3, copies, n), np.float32) for n in widths)
    actions = together.act(observation, noise)
    for k, seed in enumerate(SEEDS):
        alone = agent_of(algorithm, 5, 3, (seed,))
        assert np.array_equal(actions[k : k + 1], alone.act(observation[k : k + 1], noise[k : k + 1]))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_seed_goes_on_from_its_state_in_another_stack(preset):
    algorithm = algorithm_of(preset, **sized(preset, ODD))
    data = [update_data(algorithm, 5, 3, updates=7, seed=seed) for seed in SEEDS]
    whole = agent_of(algorithm, 5, 3, SEEDS)
    feed(whole, *[of_seed[:3] for of_seed in data])
    states = [whole.seed_state(k) for k in range(3)]
    feed(whole, *[of_seed[3:] for of_seed in data])
    regrouped = agent_of(algorithm, 5, 3, (7, 8))  # other weights at first
    for k, seed in enumerate((2, 0)):
        regrouped.load_seed_state(k, states[seed])
    feed(regrouped, data[2][3:], data[0][3:])
    for k, seed in enumerate((2, 0)):
        assert differing(outcome(regrouped, k), outcome(whole, seed)) == []
    mine, theirs = regrouped.report(), whole.report()
    assert mine == [theirs[2], theirs[0]]


def test_a_saved_state_does_not_change_with_its_agent():
    algorithm = algorithm_of("sac", **ODD)
    agent = agent_of(algorithm, 5, 3)
    [first, second] = update_data(algorithm, 5, 3, updates=2, seed=0)
    feed(agent, [first])
    state, again = agent.seed_state(0), agent.seed_state(0)
    feed(agent, [second])
    assert differing(state, again) == []
    assert "critic/0.weight" in differing(state, agent.seed_state(0))


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(7, 5, 3), (64, 64, 64), (16, 1, 8), (16, 8, 1), (1, 9, 1)]
)
def test_products_by_numpy_are_as_exact_as_those_of_torch(rows, inner, columns):
    # A sum of `inner` products in any order is off by at most `inner` roundings of 2^-24 of its terms' sizes.
    rng = torch.Generator().manual_seed(0)
    a, b, bias, out = (
        Stack.empty(4, m, n, device=torch.device("cpu"))
        for m, n in ((rows, inner), (inner, columns), (1, columns), (rows, columns))
    )
    for one in (a, b, bias):
        one.all.normal_(generator=rng)
    bound = (inner + 2) * 2.0**-24 * (a.all.abs().double() @ b.all.abs().double() + bias.all.abs().double())
    exact = a.all.double() @ b.all.double()
    with cpu_products("numpy"):
        product(a, b, out=out)
        assert ((out.all.double() - exact).abs() <= bound).all()
        product(b.mT, a.mT, out=Stack(out.all.mT))
        assert ((out.all.double() - exact).abs() <= bound).all()
        affine(a, b, bias, out=out)
        assert ((out.all.double() - exact - bias.all.double()).abs() <= bound).all()
    assert not by_numpy()
