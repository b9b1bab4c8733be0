"""Hand-made run folders with given curves, for tests of what comes after training."""

import itertools
import json

import numpy as np
import torch

from virel_deep.design.presets import algorithm, run_config
from virel_deep.design.run import to_json
from virel_deep.results.names import entries
from virel_deep.results.read import read_run
from virel_deep.run.folder import read_config
from virel_deep.run.seed_checkpoint import owner
from virel_deep.storage.checkpoint import save


def write_run(folder, preset, env, curves, *, every=1000, steps=None, versions=None, **settings):
    """A finished run: `curves [K, T]` are the returns of seeds 0, 1, ... at steps every, 2 every, ..."""
    steps = steps or every * np.shape(curves)[1]
    chosen = algorithm(preset, env, settings)
    seeds = tuple(range(len(curves)))
    config = run_config(preset, env, steps=steps, seeds=seeds, eval_every=every, algorithm=chosen)
    return write_raw(folder, to_json(config), curves, every=every, versions=versions)


def write_raw(folder, config, curves, *, every=1000, versions=None, environment=()):
    """A run folder with any configuration, and records of its environments, if it is to have any."""
    versions = {"gymnasium": "1.4.0", "mujoco": "4.0.0"} if versions is None else versions
    folder.mkdir(parents=True)
    document = {"format": 1, "config": config, "command": ["virel", "train"], "versions": versions}
    document |= {"environment": list(environment)} if environment else {}
    (folder / "config.json").write_text(json.dumps(document))
    for seed, curve in enumerate(curves):
        write_seed(folder, seed, curve, every=every)
    return folder


def write_seed(folder, seed, curve, *, every=1000):
    rows = [
        {"step": (t + 1) * every, "kind": kind, "wall": float(t), "return": value}
        | ({"returns": [value], "lengths": [1000]} if kind == "eval" else {"temperature": 0.1})
        for t, value in enumerate(map(float, curve))
        for kind in ("train", "eval")
    ]
    (folder / f"seed-{seed}").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / f"seed-{seed}" / "metrics.jsonl").write_text(text)


def ramp(*tops):
    """`[K, 20]`: straight lines from top / 20 to top."""
    return np.outer(tops, np.arange(1, 21) / 20)


def named(folders):
    """Entries of the runs in these folders."""
    return entries([read_run(folder) for folder in folders])


def place_run(root, path, env, top=1.0, preset="sac", **settings):
    """A run of two seeds in the folder `root / path`."""
    return write_run(root / path, preset, env, ramp(top, 2 * top), **settings)


def learning(rng, n_seeds, n_points, top):
    """Curves that rise to about `top`, with noise within and between seeds, never the same twice."""
    t = np.linspace(0, 1, n_points)
    tops = top * rng.uniform(0.6, 1.2, size=(n_seeds, 1))
    return tops * (1 - np.exp(-4 * t)) * (1 + 0.15 * rng.normal(size=(n_seeds, n_points)))


def random_layers(rng, sizes, scale=1.0):
    """Layers of a policy, as torch initialises them, times `scale`."""
    return [
        (
            (scale * rng.uniform(-1, 1, (n_in, n_out)) / n_in**0.5).astype(np.float32),
            (scale * rng.uniform(-1, 1, n_out) / n_in**0.5).astype(np.float32),
        )
        for n_in, n_out in itertools.pairwise(sizes)
    ]


def write_checkpoint(run, seed, layers, *, step=1000):
    """A checkpoint with a deterministic policy of these layers."""
    blocks = {}
    for i, (weight, bias) in enumerate(layers):
        blocks[f"{i}.weight"] = torch.from_numpy(weight[None])
        blocks[f"{i}.bias"] = torch.from_numpy(bias[None, None])
    agent = {"policy": blocks, "n_action": layers[-1][1].size}
    state = {"agent": agent, "owner": owner(read_config(run), seed)}
    save(run / f"seed-{seed}" / "checkpoints", step, state, rows=None)
