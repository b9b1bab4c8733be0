"""Versions that are recorded beside results."""

import platform

import numpy as np

from virel_common.versions import versions


def test_the_versions_are_those_of_the_modules_that_compute():
    assert versions(["numpy"]) == {"python": platform.python_version(), "numpy": np.__version__}


def test_a_package_that_is_absent_is_not_installed():
    assert versions(["no-such-package-at-all"])["no-such-package-at-all"] == "not installed"
