"""What the options of the residual temperature change: `python -m benchmarks.deep.residual RUN`.

RUN is the folder of a trained run whose preset has a residual temperature. At its last checkpoint, with the
networks held fixed, eps_omega is estimated many times under each option. A Markdown table is printed: the
mean estimate divided by the minibatch's, the spread between estimates, and the CPU time of an update, for
which the options take turns.
"""

import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median, pstdev

import torch
import tyro

from virel_common.errors import InputError, require
from virel_deep.agent.fused import FusedAgent
from virel_deep.agent.interfaces import Own
from virel_deep.axes import losses
from virel_deep.axes.interfaces import Noise
from virel_deep.design.records import changed
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.run.trainer import Trainer

ESTIMATES, UPDATES = 300, 60


@dataclass(frozen=True)
class Options:
    """Measure at a finished run."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    seed: int = 0
    """Seed of the run to measure."""


OPTIONS = [(0, 1), (256, 1), (1024, 1), (4096, 1), (4096, 10), (4096, 100)]
"""Pairs of `temperature.batch` (0: the minibatch) and `temperature.period` to compare."""


def estimates(group: Trainer, batch: int) -> list[float]:
    """Estimates of eps_omega from fresh batches, for the one seed loaded; the networks do not change."""
    agent, found = group.agent, []
    rows = batch or agent.algorithm.data.batch
    own = Own(*group.learning.storage((rows,), rows if batch else 2 * rows))
    for _ in range(ESTIMATES):
        group.learning.draw(*own, ())
        error = agent._online_td_error(own) if batch else _minibatch_error(agent, *own)
        found.append(float(losses.residual_error(error)[0]))
    return found


def _minibatch_error(agent: FusedAgent, batch: torch.Tensor, noise: Noise) -> torch.Tensor:
    """TD error that an update computes anyway, from the target networks."""
    columns, algorithm = agent.columns, agent.algorithm
    s, s_next = batch[..., columns.observation], batch[..., columns.next_observation]
    _, v_next, _ = agent._actions(s, s_next, noise["action"], agent.temperature.alpha)
    reward = batch[..., columns.reward] * algorithm.reward_scale
    target = losses.td_target(reward, batch[..., columns.terminated], v_next, gamma=algorithm.gamma)
    return target[:, None] - agent.critic(batch[..., columns.history]).squeeze(-1)


def update_ms(groups: list[Trainer]) -> list[float]:
    """CPU milliseconds per update of each group: the median over rounds in which the groups take turns."""
    rounds: list[list[float]] = [[] for _ in groups]
    for _ in range(7):
        for group, times in zip(groups, rounds, strict=True):
            start = time.process_time()
            for _ in range(UPDATES):
                group._update()
            times.append(1e3 * (time.process_time() - start) / UPDATES)
    return [median(times) for times in rounds]


def main(argv: list[str] | None = None) -> int:
    """Measure every option at the run's last checkpoint and print the table."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.residual", args=argv)
    torch.set_num_threads(1)
    try:
        print("\n".join(table(options)))
    except InputError as error:
        print(f"benchmarks.deep.residual: {error}", file=sys.stderr)
        return 2
    return 0


def table(options: Options) -> list[str]:
    """Lines of the Markdown table of all options, at the run's last checkpoint.

    Raises:
        InputError: the run or its seed is unfit.
    """
    config = read_config(options.run)
    kind = config.algorithm.temperature.kind
    require(kind == "residual", "temperature", kind, "must be residual")
    require(options.seed in config.seeds, "seed", options.seed, f"must be one of {list(config.seeds)}")
    load_seed(options.run, config, options.seed)  # so that an error names its folder, not that of a copy
    with tempfile.TemporaryDirectory() as folder:
        groups = []
        for batch, period in OPTIONS:
            copy = Path(folder) / f"{batch}-{period}"  # a run is locked while it is open
            shutil.copytree(options.run, copy)
            group = Trainer(copy, replace(config, steps=10**9), [options.seed], resume=True)
            algorithm = changed(config.algorithm, {"temperature.batch": batch, "temperature.period": period})
            group.config, group.agent.algorithm = replace(group.config, algorithm=algorithm), algorithm
            group._buffers()
            groups.append(group)
        found = [estimates(group, batch) for group, (batch, _) in zip(groups, OPTIONS, strict=True)]
        times = update_ms(groups)
        step = groups[0].step
    lines = [
        f"{config.preset}, {config.env}, seed {options.seed}, step {step:,}; {ESTIMATES} estimates each.\n",
        "| batch | period | update, ms | over the minibatch's | mean, over the minibatch's | spread |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for (batch, period), values, ms in zip(OPTIONS, found, times, strict=True):
        lines.append(
            f"| {batch or 'the minibatch'} | {period} | {ms:.2f} | {ms / times[0]:.2f} "
            f"| {mean(values) / mean(found[0]):.2f} | {100 * pstdev(values) / mean(values):.0f} % |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
