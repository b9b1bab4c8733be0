"""The deep agent in a Jupyter kernel: the page of the guide, several jobs, and the kernel's interrupt.

`make test-notebook` runs this; it needs the extra `virel[notebook]`.
"""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

from virel_deep.storage.checkpoint import load  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/guide/from_python.md"
SMALL = 'dict(settings={"hidden": (8, 8), "data.warmup": 20, "data.batch": 16}, eval_every=50)'
TIMEOUT = 240

pytestmark = [pytest.mark.notebook, pytest.mark.slow]


def blocks_of(page):
    """Python blocks of a page, one cell each."""
    return [text.split("```")[0] for text in page.read_text().split("```python\n")[1:]]


@pytest.fixture
def run_cells(tmp_path, monkeypatch):
    """Run cells in one kernel, whose folder is `tmp_path`; return the text that each printed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(cells, *, meanwhile=None, allow_errors=False):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        resources = {"metadata": {"path": str(tmp_path)}}
        client = nbclient.NotebookClient(
            notebook, timeout=TIMEOUT, kernel_name="python3", resources=resources, allow_errors=allow_errors
        )
        if meanwhile is not None:
            threading.Thread(target=meanwhile, args=(client,), daemon=True).start()
        client.execute()
        return [
            "".join(out.get("text", "") + "\n".join(out.get("traceback", [])) for out in cell.outputs)
            for cell in notebook.cells
        ]

    return run


def test_the_page_runs_cell_by_cell(run_cells, tmp_path):
    cells = blocks_of(PAGE)
    printed = run_cells(cells)
    assert len(cells) >= 5
    assert "400 steps of training: -" in printed[0]
    assert "| sac |" in printed[1]
    assert "2 seeds" in printed[2]
    assert load(tmp_path / "out/stopped/seed-0/checkpoints").step == 200


def test_an_error_in_a_cell_is_seen(run_cells):
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="`preset` must be one of"):
        run_cells(["import virel_deep", 'virel_deep.train("sca", "Pendulum-v1", steps=10)'])


def test_several_jobs_and_threads_train_in_a_kernel(run_cells):
    cells = [
        f"import threading, virel_deep\nmore = {SMALL}\nseen = []",
        """
virel_deep.train("sac", "Pendulum-v1", steps=100, seeds=2, jobs=2, out="a", **more,
                 on_evaluation=lambda step, returns: seen.append((step, *returns)))
print(sorted(seen))
""",
        """
thread = threading.Thread(target=virel_deep.resume, args=("a",), kwargs={"steps": 150})
thread.start()
thread.join()
print(virel_deep.load_policy("a").step)
""",
    ]
    printed = run_cells(cells)
    assert printed[1].strip().endswith("[(50, 0), (50, 1), (100, 0), (100, 1)]")
    assert printed[2].strip().endswith("150")


def test_the_kernels_interrupt_saves_and_stops_and_the_run_continues(run_cells, tmp_path):
    def interrupt(client):
        end = time.monotonic() + TIMEOUT
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(0.1)
        os.kill(client.km.provisioner.pid, signal.SIGINT)  # what the button does

    cells = [
        f"import pathlib, virel_deep\nmore = {SMALL}",
        """
virel_deep.train("sac", "Pendulum-v1", steps=1e6, checkpoint_every=1_000_000, out="run", **more,
                 on_evaluation=lambda *_: pathlib.Path("begun").touch())
""",
        """
step = virel_deep.load_policy("run").step
virel_deep.resume("run", on_evaluation=lambda now, _: now > step + 50)
print(virel_deep.load_policy("run").step > step)
""",
    ]
    printed = run_cells(cells, meanwhile=interrupt, allow_errors=True)
    assert "TrainingStopped" in printed[1]
    assert printed[2].strip().endswith("True")
