"""Flop floors of `benchmarks.deep.speed`, from layer sizes alone, are below what an update multiplies."""

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.deep.speed import contenders
from benchmarks.deep.speed.flops import update_flops
from virel_deep.networks.precision import products

pytestmark = pytest.mark.mujoco
ABOVE = {
    "erpg": 1.0,
    "beta": 1.0,
    "mpo": 1.04,
    "iadp": 1.1,
    "hdp": 1.12,
    "distral": 1.07,
    "smcp": 1.04,
    "mb-sac": 1.9,
}
"""How far above its floor an update may be: what it multiplies beyond, such as by the larger of two critics
where the smaller one has the gradient, or by all networks of a model's ensemble; rounded up."""


@pytest.mark.parametrize("name", ABOVE)
def test_an_update_multiplies_what_its_floor_says_and_little_more(tmp_path, monkeypatch, name):
    monkeypatch.setattr(contenders, "ROWS", 3000)
    ours = contenders.Ours(name, 1, 1, tmp_path)
    with FlopCounterMode(display=False) as counted, products("highest", "cpu"):
        ours.group._update()
    ours.group.close()
    assert 1.0 <= counted.get_total_flops() / update_flops(name) <= ABOVE[name]
