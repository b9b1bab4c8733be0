"""What an inference step gains: `python -m benchmarks.deep.inference RUN`, Figure 2 of Marino et al. 2019.

RUN is the folder of a run whose posterior is `iterative`, best one that was trained with as many steps as are
asked for: `virel train --preset sac-iterative --set posterior.steps=10 ...`. The policy of the newest
checkpoint plays some episodes. At every state that it meets, inference starts anew and goes on for some
iterations, and the objective is estimated after each, by actions whose noise is the same after all of them
and not that of the gradients. Shown is how far it is above its value at the start: absolute, in scaled reward
units, and relative to the size of that value.
"""

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from matplotlib.figure import Figure
from numpy.typing import NDArray

from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_common.plot_style import DPI, OKABE_ITO, STYLE, UNDATED, style
from virel_deep.axes.posterior.iterative import Iterative
from virel_deep.axes.posterior.steps import measured
from virel_deep.run.actors import DeliberateActor
from virel_deep.run.evaluate import evaluate_policy
from virel_deep.run.folder import read_config
from virel_deep.run.policy import Floats, Policy, load_policy
from virel_deep.streams import stream

ROWS = 20_000
"""Actions that are valued at once."""
Curve = NDArray[np.float64]
"""Objective after 0, 1, ..., n iterations, scaled reward units."""


@dataclass(frozen=True)
class Options:
    """Objective after each inference iteration, over some episodes of a trained agent."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    out: Path = Path("out/inference")
    """Folder for the figure and its numbers."""
    seed: int = 0
    """Seed of the run to measure."""
    iterations: int = 10
    """Inference iterations; more than the agent was trained with shows how it extrapolates."""
    episodes: int = 5
    """Episodes, one point of the average each."""
    samples: int = 100
    """Actions in every estimate of the objective and its gradient."""


def states_of(policy: Policy, key: np.random.SeedSequence) -> Floats:
    """States `[T, O]` that a policy meets in one episode."""
    seen: list[Floats] = []

    def act(observation: Floats) -> Floats:
        seen.append(observation.copy())
        return policy.act(observation)

    evaluate_policy(act, policy.env, key, 1)
    return np.concatenate(seen)


def curve(actor: DeliberateActor, states: Floats, options: Options, rng: torch.Generator) -> Curve:
    """Mean objective `[n + 1]` over states after 0, ..., n inference iterations."""
    posterior, sums = actor.posterior, np.zeros(options.iterations + 1)
    assert isinstance(posterior, Iterative)
    for some in torch.split(torch.from_numpy(states), max(1, ROWS // options.samples)):
        shape = (1, len(some), options.iterations, options.samples, posterior.n_action)
        noise = torch.randn(shape, generator=rng)
        common = torch.randn(shape[:2] + shape[3:], generator=rng)
        with torch.no_grad():
            heads = [step.head for step in posterior.iterates(some[None], noise, actor.objective)]
        found = [measured(some[None], head, common, actor.objective).value for head in heads]
        sums += [value.sum().item() for value in found]
    mean: Curve = sums / len(states)
    return mean


def draw(curves: Curve, title: str, folder: Path) -> None:
    """Write `inference.svg`, `inference.png` and `inference.csv` from the curves `[episodes, n + 1]`."""
    gains = curves - curves[:, :1]
    panels = {
        "gain in objective, scaled reward": gains,
        "relative gain, %": 100 * gains / np.abs(curves[:, :1]),
    }
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("episode", "iteration", "objective"))
    for episode, of_episode in enumerate(curves):
        writer.writerows((episode, i, repr(float(x))) for i, x in enumerate(of_episode))
    write_atomically(folder / "inference.csv", table.getvalue().encode())
    with style(STYLE):
        figure = Figure(figsize=(6.4, 2.6))
        for axes, (label, values) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            at, mean, spread = np.arange(values.shape[1]), values.mean(axis=0), values.std(axis=0)
            axes.fill_between(at, mean - spread, mean + spread, color=OKABE_ITO[0], alpha=0.15, linewidth=0)
            axes.plot(at, mean, color=OKABE_ITO[0], marker="o", markersize=3)
            axes.set_xlabel("inference iterations")
            axes.set_ylabel(label)
        figure.suptitle(title, fontsize=8)
        for kind in ("svg", "png"):
            file = io.BytesIO()
            figure.savefig(file, format=kind, dpi=DPI, metadata=UNDATED[kind])
            write_atomically(folder / f"inference.{kind}", file.getvalue())


def measure(options: Options) -> Curve:
    """Objectives `[episodes, n + 1]`, averaged over the states of each episode.

    Raises:
        InputError: the run, its seed or a number is unfit.
    """
    for name in ("iterations", "episodes", "samples"):
        require(getattr(options, name) >= 1, name, getattr(options, name), "must be at least 1")
    kind = read_config(options.run).algorithm.posterior.kind
    require(kind == "iterative", "posterior", kind, "must be 'iterative' in the run")
    policy = load_policy(options.run, options.seed)
    assert isinstance(policy.actor, DeliberateActor)
    rng, curves = torch.Generator().manual_seed(options.seed), []
    for episode in range(options.episodes):
        states = states_of(policy, stream(options.seed, "evaluation", episode))
        curves.append(curve(policy.actor, states, options, rng))
    return np.stack(curves)


def main() -> int:
    """Measure, draw and print the mean objective after each iteration."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.inference")
    torch.set_num_threads(1)
    try:
        curves, config = measure(options), read_config(options.run)
    except InputError as error:
        print(f"benchmarks.deep.inference: {error}", file=sys.stderr)
        return 2
    trained = getattr(config.algorithm.posterior, "steps", 0)
    over = f"mean of {options.episodes} episode{'s' * (options.episodes > 1)}"
    title = f"{config.preset}, {config.env}, trained with {trained} iterations, {over}"
    options.out.mkdir(parents=True, exist_ok=True)
    draw(curves, title, options.out)
    print(f"{title}\n\n| iterations | objective | gain | gain of this iteration |\n| --- | --- | --- | --- |")
    mean = curves.mean(axis=0)
    for i, value in enumerate(mean):
        gain = value - mean[max(i - 1, 0)]
        print(f"| {i} | {value:.4f} | {value - mean[0]:.4f} | {gain:.4f} |")
    print(f"\nwrote {options.out}/inference.svg, .png, .csv")
    return 0


if __name__ == "__main__":
    sys.exit(main())
