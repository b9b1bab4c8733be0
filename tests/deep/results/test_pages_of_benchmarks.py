"""Tables and curves beside the pages of docs/benchmarks are what its README's commands make of `results/`."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import archive

PAGES = archive.ROOT / "docs/benchmarks"
BLOCK = "OUT=docs/benchmarks\n"
"""First line of the commands in docs/benchmarks/README.md."""
FOLDERS = ("pendulums", "runners", "sb3", "sb3-fresh", "residual")
NUMBERS = ("iqm", "low", "high")
"""Columns of a file of curves whose last digits may differ between machines."""


def commands():
    """Commands that write tables and figures, as the README has them."""
    return BLOCK + (PAGES / "README.md").read_text().split(BLOCK)[1].split("```")[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of tables and figures that the commands wrote from the unpacked results."""
    root = tmp_path_factory.mktemp("root")
    (root / "results").symlink_to(archive.ROOT / "results")
    for group in ("learning", "residual", "sb3"):
        archive.unpack(group, root)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path}
    subprocess.run(["bash", "-ec", commands()], cwd=root, check=True, env=environment, capture_output=True)
    return root / "docs/benchmarks"


def test_every_command_writes_a_folder_of_its_own():
    assert commands().count("virel compare") == commands().count("--out $OUT/") == len(FOLDERS)


@pytest.mark.long
@pytest.mark.skipif(
    not (archive.ROOT / "results").exists(), reason="a release's source archive leaves results/ out"
)
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_figures_is_what_its_command_makes_of_the_results(folder, made):
    """If it fails: the commands of docs/benchmarks/README.md, and a look at the figure."""
    assert (made / folder / "table.md").read_text() == (PAGES / folder / "table.md").read_text()
    (labels, numbers), (kept_labels, kept) = (curves(root / folder / "curves.csv") for root in (made, PAGES))
    assert labels == kept_labels
    assert numbers == pytest.approx(kept, rel=1e-9, abs=1e-9)


def curves(path):
    """Labels and steps of a file of curves, and its numbers."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = [[x for name, x in row.items() if name not in NUMBERS] for row in rows]
    return labels, [float(row[name]) for row in rows for name in NUMBERS]
