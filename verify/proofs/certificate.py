"""Certificate files: self-contained JSON with a content hash, which `verify/recheck.py` checks.

The format is described in docs/certificates.md.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virel_common.files import atomic_file
from virel_common.versions import versions

SCHEMA = 2
"""Version of the format of certificate files."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """Proof, as data, of one statement of a claim (printed, corrected or a step) on one instance.

    `verify/statements.toml` says what it proves.
    """

    claim: str
    """Id of the claim."""
    form: str
    """`printed`, `corrected` or `step-N`."""
    instance: dict[str, Any]
    """The parts of the instance, as plain data."""
    result: list[dict[str, Any]]
    """One entry per fact: the enclosures claimed of its differences."""


@dataclass(frozen=True)
class Undecided:
    """Failed proof of a statement on one instance: false there, or undecided at the largest precision."""

    claim: str
    """Id of the claim."""
    form: str
    """`printed`, `corrected` or `step-N`."""
    reason: str
    """The fact that could not be proved, in one sentence."""


def document(certificates: Sequence[Certificate]) -> dict[str, Any]:
    """Content of a certificate file, including its hash, as plain data."""
    body = {
        "schema": SCHEMA,
        "versions": versions(("virel", "python-flint")),
        "certificates": [
            {"claim": c.claim, "form": c.form, "instance": c.instance, "result": c.result}
            for c in certificates
        ],
    }
    return body | {"sha256": content_hash(body)}


def content_hash(body: dict[str, Any]) -> str:
    """SHA-256 of a certificate file's content without the hash, in canonical JSON.

    Canonical JSON has sorted keys and no blanks, and is ASCII.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, certificates: Sequence[Certificate]) -> str:
    """Write certificates to a JSON file, whole or not at all; return the hash in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = document(certificates)
    with atomic_file(path) as file:
        file.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")
    return str(content["sha256"])
