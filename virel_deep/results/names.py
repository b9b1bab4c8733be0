"""Labels that tell compared runs apart in tables and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any, NamedTuple

from virel_deep.results.read import Run

LONGEST = 48
"""Most characters of a label that names settings; a longer one leaves some out, which `…` stands for."""
MOST = 3
"""Most settings that a label names which leaves some out."""
SAID = ("steps", "eval_every")
"""Settings that tables and remarks show anyway; they name a run only if no others tell it apart."""


@dataclass(frozen=True)
class Entry:
    """Pair of a run and its label in tables and figures."""

    label: str
    run: Run
    settings: str = ""
    """All settings in which runs of its preset differ, if the label leaves out some of them."""


class Naming(NamedTuple):
    """Way to label the runs of one preset."""

    label: Callable[[Run], str]
    complete: bool = False
    """Whether labels name every setting in which these runs differ."""


def entries(runs: Sequence[Run]) -> list[Entry]:
    """Label runs so that no two runs in one environment have the same label.

    A name is the preset and, if needed, what tells runs of that preset apart: the settings in which they
    differ within an environment, as few as make it short, or else their folders. Runs of one name in several
    environments are taken for the same algorithm.
    """
    groups = {run.preset: [one for one in runs if one.preset == run.preset] for run in runs}
    namings = {preset: _naming(alike) for preset, alike in groups.items()}
    return [_entry(run, groups[run.preset], namings[run.preset]) for run in runs]


def environments(named: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Group labelled runs by environment, keeping their order."""
    out: dict[str, list[Entry]] = {}
    for entry in named:
        out.setdefault(entry.run.env, []).append(entry)
    return out


def missing_environments(named: Sequence[Entry]) -> dict[str, list[str]]:
    """For each label, list the environments in which no run has it."""
    ran = {(entry.label, entry.run.env) for entry in named}
    labels = dict.fromkeys(entry.label for entry in named)
    return {label: [env for env in environments(named) if (label, env) not in ran] for label in labels}


def _entry(run: Run, alike: Sequence[Run], naming: Naming) -> Entry:
    """Label a run; a label that leaves out settings has them beside it."""
    if naming.complete:
        return Entry(naming.label(run), run)
    named = {name: name for name in _differing_settings(alike) if name not in SAID}
    return Entry(naming.label(run), run, ", ".join(_values(run, named)))


def _naming(alike: Sequence[Run]) -> Naming:
    """Shortest labelling of one preset's runs that tells apart those in the same environment."""
    return next(
        naming
        for naming in _namings(alike)
        if len({(run.env, naming.label(run)) for run in alike}) == len(alike)
    )


def _namings(alike: Sequence[Run]) -> Iterator[Naming]:
    """Possible labellings of one preset's runs, the best first."""
    yield Naming(lambda run: run.preset, complete=True)
    differing = _differing_settings(alike)
    yield from _short_namings(alike, [name for name in differing if name not in SAID])
    yield from _short_namings(alike, differing)
    several = len({run.env for run in alike}) > 1
    folders = [folder for run in alike for folder in (run.folder, *run.pooled)]
    longest = max(len(folder.resolve().parts) for folder in folders)
    for hide_env, depth in product((several, False), range(1, longest + 1)):
        yield Naming(partial(_by_folder, depth=depth, hide_env=hide_env))


def _short_namings(alike: Sequence[Run], differing: Sequence[str]) -> Iterator[Naming]:
    """Labellings by all of the settings that differ, else by a few of them that group the runs alike."""
    known = {name for run in alike for name in run.settings}
    groups = len({tuple(str(run.settings.get(name)) for name in differing) for run in alike})
    few = chain.from_iterable(combinations(differing, n) for n in range(1, min(MOST + 1, len(differing))))
    for names in (tuple(differing), *few):
        complete = len(names) == len(differing)
        label = partial(_by_settings, names=_shortened(names, known), complete=complete)
        labels = {label(run) for run in alike}
        if len(labels) == groups and max(map(len, labels)) <= LONGEST:
            yield Naming(label, complete)


def _shortened(names: Sequence[str], known: set[str]) -> dict[str, str]:
    """Dotted names of settings with their last parts, where no other known setting ends alike."""
    ends = [name.rpartition(".")[2] for name in known]
    short = {name: name.rpartition(".")[2] for name in names}
    return {name: end if ends.count(end) == 1 else name for name, end in short.items()}


def _by_settings(run: Run, names: dict[str, str], *, complete: bool) -> str:
    """Label a run by its preset and some of its settings, each under the name that stands beside its own."""
    said = [*_values(run, names), *([] if complete else ["…"])]
    return f"{run.preset} ({', '.join(said)})" if said else run.preset


def _values(run: Run, names: dict[str, str]) -> list[str]:
    """Settings of a run as NAME=VALUE; one that its algorithm does not have is passed over."""
    return [f"{short}={_text(run.settings[name])}" for name, short in names.items() if name in run.settings]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _by_folder(run: Run, depth: int, *, hide_env: bool) -> str:
    """Label a run by its preset and the last `depth` parts of its path, or of each that it is pooled from.

    `hide_env` writes ENV for the environment, so that an algorithm has one name in several environments.
    """
    ends = []
    for folder in (run.folder, *run.pooled):
        path = str(folder.resolve())
        parts = Path(path.replace(run.env, "ENV") if hide_env else path).parts
        ends.append(str(Path(*parts[-depth:])))
    return f"{run.preset} ({', '.join(ends)})"


def _differing_settings(alike: Sequence[Run]) -> list[str]:
    """Names of the settings that differ between runs in one environment, those that say most first."""
    n_envs = len({run.env for run in alike})
    names = {name for run in alike for name in run.settings} - {"seeds", "algorithm"}
    differing = [
        name for name in names if len({(run.env, str(run.settings.get(name))) for run in alike}) > n_envs
    ]
    return sorted(differing, key=lambda name: (min(_rank(run, name) for run in alike), name))


def _rank(run: Run, name: str) -> int:
    """Place of a setting in names: kinds of parts, then the algorithm's settings, then those of the run."""
    algorithm = run.settings.get("algorithm")
    axis, dot, _ = name.partition(".")
    if not isinstance(algorithm, dict) or axis not in algorithm:
        return 3 if name in SAID else 2
    return 0 if isinstance(algorithm[axis], dict) and not dot else 1
