"""What is kept of a run of an exact algorithm: numbers of every iterate, tables of the last one."""

import csv
import io
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from virel_theory.checks import Array
from virel_theory.variational.core.iterate import Iterate

SERIES = ("value", "error", "kl", "temperature", "bound")
"""Numbers of an iterate that are kept of every one, besides its step."""
TABLES = ("q", "posterior", "prior", "policy")
"""Tables of an iterate that are kept of the last one only: on a large MDP they take most of the memory."""


@dataclass(eq=False)
class Record:
    """Numbers of every iterate so far, and the last iterate whole."""

    algorithm: str
    last: Iterate | None = None
    rows: list[tuple[float, ...]] = field(default_factory=list)
    """A row per iterate, from step 1 on: the numbers of `SERIES`."""

    def add(self, x: Iterate) -> None:
        """Keep one more iterate."""
        self.last = x
        self.rows.append(tuple(float(getattr(x, name)) for name in SERIES))

    @property
    def steps(self) -> Array:
        """Numbers of the iterations, `[n]`, from 1."""
        return np.arange(1.0, len(self.rows) + 1)

    def series(self, name: str) -> Array:
        """One number of every iterate, `[n]`, such as `value`."""
        return np.array([row[SERIES.index(name)] for row in self.rows])

    def csv(self) -> str:
        """The numbers as CSV, exact to the last bit: a row per iterate."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("step", *SERIES))
        writer.writerows((k, *map(repr, row)) for k, row in enumerate(self.rows, start=1))
        return out.getvalue()

    def arrays(self) -> dict[str, Any]:
        """The numbers as arrays `[n]`, and the tables of the last iterate, by name."""
        tables = {name: getattr(self.last, name) for name in TABLES} if self.last is not None else {}
        return {"step": self.steps.astype(int)} | {name: self.series(name) for name in SERIES} | tables


def as_costs(x: Iterate) -> Iterate:
    """Iterate of an MDP of costs, from that of the MDP whose rewards are minus its costs.

    Missing actions then have the value `inf`, as in a `Solution`.
    """
    return replace(x, q=-x.q, value=-x.value)
