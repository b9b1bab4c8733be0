"""Reading and writing of `.npz` files, and of folders of `.npy` files: never a pickle, never half of one."""

import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from virel_common.errors import InputError, require
from virel_common.files import TEMPORARY, atomic_file, rename_synced

# What numpy, zipfile and zlib raise on damaged bytes (RuntimeError: an encrypted file or an unknown version).
BROKEN = (ValueError, EOFError, KeyError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)

FOLDER = ".mdp"
"""Suffix of a folder of `.npy` files that holds an MDP."""
MAPPED_FROM = 1 << 20
"""Bytes from which an array is mapped, not read."""

CSR_PARTS = {"indptr", "indices", "data"}
"""Arrays of a CSR transition in a file."""
KNOWN = CSR_PARTS | {"transition", "reward", "gamma", "initial", "mask"}
"""Arrays that the file of an MDP may hold."""


ZIP, NPY = (b"PK\x03\x04", b"PK\x05\x06"), b"\x93NUMPY"
"""First bytes of an `.npz` archive and of a `.npy` file; numpy takes a file without them for a pickle."""


def atomic_npz(path: Path, arrays: dict[str, Any], *, name: str = "path") -> None:
    """Write arrays to an `.npz` file atomically: all of them, or no file.

    `name` is the argument that error messages name if the path is bad.
    """
    require(path.suffix == ".npz", name, str(path), "must end in .npz")
    try:
        with atomic_file(path) as file:
            np.savez(file, **arrays)
    except OSError as err:
        raise InputError(
            f"`{name}` must be in a writable folder; found {str(path)!r} ({err.strerror})"
        ) from None


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an `.npz` file, never unpickling; any damage raises `InputError`."""
    try:
        with path.open("rb") as file:  # np.load leaves the file open when the archive is truncated
            if not file.read(len(NPY)).startswith((*ZIP, NPY)):
                raise InputError(f"`{path}` must be an .npz archive; found a file that isn't one")
            file.seek(0)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"`{path}` must be an .npz archive; found a single array")
            return {key: archive[key] for key in archive.files}
    except OSError as err:
        raise InputError(f"`{path}` must be a readable file; {err.strerror or err}") from None
    except InputError:
        raise
    except BROKEN as err:
        raise InputError(f"`{path}` must be an .npz archive without pickled objects; {err}") from None


def atomic_npy_folder(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays to a folder `path`, one `.npy` file each: all of them, or nothing. It replaces the folder.

    Unlike an `.npz` file, the folder can be mapped into memory.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{secrets.token_hex(4)}")
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        is_ours = not path.exists() or (path.is_dir() and {x.suffix for x in path.iterdir()} <= {".npy"})
        require(is_ours, "path", str(path), "must be a new name, or a folder with an MDP in it")
        temporary.mkdir()
        try:
            for name, array in arrays.items():
                with (temporary / f"{name}.npy").open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
            if path.exists():
                path.rename(old)
            rename_synced(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as err:
        raise InputError(
            f"`path` must be in a writable folder; found {str(path)!r} ({err.strerror or err})"
        ) from None


def map_npy_folder(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of a folder of `.npy` files, large ones mapped into memory: processes that map them share it.

    Any damage raises `InputError`.
    """
    out: dict[str, NDArray[Any]] = {}
    try:
        for file in sorted(path.glob("*.npy")):
            _require_npy(file)
            large = file.stat().st_size >= MAPPED_FROM
            out[file.stem] = np.asarray(np.load(file, mmap_mode="r" if large else None, allow_pickle=False))
    except OSError as err:
        raise InputError(f"`{path}` must be a readable folder; {err.strerror or err}") from None
    except InputError:
        raise
    except BROKEN as err:
        raise InputError(f"`{path}` must hold .npy files without pickled objects; {err}") from None
    return out


def _require_npy(path: Path) -> None:
    """Raise `InputError` unless a file begins as a `.npy` file does."""
    with path.open("rb") as file:
        if file.read(len(NPY)) != NPY:
            raise InputError(f"`{path.parent}` must hold .npy files; found {path.name}, which isn't one")


def require_known_arrays(arrays: Collection[str], path: object) -> None:
    """Raise `InputError` unless a file's arrays are those of an MDP, with one transition: dense or CSR."""
    found = sorted(arrays)
    require("reward" in arrays, str(path), found, "must hold the array 'reward'")
    dense, n_parts = "transition" in arrays, len(CSR_PARTS & set(arrays))
    rule = "must hold 'transition', or 'indptr', 'indices' and 'data'"
    require(dense or n_parts == len(CSR_PARTS), str(path), found, rule)
    require(not (dense and n_parts), str(path), found, f"{rule}, not both")
    unknown = sorted(set(arrays) - KNOWN)
    require(not unknown, str(path), unknown, f"must hold no arrays but {', '.join(sorted(KNOWN))}")


def csr_from_parts(arrays: dict[str, NDArray[Any]]) -> Any:
    """Build the CSR transition `[S*A, S]` from a file's arrays `indptr`, `indices`, `data` and `reward`.

    Only the shape of `reward` is used.
    """
    reward = arrays["reward"]
    require(reward.ndim == 2, "reward", reward.shape, "must have shape [S, A]")
    n_states, n_actions = reward.shape
    for key in ("indptr", "indices"):
        require(arrays[key].dtype.kind in "iu", key, arrays[key].dtype, "must be integers")
    require(
        arrays["indptr"].shape == (n_states * n_actions + 1,),
        "indptr",
        arrays["indptr"].shape,
        f"must have shape [{n_states * n_actions + 1}]",
    )
    require(
        arrays["data"].shape == arrays["indices"].shape,
        "data",
        arrays["data"].shape,
        f"must have the shape of `indices` {arrays['indices'].shape}",
    )
    try:
        return sparse.csr_array(
            (arrays["data"], arrays["indices"], arrays["indptr"]), shape=(n_states * n_actions, n_states)
        )
    except ValueError as err:
        raise InputError(f"`indptr`, `indices`, `data` must be a CSR matrix; {err}") from None
