r"""Claims on Haarnoja et al. 2017, Sec. 3.2: soft values estimated from N sampled actions.

With weights $w(a) = e^{Q(a)/\alpha}/\mu(a)$, $\hat V_N = \alpha\log\frac1N\sum_j w(a_j)$ and $a_j \sim \mu$:
E[w] = sum_a e^{Q/alpha}, so the exponential is unbiased; by Jensen's inequality E[V_N] <= V. As the mean of N
+ 1 weights is the mean of its N + 1 leave-one-out means, E[V_N] <= E[V_{N+1}], by Jensen once more. If mu is
the Boltzmann policy, w is the constant e^{V/alpha}: then every estimate is V.

Both sides: `sampled_soft_values` (counts with multinomial probabilities) against sums over all N-tuples of
        actions, and the log-sum-exp of the table.
Bound:  rounding. An estimate is off by at most (A + 16) u B, B = max|Q| + alpha (2 + max|log mu|), a
        probability by 64 (N + A) u (relative): 128 (N + A + 16) u B in all, the same over alpha for the
        exponential, which is compared relative to e^{V/alpha}.
Atoms:  one per multiset of N actions, `comb(N + A - 1, N)`.
Teeth:  `perturb` leaves the proposal out of the weights; draws from another table's Boltzmann policy.
"""

from itertools import product
from math import comb

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from verify.claims.instances import choices
from verify.claims.soft_q.tools import moderate
from verify.claims.soft_q.value_samples_figure import figures
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.value_samples import sampled_soft_values


def samples_gap(*, mdp: TabularMDP, q: Array, pi: Array, alpha: float, n: int, perturb: float = 0.0) -> Gap:
    """Gap of sampled soft values: `E[exp(V_N/alpha)]/exp(V/alpha) - 1`, E[V_N], bias and its fall."""
    law, more = (sampled_soft_values(q, proposal=pi, alpha=alpha, n=k) for k in (n, n + 1))
    v, bound = alpha * logsumexp(q / alpha, axis=1), _bound(mdp, q, pi, alpha, n=n)
    on = law.probability > 0
    ratio = np.exp(np.where(on, law.value - v[:, None], 0.0) / alpha)
    unbiased = np.abs((law.probability * ratio).sum(axis=1) - 1).max()
    mean = np.array([expected(*row, alpha=alpha, n=n, perturb=perturb) for row in zip(q, pi, strict=True)])
    return worst(
        Gap(unbiased, bound / alpha),
        Gap(np.abs(law.mean - mean).max(), bound),
        Gap(np.max(law.mean - more.mean), bound),
        Gap(np.max(more.mean - v), bound),
        Gap(abs(law.value.shape[1] - comb(n + mdp.n_actions - 1, n)), 0.0),
    )


def expected(q: Array, pi: Array, *, alpha: float, n: int, perturb: float) -> float:
    """`E[alpha log mean_j w(a_j)]` over all N-tuples of a state's actions, w = exp(Q/alpha)/pi."""
    total, actions = 0.0, np.flatnonzero(pi > 0)
    log_w = np.where(pi > 0, q / alpha - (1 - perturb) * np.log(np.where(pi > 0, pi, 1.0)), -np.inf)
    for drawn in product(actions, repeat=n):
        estimate = alpha * (logsumexp(log_w[list(drawn)]) - np.log(n))
        total += float(np.prod(pi[list(drawn)])) * float(estimate)
    return total


def policy_proposal_gap(
    *, mdp: TabularMDP, q: Array, alpha: float, n: int, q_two: Array | None = None, perturb: float = 0.0
) -> Gap:
    """Gap of the current policy as proposal: E[V_N] minus V of the table `q_two` (None: `q` itself), zero.

    The actions are drawn from the Boltzmann policy of `q`.
    """
    table = q if q_two is None else q_two
    proposal = softmax(q / (alpha * (1 + perturb)), axis=1)
    mean = sampled_soft_values(table, proposal=proposal, alpha=alpha, n=n).mean
    v = alpha * logsumexp(table / alpha, axis=1)
    return Gap(
        np.abs(mean - v).max(),
        _bound(mdp, table, proposal, alpha, n=n) + _bound(mdp, q, proposal, alpha, n=n),
    )


def _bound(mdp: TabularMDP, q: Array, pi: Array, alpha: float, *, n: int) -> float:
    on = pi > 0
    size = 1 + np.abs(q[on]).max() + alpha * (2 + np.abs(np.log(pi[on])).max())
    return float(128 * (n + mdp.n_actions + 16) * U * size)


_MDPS, _CHOICES = mdps(max_states=2, masked=True), choices(max_states=2, masked=True)
_N = st.integers(1, 3)
_SAME = instances(mdp=_CHOICES, q=q_tables, alpha=moderate(), n=_N)

CLAIMS = (
    Claim(
        id="sql-value-samples",
        title="sampled soft values: unbiased in the exponential, biased low, less so with more samples",
        source="about Haarnoja et al. 2017, Eq. (10) and Algorithm 1",
        statement=r"E[e^{\hat V_N/\alpha}] = e^{V/\alpha},\quad E[\hat V_N] \le E[\hat V_{N+1}] \le V,\quad "
        r"\hat V_N = \alpha\log\frac1N\sum_{j\le N}\frac{\exp(Q(s,a_j)/\alpha)}{\mu(a_j|s)},\ a_j\sim\mu",
        check=Check(samples_gap, instances(mdp=_CHOICES, q=q_tables, pi=policies, alpha=moderate(), n=_N)),
        expected=Verdict.HOLDS,
        figures=figures,
        printed=False,
    ),
    Claim(
        id="sql-policy-proposal",
        title="with the current policy as proposal the soft value is estimated without bias",
        source="Haarnoja et al. 2017, Sec. 3.2",
        statement=r"\text{A better choice is to use the current policy, which produces an unbiased estimate of the "
        r"soft value as can be confirmed by substitution}",
        check=Check(policy_proposal_gap, _SAME),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "same table",
                r"the current policy is $\propto\exp(Q^\theta_{soft}/\alpha)$ with the $\theta$ of the value that is estimated; "
                r"in Algorithm 1 that value is $V^{\bar\theta}_{soft}$, of the target parameters",
                without=Check(
                    policy_proposal_gap,
                    instances(mdp=_MDPS, q=q_tables, alpha=moderate(), n=_N, q_two=q_tables),
                ),
            ),
        ),
    ),
)
