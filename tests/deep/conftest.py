"""Two finished runs of the same task."""

import pytest

from tests.support.runs import ramp, write_run


@pytest.fixture
def two_runs(tmp_path):
    return [
        write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1000, 1200, 1400)),
        write_run(tmp_path / "b", "beta", "Hopper-v5", ramp(900, 1300, 1500)),
    ]
