"""Checks that decide verdicts, one by one: which exist, and whether each ends as on record."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


@dataclass(frozen=True)
class CheckId:
    """Identity of one check of one claim; `holds` is its outcome on record."""

    module: str
    claim: str
    name: str
    holds: bool

    def __str__(self) -> str:
        """Words for a page, such as `theorem-4: correction`."""
        return f"{self.claim}: {self.name}"


def checks_of(module: str) -> Iterator[tuple[CheckId, Any]]:
    """Yield `(id, check)` for each statement, step, repair and correction of a claim file."""
    for claim in getattr(importlib.import_module(module), "CLAIMS", ()):
        yield CheckId(module, claim.id, "printed", str(claim.expected) != "REFUTED"), claim.check
        if claim.correction is not None:
            yield CheckId(module, claim.id, "correction", True), claim.correction.check
        for step in claim.steps:
            yield CheckId(module, claim.id, f"step {step.name}", step.repaired is None), step.check
            if step.repaired is not None:
                yield CheckId(module, claim.id, f"repair of {step.name}", True), step.repaired.check


def claim_modules() -> list[str]:
    """Names of modules that may define claims, except those about the deep agent."""
    registry = importlib.import_module("verify.engine.registry")
    return [name for name in registry.modules() if ".deep." not in name]


def comes_out(check_id: CheckId, check: Any, *, draws: int) -> bool:
    """Whether the check ends as on record.

    A check on record as holding tries at most `draws` random instances, without the named ones, which are
    large. A check on record as failing runs with all its instances, because it stops at the first failure.

    Raises:
        CheckError: the gap function raised an exception (`verify.engine.runner`).
    """
    from verify.engine.runner import run_check  # noqa: PLC0415  (imports virel_theory, so only in a child process)

    if check_id.holds and check.n_random > 0:
        check = replace(check, n_random=min(check.n_random, draws), named=tuple)
    return run_check(check, seed=0, shrink=False).ok == check_id.holds


class Calls:
    """Context that records which code objects of `virel_theory` run, as `(module, first line)`."""

    def __init__(self, package: Path) -> None:
        """Prepare to record; `package` is the folder of `virel_theory`."""
        self._package = str(package)
        self._seen: set[CodeType] = set()

    def __enter__(self) -> "Calls":
        """Start recording."""
        self._seen.clear()
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop recording."""
        sys.setprofile(None)

    def lines(self) -> set[tuple[str, int]]:
        """Pairs `(module, first line of the code object)` of everything that ran."""
        return {
            (_module(code.co_filename, self._package), code.co_firstlineno)
            for code in self._seen
            if code.co_filename.startswith(self._package)
        }

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self._seen.add(frame.f_code)


def _module(file: str, package: str) -> str:
    """Dotted name of a file below the package, such as `operators.bellman`."""
    return ".".join(Path(file).relative_to(package).with_suffix("").parts)
