"""The processor's name and the number of CPUs."""

import os

from virel_common import machine


def test_the_processor_has_a_name_without_cpuinfo_too(monkeypatch, tmp_path):
    assert machine.processor()
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "absent")
    assert machine.processor()


def test_the_name_is_that_of_the_first_model(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: Fast 9000\nmodel name\t: Slow 1\n")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.processor() == "Fast 9000"


def test_only_the_cpus_that_this_process_may_use_count():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert machine.available_cpus() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    assert machine.available_cpus() == len(allowed)
