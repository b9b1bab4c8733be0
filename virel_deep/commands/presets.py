"""The command `virel presets`: list the named algorithms, every setting of one, or the kinds of an axis."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from virel_common.terminal import run_command
from virel_deep.design.adapt import continuous_alone, discrete_form
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.fields import Part, hints_of, is_axis
from virel_deep.design.presets import COPIES, PRESETS, unknown_preset
from virel_deep.design.records import described, summary

WIDTH = 110
"""Columns of a table where the output is not a terminal."""

AXES = {name: hint for name, hint in hints_of(Algorithm).items() if is_axis(hint)}
"""Axes of the design space, the parts that an algorithm has one of each, by name."""


@dataclass(frozen=True)
class PresetsOptions:
    """List the presets, every setting of one of them, or the kinds that a part may have."""

    preset: Annotated[str | None, tyro.conf.Positional] = None
    """Preset (named algorithm) whose settings to list; or value, posterior, prior, temperature or data, to
    list the kinds of that part with their settings; default: a table of all presets."""


def main_presets(argv: Sequence[str]) -> int:
    """`virel presets`: print a table of algorithms or of settings; return the exit status."""
    return run_command(PresetsOptions, argv, prog="virel presets", run=_print)


def _print(options: PresetsOptions) -> int:
    if options.preset is None:
        tables = [_presets()]
    elif options.preset in AXES:
        tables = [_kinds(AXES[options.preset])]
    else:
        if options.preset not in PRESETS:
            raise unknown_preset(options.preset, [*AXES], f", or a part: {', '.join(AXES)}")
        tables = _settings(options.preset)
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    for table in tables:
        console.print(table)
    return 0


def _presets() -> Table:
    """Table of all presets, one row each: name, parts and source."""
    table = _table("preset", "value", "posterior", "temperature", "source")
    for name, row in PRESETS.items():
        table.add_row(
            name,
            row.algorithm.value.outline,
            row.algorithm.posterior.kind,
            row.algorithm.temperature.kind,
            row.source,
        )
    table.caption = (
        "Where actions are discrete, tanh-gaussian is categorical, weighted is enumerated, stein is tilted, "
        "and top-share, score and latent have -categorical at their end: `virel presets NAME` lists the "
        "settings, and `virel presets posterior` the kinds of that part, also those that no preset has."
    )
    table.caption_justify = "left"
    return table


def _kinds(axis: type[Part]) -> Table:
    """Table of an axis's kinds, each with its file and its settings as they are unless they are given."""
    table = _table("setting", "default", "meaning")
    for kind, part in axis.kinds.items():
        file = part.__module__.replace(".", "/") + ".py"
        table.add_row(f"{axis.axis}={kind}", "", escape(f"{summary(part)} ({file})"), style="bold")
        for setting in described(part()):
            table.add_row(f"  {setting.name}", escape(str(setting.value)), escape(setting.meaning))
    return table


def _settings(preset: str) -> list[Table]:
    """Table of a preset's settings, one row each, and those that it has for some environments."""
    row = PRESETS[preset]
    table = _table("setting", "value", "meaning")
    for setting in described(row.algorithm):
        part = row.algorithm.parts.get(setting.name)
        alternatives = [] if part is None else [kind for kind in part.kinds if kind != part.kind]
        meaning = (
            f"{setting.meaning} Other kinds: {', '.join(alternatives)}." if alternatives else setting.meaning
        )
        table.add_row(setting.name, escape(str(setting.value)), escape(meaning))
    table.add_row("--copies", str(row.copies), "Parallel copies of the environment per seed.")
    discrete = _table("actions", "other parts and their settings")
    discrete.add_row("discrete", _discrete_parts(row.algorithm))
    tables = [table, discrete]
    if row.environments:
        scales = _table("environment", "settings there")
        for env, settings in row.environments.items():
            typed = [f"{'--' * (name == COPIES)}{name}={value}" for name, value in settings.items()]
            scales.add_row(env, " ".join(typed))
        tables.append(scales)
    return tables


def _discrete_parts(algorithm: Algorithm) -> str:
    """Parts that a preset has where actions are discrete, and not else, as `--set` takes them."""
    if algorithm.posterior.discrete:
        return "those above: it is for discrete actions alone"
    if (alone := continuous_alone(algorithm)) is not None:
        part, reason = alone
        return f"none: a {part.axis} of the kind {part.kind} is for continuous actions alone: {reason}"
    found = discrete_form(algorithm)
    names = [name for name, part in found.parts.items() if part != algorithm.parts[name]]
    settings = [one for one in described(found) if one.name.partition(".")[0] in names]
    return " ".join(f"{one.name}={one.value}" for one in settings)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i == 0)
    return table
