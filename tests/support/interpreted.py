"""What is left out with `NUMBA_DISABLE_JIT=1`, where kernels are interpreted (`make test-nojit`)."""

import pytest
from numba import config

too_large = pytest.mark.skipif(
    bool(config.DISABLE_JIT), reason="tens of thousands of states take minutes with kernels interpreted"
)
