"""MPO, its parametric variant and RERPI against plain versions of their papers (`naive_mpo`)."""

import pytest
import torch

from tests.support.deep import agent_of, algorithm_of, default_dtype, feed, update_data
from tests.support.naive_mpo import NAIVE_MPO
from tests.support.updates import distances, naive_after, ours_after, parameters
from virel_deep.axes import gaussian

UPDATES = 50
SIZES_OF_SPACES = N_OBSERVATION, N_ACTION = 5, 2
SIZES = {"hidden": (24, 16), "data.batch": 12, "reward_scale": 3.0, "target_period": 7}
SHORT = {"value.steps": 3, "posterior.samples": 6}
CASES = [
    ("mpo", SHORT),
    ("mpo", SHORT | {"value.critics": 2, "value.trace": 0.7, "temperature.steps": 3}),
    ("mpo", SHORT | {"value.trace": None, "posterior.keep": 0.5}),
    ("mpo", {"value.steps": 1, "value.trace": None, "prior.trust_mean": None, "posterior.samples": 6}),
    ("rerpi", {"posterior.samples": 6}),
    ("rerpi", SHORT | {"value.trace": 1.0}),
    ("rerpi", {"posterior.samples": 6, "posterior.weights": "rank", "temperature": "zero"}),
    ("mpo-parametric", {"value.steps": 3}),
    ("mpo-parametric", {"value.steps": 2, "prior.trust_spread": None}),
]


def naive(preset, algorithm, dtype, data):
    """Everything that the plain agent has learnt, by name, in float64."""
    plain = naive_after(NAIVE_MPO[preset], algorithm, SIZES_OF_SPACES, dtype, data)
    out = parameters(plain)
    bounds = {"mean": algorithm.prior.trust_mean, "spread": algorithm.prior.trust_spread}
    for name, bound in bounds.items():
        if bound is not None:
            out[f"price_{name}"] = plain.prices[name].learnt.detach().double()
    return out | ({"eta": plain.eta.learnt.detach().double()} if hasattr(plain, "eta") else {})


def data_of(algorithm):
    with default_dtype(torch.float32):
        return update_data(algorithm, N_OBSERVATION, N_ACTION, updates=UPDATES, seed=0)


def worst(preset, settings, updates=UPDATES):
    algorithm = algorithm_of(preset, **(SIZES | settings))
    data = data_of(algorithm)[:updates]
    mine = ours_after(algorithm, SIZES_OF_SPACES, torch.float64, data)
    return max(distances(mine, naive(preset, algorithm, torch.float64, data)).values())


@pytest.mark.parametrize(("preset", "settings"), CASES, ids=str)
def test_fifty_updates_in_double_precision_are_those_of_the_paper(preset, settings):
    # As for both roads of the SAC family (test_roads): gradients are sums of at most 36 x 24 products, each
    # off by a few roundings of 1.1e-16, which Adam's quotient amplifies; 1e-12 leaves 4 digits for both.
    assert worst(preset, settings) <= 1e-12


@pytest.mark.long
@pytest.mark.parametrize(("preset", "settings"), [CASES[0], CASES[4], CASES[7]], ids=str)
def test_fifty_updates_in_single_precision_are_as_near_to_the_exact_ones_as_the_plain_agent_is(
    preset, settings
):
    # Both make roundings of one size in another order, and Adam amplifies them alike; 4 allows for products
    # that sum in a worse order. Below 2^-24 a distance is the rounding of a number that both have exactly.
    algorithm = algorithm_of(preset, **(SIZES | settings))
    data = data_of(algorithm)
    exact = naive(preset, algorithm, torch.float64, data)
    floor = distances(naive(preset, algorithm, torch.float32, data), exact)
    mine = ours_after(algorithm, SIZES_OF_SPACES, torch.float32, data)
    for name, distance in distances(mine, exact).items():
        assert distance <= 4 * max(floor[name], 2.0**-24), name


PARTS = "virel_deep.axes.prior.policy"
MPO, CUT, RERPI = CASES[0], CASES[2], CASES[4]
PLANTED = [
    # The dual minimised twice as hard: the budget counts half.
    (*MPO, "virel_deep.axes.budget.d_budget", lambda kl, *, epsilon: epsilon - 2 * kl),
    # A window that runs on into the next episode.
    (*CUT, "virel_deep.axes.returns.alive", lambda terminated, _: torch.ones_like(terminated)),
    # RERPI's divergences with the new deviation under the mean, and MPO's in the other direction.
    (*RERPI, f"{PARTS}.kl_parts_apart", gaussian.kl_parts),
    (*MPO, f"{PARTS}.kl_parts", lambda p, q, parts=gaussian.kl_parts: parts(q, p)),
    # MPO that is RERPI: the likelihood decoupled where the paper fits mean and deviation at once.
    (*RERPI, f"{PARTS}.decoupled_likelihood", lambda q, _, of: gaussian.likelihood(q, of)),
    (*MPO, f"{PARTS}.likelihood", lambda _, of: 0 * of.total.sum(-1)),
    # Actions whose weighted mean is taken for their mean.
    (*MPO, f"{PARTS}.moments", lambda u, w, of=gaussian.moments: of(u, w)._replace(first=0 * u[..., 0, :])),
]


@pytest.mark.parametrize(("preset", "settings", "place", "wrong"), PLANTED, ids=range(len(PLANTED)))
def test_an_error_planted_on_our_side_is_seen(monkeypatch, preset, settings, place, wrong):
    monkeypatch.setattr(place, wrong)
    assert worst(preset, settings, updates=9) > 1e-9


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": "constant", "temperature.alpha": 0.5},
        {"temperature": "residual", "temperature.scale": 0.1},
        {"policy_delay": 2, "temperature.steps": 2},
        {"target_period": 0, "polyak": 0.1},
        {"posterior.samples": 2},
    ],
    ids=str,
)
def test_other_parts_go_with_a_weighted_posterior(settings):
    algorithm = algorithm_of("mpo", **(SIZES | SHORT | settings))
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    before = agent.seed_state(0)
    feed(agent, data_of(algorithm)[:4])
    after, [report] = agent.seed_state(0), agent.report()
    assert all(torch.isfinite(torch.tensor(x)) for x in report.values())
    for name in ("policy", "critic"):
        assert not torch.equal(before[name]["0.weight"], after[name]["0.weight"])
        assert after[name]["0.weight"].isfinite().all()
    if settings.get("posterior.samples") == 1:  # one action has all the weight, and the budget is never spent
        assert report["effective_samples"] == 1
        assert report["kl"] == 0


def test_a_delayed_policy_waits_and_its_critics_do_not():
    algorithm = algorithm_of("mpo", **(SIZES | SHORT | {"policy_delay": 2}))
    agent, moved = agent_of(algorithm, N_OBSERVATION, N_ACTION), []
    for one in data_of(algorithm)[:4]:
        before = agent.seed_state(0)
        feed(agent, [one])
        after = agent.seed_state(0)
        moved.append(
            [n for n in ("policy", "critic") if not torch.equal(before[n]["0.weight"], after[n]["0.weight"])]
        )
    assert moved == [["policy", "critic"], ["critic"]] * 2


def test_targets_are_copied_after_so_many_updates_and_stay_in_between():
    algorithm = algorithm_of("rerpi", **(SIZES | {"posterior.samples": 4, "target_period": 3}))
    agent = agent_of(algorithm, N_OBSERVATION, N_ACTION)
    same = []
    for one in data_of(algorithm)[:7]:
        feed(agent, [one])
        state = agent.seed_state(0)
        same.append(
            [
                torch.equal(state[n]["0.weight"], state[f"target_{n}"]["0.weight"])
                for n in ("policy", "critic")
            ]
        )
    assert same == [[False] * 2, [False] * 2, [True] * 2] * 2 + [[False] * 2]
