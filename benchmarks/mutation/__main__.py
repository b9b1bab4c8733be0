"""`python -m benchmarks.mutation`: mutate, run, report; exits 0 iff the kill rate reaches the target."""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"  # before numba is imported: kernels run as the Python that is mutated

import tyro

from benchmarks.mutation import deep_scope, report
from benchmarks.mutation.mutants import Mutant, mutants_of, sample
from benchmarks.mutation.run import record, try_all
from benchmarks.mutation.scope import EQUIVALENT, MODULES, source_file

TARGET = 0.95


@dataclass(frozen=True)
class Options:
    """Plant small errors in formulas and count those that a claim notices."""

    deep: bool = False
    """Mutate the losses of virel_deep in place of virel_theory, and ask the claims about them."""
    modules: tuple[str, ...] = ()
    """Modules of the package to mutate, for instance operators.bellman; none means all that hold formulas."""
    per_function: int = 3
    """Largest number of mutants per function, of as many kinds as possible; 0 means all."""
    seed: int = 0
    """Seed that chooses the mutants of each function."""
    jobs: int = 1
    """Processes at a time."""
    out: Path = Path("out/mutation")
    """Folder for mutation.json and mutation.md."""
    resume: bool = False
    """Keep the kills that `out` has on record and try only the rest, for instance after improving a claim."""


def main(options: Options) -> int:
    """Run the mutants and write the report; 0 iff the kill rate reaches the target."""
    mutants = chosen(options)
    _import_heavy_packages(deep=options.deep)
    found = record(deep=options.deep)
    if options.deep:  # acting, sampling and reports, which the claims do without: tests hold those
        mutants = [mutant for mutant in mutants if found.covering(mutant)]
    kept = _kept(options, {mutant.key for mutant in mutants})
    rows = dict(kept)
    doc = _write(options, list(kept.values()))
    todo = [m for m in mutants if m.key not in kept]
    for n, fate in enumerate(try_all(todo, found, n_parallel=options.jobs), start=1):
        rows[fate.mutant.key] = report.row(fate)
        verdict = f"killed by {fate.killed_by}" if fate.killed_by else "SURVIVED"
        print(f"{n}/{len(todo)} {fate.mutant.key}: {verdict}", flush=True)
        doc = _write(options, [rows[m.key] for m in mutants if m.key in rows])
    print(
        f"killed {doc['n_killed']} of {doc['n_mutants'] - doc['n_equivalent']}; see {options.out}/mutation.md"
    )
    return 0 if doc["kill_rate"] is not None and doc["kill_rate"] >= TARGET else 1


def _write(options: Options, rows: list[report.Row]) -> report.Row:
    """Write the report so far, after every mutant, so that an interrupted run can resume."""
    settings = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    if not options.modules:
        settings["modules"] = f"all {len(_modules(options))}"
    doc = report.document(rows, settings=settings)
    report.write(options.out, doc)
    return doc


def chosen(options: Options) -> list[Mutant]:
    """Mutants of the run, in the order of modules and text."""
    out: list[Mutant] = []
    for module in _modules(options):
        every = mutants_of(module, source_file(module).read_text())
        out += sample(every, per_function=options.per_function or len(every), seed=options.seed)
    return out


def _modules(options: Options) -> tuple[str, ...]:
    return options.modules or (deep_scope.MODULES if options.deep else MODULES)


def _kept(options: Options, keys: set[str]) -> dict[str, report.Row]:
    path = options.out / "mutation.json"
    if not options.resume or not path.exists():
        return {}
    rows = json.loads(path.read_text())["mutants"]
    return {r["key"]: r for r in rows if r["key"] in keys and (r["killed_by"] or r["key"] in EQUIVALENT)}


def _import_heavy_packages(*, deep: bool) -> None:
    """Import the packages that children need once, before the forks; nothing of ours."""
    import hypothesis.extra.numpy  # noqa: PLC0415
    import mpmath  # noqa: PLC0415
    import numba  # noqa: PLC0415
    import scipy.optimize  # noqa: PLC0415
    import scipy.sparse.linalg  # noqa: PLC0415
    import scipy.special  # noqa: F401, PLC0415

    assert hypothesis
    assert mpmath
    assert numba
    if deep:
        import torch  # noqa: PLC0415

        torch.set_num_threads(1)  # threads of a pool would not survive the forks
    if {"virel_theory", "virel_deep", "verify"} & set(sys.modules):
        raise RuntimeError("our packages must not be imported before the forks")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options)))
