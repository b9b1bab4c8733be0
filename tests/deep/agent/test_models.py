"""Model-based rows against plain versions of them, and errors planted in ours (`naive_models`)."""

import pytest
import torch

from tests.support.deep import algorithm_of, default_dtype, update_data
from tests.support.naive_models import NAIVE
from tests.support.updates import distances, naive_after, ours_after, parameters

UPDATES = 50
SPACES = 3, 2
SIZES = {"hidden": (12, 8), "data.batch": 12, "value.members": 3, "reward_scale": 3.0}
CASES = [
    ("mb-sac", {"value.horizon": 2, "value.elites": 2, "value.model_rate": 1e-2}),
    ("mb-sac", {"value.horizon": 1, "value.members": 1, "value.critics": 1, "value.evaluation": "hard"}),
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
