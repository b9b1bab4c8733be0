r"""Claim that the deep agent's weighted posterior is the E-step of exact MPO, where actions are enumerated.

A posterior of the deep agent is a set of weighted actions. If these are all actions of a state, weighted by
the prior's probabilities, then every mean over samples is an exact expectation.

Both sides: `tempered_weights` and `d_budget` of `virel_deep.axes.weights`, in float64; against the first six
        iterates of `virel_theory.variational.algorithms.mpo` at a fixed temperature eta. Step k starts from
        the exact policy $\pi_{k-1}$ and the exact $Q_{k-1}$, so that no error is carried over. Compared are
        the weights with $q_k$, and the deep slope of the dual at eta with 0 if the budget is what $q_k$
        spends: eta is the temperature of that budget.
Bound:  with $Z = \max |\log\pi| + |Q|/\eta$ over the actions of $\pi_{k-1}$: a logit is off by 2 u Z on either
        side (a logarithm, a quotient and a sum, each a rounding of at most Z), its normalisation by as much
        and A + 8 ulps more. A weight of at most 1 is off by the error of its logarithm: together
        b = 2 u (4 Z + A + 8). Log ratios $(Q - V)/\eta$ are below 2 Z. So the divergence, a mean over S states
        of sums of A products, is off by b (2 A Z + 1) + 4 u Z (A + S + 2).
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

import numpy as np

from verify.claims.deep.tools import tensor
from verify.claims.instances import gym_mdp
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.mpo import mpo
from virel_theory.variational.core.iterate import Iterate

N_STEPS = 6


def gap(*, mdp: TabularMDP, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep E-step on enumerated actions: minus the exact one, and its dual's slope, zero."""
    prior, gaps = mdp.available / mdp.available.sum(axis=1, keepdims=True), []
    for step, _ in zip(mpo(mdp, eta=eps), range(N_STEPS), strict=False):
        gaps += _gaps(step, prior, eps, perturb)
        prior = step.policy
    return worst(*gaps)


def _gaps(step: Iterate, prior: Array, eta: float, perturb: float) -> list[Gap]:
    """Gaps of one step's weights and of the slope of its dual."""
    from virel_deep.axes.weights import d_budget, tempered_weights  # noqa: PLC0415

    on = prior > 0
    log_prior = np.where(on, np.log(np.where(on, prior, 1.0)), -np.inf)
    alpha = np.full((len(prior), 1), eta * (1 + 0.1 * perturb))
    found = tempered_weights(tensor(log_prior), tensor(step.q), tensor(alpha))
    weight = found.log_weight[0].exp()
    ratio = found.log_ratio[0].where(weight > 0, tensor(0.0))
    spent = (weight * ratio).sum(-1).mean(-1, keepdim=True)
    slope = d_budget(spent, epsilon=step.kl)

    states, actions = prior.shape
    z = float((np.abs(log_prior[on]) + np.abs(step.q[on]) / eta).max())
    bound = 2 * U * (4 * z + actions + 8)
    of_kl = bound * (2 * actions * z + 1) + 4 * U * z * (actions + states + 2)
    error = float(np.abs(weight.numpy() - step.posterior).max())
    return [Gap(error, bound), Gap(abs(slope.item()), of_kl)]


CLAIMS = (
    Claim(
        id="deep-mpo",
        title="The deep agent's weights on enumerated actions are MPO's E-step",
        source="virel_deep tempered_weights, d_budget: MPO, Eq. (8), (9)",
        statement=r"w_j = \frac{\pi_{k-1}(a_j|s) e^{Q_{k-1}(s, a_j)/\eta}}{\sum_i \pi_{k-1}(a_i|s) e^{Q_{k-1}(s, a_i)/\eta}} = q_k(a_j|s);"
        r"\qquad \epsilon = E_d KL(q_k\|\pi_{k-1}):\quad g'(\eta) = \epsilon - E_d \sum_j w_j \log\frac{w_j}{\pi_{k-1}(a_j|s)} = 0",
        check=Check(
            gap,
            instances(mdp=mdps(masked=True), eps=temperatures()),
            named=lambda: [("FrozenLake-v1", {"mdp": gym_mdp("FrozenLake-v1").to_dense(), "eps": 0.1})],
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
