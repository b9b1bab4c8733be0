"""Manifest of a checkpoint: a JSON file that lists its files and replay chunks with their checksums."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from virel_common.errors import InputError
from virel_common.files import Stamp
from virel_deep.storage.chunks import Chunk, Ledger
from virel_deep.storage.state import FILES
from virel_deep.versions import run_versions

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """Contents of a checkpoint: its step, its files with checksums, and its replay chunks."""

    step: int
    """Environment steps done."""
    files: dict[str, Stamp]
    """Stamps of the files beside the manifest, by name."""
    rows: Ledger | None
    """Ledger of the replay; None without a replay."""


def manifest_bytes(manifest: Manifest) -> bytes:
    """Serialise a checkpoint's manifest as JSON, with package versions and its own checksum."""
    content = {
        "format": FORMAT,
        "step": manifest.step,
        "files": {name: stamp._asdict() for name, stamp in manifest.files.items()},
        "rows": None if manifest.rows is None else asdict(manifest.rows),
        "versions": run_versions(),
    }
    return json.dumps(content | {"sha256": _checksum(content)}, indent=1).encode()


def _checksum(content: dict[str, Any]) -> str:
    """SHA-256 of a manifest's entries other than the checksum, independent of their order and spacing."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path, *, step: int) -> Manifest:
    """Read and check the manifest in a checkpoint's folder.

    Raises:
        InputError: it can't be read, is damaged, is of another format, or is not of step `step`.
    """
    file = path / MANIFEST
    try:
        content = json.loads(file.read_bytes())
        found = content.pop("sha256")
        if content["format"] != FORMAT:
            raise InputError(
                f"{file}: `format` must be {FORMAT} for this version of virel; found {content['format']!r}"
            )
        if found != _checksum(content):
            raise InputError(f"{file}: damaged: its SHA-256 differs from the one written in it")
        manifest = _parse(content)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{file}: not a valid manifest of a checkpoint: {error!r}") from error
    if manifest.step != step or set(manifest.files) != set(FILES):
        raise InputError(
            f"{file}: must be of step {step} with the files {sorted(FILES)}; "
            f"found step {manifest.step} with {sorted(manifest.files)}"
        )
    return manifest


def _parse(content: dict[str, Any]) -> Manifest:
    rows = content["rows"]
    ledger = rows and Ledger(**rows | {"chunks": tuple(Chunk(**chunk) for chunk in rows["chunks"])})
    return Manifest(
        content["step"], {name: Stamp(**stamp) for name, stamp in content["files"].items()}, ledger
    )
