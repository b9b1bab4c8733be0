"""Iterative inference and soft Q-learning once more, from their papers with torch's modules and autograd.

An oracle for the general road of `virel_deep.agent`, of which it imports nothing; one seed, slow and plain.
`update` takes rows (s, a, s', r, terminated) and standard normal noise: for s, then for s'.
"""

import math
from copy import deepcopy

import torch
from torch.distributions import Independent, Normal, TransformedDistribution, kl_divergence
from torch.distributions.transforms import TanhTransform

from tests.support.naive_agents import Naive


class NaiveDirect(Naive):
    """SAC with N actions per state, and any of two priors: uniform, or a Gaussian before the tanh."""

    def __init__(self, weights, settings, n_observation, n_action):
        super().__init__(weights, settings, n_observation, n_action)
        start = torch.tensor([math.log(settings.temperature.initial)], dtype=torch.float32)
        self.log_alpha = start.to(torch.get_default_dtype()).requires_grad_()
        self.adam["alpha"] = torch.optim.Adam([self.log_alpha], lr=settings.learning_rate)

    def noises(self, noise):
        """Noise `[B, steps + 1, N, A]`; the last of it is for the actions of the inferred policy."""
        return noise.view(len(noise), -1, self.set.posterior.samples, self.n_action)

    def infer(self, qs, s, xi):  # noqa: ARG002
        """Parameters after each step; there is one step, which looks at the state alone."""
        return [self.pi(s)]

    def objective(self, qs, s, lam, xi):
        """E[Q] - alpha KL of each state, and the KL: in closed form or as the mean over the actions."""
        q, kl = self.expected(qs, s, lam, xi)
        return q - self.log_alpha.exp().detach() * kl, kl

    def expected(self, qs, s, lam, xi):
        mean, log_std = lam.split(self.n_action, dim=-1)
        policy = Normal(mean, log_std.clamp(-20, 2).exp())
        u = policy.mean[:, None] + policy.stddev[:, None] * xi
        repeated = s[:, None].expand(-1, u.shape[1], -1)
        q = torch.stack([net(torch.cat([repeated, u.tanh()], dim=-1))[..., 0] for net in qs]).amin(0)
        if self.set.prior.kind == "fixed":
            prior = Normal(torch.zeros_like(mean), torch.full_like(mean, self.set.prior.std))
            return q.mean(1), kl_divergence(policy, prior).sum(-1)
        squash = TanhTransform(cache_size=1)
        wide = Normal(policy.mean[:, None], policy.stddev[:, None])
        squashed = TransformedDistribution(Independent(wide, 1), [squash])
        return q.mean(1), squashed.log_prob(squash(u)).mean(1)

    def budget(self):
        temperature, a = self.set.temperature, self.n_action
        if self.set.prior.kind == "fixed":
            return a * (1 + math.log(2)) if temperature.epsilon is None else temperature.epsilon
        return float(a) if temperature.target_entropy is None else -temperature.target_entropy

    def update(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        here, following = self.noises(noise[: len(s)]), self.noises(noise[len(s) :])
        old = deepcopy(self.qs)
        after = self.infer(old, s, here)
        lam = self.infer(old, s_next, following)[-1].detach()
        with torch.no_grad():
            v, _ = self.objective(self.q_targets, s_next, lam, following[:, -1])
            y = r + self.set.gamma * (1 - terminated) * v
        self.fit_critics(y, s, a)
        steps = len(after)
        objectives = [self.objective(old, s, after[j], here[:, j + 1])[0] for j in range(steps - 1)]
        last, kl = self.objective(self.qs, s, after[-1], here[:, -1])
        self.descend(self.adam["pi"], -sum(x.mean() for x in [*objectives, last]) / steps)
        self.descend(self.adam["alpha"], (self.log_alpha[0] * (self.budget() - kl.detach())).mean())
        for target, net in zip(self.q_targets, self.qs, strict=True):
            self.polyak(target, net)

    def targets(self):
        return {"target_critic": self.q_targets}


class NaiveIterative(NaiveDirect):
    """Eq. (15) of Marino et al.: the network sees the parameters and the gradient of the objective."""

    def infer(self, qs, s, xi):
        first_std = self.set.prior.std if self.set.prior.kind == "fixed" else 1.0
        mean = torch.zeros(len(s), self.n_action)
        lam, out = torch.cat([mean, torch.full_like(mean, first_std).log()], dim=-1), []
        for j in range(self.set.posterior.steps):
            leaf = lam.detach().requires_grad_()
            (slope,) = torch.autograd.grad(self.objective(qs, s, leaf, xi[:, j])[0].sum(), leaf)
            told = torch.cat([self.standard(x) for x in (*self.halves(leaf), *self.halves(slope))], dim=-1)
            delta, gates = self.pi(torch.cat([s, told.detach()], dim=-1)).split(2 * self.n_action, dim=-1)
            omega = torch.sigmoid(gates)
            lam = omega * lam.detach() + (1 - omega) * delta
            out.append(lam)
        return out

    def halves(self, x):
        return x.split(self.n_action, dim=-1)

    def standard(self, x):
        if self.n_action == 1:
            return x
        return (x - x.mean(1, keepdim=True)) / (x.std(1, correction=0, keepdim=True) + 1e-6)


class NaiveStein(Naive):
    """Soft Q-learning: values by importance sampling of uniform actions, amortised Stein gradients."""

    def q(self, qs, s, a):
        return torch.stack(self.q_values(qs, s, a)).amin(0)

    def update(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        alpha, n = self.set.temperature.alpha, self.set.posterior.samples
        xi = noise.view(-1, n, self.n_action)
        with torch.no_grad():
            proposals = 2 * Normal(0.0, 1.0).cdf(xi[len(s) :]) - 1
            density = 0.5**self.n_action
            each = [self.q(self.q_targets, s_next, proposals[:, j]) for j in range(n)]
            top = torch.stack(each).amax(0)
            v = top + alpha * torch.log(sum(torch.exp((q - top) / alpha) / density for q in each) / n)
            y = r + self.set.gamma * (1 - terminated) * v
        self.fit_critics(y, s, a)
        pushes, moved = [], []
        for b in range(len(s)):
            u = self.pi(torch.cat([s[b].expand(n, -1), xi[b]], dim=-1))
            push = self.directions(s[b], u.detach(), alpha)
            pushes.append(push)
            moved.append(u[n // 2 :])
        loss = -sum((push * u).sum() for push, u in zip(pushes, moved, strict=True)) / (len(s) * (n // 2))
        self.descend(self.adam["pi"], loss)
        self.t += 1
        for target, net in zip(self.q_targets, self.qs, strict=True):
            if self.set.target_period == 0:
                self.polyak(target, net)
            elif self.t % self.set.target_period == 0:
                target.load_state_dict(net.state_dict())

    def directions(self, s, u, alpha):
        """Directions of the second half of the particles, from the score of the first half, one by one."""
        n = len(u)
        fixed, moved = u[: n // 2].clone().requires_grad_(), u[n // 2 :]
        q = self.q(self.qs, s.expand(n // 2, -1), fixed.tanh())
        slope = TanhTransform().log_abs_det_jacobian(fixed, fixed.tanh()).sum(-1)
        (score,) = torch.autograd.grad((q / alpha + slope).sum(), fixed)
        squares = sorted(float(((x - y) ** 2).sum()) for x in fixed.detach() for y in moved)
        width = max(squares[(len(squares) - 1) // 2] / math.log(n), 1e-3)
        out = []
        for target in moved:
            total = torch.zeros(self.n_action)
            for x, of_x in zip(fixed.detach(), score, strict=True):
                leaf = x.clone().requires_grad_()
                kernel = torch.exp(-((leaf - target) ** 2).sum() / width)
                (by_x,) = torch.autograd.grad(kernel, leaf)
                total = total + kernel.detach() * of_x + by_x
            out.append(total / (n // 2))
        return torch.stack(out)

    def targets(self):
        return {"target_critic": self.q_targets}


NAIVE = {"sac": NaiveDirect, "sac-iterative": NaiveIterative, "sql": NaiveStein}
