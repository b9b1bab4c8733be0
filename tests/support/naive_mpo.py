"""MPO, RERPI and MPO's parametric variant once more, from their papers with torch's modules and loops.

An oracle for the general road of `virel_deep.agent`, of which it imports nothing; one seed, slow and plain.
`update` takes windows `[B, n, width]` of rows (s, a, s', r, terminated, truncated, u, log b(u)), or rows
`[B, width]` of (s, a, s', r, terminated) where targets have one step, and standard normal noise.
"""

import math

import torch
from torch.distributions import Normal

from tests.support.naive_agents import Naive


class Multiplier:
    """A positive number learnt by Adam on its logarithm, and kept above 1e-8.

    Known deviation, 10 in docs/deep/deviations.md: the slope is that in the number itself.
    """

    def __init__(self, initial, rate):
        start = torch.tensor([math.log(initial)], dtype=torch.float32)  # drawn once, as weights are
        self.learnt = start.to(torch.get_default_dtype()).requires_grad_()
        self.adam = torch.optim.Adam([self.learnt], lr=rate)

    def value(self):
        return self.learnt.exp()[0].detach()

    def minimise(self, loss_of):
        self.adam.zero_grad()
        (loss_of(self.learnt.exp()[0]) / self.value()).backward()
        self.adam.step()
        with torch.no_grad():
            self.learnt.clamp_(min=math.log(1e-8))


class Price(Multiplier):
    """A positive number learnt by Adam as a multiple of its first value, and kept above 1e-8.

    Known deviation, 18 in docs/deep/deviations.md.
    """

    def __init__(self, initial, rate):
        self.first, self.learnt = initial, torch.ones(1).requires_grad_()
        self.adam = torch.optim.Adam([self.learnt], lr=rate)

    def value(self):
        return self.first * self.learnt[0].detach()

    def minimise(self, loss_of):
        self.adam.zero_grad()
        (loss_of(self.first * self.learnt[0]) / self.first).backward()
        self.adam.step()
        with torch.no_grad():
            self.learnt.clamp_(min=1e-8 / self.first)


def gaussian(net, s, n_action):
    mean, log_std = net(s).split(n_action, dim=-1)
    return Normal(mean, log_std.clamp(-20, 2).exp())


def by_rank(p, q):
    """Weights p ln((N + 1/2) / rank), the best of N actions first; RERPI, Section 4.1."""
    rows = []
    for of_state, prior in zip(q, p, strict=True):
        best_first, row = (
            sorted(range(len(of_state)), key=lambda j: -float(of_state[j])),
            torch.zeros_like(prior),
        )
        for rank, j in enumerate(best_first, start=1):
            row[j] = prior[j] * math.log((len(of_state) + 0.5) / rank)
        rows.append(row / row.sum())
    return torch.stack(rows)


class NaiveMpo(Naive):
    """What MPO and its kin share: rows, targets, critic step, copies of the networks."""

    def __init__(self, weights, settings, n_observation, n_action):
        super().__init__(weights, settings, n_observation, n_action)
        self.prices = {
            name: Price(getattr(settings.prior, f"price_{name}"), settings.prior.price_rate)
            for name in ("mean", "spread")
        }
        if settings.temperature.kind == "budget":
            self.eta = Multiplier(settings.temperature.initial, settings.temperature.rate)

    def columns(self, batch):
        """Named columns of a batch; without tails, none."""
        o, a = self.n_observation, self.n_action
        names = ["s", "a", "s_next", "r", "terminated", "truncated", "u", "log_b"]
        sizes, out, start = [o, a, o, 1, 1, 1, a, 1], {}, 0
        for name, size in zip(names, sizes, strict=True):
            x = batch[..., start : start + size]
            out[name] = x[..., 0] if name in {"r", "terminated", "truncated", "log_b"} and x.shape[-1] else x
            start += size
        out["r"] = out["r"] * self.set.reward_scale
        return out

    def smaller_q(self, qs, s, a):
        return torch.stack([q(torch.cat([s, a], dim=-1))[..., 0] for q in qs]).amin(0)

    def targets_of_windows(self, rows, v, log_pi):
        """Targets of n steps, window by window: of every pair with Retrace, of the first one without."""
        gamma, trace, n = self.set.gamma, self.set.value.trace, self.set.value.steps
        q = self.smaller_q(self.q_targets, rows["s"], rows["a"])
        out = []
        for b in range(len(q)):
            of_window = []
            for i in range(n if trace is not None else 1):
                y = q[b, i].clone() if trace is not None else torch.zeros(())
                product = torch.ones(())
                for j in range(i, n):
                    if j > i and trace is not None:
                        product = (
                            product * trace * min(1.0, float((log_pi[b, j] - rows["log_b"][b, j]).exp()))
                        )
                    bootstrap = gamma * (1 - rows["terminated"][b, j]) * v[b, j]
                    if trace is not None:
                        y = y + gamma ** (j - i) * product * (rows["r"][b, j] + bootstrap - q[b, j])
                    else:
                        y = y + gamma ** (j - i) * rows["r"][b, j]
                    over = rows["terminated"][b, j] or rows["truncated"][b, j] or j == n - 1
                    if over:
                        y = y if trace is not None else y + gamma ** (j - i) * bootstrap
                        break
                of_window.append(y)
            out.append(torch.stack(of_window))
        return torch.stack(out)

    def bound(self, kl):
        """Lagrangian terms of the trust region, after which the multipliers move by the same divergences."""
        bounds = {"mean": self.set.prior.trust_mean, "spread": self.set.prior.trust_spread}
        used = {name: bound for name, bound in bounds.items() if bound is not None}
        loss = sum(self.prices[name].value() * kl[name].mean() for name in used)
        for name, bound in used.items():
            spent = kl[name].mean().detach()
            self.prices[name].minimise(lambda price, left=bound - spent: price * left)
        return loss

    def copy_networks(self):
        self.t += 1
        if self.t % self.set.target_period == 0:
            for target, net in zip([*self.q_targets, self.pi_target], [*self.qs, self.pi], strict=True):
                target.load_state_dict(net.state_dict())

    def targets(self):
        return {"target_critic": self.q_targets, "target_policy": [self.pi_target]}


class WeightedNaive(NaiveMpo):
    """MPO and RERPI: the E-step at the first states of windows and after each transition.

    Where the episode ended, no action follows, and the state before stands in the place of the next one.
    """

    def update(self, batch, noise):
        rows, value = self.columns(batch), self.set.value
        samples = self.set.posterior.samples
        s_first = rows["s"] if value.steps == 1 else rows["s"][:, 0]
        if value.steps == 1:
            s_next = self.after(rows, range(len(batch)))
        elif value.trace is None:
            s_next = torch.stack([self.state_of_cut(rows, b) for b in range(len(batch))])
        else:
            s_next = self.after(rows, [(b, j) for b in range(len(batch)) for j in range(value.steps)])
        states = torch.cat([s_first, s_next])
        with torch.no_grad():
            old = gaussian(self.pi_target, states, self.n_action)
            xi = noise.view(len(states), samples, self.n_action)
            u = old.mean[:, None] + old.stddev[:, None] * xi
            repeated = states[:, None].expand(-1, samples, -1)
            q = self.smaller_q(self.q_targets, repeated, u.tanh())
            y = self.y(rows, q[len(s_first) :].mean(1))
        pairs = (rows["s"], rows["a"]) if y.dim() == rows["r"].dim() else (rows["s"][:, 0], rows["a"][:, 0])
        self.fit_critics(y.flatten(), *(x.reshape(y.numel(), -1) for x in pairs))
        weights = self.weigh(q)
        self.m_step(states, old, u, weights)
        self.copy_networks()

    def after(self, rows, places):
        """States after some transitions, or before those that ended an episode."""
        return torch.stack([rows["s" if rows["terminated"][i] else "s_next"][i] for i in places])

    def state_of_cut(self, rows, b):
        for j in range(self.set.value.steps):
            if rows["terminated"][b, j] or rows["truncated"][b, j]:
                break
        return self.after(rows, [(b, j)])[0]

    def y(self, rows, v):
        if self.set.value.steps == 1:
            return rows["r"] + self.set.gamma * (1 - rows["terminated"]) * v
        if self.set.value.trace is None:  # the value of the cut is wanted wherever the cut is
            return self.targets_of_windows(rows, v[:, None].expand_as(rows["r"]), None)[:, 0]
        policy = gaussian(self.pi_target, rows["s"], self.n_action)
        log_pi = policy.log_prob(rows["u"]).sum(-1)
        return self.targets_of_windows(rows, v.view_as(rows["r"]), log_pi)

    def weigh(self, q):
        """Weights of Eq. (8), among the best of each state; then dual steps down Eq. (9) itself."""
        if self.set.posterior.weights == "rank":
            return by_rank(torch.ones_like(q), q)
        eta, weights = self.eta.value(), []
        n_kept = max(1, math.ceil(self.set.posterior.keep * q.shape[1] - 1e-9))
        best = torch.stack([of_state.sort(descending=True).values[:n_kept] for of_state in q])
        for of_state, top in zip(q, best, strict=True):
            weight = (of_state / eta - top.max() / eta).exp() * (of_state >= top[-1])
            weights.append(weight / weight.sum())
        for _ in range(self.set.temperature.steps):
            self.eta.minimise(
                lambda x: (
                    x * self.set.temperature.epsilon
                    + x * (torch.logsumexp(best / x, dim=1) - math.log(n_kept)).mean()
                )
            )
        return torch.stack(weights)

    def m_step(self, s, old, u, weights):
        new = gaussian(self.pi, s, self.n_action)
        apart = self.set.prior.likelihood == "decoupled"

        def fitted(mean, std):
            return (weights * Normal(mean[:, None], std[:, None]).log_prob(u).sum(-1)).sum(1).mean()

        if apart:
            likelihood = fitted(new.mean, old.stddev) + fitted(old.mean, new.stddev)
        else:
            likelihood = fitted(new.mean, new.stddev)
        over = old.variance if apart else new.variance
        kl = {
            "mean": ((old.mean - new.mean) ** 2 / over).sum(-1) / 2,
            "spread": (old.variance / new.variance - 1 - (old.variance / new.variance).log()).sum(-1) / 2,
        }
        if not apart:
            whole = torch.distributions.kl_divergence(old, new).sum(-1)
            torch.testing.assert_close(kl["mean"] + kl["spread"], whole)
        self.descend(self.adam["pi"], -likelihood + self.bound(kl))


class ParametricNaive(NaiveMpo):
    """The parametric E-step: climb Q by reparametrised actions, near the policy's lagging copy."""

    def update(self, batch, noise):
        rows = self.columns(batch)
        s, s_next = rows["s"][:, 0], rows["s_next"].flatten(0, 1)
        at_s, at_next = noise[: len(s)], noise[len(s) :]
        with torch.no_grad():
            policy = gaussian(self.pi, s_next, self.n_action)
            v = self.smaller_q(self.q_targets, s_next, (policy.mean + policy.stddev * at_next).tanh())
            log_pi = gaussian(self.pi, rows["s"], self.n_action).log_prob(rows["u"]).sum(-1)
            y = self.targets_of_windows(rows, v.view_as(rows["r"]), log_pi)
        self.fit_critics(y.flatten(), rows["s"].flatten(0, 1), rows["a"].flatten(0, 1))
        new, old = gaussian(self.pi, s, self.n_action), gaussian(self.pi_target, s, self.n_action)
        old = Normal(old.mean.detach(), old.stddev.detach())
        q = self.smaller_q(self.qs, s, (new.mean + new.stddev * at_s).tanh())
        kl = {
            "mean": ((new.mean - old.mean) ** 2 / new.variance).sum(-1) / 2,
            "spread": (old.variance / new.variance - 1 - (old.variance / new.variance).log()).sum(-1) / 2,
        }
        torch.testing.assert_close(
            kl["mean"] + kl["spread"], torch.distributions.kl_divergence(old, new).sum(-1)
        )
        self.descend(self.adam["pi"], -q.mean() + self.bound(kl))
        self.copy_networks()


NAIVE_MPO = {"mpo": WeightedNaive, "rerpi": WeightedNaive, "mpo-parametric": ParametricNaive}
