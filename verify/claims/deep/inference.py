r"""Claims that the deep agent's soft Q-learning and iterative inference are the exact ones, step by step.

`deep-sql`. Both sides: `optimal_value` and `td_target` of `virel_deep.axes.losses` in float64, with all actions
        of a state as proposals of equal weights; against the first six iterates of
        `virel_theory.variational.algorithms.sql`. Step k + 1 starts from the exact $q_k$, so that no error is
        carried over. Compared is $r + \gamma E[V_k(s')]$ with $q_{k+1}$.
Bound:  let $Z = \max|q_k|/\alpha + \log A$. A logit is a sum of three numbers of at most Z, two of them rounded
        before: 6 u Z. The sum of A exponentials is off by (A + 2) u relative, the logarithm and the factor
        alpha by 2 u (Z + log A). So V is off by $b = 2 u \alpha (10 Z + A + 10)$ on either side together, and
        the target by $\gamma b + 2 u (S + 8)(\max|r| + \gamma \max|V|)$.

`deep-iterative`. Both sides: `measured` and `gated_update` of `virel_deep.axes.posterior.steps` with the deep prior
        `Fixed`, where the network is replaced by the exact gradient step; against `gaussian_inference` and
        `gaussian_objective`, for $Q(a) = -\frac k2 (\operatorname{artanh} a - m)^2$, which is quadratic before
        the tanh. The noise 1 and -1 has the moments 0 and 1 of a normal one, so that the mean of two samples is
        the exact expectation. The gate is drawn, at most 0.74, and the proposal is farther by as much as
        the gate holds back. Compared are the parameters and the objective after 0 to 6 steps.
Bound:  samples lie within $w = |m| + \sigma_0$ of 0, as the steps never pass the optimum. There tanh and its
        inverse lose $4 u \cosh^2 w$, so that with c = k + alpha / sigma_0^2 a gradient is off by
        $u c (5 \cosh^2 w + 90)(1 + w)$. A step of length $t \le 1/c$ contracts errors and adds t times that,
        and 20 u (2 + w) of its own, 6 u of them by the gate, as omega / (1 - omega) < 3: after n steps
        $e = n u (1 + w)(5 \cosh^2 w + 134)$. A slope is at most
        $g = (k + \alpha/\sigma_0^2)(1 + w)^2 + \alpha$, so that the objective is off by 2 g e and
        $u (5 \cosh^2 w + 64) g (1 + w)$.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.tools import tensor
from verify.claims.instances import gym_mdp
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.sql import sql
from virel_theory.variational.parts.gaussian_inference import (
    GaussianTask,
    gaussian_inference,
    gaussian_objective,
    gaussian_safe_step,
)

N_STEPS = 6


def sql_gap(*, mdp: TabularMDP, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep targets of soft Q-learning on enumerated actions: minus the exact next iterate."""
    q = np.where(mdp.available, mdp.reward, 0.0)
    gaps = []
    for step, (iterate, _) in enumerate(zip(sql(mdp, alpha=eps), range(N_STEPS), strict=False)):
        if step > 0:
            found, bound = _targets(mdp, q, eps, perturb)
            gaps.append(Gap(np.abs(found - iterate.q)[mdp.available].max(), bound))
        q = np.where(mdp.available, iterate.q, 0.0)
    return worst(*gaps)


def _targets(mdp: TabularMDP, q: Array, alpha: float, perturb: float) -> tuple[Array, float]:
    """Targets `[S, A]` of the deep agent from values q, and how far rounding may move them."""
    from virel_deep.axes import losses  # noqa: PLC0415

    n_states, n_actions = q.shape
    count = mdp.available.sum(axis=1, keepdims=True)
    log_weight = np.where(mdp.available, -np.log(count), -np.inf)
    log_ratio = np.broadcast_to(
        -np.log(count), q.shape
    )  # of equal weights as a density, to the counting measure
    temperature = np.full((n_states, 1), alpha * (1 + 0.1 * perturb))
    v = losses.optimal_value(*map(tensor, (log_weight, q, log_ratio, temperature)))[0]
    reward = np.where(mdp.available, mdp.reward, 0.0)
    of_each = losses.td_target(tensor(reward)[0, ..., None], tensor(0.0)[0], v, gamma=mdp.gamma)
    found = (mdp.dense_transition * of_each.numpy()).sum(axis=2)
    found += (1 - mdp.dense_transition.sum(axis=2)) * reward  # rows of actions that do not exist

    z = float(np.abs(q).max()) / alpha + np.log(n_actions)
    of_v = 2 * U * alpha * (10 * z + n_actions + 10)
    size = float(np.abs(reward).max() + mdp.gamma * np.abs(v.numpy()).max())
    return found, mdp.gamma * of_v + 2 * U * (n_states + 8) * size


def iterative_gap(
    *, curvature: float, peak: float, prior_std: float, alpha: float, gate: float, perturb: float = 0.0
) -> Gap:
    """Gap of the deep inference steps and objectives on a quadratic value: minus the exact ones."""
    task = GaussianTask(curvature, peak, 0.0, prior_std, alpha)
    length = gaussian_safe_step(task)
    mean, std = gaussian_inference(task, iterations=N_STEPS, step=length)
    exact = np.stack((mean, np.log(std)), axis=1)
    heads, values = _deep_steps(task, length, gate, perturb)

    w = abs(peak) + prior_std
    lost = 5 * np.cosh(w) ** 2
    of_heads = N_STEPS * U * (1 + w) * (lost + 134)
    slope = task.precision * (1 + w) ** 2 + alpha
    of_values = 2 * slope * of_heads + U * (lost + 64) * slope * (1 + w)
    objectives = gaussian_objective(task, mean=mean, std=std)
    return worst(
        Gap(float(np.abs(heads - exact).max()), of_heads),
        Gap(float(np.abs(values - objectives).max()), of_values),
    )


def _deep_steps(task: GaussianTask, length: float, gate: float, perturb: float) -> tuple[Array, Array]:
    """Parameters `[n + 1, 2]` and objectives `[n + 1]` of the deep agent's steps along the exact gradient.

    `gate` is the gate before the logistic function.
    """
    import torch  # noqa: PLC0415

    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior import steps  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Fixed  # noqa: PLC0415
    from virel_deep.design import inference as settings  # noqa: PLC0415

    def q_of(_: Any, action: Any) -> Any:
        return -task.curvature / 2 * (action[..., 0].atanh() - task.peak).square()

    alpha = tensor([task.alpha * (1 + 0.1 * perturb)])
    objective = Objective(q_of, Fixed(settings.Fixed(std=task.prior_std)), alpha)
    state, noise = tensor([[0.0]]), tensor([[[1.0], [-1.0]]])
    head, heads, values = tensor([[0.0, float(np.log(task.prior_std))]]), [], []
    for _ in range(N_STEPS + 1):
        found = steps.measured(state, head, noise, objective)
        heads.append(head[0, 0].numpy())
        values.append(found.value.item())
        delta = head + length * (1 + np.exp(gate)) * found.slope  # 1 / (1 - omega) = 1 + e^gate
        head = steps.gated_update(head, torch.cat((delta, torch.full_like(delta, gate)), dim=-1))
    return np.stack(heads), np.array(values)


CLAIMS = (
    Claim(
        id="deep-sql",
        title="The deep agent's targets on enumerated actions are soft value iteration",
        source="virel_deep optimal_value, td_target: Haarnoja et al. 2017, Thm 3, Eq. (10)",
        statement=r"V_k(s) = \alpha\log\frac1{|A_s|}\sum_{a \in A_s}\frac{e^{q_k(s, a)/\alpha}}{1/|A_s|};"
        r"\qquad r(s, a) + \gamma E[V_k(s')] = q_{k+1}(s, a)",
        check=Check(
            sql_gap,
            instances(mdp=mdps(masked=True), eps=temperatures()),
            named=lambda: [("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1").to_dense(), "eps": 0.1})],
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
    Claim(
        id="deep-iterative",
        title="The deep agent's inference steps along the exact gradient are those of exact inference",
        source="virel_deep measured, gated_update, Fixed: Marino et al., Eqs. (15), (16)",
        statement=r"\lambda_{j+1} = \omega\lambda_j + (1-\omega)\big(\lambda_j + \tfrac{t}{1-\omega}\nabla_\lambda\tilde J(\lambda_j)\big):"
        r"\qquad \mu_{j+1} = \mu_j - tc(\mu_j - \mu^*),\quad"
        r"\log\sigma_{j+1} = \log\sigma_j + t(\alpha - c\sigma_j^2)",
        check=Check(
            iterative_gap,
            st.fixed_dictionaries(
                {
                    "curvature": st.sampled_from((1.0, 0.5, 2.0, 0.0, 4.0)),
                    "peak": st.integers(-4, 4).map(lambda k: k / 4),
                    "prior_std": st.sampled_from((1.0, 0.5, 0.25)),
                    "alpha": st.sampled_from((1.0, 0.5, 2.0, 0.25)),
                    "gate": st.sampled_from((1.0, 0.0, -2.0)),
                }
            ),
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
