"""The road of a GPU, on the CPU: all seeds in one call, products of whole stacks, step sizes in tensors."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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

_NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2")
WAITING = {f"aten.{name}.default" for name in _NAMES}
INDEXING = {"aten.index.Tensor", "aten.index_put_.default", "aten.index_put.default"}


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
    falling = algorithm_of("sac", **SMALL, learning_rate_end=0.0, learning_rate_updates=6)
    yield pytest.param(falling, False, id="sac-step sizes that fall")


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
        if isinstance(x, torch.Tensor | np.ndarray | float):
            found = torch.as_tensor(at_once[name], dtype=torch.float64)
            expected = torch.as_tensor(x, dtype=torch.float64)
            torch.testing.assert_close(
                found, expected, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True, msg=name
            )


class Waiting(TorchDispatchMode):
    """List the operations whose result or shape the CPU waits for: no CUDA graph can hold them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = str(operation)
        masks = [x for x in args[1] if x is not None and x.dtype == torch.bool] if name in INDEXING else []
        if name in WAITING or masks:
            self.found.append(name)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(("algorithm", "general"), list(forms()))
def test_no_update_waits_for_a_result(algorithm, general, monkeypatch):
    monkeypatch.setattr(placement, "on_gpu", lambda x: True)  # noqa: ARG005
    agent = agent_of(algorithm, *SPACES, SEEDS, general=general)
    data = [update_data(algorithm, *SPACES, updates=UPDATES, seed=seed) for seed in SEEDS]
    with Waiting() as mode:
        feed(agent, *data)
    assert mode.found == []


@pytest.mark.parametrize(
    "wait",
    [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x.nonzero(), lambda x: bool((x > 0).all())],
    ids=["item", "mask", "nonzero", "bool"],
)
def test_an_operation_that_waits_is_seen(wait):
    x = torch.ones(3)
    with Waiting() as mode:
        wait(x)
    assert mode.found


def test_there_are_forms_for_both_kinds_of_action():
    names = [one.id for one in forms()]
    assert len([name for name in names if name.endswith("continuous")]) >= 20
    assert len([name for name in names if name.endswith("discrete")]) >= 8
    assert len([name for name in names if name.endswith("by hand")]) >= 5
