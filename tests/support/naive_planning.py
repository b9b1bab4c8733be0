"""SMCP (Piche et al. 2019) once more, one particle after the other: an oracle for the planner and its row.

Updates are those of soft actor-critic and of the model's plain version. A plan is what VARIATIONAL.md 2.6 and
docs/deep/models.md say, with random numbers by name: `member [N]`, `ends [h, N]`, `resample [h - 1]` and
`drawn [1]` uniform, `action [h, N, A]` and `step [h, N, O]` standard normal.
"""

import math
from dataclasses import dataclass, replace

import torch

from tests.support.naive_inference import NaiveDirect
from tests.support.naive_models import Expanded
from tests.support.naive_mpo import gaussian


@dataclass
class Particle:
    """One plan: where it is, what it did first, and the logarithm of its weight."""

    state: torch.Tensor
    member: int
    first: torch.Tensor | None = None
    log_weight: float = 0.0
    ended: bool = False


class NaiveSmcp(Expanded, NaiveDirect):
    """Soft actor-critic beside a model, with which a planner acts."""

    def __init__(self, weights, *rest):
        super().__init__(weights, *rest)
        self.build(weights)

    def update(self, batch, noise):
        _, losses = self.read(batch)
        self.world.descend(losses)
        super().update(batch[:, :-1], noise)

    def plan(self, state, numbers):
        """Action of a plan from a state `[O]`, the particles at its end, and the number of resamplings."""
        posterior, resampled = self.set.posterior, 0
        elites = self.world.elites()
        particles = [Particle(state, elites[int(u * len(elites))]) for u in numbers["member"]]
        for t in range(posterior.steps):
            if t > 0 and 1 / sum(w * w for w in weights(particles)) < posterior.particles / 2:
                particles = resample(particles, float(numbers["resample"][t - 1]))
                resampled += 1
            for i, particle in enumerate(particles):
                if not particle.ended:
                    self.walk(particle, {name: numbers[name][t, i] for name in STEP}, t)
        chosen = at_mark(particles, float(numbers["drawn"][0]))
        return chosen.first, particles, resampled

    def walk(self, particle, of, t):
        """Move a particle by one action of the policy, and weigh what it gained."""
        s, alpha, gamma = particle.state[None], self.log_alpha.exp()[0], self.set.gamma
        policy = gaussian(self.pi, s, self.n_action)
        u = policy.mean + policy.stddev * of["action"]
        s_next, r, p_end = self.world.step(s, u.tanh(), [particle.member], of["step"][None])
        ends = bool(of["ends"] < p_end[0])
        gain = r[0] + gamma * (0.0 if ends else self.soft_value(s_next)) - self.soft_value(s)
        log_q = self.log_density(policy, u)
        particle.log_weight += float(gamma**t * gain / alpha - log_q)
        particle.state, particle.ended = s_next[0], ends
        particle.first = u.tanh()[0] if t == 0 else particle.first

    def soft_value(self, s):
        """V by the smaller critic at the policy's mode; the uniform prior counts as 1, as in `sac`."""
        policy = gaussian(self.pi, s, self.n_action)
        q = min(float(net(torch.cat([s, policy.mean.tanh()], dim=-1))) for net in self.qs)
        return q - float(self.log_alpha.exp()) * float(self.log_density(policy, policy.mean))

    def log_density(self, policy, u):
        """Log density of the squashed action tanh(u) `[1, A]`."""
        squash = torch.distributions.transforms.TanhTransform()
        return (policy.log_prob(u) - squash.log_abs_det_jacobian(u, u.tanh())).sum()


STEP = ("action", "step", "ends")
"""Random numbers of one particle's step."""


def weights(particles):
    """Normalised weights."""
    most = max(particle.log_weight for particle in particles)
    raw = [math.exp(particle.log_weight - most) for particle in particles]
    return [w / sum(raw) for w in raw]


def at_mark(particles, mark):
    """Particle whose share of the weights, laid side by side, covers a mark in [0, 1)."""
    below = 0.0
    for particle, weight in zip(particles, weights(particles), strict=True):
        below += weight
        if mark < below:
            return particle
    return particles[-1]


def resample(particles, u):
    """Systematic: what is at N marks of equal distance, the first of them at u / N."""
    n = len(particles)
    return [replace(at_mark(particles, (i + u) / n), log_weight=0.0) for i in range(n)]
