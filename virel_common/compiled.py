"""numba's `njit` with a cache that knows what a kernel calls, and that processes may share.

numba's own cache looks at the file of a kernel alone: after an update of a function in another file that the
kernel calls, it still loads the old machine code, and results are wrong in silence. And two processes that
compile at once may give two signatures the same file. Here a file is named after a digest of the code of the
kernel and of all that it reaches, of the constants that they read, and of the signature. So code that has
changed is compiled again, and two processes write the same code under one name.
"""

import hashlib
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

import llvmlite  # type: ignore[import-untyped]  # comes with numba
import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher

Function = TypeVar("Function", bound=Callable[..., Any])

LIBRARIES = frozenset({"builtins", "llvmlite", "math", "numba", "numpy", "scipy", "sys", "typing"})
"""Packages whose functions are not followed: the versions of numba and llvmlite stand for them."""

CONSTANTS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype)
"""Types of global values that compiled code holds, told apart by their `repr`."""


def njit(*, cache: bool = False, **options: Any) -> Callable[[Function], Function]:
    """numba's `njit`; with `cache`, machine code is kept for later processes by the cache of this module.

    Args:
        cache: whether machine code is kept.
        options: of `numba.njit`.

    Example:
        >>> @njit(nogil=True)
        ... def double(x):
        ...     return 2 * x
        >>> double(1.5)
        3.0
    """

    def compiled(function: Function) -> Function:
        kernel: Any = numba.njit(**options)(function)
        if cache and isinstance(kernel, Dispatcher):  # a plain function where kernels are interpreted
            kernel._cache = Cache(kernel)  # type: ignore[attr-defined]
        of: Function = kernel
        return of

    return compiled


def code_digest(kernel: Any) -> str:
    """Digest of the code of a kernel, of all functions that it reaches, and of the constants that they read.

    Line numbers are left out: a kernel that only moves in its file is not compiled again.

    Args:
        kernel: what `njit` returns.

    Example:
        >>> @njit()
        ... def double(x):
        ...     return 2 * x
        >>> len(code_digest(double))
        16
    """
    parts = sorted(set(_reached(kernel)))
    versions = (numba.__version__, llvmlite.__version__)
    return hashlib.sha256(repr((versions, parts)).encode()).hexdigest()[:16]


class Cache(FunctionCache):
    """Machine code of a kernel in the folder that numba would choose, in `Files` without an index."""

    def __init__(self, kernel: Dispatcher) -> None:
        """Find the folder as numba does."""
        super().__init__(kernel.py_func)  # type: ignore[no-untyped-call]
        self._cache_file = Files(self.cache_path, self._impl.filename_base, kernel)


class Files(IndexDataCacheFile):
    """One file per signature of a kernel, `BASE.CODE.SIGNATURE.nbc` with a digest of each; no index.

    Args:
        folder: where they are.
        base: name of the kernel, with its line and the version of Python.
        kernel: what `njit` returns; what it calls may be defined later.
    """

    def __init__(self, folder: str, base: str, kernel: Dispatcher) -> None:
        """Keep the arguments."""
        super().__init__(folder, base, source_stamp=None)  # type: ignore[no-untyped-call]
        self._base, self._kernel = base, kernel

    def load(self, key: Hashable) -> Any:
        """What was saved under this key; None if it is not there or can't be read."""
        wanted = _with_checks(key)
        try:
            found, data = self._load_data(self._name(wanted))  # type: ignore[no-untyped-call]
        except Exception:
            return None
        return data if found == wanted else None

    def save(self, key: Hashable, data: Any) -> None:
        """Write the file of a key, and remove the files of what the kernel was before.

        On a full disk nothing is kept: this process has its machine code, and the next compiles again.
        """
        wanted = _with_checks(key)
        with suppress(OSError):  # numba writes under a temporary name and renames
            self._save_data(self._name(wanted), (wanted, data))  # type: ignore[no-untyped-call]
            self._remove(but=f"{self._base}.{self._code}.")

    def flush(self) -> None:
        """Remove all files of this kernel."""
        self._remove(but=None)

    @cached_property
    def _code(self) -> str:
        return code_digest(self._kernel)

    def _name(self, wanted: Hashable) -> str:
        signature = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
        return f"{self._base}.{self._code}.{signature}.nbc"

    def _remove(self, *, but: str | None) -> None:
        for path in Path(self._cache_path).iterdir():
            mine = path.name.startswith(f"{self._base}.") and path.suffix == ".nbc"
            if mine and not (but and path.name.startswith(but)):
                path.unlink(missing_ok=True)


def _with_checks(key: Hashable) -> Hashable:
    """The key with what else decides about machine code: `NUMBA_BOUNDSCHECK` and `NUMBA_OPT`."""
    return key, numba.config.BOUNDSCHECK, repr(numba.config.OPT)  # type: ignore[attr-defined]  # set at import


def _reached(kernel: Any) -> Iterator[str]:
    """Describe the kernel and what it reaches: functions, options of kernels, constants by their names."""
    waiting, seen = [("", kernel)], set[int]()
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, CONSTANTS):
            yield f"{name} = {value!r}"
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, tuple):
            waiting += [(f"{name}[{i}]", x) for i, x in enumerate(value)]
        elif isinstance(value, np.ndarray):
            yield f"{name} = {value.dtype.str} {value.shape} {value.tobytes().hex()}"
        elif isinstance(value, type):
            yield f"{name} = {value.__module__}.{value.__qualname__} {getattr(value, '_fields', '')}"
        elif (function := _function(value)) is not None:
            options = sorted(getattr(value, "targetoptions", {}).items())
            yield f"{name}: {options!r} {_described(function.__code__)}"
            waiting += _names_of(function)


def _function(value: Any) -> FunctionType | None:
    """The Python function of a kernel, an intrinsic of numba, or a plain function; None for a library's."""
    for attribute in ("py_func", "_defn"):
        value = getattr(value, attribute, value)
    if not isinstance(value, FunctionType) or (value.__module__ or "").split(".")[0] in LIBRARIES:
        return None
    return value


def _names_of(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What the names in a function stand for, in its module, its closure, and as attributes of modules."""
    names = sorted(_names_in(function.__code__))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield f"{function.__qualname__} {name}", cell.cell_contents
    modules = []
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            modules.append(value)
        elif name in function.__globals__:
            yield f"{function.__module__}.{name}", value
    while modules:
        module = modules.pop()
        if module.__name__.split(".")[0] in LIBRARIES:
            continue
        for name in names:
            value = getattr(module, name, None)
            if isinstance(value, ModuleType):
                modules.append(value)
            elif value is not None:
                yield f"{module.__name__}.{name}", value


def _names_in(code: CodeType) -> set[str]:
    inner = (_names_in(x) for x in code.co_consts if isinstance(x, CodeType))
    return set(code.co_names).union(*inner)


def _described(code: CodeType) -> str:
    """Instructions, names and constants of a function, and of those inside it."""
    return repr((code.co_code.hex(), code.co_names, code.co_varnames, list(map(_constant, code.co_consts))))


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return _described(value)
    return repr(sorted(map(repr, value)) if isinstance(value, frozenset) else value)
