"""Peak memory of a run of every preset: `python -m benchmarks.deep.memory`, beside that of `sac`.

Each preset trains in a process of its own, by the command `virel train`, with equal networks, batch (windows
and rollouts count as one transition each), number of steps and capacity of the replay, which is full at the
end. The peak is what the system says of the finished process (its largest resident set). A row of the replay
is that of `sac` plus the preset's tails; the last columns say what that comes to at full capacity.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks.deep.speed.places import SIZES, env_of
from virel_common.errors import InputError, require
from virel_common.files import write_atomically
from virel_deep.data.replay import Columns
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import PRESETS, algorithm

MILLION = 1_000_000


@dataclass(frozen=True)
class Options:
    """Measure the peak memory of short runs."""

    presets: tuple[str, ...] = tuple(PRESETS)
    """Presets to measure; `sac` is always among them."""
    steps: int = 3000
    """Environment steps, and capacity of the replay."""
    updates: int = 200
    """Steps after the uniform ones, each with an update."""
    batch: int = 256
    """Transitions or windows of a minibatch, or transitions of a rollout."""
    hidden: int = 256
    """Units in each of two hidden layers."""
    rounds: int = 1
    """Runs of each preset; the table holds the largest."""
    out: Path = Path("out/memory")
    """Folder for memory.md."""


def row_bytes(of: Algorithm, env: str) -> int:
    """Bytes of a transition in the replay."""
    return 4 * Columns.of(*SIZES[env], of.tails).width


def command(preset: str, options: Options, folder: Path) -> list[str]:
    """Arguments of `virel train` for a preset."""
    env = env_of(preset)
    paced = algorithm(preset, env).data.paced
    data: dict[str, object] = {"data.batch": options.batch, "data.warmup": options.steps - options.updates}
    settings: dict[str, object] = {"hidden": f"{options.hidden},{options.hidden}"}
    settings |= data if paced else {"data.length": options.batch}
    fixed = ["--steps", str(options.steps), "--seeds", "1", "--jobs", "1", "--out", str(folder / preset)]
    quiet = ["--eval-every", str(options.steps), "--eval-episodes", "1"]
    quiet += ["--capacity", str(options.steps)] if paced else []
    sets = ["--set", *(f"{name}={value}" for name, value in settings.items())]
    return ["train", "--preset", preset, "--env", env, *fixed, *quiet, *sets]


def peak_mb(arguments: Sequence[str]) -> float:
    """Peak resident memory in MB of a `virel` command in a process of its own.

    Raises:
        InputError: the command fails.
    """
    code = "import sys; from virel_common.command import main; sys.exit(main(sys.argv[1:]))"
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        last = (said.read().strip().splitlines() or ["no word"])[-1]
    require(process.returncode == 0, "presets", arguments[2], f"must train, but it said: {last}")
    return used.ru_maxrss / 1024


def table(peaks: dict[str, float]) -> str:
    """Markdown table of the peaks and of the bytes of a row, beside those of `sac`."""
    lines = [
        "| preset | peak, MB | above `sac`, MB | row, bytes | tails | tails of 1M rows, MB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for preset, peak in peaks.items():
        env = env_of(preset)
        of = algorithm(preset, env)
        bytes_of_row, kept = row_bytes(of, env), of.data.kept(capacity=MILLION, copies=1)
        more = (bytes_of_row - 4 * Columns.of(*SIZES[env], ()).width) * kept / 1e6
        tails = ", ".join(of.tails) or "-"
        apart = peak - peaks["sac"]
        lines.append(f"| `{preset}` | {peak:.0f} | {apart:+.0f} | {bytes_of_row} | {tails} | {more:.0f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write the table."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.memory", args=argv)
    presets = dict.fromkeys(("sac", *options.presets))
    peaks: dict[str, float] = {}
    try:
        require(0 < options.updates < options.steps, "updates", options.updates, "must be below `steps`")
        for _ in range(options.rounds):
            for preset in presets:
                with tempfile.TemporaryDirectory() as folder:
                    found = peak_mb(command(preset, options, Path(folder)))
                peaks[preset] = max(found, peaks.get(preset, 0.0))
                print(f"{preset}: {found:.0f} MB", file=sys.stderr, flush=True)
    except InputError as error:
        print(f"benchmarks.deep.memory: {error}", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "memory.md", (table(peaks) + "\n").encode())
    print(table(peaks))
    return 0


if __name__ == "__main__":
    sys.exit(main())
