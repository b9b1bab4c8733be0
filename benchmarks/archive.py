"""Raw results in `results/`, packed and unpacked: `python -m benchmarks.archive (pack | unpack) [GROUP ...]`.

A group is a folder below `out/`, where its benchmark writes, and one file `results/GROUP.tar.gz`.

- `unpack` restores `out/GROUP` from the archive. It refuses to do so where the folder exists.
- `pack` writes the archive from `out/GROUP`, and copies the pages that the benchmark wrote there to
  `docs/benchmarks/`. Checkpoints, event files and the rows of single training episodes are left out:
  `virel compare` reads none of them. The same folder always gives the same archive.
"""

import gzip
import io
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

ROOT = Path(__file__).parents[1]
GROUPS = (
    "learning",
    "residual",
    "sb3",
    "speed",
    "speed-rows",
    "solvers",
    "iterates",
    "mutation",
    "study",
    "rows",
    "models",
    "transfer",
    "inference",
)
KEPT = {
    "config.json",
    "done.json",
    "plan.json",
    "changes.json",
    "metrics.jsonl",
    "updates.jsonl",
    "speed.json",
    "solvers.json",
    "iterates.json",
    "mutation.json",
}
"""Names of the files that an archive holds."""
PAGES = {
    "speed/speed.md": "speed.md",
    "solvers/solvers.md": "solvers.md",
    "iterates/iterates.md": "iterates.md",
    "mutation/mutation.md": "mutation.md",
    "mutation/seed-1/mutation.md": "mutation-seed-1.md",
    "mutation/deep/mutation.md": "mutation-deep.md",
}
"""Pages written by a benchmark: path below `out/`, and name in `docs/benchmarks/`."""


@dataclass(frozen=True)
class Options:
    """Pack or unpack the raw results of benchmarks."""

    action: tyro.conf.Positional[Literal["pack", "unpack"]]
    """Whether to write archives from `out/`, or `out/` from archives."""
    groups: tyro.conf.Positional[tuple[str, ...]] = ()
    """Groups of results; none means all."""


def main(argv: list[str] | None = None) -> int:
    """Pack or unpack the named groups, one line each; exit status 2 if a group or its source is missing."""
    options = tyro.cli(Options, prog="python -m benchmarks.archive", args=argv)
    act = pack if options.action == "pack" else unpack
    for group in options.groups or GROUPS:
        try:
            print(act(group, ROOT), flush=True)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0


def pack(group: str, root: Path) -> str:
    """Write `results/GROUP.tar.gz` and the group's pages from `out/GROUP`; return a line that says so."""
    folder = root / "out" / _known(group)
    if not folder.is_dir():
        raise ValueError(f"{folder} does not exist: run the benchmark, or unpack {group} first")
    archive = _path(group, root)
    archive.parent.mkdir(exist_ok=True)
    plain = tar(folder)
    with archive.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped:
        zipped.write(plain)
    pages = [(root / "out" / page, root / "docs/benchmarks" / name) for page, name in PAGES.items()]
    written = [archive]
    for page, copy in pages:
        if page.is_relative_to(folder) and page.exists():
            copy.write_bytes(page.read_bytes())
            written.append(copy)
    return f"wrote {', '.join(str(path.relative_to(root)) for path in written)}"


def unpack(group: str, root: Path) -> str:
    """Write `out/GROUP` from `results/GROUP.tar.gz`; return a line that says so."""
    folder, archive = root / "out" / _known(group), _path(group, root)
    if folder.exists():
        raise ValueError(f"{folder} exists: move it away, or delete it, before unpacking {group} there")
    if not archive.exists():
        raise ValueError(f"{archive} does not exist: git has it, a source archive of a release has not")
    with tarfile.open(archive) as file:
        file.extractall(folder.parent, filter="data")
    return f"wrote {folder.relative_to(root)} from {archive.relative_to(root)}"


def tar(folder: Path) -> bytes:
    """Bytes of a tar file of what is kept of a folder: sorted, without times, owners and permissions."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for path in _kept(folder):
            data = _without_episodes(path)
            member = tarfile.TarInfo(f"{folder.name}/{path.relative_to(folder).as_posix()}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _kept(folder: Path) -> Iterator[Path]:
    """Files of a folder that belong into its archive, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder).parts
        if path.name in KEPT and path.is_file() and "checkpoints" not in inside:
            yield path


def _without_episodes(path: Path) -> bytes:
    """Contents of a file; of metrics, without the rows of single training episodes."""
    data = path.read_bytes()
    if path.name != "metrics.jsonl":
        return data
    return b"".join(line for line in data.splitlines(keepends=True) if b'"kind": "episode"' not in line)


def _known(group: str) -> str:
    if group not in GROUPS:
        raise ValueError(f"unknown group {group!r}; choose among {', '.join(GROUPS)}")
    return group


def _path(group: str, root: Path) -> Path:
    return root / "results" / f"{group}.tar.gz"


if __name__ == "__main__":
    sys.exit(main())
