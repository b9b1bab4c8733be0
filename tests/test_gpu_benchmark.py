"""The prepared command for a GPU, tried on the CPU: what it records, and that being stopped keeps it."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch

from benchmarks.deep.gpu import STACKS, parity
from virel_deep.design.presets import algorithm

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")

pytestmark = pytest.mark.mujoco


def run(out, *options):
    command = [sys.executable, "-m", "benchmarks.deep.gpu", "--device", "cpu", "--quick", "--out", str(out)]
    subprocess.run([*command, "--processes", "2", *options], cwd=ROOT, check=True, timeout=300)
    with tarfile.open(out / "study.tar.gz") as archive:
        return json.loads((out / "gpu.json").read_text()), archive.getnames()


@pytest.mark.long
def test_the_quick_form_records_parity_speed_and_the_runs_of_the_study(tmp_path):
    found, packed = run(tmp_path / "out")
    assert found["parity"]["device"] == found["parity"]["cpu"]  # the same device
    assert found["updates"].keys() == {str(seeds) for seeds in STACKS}
    assert all(0 < one["per_second"] < one["floor_per_second"] for one in found["updates"].values())
    assert {name: one["finished"] for name, one in found["study"].items()} == {
        "sac-Hopper-v5": True,
        "beta-Hopper-v5": True,
    }
    assert set(found["statuses"].values()) == {0}
    assert "jobs/beta-Hopper-v5/seed-0/metrics.jsonl" in packed
    assert not any("checkpoints" in name or "replay" in name for name in packed)


@pytest.mark.long
def test_when_the_time_is_over_the_runs_are_stopped_and_a_later_call_continues_them(tmp_path):
    out, runs = tmp_path / "out", ["--runs", str(tmp_path / "runs")]
    found, _ = run(out, "--seconds", "0", *runs)
    assert set(found["statuses"].values()) <= {0, 130}
    assert "parity" in found
    found, _ = run(out, *runs)
    assert all(one["finished"] for one in found["study"].values())


def test_in_single_precision_five_updates_stay_near_the_exact_ones():
    # Five Adam steps of 3e-4 move a weight of about 0.1 by 1.5 %; a wrong update would show in the second
    # digit. Rounding alone is below 1e-3 even where Adam amplifies it by a hundred.
    of = algorithm("sac", "HalfCheetah-v5", {"hidden": (16, 16), "data.batch": 16})
    distances = parity(of, CPU, updates=5)
    assert distances["cpu"] == distances["device"]
    assert all(0 < one < 1e-3 for one in distances["cpu"].values())
