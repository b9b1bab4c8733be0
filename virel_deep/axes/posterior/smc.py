"""Posterior that plans: the policy of soft actor-critic proposes, a particle planner acts."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from virel_deep.axes.interfaces import Draw, Objective
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.posterior import smc_weights
from virel_deep.axes.posterior.smc_weights import Numbers
from virel_deep.axes.posterior.tanh_gaussian import TanhGaussian, before_tanh, tanh_gaussian
from virel_deep.axes.tensors import Weighted, seed_mean, seedwise
from virel_deep.design import model
from virel_deep.networks import placement
from virel_deep.networks.network import Network

REPORTS = ("plan_effective", "resamplings")
"""Metrics of the last plans: mean effective number of particles, and how often they were resampled."""


class Smc(TanhGaussian):
    """Tanh-Gaussian policy, learnt as in SAC, that proposes the actions of a planner; the planner acts.

    Args:
        settings: number of particles and steps, beside those of the policy.
        policy: network from a state to `2 A` outputs.
        gamma: discount factor.
        soft: whether the value of a state includes the divergence from the prior.
    """

    reports = REPORTS

    def __init__(self, settings: model.Smc, policy: Network, *, gamma: float, soft: bool) -> None:
        """Store the policy network, and declare the noise of a plan."""
        super().__init__(settings, policy)
        self._gamma, self._soft = gamma, soft
        self._particles, self._steps = settings.particles, settings.steps
        self._n_action, self._n_observation = policy.sizes[-1] // 2, policy.sizes[0]
        of_step = self._particles * (self._n_action + self._n_observation + 1)
        self.acting = Draw(self._particles + self._steps * (of_step + 1))
        self._last = torch.zeros(len(REPORTS), policy.seeds, device=policy.flat.device)

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Plan from each state, and take the first action of a particle that is drawn."""
        with torch.no_grad():
            numbers = self.numbers(noise)
            planned = self.planned if placement.on_gpu(state) else self.planned_by_compiled
            found = planned(state, numbers, objective)
            self._last.copy_(torch.stack((seed_mean(found.effective), seed_mean(found.resampled))))
            place = seedwise(smc_weights.drawn, found.log_weight, numbers.drawn)
            index = place[..., None, None].expand(-1, -1, 1, self._n_action)
            return found.first.gather(2, index).squeeze(2)

    def planned(self, state: Tensor, numbers: Numbers, objective: Objective) -> smc_weights.Planned:
        """Plan from states `[K, S, O]` through the objective's model, guided by policy and critics."""
        assert objective.world is not None, "a planner has a model"
        guide = PolicyGuide(self.networks["policy"], objective, soft=self._soft)
        return smc_weights.plan(
            objective.world, guide, state, numbers, alpha=objective.alpha, gamma=self._gamma
        )

    def planned_by_compiled(
        self, state: Tensor, numbers: Numbers, objective: Objective
    ) -> smc_weights.Planned:
        """Plan as `planned` does, one plan after the other in compiled code on the CPU."""
        from virel_deep.axes.posterior.smc_compiled import compiled_plan  # noqa: PLC0415  (brings numba)

        world, critic = objective.world, objective.critic
        assert isinstance(world, Ensemble)
        assert critic is not None
        nets = self.networks["policy"], critic, world
        found = compiled_plan(*nets, state, numbers, objective.alpha, gamma=self._gamma, soft=self._soft)
        columns = zip(*(plan for of_seed in found for plan in of_seed), strict=True)
        stacked = (torch.from_numpy(np.stack(column)).to(state) for column in columns)
        return smc_weights.Planned(*(x.view(*state.shape[:2], *x.shape[1:]) for x in stacked))

    def numbers(self, noise: Tensor) -> Numbers:
        """Random numbers of plans from the noise `[K, S, ...]` that `acting` declares.

        Uniform numbers are the standard normal distribution function of normal ones.
        """
        n, h, a, o = self._particles, self._steps, self._n_action, self._n_observation
        sizes = (n, h * n * a, h * n * o, h * n, h - 1, 1)
        member, action, world, ends, ancestors, last = torch.split(noise, list(sizes), dim=-1)
        lead = noise.shape[:2]
        return Numbers(
            seedwise(uniform, member),
            action.reshape(*lead, h, n, a),
            world.reshape(*lead, h, n, o),
            seedwise(uniform, ends).view(*lead, h, n),
            seedwise(uniform, ancestors),
            seedwise(uniform, last).squeeze(-1),
        )

    def report(self, posterior: Weighted) -> dict[str, Tensor]:  # noqa: ARG002
        """Metrics of the last plans that acted in training; 0 before the first."""
        return dict(zip(REPORTS, self._last, strict=True))

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy the metrics of seed k's last plans, which the next update reports."""
        return {"last": self._last[:, k].clone()}

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore the metrics of seed k's last plans from a `seed_state` dictionary."""
        self._last[:, k] = torch.as_tensor(state["last"])


class PolicyGuide:
    r"""Guide of particles by a tanh-Gaussian policy and the critics; a state has one value.

    The value is $Q - \alpha \log(\pi / p)$ at the policy's mode, without noise. Where the policy is the
    soft posterior of the critics, that is the soft value V, whatever the action.

    Args:
        policy: network from a state to `2 A` outputs.
        objective: critics, prior and temperature.
        soft: whether the divergence counts.
    """

    def __init__(self, policy: Network, objective: Objective, *, soft: bool) -> None:
        """Store policy and objective."""
        self._policy, self._objective, self._soft = policy, objective, soft

    def look(self, state: Tensor) -> Tensor:
        """Outputs `[K, R, 2 A]` of the policy network."""
        return self._policy(state).squeeze(1)

    def propose(self, state: Tensor, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions of the policy, and their log ratios to the prior."""
        action, log_pi = seedwise(tanh_gaussian, seen, noise)
        return action, log_pi - self._log_prior(state, seen, noise, action)

    def value(self, state: Tensor, seen: Tensor) -> Tensor:
        """Value of each state, `[K, R]`."""
        still = torch.zeros_like(seen[..., : seen.shape[-1] // 2])
        action, log_pi = seedwise(tanh_gaussian, seen, still)
        q = self._objective.q_of(state, action[:, :, None])[:, :, 0]
        if not self._soft:
            return q
        ratio: Tensor = log_pi - self._log_prior(state, seen, still, action)
        return q - self._objective.alpha * ratio

    def _log_prior(self, state: Tensor, seen: Tensor, noise: Tensor, action: Tensor) -> Tensor:
        """Log densities `[K, R]` of actions under the prior."""
        pre = seedwise(before_tanh, seen, noise)
        return self._objective.prior.log_density(state, action[:, :, None], pre[:, :, None])[:, :, 0]


def uniform(normal: Tensor) -> Tensor:
    """Uniform numbers in [0, 1), the standard normal distribution function of normal ones.

    Example:
        >>> import torch
        >>> uniform(torch.tensor([-99.0, 0.0])).tolist()
        [0.0, 0.5]
    """
    below = 1 - torch.finfo(normal.dtype).eps
    found: Tensor = (0.5 * (1 + torch.erf(normal / math.sqrt(2)))).clamp(max=below)
    return found
