"""A billion transitions on one machine: `python -m benchmarks.theory.billion [--states N] [--folder F.mdp]`.

Draws a Garnet (10 actions, 10 successors; 10^7 states are 10^9 transitions, 13.3 GB), checks it, and solves
it to a relative bound of 1e-6, with a line after every certifying sweep. It prints one line of JSON: bytes of
the MDP, peak of resident memory above that of the empty process, times, sweeps, and one sweep beside the
time to read the MDP at the bandwidth measured in turns with it. `--peers quantecon` has a peer solve the same
MDP afterwards, within `--limit-gb` of memory. `--keep` puts the results into `results/` and on the page of
`benchmarks.theory.solvers`.

`--folder F.mdp` saves the MDP there, or maps the one that is there: several processes then share its memory.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.theory import _contenders, _floors, _instances, _results
from benchmarks.theory.solvers import OUT
from virel_common.machine import processor
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models.draw import garnet
from virel_theory.output import state_line
from virel_theory.solvers.solve import solve


def main(argv: list[str] | None = None) -> int:
    """Draw or map, solve, print what it took; exit status 1 if the bound was missed."""
    options = _parser().parse_args(argv)
    solve(_draw(110_000, options.gamma), atol=1e-3)  # compiles
    before = _resident("VmRSS")
    start = time.perf_counter()
    mdp = _mdp(options)
    made_s, own = time.perf_counter() - start, _resident("RssAnon")
    start = time.perf_counter()
    found = solve(mdp, atol=0.0, rtol=options.rtol, watch=_tell)
    facts: dict[str, Any] = {
        "solve_s": time.perf_counter() - start,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before,
        "made_s": made_s,
        "own_bytes": own,
        "mdp_bytes": _instances.n_bytes(mdp),
        "states": mdp.n_states,
        "indices": "dense" if isinstance(mdp.transition, np.ndarray) else str(mdp.transition.indices.dtype),
        "relative_bound": found.error_bound / float(np.abs(found.value).max()),
        "value": float(found.value[0]),
        "steps": found.n_steps,
        "method": found.method,
        "threads": str(found.threads),
        "cpu": processor(),
        "date": time.strftime("%Y-%m-%d"),
    }
    facts["memory"] = facts["peak_bytes"] / facts["mdp_bytes"]
    value = found.value
    del found
    if options.floors:
        facts |= _floors.sweep_and_floors(mdp)
        facts["sweeps_of_floor"] = facts["solve_s"] / facts["floor_s"]
    facts["peers"] = {name: _peer(name, mdp, value, options) for name in options.peers}
    print(json.dumps(facts), flush=True)
    if options.keep:
        results = _results.read(OUT)
        results["billion"] = facts
        _results.keep(results, OUT)
    return 0 if facts["relative_bound"] <= options.rtol else 1


def _peer(name: str, mdp: TabularMDP, value: np.ndarray, options: argparse.Namespace) -> dict[str, Any]:
    """Time of a peer on the same MDP, and its distance from our values; or why it did not get there."""
    limit = int(options.limit_gb * 1e9)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, before[1]))
    start = time.perf_counter()
    try:
        run = _contenders.CONTENDERS[name](mdp, options.rtol * float(np.abs(value).max()))
        prepared = time.perf_counter()
        theirs = run()
    except MemoryError:
        return {"failed": f"MemoryError within {options.limit_gb:g} GB"}
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
    facts: dict[str, Any] = {"prepare_s": prepared - start, "s": time.perf_counter() - prepared}
    return facts | {"relative_error": float(np.abs(theirs - value).max() / np.abs(value).max())}


def _mdp(options: argparse.Namespace) -> TabularMDP:
    """The MDP of the options: drawn and perhaps saved, or mapped."""
    if options.folder is not None and options.folder.exists():
        return TabularMDP.load(options.folder)
    mdp = _draw(options.states, options.gamma)
    if options.folder is not None:
        mdp.save(options.folder)
    return mdp


def _draw(n_states: int, gamma: float) -> TabularMDP:
    """Garnet with 10 actions and 10 successors each, in CSR."""
    rng = np.random.default_rng(_instances.SEED)
    return garnet(n_states, 10, 10, gamma=gamma, rng=rng, sparse=True)


def _tell(now: Any) -> None:
    print(f"{now.seconds:.1f} s, {state_line(now)}", file=sys.stderr, flush=True)


def _resident(key: str) -> int:
    """Resident bytes of this process: VmRSS (all), RssAnon (its own), RssFile (mapped files)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(key)) * 1024


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.billion", description=__doc__)
    parser.add_argument("--states", type=int, default=10_000_000)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--rtol", type=float, default=1e-6)
    parser.add_argument(
        "--folder", type=Path, help="an .mdp folder to map, or to save to if it does not exist"
    )
    parser.add_argument("--no-floors", dest="floors", action="store_false", help="leave out the bandwidth")
    parser.add_argument("--peers", nargs="*", choices=list(_contenders.CONTENDERS)[1:], default=[])
    parser.add_argument(
        "--limit-gb", type=float, default=21.0, help="bytes that the process may have, in 10^9"
    )
    parser.add_argument("--keep", action="store_true", help="put the results into results/ and on the page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
