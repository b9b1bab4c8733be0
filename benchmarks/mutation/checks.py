"""Checks that decide a verdict: which ones there are, and whether each comes out as on record."""

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


@dataclass(frozen=True)
class CheckId:
    """One check of one claim; `holds` is what is on record for it."""

    module: str
    claim: str
    name: str
    holds: bool

    def __str__(self) -> str:
        """Text such as `theorem-4: correction`."""
        return f"{self.claim}: {self.name}"


def checks_of(module: str) -> Iterator[tuple[CheckId, Any]]:
    """Checks of a claim file with their ids: statements, steps, repairs and corrections."""
    for claim in getattr(importlib.import_module(module), "CLAIMS", ()):
        yield CheckId(module, claim.id, "printed", str(claim.expected) != "REFUTED"), claim.check
        if claim.correction is not None:
            yield CheckId(module, claim.id, "correction", True), claim.correction.check
        for step in claim.steps:
            yield CheckId(module, claim.id, f"step {step.name}", step.repaired is None), step.check
            if step.repaired is not None:
                yield CheckId(module, claim.id, f"repair of {step.name}", True), step.repaired.check


def claim_modules(*, deep: bool) -> list[str]:
    """Names of the modules that may define claims: those about the deep agent, or all others."""
    registry = importlib.import_module("verify.engine.registry")
    return [name for name in registry.modules() if (".deep." in name) is deep]


def comes_out(check_id: CheckId, check: Any, *, draws: int) -> bool:
    """Whether a check ends as on record.

    Those on record as holding try at most `draws` random instances and leave out the named ones, which are
    large; those on record as failing run with everything they have: they stop at the first failure. Raises
    `verify.engine.runner.CheckError` if the gap function does.
    """
    from verify.engine.runner import run_check  # noqa: PLC0415  (imports virel_theory, so only in a child process)

    if check_id.holds and check.n_random > 0:
        check = replace(check, n_random=min(check.n_random, draws), named=tuple)
    return run_check(check, seed=0, shrink=False).ok == check_id.holds


class Calls:
    """Recorder of the code objects of a package that run, as `(module, first line)`."""

    def __init__(self, package: Path) -> None:
        """Prepare to record; `package` is the folder of `virel_theory` or `virel_deep`."""
        self._package = f"{package}/"
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
        """Module and first line of every code object that ran."""
        return {
            (_module(code.co_filename, self._package), code.co_firstlineno)
            for code in self._seen
            if code.co_filename.startswith(self._package)
        }

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            self._seen.add(frame.f_code)


def _module(file: str, package: str) -> str:
    """Dotted name of a file below the package, like `operators.bellman`."""
    return ".".join(Path(file).relative_to(package).with_suffix("").parts)
