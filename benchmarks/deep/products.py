"""CPU time per seed and step under three settings of `--precision`: `python -m benchmarks.deep.products`.

All settings train `sac` on HalfCheetah-v5 in this process, on one thread, and take turns. A Markdown table
is printed: the median over turns of the CPU milliseconds per seed and step, environment and storing included,
without evaluations and checkpoints. The machine may be busy: CPU time does not count the time of others.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
import tyro
from threadpoolctl import threadpool_limits

import virel_deep.networks.compiled  # noqa: F401  (loads the BLAS whose threads are limited below)
from virel_deep.design.presets import algorithm, run_config
from virel_deep.run.folder import write_config
from virel_deep.run.trainer import Trainer

SIZES = ((64, 64, 10), (64, 64, 1), (128, 128, 4), (256, 256, 1), (256, 256, 4))
"""Width of two hidden layers, minibatch, stacked seeds."""
SETTINGS = ("highest", "stacked", "compiled")
WARMUP = 300
"""Environment steps before the measurement, so that the replay holds minibatches."""


@dataclass(frozen=True)
class Options:
    """Measure every setting at several sizes and print the table."""

    turns: int = 9
    """Turns of each setting."""
    seconds: float = 1.0
    """Approximate CPU time of one turn."""


def main() -> None:
    """Print one row per size as soon as it is measured."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.products")
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")
    columns = [f"{name}, ms" for name in SETTINGS] + [f"{name} / highest" for name in SETTINGS[1:]]
    print("| " + " | ".join(["hidden", "batch", "seeds", *columns]) + " |")
    print("|" + " --- |" * (3 + len(columns)))
    for width, batch, seeds in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            trainers = {name: _trainer(Path(folder) / name, name, width, batch, seeds) for name in SETTINGS}
            times = _alternate(trainers, options, seeds)
            for trainer in trainers.values():
                trainer.close()
        ratios = [f"{times[name] / times['highest']:.2f}" for name in SETTINGS[1:]]
        cells = (f"2x{width}", batch, seeds, *(f"{times[name]:.3f}" for name in SETTINGS), *ratios)
        print("| " + " | ".join(map(str, cells)) + " |")
        sys.stdout.flush()


def _trainer(run: Path, precision: str, width: int, batch: int, seeds: int) -> Trainer:
    """A trainer past its warm-up."""
    settings = {"hidden": (width, width), "data.batch": batch, "data.warmup": WARMUP - 100}
    config = run_config(
        "sac",
        "HalfCheetah-v5",
        algorithm=algorithm("sac", "HalfCheetah-v5", settings),
        steps=1_000_000,
        seeds=tuple(range(seeds)),
        precision=precision,
        eval_every=1_000_000,
        checkpoint_every=1_000_000,
    )
    write_config(run, config)
    trainer = Trainer(run, config, config.seeds, resume=False)
    _advance(trainer, WARMUP)
    return trainer


def _alternate(trainers: dict[str, Trainer], options: Options, seeds: int) -> dict[str, float]:
    """Median CPU milliseconds per seed and step of each trainer."""
    steps = max(5, int(options.seconds / _advance(trainers["highest"], 20)))
    times: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(options.turns):
        for name, trainer in trainers.items():
            times[name].append(1000 * _advance(trainer, steps) / seeds)
    return {name: median(found) for name, found in times.items()}


def _advance(trainer: Trainer, steps: int) -> float:
    """Advance a trainer by some steps; return the CPU seconds per step."""
    start = time.process_time()
    for _ in range(steps):
        trainer.advance(lambda *_: None)
    return (time.process_time() - start) / steps


if __name__ == "__main__":
    main()
