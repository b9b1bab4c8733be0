"""V-MPO and the entropy-regularised policy gradient once more, from their papers with loops and autograd.

An oracle for the general road of `virel_deep.agent`, of which it imports nothing; one seed, slow and plain.
`update` takes rollouts `[E, T, width]` of rows (s, a, s', r, terminated, truncated, u, log b(u)).
"""

import math
from copy import deepcopy

import torch
from torch.distributions import Normal

from tests.support.naive_agents import module
from tests.support.naive_mpo import Multiplier, Price, gaussian


class NaiveOnPolicy:
    """What both share: rows, returns transition by transition, the step of V."""

    def __init__(self, weights, settings, n_observation, n_action):
        self.set, self.n_observation, self.n_action = settings, n_observation, n_action
        self.pi, self.v = module(weights["policy"], 0), module(weights["value"], 0)
        rates = {
            self.pi: settings.policy_learning_rate or settings.learning_rate,
            self.v: settings.learning_rate,
        }
        self.adam = {net: torch.optim.Adam(net.parameters(), lr=rate) for net, rate in rates.items()}
        self.t = 0

    @property
    def nets(self):
        return [self.pi, self.v]

    def columns(self, batch):
        o, a = self.n_observation, self.n_action
        names = ["s", "a", "s_next", "r", "terminated", "truncated", "u", "log_b"]
        rows = dict(zip(names, batch.split([o, a, o, 1, 1, 1, a, 1], dim=-1), strict=True))
        for name in ("r", "terminated", "truncated", "log_b"):
            rows[name] = rows[name][..., 0]
        return rows | {"r": rows["r"] * self.set.reward_scale}

    def returns(self, rows, r):
        """n-step returns, row by row: rewards up to the end, then V unless the task is over."""
        gamma, steps = self.set.gamma, self.set.value.steps
        copies, length = r.shape
        out = torch.zeros_like(r)
        with torch.no_grad():
            v_next = self.v(rows["s_next"])[..., 0]
        for e in range(copies):
            for t in range(length):
                end = length if steps is None else min(length, t + steps)
                for i in range(t, end):
                    out[e, t] += gamma ** (i - t) * r[e, i]
                    over = bool(rows["terminated"][e, i])
                    if over or rows["truncated"][e, i] or i == end - 1:
                        out[e, t] += 0 if over else gamma ** (i - t + 1) * v_next[e, i]
                        break
        return out

    def descend(self, net, loss):
        self.adam[net].zero_grad()
        loss.backward()
        if self.set.gradient_norm is not None:
            length = math.sqrt(sum((p.grad**2).sum().item() for p in net.parameters()))
            if length > self.set.gradient_norm:
                for p in net.parameters():
                    p.grad *= self.set.gradient_norm / length
        self.adam[net].step()

    def networks(self):
        return {"policy": [self.pi], "value": [self.v]}


class NaiveVmpo(NaiveOnPolicy):
    """Song et al. 2019: Eqs. (3) to (6), with the trust region by mean and by spread."""

    def __init__(self, weights, settings, n_observation, n_action):
        super().__init__(weights, settings, n_observation, n_action)
        self.pi_old = deepcopy(self.pi)
        prior = settings.prior
        self.prices = {
            name: Price(getattr(prior, f"price_{name}"), prior.price_rate) for name in ("mean", "spread")
        }
        if settings.temperature.kind == "budget":
            self.eta = Multiplier(settings.temperature.initial, settings.temperature.rate)

    def update(self, batch, _noise):
        rows = self.columns(batch)
        target = self.returns(rows, rows["r"])
        v = self.v(rows["s"])[..., 0]
        advantage = (target - v).detach().flatten()
        self.descend(self.v, ((target - v) ** 2 / 2).mean())
        self.improve(rows["s"].flatten(0, 1), rows["u"].flatten(0, 1), advantage)
        self.t += 1
        if self.t % self.set.target_period == 0:
            self.pi_old.load_state_dict(self.pi.state_dict())

    def improve(self, s, u, advantage):
        half = advantage.argsort(descending=True)[: math.ceil(self.set.posterior.keep * len(advantage))]
        best = advantage[half]
        eta = self.eta.value() if hasattr(self, "eta") else self.set.temperature.alpha
        psi = (best / eta - best.max() / eta).exp()  # (3)
        psi = psi / psi.sum()
        new, old = gaussian(self.pi, s, self.n_action), gaussian(self.pi_old, s, self.n_action)
        old = Normal(old.mean.detach(), old.stddev.detach())
        if self.set.prior.likelihood == "decoupled":
            fits = [Normal(new.mean, old.stddev), Normal(old.mean, new.stddev)]
        else:
            fits = [new]
        loss = -sum((psi * fit.log_prob(u)[half].sum(-1)).sum() for fit in fits)
        self.descend(self.pi, loss + self.bound(old, new))
        if hasattr(self, "eta"):
            for _ in range(self.set.temperature.steps):
                self.eta.minimise(  # (4), over the same half
                    lambda x: x * self.set.temperature.epsilon + x * (best / x).exp().mean().log()
                )

    def bound(self, old, new):
        """Eq. (5) over all states; the multipliers then move by the same divergences."""
        over = old.variance if self.set.prior.likelihood == "decoupled" else new.variance
        ratio = old.variance / new.variance
        kl = {
            "mean": ((old.mean - new.mean) ** 2 / over).sum(-1).mean() / 2,
            "spread": (ratio - 1 - ratio.log()).sum(-1).mean() / 2,
        }
        loss = sum(self.prices[name].value() * kl[name] for name in kl)
        for name, price in self.prices.items():
            left = getattr(self.set.prior, f"trust_{name}") - kl[name].detach()
            price.minimise(lambda alpha, left=left: alpha * left)
        return loss

    def networks(self):
        return super().networks() | {"target_policy": [self.pi_old]}

    def logs(self):
        out = {f"price_{name}": price.learnt for name, price in self.prices.items()}
        return out | ({"eta": self.eta.learnt} if hasattr(self, "eta") else {})


class NaiveErpg(NaiveOnPolicy):
    """Schulman et al. 2017: score times errors of V, whose rewards pay tau times the divergence on the way.

    The divergence of each state is estimated by the log ratio of the action taken, known deviation 25 in
    docs/deep/deviations.md. With hard values the returns pay nothing: the bonus of the present state alone
    is left.
    """

    def update(self, batch, _noise):
        rows = self.columns(batch)
        tau, soft = self.set.temperature.alpha, self.set.value.evaluation == "soft"
        policy = gaussian(self.pi, rows["s"], self.n_action)
        slope = (1 - rows["u"].tanh() ** 2).log().sum(-1)
        log_pi = policy.log_prob(rows["u"]).sum(-1) - slope  # the prior is uniform: its density counts as 1
        paid = tau * log_pi.detach()
        target = self.returns(rows, rows["r"] - paid if soft else rows["r"])
        v = self.v(rows["s"])[..., 0]
        gain = (target - v).detach() if soft else (target - v).detach() - paid
        self.descend(self.v, ((target - v) ** 2 / 2).mean())
        self.descend(self.pi, -(log_pi * gain).mean())

    def logs(self):
        return {}


NAIVE_ON_POLICY = {"vmpo": NaiveVmpo, "erpg": NaiveErpg}
