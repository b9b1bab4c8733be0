r"""Claims that the deep agent's values through a model are the exact expansions, where all draws are enumerated.

The model is a table, states and actions are one-hot. A rollout of h steps from a pair is one of finitely many:
each is a row of a minibatch, whose random numbers say which successors and actions come next, and counts with
its probability. Policies are given by their log probabilities.

Both sides: `ModelQ` of `virel_deep.axes.model` in float64, whose critic is a table; against the first iterates of
        `mb_sac`, and against `expanded_action_value` without a divergence, `budget_temperature` and
        `tempered_posterior`, which `mb_mpo` has. Step k starts from the exact policy $\pi_{k-1}$ and its exact
        value v, for `mb_sac` with the critic $Q(s, a) = v(s) + \alpha\log(\pi/p)$, whose soft value is v whatever
        the action. The model differs from the MDP: a pair leads astray with probability 1/4. Compared are
        expanded values; the critics' targets of transitions to each state, without reward, which are gamma
        times the expanded state value; and for MPO the weights and the slope of the dual.
Bound:  let M bound |r|, |v| and $\alpha|\log(\pi/p)|$. A rollout's value is a sum of at most 3 h + 2 of them,
        each with at most 8 roundings, so below $m = (3h + 2) M$ with an error of (3 h + 10) u m. Its probability
        is a product of 2 h numbers. The mean over n rollouts of a pair: (n + 2 h) u m. The exact side: h backups
        of error (S + A + 8) u m each, a divergence of A terms. Together $b = 2 u m (n + h (S + A + 16) + 64)$.
        A target takes the mean over A actions more: 2 b. Weights: a logit is off by $b/\eta$, so that a weight is off by
        twice that and 2 u (A + 8 + 4 Z), Z the largest $|\log\pi| + |Q|/\eta$; the slope by
        (that) (2 A Z + 1) + 4 u Z (A + S + 2), as in `deep-mpo`.
Teeth:  `perturb` makes the deep side's temperature a tenth larger; for MPO, where it only weighs, too.
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.bridge import LEAST, critic_network, float64
from verify.claims.deep.models.table import Following, TablePolicy, TableWorld, rollouts
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.model_based import mb_sac
from virel_theory.variational.core.budget import budget_temperature, tempered_posterior
from virel_theory.variational.core.regularised import regularised_value
from virel_theory.variational.parts.expansion import (
    expanded_action_value,
    expanded_value,
    perturbed_model,
)

N_STEPS = 3
LEAST_PRICE = 1e-3
"""Temperature below which the budget hardly binds, so that another one is compared."""
NOISE = 0.25
"""Probability that the model leads astray."""


def sac_gap(*, mdp: TabularMDP, alpha: float, h: int, perturb: float = 0.0) -> Gap:
    """Gap of the deep expansions along the iterates of `mb_sac`: minus the exact ones."""
    gaps, model = [], perturbed_model(mdp, noise=NOISE, seed=1)
    uniform = np.full(mdp.shape, 1 / mdp.n_actions)
    with float64():
        old = uniform
        for step, _ in zip(mb_sac(mdp, alpha=alpha, horizon=h, model=model), range(N_STEPS), strict=False):
            v = regularised_value(mdp, pi=old, prior=uniform, alpha=alpha)
            ratio = np.log(old) - np.log(uniform)
            found = expanded(model, v[:, None] + alpha * ratio, (old, uniform), alpha, h, perturb)
            bound = rounding(mdp, v, alpha * ratio, h, found.most)
            gaps.append(Gap(float(np.abs(found.q - step.q).max()), bound))
            ahead = mdp.gamma * expanded_value(model, v, pi=old, prior=uniform, alpha=alpha, steps=h)
            gaps.append(Gap(float(np.abs((old * found.target).sum(axis=1) - ahead).max()), 2 * bound))
            old = step.policy
            if old.min() < LEAST:
                break
    return worst(*gaps)


def mpo_gap(*, mdp: TabularMDP, epsilon: float, h: int, perturb: float = 0.0) -> Gap:
    """Gap of the deep weights of expanded values, and of their dual's slope, along three exact steps."""
    from virel_deep.axes.weights import d_budget, tempered_weights  # noqa: PLC0415

    gaps, model, d = [], perturbed_model(mdp, noise=NOISE, seed=1), np.full(mdp.n_states, 1 / mdp.n_states)
    pi = np.full(mdp.shape, 1 / mdp.n_actions)
    for _ in range(N_STEPS):
        v = regularised_value(mdp, pi=pi, prior=pi, alpha=0.0)
        q = expanded_action_value(model, v, pi=pi, prior=pi, alpha=0.0, steps=h)
        least = budget_temperature(q, prior=pi, d=d, epsilon=epsilon).eta
        price = least if least >= LEAST_PRICE else 1.0
        posterior = tempered_posterior(q, prior=pi, eta=price)
        with float64():
            found = expanded(model, np.repeat(v[:, None], mdp.n_actions, 1), (pi, pi), 0.0, h, 0.0)
        eta = np.full((mdp.n_states, 1), price * (1 + 0.1 * perturb))
        weights = tempered_weights(tensor(np.log(pi)), tensor(found.q), tensor(eta))
        weight = weights.log_weight[0].exp()
        spent = (weight * weights.log_ratio[0]).sum(-1).mean(-1, keepdim=True)
        kl = float(d @ (posterior * np.log(np.where(posterior > 0, posterior, 1) / pi)).sum(axis=1))
        z = float((np.abs(np.log(pi)) + np.abs(q) / price).max())
        of_weight = 2 * rounding(mdp, v, 0 * pi, h, found.most) / price + 2 * U * (mdp.n_actions + 8 + 4 * z)
        of_kl = of_weight * (2 * mdp.n_actions * z + 1) + 4 * U * z * (mdp.n_actions + mdp.n_states + 2)
        gaps.append(Gap(float(np.abs(weight.numpy() - posterior).max()), of_weight))
        gaps.append(Gap(abs(d_budget(spent, epsilon=kl).item()), of_kl))
        pi = posterior
        if pi.min() < LEAST:
            break
    return worst(*gaps)


class Expanded(NamedTuple):
    """What the deep agent makes of a model, mean values `[S, A]` over all rollouts from a pair."""

    q: Array
    """Expanded values."""
    target: Array
    """Critics' targets without reward, of a transition to the state, if the action follows."""
    most: int
    """Largest number of rollouts from a pair."""


def expanded(
    model: TabularMDP,
    q: Array,
    policies: tuple[Array, Array],
    alpha: float,
    h: int,
    perturb: float,
    *,
    rollout: Any = "posterior",
) -> Expanded:
    """Deep expansions of a critic `q [S, A]` by h steps of a model under a policy, given with its prior.

    With `rollout="prior"` the prior takes the steps in the policy's place.
    """
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.model.model_q import ModelQ  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415
    from virel_deep.axes.tensors import Transitions  # noqa: PLC0415
    from virel_deep.design.model import Model  # noqa: PLC0415

    n_states, n_actions = model.shape
    critic = critic_network(q)
    policy: Any = TablePolicy(*policies)
    prior: Any = TablePolicy(policies[1], policies[1]) if rollout == "prior" else Uniform()
    settings = Model(critics=1, evaluation="soft" if alpha else "hard", horizon=h, rollout=rollout)
    world: Any = TableWorld(model)
    value = ModelQ(settings, critic, critic, world, n_action=n_actions, gamma=model.gamma)
    objective = Objective(value.q_of, prior, tensor([alpha * (1 + 0.1 * perturb)]))
    rows = rollouts(model, policies[rollout == "prior"], h)
    numbers = np.zeros((len(rows.s), h, 1 + n_actions))
    numbers[:, :, :2] = rows.draws
    nothing = np.zeros(len(rows.s))
    noise = {"member": tensor(nothing[:, None]), "rollout": tensor(numbers.reshape(len(rows.s), -1))}
    noise["following"] = tensor(rows.a[:, None])
    state, action = np.eye(n_states)[rows.s], np.eye(n_actions)[rows.a]
    history = np.concatenate((state, action), axis=1)
    data = Transitions(*map(tensor, (state, history, nothing, nothing, state)))
    values = value.expanded(objective, policy, noise).q_of(data.state, tensor(action[:, None]))[0, :, 0]
    following: Any = Following(policy, noise, tensor(rows.a[:, None]), objective)
    td_error = value.fit(data, None, following, objective).td_error[0, 0]

    def mean(x: Array) -> Array:
        out = np.zeros(model.shape)
        np.add.at(out, (rows.s, rows.a), rows.probability * x)
        return out

    most = int(np.bincount(rows.s * n_actions + rows.a).max())
    return Expanded(mean(values.detach().numpy()), mean(td_error.numpy()) + q, most)


def rounding(mdp: TabularMDP, v: Array, cost: Array, h: int, n: int) -> float:
    """Bound on the rounding of an expanded value, of both sides."""
    size = max(float(np.abs(x).max()) for x in (mdp.reward, v, cost))
    return 2 * U * (3 * h + 2) * size * (n + h * (mdp.n_states + mdp.n_actions + 16) + 64)


CLAIMS = (
    Claim(
        id="deep-mb-sac",
        title="The deep agent's values through a model are the exact expansions",
        source="virel_deep ModelQ, expanded_q: Marino et al., Eq. (9)",
        statement=r"E\Big[\sum_{i<h}\gamma^i\hat r_i - \alpha\sum_{0<i\le h}\gamma^i\log\frac{\pi(a_i|s_i)}{p(a_i|s_i)}"
        r" + \gamma^h Q(s_h, a_h)\Big] = \hat Q_k(s, a) \text{ of } \mathtt{mb\_sac};\qquad"
        r" E[y - r] = \gamma \hat V_h(s')",
        check=Check(
            sac_gap,
            instances(mdp=mdps(max_states=3, max_actions=2), alpha=temperatures(), h=st.integers(1, 2)),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
    Claim(
        id="deep-mb-mpo",
        title="The deep agent's weights of values through a model are MPO's on exact expansions",
        source="virel_deep ModelQ, tempered_weights: MPO, Eq. (8), (9); Marino et al., Eq. (9)",
        statement=r"w_j = \frac{\pi(a_j|s) e^{\hat Q_h(s, a_j)/\eta}}{\sum_i \pi(a_i|s) e^{\hat Q_h(s, a_i)/\eta}}"
        r" = q_\eta(a_j|s);\qquad E_d KL(q_\eta\|\pi) = \epsilon:\quad g'(\eta) = 0",
        check=Check(
            mpo_gap,
            instances(
                mdp=mdps(max_states=3, max_actions=2),
                epsilon=st.sampled_from((0.1, 0.01, 0.3)),
                h=st.integers(1, 2),
            ),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
