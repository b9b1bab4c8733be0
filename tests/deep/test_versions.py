"""What a training run was computed with."""

import platform

import gymnasium
import mujoco
import numpy as np
import torch

from virel_deep.versions import run_versions


def test_the_versions_are_those_of_the_modules_that_compute():
    found = run_versions()
    assert found["python"] == platform.python_version()
    for package in (torch, gymnasium, mujoco, np):
        assert found[package.__name__] == package.__version__
    assert found["cpu"]


def test_the_caller_may_change_what_it_got():
    run_versions()["torch"] = "changed"
    assert run_versions()["torch"] == torch.__version__
