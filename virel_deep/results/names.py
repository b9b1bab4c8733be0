"""Labels that tell compared runs apart in tables and figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from virel_deep.results.read import Run

Naming = Callable[[Run], str]


@dataclass(frozen=True)
class Entry:
    """Pair of a run and its label in tables and figures."""

    label: str
    run: Run


def entries(runs: Sequence[Run]) -> list[Entry]:
    """Label runs so that no two runs in one environment have the same label.

    A name is the preset and, if needed, what tells runs of that preset apart: the settings in which they
    differ within an environment, or else their folders. Runs of one name in several environments are taken
    for the same algorithm.
    """
    namings = {run.preset: _naming([one for one in runs if one.preset == run.preset]) for run in runs}
    return [Entry(namings[run.preset](run), run) for run in runs]


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


def _naming(alike: Sequence[Run]) -> Naming:
    """Shortest labelling of one preset's runs that tells apart those in the same environment."""
    return next(
        naming for naming in _namings(alike) if len({(run.env, naming(run)) for run in alike}) == len(alike)
    )


def _namings(alike: Sequence[Run]) -> Iterator[Naming]:
    """Possible labellings of one preset's runs, the shortest first."""
    yield lambda run: run.preset
    yield partial(_by_settings, names=_differing_settings(alike))
    several = len({run.env for run in alike}) > 1
    longest = max(len(run.folder.resolve().parts) for run in alike)
    for hide_env, depth in product((several, False), range(1, longest + 1)):
        yield partial(_by_folder, depth=depth, hide_env=hide_env)


def _by_settings(run: Run, names: Sequence[str]) -> str:
    return f"{run.preset} ({', '.join(f'{name}={run.settings.get(name)}' for name in names)})"


def _by_folder(run: Run, depth: int, *, hide_env: bool) -> str:
    """Label a run by its preset and the last `depth` parts of its path.

    `hide_env` writes ENV for the environment, so that an algorithm has one name in several environments.
    """
    path = str(run.folder.resolve())
    parts = Path(path.replace(run.env, "ENV") if hide_env else path).parts
    return f"{run.preset} ({Path(*parts[-depth:])})"


def _differing_settings(alike: Sequence[Run]) -> list[str]:
    """Names of the settings that differ between runs in one environment."""
    n_envs = len({run.env for run in alike})
    names = sorted({name for run in alike for name in run.settings} - {"seeds", "algorithm"})
    return [name for name in names if len({(run.env, str(run.settings.get(name))) for run in alike}) > n_envs]
