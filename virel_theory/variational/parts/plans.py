r"""Plans of h steps as inference: soft values of a plan, its evidence and its posterior, in log space.

A plan from state $s_0$ is $\tau = (s_0, a_0, s_1, \dots, a_{h-1}, s_h)$. Its target weighs what the prior
policy p and the dynamics P make likely by the exponential of a bootstrapped, discounted return:

$$p(\tau|O) \propto \prod_{t<h} p(a_t|s_t)P(s_{t+1}|s_t,a_t)
    \exp\Big(\frac1\alpha\Big[\sum_{t<h}\gamma^t r(s_t,a_t) + \gamma^h V(s_h)\Big]\Big)$$

Conditioning on O conditions the dynamics too: where they are random, the plan chooses its luck. The backward
messages of this distribution, times $\alpha$, are soft values in reward units, discounted to step 0:
$Q_t(s,a) = \gamma^t r + \alpha\log E_P[e^{V_{t+1}(s')/\alpha}]$, $V_t(s) = \alpha\log\sum_a p(a|s)
e^{Q_t(s,a)/\alpha}$, $V_h = \gamma^h V$. At $\alpha = 0$ both means become maxima over what is possible.

The text of Piche et al. 2019 was not to be had: the target is the one that summaries of it describe, such as
Macfarlane et al. 2024. Discounting it is ours.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import (
    Array,
    as_non_negative,
    as_probability,
    first_bad,
    read_only_copy,
    require_kind,
)
from virel_theory.mdp.tables import as_policy, as_values, require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core import kernels
from virel_theory.variational.core.e_step import posterior_policy, soft_maximum

LONGEST = 1_000_000_000
"""Largest horizon, or number of particles: numbers of more take more memory than a computer has."""


@dataclass(frozen=True, eq=False)
class Plan:
    r"""Planning problem over h steps: model, prior, proposal, final values, after Piche et al. 2019.

    Validated once, then read-only.

    Args:
        mdp: the model that is planned with; its discount is used unless `discount` is given.
        v: `[S]` final values $V(s_h)$, reward units. They also guide the particles on the way.
        prior: `[S, A]` prior policy p.
        alpha: temperature >= 0, reward units; 0 is the limit, which only `plan_values` and
            `plan_posterior` know.
        horizon: number h >= 1 of steps.
        proposal: `[S, A]` policy from which particles draw actions, positive exactly where the prior is;
            None: the prior.
        discount: $\gamma$ in [0, 1]; None: that of the MDP. Piche et al. have 1.

    Raises: InputError: naming the argument, the rule and the value found.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=3).discount
        0.5
    """

    mdp: TabularMDP
    v: Any
    prior: Any
    alpha: float
    horizon: int
    proposal: Any = None
    discount: Any = None

    def __post_init__(self) -> None:
        """Validate every field and store read-only float64 copies of the arrays."""
        require_mdp(self.mdp)
        prior = as_policy(self.prior, self.mdp, name="prior")
        proposal = prior if self.proposal is None else as_policy(self.proposal, self.mdp, name="proposal")
        rule = "must be positive exactly where the prior is (2.2e-308 will do where it underflows)"
        first_bad((proposal > 0) != (prior > 0), proposal, name="proposal", rule=rule)
        alpha, horizon = as_non_negative(self.alpha, name="alpha"), self.horizon
        discount = self.mdp.gamma if self.discount is None else as_probability(self.discount, name="discount")
        require_count(horizon, name="horizon")
        for name, value in {
            "v": read_only_copy(as_values(self.v, self.mdp, name="v")),
            "prior": read_only_copy(prior),
            "proposal": read_only_copy(proposal),
            "alpha": alpha,
            "discount": discount,
            "horizon": int(horizon),
        }.items():
            object.__setattr__(self, name, value)


def plan_values(plan: Plan) -> tuple[Array, Array]:
    r"""Soft values $Q_t(s,a)$ and $V_t(s)$ of a plan, its log-messages, after Piche et al. 2019.

    $$Q_t(s,a) = \gamma^t r(s,a) + \alpha\log E_{P(s'|s,a)}[e^{V_{t+1}(s')/\alpha}], \quad
    V_t(s) = \alpha\log\sum_a p(a|s)e^{Q_t(s,a)/\alpha}, \quad V_h = \gamma^h V$$

    Means of exponentials favour lucky successors: for random dynamics $Q_t$ exceeds the soft action value.
    For deterministic dynamics it is the soft action value at temperature $\alpha/\gamma^t$, times $\gamma^t$:
    a discounted plan gets hotter with every step. At $\alpha = 0$ the maximum over the successors and over
    the actions that have positive probability.

    Args: plan: the planning problem.
    Returns: `[h, S, A]` values $Q_t$, `-inf` where the action does not exist, and `[h + 1, S]` values $V_t$;
        reward units at step 0. Error: h (S + A + 16) ulps of h max|r| + max|v| + alpha (1 + max|log p|).

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> q, v = plan_values(Plan(mdp, v=[2.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1))
        >>> q.tolist(), v.round(4).tolist()
        ([[[2.0, 1.0]]], [[1.6201], [1.0]])
    """
    require_plan(plan)
    mdp, h, csr = plan.mdp, plan.horizon, sparse.csr_array(plan.mdp.csr_transition)
    q, v = np.empty((h, *mdp.shape)), np.empty((h + 1, mdp.n_states))
    v[h] = plan.discount**h * plan.v
    for t in reversed(range(h)):
        ahead = _lucky_mean(csr, v[t + 1], plan.alpha).reshape(mdp.shape)
        q[t] = np.where(mdp.available, plan.discount**t * mdp.reward + ahead, -np.inf)
        v[t] = _prior_mean(q[t], plan.prior, plan.alpha)
    return q, v


def plan_posterior(plan: Plan) -> Array:
    r"""Posterior $p(a_t|s_t, O)$ of a plan's actions, what particles converge to, after Piche et al. 2019.

    $$p(a_t|s_t,O) = \frac{p(a_t|s_t)e^{Q_t(s_t,a_t)/\alpha}}{e^{V_t(s_t)/\alpha}}$$

    The risk-seeking posterior of `pseudo_posterior_policy`, with final values, a discount and a prior. At
    $\alpha = 0$ its limit: the maximisers of $Q_t$ that the prior allows, to exact ties, in proportion to
    $p(a|s)$ times the probability of the best paths behind them.

    Args: plan: the planning problem.
    Returns: `[h, S, A]` probabilities; relative error as of `plan_values`, divided by alpha.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan_posterior(Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)).round(4).tolist()
        [[[0.7311, 0.2689]]]
    """
    q, v = plan_values(plan)
    if plan.alpha == 0:
        return _greedy_posterior(plan, q, v)
    return np.array([posterior_policy(q_t, prior=plan.prior, alpha=plan.alpha) for q_t in q])


def plan_log_evidence(plan: Plan) -> Array:
    r"""Log-evidence $\log Z(s_0)$ of a plan from each state, in nats, after Piche et al. 2019.

    $$\log Z(s_0) = \log E_{p,P}\Big[\exp\Big(\frac1\alpha\Big[\sum_{t<h}\gamma^t r_t + \gamma^h
    V(s_h)\Big]\Big)\Big] = V_0(s_0)/\alpha$$

    Args: plan: the planning problem, alpha > 0.
    Returns: `[S]`, infinite where it is out of the range of float64; error as of `plan_values`, divided by
        alpha.
    Raises: InputError: if `alpha` is 0.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=2, discount=1.0)
        >>> plan_log_evidence(plan).round(4).tolist()
        [1.2402]
    """
    require_plan(plan)
    require(plan.alpha > 0, "alpha", plan.alpha, "must be positive")
    with np.errstate(over="ignore"):
        out: Array = plan_values(plan)[1][0] / plan.alpha
    return out


def require_count(n: int, *, name: str) -> None:
    """Raise `InputError` unless `n`, the argument called `name`, is a positive integer of arrays' size."""
    whole = as_whole(n, name=name, least=1)
    require(whole <= LONGEST, name, n, f"must be at most {LONGEST:,}, as arrays of that length are kept")


def require_plan(plan: Plan) -> None:
    """Raise `InputError` unless the argument `plan` is a `Plan`."""
    require_kind(plan, Plan, name="plan")


def _lucky_mean(csr: sparse.csr_array, v: Array, alpha: float) -> Array:
    r"""Means $\alpha\log E_P[e^{v(s')/\alpha}]$ per pair, `[S A]`; at alpha = 0 the best successor."""
    if alpha == 0:
        values = np.append(np.where(csr.data > 0, v[csr.indices], -np.inf), -np.inf)
        best: Array = np.maximum.reduceat(values, csr.indptr[:-1])
        return best
    out = np.empty(csr.shape[0])
    kernels.lucky_means(csr.indptr, csr.indices, csr.data, v, alpha, out)
    return out


def _greedy_posterior(plan: Plan, q: Array, v: Array) -> Array:
    r"""Limit of the posterior as alpha falls to 0, `[h, S, A]`.

    Messages are $e^{V_t/\alpha} m_t$ there, with the probability m of the best paths: $m_h = 1$,
    $m_t(s, a) = \sum P(s'|s, a) m_{t+1}(s')$ over the best successors, $m_t(s) = \sum p(a|s) m_t(s, a)$ over
    the best actions.
    """
    mdp, csr = plan.mdp, sparse.csr_array(plan.mdp.csr_transition)
    of_entry = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    out, log_m = np.empty_like(q), np.zeros(mdp.n_states)
    for t in reversed(range(plan.horizon)):
        best = (csr.data > 0) & (v[t + 1][csr.indices] == _lucky_mean(csr, v[t + 1], 0.0)[of_entry])
        entries = np.where(best, np.log(np.where(best, csr.data, 1.0)) + log_m[csr.indices], -np.inf)
        ahead = np.logaddexp.reduceat(np.append(entries, -np.inf), csr.indptr[:-1]).reshape(mdp.shape)
        ahead = np.where((plan.prior > 0) & (q[t] == v[t][:, None]), ahead, -np.inf)
        largest = ahead.max(axis=1, keepdims=True)
        weight = plan.prior * np.exp(ahead - largest)
        out[t] = weight / weight.sum(axis=1, keepdims=True)
        log_m = np.log(weight.sum(axis=1)) + largest[:, 0]
    return out


def _prior_mean(q: Array, prior: Array, alpha: float) -> Array:
    r"""Means $\alpha\log\sum_a p(a|s)e^{q(s,a)/\alpha}$, `[S]`; at alpha = 0 the best action of the prior."""
    if alpha == 0:
        best: Array = np.where(prior > 0, q, -np.inf).max(axis=1)
        return best
    return soft_maximum(q, prior=prior, alpha=alpha)
