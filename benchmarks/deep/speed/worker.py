"""One contender in a process of its own: `python -m benchmarks.deep.speed.worker NAME SEEDS THREADS CORES`.

It reads `learn N` and `update N` from stdin. It answers each with a JSON line: wall seconds, CPU seconds of
all threads, and what the contender reports. It is pinned to CORES (such as `0,1`) and writes into its working
folder.
"""

import contextlib
import json
import os
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "stable_baselines3", "sbx-rl", "jax", "gymnasium", "mujoco", "numpy")
WARM_UP = 20
"""Steps and updates before any timing, for compilation, allocation and first calls of oneDNN and MKL."""


def main() -> None:
    """Prepare the contender, warm it up, then answer commands until stdin ends."""
    name, seeds, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with contextlib.suppress(AttributeError):  # Linux only
        os.sched_setaffinity(0, map(int, sys.argv[4].split(",")))  # before a library counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a contender prints goes to stderr
    warnings.simplefilter("ignore")
    from benchmarks.deep.speed.contenders import contender  # noqa: PLC0415

    chosen = contender(name, seeds, threads, Path.cwd())
    commands = {"learn": chosen.learn, "update": chosen.update}
    for command in commands.values():
        command(WARM_UP)
    print(json.dumps(chosen.facts | {"versions": _versions()}), file=answers, flush=True)
    for line in sys.stdin:
        word, times = line.split()
        start, cpu = time.perf_counter(), time.process_time()
        told = commands[word](int(times)) or {}
        told |= {"s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu}
        print(json.dumps(told), file=answers, flush=True)


def _versions() -> dict[str, str]:
    out = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            out[package] = version(package)
    return out


if __name__ == "__main__":
    main()
