"""Exact-MDP core of the VIREL toolkit: numpy, numba and scipy only.

The public names are listed in `__init__.pyi`; the module of a name is imported on its first use, so that
`import virel_theory` takes milliseconds.
"""

from pathlib import Path

import lazy_loader

from virel_common.numba_cache import use_writable_cache

use_writable_cache(Path(__file__).parent)
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
