"""Versions that the numbers of a training run depend on: recorded in its folder, compared between runs."""

from functools import cache

from virel_common.machine import processor
from virel_common.versions import versions

PACKAGES = ("torch", "gymnasium", "mujoco", "numpy", "virel")


def run_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers, and the processor's name.

    Example:
        >>> list(run_versions())
        ['python', 'torch', 'gymnasium', 'mujoco', 'numpy', 'virel', 'cpu']
    """
    return dict(_found())


@cache
def _found() -> tuple[tuple[str, str], ...]:
    return (*versions(PACKAGES).items(), ("cpu", processor()))
