r"""Eq. (5)/(11): the objective is the log-partition less a KL divergence less the entropy of d.

Both sides: the left from `virel_theory.elbo`; the right from the definitions, in this file only, in log space.
Bound:  rounding. Each side is a sum of at most |H| + S terms, none above B = max|q|/eps + log|H| in size once the
        log-sum-exp is shifted; every term carries a few ulps from exp/log. 16 (|H| + S + 8) u (1 + B) covers both
        sides (u = 2.2e-16). Written down before the first run.
Teeth:  `perturb` drops the entropy of d and adds a nat in its place.
"""

import numpy as np
from scipy.special import logsumexp

from verify.claim import Check, Claim
from verify.claims._instances import gym_instances
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from verify.verdict import Gap, Verdict
from virel_theory._validate import Array
from virel_theory.mdp import TabularMDP
from virel_theory.objective import elbo

U = float(np.finfo(np.float64).eps)


def gap(*, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """L against l - KL(q_theta || p_omega) - H(d)."""
    on_h = mdp.available & (d[:, None] * pi_theta > 0)
    log_partition = logsumexp(np.where(mdp.available, q, -np.inf) / eps)
    log_p_omega = np.where(mdp.available, q, 0.0) / eps - log_partition
    q_theta = d[:, None] * pi_theta
    kl = float(np.sum(q_theta[on_h] * (np.log(q_theta[on_h]) - log_p_omega[on_h])))
    entropy_d = -float(np.sum(d[d > 0] * np.log(d[d > 0]))) + perturb
    left = elbo(q, pi_theta=pi_theta, d=d, eps=eps)
    size = 1 + np.abs(q[mdp.available]).max() / eps + np.log(mdp.n_pairs)
    return Gap(abs(left - (log_partition - kl - entropy_d)), 16 * (mdp.n_pairs + mdp.n_states + 8) * U * size)


CLAIMS = (
    Claim(
        id="eq-11",
        title="L as log-partition less KL less entropy",
        source="Eq. (5), (11), App. D.1",
        statement=r"\mathcal L(\omega,\theta) = \ell(\omega) - KL(q_\theta(h) \| p_\omega(h)) - \mathcal H(d(s))",
        check=Check(
            gap,
            instances(mdp=mdps(masked=True), q=q_tables, pi_theta=policies, d=distributions, eps=temperatures()),
            named=gym_instances(q=True, pi_theta=True, d=True, eps=True),
        ),
        expected=Verdict.HOLDS,
    ),
)
