"""Results of the solvers' benchmarks: one file, `OUT/solvers.json`, and the page made of it."""

import json
from pathlib import Path
from typing import Any

from benchmarks import archive
from benchmarks.theory import _report


def read(out: Path) -> dict[str, Any]:
    """Results so far, unpacked from `results/` if the folder has none."""
    path = out / "solvers.json"
    if not path.exists():
        print(archive.unpack("solvers", archive.ROOT), flush=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def write(results: dict[str, Any], out: Path) -> None:
    """Write the results and their page."""
    (out / "solvers.json").write_text(json.dumps(results, indent=1) + "\n")
    (out / "solvers.md").write_text(_report.markdown(results))


def keep(results: dict[str, Any], out: Path) -> None:
    """Write results and page, then carry both to `results/` and `docs/benchmarks/`."""
    write(results, out)
    print(archive.pack("solvers", archive.ROOT), flush=True)
