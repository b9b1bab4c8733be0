"""Facts about the machine: its processor, and how many CPUs the limits of control groups allow."""

import pytest

from virel_common import machine
from virel_common.machine import cpu_quota

V1, V2 = "4:memory:/m\n2:cpu,cpuacct:/a/b\n", "0::/a/b\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "files", "cpus"),
    [
        (V2, {"a/b/cpu.max": "150000 100000\n"}, 1.5),
        (V2, {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "200000 100000\n"}, 2.0),  # of the parent
        (V2, {"cpu.max": "300000 100000\n"}, 3.0),  # a container sees its own group as the root
        (V2, {"a/b/cpu.max": "max 100000\n"}, 1e6),
        (
            V1,
            {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "50000", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        (V1, {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"}, 1e6),
        (V1, {"memory/m/cpu.max": "1 100000"}, 1e6),
        ("", {}, 1e6),
    ],
)
def test_the_smallest_limit_of_all_groups_counts(tmp_path, groups, files, cpus):
    write(tmp_path / "cgroup", groups)
    for name, text in files.items():
        write(tmp_path / "fs" / name, text)
    assert cpu_quota(tmp_path / "cgroup", tmp_path / "fs") == cpus


def test_a_system_without_control_groups_has_no_limit(tmp_path):
    assert cpu_quota(tmp_path / "missing", tmp_path) == 1e6


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n\nmodel\t: 1\n",
            "AMD EPYC (family 25, model 17)",
        ),
        ("processor\t: 0\nmodel name\t: ARMv7 Processor rev 3: (v7l)\n", "ARMv7 Processor rev 3: (v7l)"),
    ],
)
def test_two_generations_of_one_name_are_told_apart(tmp_path, monkeypatch, text, name):
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(text)
    assert machine.processor() == name
