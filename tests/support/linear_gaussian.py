"""A linear-Gaussian problem with one state and one action: data, closed form, and a model fitted to it."""

from dataclasses import dataclass

import numpy as np
import torch

from virel_deep.axes.interfaces import Objective
from virel_deep.axes.model.ensemble import Ensemble
from virel_deep.axes.model.expansion import Horizon, Paths, expanded_q
from virel_deep.axes.prior.constant import Uniform
from virel_deep.axes.tensors import Transitions, Weighted
from virel_deep.data.replay import held_out
from virel_deep.networks.network import Network
from virel_deep.networks.optimiser import Adam

DISCOUNT, GAIN = 0.9, -0.4
CPU = torch.device("cpu")


@dataclass(frozen=True)
class LinearGaussian:
    """s' = slope s + push a + noise xi, r = s - a / 2; the policy is a = GAIN s."""

    slope: float
    push: float
    noise: float

    def rows(self, n):
        rng = np.random.default_rng(0)
        s, a = rng.uniform(-3, 3, n), rng.uniform(-1, 1, n)
        return s, a, self.slope * s + self.push * a + self.noise * rng.normal(size=n), s - a / 2

    def value(self, h, *, start, action, discount=DISCOUNT, offset=0.0):
        """Mean discounted reward of h steps, from the means of the states."""
        s, a, total = start, action, 0.0
        for i in range(h):
            total += discount**i * (s - a / 2)
            s = self.slope * s + self.push * a + offset
            a = GAIN * s
        return total


@dataclass(frozen=True)
class Fitted:
    """A model of one linear network, and the deviations of its coefficients."""

    problem: LinearGaussian
    world: Ensemble
    covariance: np.ndarray

    def values(self, h, *, start, action, rollouts):
        """Mean value of h steps through the model, and the deviation of that mean."""
        rng = torch.Generator().manual_seed(1)
        critic = Network(1, 1, (2, 1), device=CPU)  # zero
        numbers = torch.randn(1, rollouts, h, 2, generator=rng)
        along = Paths(self.world.follow(torch.zeros(1, rollouts)), walk, numbers)
        objective = Objective(lambda *_: None, Uniform(), torch.zeros(1, 1))
        state, a = torch.full((1, rollouts, 1), start), torch.full((1, rollouts, 1, 1), action)
        of = Horizon(DISCOUNT, False)
        found = expanded_q(critic, state, a, along=along, objective=objective, of=of).flatten()
        return float(found.mean()), float(found.std() / rollouts**0.5)

    def deviation(self, h, *, start, action):
        """Deviation of the value by the errors of slope, push and offset: the delta method."""
        p, small = self.problem, 1e-6
        at = np.array([p.slope, p.push, 0.0])

        def value(x):
            return LinearGaussian(x[0], x[1], p.noise).value(h, start=start, action=action, offset=x[2])

        slope = np.array([(value(at + small * e) - value(at - small * e)) / (2 * small) for e in np.eye(3)])
        return float(np.sqrt(slope @ self.covariance @ slope))


def walk(state, noise, objective):  # noqa: ARG001
    none = torch.zeros_like(state[..., :1])
    return Weighted(GAIN * state[:, :, None], none, none, none)


def fitted(problem, *, rows, steps=800):
    """Fit one linear network to so many rows by Adam on all of them, at a falling step size."""
    s, a, after, reward = problem.rows(rows)
    columns = [torch.from_numpy(x)[None, :, None] for x in (s, a, after)]
    held = torch.from_numpy(held_out(0, rows)).double()[None]
    none = torch.zeros(1, rows)
    data = Transitions(
        columns[0],
        torch.cat(columns[:2], -1),
        torch.from_numpy(reward)[None],
        none,
        columns[2],
        held_out=held,
    )
    network = Network(1, 1, (2, 5), device=CPU)
    world, adam = Ensemble(network, 1, elites=1), Adam(network.flat, 0.05)
    for step in range(steps):
        adam.scale_rate(max(1e-4, 1 - step / steps))
        loss, _ = world.fit(data)
        (slope,) = torch.autograd.grad(loss.sum(), network.parameters)
        adam.descend(slope)
    used = np.stack((s, a, np.ones(rows)), axis=1)[held[0].numpy() == 0]
    return Fitted(problem, world, problem.noise**2 * np.linalg.inv(used.T @ used))
