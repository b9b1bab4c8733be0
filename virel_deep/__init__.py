"""Deep agents for continuous control: Algorithms 1 and 2 of the VIREL paper (App. H), SAC, TD3 and DDPG.

From Python: `train`, `resume`, `load_policy`, `evaluate` and `compare` (`virel_deep.api`); from the shell:
`virel train`, `evaluate`, `compare`, `watch` and `export`. docs/deep/ says what they implement and where
they deviate from the paper. The package needs the extra `virel[deep]`. It imports neither `virel_theory` nor
`verify`, so that a comparison of its losses with the exact objectives compares two independent codes.
"""

from pathlib import Path

import lazy_loader

from virel_common.numba_cache import use_writable_cache

use_writable_cache(Path(__file__).parent)
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
