r"""The evidence that particles estimate is unbiased, whatever the resampling; its logarithm is biased low.

The claims are ours: the text of Piche et al. 2019 was not to be had. Between two resamplings the mean weight
estimates, given the particles, the next factor of the evidence; ancestors drawn in proportion to the weights
keep the mean of every function. So the product of the mean weights is unbiased (Del Moral 1996), and by
Jensen's inequality its logarithm is biased low.

Both sides: all draws and all ancestors of two particles over two steps, always resampled, as one array,
        against sums over all paths, and against `plan_log_evidence`.
Bound:  rounding. Sums of at most (A S)^4 <= 256 products of seven factors; an exponential's relative error is
        u times its argument: `tools.rounding`, relative to the evidence; 8 u more for its logarithm.
Teeth:  `perturb` leaves the proposal's ratio p/q out of the weights, and doubles the estimates.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.particles.tools import (
    DISCOUNTS,
    N_STEPS,
    moved,
    path_evidence,
    rounding,
    state_values,
    two_particles,
    warm,
)
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.plans import Plan, plan_log_evidence, plan_values


def unbiased_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    prior: Array,
    proposal: Array,
    alpha: float,
    discount: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the estimated evidence from state 0: `E[Z_hat]/Z - 1`, zero, and `E[log Z_hat] - log Z` <= 0."""
    base = np.where(perturb > 0, proposal, prior)
    steps = [moved(mdp, v, base, proposal, alpha=alpha, discount=discount, t=t) for t in range(N_STEPS)]
    probability, estimate, _ = two_particles(steps[0], steps[1], 0)
    exact = path_evidence(mdp, v, prior, alpha=alpha, discount=discount, s=0).sum()
    ratio, bound = (1 + perturb) * estimate / exact, rounding(mdp, v, alpha)
    mean_log = float(np.sum(probability * np.log(np.where(probability > 0, ratio, 1.0))))
    return worst(Gap(abs(np.sum(probability * ratio) - 1), bound), Gap(mean_log, bound))


def library_gap(
    *, mdp: TabularMDP, v: Array, prior: Array, alpha: float, discount: float, perturb: float = 0.0
) -> Gap:
    """Gap of `plan_log_evidence` over two steps: minus the logarithm of the sum over all paths, zero.

    And the values after the last step: minus the discounted final values.
    """
    plan = Plan(mdp, v, prior, alpha, N_STEPS, discount=discount)
    paths = [
        np.log(path_evidence(mdp, v, prior, alpha=alpha, discount=discount, s=s).sum()) + v[s] / alpha
        for s in range(mdp.n_states)
    ]
    found = plan_log_evidence(plan) + perturb
    final = plan_values(plan)[1][-1] - discount**N_STEPS * v
    bound = rounding(mdp, v, alpha)
    return worst(Gap(np.abs(found - paths).max(), bound), Gap(np.abs(final).max(), bound))


_SMALL = mdps(max_states=2, max_actions=2)
_REST: dict[str, Any] = {"v": state_values, "prior": policies}
_PLANS = instances(mdp=_SMALL, **_REST, proposal=policies, alpha=warm(), discount=DISCOUNTS)


def _not_everywhere(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Deterministic proposals, which cover no prior of full support if there are two actions."""
    return st.integers(0, mdp.n_actions - 1).map(
        lambda a: np.tile(np.eye(mdp.n_actions)[a], (mdp.n_states, 1))
    )


CLAIMS = (
    Claim(
        id="smc-unbiased",
        title="particles estimate the evidence of optimality without bias, its logarithm with one",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"E[\hat Z] = Z = E_{p,P}\Big[e^{(\sum_{t<h}\gamma^t r_t + \gamma^h V(s_h))/\alpha}\Big],\quad "
        r"E[\log\hat Z] \le \log Z,\quad \hat Z = e^{V(s_0)/\alpha}\prod_k\frac1N\sum_n w_k^n",
        check=Check(unbiased_gap, _PLANS),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "support",
                r"the proposal is positive wherever the prior is: $q(a|s) = 0 \Rightarrow p(a|s) = 0$",
                without=Check(
                    unbiased_gap,
                    instances(
                        mdp=_SMALL, **_REST, proposal=_not_everywhere, alpha=warm(), discount=DISCOUNTS
                    ),
                ),
            ),
        ),
        printed=False,
    ),
    Claim(
        id="smc-evidence",
        title="the evidence of a plan by backward messages in log space",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"\alpha\log Z(s_0) = V_0(s_0),\quad V_t(s) = \alpha\log\sum_a p(a|s)e^{Q_t(s,a)/\alpha},\quad "
        r"Q_t(s,a) = \gamma^t r(s,a) + \alpha\log E_P[e^{V_{t+1}(s')/\alpha}],\quad V_h = \gamma^h V",
        check=Check(
            library_gap,
            instances(
                mdp=mdps(max_states=3, max_actions=3, masked=True), **_REST, alpha=warm(), discount=DISCOUNTS
            ),
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof(
            "the algebra of `pseudo-likelihood-marginal`, with final values and a discount"
        ),
    ),
)
