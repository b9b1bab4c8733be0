"""Certificate files: self-contained JSON with a content hash; `verify.recheck` checks them.

The format is in docs/certificates.md.
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


@dataclass(frozen=True, eq=False)
class Certificate:
    """A proof on one instance.

    `form`: `printed`, `corrected` or `step-N`; `verify/statements.toml` says what is proved, and `result`
    holds what is claimed of each of its facts.
    """

    claim: str
    form: str
    instance: dict[str, Any]
    result: list[dict[str, Any]]


@dataclass(frozen=True)
class Undecided:
    """No certificate: the precision limit was reached, or the statement does not hold on the instance."""

    claim: str
    form: str
    reason: str


def document(certificates: Sequence[Certificate]) -> dict[str, Any]:
    """The content of a file, its hash included."""
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
    """SHA-256 of the canonical JSON (sorted keys, no blanks, ASCII) of everything but the hash."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, certificates: Sequence[Certificate]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(json.dumps(document(certificates), separators=(",", ":")).encode() + b"\n")
