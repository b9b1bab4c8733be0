"""Ten minutes on a GPU, in one command: `python -m benchmarks.deep.gpu --out OUT`.

1. Parity: the same updates on the CPU and on the device, each compared with the CPU's in float64.
2. Speed: updates per second of 1, 8 and 32 stacked seeds of `sac` (2x256), and the floor below them: as many
   launches of the smallest kernel as an update makes.
3. As much of study 3 (`studies/full.toml`) as fits. Every job is a process, which steps its own environments;
   all share the device. Finished jobs make room for waiting ones.

`OUT/gpu.json` holds what is known after each part, and every few seconds of the third. Logs of the study's
jobs are packed to `OUT/study.tar.gz` as they grow. Interrupting loses no more than the last few seconds.
`--device cpu --quick` tries all of it in a minute, with tiny networks.
"""

import io
import json
import os
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
import tyro
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from virel_common.errors import InputError
from virel_common.files import write_atomically
from virel_deep.agent.build import make_agent
from virel_deep.agent.capture import WARM_UP, CapturedUpdate, cuda_graph
from virel_deep.agent.stacked import StackedAgent
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import algorithm
from virel_deep.run.folder import write_config
from virel_deep.streams import generator
from virel_deep.study.environments import Environment, Length
from virel_deep.study.jobs import Job, job_config, job_folder, jobs_of
from virel_deep.study.plan import Study, read_study
from virel_deep.study.runner import Jobs
from virel_deep.study.state import job_state
from virel_deep.versions import run_versions

ENV, OBSERVATION, ACTION = "HalfCheetah-v5", 17, 6
"""Environment whose preset is timed, and the sizes of its observation and action."""
STACKS = (1, 8, 32)
"""Stacked seeds whose updates are timed."""
WRITE_EVERY = 5.0
"""Seconds between two records of the study's progress."""
KEPT = {"config.json", "metrics.jsonl", "done.json", "failure.json"}
"""Files of a run that are packed; replay and checkpoints are left where they were written."""
QUICK: dict[str, Any] = {"hidden": [16, 16], "data": {"batch": 16, "warmup": 20}}
"""Settings of every arm in the quick form."""


@dataclass(frozen=True)
class Options:
    """Measure parity and speed on a device, then train as much of study 3 as fits."""

    out: Path = Path("out/gpu")
    """Folder of the results; nothing below it is larger than a few megabytes."""
    device: Literal["cuda", "cpu"] = "cuda"
    """Device that is measured."""
    seconds: float = 420.0
    """Seconds for the third part."""
    processes: int = os.cpu_count() or 1
    """Jobs of the study at the same time."""
    runs: Path | None = None
    """Folder of the study's runs and checkpoints, which a later call continues; default: a temporary one."""
    study: Path = Path("studies/full.toml")
    """Study that the third part runs."""
    quick: bool = False
    """Use tiny networks, few updates and two short jobs, to try the command."""


class Results:
    """Results so far, written as a whole after each change."""

    def __init__(self, path: Path, **facts: Any) -> None:
        """Begin with facts about machine and options."""
        self._path, self.values = path, facts
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, value: Any) -> None:
        """Set one entry and write the file."""
        self.values[name] = value
        write_atomically(self._path, (json.dumps(self.values, indent=1) + "\n").encode())


def main() -> None:
    """Run the three parts, and record each as soon as it is known."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.gpu")
    try:
        _study(options)  # before anything is measured
    except InputError as error:
        sys.exit(f"benchmarks.deep.gpu: {error}")
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    given = {key: str(value) for key, value in asdict(options).items()}
    results = Results(options.out / "gpu.json", device=name, options=given, versions=run_versions())
    settings = {"hidden": (16, 16), "data.batch": 16} if options.quick else {}
    of = algorithm("sac", ENV, settings)
    results.add("parity", parity(of, device, updates=5 if options.quick else 50))
    speeds: dict[str, Any] = {}
    for seeds in STACKS:
        speeds[str(seeds)] = speed(of, device, seeds, seconds=0.2 if options.quick else 5.0)
        results.add("updates", speeds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        train(options, options.runs or Path(folder), results)


def parity(of: Algorithm, device: torch.device, *, updates: int) -> dict[str, dict[str, float]]:
    """Relative distances of parameters from the CPU's in float64, after the same updates: of CPU and device.

    Both are sums in float32, in orders of their own: the two distances should be of one size.
    """
    exact = _trained(of, torch.device("cpu"), torch.float64, updates)
    out = {}
    for name, where in (("cpu", torch.device("cpu")), ("device", device)):
        found = _trained(of, where, torch.float32, updates)
        out[name] = {key: float((found[key] - x).norm() / x.norm()) for key, x in exact.items()}
    return out


def _trained(of: Algorithm, device: torch.device, dtype: torch.dtype, updates: int) -> dict[str, Tensor]:
    """Parameters of every network of one seed after some updates, on the CPU in float64."""
    source = agent_of(of, torch.device("cpu"), 1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        agent = agent_of(of, device, 1)
        agent.load_seed_state(0, source.seed_state(0))
        rng = torch.Generator().manual_seed(0)
        for _ in range(updates):
            batch, noise = (x.to(device, dtype) for x in data_of(of, 1, rng))
            agent.update(batch, {"action": noise})
    finally:
        torch.set_default_dtype(before)
    state = agent.seed_state(0)
    return {
        name: torch.cat([x.flatten().double().cpu() for x in state[name].values()])
        for name in ("policy", "critic", "target_critic")
    }


def agent_of(of: Algorithm, device: torch.device, seeds: int, *, general: bool = False) -> StackedAgent:
    """Agents of some seeds for `ENV`; gradients by autograd if `general`."""
    generators = [generator(seed, "weights") for seed in range(seeds)]
    return make_agent(of, OBSERVATION, ACTION, generators, device=device, general=general)


def data_of(of: Algorithm, seeds: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Minibatches of random rows, none terminated, and the noise of their actions, in float32."""
    size, width = of.data.batch, 2 * OBSERVATION + ACTION + 2
    shapes = ((seeds, size, width), (seeds, 2 * size, ACTION))
    batch, noise = (torch.randn(shape, generator=rng, dtype=torch.float32) for shape in shapes)
    batch[..., -1] = 0
    return batch, noise


class Launches(TorchDispatchMode):
    """Counter of the operations that compute; views, which launch nothing, are left out."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count one operation, and run it."""
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def speed(of: Algorithm, device: torch.device, seeds: int, *, seconds: float) -> dict[str, float]:
    """Updates per second of stacked seeds, all together, and the same for launches of the smallest kernel."""
    agent = agent_of(of, device, seeds)
    batch, noise = (x.to(device) for x in data_of(of, seeds, torch.Generator().manual_seed(0)))
    capture = cuda_graph if device.type == "cuda" else None
    update = CapturedUpdate(agent, batch, {"action": noise}, None, capture=capture)
    with Launches() as launches:
        update()
    for _ in range(WARM_UP + 1):
        update()
    one = _seconds(update, device, seconds)
    small = torch.zeros(1, device=device)

    def least() -> None:
        for _ in range(launches.count):
            small.add_(1)

    least()
    floor = _seconds(capture(least) if capture else least, device, seconds)
    return {"per_second": seeds / one, "floor_per_second": seeds / floor, "launches": launches.count}


def _seconds(work: Callable[[], None], device: torch.device, budget: float) -> float:
    """Median seconds of one call, in rounds that are measured whole."""
    found: list[float] = []
    start = time.perf_counter()
    while len(found) < 3 or time.perf_counter() - start < budget:
        begin = time.perf_counter()
        for _ in range(10):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        found.append((time.perf_counter() - begin) / 10)
    return median(found)


def train(options: Options, runs: Path, results: Results) -> None:
    """Train the study's jobs until the time is over, recording progress; they save when they are stopped."""
    study = _study(options)
    waiting = [(job, _prepare(runs, study, job, options.device)) for job in jobs_of(study)]
    end, due = time.monotonic() + options.seconds, 0.0

    def seen(jobs: Jobs) -> None:
        nonlocal due, end
        now = time.monotonic()
        if now >= due:
            due = now + WRITE_EVERY
            _record(options.out, runs, study, results)
        if now >= end and (jobs.running or jobs.waiting):
            end = now + 60  # a second signal would kill them while they save
            os.kill(os.getpid(), signal.SIGTERM)

    jobs = Jobs(waiting, options.processes)
    jobs.run(seen)
    _record(options.out, runs, study, results)
    results.add("statuses", jobs.statuses)


def _study(options: Options) -> Study:
    """Read the study; its quick form has two jobs of one seed and small networks."""
    study = read_study(options.study)
    if not options.quick:
        return study
    hopper = Environment("Hopper-v5", "Hopper-v5", Length(200, 100))
    arms = {name: replace(arm, environments=(hopper.name,)) for name, arm in list(study.arms.items())[:2]}
    document = {**study.document, "settings": QUICK}
    return replace(study, arms=arms, document=document, environments=(hopper,), seeds=(0,))


def _prepare(runs: Path, study: Study, job: Job, device: str) -> Path:
    """Write the configuration of a job, unless it has begun; return its run folder."""
    folder = job_folder(runs, job)
    if not (folder / "config.json").exists():
        write_config(folder, replace(job_config(study, job), device=device))
    return folder


def _record(out: Path, runs: Path, study: Study, results: Results) -> None:
    """Write the progress of every job, and pack the logs."""
    states = {job.name: job_state(runs, study, job) for job in jobs_of(study)}
    shown = ("step", "finished", "seconds", "steps_per_second")
    results.add(
        "study", {name: {key: getattr(state, key) for key in shown} for name, state in states.items()}
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in sorted(runs.glob("jobs/**/*")):
            if path.name in KEPT:
                archive.add(path, path.relative_to(runs))
    write_atomically(out / "study.tar.gz", packed.getvalue())


if __name__ == "__main__":
    main()
