"""A folder in which numba can cache compiled kernels, where installation and home can't be written.

numba caches a kernel in `NUMBA_CACHE_DIR`, beside its source, or in the home of the user. If it can write to
none of these it refuses to compile. A temporary folder takes their place, one per user and kept, so that the
next run needn't compile again.
"""

import os
import stat
import sys
from pathlib import Path

from virel_common.errors import InputError

LEAST_FREE = 16 << 20
"""Bytes free on the disk of a folder in which kernels can be cached: all of ours take a quarter of it."""


def use_writable_cache(package: Path) -> None:
    """Set numba's cache folder to a temporary one if numba could not write to the one that it would choose.

    Args:
        package: folder of the Python package whose kernels will be compiled.

    Raises:
        InputError: no temporary folder can be written either.
    """
    if _numba_finds_a_place(package):
        return
    os.environ["NUMBA_CACHE_DIR"] = folder = str(_temporary_folder())
    if numba := sys.modules.get("numba"):  # it has read its environment
        numba.config.CACHE_DIR = folder


def _numba_finds_a_place(package: Path) -> bool:
    """Whether the first of numba's places in which files can be made is on a disk that has room."""
    given, cache = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.path.expanduser(cache)  # noqa: PTH111  (`Path` raises for a user without a home)
    for folders in ([given] if given else [], _beside(package), [home] if home[:1] != "~" else []):
        existing = [_existing(folder) for folder in folders]
        if existing and all(os.access(folder, os.W_OK | os.X_OK) for folder in existing):
            return all(_has_room(folder) for folder in existing)
    return False


def _beside(package: Path) -> list[str]:
    """Folders beside the sources of a package in which numba caches."""
    found, folders = [], [os.fspath(package)]
    while folders:
        folder = folders.pop()
        found.append(f"{folder}/__pycache__")
        with os.scandir(folder) as entries:
            folders += [e.path for e in entries if not e.name.startswith("__") and e.is_dir()]
    return found


def _existing(folder: str) -> str:
    """The folder itself, or the one above it in which it would be made."""
    while not os.path.exists(folder) and folder != os.path.dirname(folder):  # noqa: PTH110, PTH120
        folder = os.path.dirname(folder)  # noqa: PTH120
    return folder


def _has_room(folder: str) -> bool:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= LEAST_FREE


def _temporary_folder() -> Path:
    """A folder that only this user can write to: numba runs what it finds there."""
    import atexit  # noqa: PLC0415
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415  (slow to import, rarely needed)

    try:
        folder = Path(tempfile.gettempdir()) / f"virel-numba-{os.geteuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            return folder
        own = Path(tempfile.mkdtemp(prefix="virel-numba-"))
    except OSError as error:
        reason = error.strerror or error
        rule = "must be a folder that can be written, as numba caches compiled kernels there"
        raise InputError(f"`NUMBA_CACHE_DIR` or `TMPDIR` {rule}; found none ({reason})") from None
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return own
