"""Instructions that kernels write down themselves, with a plain form where kernels are interpreted.

numba's `intrinsic` has no meaning outside compiled code. With `NUMBA_DISABLE_JIT=1`, by which one can step
through a kernel in a debugger, the plain form stands in its place. It gives the same bits.
"""

from collections.abc import Callable
from typing import Any

from numba import config
from numba.extending import intrinsic


def lowered(plain: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: a function in numba's protocol for intrinsics, or `plain` where kernels are interpreted."""

    def choose(typing: Callable[..., Any]) -> Callable[..., Any]:
        return plain if config.DISABLE_JIT else intrinsic(typing)  # type: ignore[attr-defined]  # set at import

    return choose
