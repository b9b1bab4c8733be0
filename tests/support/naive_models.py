"""Model-based rows once more, with torch's modules, distributions and loops: an oracle for the general road.

`update` takes rows (s, a, s', r, terminated, held out) and a dictionary of noise: for s, then for s'. The
moments of the normalisation are those of all rows seen so far, computed anew at every update.
"""

import math

import torch
from torch.distributions import Normal, kl_divergence
from torch.distributions.transforms import TanhTransform
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.support.naive_agents import Naive, module
from tests.support.naive_inference import NaiveDirect
from tests.support.naive_mpo import WeightedNaive, gaussian
from tests.support.naive_priors import Blindfolded


class NaiveWorld:
    """An ensemble, its scales and elites."""

    def __init__(self, blocks, settings, n_observation):
        self.nets = [module(blocks, head) for head in range(len(blocks["0.weight"]))]
        self.adams = [torch.optim.Adam(net.parameters(), lr=settings.model_rate) for net in self.nets]
        self.n, self.seen, self.error = n_observation, [], None
        self.n_elites = len(self.nets) if settings.elites is None else settings.elites

    def see(self, s, s_next, r):
        self.seen.append(torch.cat([s, s_next - s, r[:, None]], dim=-1).double())
        rows = torch.cat(self.seen)
        self.shift, self.size = rows.mean(0), (rows.var(0, correction=0) + 1e-8).sqrt()
        self.low, self.high = rows.amin(0), rows.amax(0)

    def outputs(self, net, s, a):
        n = self.n
        out = net(torch.cat([(s - self.shift[:n]) / self.size[:n], a], dim=-1))
        mean, raw, ends = out.split([n + 1, n + 1, 1], dim=-1)
        below = 1 - torch.log1p(torch.exp(1 - raw))
        return mean, -10 + torch.log1p(torch.exp(below + 10)), ends[:, 0]

    def losses(self, s, a, s_next, r, terminated, held):
        """Loss of every member on rows not held out; errors on the others go into the running ones."""
        n = self.n
        target = (torch.cat([s_next - s, r[:, None]], dim=-1) - self.shift[n:]) / self.size[n:]
        losses, errors = [], []
        for net in self.nets:
            mean, log_variance, ends = self.outputs(net, s, a)
            total = []
            for b in range(len(s)):
                if not held[b]:
                    normal = Normal(mean[b], (log_variance[b] / 2).exp())
                    fit = -normal.log_prob(target[b]).sum() - (n + 1) * 0.5 * math.log(2 * math.pi)
                    total.append(fit + binary_cross_entropy_with_logits(ends[b], terminated[b]))
            losses.append(torch.stack(total).mean())
            errors.append(((target - mean) ** 2)[held > 0].mean().detach())
        new = torch.stack(errors)
        self.error = new if self.error is None else self.error + 0.05 * (new - self.error)
        return losses

    def descend(self, losses):
        for adam, loss in zip(self.adams, losses, strict=True):
            adam.zero_grad()
            loss.backward()
            adam.step()

    def elites(self):
        order = sorted(range(len(self.nets)), key=lambda m: float(self.error[m]))
        return order[: self.n_elites]

    def members(self, numbers):
        """Groups that differ by one at most: the smallest numbers follow the first elite, and so on."""
        elites, n = self.elites(), len(numbers)
        ends = [(i + 1) * n // len(elites) for i in range(len(elites))]
        ranks = [sum(other < u for other in numbers) for u in numbers]
        return [elites[sum(end <= rank for end in ends)] for rank in ranks]

    def step(self, s, a, members, xi):
        """One row after the other, each by its own member."""
        states, rewards, ends = [], [], []
        n = self.n
        for b, member in enumerate(members):
            mean, log_variance, logit = self.outputs(self.nets[member], s[b : b + 1], a[b : b + 1])
            normal = mean[0, :n] + (log_variance[0, :n] / 2).exp() * xi[b]
            delta = self.inside(self.shift[n : 2 * n] + self.size[n : 2 * n] * normal, slice(n, 2 * n))
            states.append(self.inside(s[b] + delta, slice(0, n)))
            rewards.append(self.inside(self.shift[2 * n] + self.size[2 * n] * mean[0, n], 2 * n))
            ends.append(torch.sigmoid(logit[0]))
        return torch.stack(states), torch.stack(rewards), torch.stack(ends)

    def inside(self, x, columns):
        return torch.minimum(torch.maximum(x, self.low[columns]), self.high[columns])


class Expanded:
    """Values through a model, for a plain agent that has one."""

    def build(self, weights):
        self.world = NaiveWorld(weights["model"], self.set.value, self.n_observation)

    def read(self, batch):
        s, a, s_next, r, terminated = self.parts(batch[:, :-1])
        self.world.see(s, s_next, r)
        losses = self.world.losses(s, a, s_next, r, terminated, batch[:, -1])
        return (s, a, s_next, r, terminated), losses

    def expand(self, qs, s, a, noise, alpha):
        """Values of the actions `[B, A]`, rewards of the model first, then the critics'."""
        settings, n, gamma = self.set.value, self.n_observation, self.set.gamma
        members = self.world.members(noise["member"][:, 0].tolist())
        numbers = noise["rollout"].view(len(s), settings.horizon, n + self.n_action)
        total, survived = torch.zeros(len(s)), torch.ones(len(s))
        for i in range(settings.horizon):
            s, r, ends = self.world.step(s, a, members, numbers[:, i, :n])
            total = total + gamma**i * survived * r
            survived = survived * (1 - ends)
            a, log_pi = self.follow(s, numbers[:, i, n:])
            if settings.evaluation == "soft":
                total = total - gamma ** (i + 1) * survived * alpha * log_pi
        q = torch.stack([net(torch.cat([s, a], dim=-1))[:, 0] for net in qs]).amin(0)
        return total + gamma**settings.horizon * survived * q

    def networks(self):
        return super().networks() | {"model": self.world.nets}

    def through_first(self, s, action, noise, alpha):
        """Expanded values whose gradient reaches the policy through the first action alone."""
        leaf = action.detach().requires_grad_()
        q = self.expand(self.qs, s, leaf, noise, alpha)
        (slope,) = torch.autograd.grad(q.sum(), leaf)
        return q.detach() + (slope * (action - leaf.detach())).sum(-1)


class NaiveMbSac(Expanded, NaiveDirect):
    """Soft actor-critic whose values go through the model, at s and at s'."""

    def __init__(self, weights, *rest):
        super().__init__(weights, *rest)
        self.build(weights)

    def follow(self, s, xi):
        mean, log_std = self.pi(s).split(self.n_action, dim=-1)
        u = mean + log_std.clamp(-20, 2).exp() * xi
        log_pi = Normal(mean, log_std.clamp(-20, 2).exp()).log_prob(u)
        return u.tanh(), (log_pi - TanhTransform().log_abs_det_jacobian(u, u.tanh())).sum(-1)

    def update(self, batch, noise):
        (s, a, s_next, r, terminated), losses = self.read(batch)
        here, following = ({k: x[rows] for k, x in noise.items()} for rows in halves(len(s)))
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            after, log_pi = self.follow(s_next, following["action"])
            v = self.expand(self.q_targets, s_next, after, following, alpha)
            v = v - alpha * log_pi if self.set.value.evaluation == "soft" else v
            y = r + self.set.gamma * (1 - terminated) * v
        self.world.descend(losses)
        self.fit_critics(y, s, a)
        action, log_pi = self.follow(s, here["action"])
        q = self.through_first(s, action, here, alpha)
        self.descend(self.adam["pi"], (alpha * log_pi - q).mean())
        self.descend(self.adam["alpha"], (self.log_alpha[0] * (self.budget() - log_pi.detach())).mean())
        for target, net in zip(self.q_targets, self.qs, strict=True):
            self.polyak(target, net)


class NaiveMbIadp(Expanded, Blindfolded, Naive):
    """IADP whose values go through the model, along the prior's own actions or along the policy's."""

    def __init__(self, weights, *rest):
        super().__init__(weights, *rest)
        self.equip(weights)
        self.build(weights)

    def networks(self):
        return super().networks() | {"default": [self.p], "target_default": [self.p_target]}

    def targets(self):
        return {"target_critic": self.q_targets}

    def follow(self, s, xi):
        """Action, and its log density ratio to the prior."""
        prior = gaussian(self.p_target, self.seen(s), self.n_action)
        if self.set.value.rollout == "prior":
            return (prior.mean + prior.stddev * xi).tanh(), torch.zeros(len(s))
        policy = gaussian(self.pi, s, self.n_action)
        u = policy.mean + policy.stddev * xi
        return u.tanh(), (policy.log_prob(u) - prior.log_prob(u)).sum(-1)

    def divergence(self, policy, s):
        with torch.no_grad():
            prior = gaussian(self.p_target, self.seen(s), self.n_action)
        return kl_divergence(policy, prior).sum(-1)

    def update(self, batch, noise):
        (s, a, s_next, r, terminated), losses = self.read(batch)
        here, after = ({k: x[rows] for k, x in noise.items()} for rows in halves(len(s)))
        alpha = self.set.temperature.alpha
        with torch.no_grad():
            if self.set.value.rollout == "prior":
                action, cost = self.follow(s_next, after["following"])[0], 0.0
            else:
                action, _ = self.follow(s_next, after["action"])
                cost = alpha * self.divergence(gaussian(self.pi, s_next, self.n_action), s_next)
            v = self.expand(self.q_targets, s_next, action, after, alpha) - cost
            y = r + self.set.gamma * (1 - terminated) * v
        self.world.descend(losses)
        self.fit_critics(y, s, a)
        policy = gaussian(self.pi, s, self.n_action)
        u = policy.mean + policy.stddev * here["action"]
        q = self.through_first(s, u.tanh(), here, alpha)
        prior = gaussian(self.p, self.seen(s), self.n_action)
        self.descend(self.adam["pi"], (alpha * self.divergence(policy, s) - q).mean())
        self.descend(self.adam["p"], -prior.log_prob(u.detach()).sum(-1).mean())
        for target, net in zip([*self.q_targets, self.p_target], [*self.qs, self.p], strict=True):
            self.polyak(target, net)


class NaiveMbMpo(Expanded, WeightedNaive):
    """RERPI or MPO of one step, whose actions at s' are valued through the model."""

    def __init__(self, weights, *rest):
        super().__init__(weights, *rest)
        self.build(weights)

    def follow(self, s, xi):
        old = gaussian(self.pi_target, s, self.n_action)
        return (old.mean + old.stddev * xi).tanh(), torch.zeros(len(s))

    def update(self, batch, noise):
        (s, a, s_next, r, terminated), losses = self.read(batch)
        samples = self.set.posterior.samples
        after = [before if end else then for before, then, end in zip(s, s_next, terminated, strict=True)]
        states = torch.cat([s, torch.stack(after)])
        with torch.no_grad():
            old = gaussian(self.pi_target, states, self.n_action)
            xi = noise["action"].view(len(states), samples, self.n_action)
            u = old.mean[:, None] + old.stddev[:, None] * xi
            q = torch.cat(
                [
                    torch.stack(
                        [
                            self.expand(
                                self.q_targets,
                                states[rows],
                                u[rows, j].tanh(),
                                {k: x[rows] for k, x in noise.items()},
                                0.0,
                            )
                            for j in range(samples)
                        ],
                        dim=1,
                    )
                    for rows in halves(len(s))
                ]
            )
            y = r + self.set.gamma * (1 - terminated) * q[len(s) :].mean(1)
        self.world.descend(losses)
        self.fit_critics(y, s, a)
        self.m_step(states, old, u, self.weigh(q))
        self.copy_networks()


def halves(n):
    return slice(0, n), slice(n, None)


NAIVE = {"mb-sac": NaiveMbSac, "mb-iadp": NaiveMbIadp, "mb-mpo": NaiveMbMpo}
