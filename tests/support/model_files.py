"""Model files that tests write, in the dialects of QVBS, PRISM and Storm, and the values they should have."""

import json

import numpy as np

# A walk 0 -> 1 -> 2 (goal) with a choice of a fair or a sure step in state 0.
PRISM_TRA = "3 4 5\n0 0 0 0.5 fair\n0 0 1 0.5 fair\n0 1 1 1 sure\n1 0 2 1\n2 0 2 1\n"
STORM_TRA = "mdp\n0 0 0 0.5\n0 0 1 0.5\n0 1 1 1\n1 0 2 1\n2 0 2 1\n"
PRISM_LAB = '0="init" 1="deadlock" 2="goal"\n0: 0\n2: 2\n'
STORM_LAB = "#DECLARATION\ninit deadlock goal\n#END\n0 init\n2 goal\n"
TREW = "3 4 2\n0 0 1 6\n0 1 1 4\n"
SREW = "3 2\n0 1\n2 9\n"


def optimal_values(mdp, sense="max", n_sweeps=3000):
    """Optimal values `[S]` by plain value iteration, not by the package's solvers.

    3000 sweeps at gamma = 0.99 leave 1e-13 of max|v|.
    """
    best, missing = (np.max, -np.inf) if sense == "max" else (np.min, np.inf)
    v = np.zeros(mdp.n_states)
    for _ in range(n_sweeps):
        v = best(np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), missing), axis=1)
    return v


def qvbs_arrays(**changes):
    """Arrays of a QVBS archive: states 0 (two choices), 1 (one), 2 (the goal, whose choices would earn)."""
    arrays = {
        "choice_ptr": np.array([0, 2, 3, 5]),
        "indptr": np.array([0, 2, 3, 4, 5, 6]),
        "indices": np.array([1, 1, 2, 0, 0, 1]),
        "prob": np.array([0.5, 0.5, 1.0, 1.0, 1.0, 1.0]),
        "init": np.int64(1),
        "reward__cost": np.array([1.0, 5.0, 1.0, 7.0, 7.0]),
        "goal__cost": np.array([2]),
        "meta": json.dumps({"properties": {"cost": {"sense": "min"}}}),
    }
    return {name: x for name, x in (arrays | changes).items() if x is not None}


def write_qvbs(tmp_path, **changes):
    """Write `qvbs_arrays` to an archive and return its path."""
    path = tmp_path / "model.npz"
    np.savez(path, **qvbs_arrays(**changes))
    return path


def write_files(folder, **texts):
    """Write each text to `model.ENDING`; returns `{ending: path}`."""
    paths = {}
    for ending, text in texts.items():
        paths[ending] = folder / f"model.{ending}"
        paths[ending].write_text(text)
    return paths
