"""Every row over discrete actions against plain versions of their papers (`naive_discrete`)."""

from types import SimpleNamespace

import pytest
import torch

from tests.support.deep import (
    agent_of,
    algorithm_of,
    default_dtype,
    differing,
    discrete_of,
    feed,
    sized,
    update_data,
)
from tests.support.naive_discrete import NAIVE_DISCRETE
from tests.support.updates import distances, naive_after, ours_after, parameters
from virel_deep.axes import categorical, losses, rollout, weights
from virel_deep.axes.posterior import taken
from virel_deep.axes.tensors import Weighted

SIZES_OF_SPACES = N_OBSERVATION, N_ACTION = 5, 3
UPDATES = 50
SIZES = {"hidden": (24, 16), "data.batch": 12, "reward_scale": 3.0}
KIN = SIZES | {"target_period": 7}
ROLLOUTS = {"hidden": (24, 16), "reward_scale": 3.0, "data.length": 13}  # of two copies: 26 pairs
ROWS = [
    "virel", "beta", "virel-twin", "beta-twin", "sac-v", "sac", "mpo", "mpo-parametric", "rerpi", "sql",
    "vmpo", "erpg",
]  # fmt: skip
CASES = [
    ("sac", SIZES | {"learning_rate": 1e-2}),
    ("mpo", KIN | {"value.steps": 3}),
    ("mpo", KIN | {"value.steps": 2, "value.critics": 2, "value.trace": 0.7, "temperature.steps": 3}),
    ("mpo", KIN | {"value.steps": 2, "prior.trust": None}),
    ("rerpi", KIN),
    ("mpo-parametric", KIN | {"value.steps": 3}),
    ("rerpi", KIN | {"posterior.weights": "rank", "temperature": "zero"}),
    ("sql", KIN | {"temperature.alpha": 0.4}),
    ("sql", SIZES | {"temperature.alpha": 2.0, "value.critics": 1}),
    ("vmpo", ROLLOUTS | {"target_period": 7, "data.epochs": 7}),
    ("vmpo", ROLLOUTS | {"target_period": 1, "data.epochs": 3, "value.steps": 3, "posterior.keep": 0.3}),
    ("erpg", ROLLOUTS | {"temperature.alpha": 0.5}),
    ("erpg", ROLLOUTS | {"temperature.alpha": 0.5, "value.evaluation": "hard", "value.steps": 1}),
]


def learnt(preset, algorithm, dtype, data):
    plain = naive_after(NAIVE_DISCRETE[preset], algorithm, SIZES_OF_SPACES, dtype, data)
    return parameters(plain) | {name: x.detach().double().reshape(1) for name, x in plain.learnt().items()}


def data_of(algorithm, updates=UPDATES):
    with default_dtype(torch.float32):
        return update_data(algorithm, N_OBSERVATION, N_ACTION, updates=updates, seed=0)


def worst(preset, settings, updates=UPDATES):
    algorithm = discrete_of(preset, **settings)
    data = data_of(algorithm, updates)
    mine = ours_after(algorithm, SIZES_OF_SPACES, torch.float64, data)
    return max(distances(mine, learnt(preset, algorithm, torch.float64, data)).values())


@pytest.mark.parametrize(("preset", "settings"), CASES, ids=str)
def test_fifty_updates_in_double_precision_are_those_of_the_paper(preset, settings):
    # As in test_mpo: gradients are sums of at most 36 x 24 products, each off by a few roundings of 1.1e-16,
    # which Adam's quotient amplifies; 1e-12 leaves 4 digits for both.
    assert worst(preset, settings) <= 1e-12


@pytest.mark.long
@pytest.mark.parametrize(("preset", "settings"), [CASES[0], CASES[1]], ids=str)
def test_fifty_updates_in_single_precision_are_as_near_to_the_exact_ones_as_the_plain_agent_is(
    preset, settings
):
    # As in test_mpo: roundings of one size in another order; 4 allows for a worse one.
    algorithm = discrete_of(preset, **settings)
    data = data_of(algorithm)
    exact = learnt(preset, algorithm, torch.float64, data)
    floor = distances(learnt(preset, algorithm, torch.float32, data), exact)
    mine = ours_after(algorithm, SIZES_OF_SPACES, torch.float32, data)
    for name, distance in distances(mine, exact).items():
        assert distance <= 4 * max(floor[name], 2.0**-24), name


POSTERIOR, PRIOR = "virel_deep.axes.posterior.categorical", "virel_deep.axes.prior.categorical"
SAC, MPO, PARAMETRIC, RANK, SQL, VMPO, ERPG = (CASES[i] for i in (0, 1, 5, 6, 7, 9, 11))


def from_worst(log_prior, q):
    return weights.rank_weights(log_prior, -q)


def mean_of_exponentials(log_weight, q, log_ratio, alpha):
    """Soft value at a normalised prior: lower by alpha log A in every state."""
    return losses.optimal_value(log_weight, q, 0 * log_ratio, alpha)


def half_of_each_copy(advantage, alpha, *, keep):
    parts = [PAIRS(part, alpha, keep=keep) for part in advantage.chunk(2, dim=-2)]
    return tuple(torch.cat(of_parts, dim=-2) for of_parts in zip(*parts, strict=True))


def leaky(reward, terminated, truncated, v, v_next, **settings):
    return rollout.rollout_errors(reward, terminated, 0 * truncated, v, v_next, **settings)


def entropy_pays(log_pi, advantage, log_ratio, alpha):
    return losses.score_loss(log_pi, advantage, -log_ratio, alpha)


PAIRS, TAKEN = taken.pair_weights, "virel_deep.axes.posterior.taken"
PLANTED = [
    # Expectations at equal weights instead of the policy's probabilities.
    (*SAC, "virel_deep.axes.tensors.Weighted.mean", lambda _, x: x.mean(-1)),
    # The first action's vector stands for the last action, and so on.
    (*SAC, f"{POSTERIOR}.all_actions", lambda log_p: categorical.all_actions(log_p).flip(-1)),
    # An entropy target of another share.
    (*SAC, "virel_deep.design.parts.ENTROPY_SHARE", 0.98),
    # The divergence in the other direction, in the trust region of either.
    (*MPO, f"{PRIOR}.kl", lambda p, q: categorical.kl(q, p)),
    (*PARAMETRIC, f"{PRIOR}.kl", lambda p, q: categorical.kl(q, p)),
    # An M-step that copies the prior instead of the posterior, and Retrace that never cuts.
    (*MPO, f"{PRIOR}.likelihood", lambda log_p, *_: log_p.mean(-1)),
    (*MPO, f"{PRIOR}.log_probability", lambda log_p, action: 0 * categorical.log_probability(log_p, action)),
    (*PARAMETRIC, f"{POSTERIOR}.log_probability", lambda _, action: 0 * action.sum(-1)),
    # The worst action first.
    (*RANK, "virel_deep.axes.posterior.reweighted.rank_weights", from_worst),
    # A mean of exponentials where their sum is the value; actions of other vectors.
    (
        *SQL,
        "virel_deep.axes.value.losses",
        SimpleNamespace(**{**vars(losses), "optimal_value": mean_of_exponentials}),
    ),
    (*SQL, "virel_deep.axes.posterior.tilted.all_actions", lambda log_p: 0 * categorical.all_actions(log_p)),
    # The half of each copy's pairs; an M-step of all actions alike; KL the other way; episodes that leak.
    (*VMPO, f"{TAKEN}.pair_weights", half_of_each_copy),
    (*VMPO, f"{PRIOR}.likelihood", lambda log_p, *_: log_p.mean(-1)),
    (*VMPO, f"{PRIOR}.kl", lambda p, q: categorical.kl(q, p)),
    (*VMPO, "virel_deep.axes.advantage.rollout_errors", leaky),
    # A bonus of the wrong sign; the score of another action.
    (*ERPG, f"{TAKEN}.score_loss", entropy_pays),
    (
        *ERPG,
        "virel_deep.axes.categorical.log_probability",
        lambda log_p, action: (action.flip(-1) * log_p).sum(-1),
    ),
]


@pytest.mark.parametrize(("preset", "settings", "place", "wrong"), PLANTED, ids=range(len(PLANTED)))
def test_an_error_planted_on_our_side_is_seen(monkeypatch, preset, settings, place, wrong):
    monkeypatch.setattr(place, wrong)
    assert worst(preset, settings, updates=9) > 1e-9


@pytest.mark.parametrize("preset", ROWS)
def test_every_row_learns_and_its_stacked_seeds_are_single_ones_bit_for_bit(preset):
    # Sizes that no vector divides, and numbers of actions with and without a tail.
    settings = sized(preset, {"hidden": (33, 17), "data.batch": 20})
    for n_action in (1, 2, 5):
        algorithm = discrete_of(preset, **settings)
        data = [update_data(algorithm, N_OBSERVATION, n_action, updates=6, seed=seed) for seed in (0, 1, 2)]
        together = agent_of(algorithm, N_OBSERVATION, n_action, (0, 1, 2))
        before = together.seed_state(1)
        feed(together, *data)
        alone = agent_of(algorithm, N_OBSERVATION, n_action, (1,))
        feed(alone, data[1])
        assert differing(together.seed_state(1), alone.seed_state(0)) == []
        moved = differing(together.seed_state(1), before)
        assert ("value" if preset in {"vmpo", "erpg"} else "critic") + "/0.weight" in moved
        if n_action > 1 and preset != "sql":  # one action has probability 1; `sql` has no policy network
            assert "policy/0.weight" in moved
        report = together.report()[1]
        assert report == alone.report()[0]
        assert all(torch.isfinite(torch.tensor(x)) for x in report.values())


def test_a_single_action_leaves_nothing_to_choose_and_no_entropy():
    for preset in ("sac", "mpo"):
        algorithm = discrete_of(preset, **(SIZES | {"value.steps": 1, "value.trace": None}))
        agent = agent_of(algorithm, N_OBSERVATION, 1)
        feed(agent, update_data(algorithm, N_OBSERVATION, 1, updates=3, seed=0))
        [report] = agent.report()
        assert report["entropy"] == 0
        assert report.get("kl", 0) == 0


def test_the_replay_of_a_discrete_row_keeps_no_action_before_a_tanh():
    assert discrete_of("mpo").tails == ("truncated", "log_density")
    assert algorithm_of("mpo").tails == ("truncated", "pre", "log_density")
    for preset in ("mpo", "sac"):
        columns = agent_of(discrete_of(preset, hidden=(4,)), 5, 3).columns
        assert columns.width == 2 * 5 + 3 + 2 + 2 * (preset == "mpo")


def test_weights_of_all_actions_sum_to_one_and_expectations_are_exact():
    agent = agent_of(discrete_of("sac", **SIZES), N_OBSERVATION, N_ACTION)
    state = torch.randn(1, 7, N_OBSERVATION, generator=torch.Generator().manual_seed(0))
    found = agent.parts.posterior.infer(state, {}, objective(agent))
    assert isinstance(found, Weighted)
    p = agent.policy(state).squeeze(1).softmax(-1)
    # A softmax of 3 numbers: its logarithm, its exponential and a sum, a few roundings of 2^-24 each.
    torch.testing.assert_close(found.log_weight.exp(), p, rtol=8 * 2.0**-24, atol=0)
    torch.testing.assert_close(found.log_weight.exp().sum(-1), torch.ones(1, 7), rtol=8 * 2.0**-24, atol=0)
    of_action = torch.tensor([3.0, -1.0, 4.0])
    torch.testing.assert_close(
        found.mean((found.action * of_action).sum(-1)), p @ of_action, rtol=0, atol=4 * 16 * 2.0**-24
    )


def objective(agent):
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415

    return Objective(agent.parts.value.q_of, agent.parts.prior, agent.temperature.alpha)
