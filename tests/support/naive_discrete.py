"""Discrete SAC, soft Q-learning, MPO's kin and policy gradients over finitely many actions, by their papers.

An oracle for the categorical parts of `virel_deep`, of which it imports nothing; one seed, slow and plain.
Critics take a state and a one-hot action. Rows are those of `naive_mpo` without the action before a tanh.
"""

import math
from copy import deepcopy

import torch
from torch import nn
from torch.distributions import Categorical, kl_divergence

from tests.support.naive_agents import Naive, module
from tests.support.naive_mpo import Multiplier, NaiveMpo, Price, by_rank
from tests.support.naive_on_policy import NaiveOnPolicy


class Choosing:
    """What agents over a finite set of actions share."""

    def value_of_each(self, qs, s):
        """Smaller value of the critics for every action, one after another, `[B, A]`."""
        columns = []
        for a in range(self.n_action):
            action = torch.zeros(len(s), self.n_action)
            action[:, a] = 1.0
            columns.append(torch.stack([q(torch.cat([s, action], dim=-1))[:, 0] for q in qs]).amin(0))
        return torch.stack(columns, dim=1)


class NaiveSac(Choosing, Naive):
    """Soft actor-critic; the temperature is tuned to a share of the largest entropy."""

    share = 0.3

    def __init__(self, *args):
        super().__init__(*args)
        self.log_alpha = nn.Parameter(torch.zeros(()))
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=self.set.learning_rate)

    def targets(self):
        return {"target_critic": self.q_targets}

    def update(self, batch, _):
        s, a, s_next, r, terminated = self.parts(batch)
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            policy, q_next = Categorical(logits=self.pi(s_next)), self.value_of_each(self.q_targets, s_next)
            v_next = (policy.probs * q_next).sum(1) + alpha * policy.entropy()
            y = r + self.set.gamma * (1 - terminated) * v_next
        self.fit_critics(y, s, a)
        policy = Categorical(logits=self.pi(s))
        q = self.value_of_each(self.qs, s).detach()
        loss = sum(
            (p * (alpha * p.log() - of_state)).sum() for p, of_state in zip(policy.probs, q, strict=True)
        )
        loss = loss / len(q)
        self.descend(self.adam["pi"], loss)
        entropy = policy.entropy().mean().detach()
        goal = self.share * math.log(self.n_action)
        self.descend(self.alpha_adam, self.log_alpha * (entropy - goal))
        for target, net in zip(self.q_targets, self.qs, strict=True):
            self.polyak(target, net)

    def learnt(self):
        return {"eta": self.log_alpha}


class NaiveDiscreteMpo(Choosing, NaiveMpo):
    """MPO and RERPI with a categorical policy: all actions in place of samples, one divergence to bound."""

    def __init__(self, weights, settings, n_observation, n_action):
        Naive.__init__(self, weights, settings, n_observation, n_action)
        self.price = Price(settings.prior.price, settings.prior.price_rate)
        if settings.temperature.kind == "budget":
            self.eta = Multiplier(settings.temperature.initial, settings.temperature.rate)

    def columns(self, batch):
        o, a = self.n_observation, self.n_action
        names, sizes = ["s", "a", "s_next", "r", "terminated"], [o, a, o, 1, 1]
        if batch.dim() == 3:
            names, sizes = [*names, "truncated", "log_b"], [*sizes, 1, 1]
        rows = dict(zip(names, batch.split(sizes, dim=-1), strict=True))
        rows = {name: x[..., 0] if name not in {"s", "a", "s_next"} else x for name, x in rows.items()}
        return rows | {"r": rows["r"] * self.set.reward_scale}

    def targets_by(self, net, rows, v):
        if self.set.value.steps == 1:
            return rows["r"] + self.set.gamma * (1 - rows["terminated"]) * v
        log_pi = Categorical(logits=net(rows["s"])).log_prob(rows["a"].argmax(-1))
        return self.targets_of_windows(rows, v.view_as(rows["r"]), log_pi)

    def bound(self, old, new):
        bound = self.set.prior.trust
        if bound is None:
            return 0.0
        kl = kl_divergence(old, new).mean()
        loss, spent = self.price.value() * kl, kl.detach()
        self.price.minimise(lambda price: price * (bound - spent))
        return loss

    def update(self, batch, _):
        rows = self.columns(batch)
        s_first = rows["s"] if batch.dim() == 2 else rows["s"][:, 0]
        s, s_next, ends = (rows[x].flatten(0, batch.dim() - 2) for x in ("s", "s_next", "terminated"))
        # After the end of an episode no action follows: the state before stands for the next one.
        after = [before if end else then for before, then, end in zip(s, s_next, ends, strict=True)]
        states = torch.cat([s_first, torch.stack(after)])
        with torch.no_grad():
            old = Categorical(logits=self.pi_target(states))
            q = self.value_of_each(self.q_targets, states)
            v = (old.probs * q).sum(1)[len(s_first) :]
            y = self.targets_by(self.pi_target, rows, v)
        self.fit_critics(y.flatten(), *(rows[x].reshape(y.numel(), -1) for x in ("s", "a")))
        weights = self.weigh(old.probs, q)
        new = Categorical(logits=self.pi(states))
        fitted = sum((w * log_p).sum() for w, log_p in zip(weights, new.logits, strict=True)) / len(q)
        self.descend(self.adam["pi"], -fitted + self.bound(old, new))
        self.copy_networks()

    def weigh(self, p, q):
        if self.set.posterior.weights == "rank":
            return by_rank(p, q)
        eta = self.eta.value()
        weights = p * ((q - q.max(1, keepdim=True).values) / eta).exp()
        for _ in range(self.set.temperature.steps):
            self.eta.minimise(
                lambda x: (
                    x * self.set.temperature.epsilon + x * torch.logsumexp(p.log() + q / x, dim=1).mean()
                )
            )
        return weights / weights.sum(1, keepdim=True)

    def learnt(self):
        prices = {} if self.set.prior.trust is None else {"price_policy": self.price.learnt[0]}
        return prices | ({"eta": self.eta.learnt[0]} if hasattr(self, "eta") else {})


class NaiveParametric(NaiveDiscreteMpo):
    """MPO's parametric E-step: climb the expected Q, near the policy's lagging copy."""

    def update(self, batch, _):
        rows = self.columns(batch)
        s, s_next = rows["s"][:, 0], rows["s_next"].flatten(0, 1)
        with torch.no_grad():
            p = Categorical(logits=self.pi(s_next)).probs
            y = self.targets_by(self.pi, rows, (p * self.value_of_each(self.q_targets, s_next)).sum(1))
        self.fit_critics(y.flatten(), *(rows[x].flatten(0, 1) for x in ("s", "a")))
        new = Categorical(logits=self.pi(s))
        with torch.no_grad():
            old = Categorical(logits=self.pi_target(s))
        q = self.value_of_each(self.qs, s).detach()
        self.descend(self.adam["pi"], -(new.probs * q).sum(1).mean() + self.bound(old, new))
        self.copy_networks()


class NaiveSql(Choosing, Naive):
    """Soft Q-learning: the value of a state is alpha log sum exp(Q / alpha); no policy is learnt."""

    def __init__(self, weights, settings, n_observation, n_action):
        self.set, self.n_observation, self.n_action, self.t = settings, n_observation, n_action, 0
        self.qs = [module(weights["critic"], head) for head in range(len(weights["critic"]["0.weight"]))]
        self.q_targets = deepcopy(self.qs)
        self.adam = {"q": [self._adam(q) for q in self.qs]}

    def update(self, batch, _):
        s, a, s_next, r, terminated = self.parts(batch)
        alpha, values = self.set.temperature.alpha, []
        with torch.no_grad():
            for of_state in self.value_of_each(self.q_targets, s_next):
                top = of_state.max()
                values.append(top + alpha * sum(((q - top) / alpha).exp() for q in of_state).log())
            y = r + self.set.gamma * (1 - terminated) * torch.stack(values)
        self.fit_critics(y, s, a)
        self.t += 1
        for target, net in zip(self.q_targets, self.qs, strict=True):
            if self.set.target_period == 0:
                self.polyak(target, net)
            elif self.t % self.set.target_period == 0:
                target.load_state_dict(net.state_dict())

    def networks(self):
        return {"critic": self.qs, "target_critic": self.q_targets}

    def learnt(self):
        return {}


class ChoosingOnPolicy(NaiveOnPolicy):
    """Rows of rollouts over a finite set of actions; policy and V as `NaiveOnPolicy` has them."""

    def columns(self, batch):
        o, a = self.n_observation, self.n_action
        names = ["s", "a", "s_next", "r", "terminated", "truncated", "log_b"]
        rows = dict(zip(names, batch.split([o, a, o, 1, 1, 1, 1], dim=-1), strict=True))
        rows |= {name: rows[name][..., 0] for name in ("r", "terminated", "truncated")}
        return rows | {"r": rows["r"] * self.set.reward_scale}

    def learnt(self):
        return {}


class NaiveDiscreteVmpo(ChoosingOnPolicy):
    """Song et al. 2019, Eqs. (3) to (6), with a categorical policy and one divergence to bound."""

    def __init__(self, weights, settings, n_observation, n_action):
        super().__init__(weights, settings, n_observation, n_action)
        self.pi_old, prior = deepcopy(self.pi), settings.prior
        self.price = Price(prior.price, prior.price_rate)
        self.eta = Multiplier(settings.temperature.initial, settings.temperature.rate)

    def update(self, batch, _):
        rows = self.columns(batch)
        target, v = self.returns(rows, rows["r"]), self.v(rows["s"])[..., 0]
        advantage = (target - v).detach().flatten()
        self.descend(self.v, ((target - v) ** 2 / 2).mean())
        self.improve(rows["s"].flatten(0, 1), rows["a"].flatten(0, 1).argmax(-1), advantage)
        self.t += 1
        if self.t % self.set.target_period == 0:
            self.pi_old.load_state_dict(self.pi.state_dict())

    def improve(self, s, a, advantage):
        half = advantage.argsort(descending=True)[: math.ceil(self.set.posterior.keep * len(advantage))]
        best, eta = advantage[half], self.eta.value()
        psi = ((best - best.max()) / eta).exp()  # (3)
        psi, new = psi / psi.sum(), Categorical(logits=self.pi(s))
        with torch.no_grad():
            old = Categorical(logits=self.pi_old(s))
        kl = kl_divergence(old, new).mean()  # (5), over all states
        fitted = sum(w * new.logits[i, a[i]] for w, i in zip(psi, half, strict=True))
        self.descend(self.pi, self.price.value() * kl - fitted)
        left, epsilon = self.set.prior.trust - kl.detach(), self.set.temperature.epsilon
        self.price.minimise(lambda price: price * left)
        self.eta.minimise(lambda x: x * epsilon + x * (best / x).exp().mean().log())  # (4), the same half

    def networks(self):
        return super().networks() | {"target_policy": [self.pi_old]}

    def learnt(self):
        return {"price_policy": self.price.learnt[0], "eta": self.eta.learnt[0]}


class NaiveDiscreteErpg(ChoosingOnPolicy):
    """Schulman et al. 2017, the log ratio of the action taken for the divergence (deviation 25)."""

    def update(self, batch, _):
        rows, tau = self.columns(batch), self.set.temperature.alpha
        log_pi = Categorical(logits=self.pi(rows["s"])).log_prob(rows["a"].argmax(-1))
        paid = tau * log_pi.detach()  # the prior is uniform: its probability counts as 1
        soft = self.set.value.evaluation == "soft"
        target, v = self.returns(rows, rows["r"] - paid if soft else rows["r"]), self.v(rows["s"])[..., 0]
        gain = (target - v).detach() - (0 if soft else paid)
        self.descend(self.v, ((target - v) ** 2 / 2).mean())
        self.descend(self.pi, -(log_pi * gain).mean())


NAIVE_DISCRETE = {
    "sql": NaiveSql,
    "vmpo": NaiveDiscreteVmpo,
    "erpg": NaiveDiscreteErpg,
    "sac": NaiveSac,
    "mpo": NaiveDiscreteMpo,
    "rerpi": NaiveDiscreteMpo,
    "mpo-parametric": NaiveParametric,
}
