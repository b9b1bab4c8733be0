"""Cost of one iteration of MPO on a large sparse MDP: `python -m benchmarks.theory.iterates`.

An iteration of `virel iterate mpo --set sweeps=1` has one backup of the policy, one E-step on a KL budget and
one sweep for the guarantee. Its limit is twice the time of a sweep of T* plus 20 times that of a step of the
dual, one evaluation of the mean KL divergence. The three are timed in turns and in CPU time: on a busy
machine an iteration is interrupted and a short step is not, so that a clock would compare the neighbours.
Only iterations whose budget binds count: the others have no dual.

Results go to `out/iterates/iterates.json`, the page to `out/iterates/iterates.md`;
`python -m benchmarks.archive pack iterates` puts them into `results/` and `docs/benchmarks/`.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import get_num_threads

from benchmarks.theory import _instances
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.backups import backups
from virel_theory.solvers.problem import problem
from virel_theory.variational.core import kernels
from virel_theory.variational.run import iterate

OUT = Path("out/iterates")
EPSILON = 0.1
SWEEPS, STEPS = 2, 20
"""Sweeps of T* and steps of the dual that an iteration may take."""
MOST = 100
"""Iterations per run, if the budget binds in all of them."""
T = TypeVar("T")
ABOUT = """# Cost of an iteration of MPO

Written by `python -m benchmarks.theory.iterates`. One iteration of `virel iterate mpo --set sweeps=1` on a
sparse Garnet, A = b = 10, against its limit: twice the time of a sweep of T* plus 20 times that of one step
of the dual (one evaluation of the mean KL divergence). The three are timed in turns, in CPU time; the table
has medians over all iterations whose KL budget binds, of all runs.

- "ratio": iteration divided by limit, pair by pair; in brackets the largest.
- "load": processes that were ready to run when the measurement began, ours included.

| states | threads, cores, load | sweep, ms | dual, ms | iteration, ms | limit, ms | ratio | pairs |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Turn:
    """CPU seconds of one sweep of T*, of one step of the dual, and of the iteration before them."""

    sweep: float
    step: float
    iteration: float

    @property
    def limit(self) -> float:
        """CPU seconds that the iteration may take."""
        return SWEEPS * self.sweep + STEPS * self.step


def measure(mdp: TabularMDP, *, runs: int) -> list[Turn]:
    """Turns of all iterations that have a dual, of all runs; the run before the first compiles."""
    return [turn for run in range(runs + 1) for turn in _run(mdp) if run > 0]


def _run(mdp: TabularMDP) -> Iterator[Turn]:
    b = backups(problem(mdp, atol=0.0, rtol=0.0, sense="max"))
    v, w = np.zeros(mdp.n_states), np.empty(mdp.n_states)
    d = np.full(mdp.n_states, 1 / mdp.n_states)
    iterates = iterate("mpo", mdp, steps=MOST, epsilon=EPSILON, sweeps=1)
    prior = next(iterates).prior
    while True:
        seconds, x = _timed(lambda: next(iterates))
        if x.temperature == 0:  # the budget does not bind any more: no dual
            return
        sweep, _ = _timed(lambda: b.full(v, w))
        step, _ = _timed(partial(kernels.mean_kl, x.q, prior, d, x.temperature))
        yield Turn(sweep, step, seconds)
        prior = x.prior


def _timed(job: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    out = job()
    return time.process_time() - start, out


def facts(n_states: int, *, gamma: float, runs: int) -> dict[str, Any]:
    """Medians of one size, with how busy the machine was."""
    load = os.getloadavg()[0]
    turns = measure(_instances.build(_instances.Instance("garnet", n_states, gamma)), runs=runs)
    ratios = [turn.iteration / turn.limit for turn in turns]
    out: dict[str, Any] = {
        name: statistics.median(getattr(turn, name) for turn in turns)
        for name in ("sweep", "step", "iteration", "limit")
    }
    out |= {"ratio": statistics.median(ratios), "largest": max(ratios), "pairs": len(turns)}
    return out | {"threads": get_num_threads(), "cores": os.cpu_count(), "load": load}


def markdown(results: dict[str, Any]) -> str:
    """The page, from the results by number of states."""
    lines = []
    for n_states, x in results.items():
        times = " | ".join(f"{1e3 * x[name]:.1f}" for name in ("sweep", "step", "iteration", "limit"))
        busy = f"{x['threads']}, {x['cores']}, {x['load']:.1f}"
        lines.append(
            f"| {n_states} | {busy} | {times} | {x['ratio']:.2f} ({x['largest']:.2f}) | {x['pairs']} |"
        )
    return ABOUT + "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write the page; exit status 1 if an iteration of the median takes too long."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.iterates", description=__doc__)
    parser.add_argument("--states", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    results = {str(n): facts(n, gamma=options.gamma, runs=options.runs) for n in options.states}
    (options.out / "iterates.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / "iterates.md").write_text(markdown(results))
    print(markdown(results))
    return 0 if all(x["ratio"] <= 1 for x in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
