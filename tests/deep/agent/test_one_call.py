"""On a GPU the functions that `seedwise` applies see all seeds at once: the same results, here on the CPU."""

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
from virel_deep.axes import tensors
from virel_deep.design.presets import PRESETS

SEEDS, SPACES, UPDATES = (0, 1, 2), (5, 3), 4
SMALL = {"hidden": (9, 7), "data.batch": 6}
"""Unlike K in every axis, so that axes that are mistaken for each other do not fit."""
TOLERANCE = 1e-12
"""As for the plain agents: sums of some hundred products in another order, in float64, through Adam."""


def forms():
    """Every preset for continuous actions, and its form for discrete ones if it has one."""
    for preset in PRESETS:
        for of in (algorithm_of, discrete_of):
            try:
                algorithm = of(preset, **sized(preset, SMALL))
            except InputError:
                continue
            if algorithm.posterior.discrete == (of is discrete_of):
                yield pytest.param(
                    algorithm, id=f"{preset}-{'discrete' if of is discrete_of else 'continuous'}"
                )


def doubled(data):
    """The data of updates in double precision."""
    return [
        (rows.double(), cast(noise, torch.float64), own and (own[0].double(), cast(own[1], torch.float64)))
        for rows, noise, own in data
    ]


def after_updates(algorithm):
    """Everything that three stacked seeds have learnt and report, by name, in double precision."""
    with default_dtype(torch.float32):
        source = agent_of(algorithm, *SPACES, SEEDS, general=True)
        data = [update_data(algorithm, *SPACES, updates=UPDATES, seed=seed) for seed in SEEDS]
    with default_dtype(torch.float64):
        agent = agent_of(algorithm, *SPACES, SEEDS, general=True)
        for k in range(len(SEEDS)):
            agent.load_seed_state(k, source.seed_state(k))
        feed(agent, *map(doubled, data))
        rng = np.random.default_rng(0)
        noise = rng.uniform(size=(len(SEEDS), 2, agent.acting.width))
        actions = agent.act(rng.normal(size=(len(SEEDS), 2, SPACES[0])), noise)
    reports = {f"report {k}": report for k, report in enumerate(agent.report())}
    reports["actions"] = {str(k): torch.from_numpy(actions[k]) for k in range(len(SEEDS))}
    return leaves({str(k): agent.seed_state(k) for k in range(len(SEEDS))} | reports)


@pytest.mark.parametrize("algorithm", list(forms()))
def test_one_call_for_all_seeds_computes_what_one_call_for_each_does(algorithm, monkeypatch):
    apart = after_updates(algorithm)
    monkeypatch.setattr(tensors, "_in_one_call", lambda x: True)  # noqa: ARG005
    at_once = after_updates(algorithm)
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
