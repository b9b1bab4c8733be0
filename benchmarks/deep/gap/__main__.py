"""How far inference stays below the best Gaussian: `python -m benchmarks.deep.gap RUN OTHER ...`, study 2.

Each RUN is the folder of a run whose posterior is `iterative` or `tanh-gaussian`. Of every seed's newest
checkpoint some states of its replay are drawn. At each, the agent's own objective, E[Q] - alpha KL by its own
critics and temperature, is estimated at the parameters that the agent infers, and at the best that Adam finds
in some steps from two starts: the inferred parameters, and those of the prior. All these estimates at a state
share the noise of their actions. The gap is the difference; divided by alpha it is a KL divergence, in nats.

The rows of one call are added to `gap.csv` in `--out`, in place of older ones of the same run, seed and step:
measure, train on (`virel train --resume RUN --steps N`), measure again. The table compares the first run with
each other one, seed by seed: claim A of the study says that its gap is smaller.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.deep.gap.rows import Row, draw, merged, report, write
from virel_common.errors import InputError, require
from virel_deep.axes.build import Parts
from virel_deep.axes.interfaces import Objective
from virel_deep.axes.posterior.iterative import Iterative
from virel_deep.axes.posterior.steps import measured
from virel_deep.axes.posterior.tanh_gaussian import TanhGaussian
from virel_deep.data.moments import Moments
from virel_deep.data.replay import Columns
from virel_deep.design.run import RunConfig
from virel_deep.run.actors import restored
from virel_deep.run.folder import read_config, seed_folder
from virel_deep.run.policy import acts_by
from virel_deep.run.seed_checkpoint import load_seed
from virel_deep.storage.reading import rows_of

KINDS = ("iterative", "tanh-gaussian")
"""Posteriors whose parameters are those of a Gaussian before the tanh."""


@dataclass(frozen=True)
class Options:
    """Gap of inference on replay states, per agent and checkpoint, and its signs per seed."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders; the first is compared with each other one."""
    out: Path = Path("out/gap")
    """Folder for the figure and its numbers."""
    states: int = 250
    """States of the replay per seed."""
    steps: int = 100
    """Adam steps on the parameters, from each of two starts."""
    samples: int = 100
    """Actions in every estimate of the objective and its gradient."""
    rate: float = 0.05
    """Adam step size on the parameters, which are means and log deviations before the tanh."""


def climbed(state: Tensor, start: Tensor, noise: Tensor, objective: Objective, options: Options) -> Tensor:
    """Parameters `[1, B, 2 A]` after Adam has climbed the objective from `start`, its noise held fixed."""
    head = start.clone().requires_grad_()
    adam = torch.optim.Adam([head], lr=options.rate)
    for _ in range(options.steps):
        head.grad = -measured(state, head, noise, objective).slope
        adam.step()
    return head.detach()


def inferred(state: Tensor, parts: Parts, objective: Objective, rng: torch.Generator) -> Tensor:
    """Parameters `[1, B, 2 A]` that the agent infers at states `[1, B, O]`, with noise as in training."""
    posterior = parts.posterior
    if isinstance(posterior, Iterative):
        noise = torch.randn(
            *state.shape[:2], posterior.steps, posterior.samples, posterior.n_action, generator=rng
        )
        with torch.no_grad():
            *_, last = posterior.iterates(state, noise, objective)
        return last.head
    assert isinstance(posterior, TanhGaussian)
    with torch.no_grad():
        return posterior.networks["policy"](state).squeeze(1)


def of_prior(head: Tensor, std: float) -> Tensor:
    """Parameters of the prior, or of a standard normal where it is uniform, of the shape of `head`."""
    mean, log_std = torch.zeros_like(head).chunk(2, dim=-1)
    return torch.cat((mean, log_std + math.log(std)), dim=-1)


def gap_of_seed(run: Path, config: RunConfig, seed: int, options: Options) -> Row:
    """Gap of one seed at its newest checkpoint.

    Raises:
        InputError: its replay has fewer states than are asked for, or its temperature is 0.
    """
    loaded = load_seed(run, config, seed, checked=True)
    state = acts_by(loaded)
    rows = np.concatenate([some.data for some in rows_of(seed_folder(run, seed) / "checkpoints", loaded)])
    n_action = state["n_action"]
    n_observation = np.shape(state["critic"]["0.weight"])[-2] - n_action
    columns = Columns.of(n_observation, n_action, config.algorithm.tails)
    require(len(rows) >= options.states, "states", options.states, f"must be at most {len(rows)}, the replay")
    chosen = np.random.default_rng(seed).choice(len(rows), options.states, replace=False)
    seen = np.asarray(rows[np.sort(chosen)][:, columns.observation], dtype=np.float32)
    if "moments" in state:
        seen = Moments.of(state["moments"]).scaling(seen)
    parts, rng = restored(config.algorithm, state), torch.Generator().manual_seed(seed)
    objective = Objective(parts.value.q_of, parts.prior, parts.temperature.alpha)
    alpha = objective.alpha.item()
    require(alpha > 0, "temperature", alpha, f"must be above 0 in seed {seed} of {run}")
    at = torch.from_numpy(np.ascontiguousarray(seen))[None]
    head = inferred(at, parts, objective, rng)
    std = getattr(config.algorithm.prior, "std", 1.0)
    noise = torch.randn(1, options.states, options.samples, n_action, generator=rng)
    starts = (head, of_prior(head, std))
    found = [measured(at, climbed(at, x, noise, objective, options), noise, objective).value for x in starts]
    best = torch.stack(found).amax(0)
    now = measured(at, head, noise, objective).value
    return Row(run.name, seed, loaded.step, alpha, now.mean().item(), best.mean().item())


def measure(options: Options) -> list[Row]:
    """Gaps of all seeds of all runs, each at its newest checkpoint.

    Raises:
        InputError: a number, a run or one of its seeds is unfit, or two runs have the same name.
    """
    for name in ("states", "steps", "samples"):
        require(getattr(options, name) >= 1, name, getattr(options, name), "must be at least 1")
    require(0 < options.rate < math.inf, "rate", options.rate, "must be finite and positive")
    names = [run.name for run in options.runs]
    require(len(names) >= 1, "runs", names, "must be at least one folder")
    require(len(set(names)) == len(names), "runs", names, "must have names that differ")
    configs = {run: read_config(run) for run in options.runs}
    for run, config in configs.items():
        kind = config.algorithm.posterior.kind
        require(kind in KINDS, "posterior", kind, f"must be one of {', '.join(KINDS)} in {run}")
    return [
        gap_of_seed(run, config, seed, options) for run, config in configs.items() for seed in config.seeds
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the gaps, add them to those measured before, print and draw them."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.gap", args=argv)
    options = replace(options, runs=tuple(run.resolve() for run in options.runs))
    torch.set_num_threads(1)
    try:
        found = measure(options)
    except InputError as error:
        print(f"benchmarks.deep.gap: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    rows, names = merged(options.out / "gap.csv", found), [run.name for run in options.runs]
    write(options.out / "gap.csv", rows)
    draw(rows, names, options.out)
    print("\n".join(report(rows, names)))
    print(f"\nwrote {options.out}/gap.csv, .svg, .png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
