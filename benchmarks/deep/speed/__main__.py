"""Steps and updates per second, ours and peers side by side: `python -m benchmarks.deep.speed [--quick]`.

Every contender runs in processes of its own, pinned to as many cores as it has threads. All contenders of a
setting are alive at once and take turns, one round after another. Finished rounds are kept in
`out/speed/speed.json`, so a second call continues where the first stopped (`--force` starts anew).
The page is `out/speed/speed.md`. `--quick` (under 6 minutes) runs one thread, 1 and 4 seeds and short rounds,
always anew, in `out/speed-quick`. `--rows` (about 8 minutes) does so for every family of presets with one
seed, in `out/speed-rows`: MPO and its kin, iterative inference, soft Q-learning, on-policy rows, models,
planning, learned priors. Its page has CPU times.

Peers may live in environments of their own: `--python-sb3`, `--python-sbx`.
`python -m benchmarks.archive pack speed` puts the results into `results/`, the page into `docs/benchmarks/`.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tyro

from benchmarks.deep.speed import report, rows
from benchmarks.deep.speed.contenders import EVERY_ROW, MODULES, OURS, PRODUCTS, is_ours
from benchmarks.deep.speed.team import HERE, ROOT, Setting, Team, importable
from virel_deep.networks.precision import relative_error
from virel_deep.versions import run_versions

LEAST = 30
"""Smallest number of environment steps per round and seed, whatever the number of seeds."""
PRODUCT_REPEATS = 100
"""Matrix products per round and size."""


@dataclass(frozen=True)
class Options:
    """Compare the speed of learning."""

    quick: bool = False
    """Run one thread, 1 and 4 seeds and three short rounds; overrides all options but contenders and
    interpreters."""
    rows: bool = False
    """Run every family of presets, one thread and one seed, three short rounds; overrides as `--quick` does,
    and contenders too."""
    contenders: tuple[str, ...] = (*OURS, *MODULES)
    """Learners to time: presets of ours, `sb3`, `sbx`."""
    seeds: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of stacked seeds to time our presets with."""
    settings: tuple[str, ...] = ("1x1", "1x2", "2x1")
    """Numbers of processes and of threads in each, such as `2x1`."""
    rounds: int = 5
    """Rounds that each contender makes; the tables hold their medians."""
    steps: int = 600
    """Learning steps per round, all seeds together."""
    python_sb3: str = HERE
    """Interpreter that has stable-baselines3."""
    python_sbx: str = HERE
    """Interpreter that has SBX."""
    out: Path = Path("out/speed")
    """Folder for speed.json and speed.md."""
    force: bool = False
    """Discard the rounds kept in the folder and start anew."""
    timeout: float = 300.0
    """Seconds after which a contender that has not finished its part of a round counts as failed."""


def main() -> int:
    """Run the rounds that are missing, write and print the page."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.speed")
    options = _quick(options) if options.quick else options
    options = _every_row(options) if options.rows else options
    pythons = dict.fromkeys((*options.contenders, PRODUCTS), HERE)
    pythons |= {"sb3": options.python_sb3, "sbx": options.python_sbx}
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
            print(f"{setting}: skipped, this machine has fewer cores", flush=True)
            continue
        found = results["settings"].setdefault(text, {})
        for _ in _compare(setting, names, pythons, options, found):
            _write(options.out, results, _page(options))
    print(_page(options)(results))
    return 0


def _quick(options: Options) -> Options:
    out = Path("out/speed-quick")
    return replace(options, rounds=3, steps=150, seeds=(1, 4), settings=("1x1",), out=out, force=True)


def _every_row(options: Options) -> Options:
    out = Path("out/speed-rows")
    short = replace(options, rounds=3, steps=100, seeds=(1,), settings=("1x1",), out=out, force=True)
    return replace(short, contenders=EVERY_ROW)


def _compare(
    setting: Setting, names: list[str], pythons: dict[str, str], options: Options, found: dict[str, Any]
) -> Iterator[None]:
    """Let all contenders of a setting take turns until each has its rounds; yield after each round."""
    wanted = [(PRODUCTS, setting.processes)] + [
        (name, seeds)
        for name in names
        for seeds in (options.seeds if is_ours(name) else (setting.processes,))
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
    rollout = int(team.facts.get("rollout", 1))
    each = -(-each // rollout) * rollout  # whole rollouts, so that each has its updates
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
    """Results kept so far, refused if another machine or other code made them."""
    path, of = options.out / "speed.json", _about()
    if path.exists() and not options.force:
        results: dict[str, Any] = json.loads(path.read_text())
        if results["of"] != of:
            raise SystemExit(
                f"{path} holds results of {results['of']}, but this is {of}; "
                "pass --force to discard them, or another --out"
            )
        return results
    return {"of": of, "settings": {}}


def _about() -> dict[str, Any]:
    """Facts about machine and code, which results must share to stand in one table."""
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


def _page(options: Options) -> Callable[[dict[str, Any]], str]:
    """Function that writes the page of the results."""
    return rows.page if options.rows else report.markdown


def _write(out: Path, results: dict[str, Any], page: Callable[[dict[str, Any]], str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("speed.json", json.dumps(results, indent=1) + "\n"),
        ("speed.md", page(results)),
    ):
        part = out / f"{name}.part"
        part.write_text(text)
        part.rename(out / name)


if __name__ == "__main__":
    sys.exit(main())
