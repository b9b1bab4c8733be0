"""`smcp` against a plain version of it, updates and plans, and errors planted in ours (`naive_planning`)."""

import pytest
import torch

from tests.support.deep import algorithm_of, default_dtype, update_data
from tests.support.naive_planning import NaiveSmcp
from tests.support.updates import agent_after, distances, learnt, naive_after, parameters
from virel_deep.axes.model import ensemble
from virel_deep.axes.posterior import smc_weights
from virel_deep.axes.posterior.smc import PolicyGuide

UPDATES, STATES = 50, 12
SPACES = 3, 2
SIZES = {
    "hidden": (12, 8),
    "data.batch": 12,
    "reward_scale": 3.0,
    "posterior.particles": 8,
    "posterior.steps": 4,
    "value.members": 3,
}
CASES = [
    {"value.elites": 2, "value.model_rate": 1e-2},
    {"value.members": 1, "value.critics": 1, "posterior.samples": 2, "temperature.initial": 3.0},
]


def pair(settings, updates=UPDATES):
    """Our agent and the plain one after the same updates in float64."""
    algorithm = algorithm_of("smcp", **(SIZES | settings))
    with default_dtype(torch.float32):
        data = update_data(algorithm, *SPACES, updates=updates, seed=0)
    side = algorithm, SPACES, torch.float64, data
    return agent_after(*side), naive_after(NaiveSmcp, *side)


@pytest.fixture(scope="module", params=range(len(CASES)))
def agents(request):
    return pair(CASES[request.param])


@pytest.fixture(scope="module")
def few():
    return pair(CASES[0], updates=12)


def plans(agents):
    """Largest differences of actions and log weights over some plans, and how many were resampled."""
    ours, plain = agents
    rng = torch.Generator().manual_seed(1)
    worst, resampled = [0.0, 0.0], 0
    with default_dtype(torch.float64), torch.no_grad():
        state = torch.randn(1, STATES, SPACES[0], generator=rng)
        noise = torch.randn(1, STATES, ours.acting.width, generator=rng)
        numbers = ours.parts.posterior.numbers(noise)
        found = ours.parts.posterior.planned(state, numbers, ours.objective)
        chosen = smc_weights.drawn(found.log_weight, numbers.drawn)[0]
        for b in range(STATES):
            named = {
                "member": numbers.member[0, b],
                "action": numbers.action[0, b],
                "step": numbers.world[0, b],
                "ends": numbers.ends[0, b],
                "resample": numbers.ancestors[0, b],
                "drawn": numbers.drawn[0, b : b + 1],
            }
            action, particles, times = plain.plan(state[0, b], named)
            log_weight = torch.tensor([particle.log_weight for particle in particles]).log_softmax(0)
            apart = found.first[0, b, chosen[b]] - action, found.log_weight[0, b] - log_weight
            worst = [max(w, float(x.abs().max())) for w, x in zip(worst, apart, strict=True)]
            assert times == found.resampled[0, b]
            resampled += times
    return *worst, resampled


def test_fifty_updates_in_double_precision_are_those_of_the_plain_agent(agents):
    # As for the other rows with a model (test_models): 1e-12 leaves 4 digits for Adam's quotients.
    ours, theirs = learnt(agents[0]), parameters(agents[1])
    assert max(distances({name: ours[name] for name in theirs}, theirs).values()) <= 1e-12


def test_planned_actions_in_double_precision_are_those_of_the_plain_agent(agents):
    # A first action is at most 1 in size and follows the policy alone, whose parameters agree to 1e-12; which
    # particle it is of is decided by weights. These are sums of 8 terms of some tens, of networks that
    # amplify 1e-12 by their norms, at most 100.
    action, log_weight, resampled = plans(agents)
    assert action <= 1e-12
    assert log_weight <= 1e-10
    assert 0 < resampled < STATES * (SIZES["posterior.steps"] - 1)


INCREMENT, MOVED, WALKED = smc_weights.log_increment, smc_weights._moved, smc_weights._resampled


def undiscounted(*args, gamma, step):
    return INCREMENT(*args, gamma=gamma, step=0 * step)


def ends_forgotten(world, guide, at, numbers, **of):
    return MOVED(world, guide, at, numbers._replace(ends=torch.ones_like(numbers.ends)), **of)


def members_left_behind(at, *rest):
    kept, *others = WALKED(at, *rest)
    return kept._replace(member=at.member), *others


PLANTED = [
    (smc_weights, "log_increment", undiscounted),
    (smc_weights, "log_increment", lambda *x, **of: INCREMENT(*x[:3], 0 * x[3], x[4], **of)),
    (smc_weights, "log_increment", lambda *x, **of: INCREMENT(x[0], x[1], 0 * x[2], *x[3:], **of)),
    (smc_weights, "_moved", ends_forgotten),
    (smc_weights, "_resampled", members_left_behind),
    (smc_weights, "_resampled", lambda at, weight, u, _: WALKED(at, weight, u, 1.1)),
    (
        smc_weights,
        "systematic",
        lambda weight, u: smc_weights.drawn(weight, u)[..., None].expand_as(weight),
    ),
    (
        PolicyGuide,
        "value",
        lambda self, state, seen: self._objective.q_of(state, seen[:, :, None, :2].tanh())[..., 0],
    ),
    (ensemble.Ensemble, "member", lambda self, uniform: self.elites[:, :1].expand(uniform.shape)),
]


@pytest.mark.parametrize(("owner", "name", "wrong"), PLANTED, ids=range(len(PLANTED)))
def test_an_error_planted_in_the_planner_is_seen(monkeypatch, few, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    try:
        seen = max(plans(few)[:2]) > 1e-9
    except AssertionError:  # another number of resamplings
        seen = True
    assert seen
