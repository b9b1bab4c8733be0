"""Page of `--rows`: CPU time of updates and steps of every family of presets, beside what products need.

CPU times, not wall times, so that other work on the machine hardly matters.
"""

from statistics import median
from typing import Any

from benchmarks.deep.speed.contenders import PACED, PRODUCTS, chosen_algorithm, is_ours
from benchmarks.deep.speed.flops import planning_flops, update_flops
from benchmarks.deep.speed.places import ENV, env_of
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import preset_row

HEAD = (
    "| row | update, CPU ms | products, GFLOP | floor, ms | update / floor | updates per step | step, CPU ms "
    "| floor of a step, ms | steps per CPU second |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)
BEGUN, COUNTED = 40_960, 5_120
"""Steps before those of which the updates are counted, and their number: whole rollouts."""


def page(results: dict[str, Any]) -> str:
    """Markdown table of the rows of one setting, and lines about the machine and its load."""
    [(_, entries)] = results["settings"].items()
    timed = {key: one for key, one in entries.items() if one["rounds"]}
    products = next(one for key, one in timed.items() if key.startswith(PRODUCTS))
    rate = max(x for round_ in products["rounds"] for one in round_["learn"] for x in one.values())
    ours = {key.rpartition("-")[0]: one for key, one in timed.items() if is_ours(key.rpartition("-")[0])}
    loads = [one["load"] for entry in timed.values() for one in entry["rounds"]]
    steps = sorted({one["steps"] for entry in ours.values() for one in entry["rounds"]})
    rounds = max(len(entry["rounds"]) for entry in ours.values())
    lines = [HEAD, *(_row(name, entry["rounds"], rate) for name, entry in ours.items()), ""]
    lines.append(
        f"Products: {rate / 1e9:.0f} GFLOP/s at most. Medians of {rounds} rounds of {steps[0]} steps and "
        f"updates (whole rollouts: up to {steps[-1]}). Load average at the rounds' starts: {min(loads):.1f} "
        f"to {max(loads):.1f}."
    )
    lines += [f"{key} failed: {one['failed']}." for key, one in entries.items() if "failed" in one]
    lines += ["; ".join(f"{key}: {value}" for key, value in results["of"].items())]
    return "\n".join(lines) + "\n"


def _row(name: str, rounds: list[dict[str, Any]], rate: float) -> str:
    """Line of one contender; a step is one transition, of whichever copy."""
    preset, _ = PACED.get(name, (name, {}))
    copies = preset_row(preset).copies
    pace = updates_per_step(chosen_algorithm(name), copies)
    flops = update_flops(preset)
    update, step = (
        median(1e3 * one[what][0]["cpu_s"] / one["steps"] for one in rounds) for what in ("update", "learn")
    )
    step /= copies
    floor, of_step = (1e3 * x / rate for x in (flops, pace * flops + planning_flops(preset)))
    place = "" if env_of(preset) == ENV else f" in {env_of(preset)}"
    cells = [
        f"`{name}`{place}",
        f"{update:.1f}",
        f"{flops / 1e9:.2f}",
        f"{floor:.1f}",
        f"{update / floor:.1f}",
        f"{pace:.3g}",
        f"{step:.1f}",
        f"{of_step:.1f}",
        f"{1e3 / step:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def updates_per_step(of: Algorithm, copies: int) -> float:
    """Updates of a transition, on the average, with so many copies of the environment.

    Example:
        >>> [updates_per_step(chosen_algorithm(name), 1) for name in ("sac", "mpo/8", "vmpo")]
        [1.0, 0.125, 0.0390625]
    """
    steps = range(copies, copies * COUNTED + 1, copies)
    every, ratio, window = of.update_every, of.updates_per_step, of.value.window
    found = [
        of.data.updates(BEGUN + n, window=window, copies=copies, every=every, ratio=ratio) for n in steps
    ]
    return sum(found) / (copies * COUNTED)
