"""Measured gaps as rows: their file, their tables and their figure."""

import csv
import io
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from virel_common.files import write_atomically
from virel_common.plot_style import DPI, OKABE_ITO, STYLE, UNDATED, style


class Row(NamedTuple):
    """Mean gap of one seed of a run at one checkpoint, with what it is made of, in scaled reward units."""

    run: str
    seed: int
    step: int
    alpha: float
    objective: float
    """Mean objective at the inferred parameters."""
    best: float
    """Mean objective at the best parameters found."""

    @property
    def gap(self) -> float:
        """How far the objective is below the best one found."""
        return self.best - self.objective

    @property
    def nats(self) -> float:
        """The gap by the temperature, a KL divergence."""
        return self.gap / self.alpha


def merged(path: Path, rows: Sequence[Row]) -> list[Row]:
    """Rows of an earlier call in `path`, with new ones in place of those of the same run, seed and step."""
    old: list[Row] = []
    if path.is_file():
        for line in csv.DictReader(io.StringIO(path.read_text())):
            numbers = (float(line[name]) for name in ("alpha", "objective", "best"))
            old.append(Row(line["run"], int(line["seed"]), int(line["step"]), *numbers))
    by_key = {(row.run, row.seed, row.step): row for row in (*old, *rows)}
    return [by_key[key] for key in sorted(by_key)]


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV, with the gap in reward units and in nats."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow((*Row._fields, "gap", "nats"))
    for row in rows:
        writer.writerow((*row[:3], *map(repr, (*row[3:], row.gap, row.nats))))
    write_atomically(path, table.getvalue().encode())


def sign_p(wins: int, pairs: int) -> float:
    """Probability of at least so many wins among fair coins: the one-sided sign test.

    Example:
        >>> sign_p(7, 7) == 1 / 128
        True
    """
    return float(sum(math.comb(pairs, k) for k in range(wins, pairs + 1)) / 2**pairs)


def report(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Lines of two Markdown tables: gaps of every run and step, and the first run beside each other one."""
    of = {(row.run, row.step, row.seed): row for row in rows if row.run in names}
    steps = sorted({step for _, step, _ in of})
    lines = [
        "| run | step | seeds | alpha | gap | gap / alpha, nats |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, step in product(names, steps):
        here = [row for key, row in of.items() if key[:2] == (name, step)]
        if here:
            means = np.mean([(row.alpha, row.gap, row.nats) for row in here], axis=0)
            cells = " | ".join(f"{x:.4g}" for x in means)
            lines.append(f"| {name} | {step} | {len(here)} | {cells} |")
    first, *others = names
    if others:
        lines += ["", f"| step | {first} against | pairs | smaller gap / alpha | sign test, p |"]
        lines += ["| --- | --- | --- | --- | --- |"]
    for other, step in product(others, steps):
        mine, theirs = (
            {seed: row.nats for (run, at, seed), row in of.items() if (run, at) == (name, step)}
            for name in (first, other)
        )
        if pairs := mine.keys() & theirs.keys():
            wins = sum(mine[seed] < theirs[seed] for seed in pairs)
            lines.append(f"| {step} | {other} | {len(pairs)} | {wins} | {sign_p(wins, len(pairs)):.3g} |")
    return lines


def draw(rows: Sequence[Row], names: Sequence[str], folder: Path) -> None:
    """Write `gap.svg` and `gap.png`: the gap by the temperature against steps, a dot for each seed."""
    with style(STYLE):
        figure = Figure(figsize=(3.6, 2.6))
        axes = figure.subplots()
        for name, color in zip(names, OKABE_ITO * (1 + len(names) // len(OKABE_ITO)), strict=False):
            mine = [row for row in rows if row.run == name]
            steps = sorted({row.step for row in mine})
            means = [float(np.mean([row.nats for row in mine if row.step == step])) for step in steps]
            axes.plot(steps, means, color=color, label=name)
            axes.plot([row.step for row in mine], [row.nats for row in mine], "o", color=color, markersize=3)
        if all(row.nats > 0 for row in rows):
            axes.set_yscale("log")
        axes.set_xlabel("environment steps")
        axes.set_ylabel("inference gap / temperature, nats")
        axes.legend(fontsize=7)
        for kind in ("svg", "png"):
            file = io.BytesIO()
            figure.savefig(file, format=kind, dpi=DPI, metadata=UNDATED[kind])
            write_atomically(folder / f"gap.{kind}", file.getvalue())
