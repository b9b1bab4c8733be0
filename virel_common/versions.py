"""What a run was computed with: recorded in its folder, compared when runs are."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "gymnasium", "mujoco", "numpy", "virel")
CPUINFO = Path("/proc/cpuinfo")


@cache
def _found() -> tuple[tuple[str, str], ...]:
    return (
        ("python", platform.python_version()),
        *((name, _version(name)) for name in PACKAGES),
        ("cpu", _cpu()),
    )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers, and the processor's name.

    Example:
        >>> list(versions())
        ['python', 'torch', 'gymnasium', 'mujoco', 'numpy', 'virel', 'cpu']
    """
    return dict(_found())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a checkout that is on the path but not installed
        return "unknown"


def _cpu() -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
