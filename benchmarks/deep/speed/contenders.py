"""Learners that are timed, behind one interface: our presets, SAC of stable-baselines3 and of SBX (JAX).

All learn in the same environment from a replay of the same size, with one update per environment step. Plain
matrix products are a contender too: their rate is the floor of everybody's update.
"""

import importlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.deep.speed.places import ENV, env_of

if TYPE_CHECKING:
    from virel_deep.design.algorithm import Algorithm

ROWS = 100_000
"""Transitions in the replay at the start: more than the caches hold, as in training."""
REAL = 1000
"""Transitions collected with uniform actions; the replay repeats them."""
STARTED = 1024
"""Steps that count as made before: more than a minibatch, so that the first one has an update."""
NEVER = 1_000_000_000

OURS = ("sac", "virel-twin", "beta-twin", "virel", "beta")
"""Presets that the page compares with peers."""
OTHERS = (
    "mpo", "mpo-parametric", "rerpi", "vmpo", "erpg", "sac-iterative", "sql",
    "mb-sac", "mb-mpo", "mb-iadp", "smcp", "iadp", "hdp", "distral",
)  # fmt: skip
"""Presets of other families, with the paces of their sources; `--rows` times them."""
PACED: dict[str, tuple[str, dict[str, object]]] = {
    "mpo/8": ("mpo", {"update_every": 8}),
    "rerpi/8": ("rerpi", {"update_every": 8}),
}
"""Presets with fewer updates than steps: MPO and its kin as acme paces them, one update in 8 steps."""
EVERY_ROW = ("sac", "virel", "beta", *OTHERS, *PACED)
"""What `--rows` times."""
MODULES = {"sb3": "stable_baselines3", "sbx": "sbx"}
"""Module of each peer by its name here. Both modules use the argument names of stable-baselines3."""
PRODUCTS = "products"


class Contender(Protocol):
    """A learner that continues from its present state at each call."""

    facts: dict[str, str]

    def learn(self, steps: int) -> dict[str, float]:
        """Act, store and update `steps` times; return the seconds inside updates, if it can tell them."""

    def update(self, times: int) -> None:
        """Make `times` updates without acting; each draws its minibatch and noise."""


def contender(name: str, seeds: int, threads: int, folder: Path) -> Contender:
    """Build the contender of this name, ready to learn; it writes into `folder`."""
    if is_ours(name):
        return Ours(name, seeds, threads, folder)
    if name == PRODUCTS:
        return Products(threads)
    return Peer(MODULES[name], threads)


def is_ours(name: str) -> bool:
    """Whether a contender is a preset of ours, at its own pace or another."""
    return name in {*OURS, *OTHERS, *PACED}


def chosen_algorithm(name: str) -> "Algorithm":
    """Algorithm of one of our contenders, without uniform steps at the start."""
    from virel_deep.design.presets import algorithm  # noqa: PLC0415

    preset, settings = PACED.get(name, (name, {}))
    found = algorithm(preset, env_of(preset), settings)
    return replace(found, data=found.data.without_warmup())


class Ours:
    """Stacked seeds of one of our presets, as `virel train` runs them, without evaluation and checkpoints."""

    def __init__(self, preset: str, seeds: int, threads: int, folder: Path) -> None:
        """Build the learner and fill its replay."""
        from virel_deep.run import launch  # noqa: PLC0415  (each worker imports its own contender only)

        launch._keep_freed_memory()
        import torch  # noqa: PLC0415

        from virel_deep.design.presets import run_config  # noqa: PLC0415
        from virel_deep.networks.precision import chosen  # noqa: PLC0415
        from virel_deep.run.trainer import Trainer  # noqa: PLC0415

        torch.set_num_threads(threads)
        name = PACED.get(preset, (preset, {}))[0]
        self.config = run_config(
            name,
            env_of(name),
            steps=NEVER,
            seeds=tuple(range(seeds)),
            algorithm=chosen_algorithm(preset),
            eval_every=NEVER,
            checkpoint_every=NEVER,
            threads=threads,
        )
        self.group = Trainer(folder, self.config, self.config.seeds, resume=False)
        found = transitions(env_of(name))
        rows = np.tile(_rows(*found, width=self.group.agent.columns.width), (seeds, 1, 1))
        for _ in range(-(-min(ROWS, self.group.replay.capacity) // REAL)):
            self.group.replay.add(torch.from_numpy(rows[:, : self.group.replay.capacity]))
        self.group.step = STARTED
        self.facts: dict[str, str] = {"precision": chosen(self.config.precision, self.config.device, threads)}
        self.facts["rollout"] = str(getattr(self.config.algorithm.data, "length", 1))
        self.inside = 0.0
        learning = self.group.learning
        learning.compute = self._timed(learning.compute)  # type: ignore[assignment]

    def _timed(self, compute: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            start = time.perf_counter()
            compute()
            self.inside += time.perf_counter() - start

        return run

    def learn(self, steps: int) -> dict[str, float]:
        """Step every seed `steps` times; return the seconds spent inside updates."""
        self.inside = 0.0
        for _ in range(steps):
            self.group.advance(lambda _step, _shown: None)
        return {"inside_s": self.inside}

    def update(self, times: int) -> None:
        """Update every seed `times` times."""
        from virel_deep.networks.precision import products  # noqa: PLC0415

        with products(self.config.precision, self.config.device):
            for _ in range(times):
                self.group._update()


class Peer:
    """SAC of stable-baselines3 or of SBX, with 2 x 256 units, batches of 256 and one update per step."""

    def __init__(self, module: str, threads: int) -> None:
        """Build the agent and fill its replay."""
        if module == "stable_baselines3":
            importlib.import_module("torch").set_num_threads(threads)
        self.model = importlib.import_module(module).SAC(
            "MlpPolicy", ENV, learning_rate=3e-4, batch_size=256, tau=0.005, gamma=0.99, learning_starts=0,
            train_freq=1, gradient_steps=1, ent_coef="auto", seed=0, device="cpu",
            policy_kwargs={"net_arch": [256, 256]},
        )  # fmt: skip
        self.facts: dict[str, str] = {}
        self.jax = importlib.import_module("jax") if module == "sbx" else None
        self.model.learn(2)  # the first one makes what `train` needs
        replay = self.model.replay_buffer
        stored = (replay.observations, replay.actions, replay.next_observations, replay.rewards)
        for into, values in zip(stored, transitions(ENV), strict=True):
            of_one = values.reshape(REAL, *into.shape[1:])
            into[:ROWS] = np.tile(of_one, (ROWS // REAL, *[1] * (of_one.ndim - 1)))
        replay.pos = ROWS

    def learn(self, steps: int) -> dict[str, float]:
        """Learn for `steps` steps; how much of it was updates is not told."""
        self.model.learn(steps, reset_num_timesteps=False)
        self._settle()
        return {}

    def update(self, times: int) -> None:
        """Make `times` updates."""
        for _ in range(times):
            self.model.train(gradient_steps=1, batch_size=256)
        self._settle()

    def _settle(self) -> None:
        """Wait until JAX has computed everything that it was asked for."""
        if self.jax is not None:
            self.jax.block_until_ready((self.model.policy.qf_state, self.model.policy.actor_state))


class Products:
    """Float32 matrix products alone: their largest rate is the floor of everybody's update."""

    def __init__(self, threads: int) -> None:
        """Set torch's number of threads."""
        self.facts: dict[str, str] = {}
        self.torch = importlib.import_module("torch")
        self.torch.set_num_threads(threads)

    def learn(self, steps: int) -> dict[str, float]:
        """Flops per second under two precision settings of torch: the best of `steps` products per size."""
        before = self.torch.get_float32_matmul_precision()
        rates = {}
        for setting in ("highest", "medium"):
            self.torch.set_float32_matmul_precision(setting)
            rates[setting] = max(self._rate(256, steps), self._rate(512, steps))
        self.torch.set_float32_matmul_precision(before)
        return rates

    def update(self, times: int) -> None:
        """Do nothing: products have no updates."""

    def _rate(self, n: int, times: int) -> float:
        a, b, out = (self.torch.ones(n, n) for _ in range(3))
        best = np.inf
        for _ in range(times + 5):
            start = time.perf_counter()
            self.torch.mm(a, b, out=out)
            best = min(best, time.perf_counter() - start)
        return float(2 * n**3 / best)


def transitions(env_id: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Collect s, a, s', r of `REAL` steps with uniform actions; what is discrete is one-hot, as stored."""
    env = _made(env_id)
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    s, a, s_next, r = [], [], [], []
    for _ in range(REAL):
        s.append(_vector(env.observation_space, observation))
        chosen = env.action_space.sample()
        a.append(_vector(env.action_space, chosen))
        observation, reward, terminated, truncated, _ = env.step(chosen)
        s_next.append(_vector(env.observation_space, observation))
        r.append(float(reward))
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    return np.array(s), np.array(a), np.array(s_next), np.array(r)


def _made(env_id: str) -> Any:
    """Make an environment; peers have none of ours, and may have no package of ours beside them."""
    if env_id.startswith("virel/"):
        importlib.import_module("virel_deep.data.tasks").register()
    return importlib.import_module("gymnasium").make(env_id)


def _vector(space: Any, value: Any) -> NDArray[Any]:
    """An observation or action as a vector: one-hot if it is a number of a discrete space."""
    return np.eye(int(space.n))[int(value) - int(space.start)] if hasattr(space, "n") else np.asarray(value)


def _rows(
    s: NDArray[Any], a: NDArray[Any], s_next: NDArray[Any], r: NDArray[Any], *, width: int
) -> NDArray[np.float32]:
    """Transitions as rows of our replay, none of them terminal, with tails of zeros up to a width."""
    plain = np.concatenate((s, a, s_next, r[:, None]), axis=1)
    return np.pad(plain, ((0, 0), (0, width - plain.shape[1]))).astype(np.float32)
