"""Processes of one contender in one setting, which run at the same time."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOT = Path(__file__).parents[3]


class Setting(NamedTuple):
    """Number of processes, and of threads in each; every thread has a core of its own."""

    processes: int
    threads: int

    @property
    def cores(self) -> int:
        """Number of cores in use."""
        return self.processes * self.threads

    def __str__(self) -> str:
        """Words for a page, such as `2 processes x 1 thread`."""
        return f"{self.processes} process{'es' * (self.processes > 1)} x {self.threads} thread" + "s" * (
            self.threads > 1
        )


class Team:
    """One contender in one setting, its seeds split evenly over the processes.

    Args:
        name: Name of the contender.
        seeds: Number of seeds of all processes together.
        setting: Number of processes, and of threads in each.
        python: Interpreter that has the contender installed.
        timeout: Seconds for an answer; preparing may take ten times as long.
    """

    def __init__(self, name: str, seeds: int, setting: Setting, python: str, timeout: float) -> None:
        """Start the processes; `failed` holds the reason if one could not start."""
        self.name, self.seeds, self.setting, self.timeout = name, seeds, setting, timeout
        self.failed: str | None = None
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        cores = sorted(os.sched_getaffinity(0))[-setting.cores :]  # interrupts mostly come on the first
        self._processes = [
            self._start(python, i, cores[i * setting.threads : (i + 1) * setting.threads])
            for i in range(setting.processes)
        ]
        answers = self._answers(10 * timeout)
        self.facts: dict[str, Any] = answers[0] if answers else {}

    def ask(self, command: str) -> list[dict[str, float]]:
        """Send a command to every process and collect the answers; none, and `failed`, if one dies."""
        if self.failed:
            return []
        for process in self._processes:
            assert process.stdin is not None
            try:
                process.stdin.write(command + "\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass  # its answer will be missing
        return self._answers(self.timeout)

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._folder.cleanup()

    def _start(self, python: str, i: int, cores: list[int]) -> subprocess.Popen[str]:
        folder = Path(self._folder.name) / str(i)
        folder.mkdir()
        threads = str(self.setting.threads)
        env = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        env |= {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
        seeds = str(self.seeds // self.setting.processes)
        command = [python, "-m", "benchmarks.deep.speed.worker", self.name, seeds, threads]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*command, ",".join(map(str, cores))],
            stdin=pipe,
            stdout=pipe,
            stderr=(folder / "stderr").open("w"),
            text=True,
            cwd=folder,
            env=env,
        )

    def _answers(self, timeout: float) -> list[dict[str, Any]]:
        out = []
        for i, process in enumerate(self._processes):
            assert process.stdout is not None
            line = _read_line(process.stdout, timeout)
            if not line:
                self.failed = f"no answer in {timeout:.0f} s" if line is None else self._last_words(i)
                return []
            out.append(json.loads(line))
        return out

    def _last_words(self, i: int) -> str:
        said = (Path(self._folder.name) / str(i) / "stderr").read_text().strip()
        return said.rsplit("\n", 1)[-1] or "died"


def _read_line(stream: IO[str], timeout: float) -> str | None:
    """Next line of a stream, "" at its end, None if neither comes in time (answers come one at a time)."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(timeout) else None


def importable(python: str, module: str) -> bool:
    """Whether an interpreter has a module installed."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], check=False, cwd=ROOT).returncode == 0


HERE = sys.executable
