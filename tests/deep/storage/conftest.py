"""A run with four saved checkpoints, and no waiting for the disk."""

import os

import pytest

from tests.support.stored_run import CAPACITY, save_step


@pytest.fixture(autouse=True, scope="module")
def _unsynced():
    """Hundreds of saves need not wait for the disk; `Interrupted` still sees that they would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture
def folder(tmp_path):
    """Four checkpoints of a run were saved; those of steps 30 and 40 are kept."""
    folder = tmp_path / "run" / "checkpoints"
    for step in (10, 20, 30, 40):
        save_step(folder, step, step - 10, CAPACITY)
    return folder
