"""Every preset once more, written from its paper with torch's modules, Adam and autograd, for one seed.

Slow and plain on purpose, an oracle for `virel_deep.agent`, of which it imports nothing. An agent is built
from initial weights `{network: {"0.weight": [C, in, out], "0.bias": [C, 1, out], ...}}`. `update` takes a
batch of rows (s, a, s', r, terminated) and standard normal noise: for actions at s, then for those at s'.
"""

from copy import deepcopy
from itertools import count

import torch
from torch import nn
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import TanhTransform


def module(blocks, head):
    """A perceptron of `torch.nn` with the weights of one head."""
    layers = []
    for i in count():
        if f"{i}.weight" not in blocks:
            break
        weight, bias = blocks[f"{i}.weight"][head], blocks[f"{i}.bias"][head, 0]
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(weight.T)
            linear.bias.copy_(bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Naive:
    """One agent: modules, optimisers, what its paper says in `update`."""

    def __init__(self, weights, settings, n_observation, n_action):
        self.set, self.n_observation, self.n_action = settings, n_observation, n_action
        self.pi = module(weights["policy"], 0)
        self.qs = [module(weights["critic"], head) for head in range(len(weights["critic"]["0.weight"]))]
        self.q_targets, self.pi_target = deepcopy(self.qs), deepcopy(self.pi)
        self.v = module(weights["value"], 0) if "value" in weights else None
        self.v_target = deepcopy(self.v)
        self.adam = {"pi": self._adam(self.pi), "q": [self._adam(q) for q in self.qs]}
        if self.v is not None:
            self.adam["v"] = self._adam(self.v)
        self.t, self.eps_omega = 0, None

    def _adam(self, net):
        return torch.optim.Adam(net.parameters(), lr=self.set.learning_rate)

    def parts(self, batch):
        sizes = [self.n_observation, self.n_action, self.n_observation, 1, 1]
        s, a, s_next, r, terminated = batch.split(sizes, dim=-1)
        return s, a, s_next, r[:, 0] * self.set.reward_scale, terminated[:, 0]

    def q_values(self, qs, s, a):
        return [q(torch.cat([s, a], dim=-1))[:, 0] for q in qs]

    def sample(self, s, noise):
        """A reparametrised action, its log density; mean and log standard deviation before the tanh."""
        mean, log_std = self.pi(s).split(self.n_action, dim=-1)
        log_std = log_std.clamp(-20, 2)
        gaussian = Normal(mean, log_std.exp())
        squashed = TransformedDistribution(Independent(gaussian, 1), [TanhTransform(cache_size=1)])
        action = squashed.transforms[0](mean + log_std.exp() * noise)
        return action, squashed.log_prob(action), mean, log_std

    def descend(self, adam, loss):
        adam.zero_grad()
        loss.backward()
        adam.step()

    def observe(self, minibatch, own, own_td_errors):
        """eps_omega of Algorithm 2, or of the published code's own batch; thinned and smoothed as asked."""
        if self.t % getattr(self.set.temperature, "period", 1) == 0:
            with torch.no_grad():
                new = (minibatch if own is None else own_td_errors(*own)).square().mean()
            old, keep = self.eps_omega, getattr(self.set.temperature, "smoothing", 0.0)
            self.eps_omega = new if old is None else keep * old + (1 - keep) * new
        self.t += 1
        return self.eps_omega

    def fit_critics(self, y, s, a):
        """M-step on J^Q, every critic on the same target."""
        for adam, q in zip(self.adam["q"], self.q_values(self.qs, s, a), strict=True):
            self.descend(adam, ((y - q) ** 2 / 2).mean())

    def polyak(self, target, net):
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), net.parameters(), strict=True):
                slow.copy_(self.set.polyak * fast + (1 - self.set.polyak) * slow)

    def networks(self):
        """All modules by the names that `StackedAgent.seed_state` has."""
        out = {"policy": [self.pi], "critic": self.qs}
        return out | self.targets() | ({} if self.v is None else {"value": [self.v]})


class AppH(Naive):
    """Algorithms 1 (virel) and 2 (beta) of App. H, with the penalties of the published code."""

    beta = False

    def targets(self):
        return {"target_value": [self.v_target]}

    def own_td_errors(self, batch, _):
        """With the online V, as the published code has it."""
        s, a, s_next, r, terminated = self.parts(batch)
        y = r + self.set.gamma * (1 - terminated) * self.v(s_next)[:, 0]
        return y - self.q_values(self.qs, s, a)[0]

    def update(self, batch, noise, own=None):
        s, a, s_next, r, terminated = self.parts(batch)
        [q] = self.qs
        with torch.no_grad():
            y = r + self.set.gamma * (1 - terminated) * self.v_target(s_next)[:, 0]
            td_errors = y - self.q_values([q], s, a)[0]
        eps_omega = self.observe(td_errors, own, self.own_td_errors)
        sampled, log_pi, mean, log_std = self.sample(s, noise[: len(s)])
        with torch.no_grad():
            expected_q = self.q_values([q], s, sampled)[0]
        self.descend(self.adam["v"], ((self.v(s)[:, 0] - expected_q) ** 2 / 2).mean())
        self.fit_critics(y, s, a)
        weight = self.set.temperature.scale * eps_omega if self.beta else 1.0
        loss = (weight * log_pi - self.q_values([q], s, sampled)[0]).mean()
        loss = loss + 1e-3 * (mean**2).mean() + 1e-3 * (log_std**2).mean()
        self.descend(self.adam["pi"], loss)
        self.polyak(self.v_target, self.v)
        self.reported = {"eps_omega": eps_omega, "temperature": weight, "entropy": -log_pi.mean()}


class Beta(AppH):
    beta = True


class Sac2018(Naive):
    """Soft actor-critic with a V-network (arXiv 1801.01290), two critics; temperature 1."""

    def targets(self):
        return {"target_value": [self.v_target]}

    def update(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        with torch.no_grad():
            y = r + self.set.gamma * (1 - terminated) * self.v_target(s_next)[:, 0]
        sampled, log_pi, _, _ = self.sample(s, noise[: len(s)])
        with torch.no_grad():
            soft_v = torch.minimum(*self.q_values(self.qs, s, sampled)) - log_pi
        self.descend(self.adam["v"], ((self.v(s)[:, 0] - soft_v) ** 2 / 2).mean())
        self.fit_critics(y, s, a)
        q = torch.minimum(*self.q_values(self.qs, s, sampled))
        self.descend(self.adam["pi"], (log_pi - q).mean())
        self.polyak(self.v_target, self.v)
        self.reported = {"temperature": 1.0, "entropy": -log_pi.mean()}


class TwinQ(Naive):
    """Two critics with Polyak copies and no V-network; `weight` is the temperature."""

    soft = False

    def targets(self):
        return {"target_critic": self.q_targets}

    def own_td_errors(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        a_next, _, _, _ = self.sample(s_next, noise)
        v_next = torch.minimum(*self.q_values(self.qs, s_next, a_next))
        y = r + self.set.gamma * (1 - terminated) * v_next
        return torch.stack([y - q for q in self.q_values(self.qs, s, a)])

    def update(self, batch, noise, own=None):
        s, a, s_next, r, terminated = self.parts(batch)
        with torch.no_grad():
            a_next, log_pi_next, _, _ = self.sample(s_next, noise[len(s) :])
            v_next = torch.minimum(*self.q_values(self.q_targets, s_next, a_next))
            if self.soft:
                v_next = v_next - self.log_alpha.exp() * log_pi_next
            y = r + self.set.gamma * (1 - terminated) * v_next
            td_errors = torch.stack([y - q for q in self.q_values(self.qs, s, a)])
        eps_omega = self.observe(td_errors, own, self.own_td_errors)
        self.fit_critics(y, s, a)
        weight = self.weight(eps_omega)
        sampled, log_pi, _, _ = self.sample(s, noise[: len(s)])
        q = torch.minimum(*self.q_values(self.qs, s, sampled))
        self.descend(self.adam["pi"], (weight * log_pi - q).mean())
        self.after_policy_step(log_pi.detach())
        for target, net in zip(self.q_targets, self.qs, strict=True):
            self.polyak(target, net)
        self.reported = {"eps_omega": eps_omega, "temperature": weight, "entropy": -log_pi.mean()}

    def after_policy_step(self, log_pi):
        pass


class VirelTwin(TwinQ):
    def weight(self, _):
        return 1.0


class BetaTwin(TwinQ):
    def weight(self, eps_omega):
        return self.set.temperature.scale * eps_omega


class Sac(TwinQ):
    """Soft actor-critic, temperature tuned to minus the action dimensions in nats (arXiv 1812.05905)."""

    soft = True

    def __init__(self, *args):
        super().__init__(*args)
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=self.set.learning_rate)

    def weight(self, _):
        return self.log_alpha.exp().detach()

    def after_policy_step(self, log_pi):
        self.descend(self.alpha_adam, -(self.log_alpha * (log_pi - self.n_action)).mean())


class Ddpg(Naive):
    """Deterministic policy gradient with target networks (Lillicrap et al. 2016)."""

    def targets(self):
        return {"target_critic": self.q_targets, "target_policy": [self.pi_target]}

    def target_action(self, s_next, _):
        return torch.tanh(self.pi_target(s_next))

    def smaller(self, qs):
        return qs[0]

    def due(self):
        return True

    def update(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        with torch.no_grad():
            a_next = self.target_action(s_next, noise[len(s) :])
            v_next = self.smaller(self.q_values(self.q_targets, s_next, a_next))
            y = r + self.set.gamma * (1 - terminated) * v_next
        self.fit_critics(y, s, a)
        if self.due():
            q = self.smaller(self.q_values(self.qs, s, torch.tanh(self.pi(s))))
            self.descend(self.adam["pi"], -q.mean())
            for target, net in zip(self.q_targets, self.qs, strict=True):
                self.polyak(target, net)
            self.polyak(self.pi_target, self.pi)
        self.t += 1
        self.reported = {"temperature": 0.0}


class Td3(Ddpg):
    """Fujimoto et al. 2018. Deviation 8 of docs/deep/deviations.md: it climbs the smaller critic."""

    def target_action(self, s_next, noise):
        jitter = (0.2 * noise).clamp(-0.5, 0.5)
        return (torch.tanh(self.pi_target(s_next)) + jitter).clamp(-1, 1)

    def smaller(self, qs):
        return torch.minimum(*qs)

    def due(self):
        return self.t % 2 == 0


NAIVE = {
    "virel": AppH,
    "beta": Beta,
    "virel-twin": VirelTwin,
    "beta-twin": BetaTwin,
    "sac-v": Sac2018,
    "sac": Sac,
    "ddpg": Ddpg,
    "td3": Td3,
}
