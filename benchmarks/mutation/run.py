"""Mutation run: record which checks call which function, then try each mutant on those, cheapest first."""

import ast
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.mutation.checks import Calls, CheckId, checks_of, claim_modules, comes_out
from benchmarks.mutation.isolate import TIMEOUT, in_children, install
from benchmarks.mutation.mutants import Mutant
from benchmarks.mutation.scope import EQUIVALENT, ROOT, source_file

SECONDS = {30: 60.0, 200: 240.0}  # for one mutant; the whole record takes 30 s with 30 draws
QUICK_DRAWS, THOROUGH_DRAWS = 30, 200

Seen = set[tuple[str, int]]


@dataclass
class Record:
    """Checks with their seconds and what they call; `always` is what merely importing the claims calls.

    A check that calls a function only on instances that were not drawn here is missed; that can make a killed
    mutant look like a survivor, never the reverse.
    """

    checks: list[tuple[CheckId, float, Seen]] = field(default_factory=list)
    always: Seen = field(default_factory=set)

    def covering(self, mutant: Mutant) -> list[CheckId]:
        """Checks that call the mutated function, cheapest first."""
        low, high = _extent(mutant)

        def hit(seen: Seen) -> bool:
            return any(module == mutant.module and low <= line <= high for module, line in seen)

        by_seconds = sorted(self.checks, key=lambda row: row[1])
        return [check for check, _, seen in by_seconds if hit(self.always) or hit(seen)]


@dataclass(frozen=True)
class Fate:
    """Fate of a mutant; `killed_by` is empty for a survivor."""

    mutant: Mutant
    killed_by: str
    how: str
    n_checks: int
    seconds: float


def record(*, deep: bool) -> Record:
    """Run every check once, unchanged, in a child; raise if one does not come out as recorded.

    `deep`: the claims about `virel_deep`, or all others.
    """
    job = partial(_record, deep=deep)
    ((_, found, _),) = in_children([("record", job)], n_parallel=1, seconds=3600)
    if not isinstance(found, Record):
        raise RuntimeError(f"the claims do not come out unchanged: {found}")
    return found


def _record(*, deep: bool) -> Record:
    warnings.simplefilter("ignore")
    out, calls = Record(), Calls(ROOT / ("virel_deep" if deep else "virel_theory"))
    with calls:
        found = [pair for module in claim_modules(deep=deep) for pair in checks_of(module)]
    out.always = calls.lines()
    for check_id, check in found:
        start = time.perf_counter()
        with calls:
            ok = comes_out(check_id, check, draws=QUICK_DRAWS)
        if not ok:
            raise RuntimeError(f"{check_id} does not come out as recorded")
        out.checks.append((check_id, time.perf_counter() - start, calls.lines()))
    return out


def try_all(mutants: Sequence[Mutant], record: Record, *, n_parallel: int) -> Iterator[Fate]:
    """Fate of each mutant: all face the quick checks, and those that survive them face more draws."""
    spared = []
    for fate in _pass(mutants, record, draws=QUICK_DRAWS, n_parallel=n_parallel):
        if fate.killed_by or fate.mutant.key in EQUIVALENT:
            yield fate
        else:
            print(f"spared so far: {fate.mutant.key} ({fate.n_checks} checks)", flush=True)
            spared.append(fate.mutant)
    yield from _pass(spared, record, draws=THOROUGH_DRAWS, n_parallel=n_parallel)


def _pass(mutants: Sequence[Mutant], record: Record, *, draws: int, n_parallel: int) -> Iterator[Fate]:
    jobs = [(mutant, partial(_try, mutant, record, draws)) for mutant in mutants]
    for mutant, answer, seconds in in_children(jobs, n_parallel=n_parallel, seconds=SECONDS[draws]):
        if answer == TIMEOUT and draws > QUICK_DRAWS:  # many draws take long: that is not the mutant's doing
            yield Fate(mutant, "", "", 0, seconds)
        elif isinstance(answer, str):  # at import, timeout, crash
            yield Fate(mutant, "any claim", answer, 0, seconds)
        else:
            killed_by, how, n_checks = answer
            yield Fate(mutant, killed_by, how, n_checks, seconds)


def _try(mutant: Mutant, record: Record, draws: int) -> tuple[str, str, int]:
    """Try a mutant in a fresh process: what killed it, how, and after how many checks."""
    warnings.simplefilter("ignore")
    install(mutant)
    covering = record.covering(mutant)
    for k, check_id in enumerate(covering, start=1):
        how = _killed(check_id, draws)
        if how:
            return str(check_id), how, k
    return "", "", len(covering)


def _killed(check_id: CheckId, draws: int) -> str:
    from verify.engine.runner import CheckError  # noqa: PLC0415  (after the mutant is in place)

    (check,) = (check for found, check in checks_of(check_id.module) if found == check_id)
    try:
        if comes_out(check_id, check, draws=draws):
            return ""
    except CheckError as error:
        return f"raises {error}"[:200]
    return "no longer holds" if check_id.holds else "no longer refuted"


def _extent(mutant: Mutant) -> tuple[int, int]:
    """First and last line of the mutated function, decorators included."""
    tree = ast.parse(source_file(mutant.module).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.lineno <= mutant.line <= (node.end_lineno or 0):
            return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno or 0
    raise LookupError(mutant.key)
