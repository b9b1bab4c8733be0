"""The claims engine: every printed statement of the VIREL paper, checked numerically as printed.

A file with claims of your own needs no names but those in `__init__.pyi`. The module of a name is imported on
its first use, so that `import verify` takes milliseconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
