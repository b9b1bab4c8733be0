"""What every test starts from: hypothesis' profile, and one thread of torch.

No deadline, because a first call compiles; in CI the same examples every time.
"""

import os
import sys

import hypothesis
import pytest

hypothesis.settings.register_profile("virel", deadline=None)
hypothesis.settings.register_profile("virel-ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("virel-ci" if os.environ.get("CI") else "virel")


@pytest.fixture(autouse=True)
def one_thread_of_torch():
    """Set torch to one thread, as a training does, in a process in which numba may have run in parallel.

    They share OpenMP's pool: after one parallel kernel of numba, torch would take as many threads for small
    products, which wait for each other longer than they compute. It would also split its sums.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
