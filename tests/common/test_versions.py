"""What a run was computed with."""

import platform

import gymnasium
import mujoco
import numpy as np
import torch

from virel_common import versions as module
from virel_common.versions import versions


def test_the_versions_are_those_of_the_modules_that_compute():
    found = versions()
    assert found["python"] == platform.python_version()
    for package in (torch, gymnasium, mujoco, np):
        assert found[package.__name__] == package.__version__


def test_the_processor_has_a_name_where_there_is_no_cpuinfo_too(monkeypatch, tmp_path):
    assert versions()["cpu"]
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "absent")
    assert module._cpu()


def test_a_package_that_is_not_installed_has_an_unknown_version():
    assert module._version("no-such-package-at-all") == "unknown"


def test_the_caller_may_change_what_it_got():
    versions()["torch"] = "changed"
    assert versions()["torch"] == torch.__version__
