"""Distral, IADP and HDP against plain versions of their papers (`naive_priors`); what their priors see."""

import math

import pytest
import torch

from tests.support.deep import (
    agent_of,
    algorithm_of,
    default_dtype,
    differing,
    discrete_of,
    feed,
    update_data,
)
from tests.support.naive_priors import (
    NaiveDiscreteHdp,
    NaiveDiscreteIadp,
    NaiveDistral,
    NaiveHdp,
    NaiveIadp,
)
from tests.support.updates import distances, naive_after, ours_after, parameters
from virel_deep.agent import general
from virel_deep.axes import categorical
from virel_deep.axes.posterior import latent, levels
from virel_deep.axes.prior import blind
from virel_deep.axes.prior import latent as prior_latent
from virel_deep.run.actors import make_actor

SPACES = N_OBSERVATION, N_ACTION = 5, 3
UPDATES = 50
SIZES = {
    "hidden": (24, 16),
    "data.batch": 12,
    "reward_scale": 3.0,
    "prior.blind": (1,),
    "prior.blind_last": 2,
}
DISTRAL = (discrete_of, "distral", NaiveDistral, {"gamma": 0.9})
DISCOUNTED = (
    discrete_of,
    "distral",
    NaiveDistral,
    {"prior.discounted": True, "gamma": 0.9, "value.critics": 2},
)
IADP = (algorithm_of, "iadp", NaiveIadp, {"value.steps": 2})
DISCRETE = (discrete_of, "iadp", NaiveDiscreteIadp, {"value.steps": 2})
OF_LEVELS = {"posterior.latents": 3, "prior.low_alpha": 0.2, "prior.exponent": 0.7}
HDP = (algorithm_of, "hdp", NaiveHdp, OF_LEVELS)
LEVELS = (discrete_of, "hdp", NaiveDiscreteHdp, OF_LEVELS)
FROZEN = (discrete_of, "hdp", NaiveDiscreteHdp, {"posterior.latents": 2, "prior.frozen": True})
SLOW = (algorithm_of, "hdp", NaiveHdp, OF_LEVELS | {"policy_learning_rate": 1e-4})
SLOW_LEVELS = (discrete_of, "hdp", NaiveDiscreteHdp, OF_LEVELS | {"policy_learning_rate": 1e-4})
CASES = {
    "distral": DISTRAL,
    "discounted": DISCOUNTED,
    "iadp": IADP,
    "discrete iadp": DISCRETE,
    "hdp": HDP,
    "discrete hdp": LEVELS,
    "frozen hdp": FROZEN,
    "slow hdp": SLOW,
    "slow discrete hdp": SLOW_LEVELS,
}


def data_of(algorithm, updates):
    """Rows of `update_data`, with ages of 0 to 7 steps where the row has them."""
    with default_dtype(torch.float32):
        data = update_data(algorithm, *SPACES, updates=updates, seed=0)
    if "age" not in algorithm.tails:
        return data
    rng = torch.Generator().manual_seed(0)
    ages = [torch.randint(8, (len(rows), 1), generator=rng).float() for rows, _, _ in data]
    return [(torch.cat((rows, age), -1), *rest) for (rows, *rest), age in zip(data, ages, strict=True)]


def worst(case, updates=UPDATES):
    form, preset, kind, settings = case
    algorithm = form(preset, **(SIZES | settings))
    data = data_of(algorithm, updates)
    plain = naive_after(kind, algorithm, SPACES, torch.float64, data)
    return max(distances(ours_after(algorithm, SPACES, torch.float64, data), parameters(plain)).values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_fifty_updates_in_double_precision_are_those_of_the_paper(case):
    # As in test_mpo: gradients are sums of at most 36 x 24 products, each off by a few roundings of 1.1e-16,
    # which Adam's quotient amplifies; 1e-12 leaves 4 digits for both.
    assert worst(case) <= 1e-12


def own_copy(prior, state):
    """Outputs of the network that learns, in the place of its lagging copy."""
    with torch.no_grad():
        return prior.networks["default"](prior._sight(state)).squeeze(1)


def half(x):
    """The same numbers with half the gradient."""
    return (x + x.detach()) / 2


PLANTED = [
    # The power forgotten, and weights that are plain where they should be discounted.
    (DISTRAL, blind.Categorical, "log_density", lambda right: lambda *x: right(*x) / 0.9),
    (DISCOUNTED, general, "discounted", lambda _: lambda log_weight, *_, **__: log_weight),
    # A prior that sees everything but in another order, and one that never lags.
    (DISTRAL, blind.Sight, "__call__", lambda right: lambda self, state: right(self, state).flip(-1)),
    (IADP, blind.FittedPrior, "_outputs", lambda _: own_copy),
    (DISCRETE, blind.FittedPrior, "_outputs", lambda _: own_copy),
    # The divergence the other way, and a fit to equal weights.
    (IADP, blind, "kl_parts", lambda right: lambda p, q: right(q, p)),
    (DISCRETE, blind, "likelihood", lambda _: lambda log_p, *_: log_p.mean(-1)),
    (DISTRAL, blind, "likelihood", lambda _: lambda log_p, *_: log_p.mean(-1)),
    # Latents: the divergence the other way, a default that does not lag, one that sees in another order, a
    # low level that learns by half, and one latent too little in the mixture.
    (LEVELS, categorical, "kl", lambda right: lambda p, q: right(q, p)),
    (HDP, categorical, "kl", lambda right: lambda p, q: right(q, p)),
    (LEVELS, blind.FittedPrior, "_outputs", lambda _: own_copy),
    (HDP, blind.Sight, "__call__", lambda right: lambda self, state: right(self, state).flip(-1)),
    (LEVELS, prior_latent.Latent, "low", lambda right: lambda self, s: half(right(self, s))),
    (HDP, prior_latent.Latent, "low", lambda right: lambda self, s: half(right(self, s))),
    # A power forgotten.
    (LEVELS, prior_latent.Latent, "log_default", lambda _: lambda p, s: p._outputs(s).log_softmax(-1)),
    # A low level that is free, one that is held to another form, and one that is held the other way.
    (LEVELS, prior_latent.Latent, "strayed", lambda _: lambda *_: None),
    (HDP, prior_latent.Latent, "strayed", lambda _: lambda *_: None),
    (HDP, levels, "SQUASHED", lambda right: right._replace(first=lambda z, n: torch.zeros(z, 2 * n))),
    (LEVELS, levels, "kl", lambda right: lambda p, q: right(q, p)),
    (LEVELS, latent, "mixture", lambda right: lambda p, given: right(p[..., 1:], given[..., 1:, :])),
]


@pytest.mark.parametrize(("case", "owner", "name", "wrong"), PLANTED, ids=range(len(PLANTED)))
def test_an_error_planted_on_our_side_is_seen(monkeypatch, case, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong(getattr(owner, name)))
    assert worst(case, updates=9) > 1e-9


@pytest.mark.parametrize("make", [algorithm_of, discrete_of])
def test_the_step_size_of_the_policy_is_that_of_both_levels_and_of_no_other_network(make):
    for given, expected in ((None, 3e-4), (1e-5, 1e-5)):
        algorithm = make("hdp", hidden=(8,), learning_rate=3e-4, policy_learning_rate=given)
        rates = {name: adam.learning_rate for name, adam in agent_of(algorithm, *SPACES).adams.items()}
        assert rates == {"policy": expected, "low": expected, "critic": 3e-4, "default": 3e-4}


@pytest.mark.parametrize("form", ["distral", "iadp", "iadp-discrete", "hdp", "hdp-discrete"])
def test_a_prior_is_blind_to_its_entries_and_to_no_other(form):
    make = algorithm_of if form in ("iadp", "hdp") else discrete_of
    algorithm = make(form.removesuffix("-discrete"), hidden=(8,), **{"prior.blind": (1, -1)})
    prior = agent_of(algorithm, *SPACES).parts.prior
    action = torch.eye(3).expand(1, 1, 3, 3)
    state = torch.zeros(1, 1, 5)

    def density(entry):
        moved = state.clone()
        moved[..., entry] = 1.0
        return prior.log_density(moved, action, action)

    base = prior.log_density(state, action, action)
    assert [torch.equal(base, density(entry)) for entry in range(5)] == [False, True, False, False, True]


def test_a_frozen_prior_stays_and_the_policy_is_that_of_a_prior_that_learns_until_the_first_fit():
    rows = [(algorithm_of, "iadp"), (algorithm_of, "hdp")]
    for make, preset in (*rows, *((discrete_of, preset) for preset in ("distral", "iadp", "hdp"))):
        algorithm = make(preset, hidden=(8,), **{"data.batch": 6, "prior.frozen": True})
        agent = agent_of(algorithm, *SPACES)
        before = agent.seed_state(0)
        feed(agent, update_data(algorithm, *SPACES, updates=3, seed=0))
        moved = differing(agent.seed_state(0), before)
        assert not any(name.startswith(("default", "target_default", "low")) for name in moved)
        assert "critic/0.weight" in moved
        assert agent.report()[0]["prior_kl"] > 0


def test_without_exploring_distral_takes_the_most_probable_action_of_its_closed_form():
    algorithm = discrete_of("distral", hidden=(8,), **{"prior.blind": (0,), "temperature.alpha": 0.05})
    agent = agent_of(algorithm, *SPACES)
    feed(agent, update_data(algorithm, *SPACES, updates=9, seed=0))
    state = torch.randn(1, 40, 5, generator=torch.Generator().manual_seed(0))
    pairs = torch.cat((state[:, :, None].expand(1, 40, 3, 5), torch.eye(3).expand(1, 40, 3, 3)), -1)
    q = agent.networks["critic"](pairs.flatten(1, 2)).view(40, 3)
    log_p = agent.networks["default"](state[..., 1:]).view(40, 3).log_softmax(-1)
    acted = make_actor(algorithm, agent.seed_networks(0)).act(state[0].numpy())
    best = (0.9 * log_p + q / 0.05).argmax(-1)
    assert acted.argmax(-1).tolist() == best.tolist()
    assert len(set(best.tolist())) > 1


def test_the_divergence_of_latents_is_no_smaller_than_that_of_actions_and_that_of_one_latent_is_0():
    for latents in (1, 3):
        algorithm = discrete_of("hdp", hidden=(8,), **{"posterior.latents": latents, "prior.blind": (0,)})
        agent = agent_of(algorithm, *SPACES)
        feed(agent, update_data(algorithm, *SPACES, updates=9, seed=0))
        found = agent.parts.posterior.infer(torch.randn(1, 40, 5), {}, agent.objective).detach()
        of_actions = found.mean(found.log_ratio)
        # Sums of 3 logarithms below 10, in float32.
        assert (found.divergence - of_actions).min() >= -1e-5
        assert (found.divergence.max() > 1e-6) == (latents > 1)
        assert agent.report()[0]["bound_gap"] >= -1e-5


@pytest.mark.parametrize("make", [algorithm_of, discrete_of])
def test_the_density_of_a_default_of_latents_is_a_mixture_by_torch(make):
    # In double precision, by torch.distributions; rounding only.
    algorithm = make(
        "hdp", hidden=(8,), **{"posterior.latents": 2, "prior.exponent": 0.7, "prior.blind": (0,)}
    )
    agent = agent_of(algorithm, *SPACES)
    prior, source = agent.objective.prior, torch.Generator().manual_seed(0)
    state, pre = torch.randn(1, 6, 5, generator=source), torch.randn(1, 6, 4, 3, generator=source)
    mixing = torch.distributions.Categorical(logits=prior.log_default(state)[0, :, None].double())
    low = prior.low(state)[0, :, None].double()
    if algorithm.posterior.discrete:
        action = torch.eye(3)[pre.argmax(-1)]
        given = torch.distributions.OneHotCategorical(logits=low)
        wanted = torch.distributions.MixtureSameFamily(mixing, given).log_prob(action[0].double())
        found = prior.log_density(state, action, None)
    else:
        mean, log_std = low.split(3, -1)
        given = torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)
        slope = (1 - pre.double().tanh().square()).log().sum(-1)
        wanted = torch.distributions.MixtureSameFamily(mixing, given).log_prob(pre[0].double()) - slope[0]
        found = prior.log_density(state, pre.tanh(), pre)
    torch.testing.assert_close(found[0].double(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [algorithm_of, discrete_of])
def test_the_latents_of_a_hierarchy_act_with_their_probabilities(make):
    # 4,000 draws at one state: a share is off by 0.008 (one standard deviation at most), 5 of them are 0.04.
    algorithm = make("hdp", hidden=(8,), **{"posterior.latents": 2})
    agent = agent_of(algorithm, *SPACES)
    feed(agent, update_data(algorithm, *SPACES, updates=20, seed=0))
    state = torch.zeros(1, 4000, 5)
    source = torch.Generator().manual_seed(0)
    discrete = algorithm.posterior.discrete
    noise = torch.empty(1, 4000, agent.acting.width)
    noise.uniform_(generator=source) if discrete else noise.normal_(generator=source)
    acted = torch.from_numpy(agent.act(state.numpy(), noise.numpy()))[0]
    high = agent.networks["policy"](state[:, :1])[0, 0, 0].softmax(-1)
    low = agent.networks["low"](state[:, :1])[0, 0, 0].view(2, -1)
    settled = make_actor(algorithm, agent.seed_networks(0)).act(state[0, :1].numpy())[0]
    if discrete:
        wanted = (high[:, None] * low.softmax(-1)).sum(0)
        assert (acted.mean(0) - wanted).abs().max() < 0.04
        assert settled.argmax() == wanted.argmax()
    else:
        mean, log_std = low.split(3, -1)
        below = torch.special.ndtr((0.3 - mean) / log_std.exp())
        assert ((acted.atanh() < 0.3).float().mean(0) - (high[:, None] * below).sum(0)).abs().max() < 0.04
        assert torch.allclose(torch.from_numpy(settled), mean[high.argmax()].tanh(), atol=1e-6)


@pytest.mark.parametrize("form", ["distral", "discounted", "iadp-discrete", "hdp-discrete"])
def test_stacked_seeds_are_single_ones_bit_for_bit(form):
    preset, settings = form.removesuffix("-discrete"), {"hidden": (33, 17), "data.batch": 20}
    if form == "discounted":
        preset, settings = "distral", settings | {"prior.discounted": True}
    for n_action in (2, 5):
        algorithm = discrete_of(preset, **settings, **{"prior.blind_last": 2})
        data = [update_data(algorithm, 5, n_action, updates=6, seed=seed) for seed in (0, 1, 2)]
        if form == "discounted":
            data = [[(torch.cat((x, x[:, :1].abs().round()), -1), *y) for x, *y in one] for one in data]
        together, alone = agent_of(algorithm, 5, n_action, (0, 1, 2)), agent_of(algorithm, 5, n_action, (1,))
        feed(together, *data)
        feed(alone, data[1])
        assert differing(together.seed_state(1), alone.seed_state(0)) == []
        assert together.report()[1] == alone.report()[0]


@pytest.mark.parametrize("make", [algorithm_of, discrete_of])
def test_the_low_levels_of_latents_begin_apart_and_their_default_uniform(monkeypatch, make):
    algorithm = make("hdp", hidden=(8,), **{"posterior.latents": 4})
    networks = agent_of(algorithm, *SPACES).networks
    monkeypatch.setattr(prior_latent.Latent, "start", lambda _: None)
    drawn = agent_of(algorithm, *SPACES).networks
    assert [k for k, x in networks.items() if (x.flat - drawn[k].flat).any()] == ["default", "low"]
    state = torch.randn(1, 4, 5)
    assert not networks["default"](state).any()
    apart = (networks["low"](state) - drawn["low"](state)).view(4, 4, -1)
    # Half uniform, half one of three actions: 1/6 and 2/3; or a mean of 1 before the tanh. Float32, below 5.
    far = 1.0 if make is algorithm_of else math.log(4)
    wanted = torch.zeros_like(apart)
    for z, entry in enumerate((0, 1, 2, 0)):
        wanted[:, z, entry] = far
    if make is algorithm_of:
        wanted[:, 3] *= -1
    assert (apart - wanted).abs().max() < 1e-5
