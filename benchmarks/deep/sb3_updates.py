"""Updates of our `sac` and of stable-baselines3's SAC from the same state, compared along a training run.

`python -m benchmarks.deep.sb3_updates --env HalfCheetah-v5 --steps 30000`

Every `--every` steps of a run of ours (one seed), all weights, targets, Adam moments and the temperature are
copied into stable-baselines3's agent. Then both make one update with the same minibatch and the same noise.
This is done twice: with its log(1 - a^2 + 1e-6), and with the exact log(1 - tanh(u)^2) in its place.
Written are the relative differences of the gradients (2-norms), the differences of the parameters after the
update (in learning rates, quantile 0.99 over the entries), and the largest difference of actions at random
observations.

Expected before the first run: a gradient is a sum of a few hundred float32 products (relative rounding about
1e-6), added over a batch with cancellation. So the differences may reach some 1e-4 of the norm if a gradient
is small compared with its terms. As for parameters, Adam divides by sqrt(v): an entry whose gradient is near
rounding may move by up to a learning rate either way, but most entries should agree within 1e-3 learning
rates.
"""

import json
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor
from torch.distributions import normal

from virel_deep.agent.fused import FusedAgent
from virel_deep.design.presets import run_config
from virel_deep.networks.network import Network
from virel_deep.run.actors import make_actor
from virel_deep.run.trainer import Trainer

try:
    from stable_baselines3 import SAC
    from stable_baselines3.common.type_aliases import ReplayBufferSamples

    from benchmarks.deep.sb3 import use_exact_density
except ModuleNotFoundError as error:
    sys.exit(f"benchmarks.deep.sb3_updates: {error}; it needs `pip install stable-baselines3`")

Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """Compare single updates of our `sac` with those of stable-baselines3's SAC."""

    env: str = "HalfCheetah-v5"
    """Id of a Gymnasium environment."""
    steps: int = 30_000
    """Environment steps of the run."""
    every: int = 250
    """Steps between two comparisons."""
    seed: int = 0
    """Seed of the run."""
    out: Path | None = None
    """File for the rows, as JSON lines; None writes none."""


class Theirs:
    """stable-baselines3's agent, made to update from our state, batch and noise."""

    def __init__(self, env: str, *, exact: bool) -> None:
        """Build the agent; `exact` replaces its log density by the exact one."""
        self.sac = SAC("MlpPolicy", env, device="cpu", policy_kwargs={"net_arch": [256, 256]})
        self.sac._setup_learn(1)
        self.gradients: Gradients = {}
        if exact:
            use_exact_density(self.sac)
        actor, critic = self.sac.actor, self.sac.critic
        self.modules = {
            "policy": [[actor.latent_pi[0]], [actor.latent_pi[2]], [actor.mu, actor.log_std]],
            "critic": [[q[i] for q in critic.q_networks] for i in (0, 2, 4)],
        }
        target = self.sac.critic_target
        self.modules["target_critic"] = [[q[i] for q in target.q_networks] for i in (0, 2, 4)]
        optimisers = {"policy": actor.optimizer, "critic": critic.optimizer}
        for name, optimiser in optimisers.items():
            self._note_gradients(name, optimiser)
        self.optimisers = optimisers | {"log_alpha": self.sac.ent_coef_optimizer}

    def _note_gradients(self, name: str, optimiser: torch.optim.Optimizer) -> None:
        """Keep the gradient of each step, since the policy's loss later adds one to the critics."""
        step = optimiser.step

        def noting(*args: Any, **kwargs: Any) -> Any:
            self.gradients[name] = self.flat(name, lambda p: p.grad)
            return step(*args, **kwargs)

        optimiser.step = noting  # type: ignore[method-assign]

    def flat(self, name: str, part: Any = lambda p: p) -> Tensor:
        """A network's parameters, or `part` of each, in our order: layer by layer, weight then bias."""
        blocks = []
        for layer in self.modules[name]:
            for key in ("weight", "bias"):
                values = [part(getattr(module, key)).detach() for module in layer]
                values = [v.T.contiguous() if v.ndim == 2 else v for v in values]
                if name == "policy":  # two heads of one network: our columns
                    blocks.append(torch.cat(values, dim=-1).flatten())
                else:
                    blocks += [torch.stack(values).flatten()]
        return torch.cat(blocks)

    def load(self, agent: FusedAgent) -> None:
        """Copy all of our agent's state: weights, targets, Adam moments, temperature."""
        state = agent.seed_state(0)
        for name, layers in self.modules.items():
            for kind in ("", "_exp_avg", "_exp_avg_sq") if name != "target_critic" else ("",):
                for i, layer in enumerate(layers):
                    for key in ("weight", "bias"):
                        block = torch.as_tensor(state[name + kind][f"{i}.{key}"])
                        # Theirs: one module per critic, and two for the halves of a policy's last layer.
                        parts = block if name != "policy" else block.chunk(len(layer), dim=-1)
                        for module, value in zip(layer, parts, strict=True):
                            self._put(name, kind, getattr(module, key), value, state["steps"])
        tuned = state["temperature"]
        log_alpha = self.sac.log_ent_coef
        assert log_alpha is not None
        log_alpha.data.fill_(tuned["log_alpha"])
        self.sac.ent_coef_optimizer.state[log_alpha] = {  # type: ignore[union-attr]
            "step": torch.tensor(float(tuned["step"])),
            "exp_avg": torch.full_like(log_alpha, tuned["exp_avg"]),
            "exp_avg_sq": torch.full_like(log_alpha, tuned["exp_avg_sq"]),
        }

    def _put(self, name: str, kind: str, parameter: Tensor, value: Tensor, steps: dict[str, Any]) -> None:
        value = value.reshape(-1, value.shape[-1]).T.reshape(parameter.shape).clone()
        if kind == "":
            parameter.data.copy_(value)
        else:
            state = self.optimisers[name].state[parameter]  # type: ignore[union-attr]
            state["step"] = torch.tensor(float(steps[name]))
            state[kind[1:]] = value

    def update(self, agent: FusedAgent, batch: Tensor, noise: Tensor) -> None:
        """Make one update of theirs with this batch `[B, width]` and noise `[2 B, A]`."""
        c = agent.columns
        rows = ReplayBufferSamples(
            batch[:, c.observation], batch[:, c.action], batch[:, c.next_observation],
            batch[:, [c.terminated]], batch[:, [c.reward]],
        )  # fmt: skip
        self.sac.replay_buffer.sample = lambda *_, **__: rows  # type: ignore[method-assign, union-attr]
        with drawing(noise.chunk(2)):
            self.sac.train(1, len(batch))

    def act(self, observation: Tensor, noise: Tensor) -> Tensor:
        """Actions while learning, `[N, A]`, followed by those of an evaluation."""
        with drawing([noise]), torch.no_grad():
            explored = self.sac.actor(observation)
        with torch.no_grad():
            return torch.cat((explored, self.sac.actor(observation, deterministic=True)))


@contextmanager
def drawing(noise: Sequence[Tensor]) -> Iterator[None]:
    """Make torch's normal distributions return these tensors, in order; every one must be used."""
    queue = deque(noise)
    original, normal._standard_normal = normal._standard_normal, lambda *_, **__: queue.popleft()
    try:
        yield
    finally:
        normal._standard_normal = original
    assert not queue


def ours(network: Network, flat: Tensor) -> Tensor:
    """A flat tensor of one of our networks, without its padding."""
    return torch.cat([block.flatten() for layer in network.views(flat) for block in layer])


def compare(agent: FusedAgent, theirs: Theirs) -> dict[str, float]:
    """Differences of gradients, parameters, temperature and actions after both updated."""
    row = {}
    for name, network in (("policy", agent.policy), ("critic", agent.critic)):
        mine, other = ours(network, network.gradient), theirs.gradients[name]
        row[f"{name} gradient"] = float((mine - other).norm() / other.norm())
        moved = (ours(network, network.flat) - theirs.flat(name)).abs() / agent.algorithm.learning_rate
        row[f"{name} step"] = float(moved.quantile(0.99))
    target = agent.targets["critic"]
    apart = ours(target, target.flat) - theirs.flat("target_critic")
    row["target step"] = float(apart.abs().quantile(0.99)) / agent.algorithm.learning_rate
    log_alpha = theirs.sac.log_ent_coef
    assert log_alpha is not None
    seen, noise = torch.randn(64, agent.n_observation), torch.randn(64, agent.n_action)
    calm = make_actor(agent.algorithm, agent.seed_networks(0)).act(seen.numpy())
    mine = np.concatenate((agent.act(seen[None].numpy(), noise[None].numpy())[0], calm))
    row["action"] = float(np.abs(mine - theirs.act(seen, noise).numpy()).max())
    row["log alpha step"] = abs(float(agent.temperature.alpha[0, 0].log() - log_alpha.detach())) / 3e-4
    return row


def main() -> int:
    """Train, compare along the way, print a table."""
    options = tyro.cli(Options, prog="python -m benchmarks.deep.sb3_updates")
    torch.set_num_threads(1)
    config = run_config(
        "sac", options.env, steps=options.steps, seeds=(options.seed,), eval_every=options.steps
    )
    peers = {"as it is": Theirs(options.env, exact=False), "exact density": Theirs(options.env, exact=True)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        group = Trainer(Path(folder), config, [options.seed], resume=False)
        update = group.learning.compute

        def compared() -> None:
            if group.step % options.every:
                update()
                return
            for theirs in peers.values():
                theirs.load(group.agent)
            update()
            for name, theirs in peers.items():
                theirs.update(group.agent, group.learning.batch[0], group.learning.noise["action"][0])
                rows.append({"step": group.step, "peer": name} | compare(group.agent, theirs))

        group.learning.compute = compared  # type: ignore[assignment]
        while not group.done:
            group.advance(lambda *_: None)
            if group.step % 5000 == 0:
                print(f"{group.step:,}", file=sys.stderr, flush=True)
        group.close()
    if options.out:
        options.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    keys = [key for key in rows[0] if key not in {"step", "peer"}]
    for name in peers:
        print(f"{name}: {len(rows) // len(peers)} updates, median and largest")
        for key in keys:
            values = [row[key] for row in rows if row["peer"] == name]
            print(f"  {key:16} {np.median(values):.1e} {max(values):.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
