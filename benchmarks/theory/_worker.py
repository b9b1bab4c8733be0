"""One contender in a process of its own: `python -m benchmarks.theory._worker NAME INSTANCE ATOL VALUES`.

Reads commands from stdin, answers each with a JSON line: `solve` runs once; `memory` runs twice, untimed;
`floors` measures a sweep and the bandwidth; `check` compares with the reference.
"""

import contextlib
import ctypes
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.theory import _contenders, _floors, _instances

PR_SET_THP_DISABLE = 41


def main() -> None:
    """Prepare, warm up on a small instance of the same kind to compile, then answer commands."""
    name, instance_name, atol, values = sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a contender prints goes to stderr
    warnings.simplefilter("ignore")
    instance = _instances.parse(instance_name)
    small = _instances.Instance(instance.kind, 50 if instance.kind == "dense" else 2000, instance.gamma)
    prepare = _contenders.CONTENDERS[name]
    prepare(_instances.build(small), atol)()
    mdp = _instances.build(instance)
    start = time.perf_counter()
    run = prepare(mdp, atol)
    answer = {"setup_s": time.perf_counter() - start, "mdp_bytes": _instances.n_bytes(mdp)}
    print(json.dumps(answer), file=answers, flush=True)
    found = None
    for line in sys.stdin:
        if line.strip() == "solve":
            found = None
            start = time.perf_counter()
            found = run()
            answer = {"s": time.perf_counter() - start}
        elif line.strip() == "memory":
            found = None
            answer = {"huge_extra_bytes": extra_bytes(run)}
            with without_huge_pages():
                answer["extra_bytes"] = extra_bytes(run)
        elif line.strip() == "floors":
            answer = _floors.sweep_and_floors(mdp)
        else:
            answer = finish(found, values)
        print(json.dumps(answer), file=answers, flush=True)


def finish(found: object, values: Path) -> dict[str, object]:
    """Facts about the solution: ours writes V and tells bound and method; a peer tells its true error."""
    if hasattr(found, "error_bound"):
        np.save(values, found.value)
        return {
            "bound": found.error_bound,
            "method": found.method,
            "status": found.status.name,
            "n_steps": found.n_steps,
            "threads": str(found.threads),  # type: ignore[attr-defined]
        }
    gap = np.abs(np.asarray(found, dtype=np.float64).ravel() - np.load(values))
    return {"error": float(gap.max())}


def extra_bytes(run: Callable[[], object]) -> int:
    """Largest number of resident bytes during a run, minus those before it."""
    rest = resident_after_trim()
    reset_peak()
    found = run()
    out = peak() - rest
    del found
    return out


@contextlib.contextmanager
def without_huge_pages() -> Iterator[None]:
    """Ask Linux for pages of 4 KiB, since a huge page counts whole once a byte of it is touched."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    yield
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)


def resident_after_trim() -> int:
    """Resident bytes, after returning what the allocator kept: a solve could hide in that memory."""
    with contextlib.suppress(OSError, AttributeError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)
    return _status("VmRSS")


def peak() -> int:
    """Largest number of resident bytes since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Forget the peak of resident memory so far (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
