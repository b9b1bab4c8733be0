"""Distral (Teh et al. 2017), IADP (Galashov et al. 2019) and HDP (Tirumala et al. 2019) once more, plainly.

An oracle for the learned priors of `virel_deep`, of which it imports nothing; one seed, slow and plain, with
torch's modules and loops. Rows are those of `naive_mpo`, with the age of the state last where Distral weighs
by discounted visits.
"""

from copy import deepcopy

import torch
from torch.distributions import Categorical, Normal, kl_divergence

from tests.support.naive_agents import Naive, module
from tests.support.naive_discrete import Choosing, NaiveDiscreteMpo
from tests.support.naive_mpo import NaiveMpo, gaussian


class Blindfolded:
    """What agents with a prior that sees less than the policy share."""

    def equip(self, weights):
        self.p = module(weights["default"], 0)
        self.p_target = deepcopy(self.p)
        self.adam["p"] = self._adam(self.p)

    def seen(self, s):
        n, prior = self.n_observation, self.set.prior
        hidden = [i % n for i in prior.blind] + [n - 1 - i for i in range(prior.blind_last)]
        return torch.stack([s[..., i] for i in range(n) if i not in hidden], dim=-1)


class NaiveDistral(Blindfolded, Choosing, Naive):
    """Distral with enumerated actions: Q, and the distilled policy; no network for the tasks' policies."""

    def __init__(self, weights, settings, n_observation, n_action):
        self.set, self.n_observation, self.n_action = settings, n_observation, n_action
        self.qs = [module(weights["critic"], head) for head in range(len(weights["critic"]["0.weight"]))]
        self.q_targets = deepcopy(self.qs)
        self.adam = {"q": [self._adam(q) for q in self.qs]}
        self.equip(weights)

    def networks(self):
        return {"default": [self.p], "critic": self.qs, "target_critic": self.q_targets}

    def powers(self, s):
        """Prior to the power rho, `[B, A]`."""
        return Categorical(logits=self.p(self.seen(s))).probs ** self.set.prior.exponent

    def update(self, batch, _):
        o, a = self.n_observation, self.n_action
        s, action, s_next, r, terminated, *age = batch.split(
            [o, a, o, 1, 1, *[1] * self.set.prior.discounted], -1
        )
        alpha = self.set.temperature.alpha
        with torch.no_grad():
            q_next = self.value_of_each(self.q_targets, s_next)
            best = q_next.max(1, keepdim=True).values
            z = (self.powers(s_next) * ((q_next - best) / alpha).exp()).sum(1)
            v_next = best[:, 0] + alpha * z.log()
            y = r[:, 0] * self.set.reward_scale + self.set.gamma * (1 - terminated[:, 0]) * v_next
        self.fit_critics(y, s, action)
        with torch.no_grad():
            q = self.value_of_each(self.qs, s)
            pi = self.powers(s) * ((q - q.max(1, keepdim=True).values) / alpha).exp()
            pi = pi / pi.sum(1, keepdim=True)
            weight = self.set.gamma ** age[0][:, 0] if age else torch.ones(len(s))
        log_p = Categorical(logits=self.p(self.seen(s))).logits
        likelihood = sum(w * (x * y).sum() for w, x, y in zip(weight, pi, log_p, strict=True)) / weight.sum()
        self.descend(self.adam["p"], -likelihood)
        for target, net in zip(self.q_targets, self.qs, strict=True):
            self.polyak(target, net)


class NaiveIadp(Blindfolded, NaiveMpo):
    """IADP with a tanh-Gaussian: KL in reward and policy loss, against the lagging copy of the prior."""

    def __init__(self, weights, settings, n_observation, n_action):
        Naive.__init__(self, weights, settings, n_observation, n_action)
        self.equip(weights)

    def networks(self):
        mine = {"policy": [self.pi], "critic": self.qs, "default": [self.p]}
        return mine | {"target_critic": self.q_targets, "target_default": [self.p_target]}

    def divergence(self, policy, s):
        with torch.no_grad():
            prior = gaussian(self.p_target, self.seen(s), self.n_action)
        return kl_divergence(policy, prior).sum(-1)

    def update(self, batch, noise):
        rows, alpha = self.columns(batch), self.set.temperature.alpha
        s, s_next = rows["s"][:, 0], rows["s_next"].flatten(0, 1)
        at_s, at_next = noise[: len(s)], noise[len(s) :]
        with torch.no_grad():
            policy = gaussian(self.pi, s_next, self.n_action)
            q = self.smaller_q(self.q_targets, s_next, (policy.mean + policy.stddev * at_next).tanh())
            v = q - alpha * self.divergence(policy, s_next)
            log_pi = gaussian(self.pi, rows["s"], self.n_action).log_prob(rows["u"]).sum(-1)
            y = self.targets_of_windows(rows, v.view_as(rows["r"]), log_pi)
        policy = gaussian(self.pi, s, self.n_action)
        u = policy.mean + policy.stddev * at_s
        self.fit_critics(y.flatten(), rows["s"].flatten(0, 1), rows["a"].flatten(0, 1))
        loss = (alpha * self.divergence(policy, s) - self.smaller_q(self.qs, s, u.tanh())).mean()
        prior = gaussian(self.p, self.seen(s), self.n_action)
        self.descend(self.adam["pi"], loss)
        self.descend(self.adam["p"], -prior.log_prob(u.detach()).sum(-1).mean())
        self.average()

    def average(self):
        for target, net in zip([*self.q_targets, self.p_target], [*self.qs, self.p], strict=True):
            self.polyak(target, net)


class NaiveDiscreteIadp(NaiveIadp, NaiveDiscreteMpo):
    """IADP over a finite set of actions."""

    columns = NaiveDiscreteMpo.columns

    def divergence(self, policy, s):
        with torch.no_grad():
            prior = Categorical(logits=self.p_target(self.seen(s)))
        return kl_divergence(policy, prior)

    def update(self, batch, _):
        rows, alpha = self.columns(batch), self.set.temperature.alpha
        s, s_next = rows["s"][:, 0], rows["s_next"].flatten(0, 1)
        with torch.no_grad():
            policy = Categorical(logits=self.pi(s_next))
            v = (policy.probs * self.value_of_each(self.q_targets, s_next)).sum(1)
            v = v - alpha * self.divergence(policy, s_next)
            y = self.targets_by(self.pi, rows, v)
        self.fit_critics(y.flatten(), rows["s"].flatten(0, 1), rows["a"].flatten(0, 1))
        policy = Categorical(logits=self.pi(s))
        q = self.value_of_each(self.qs, s).detach()
        loss = (alpha * self.divergence(policy, s) - (policy.probs * q).sum(1)).mean()
        log_p = Categorical(logits=self.p(self.seen(s))).logits
        likelihood = (policy.probs.detach() * log_p).sum(1).mean()
        self.descend(self.adam["pi"], loss)
        self.descend(self.adam["p"], -likelihood)
        self.average()


class NaiveDiscreteHdp(Blindfolded, Choosing, Naive):
    """HDP over finitely many actions: a high level, its default, and a low level that sees what that sees."""

    def __init__(self, weights, settings, n_observation, n_action):
        super().__init__(weights, settings, n_observation, n_action)
        self.equip(weights)
        self.low, self.z = module(weights["low"], 0), settings.posterior.latents
        self.adam["low"] = self._adam(self.low)
        for level in ("pi", "low"):  # the policy consists of both
            self.adam[level].param_groups[0]["lr"] = settings.policy_learning_rate or settings.learning_rate

    def networks(self):
        mine = {"policy": [self.pi], "critic": self.qs, "default": [self.p], "low": [self.low]}
        return mine | {"target_critic": self.q_targets, "target_default": [self.p_target]}

    def divergence(self, s):
        with torch.no_grad():
            default = Categorical(logits=self.p_target(self.seen(s))).probs ** self.set.prior.exponent
        return kl_divergence(Categorical(logits=self.pi(s)), Categorical(probs=default))

    def expected(self, qs, s, _):
        """Sum over latents and actions of both levels' probabilities and the value."""
        q, high = self.value_of_each(qs, s), Categorical(logits=self.pi(s)).probs
        low = self.low(self.seen(s)).view(len(s), self.z, self.n_action)
        total = torch.zeros(len(s))
        for z in range(self.z):
            for a in range(self.n_action):
                total = total + high[:, z] * Categorical(logits=low[:, z]).probs[:, a] * q[:, a]
        return total

    def first(self, z):
        """Low level of latent z to begin with: half the time one action of its own, else any."""
        own = torch.zeros(self.n_action)
        own[z % self.n_action] = 1.0
        return Categorical(probs=(own + 1 / self.n_action) / 2)

    def levels(self, low):
        return [Categorical(logits=low[:, z]) for z in range(self.z)]

    def strayed(self, s):
        """How far the low level is from its first form, on average over states and latents."""
        high = Categorical(logits=self.pi(s)).probs.detach()
        levels = self.levels(self.low(self.seen(s)).view(len(s), self.z, -1))
        apart = [kl_divergence(level, self.first(z)).reshape(len(s), -1) for z, level in enumerate(levels)]
        return sum(high[:, z] * apart[z].sum(1) for z in range(self.z)).mean()

    def update(self, batch, noise):
        s, a, s_next, r, terminated = self.parts(batch)
        alpha, at_s, at_next = self.set.temperature.alpha, noise[: len(s)], noise[len(s) :]
        with torch.no_grad():
            v = self.expected(self.q_targets, s_next, at_next) - alpha * self.divergence(s_next)
            y = r + self.set.gamma * (1 - terminated) * v
        self.fit_critics(y, s, a)
        loss = (alpha * self.divergence(s) - self.expected(self.qs, s, at_s)).mean()
        loss = loss + self.set.prior.low_alpha * self.strayed(s)
        high = Categorical(logits=self.pi(s)).probs.detach()
        fit = (high * Categorical(logits=self.p(self.seen(s))).logits).sum(1).mean()
        frozen = self.set.prior.frozen
        learnt = ["pi"] if frozen else ["pi", "low"]
        for name in learnt:
            self.adam[name].zero_grad()
        loss.backward()
        for name in learnt:
            self.adam[name].step()
        if not frozen:
            self.descend(self.adam["p"], -fit)
        for target, net in zip([*self.q_targets, self.p_target], [*self.qs, self.p], strict=True):
            self.polyak(target, net)


class NaiveHdp(NaiveDiscreteHdp):
    """HDP with a tanh-Gaussian low level: one reparametrised action of every latent."""

    def first(self, z):
        mean = torch.zeros(self.n_action)
        mean[z % self.n_action] = -1.0 if z // self.n_action % 2 else 1.0
        return Normal(mean, torch.ones(self.n_action))

    def levels(self, low):
        heads = (low[:, z].split(self.n_action, dim=-1) for z in range(self.z))
        return [Normal(mean, log_std.clamp(-20, 2).exp()) for mean, log_std in heads]

    def expected(self, qs, s, xi):
        high = Categorical(logits=self.pi(s)).probs
        low = self.low(self.seen(s)).view(len(s), self.z, 2 * self.n_action)
        xi, total = xi.view(len(s), self.z, self.n_action), torch.zeros(len(s))
        for z in range(self.z):
            mean, log_std = low[:, z].split(self.n_action, dim=-1)
            action = (mean + log_std.clamp(-20, 2).exp() * xi[:, z]).tanh()
            total = total + high[:, z] * torch.stack(self.q_values(qs, s, action)).amin(0)
        return total
