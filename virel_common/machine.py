"""Facts about this machine's processor: its model name, and how many CPUs this process may use."""

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
CGROUPS = Path("/proc/self/cgroup")
CGROUP_ROOT = Path("/sys/fs/cgroup")


def available_cpus() -> int:
    """Count the CPUs that this process may use: its affinity, and at most the quota of its control group."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, int(cpu_quota())))


def cpu_quota(groups: Path = CGROUPS, root: Path = CGROUP_ROOT) -> float:
    """CPUs that the control groups of this process (Linux, version 1 or 2) allow it; no limit: 1e6.

    Args:
        groups: file that lists the process's groups, one line `ID:CONTROLLERS:PATH` each.
        root: folder where the groups are mounted. Inside a container the path may not exist there; the limit
            then stands in the root itself. Limits of parent groups count too.
    """
    limits = [1e6]
    for line in _text(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / controllers if controllers else root
        group = base / path.strip("/")
        for folder in [group, *group.parents]:
            limits.append(_quota_of(folder))
            if folder == base:
                break
    return min(limits)


def _quota_of(folder: Path) -> float:
    """CPUs that one control group allows, from `cpu.max` or `cpu.cfs_quota_us`; infinite without a limit."""
    quota, period = ([*_text(folder / "cpu.max").split(), "", ""])[:2]
    if not quota:
        quota, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    if not (quota.isdigit() and period.isdigit() and int(period)):
        return float("inf")  # "max", -1, or no such file
    return int(quota) / int(period)


def _text(path: Path) -> str:
    """Text of a file; empty if it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def processor() -> str:
    """Processor by model name, family and model number; its architecture if the system tells no name.

    Clouds give several generations one name, such as "AMD EPYC"; family and model tell them apart.
    """
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for name, colon, value in (line.partition(":") for line in lines):
        if colon:
            facts.setdefault(name.strip(), value.strip())
    if not facts.get("model name"):
        return platform.machine()
    words = {"family": facts.get("cpu family"), "model": facts.get("model")}
    numbers = ", ".join(f"{word} {number}" for word, number in words.items() if number)
    return f"{facts['model name']} ({numbers})" if numbers else facts["model name"]
