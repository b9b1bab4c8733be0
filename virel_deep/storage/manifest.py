"""A checkpoint's manifest: what belongs to it, with checksums."""

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
    """Step, stamps of the files beside the manifest, and the ledger of the replay."""

    step: int
    files: dict[str, Stamp]
    rows: Ledger | None


def manifest_bytes(manifest: Manifest) -> bytes:
    """The manifest as JSON, with the versions that wrote it and a checksum of itself."""
    content = {
        "format": FORMAT,
        "step": manifest.step,
        "files": {name: stamp._asdict() for name, stamp in manifest.files.items()},
        "rows": None if manifest.rows is None else asdict(manifest.rows),
        "versions": run_versions(),
    }
    return json.dumps(content | {"sha256": _checksum(content)}, indent=1).encode()


def _checksum(content: dict[str, Any]) -> str:
    """Of a manifest's other entries, whatever their order and the blanks between them."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(path: Path, *, step: int) -> Manifest:
    """The manifest in a checkpoint's folder; `InputError` unless it is a whole one of ours, of `step`."""
    file = path / MANIFEST
    try:
        content = json.loads(file.read_bytes())
        found = content.pop("sha256")
        if content["format"] != FORMAT:
            raise InputError(f"{file}: format {content['format']!r}; this version of virel reads {FORMAT}")
        if found != _checksum(content):
            raise InputError(f"{file}: its SHA-256 is not the one written in it")
        manifest = _parse(content)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror or error}") from error
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{file}: not a checkpoint's manifest: {error!r}") from error
    if manifest.step != step or set(manifest.files) != set(FILES):
        raise InputError(
            f"{file}: of step {manifest.step} and files {sorted(manifest.files)}, not of {path.name}"
        )
    return manifest


def _parse(content: dict[str, Any]) -> Manifest:
    rows = content["rows"]
    ledger = rows and Ledger(**rows | {"chunks": tuple(Chunk(**chunk) for chunk in rows["chunks"])})
    return Manifest(
        content["step"], {name: Stamp(**stamp) for name, stamp in content["files"].items()}, ledger
    )
