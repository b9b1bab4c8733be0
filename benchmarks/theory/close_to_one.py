"""Solvers at discounts of 1 - 10^-k: `python -m benchmarks.theory.close_to_one --first 0 --count 2000`.

Exact rational policy iteration is the judge of every method. All bounds must be true. A status other than
CONVERGED must be true as well: MAX_STEPS only if the steps ran out, and a rounding limit only if the bound is
of rounding size, `(b + 8)` ulps of max|Q| / (1 - gamma) times 64 at most, with b the longest row.

The MDPs are rings, chains, queues, gambler's fortunes and FrozenLake maps, k = 3 to 12. The suite runs the
first of them (`tests/theory/solvers/test_close_to_one.py`); 2,000 take some minutes, in as many pieces as
wanted. The exit status is 0 if no method was at fault.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from tests.support.exact_mdp import exact_error, exact_optimal_q
from virel_theory import TabularMDP, chain, from_gymnasium, ring, solve
from virel_theory.solvers.solution import Solution, Status

METHODS = ("auto", "vi", "gs", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi", "anderson", "ae")
STEPS = 3000
"""Steps that each method may take."""
RTOL = 1e-9
"""Accuracy asked for, relative to the largest value."""
ULP = float(np.finfo(float).eps)
Runs = list[tuple[str, Solution, str]]
"""Methods with their solutions, and what is wrong with each: an empty text if nothing is."""


def random_mdp(k: int) -> TabularMDP:
    """MDP number k: the kind goes with the remainder by 5, the discount with the next digit."""
    rng = np.random.default_rng(k)
    gamma, n = 1 - 10.0 ** -(3 + (k // 5) % 10), int(rng.integers(2, 12))
    kind = k % 5
    if kind == 0:
        return ring(n + 1, gamma=gamma, rng=rng)
    if kind == 1:
        return chain(n, gamma=gamma, slip=float(rng.random()) / 2)
    if kind == 2:
        return _birth_death(rng, n + 1, gamma, absorbing=False)
    if kind == 3:
        return _birth_death(rng, n + 1, gamma, absorbing=True)
    return from_gymnasium("FrozenLake8x8-v1" if k % 20 == 19 else "FrozenLake-v1", gamma=gamma)


def judged(k: int) -> Runs:
    """Solve MDP number k with all methods, or with two of them if k is no multiple of 4, and judge each."""
    mdp = random_mdp(k)
    exact = exact_optimal_q(mdp, solve(mdp, atol=1e-6).policy)
    methods = METHODS if k % 4 == 0 else (METHODS[0], METHODS[1 + k % 9])
    found = [(name, solve(mdp, atol=0.0, rtol=RTOL, method=name, max_steps=STEPS)) for name in methods]
    return [(name, solution, fault(mdp, solution, exact)) for name, solution in found]


def fault(mdp: TabularMDP, found: Solution, exact: list[list[Fraction | None]]) -> str:
    """What is wrong with a solution, judged by the exact Q*; an empty text if nothing is."""
    largest = 1 + max(abs(float(x)) for row in exact for x in row if x is not None)
    if not np.isfinite(found.q[mdp.available]).all():
        return "values that are not finite"
    error = exact_error(found.q, exact)
    if not error <= found.error_bound:
        return f"the error {error:.3g} is above the bound {found.error_bound:.3g}"
    if found.status is Status.CONVERGED:
        true = found.error_bound <= RTOL * (1 + 1e-6) * largest
    elif found.status is Status.MAX_STEPS:
        true = found.n_steps == STEPS
    else:
        limit = 64 * (mdp.row_length + 8) * ULP * largest / (1 - mdp.gamma)
        true = found.status is Status.ROUNDING_LIMIT and found.error_bound <= limit
    return "" if true else f"{found.status.name} after {found.n_steps} steps, bound {found.error_bound:.3g}"


def _birth_death(rng: np.random.Generator, n: int, gamma: float, *, absorbing: bool) -> TabularMDP:
    """A queue (reflecting ends) or a gambler's fortune (absorbing ends): two actions, up and down moves."""
    p = np.zeros((n, 2, n))
    for s in range(n):
        for a in range(2):
            up, down = rng.dirichlet(np.ones(3))[:2]
            if absorbing and s in {0, n - 1}:
                p[s, a, s] = 1.0
                continue
            p[s, a, min(s + 1, n - 1)] += up
            p[s, a, max(s - 1, 0)] += down
            p[s, a, s] += 1.0 - up - down
    p /= p.sum(axis=2, keepdims=True)
    reward = rng.integers(-4, 5, (n, 2)).astype(float)
    if absorbing:
        reward[:] = 0.0
        reward[n - 2, :] = p[n - 2, :, n - 1]
    return TabularMDP(p, reward, gamma)


def main(argv: Sequence[str]) -> int:
    """Judge the MDPs that the options name, print the count of each status and every fault."""
    parser = argparse.ArgumentParser(description="Judge all methods at discounts close to 1.")
    parser.add_argument("--first", type=int, default=0, help="number of the first MDP")
    parser.add_argument("--count", type=int, default=2000, help="number of MDPs")
    options = parser.parse_args(argv)
    statuses: Counter[str] = Counter()
    faults = 0
    for k in range(options.first, options.first + options.count):
        for method, found, wrong in judged(k):
            statuses[f"{method} {found.status.name}"] += 1
            if wrong:
                faults += 1
                print(f"MDP {k}, {method}: {wrong}", flush=True)
    for name, count in sorted(statuses.items()):
        print(f"{count:6} {name}")
    print(f"MDPs {options.first} to {options.first + options.count - 1}: {faults} faults")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
