"""Steps and updates a second, ours and peers side by side: `python -m benchmarks.deep.speed [--quick]`.

Every contender runs in processes of its own, pinned to as many cores as it has threads; all of a setting are
alive at once and take turns, one round after another. Finished rounds are kept in `results/speed.json`, so a
second call goes on where the first stopped (`--force` starts anew), and written to `results/speed.md`.
`--quick` (under 6 minutes) runs one thread, 1 and 4 seeds and short rounds, always anew, in out/speed-quick.

Peers may live in environments of their own: `--python-sb3`, `--python-sbx`.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from benchmarks.deep import _speed_report as report
from benchmarks.deep._speed_contenders import MODULES, OURS, PRODUCTS
from benchmarks.deep._speed_team import HERE, ROOT, Setting, Team, importable
from virel_deep.networks.precision import relative_error
from virel_deep.versions import run_versions

RESULTS = Path(__file__).parent / "results"
LEAST = 30
"""Environment steps of a round that even the largest stack makes."""
PRODUCT_REPEATS = 100


@dataclass(frozen=True)
class Options:
    """Compare the speed of learning."""

    quick: bool = False
    """One thread, 1 and 4 seeds, three short rounds; overrides everything but contenders and interpreters."""
    contenders: tuple[str, ...] = (*OURS, *MODULES)
    seeds: tuple[int, ...] = (1, 2, 4, 8)
    settings: tuple[str, ...] = ("1x1", "1x2", "2x1")
    """Processes x threads in each."""
    rounds: int = 5
    steps: int = 600
    """Learning steps of a round, all seeds together."""
    python_sb3: str = HERE
    python_sbx: str = HERE
    out: Path = RESULTS
    force: bool = False
    timeout: float = 300.0
    """Seconds for one part of a round."""


def main() -> int:
    """Run what is missing, write and print the page."""
    options = tyro.cli(Options)
    options = _quick(options) if options.quick else options
    pythons = dict.fromkeys((*OURS, PRODUCTS), HERE) | {"sb3": options.python_sb3, "sbx": options.python_sbx}
    missing = {
        name: f"{pythons[name]} has no {module}"
        for name, module in MODULES.items()
        if name in options.contenders and not importable(pythons[name], module)
    }
    results = _results(options)
    results["missing"] = missing
    names = [name for name in options.contenders if name not in missing]
    for text in options.settings:
        setting = Setting(*map(int, text.split("x")))
        if setting.cores > len(os.sched_getaffinity(0)):
            print(f"{setting}: not as many cores here", flush=True)
            continue
        found = results["settings"].setdefault(text, {})
        for _ in _compare(setting, names, pythons, options, found):
            _write(options.out, results)
    print(report.markdown(results))
    return 0


def _quick(options: Options) -> Options:
    out = Path("out/speed-quick")
    return replace(options, rounds=3, steps=150, seeds=(1, 4), settings=("1x1",), out=out, force=True)


def _compare(
    setting: Setting, names: list[str], pythons: dict[str, str], options: Options, found: dict[str, Any]
) -> Iterator[None]:
    """All contenders of a setting, taking turns, until each has its rounds; yields after each round."""
    wanted = [(PRODUCTS, setting.processes)] + [
        (name, seeds)
        for name in names
        for seeds in (options.seeds if name in OURS else (setting.processes,))
        if seeds % setting.processes == 0
    ]
    todo = [
        (name, seeds)
        for name, seeds in wanted
        if len(found.get(f"{name}-{seeds}", {}).get("rounds", [])) < options.rounds
    ]
    if todo in ([], [(PRODUCTS, setting.processes)]):
        return
    teams = []
    try:
        for name, seeds in todo:
            print(f"{setting}: starting {name}, {seeds} seeds", file=sys.stderr, flush=True)
            teams.append(Team(name, seeds, setting, pythons[name], options.timeout))
        for turn in range(options.rounds):
            print(f"{setting}: round {turn + 1} of {options.rounds}", file=sys.stderr, flush=True)
            for team in teams if turn % 2 == 0 else reversed(teams):
                entry = found.setdefault(f"{team.name}-{team.seeds}", {"rounds": []})
                entry["facts"] = team.facts
                if len(entry["rounds"]) < options.rounds:
                    _round(team, entry, options.steps)
            yield
    finally:
        for team in teams:
            team.close()


def _round(team: Team, entry: dict[str, Any], steps: int) -> None:
    each = max(steps // team.seeds * team.setting.processes, LEAST)
    if team.name == PRODUCTS:
        each = PRODUCT_REPEATS
    load = os.getloadavg()[0]
    learned = team.ask(f"learn {each}")
    updated = team.ask(f"update {each}")
    if team.failed:
        entry["failed"] = team.failed
        return
    entry.pop("failed", None)
    entry["rounds"].append(
        {"at": time.time(), "load": load, "steps": each, "learn": learned, "update": updated}
    )


def _results(options: Options) -> dict[str, Any]:
    """Results so far, if they are of this machine and this code."""
    path, of = options.out / "speed.json", _about()
    if path.exists() and not options.force:
        results: dict[str, Any] = json.loads(path.read_text())
        if results["of"] != of:
            raise SystemExit(
                f"{path} holds results of {results['of']}, here is {of}: --force, or another --out"
            )
        return results
    return {"of": of, "settings": {}}


def _about() -> dict[str, Any]:
    """Machine and code; results of others are not mixed with these."""
    errors = {setting: f"{relative_error(setting):.1e}" for setting in ("highest", "medium")}
    return {
        **run_versions(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "error of a product": errors,
        "virel_deep": _git("rev-parse", "--short", "HEAD:virel_deep")
        + " with changes" * bool(_git("status", "--porcelain", "virel_deep")),
    }


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    ).stdout.strip()


def _write(out: Path, results: dict[str, Any]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("speed.json", json.dumps(results, indent=1) + "\n"),
        ("speed.md", report.markdown(results)),
    ):
        part = out / f"{name}.part"
        part.write_text(text)
        part.rename(out / name)


if __name__ == "__main__":
    sys.exit(main())
