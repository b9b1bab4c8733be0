"""The road of a GPU, on the CPU: all seeds in one call, products of whole stacks, step sizes in tensors."""

import numpy as np
import pytest
import torch

from tests.support.deep import (
    agent_of,
    algorithm_of,
    default_dtype,
    discrete_of,
    feed,
    leaves,
    sized,
    update_data,
)
from tests.support.updates import cast
from virel_common.errors import InputError
from virel_deep.agent.build import fused
from virel_deep.design.presets import PRESETS
from virel_deep.networks import placement

SEEDS, SPACES, UPDATES = (0, 1, 2), (5, 3), 4
SMALL = {"hidden": (9, 7), "data.batch": 6}
"""Unlike K in every axis, so that axes that are mistaken for each other do not fit."""
TOLERANCE = 1e-12
"""As for the plain agents: sums of some hundred products in another order, in float64, through Adam."""


def forms():
    """Every preset for continuous actions and, if it has one, its form for discrete ones; with its roads."""
    for preset in PRESETS:
        for of in (algorithm_of, discrete_of):
            try:
                algorithm = of(preset, **sized(preset, SMALL))
            except InputError:
                continue
            if algorithm.posterior.discrete == (of is discrete_of):
                kind = "discrete" if of is discrete_of else "continuous"
                yield pytest.param(algorithm, True, id=f"{preset}-{kind}")
                if fused(algorithm):
                    yield pytest.param(algorithm, False, id=f"{preset}-{kind} by hand")


def doubled(data):
    """The data of updates in double precision."""
    return [
        (rows.double(), cast(noise, torch.float64), own and (own[0].double(), cast(own[1], torch.float64)))
        for rows, noise, own in data
    ]


def after_updates(algorithm, general):
    """Everything that three stacked seeds have learnt and report, by name, in double precision."""
    with default_dtype(torch.float32):
        source = agent_of(algorithm, *SPACES, SEEDS, general=general)
        data = [update_data(algorithm, *SPACES, updates=UPDATES, seed=seed) for seed in SEEDS]
    with default_dtype(torch.float64):
        agent = agent_of(algorithm, *SPACES, SEEDS, general=general)
        for k in range(len(SEEDS)):
            agent.load_seed_state(k, source.seed_state(k))
        feed(agent, *map(doubled, data))
        rng = np.random.default_rng(0)
        noise = rng.uniform(size=(len(SEEDS), 2, agent.acting.width))
        actions = agent.act(rng.normal(size=(len(SEEDS), 2, SPACES[0])), noise)
    reports = {f"report {k}": report for k, report in enumerate(agent.report())}
    reports["actions"] = {str(k): torch.from_numpy(actions[k]) for k in range(len(SEEDS))}
    return leaves({str(k): agent.seed_state(k) for k in range(len(SEEDS))} | reports)


@pytest.mark.parametrize(("algorithm", "general"), list(forms()))
def test_the_road_of_a_gpu_ends_where_that_of_the_cpu_does(algorithm, general, monkeypatch):
    apart = after_updates(algorithm, general)
    asked = []
    monkeypatch.setattr(placement, "on_gpu", lambda x: asked.append(x.shape) or True)
    at_once = after_updates(algorithm, general)
    assert asked
    assert apart.keys() == at_once.keys()
    for name, x in apart.items():
        if isinstance(x, torch.Tensor | float) and not isinstance(x, bool):
            found = torch.as_tensor(at_once[name], dtype=torch.float64)
            expected = torch.as_tensor(x, dtype=torch.float64)
            torch.testing.assert_close(
                found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True, msg=name
            )


def test_there_are_forms_for_both_kinds_of_action():
    names = [one.id for one in forms()]
    assert len([name for name in names if name.endswith("continuous")]) >= 20
    assert len([name for name in names if name.endswith("discrete")]) >= 8
    assert len([name for name in names if name.endswith("by hand")]) >= 5
