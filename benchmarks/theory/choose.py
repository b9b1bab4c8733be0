"""Exact algorithms side by side: `python -m benchmarks.theory.choose`, the tables of the guide on choosing.

Four small MDPs, the same settings on all of them, exact expectations: the same numbers every time. The unit
is the spread of the optimal values over states, so that a percent means the same on each. A test compares
the guide with what this prints.

- *iterations*: until the policy is within 1 % of optimal, guaranteed, with exact evaluation.
- *backups*: the same with one backup per evaluation.
- *lost*: how far the return of the policy after `STEPS` iterations is below the best one, in percent.
- *risk*: standard deviation of the discounted return of that policy, in percent.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from virel_theory import TabularMDP, from_gymnasium, garnet, gridworld, iterate, solve
from virel_theory.checks import Array
from virel_theory.mdp.policy_system import lu_solve, mix, mixed_rows
from virel_theory.variational.settings import settings_of
from virel_theory.variational.table import algorithm_row

STEPS = 100
"""Iterations with exact evaluation."""
MOST = 400
"""Iterations with one backup each, at most."""
GOAL = 0.01
"""Distance from optimal to reach, as a share of the spread of the optimal values."""
TEMPERATURE = 0.02
"""Fixed temperatures, as a share of the same spread."""


def lottery() -> TabularMDP:
    """A sure 1.2, or a lottery of 3 or -1, again and again; the states are start, sure, won, lost."""
    transition = np.zeros((4, 2, 4))
    transition[0, 0, 1] = 1.0
    transition[0, 1, [2, 3]] = 0.5
    transition[1:, :, 0] = 1.0
    reward = np.repeat([[0.0], [1.2], [3.0], [-1.0]], 2, axis=1)
    return TabularMDP(transition, reward, 0.9, [1.0, 0.0, 0.0, 0.0])


MDPS: dict[str, Callable[[], TabularMDP]] = {
    "lottery": lottery,
    "gridworld": lambda: gridworld(5, 5, gamma=0.95, walls=[(1, 1), (1, 2), (3, 3)], slip=0.1),
    "garnet": lambda: garnet(40, 4, 3, gamma=0.95, rng=np.random.default_rng(1)),
    "FrozenLake": lambda: from_gymnasium("FrozenLake-v1", gamma=0.99),
}
"""Instances, by the name in the tables."""

ROWS: dict[str, dict[str, Any]] = {
    "policy-iteration": {},
    "mpo": {},
    "mpo trust=0.1": {"trust": 0.1},
    "mpo-parametric": {},
    "rerpi trust=0.1": {"trust": 0.1},
    "vmpo": {},
    "vmpo keep=1": {"keep": 1.0},
    "natural-policy-gradient": {"step": "1/T"},
    "iadp": {"alpha": "T"},
    "hdp": {"alpha": "T"},
    "soft-policy-iteration": {"alpha": "T"},
    "virel": {"alpha": "T"},
    "beta": {"scale": "1/spread"},
    "beta sampled=True": {"scale": "1/spread", "sampled": True},
    "sql": {"alpha": "T"},
    "erpg": {"tau": "T"},
    "sac-iterative": {"alpha": "T"},
    "smcp": {"alpha": "T"},
    "mb-sac noise=0.1": {"alpha": "T", "noise": 0.1},
    "mb-iadp noise=0.1": {"alpha": "T", "noise": 0.1},
}
"""Rows of the tables: an algorithm's name first, then what is not its default. "T" is the temperature.

The scale of `beta` is VIREL's: its lambda is (1 - gamma)/(average reward), one over the size of the values.

`mb-mpo` is left out: on the garnet it freezes late, in a policy that depends on the values' last bits.
"""


@dataclass(frozen=True)
class Line:
    """Line of a table; None: not within `STEPS` iterations or `MOST` backups, or no such setting."""

    row: str
    iterations: int | None
    backups: int | None
    lost: float
    risk: float

    def markdown(self) -> str:
        """The line in Markdown; what is None is a dash."""
        counts = ["-" if x is None else str(x) for x in (self.iterations, self.backups)]
        lost = abs(self.lost) if abs(self.lost) < 0.05 else self.lost  # no -0.0 from rounding
        return "| " + " | ".join([f"`{self.row}`", *counts, f"{lost:.1f}", f"{self.risk:.0f}"]) + " |"


def table(name: str) -> str:
    """Table of one MDP in Markdown."""
    mdp = MDPS[name]()
    optimum = solve(mdp, atol=1e-10)
    spread = float(np.ptp(optimum.value))
    best = greedy(optimum.policy, mdp.n_actions)
    head = f"| {name} | iterations | backups | lost, % | risk, % |"
    about = f"| optimal | | | 0.0 | {100 * deviation(mdp, best) / spread:.0f} |"
    lines = [line(mdp, row, top=float(mdp.initial @ optimum.value), spread=spread) for row in ROWS]
    return "\n".join([head, "| --- | --- | --- | --- | --- |", about, *(x.markdown() for x in lines)])


def line(mdp: TabularMDP, row: str, *, top: float, spread: float) -> Line:
    """What one algorithm does on an MDP with best return `top`, in units of `spread`."""
    algorithm, temperature = row.split(maxsplit=1)[0], TEMPERATURE * spread
    units = {"T": temperature, "1/T": 1 / temperature, "1/spread": 1 / spread}
    settings = {name: units.get(x, x) for name, x in ROWS[row].items()}
    may_sweep = "sweeps" in settings_of(algorithm_row(algorithm).load())
    exact = {"sweeps": None} if may_sweep else {}
    iterates = list(iterate(algorithm, mdp, steps=STEPS, **settings, **exact))
    near = next((x.step for x in iterates if x.bound <= GOAL * spread), None)
    backups = None
    if near is not None and may_sweep:
        *_, last = iterate(algorithm, mdp, steps=MOST, atol=GOAL * spread, sweeps=1, **settings)
        backups = last.step if last.bound <= GOAL * spread else None
    policy, lost = iterates[-1].policy, top - iterates[-1].value
    return Line(row, near, backups, 100 * lost / spread, 100 * deviation(mdp, policy) / spread)


def deviation(mdp: TabularMDP, policy: Array) -> float:
    r"""Standard deviation of the discounted return: $E[G^2] = E[r^2 + 2\gamma r V(s') + \gamma^2 G'^2]$."""
    rows = mixed_rows(mdp.transition, policy)
    v = lu_solve(rows, mdp.gamma, mix(policy, mdp.reward))
    cross = mdp.reward**2 + 2 * mdp.gamma * mdp.reward * mdp.expect_next(v)
    square = lu_solve(rows, mdp.gamma**2, mix(policy, cross))
    return float(np.sqrt(max(mdp.initial @ square - (mdp.initial @ v) ** 2, 0.0)))


def greedy(actions: Array, n_actions: int) -> Array:
    """Policy `[S, A]` that takes one action per state."""
    return np.eye(n_actions)[actions]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables of the named MDPs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.theory.choose", description=__doc__)
    parser.add_argument("mdps", nargs="*", choices=[*MDPS, []], default=[])
    for name in parser.parse_args(argv).mdps or MDPS:
        print(table(name), flush=True)
        print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
