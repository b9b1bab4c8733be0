"""Small and dense MDPs, alone and in stacks, beside quantecon: `python -m benchmarks.theory.dense`.

Garnets whose rows reach all states: single MDPs of 10 actions through `solve`, stacks of 4 actions through
`solve_batch`. The peer is quantecon's DiscreteDP, its default (policy iteration) and its modified policy
iteration, in a loop over a stack. All run in one process, in turns, after one run that does not count; kept
are the CPU seconds of every run, of all threads (`taskset -c 0` allows one). A peer counts if its values are
within the accuracy asked for of our certified ones. Building quantecon's objects, and checking an MDP for
`solve`, is not counted; `solve_batch` checks its stack each time, and that is.

Results go into `out/solvers/solvers.json` beside those of `benchmarks.theory.solvers` (unpacked from
`results/` if they are not there), row by row, so that it may be called in parts. At the end it packs them and
writes `docs/benchmarks/solvers.md` (`--no-page` leaves both as they are).
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.theory import _instances, _report, _results
from benchmarks.theory.solvers import OUT
from virel_theory.models import draw
from virel_theory.solvers.batch import solve_batch
from virel_theory.solvers.solve import solve

Solve = Callable[[], Any]
ATOL = 1e-8
MPI_UP_TO = 0.999
"""Largest discount for modified policy iteration: above, its stopping rule asks for less than an ulp of V."""
STACKS = {1: 100, 100: 100, 10_000: 100, 100_000: 10}
"""States of the MDPs of a stack, by how many they are."""
STACK_ACTIONS, STACK_GAMMAS = 4, (0.99, 0.9999)
MANY, FEW_TURNS = 1000, 3


def peers(problems: list[Any], gamma: float) -> dict[str, Solve]:
    """Functions that solve all of quantecon's problems and return their values, by name of the method."""
    methods: dict[str, dict[str, Any]] = {"policy_iteration": {}}
    if gamma <= MPI_UP_TO:
        methods["modified_policy_iteration"] = {"epsilon": 2 * ATOL, "max_iter": 10_000}
    return {
        name: lambda name=name, given=given: [p.solve(method=name, **given).v for p in problems]
        for name, given in methods.items()
    }


def single(n_states: int, gamma: float) -> tuple[Solve, dict[str, Solve]]:
    """Our solver and the peers on one dense MDP of 10 actions."""
    from quantecon.markov import DiscreteDP  # noqa: PLC0415

    mdp = _instances.build(_instances.Instance("dense", n_states, gamma))
    problem = DiscreteDP(mdp.reward.copy(), mdp.transition.copy(), mdp.gamma)

    def ours() -> tuple[Any, float, str]:
        found = solve(mdp, atol=ATOL)
        return found.value[None], found.error_bound, found.method

    return ours, peers([problem], gamma)


def stack(n_states: int, n: int, gamma: float) -> tuple[Solve, dict[str, Solve]]:
    """Our solver and the peers on n dense MDPs, which share their memory."""
    from quantecon.markov import DiscreteDP  # noqa: PLC0415

    rows, reward = arrays(n_states, n)

    def ours() -> tuple[Any, float, str]:
        found = solve_batch(rows, reward, gamma, atol=ATOL)
        return found.value, float(found.error_bound.max()), "solve_batch"

    return ours, peers([DiscreteDP(r, p, gamma) for r, p in zip(reward, rows, strict=True)], gamma)


@lru_cache(maxsize=1)
def arrays(n_states: int, n: int) -> tuple[Any, Any]:
    """Transitions and rewards of n dense Garnets."""
    rows, reward = np.empty((n, n_states, STACK_ACTIONS, n_states)), np.empty((n, n_states, STACK_ACTIONS))
    for i in range(n):
        rng = np.random.default_rng(i)
        mdp = draw.garnet(n_states, STACK_ACTIONS, n_states, gamma=0.5, rng=rng)
        rows[i], reward[i] = mdp.transition, mdp.reward
    return rows, reward


def alternate(ours: Solve, others: dict[str, Solve], n_turns: int) -> dict[str, Any]:
    """CPU seconds of all contenders in turns; the bound of ours, the true errors of the others."""
    value, bound, method = ours()
    errors = {name: float(max(map(abs_gap, other(), value))) for name, other in others.items()}
    times: dict[str, list[float]] = {name: [] for name in ["ours", *others]}
    for _ in range(n_turns):
        for name, run in {"ours": ours, **others}.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return {"times": times, "errors": errors, "bound": bound, "method": method, "atol": ATOL}


def abs_gap(a: Any, b: Any) -> float:
    """Largest difference of two vectors."""
    return float(np.abs(a - b).max())


def main(argv: list[str] | None = None) -> int:
    """Measure, print rows, write JSON and page."""
    options = _parser().parse_args(argv)
    results = _results.read(options.out)
    table = results.setdefault("dense", {})
    for n_states in options.states:
        for gamma in options.gammas:
            contenders = single(n_states, gamma)
            _measure(table, f"{n_states} states, {gamma}", contenders, options.turns)
    for n in options.stacks:
        n_states, turns = STACKS[n], options.turns if n <= MANY else FEW_TURNS
        for gamma in STACK_GAMMAS:
            contenders = stack(n_states, n, gamma)
            _measure(table, f"{n:,} x {n_states} states, {gamma}", contenders, turns)
    _results.write(results, options.out)
    if options.page:
        _results.keep(results, options.out)
    return 0


def _measure(
    table: dict[str, Any], name: str, contenders: tuple[Solve, dict[str, Solve]], turns: int
) -> None:
    table[name] = alternate(*contenders, turns)
    print(_report.dense_row(name, table[name]), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.dense", description=__doc__)
    parser.add_argument(
        "--states", type=int, nargs="*", default=[100, 300, 1000], help="sizes of the single MDPs"
    )
    parser.add_argument("--gammas", type=float, nargs="+", default=[0.9, 0.99, 0.999, 0.9999])
    parser.add_argument("--stacks", type=int, nargs="*", choices=STACKS, default=list(STACKS))
    parser.add_argument(
        "--turns", type=int, default=20, help=f"{FEW_TURNS} for stacks of more than {MANY:,} MDPs"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="folder with solvers.json")
    parser.add_argument(
        "--no-page", dest="page", action="store_false", help="do not touch docs/ and results/"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
