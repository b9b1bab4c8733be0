"""Table 1 of "On the Design of Variational RL Algorithms", filled: `python -m benchmarks.deep.table_1`.

The page docs/theory/table_1.md is made of the presets, the list of exact algorithms and the registry of
claims, so that nothing in it has to be kept in step by hand.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tyro

from verify.engine.registry import topics
from virel_common.errors import InputError
from virel_common.files import write_atomically
from virel_deep.design.adapt import NONE, discrete_form
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import PRESETS
from virel_theory.variational.table import EXACT_FORM, ROWS, algorithm_row

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "theory/table_1.md"
UNIFORM = {"uniform", "fixed"}
"""Kinds of priors that nothing is learnt of."""
NON_PARAMETRIC = {"weighted", "top-share", "stein", "smc", "tilted"}
"""Kinds of posteriors that are weighted actions or particles, by no distribution's parameters."""
CURVES = ("learning", "rows", "models", "transfer")
"""Pages of docs/benchmarks with learning curves; a table or a heading there names what was trained."""
STEMS = {
    "virel": ("eq-", "theorem-", "deep-q-loss", "deep-v-loss", "deep-policy-loss", "deep-em-"),
    "beta": ("deep-residual-",),
    "mpo": ("deep-retrace",),
    "mpo-parametric": ("deep-retrace",),
    "iadp": ("deep-retrace",),
    "vmpo": ("deep-advantage",),
    "erpg": ("deep-advantage",),
    "sac-iterative": ("iterative-", "deep-iterative"),
    "smcp": ("smc-",),
    "mb-sac": ("model-",),
    "mb-iadp": ("model-prior-",),
}
"""Further beginnings of the ids of claims about a row, whose names are not in them."""


class Cell(NamedTuple):
    """Place in the table."""

    prior: str
    value: str
    posterior: str


CELLS = [
    Cell(prior, value, posterior)
    for prior in ("uniform", "learned")
    for value in ("model-free", "model-based")
    for posterior in ("parametric", "non-parametric")
]
EMPTY = {
    Cell("uniform", "model-based", "parametric"),
    Cell("learned", "model-based", "parametric"),
    Cell("learned", "model-based", "non-parametric"),
}
"""Cells in which the paper's table has no algorithm."""
TOP = """# Table 1, filled

*Made by `python -m benchmarks.deep.table_1`; do not edit.*

"On the Design of Variational RL Algorithms" (Marino, Piche, Yue) sorts algorithms by three choices:
whether the prior is uniform or learned, whether the value uses a model of the environment, and
whether the posterior is a distribution with parameters or a set of weighted actions. Here every
cell has a row that can be computed exactly on finite MDPs (`virel iterate`), trained (`virel
train`), and is checked by claims. **Three cells were empty in the paper**; they are marked †. The
presets there are ours; `mb-mpo` is after SPO (2024), `mb-iadp` after the idea of POPLIN (2020).

Columns: the parts of a preset (`virel presets NAME` lists their settings), and its posterior and
prior where actions are discrete; its exact counterpart, and where its learning was measured; how
many claims name it, by page, those on the deep agent by name. [The rows of Table
1](mathematics/rows.md) has each update as a formula.

"""


def cell_of(algorithm: Algorithm) -> Cell:
    """Cell of an algorithm, by the kinds of its parts.

    Example:
        >>> cell_of(PRESETS["mpo"].algorithm)
        Cell(prior='learned', value='model-free', posterior='non-parametric')
    """
    return Cell(
        "uniform" if algorithm.prior.kind in UNIFORM else "learned",
        "model-based" if algorithm.value.kind == "model" else "model-free",
        "non-parametric" if algorithm.posterior.kind in NON_PARAMETRIC else "parametric",
    )


def rows_of(cell: Cell) -> list[str]:
    """Names of the presets in a cell."""
    return [name for name, row in PRESETS.items() if cell_of(row.algorithm) == cell]


def page() -> str:
    """Text of the page."""
    return TOP + "\n".join([*_overview(), *(line for cell in CELLS for line in _section(cell)), *_rest()])


def _overview() -> Iterator[str]:
    yield "| prior | value | parametric posterior | non-parametric posterior |"
    yield "| --- | --- | --- | --- |"
    for parametric, other in zip(CELLS[::2], CELLS[1::2], strict=True):
        cells = (", ".join(f"`{name}`" for name in rows_of(one)) + _mark(one) for one in (parametric, other))
        yield f"| {parametric.prior} | {parametric.value} | {' | '.join(cells)} |"
    yield ""
    yield "† empty in the paper, whose table has SQL, SAC, ERPG, SMCP, MPO, RERPI, V-MPO, IADP, HDP and"
    yield "Distral. The other presets are sorted here by the same three choices."
    yield ""


def _section(cell: Cell) -> Iterator[str]:
    yield f"## {cell.prior.capitalize()} prior, {cell.value}, {cell.posterior}{_mark(cell)}"
    yield ""
    yield "| preset | posterior, prior; value; temperature | exact; learning | claims |"
    yield "| --- | --- | --- | --- |"
    for name in rows_of(cell):
        of = PRESETS[name].algorithm
        parts = f"`{of.posterior.kind}`, `{of.prior.kind}`; {of.value.outline}; `{of.temperature.kind}`"
        cells = (f"{parts}. {_discrete(of)}", f"{_exact(name)}; {_learning(name)}", _claims(name))
        yield f"| [`{name}`](../deep/{_page_of(name)}) | {' | '.join(cells)} |"
    yield ""


def _mark(cell: Cell) -> str:
    return " †" if cell in EMPTY else ""


def _discrete(of: Algorithm) -> str:
    """Words on the posterior and prior where actions are discrete."""
    if of.posterior.discrete:
        return "Discrete only"
    if type(of.posterior) in NONE:
        return "No discrete form"
    try:
        found = discrete_form(of)
    except InputError:
        return "No discrete form"
    return f"Discrete: `{found.posterior.kind}`, `{found.prior.kind}`"


def _exact(name: str) -> str:
    """Link to the exact counterpart of a preset, or to an exact algorithm by its name."""
    row = algorithm_row(EXACT_FORM.get(name, name))
    return f"[`{row.function}`](../reference/virel_theory/variational.algorithms.{row.module}.md)"


def _claims(name: str) -> str:
    """Links to the pages with claims about a row, with their number; claims on the deep agent by name."""
    found = {topic: [one for one in claims if name in _named(one.id)] for topic, claims in topics().items()}
    deep = [f"[`{claim.id}`](../claims/deep.md)" for claim in found.pop("deep")]
    return ", ".join([*(f"[{x} {len(of)}](../claims/{x}.md)" for x, of in found.items() if of), *deep]) or "-"


def _named(claim_id: str) -> set[str]:
    """Rows that the id of a claim names; of `deep-mb-mpo` that is `mb-mpo`, not `mpo`."""
    out, rest = set(), f"-{claim_id}-"
    for name in sorted({*PRESETS, *(row.name for row in ROWS)}, key=len, reverse=True):
        if f"-{name}-" in rest:
            out.add(name)
            rest = rest.replace(f"-{name}-", "--")
    return out | {name for name, stems in STEMS.items() if claim_id.startswith(stems)}


def _learning(name: str) -> str:
    """Links to the pages with learning curves of a row: those that name it in a table or a heading."""
    found = [one for one in CURVES if f"`{name}`" in _lines(DOCS / f"benchmarks/{one}.md")]
    return ", ".join(f"[{one}](../benchmarks/{one}.md)" for one in found) or "not measured"


def _lines(page: Path) -> str:
    """Rows of all tables of a page and its headings, without the text, which also names what was not run."""
    return "\n".join(line for line in page.read_text().splitlines() if line.startswith(("|", "#")))


def _page_of(name: str) -> str:
    """Page of docs/deep that has a row of a table on a preset."""
    return next(
        path.name for path in sorted((DOCS / "deep").glob("*.md")) if f"\n| `{name}` |" in path.read_text()
    )


def _rest() -> Iterator[str]:
    others = [row for row in ROWS if row.name not in {*PRESETS, *EXACT_FORM.values()}]
    yield "## Outside the table"
    yield ""
    yield "`ddpg` and `td3` have no temperature: nothing weighs a divergence. They stand beside `sac` as its"
    yield "limit for a temperature of 0. An exact algorithm without a preset:"
    yield ""
    for row in others:
        yield f"- {_exact(row.name)}, `virel iterate {row.name}`: {row.summary}."
    yield ""


def main() -> None:
    """Write the page."""
    tyro.cli(lambda: None, prog="python -m benchmarks.deep.table_1", description=__doc__)
    write_atomically(PAGE, page().encode())
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
