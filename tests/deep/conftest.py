"""Tests of the deep agent run with one thread of torch; two finished runs of the same task."""

import pytest
import torch

from tests.support.runs import ramp, write_run


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as training has it: torch splits sums over threads by their size
    yield
    torch.set_num_threads(before)  # a test that trains may have set another number


@pytest.fixture
def two_runs(tmp_path):
    return [
        write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1000, 1200, 1400)),
        write_run(tmp_path / "b", "beta", "Hopper-v5", ramp(900, 1300, 1500)),
    ]
