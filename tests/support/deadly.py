"""Environments that end their process: each death is a file that the first environment to reach it takes."""

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
}


class Deadly(Dice):
    """Dies in its 30th step, in the way that a file of `folder` names, if there is one left."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.steps = Path(folder), 0

    def step(self, action):
        self.steps += 1
        for death in sorted(self.folder.iterdir()) if self.steps == 30 else ():
            death.unlink()
            DEATHS[death.name]()
        return super().step(action)
