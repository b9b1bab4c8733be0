"""Where the time of a learning step goes: `python -m benchmarks.deep.profile_step [PRESET ...]`.

One process, one thread, one seed of HalfCheetah-v5, a replay of 100,000 transitions. Every part is timed by
the CPU clock, minus the parts inside it; the tables hold medians over steps. A timer costs about 0.5 us per
call. Below each table the update by hand-written gradients stands beside the same one by autograd.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
import tyro

from benchmarks.deep.gpu import ENV, agent_of, data_of
from benchmarks.deep.speed.contenders import Ours
from benchmarks.deep.speed.flops import update_flops
from virel_deep.agent.build import fused
from virel_deep.design.presets import PRESETS, algorithm

STEPS = 400
ROUNDS, UPDATES = 15, 20
"""Rounds of the comparison with autograd, and updates of either in each."""


class Timers:
    """CPU time of each part of a step, without the parts inside it, step by step."""

    def __init__(self) -> None:
        """Start without any time."""
        self.now: dict[str, float] = {}
        self.steps: list[dict[str, float]] = []
        self._inner = [0.0]

    def wrap(self, owner: Any, name: str, part: str) -> None:
        """Replace `owner.name` by a function that adds the time of its calls to a part."""
        function = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            self._inner.append(0.0)
            start = time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent = time.process_time() - start
                inner = self._inner.pop()
                self._inner[-1] += spent
                self.now[part] = self.now.get(part, 0.0) + spent - inner

        setattr(owner, name, timed)

    def step(self, advance: Callable[[], None]) -> None:
        """Time one step, made by `advance`."""
        self.now = {}
        advance()
        self.steps.append(self.now)


def parts(timers: Timers, ours: Ours) -> None:
    """Put a timer around every part of a learning step."""
    from virel_deep.axes.posterior import tanh_gaussian  # noqa: PLC0415
    from virel_deep.networks import memory, network  # noqa: PLC0415

    group, agent = ours.group, ours.group.agent
    for name in ("affine", "product", "product_of_heads"):
        timers.wrap(memory, name, "products")
    timers.wrap(network.Pass, "by_inputs_of_chosen", "products, critics at the rows they are smaller in")
    for name in ("forward", "backward"):
        timers.wrap(memory.TensorStorage, name, "ReLU and its slope, bias gradients, copies")
    for name in ("sample", "gradient"):
        timers.wrap(tanh_gaussian, name, "tanh-Gaussian: density, gradient")
    for adam in agent.adams.values():
        timers.wrap(adam, "descend", "Adam")
    timers.wrap(agent.temperature, "tune", "temperature")
    timers.wrap(agent, "average_targets", "Polyak average")
    timers.wrap(agent, "compute", "losses, reports, slices")
    timers.wrap(group.learning, "draw", "minibatch and noise")
    timers.wrap(group.acting, "actions", "acting")
    timers.wrap(group.runs[0], "step", "environment")
    timers.wrap(group, "_collect", "storing")
    timers.wrap(group, "advance", "the loop, log")


def profile(preset: str) -> str:
    """Time the learning steps of a preset; return the Markdown table."""
    timers = Timers()
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(preset, 1, 1, Path(folder))
        ours.learn(50)
        parts(timers, ours)
        for _ in range(STEPS):
            timers.step(lambda: ours.group.advance(lambda _step, _shown: None))
    names = {name for step in timers.steps for name in step}
    found = {name: 1e3 * median(step.get(name, 0.0) for step in timers.steps) for name in names}
    total = sum(found.values())
    lines = [f"`{preset}`: {total:.2f} ms per step; {update_flops(preset) / 1e9:.2f} GFLOP per update.", ""]
    lines += ["| part | ms | share |", "| --- | --- | --- |"]
    for name, ms in sorted(found.items(), key=lambda item: -item[1]):
        lines.append(f"| {name} | {ms:.3f} | {100 * ms / total:.0f} % |")
    return "\n".join(lines)


def roads(preset: str) -> str:
    """CPU time of an update by hand-written gradients and by autograd: medians of alternating rounds."""
    of = algorithm(preset, ENV, {})
    if not fused(of):
        return ""
    device, rng = torch.device("cpu"), torch.Generator().manual_seed(0)
    agents = [agent_of(of, device, 1, general=general) for general in (False, True)]
    found: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        batch, noise = data_of(of, 1, rng)
        for agent, times in zip(agents, found, strict=True):
            start = time.process_time()
            for _ in range(UPDATES):
                agent.update(batch, {"action": noise})
            times.append(1e3 * (time.process_time() - start) / UPDATES)
    by_hand, by_autograd = (median(times[1:]) for times in found)  # the first round warms up
    less = 100 * (1 - by_hand / by_autograd)
    return f"An update: {by_hand:.2f} ms by hand, {by_autograd:.2f} ms by autograd, {less:.0f} % less."


@dataclass(frozen=True)
class Options:
    """Time the learning steps of presets, and print a table for each."""

    presets: tyro.conf.Positional[tuple[str, ...]] = ("sac", "beta")
    """Presets, as `virel presets` lists them."""


def main() -> None:
    """Print a table for each preset on the command line."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.profile_step")
    for preset in options.presets:
        if preset not in PRESETS:
            sys.exit(f"`presets` must be among {', '.join(PRESETS)}; found {preset!r}")
    for preset in options.presets:
        print(profile(preset), roads(preset), sep="\n\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
