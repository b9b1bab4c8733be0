"""SAC of stable-baselines3, trained like our `sac` and written as a run folder that `virel compare` reads.

`python -m benchmarks.deep.sb3 --env HalfCheetah-v5 --steps 30000 --out out/learning/sb3-sac-HalfCheetah-v5`

It has the same network (2 x 256), batch 256, learning rate 3e-4, tau 0.005, gamma 0.99, tuned temperature,
5,000 uniform steps, one update per step and one deterministic episode every 1,000 steps. A finished seed is
skipped; an interrupted one starts again.
"""

import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import torch
import tyro
from torch import Tensor
from torch.nn.functional import softplus

try:
    import stable_baselines3
    from stable_baselines3 import SAC
    from stable_baselines3.common.callbacks import BaseCallback
except ModuleNotFoundError as error:
    sys.exit(f"benchmarks.deep.sb3: {error}; it needs `pip install stable-baselines3`")

WARMUP, EVERY = 5000, 1000


@dataclass(frozen=True)
class Options:
    """Train SAC of stable-baselines3 and write a run folder that `virel compare` reads."""

    env: str
    """Id of a Gymnasium environment."""
    steps: int
    """Environment steps per seed."""
    out: Path
    """Run folder to write."""
    seeds: int = 3
    """Number of seeds."""
    first_seed: int = 0
    """First seed; the others follow it."""
    exact_density: bool = False
    """Replace its log(1 - a^2 + 1e-6) by the exact log(1 - tanh(u)^2), as in our code."""


class Evaluation(BaseCallback):
    """Evaluation by one deterministic episode every `EVERY` steps, written as an `eval` row."""

    def __init__(self, env: str, seed: int, file: Path) -> None:
        """Make an environment for evaluation only."""
        super().__init__()
        self.env, self.seed, self.file = gymnasium.make(env), seed, file
        self.start = time.monotonic()

    def _on_step(self) -> bool:
        if self.num_timesteps % EVERY == 0:
            observation, _ = self.env.reset(seed=10_000 + 1000 * self.seed + self.num_timesteps // EVERY)
            total, length, over = 0.0, 0, False
            while not over:
                action, _ = self.model.predict(observation, deterministic=True)
                observation, reward, terminated, truncated, _ = self.env.step(action)
                total, length, over = total + float(reward), length + 1, terminated or truncated
            row = {"step": self.num_timesteps, "kind": "eval", "wall": time.monotonic() - self.start}
            row |= {"return": total, "returns": [total], "lengths": [length]}
            with self.file.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"seed {self.seed}: step {self.num_timesteps:,}, return {total:.1f}", flush=True)
        return True


def main() -> int:
    """Train the seeds one after another and write the run folder."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.sb3")
    torch.set_num_threads(1)
    _write(options.out / "config.json", _config(options))
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        folder = options.out / f"seed-{seed}"
        if (folder / "done.json").exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        metrics = folder / "metrics.jsonl"
        metrics.unlink(missing_ok=True)
        model = SAC(
            "MlpPolicy", options.env, learning_rate=3e-4, batch_size=256, tau=0.005, gamma=0.99,
            learning_starts=WARMUP, train_freq=1, gradient_steps=1, ent_coef="auto", seed=seed, device="cpu",
            policy_kwargs={"net_arch": [256, 256]},
        )  # fmt: skip
        if options.exact_density:
            use_exact_density(model)
        model.learn(options.steps, callback=Evaluation(options.env, seed, metrics))
        _write(folder / "done.json", {"step": options.steps})
    return 0


def use_exact_density(model: SAC) -> None:
    """Replace the log density of squashed actions in a model of stable-baselines3 by the exact one."""
    squashed = model.actor.action_dist

    def log_prob(_actions: Tensor, u: Tensor) -> Tensor:
        slope = 2 * (math.log(2) - u - softplus(-2 * u))
        return (squashed.distribution.log_prob(u) - slope).sum(1)

    squashed.log_prob = log_prob  # type: ignore[method-assign, assignment]


def _config(options: Options) -> dict[str, Any]:
    versions = {
        "stable-baselines3": stable_baselines3.__version__,
        "torch": torch.__version__,
        "gymnasium": gymnasium.__version__,
        "mujoco": mujoco.__version__,
    }
    config = {
        "preset": "sb3-sac-exact" if options.exact_density else "sb3-sac",
        "env": options.env,
        "steps": options.steps,
        "eval_episodes": 1,
    }
    return {"format": 1, "config": config, "command": sys.argv, "versions": versions}


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
