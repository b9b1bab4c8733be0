"""Versions of the packages that a result was computed with, recorded beside the result."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the given packages, by name; "not installed" for an absent package.

    Example:
        >>> list(versions(["numpy", "virel"]))
        ['python', 'numpy', 'virel']
    """
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
