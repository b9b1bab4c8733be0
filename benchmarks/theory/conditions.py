"""Our solver and its peers on a quiet and on a busy machine: `python -m benchmarks.theory.conditions`.

Three tables: quiet, three busy loops beside, two memory-streaming processes beside. Every instance is solved
`--repeats` times by every contender, in turns. Results go into `out/solvers/solvers.json` beside those of
`benchmarks.theory.solvers` (unpacked from `results/` if they are not there), instance by instance, so that a
second call continues where the first stopped (`--force` starts again). At the end it packs the results and
writes `docs/benchmarks/solvers.md` (`--no-page` leaves both as they are).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.theory import _contenders, _instances, _report, _results
from benchmarks.theory.solvers import OUT, Worker

LOOP = "while True: pass"
STREAM = "import numpy as np\na, b = np.ones(2**26), np.ones(2**26)\nwhile True: np.copyto(a, b)"
CONDITIONS: dict[str, tuple[str, list[str]]] = {
    "quiet": ("Quiet", []),
    "loops": ("Three busy loops beside", [LOOP] * 3),
    "streams": ("Two memory-streaming processes beside", [STREAM] * 2),
}
"""Title of each table, and the code of the processes that run beside."""
SETTLE_S = 3.0


@contextmanager
def neighbours(codes: list[str]) -> Iterator[None]:
    """Run Python codes that never end beside the block."""
    running = [subprocess.Popen([sys.executable, "-c", code]) for code in codes]
    try:
        time.sleep(SETTLE_S if codes else 0.0)
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def alternate(instance: _instances.Instance, options: argparse.Namespace) -> dict[str, Any]:
    """Times of all contenders on one instance, in turns, after one solve each that does not count.

    Peers that fail or miss the accuracy are left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "values.npy"
        workers = {name: Worker(name, instance.name, options, values) for name in ["ours", *options.peers]}
        load = os.getloadavg()[0]
        try:
            for worker in workers.values():
                worker.solve()
                worker.times.clear()
            for _ in range(options.repeats):
                for worker in workers.values():
                    if sum(worker.times) < options.budget:
                        worker.solve()
            for worker in workers.values():  # ours first: it writes the reference
                worker.facts |= worker.ask("check")
        finally:
            for worker in workers.values():
                worker.close()
    mine = workers.pop("ours")
    if mine.failed:
        raise SystemExit(f"{instance.name}: ours failed: {mine.failed}")
    limit = options.atol + mine.facts["bound"]
    good = {n: w.times for n, w in workers.items() if w.times and w.facts.get("error", float("inf")) <= limit}
    return {"ours": mine.times, "peers": good, "threads": mine.facts["threads"], "load": load}


def main(argv: list[str] | None = None) -> int:
    """Measure what is missing, print rows, write JSON and page."""
    options = _parser().parse_args(argv)
    options.python = {}
    results = _results.read(options.out)
    found = results.setdefault("conditions", {})
    for short in options.conditions:
        title, codes = CONDITIONS[short]
        table = found.setdefault(title, {})
        with neighbours(codes):
            for instance in _instances.suite(options.states, options.gammas, options.kinds):
                if instance.name in table and not options.force:
                    continue
                row = alternate(instance, options)
                if row["peers"]:
                    table[instance.name] = row
                    print(f"{title}: {_report._condition_row(instance.name, row)}", flush=True)
                _results.write(results, options.out)
    if options.page:
        _results.keep(results, options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.conditions", description=__doc__)
    parser.add_argument("--conditions", nargs="+", choices=list(CONDITIONS), default=list(CONDITIONS))
    parser.add_argument("--states", type=int, nargs="+", default=[100, 10_000, 100_000, 1_000_000])
    parser.add_argument("--gammas", type=float, nargs="+", default=[0.9, 0.99, 0.999])
    parser.add_argument("--kinds", nargs="+", choices=_instances.KINDS, default=list(_instances.KINDS))
    parser.add_argument("--peers", nargs="+", choices=list(_contenders.CONTENDERS)[1:], default=["quantecon"])
    parser.add_argument("--atol", type=float, default=1e-8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--budget", type=float, default=20.0, help="seconds after which a contender stops")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one solve")
    parser.add_argument("--out", type=Path, default=OUT, help="folder with solvers.json")
    parser.add_argument(
        "--no-page", dest="page", action="store_false", help="do not touch docs/ and results/"
    )
    parser.add_argument("--force", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
