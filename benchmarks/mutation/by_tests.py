"""`python -m benchmarks.mutation.by_tests`: which tests notice the errors in `virel_deep` that no claim does?

It reads and rewrites the report of `python -m benchmarks.mutation --deep`. Every survivor is planted in a
process of its own, which runs the tests of the losses and, where these pass, those of whole agents.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from benchmarks.mutation import report
from benchmarks.mutation.isolate import VARIABLE
from benchmarks.mutation.mutants import Mutant, mutants_of
from benchmarks.mutation.scope import ROOT, source_file

STAGES = (("tests/deep/axes", "tests/deep/test_known_bugs.py"), ("tests/deep/agent",))
"""Tests that a survivor faces, the quick ones first."""
SECONDS = 1200.0


@dataclass(frozen=True)
class Options:
    """Let the survivors of a mutation run of the deep losses face tests."""

    out: Path = Path("out/mutation/deep")
    """Folder of the run's mutation.json and mutation.md, which are written anew after each survivor."""
    again: bool = False
    """Try those that a test has noticed once more."""


def main(options: Options) -> int:
    """Plant each survivor under the tests; 0 iff a test notices every one."""
    path = options.out / "mutation.json"
    doc = json.loads(path.read_text())
    todo = [row for row in doc["mutants"] if not row["killed_by"]]
    if not options.again:
        todo = [row for row in todo if not row.get("noticed_by")]
    for n, row in enumerate(todo, start=1):
        row["noticed_by"] = noticed_by(mutant_of(row["module"], row["key"]))
        print(f"{n}/{len(todo)} {row['key']}: {row['noticed_by'] or 'NOT NOTICED'}", flush=True)
        report.write(options.out, doc)
    left = sum(not (row["killed_by"] or row.get("noticed_by")) for row in doc["mutants"])
    print(f"{left} survivors are left; see {options.out}/mutation.md")
    return 1 if left else 0


def mutant_of(module: str, key: str) -> Mutant:
    """Mutant of this name in the source as it is now."""
    for mutant in mutants_of(module, source_file(module).read_text()):
        if mutant.key == key:
            return mutant
    raise LookupError(
        f"the source of {module} has no mutant {key!r}; run `python -m benchmarks.mutation` again"
    )


def noticed_by(mutant: Mutant) -> str:
    """First test that fails with the mutant in place, as `file::test`; empty if none does."""
    for stage in STAGES:
        found = _first_failure(mutant, stage)
        if found:
            return found
    return ""


def _first_failure(mutant: Mutant, paths: tuple[str, ...]) -> str:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += ["-p", "benchmarks.mutation.planted", *paths]
    # Compiled parts of the agent are no mutants, so that their cache stays good.
    environment = os.environ | {VARIABLE: json.dumps(asdict(mutant)), "CI": "1"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"out of time in {paths[0]}"
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    if done.returncode != 1 and not found:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-2000:]}{done.stderr}"
        )
    return found[1] if found else "a test that has no name"


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
