"""Scripts run in processes that are forked from one that has the slow imports behind it.

Torch, Gymnasium, numba and matplotlib take four seconds to import, most of the time of a short script. The
server that is forked has only imported them: what a script registers or imports reaches no other.
"""

import multiprocessing
import os
import runpy
import sys
import warnings
from pathlib import Path
from subprocess import CompletedProcess

SLOW = (
    *("torch", "gymnasium", "mujoco", "numba", "scipy.optimize", "scipy.sparse.linalg", "scipy.stats"),
    *("matplotlib.pyplot", "rich.console", "tyro", "hypothesis", "virel_theory", "virel_deep", "verify"),
)

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([*SLOW])


def run_script(script, *arguments, folder, outputs, warning="default", **environment):
    """Run a Python script as `python script arguments` in `folder` would.

    Args:
        script: path of the script.
        arguments: what follows in `sys.argv`.
        folder: working directory.
        outputs: folder for what it prints.
        warning: what a warning does, as `python -W` has it.
        environment: variables that are set for the script.
    """
    told = [Path(outputs) / f"{Path(script).stem}.{name}" for name in ("stdout", "stderr")]
    argv = [str(x) for x in (script, *arguments)]
    process = _server.Process(target=_run, args=(argv, folder, told, warning, environment))
    process.start()
    process.join()
    return CompletedProcess(argv, process.exitcode, *(path.read_text(encoding="utf-8") for path in told))


def _run(argv, folder, told, warning, environment):
    for number, path in enumerate(told, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(folder)
    os.environ |= environment | {"PYTHONWARNINGS": warning}
    warnings.simplefilter(warning)
    sys.argv, sys.path[:0] = argv, [str(Path(argv[0]).resolve().parent)]
    runpy.run_path(argv[0], run_name="__main__")
