"""Environments that end their process: each death is a file that the first environment to reach it takes."""

import atexit
import ctypes
import os
import signal
from pathlib import Path

from tests.support.envs import Dice

DEATHS = {
    "exit": lambda: os._exit(0),
    "segfault": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "when it exits": lambda: atexit.register(os.abort),
}


class Deadly(Dice):
    """Dies in its step `at`, in the way that a file of `folder` names, if there is one left."""

    def __init__(self, folder, at=30):
        super().__init__()
        self.folder, self.at, self.steps = Path(folder), at, 0

    def step(self, action):
        self.steps += 1
        for death in sorted(self.folder.iterdir()) if self.steps == self.at else ():
            death.unlink()
            DEATHS[death.name]()
        return super().step(action)


def deadly_at_once():
    """A `Deadly` that dies in its first step, by the folder that a variable of the process names."""
    return Deadly(os.environ["VIREL_TEST_DEATHS"], at=1)
