"""Model-based rows against plain versions of them, and errors planted in ours (`naive_models`)."""

import pytest
import torch

from tests.support.deep import algorithm_of, default_dtype, update_data
from tests.support.naive_models import NAIVE
from tests.support.updates import distances, naive_after, ours_after, parameters
from virel_deep.axes.model import ensemble, gaussian_model, model_q
from virel_deep.axes.model.normaliser import Normaliser
from virel_deep.axes.prior import blind

UPDATES = 50
SPACES = 3, 2
SIZES = {"hidden": (12, 8), "data.batch": 12, "value.members": 3, "reward_scale": 3.0}
CASES = [
    ("mb-sac", {"value.horizon": 2, "value.elites": 2, "value.model_rate": 1e-2}),
    ("mb-sac", {"value.horizon": 1, "value.members": 1, "value.critics": 1, "value.evaluation": "hard"}),
    ("mb-iadp", {"value.horizon": 2, "value.elites": 2, "prior.blind": (1,)}),
    ("mb-iadp", {"value.horizon": 1, "value.rollout": "posterior", "prior.blind": (0,)}),
    ("mb-mpo", {"value.horizon": 2, "posterior.samples": 4, "target_period": 7, "value.elites": 2}),
]


def worst(preset, settings, updates=UPDATES):
    algorithm = algorithm_of(preset, **(SIZES | settings))
    with default_dtype(torch.float32):
        data = update_data(algorithm, *SPACES, updates=updates, seed=0)
    mine = ours_after(algorithm, SPACES, torch.float64, data)
    plain = naive_after(NAIVE[preset], algorithm, SPACES, torch.float64, data)
    theirs = parameters(plain)
    return max(distances({name: mine[name] for name in theirs}, theirs).values())


@pytest.mark.parametrize(("preset", "settings"), CASES, ids=str)
def test_fifty_updates_in_double_precision_are_those_of_the_plain_agent(preset, settings):
    # As for the other rows (test_mpo): gradients are sums of at most 36 x 12 products, each off by a few
    # roundings of 1.1e-16, which Adam's quotient amplifies; 1e-12 leaves 4 digits for both. The moments of
    # the normalisation differ by 600 roundings at most, 7e-14 relative.
    assert worst(preset, settings) <= 1e-12


EXPANDED, LOSS, OBSERVE = model_q.expanded_q, ensemble.fit_loss, Normaliser.observe
GROUPED = ensemble.grouped


def without_divergence(*args, of, **along):
    return EXPANDED(*args, of=of._replace(soft=False), **along)


def on_all_rows(out, target, terminated, held):
    return LOSS(out, target, terminated, torch.zeros_like(held))[0], LOSS(out, target, terminated, held)[1]


def once(normaliser, rows):
    if normaliser.count.sum() == 0:
        OBSERVE(normaliser, rows)


PLANTED = [
    (model_q, "expanded_q", without_divergence),
    (ensemble, "fit_loss", on_all_rows),
    (ensemble, "HOLD_OUT_RATE", 0.9),
    (gaussian_model, "LOG_VARIANCE", (-10.0, 0.9)),
    (Normaliser, "observe", once),
    (ensemble, "grouped", lambda uniform, n: GROUPED(0 * uniform, n)),
]


@pytest.mark.parametrize(("owner", "name", "wrong"), PLANTED)
def test_an_error_planted_in_the_model_is_seen(monkeypatch, owner, name, wrong):
    preset, settings = CASES[0]
    monkeypatch.setattr(owner, name, wrong)
    assert worst(preset, settings, updates=12) > 1e-9


OUTPUTS, WALK, THROUGH = blind.FittedPrior._outputs, blind.TanhGaussian.walk, model_q.ModelQ._through_model


def along_prior(self, critic, objective, _, noise):
    return THROUGH(self, critic, objective, objective.prior.walk, noise)


OF_PRIORS = [
    # Rollouts of the prior taken for the policy's; a prior whose gradient in the state is lost, one without
    # its noise, and one that pays.
    (CASES[3], model_q.ModelQ, "_through_model", along_prior),
    (CASES[3], blind.FittedPrior, "_outputs", lambda self, state: OUTPUTS(self, state).detach()),
    (CASES[2], blind.FittedPrior, "_outputs", lambda self, state: OUTPUTS(self, state).detach()),
    (CASES[2], blind.TanhGaussian, "walk", lambda self, state, xi, of: WALK(self, state, 0 * xi, of)),
    (CASES[2], blind.TanhGaussian, "walk", lambda *x: WALK(*x)._replace(log_prior=0 * WALK(*x).log_pi)),
]


@pytest.mark.parametrize(("case", "owner", "name", "wrong"), OF_PRIORS, ids=range(len(OF_PRIORS)))
def test_an_error_planted_in_the_prior_that_rollouts_follow_is_seen(monkeypatch, case, owner, name, wrong):
    monkeypatch.setattr(owner, name, wrong)
    assert worst(*case, updates=9) > 1e-9
