"""Names of a seed's checkpoint folders, and where its replay's chunks are."""

import os
import re
from pathlib import Path

from virel_common.errors import InputError
from virel_deep.storage.manifest import MANIFEST

NAME = re.compile(r"step-(\d{9,})(\.replaced)?")
"""Names of checkpoint folders.

`.replaced` marks the older of two checkpoints of one step: a kill fell between the two renames."""


def checkpoints(folder: Path) -> list[Path]:
    """List checkpoint folders, oldest first; a replaced one comes before the one that replaces it.

    One listing decides: a training process may replace them all before a path is looked at again.
    """
    try:
        with os.scandir(folder) as listing:
            names = [entry.name for entry in listing if NAME.fullmatch(entry.name) and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        names = []
    return sorted((folder / name for name in names), key=lambda path: (step_of(path), path.suffix == ""))


def step_of(path: Path) -> int:
    """Step in the name of a checkpoint folder."""
    match = NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def is_ours(path: Path) -> bool:
    """Whether a folder with a checkpoint's name has a manifest."""
    return (path / MANIFEST).exists()


def require_ours(folder: Path, *, after: int) -> None:
    """Raise `InputError` if a folder without a manifest has the name of a checkpoint after a step.

    A training would come to that step, and could not save.
    """
    for path in checkpoints(folder):
        if step_of(path) > after and not is_ours(path):
            rule = f"must hold a {MANIFEST}; put it back, or move the folder away to go on from step {after}"
            raise InputError(f"{path}: {rule}")


def replay_of(folder: Path) -> Path:
    """Folder of the chunks that belong to a folder of checkpoints."""
    return folder.parent / "replay"
