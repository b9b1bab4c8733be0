"""Helpers of the deep agent's tests: data of our choice, states leaf by leaf, runs without clocks."""

import json
from contextlib import contextmanager

import numpy as np
import torch

from virel_deep.agent.build import make_agent
from virel_deep.agent.interfaces import Own
from virel_deep.axes.interfaces import Draw
from virel_deep.data.replay import Columns, held_out
from virel_deep.design.adapt import discrete_form
from virel_deep.design.presets import PRESETS
from virel_deep.design.records import changed
from virel_deep.design.run import RunConfig
from virel_deep.run.folder import seed_folder, write_config
from virel_deep.run.trainer import Trainer
from virel_deep.storage.checkpoint import load
from virel_deep.streams import generator

CPU = torch.device("cpu")
SMALL = {"hidden": (8, 8), "data.batch": 16, "data.warmup": 20}
COPIES = 2
"""Copies of the environment that rollouts of `update_data` are of."""
CLOCKED = ("wall", "steps_per_second")
"""Entries of a metrics row that no two runs have in common."""


def algorithm_of(preset, **settings):
    """A preset with some settings replaced, by dotted names: `**{"data.batch": 16}`."""
    return changed(PRESETS[preset].algorithm, settings)


def discrete_of(preset, **settings):
    """The form that a preset has where actions are discrete, with some of its settings replaced."""
    return changed(discrete_form(PRESETS[preset].algorithm), settings)


def agent_of(algorithm, n_observation, n_action, seeds=(0,), *, general=False):
    generators = [generator(seed, "weights") for seed in seeds]
    return make_agent(algorithm, n_observation, n_action, generators, device=CPU, general=general)


def windows(size, algorithm, n_observation, n_action, rng):
    """`[size, n, width]` windows of rows with tails: a tenth of them ends an episode, either way."""
    columns, n = Columns.of(n_observation, n_action, algorithm.tails), algorithm.value.window
    rows = torch.randn(size, n, columns.width, generator=rng)
    for ends in (columns.terminated, columns.truncated):
        rows[..., ends] = (torch.rand(size, n, generator=rng) < 0.1).float()
    if algorithm.posterior.discrete:
        rows[..., columns.action] = one_hot(rows[..., columns.action])
        return rows
    rows[..., columns.action] = (
        rows[..., columns.pre].tanh() if columns.pre else rows[..., columns.action].tanh()
    )
    return rows


def rollouts(shape, columns, rng, *, discrete=False):
    """`[E, T, width]` rollouts of random rows, where each state of an episode follows from the one before."""
    rows = torch.randn(*shape, columns.width, generator=rng)
    for ends in (columns.terminated, columns.truncated):
        rows[..., ends] = (torch.rand(shape, generator=rng) < 0.1).float()
    rows[..., columns.action] = (
        one_hot(rows[..., columns.action]) if discrete else rows[..., columns.pre].tanh()
    )
    goes_on = rows[:, :-1, columns.terminated] + rows[:, :-1, columns.truncated] == 0
    rows[:, 1:, columns.observation][goes_on] = rows[:, :-1, columns.next_observation][goes_on]
    return rows


def sized(preset, settings):
    """Settings for the data of a preset: rollouts as long as the minibatch that is asked for, no warm-up."""
    if PRESETS[preset].algorithm.data.kind == "replay":
        return settings
    settings = {name: value for name, value in settings.items() if name != "data.warmup"}
    return {{"data.batch": "data.length"}.get(name, name): value for name, value in settings.items()}


def one_hot(numbers):
    """One-hot vectors `[..., A]` of the largest of some numbers."""
    return torch.eye(numbers.shape[-1])[numbers.argmax(-1)]


def transitions(size, n_observation, n_action, rng):
    """`[size, width]` rows of a replay: a tenth terminated, actions uniform, the rest standard normal."""
    rows = torch.randn(size, 2 * n_observation + n_action + 2, generator=rng)
    rows[:, n_observation : n_observation + n_action].uniform_(-1, 1, generator=rng)
    rows[:, -1] = (torch.rand(size, generator=rng) < 0.1).float()
    return rows


def update_data(algorithm, n_observation, n_action, *, updates, seed):
    """What one seed's updates read: rows, normal noise, and `own`, a pair of them or None; all without K."""
    rng = torch.Generator().manual_seed(1000 + seed)
    data, own_size = [], algorithm.temperature.estimate.batch
    agent = agent_of(algorithm, n_observation, n_action)
    draws = agent.draws
    minibatch = algorithm.data.transitions(COPIES)

    def rows_of(size):
        if algorithm.data.kind == "rollouts":
            discrete = algorithm.posterior.discrete
            return rollouts(algorithm.data.shape(1, COPIES), agent.columns, rng, discrete=discrete)
        if algorithm.value.window > 1:
            return windows(size, algorithm, n_observation, n_action, rng)
        rows = transitions(size, n_observation, n_action, rng)
        if agent.columns.held_out is not None:
            rows = torch.cat((rows, torch.from_numpy(held_out(0, size))[:, None]), dim=1)
        if algorithm.posterior.discrete:
            action = slice(n_observation, n_observation + n_action)
            rows[:, action] = one_hot(rows[:, action])
        return rows

    def noise_of(size):
        numbers = {
            name: torch.rand(size, draw.width, generator=rng)
            if draw.law == "uniform"
            else torch.randn(size, draw.width, generator=rng)
            for name, draw in (agent.noise or {"action": Draw(0)}).items()
        }
        return numbers["action"] if set(numbers) == {"action"} else numbers

    for _ in range(updates):
        batch = rows_of(minibatch)
        noise = noise_of(sum(draws) * minibatch)
        own = (rows_of(own_size), noise_of(draws.following * own_size)) if own_size else None
        data.append((batch, noise, own))
    return data


def named(noise):
    """Noise by name: a tensor alone is that of actions."""
    return noise if isinstance(noise, dict) else {"action": noise}


def together(noises):
    """Noises of several seeds, stacked by name."""
    return {name: torch.stack([named(noise)[name] for noise in noises]) for name in named(noises[0])}


def feed(agent, *data_of_seeds):
    """Updates of a stack of seeds, each with its own data."""
    for of_seeds in zip(*data_of_seeds, strict=True):
        batches, noises, owns = zip(*of_seeds, strict=True)
        own = None
        if owns[0] is not None:
            own_batches, own_noises = zip(*owns, strict=True)
            own = Own(torch.stack(own_batches), together(own_noises))
        agent.update(torch.stack(batches), together(noises), own)


def own_of(batch, noise):
    """A separate batch for eps_omega and its noise, as `StackedAgent.update` takes them."""
    return Own(batch, {"action": noise})


def leaves(state, prefix=""):
    """A nested state as `{"path/of/leaf": leaf}`."""
    out = {}
    for name, value in state.items():
        path = f"{prefix}/{name}" if prefix else name
        out |= leaves(value, path) if isinstance(value, dict) else {path: value}
    return out


def differing(state, other):
    """Paths of leaves whose bits differ; NaN equals NaN."""
    mine, theirs = leaves(state), leaves(other)
    assert mine.keys() == theirs.keys()
    return sorted(path for path in mine if not _same(mine[path], theirs[path]))


def _same(a, b):
    if isinstance(a, torch.Tensor | np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return repr(a) == repr(b)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def small_run(folder, preset, env, *, steps, seeds=(0,), settings=None, discrete=False, **config):
    """A run folder of tiny networks, its `config.json` written; returns its configuration."""
    form = discrete_of if discrete else algorithm_of
    algorithm = form(preset, **(sized(preset, SMALL) | (settings or {})))
    config = {"eval_every": 50, "log_every": 20, "checkpoint_every": 40, "precision": "highest"} | config
    out = RunConfig(preset=preset, env=env, algorithm=algorithm, steps=steps, seeds=seeds, **config)
    write_config(folder, out)
    return out


def metrics(seed_folder):
    """Rows of `metrics.jsonl` without what a clock says."""
    lines = (seed_folder / "metrics.jsonl").read_text().splitlines()
    return [
        {name: value for name, value in json.loads(line).items() if name not in CLOCKED} for line in lines
    ]


def train(run, config, seeds=None, *, resume=False, until=None, killed=False):
    """Train some seeds of a run, to its end or to a step where they are saved, or killed."""
    trainer = Trainer(run, config, config.seeds if seeds is None else seeds, resume=resume)
    try:
        while not trainer.done and trainer.step != until:
            trainer.advance(lambda *_: None)
        if not (trainer.done or killed):
            trainer.save()
    finally:
        trainer.close()
    return trainer


def quiet(*_):
    """Ignore a progress report."""


def result(run, seed):
    """All that a seed leaves: metrics, the last checkpoint, the replay."""
    loaded = load(seed_folder(run, seed) / "checkpoints")
    return {
        "metrics": json.dumps(metrics(seed_folder(run, seed))),
        "step": loaded.step,
        "state": loaded.state,
        "rows": {"first": loaded.rows.first, "data": loaded.rows.data},
    }


def assert_same(run, other, seeds):
    """Everything that these seeds leave is the same in both runs."""
    for seed in seeds:
        assert differing(result(run, seed), result(other, seed)) == []


def replay_rows(run, seed=0):
    """Observation, action, next observation, reward and terminated of the rows in the newest checkpoint."""
    loaded = load(seed_folder(run, seed) / "checkpoints")
    action = loaded.state["agent"]["n_action"]
    observation = (loaded.rows.data.shape[1] - 2 - action) // 2
    ends = np.cumsum([observation, action, observation, 1])
    return np.split(loaded.rows.data, ends, axis=1)
