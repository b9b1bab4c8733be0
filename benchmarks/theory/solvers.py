"""Our solver and its peers, side by side: `python -m benchmarks.theory.solvers [--states N ...]`.

Results are kept per instance in `out/solvers/solvers.json`, so a second call continues where the first
stopped (`--force` solves the chosen instances again). The page `out/solvers/solvers.md` is written anew after
every instance.
`python -m benchmarks.archive pack solvers` puts them into `results/` and `docs/benchmarks/`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.theory import _contenders, _instances, _report
from virel_common.machine import processor

OUT = Path("out/solvers")


class Worker:
    """A contender in its own process, which answers one command at a time."""

    def __init__(self, name: str, instance: str, options: argparse.Namespace, values: Path) -> None:
        """Start the process and wait until it is prepared; `failed` holds the reason if it is not."""
        threads = str(options.threads)
        env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": threads}
        command = [
            options.python.get(name, sys.executable),
            "-m",
            "benchmarks.theory._worker",
            name,
            instance,
            str(options.atol),
            str(values),
        ]
        root = Path(__file__).parents[2]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=root, env=env
        )
        self.failed: str | None = None
        self.timeout = options.timeout
        self.times: list[float] = []
        self.facts = self._answer(10 * self.timeout)

    def ask(self, command: str) -> dict[str, Any]:
        """Send a command and wait; the answer is empty, and `failed` set, if it dies or takes too long."""
        if self.failed:
            return {}
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.failed = "died"
            return {}
        return self._answer(self.timeout)

    def solve(self) -> None:
        """Solve the instance once more and keep the time."""
        answer = self.ask("solve")
        if answer:
            self.times.append(answer["s"])

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def result(self) -> dict[str, Any]:
        """Median time and facts, or the reason of the failure."""
        if self.failed or not self.times:
            return {"failed": self.failed or "no run"}
        return self.facts | {"s": statistics.median(self.times), "runs": self.times}

    def _answer(self, timeout: float) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = _read_line(self.process.stdout, timeout)
        if not line:
            dead = self.process.poll() is not None or line == ""
            self.failed = "died" if dead else f"more than {timeout:.0f} s"
            self.process.kill()
            return {}
        out: dict[str, Any] = json.loads(line)
        return out


def _read_line(stream: Any, timeout: float) -> str | None:
    """Next line of a stream, "" at its end, None if neither comes in time (answers come one at a time)."""
    import selectors  # noqa: PLC0415

    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(timeout) else None


def compare(instance: _instances.Instance, names: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Let all contenders solve one instance in turns; the slow ones run less often."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        values = Path(folder) / "values.npy"
        chosen = [n for n in names if instance.n_states <= _contenders.LARGEST.get(n, instance.n_states)]
        workers = {name: Worker(name, instance.name, options, values) for name in chosen}
        try:
            for _ in range(options.repeats):
                for worker in workers.values():
                    if sum(worker.times) < options.budget:
                        worker.solve()
            for worker in workers.values():  # ours first: it writes the reference
                worker.facts |= worker.ask("check")
            workers["ours"].facts |= workers["ours"].ask("floors") | workers["ours"].ask("memory")
            results = {name: worker.result() for name, worker in workers.items()}
        finally:
            for worker in workers.values():
                worker.close()
    facts = {"load": load, "threads": options.threads, "date": time.strftime("%Y-%m-%d")}
    return facts | {"ours": results.pop("ours"), "peers": results}


def main(argv: list[str] | None = None) -> int:
    """Solve the instances that are missing, print and write the table."""
    options = _parser().parse_args(argv)
    path = options.out / "solvers.json"
    options.python = dict(options.python)
    names, missing = _contenders.available(options.python)
    fresh = {"atol": options.atol, "missing": missing, "machine": _machine(), "instances": {}}
    results = json.loads(path.read_text()) if path.exists() else fresh
    if results["atol"] != options.atol:
        raise SystemExit(
            f"{path} holds results for --atol {results['atol']}, not {options.atol}; choose another --out"
        )
    results |= {"missing": missing, "machine": fresh["machine"]}
    results["notes"] = results.get("notes", []) if options.note is None else options.note
    options.out.mkdir(parents=True, exist_ok=True)
    for instance in _instances.suite(options.states, options.gammas, options.kinds):
        if instance.name in results["instances"] and not options.force:
            continue
        found = compare(instance, names, options)
        if "s" not in found["ours"]:
            print(f"{instance.name}: ours failed: {found['ours']}", flush=True)
            continue
        results["instances"][instance.name] = found
        path.write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "solvers.md").write_text(_report.markdown(results))
        print(_report._row(instance.name, found, options.atol), flush=True)
    page = _report.markdown(results)
    path.write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "solvers.md").write_text(page)
    print(page)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.solvers", description=__doc__)
    parser.add_argument("--states", type=int, nargs="+", default=[100, 10_000, 100_000, 1_000_000])
    parser.add_argument("--gammas", type=float, nargs="+", default=[0.9, 0.99, 0.999])
    parser.add_argument("--kinds", nargs="+", choices=_instances.KINDS, default=list(_instances.KINDS))
    parser.add_argument("--atol", type=float, default=1e-8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--budget", type=float, default=20.0, help="seconds after which a contender solves no more"
    )
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds for one solve")
    parser.add_argument(
        "--python",
        type=_assignment,
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="interpreter of a contender that lives in an environment of its own",
    )
    parser.add_argument("--note", action="append", help="a line for the page; replaces those kept so far")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for solvers.json and solvers.md")
    parser.add_argument("--force", action="store_true")
    return parser


def _assignment(text: str) -> tuple[str, str]:
    name, _, path = text.partition("=")
    if name not in _contenders.CONTENDERS or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"must be NAME=PATH of a contender and its python; found {text!r}")
    return name, path


def _machine() -> dict[str, Any]:
    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "-"

    packages = ("numpy", "scipy", "numba", "quantecon", "mdpsolver", "pymdptoolbox")
    facts = {
        "cpu": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    return facts | {package: of(package) for package in packages}


if __name__ == "__main__":
    sys.exit(main())
