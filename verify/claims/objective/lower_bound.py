"""Claims on Fellows et al. (5), (11): L is the log-partition minus a KL divergence minus H(d).

Both sides: the left from `virel_theory.objective.elbo`; the right from the definitions, in this file only,
        in log space.
Bound:  rounding. Each side is a sum of at most |H| + S terms, none above B = max|q|/eps + log|H| in size
        once the log-sum-exp is shifted; every term carries a few ulps from exp/log. 16 (|H| + S + 8) u (1 +
        B) covers both sides (u = 2.2e-16). Written down before the first run.
Teeth:  `perturb` adds a nat.
"""

import numpy as np
from scipy.special import logsumexp

from verify.claims import recorded
from verify.claims.instances import gym_instances
from verify.engine.claim import Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo


def gap(*, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Fellows et al. (5), (11): L - (l - KL(q_theta || p_omega) - H(d)), l = log sum exp(Q/eps)."""
    on_h = mdp.available & (d[:, None] * pi_theta > 0)
    log_partition = logsumexp(np.where(mdp.available, q, -np.inf) / eps)
    log_p_omega = np.where(mdp.available, q, 0.0) / eps - log_partition
    q_theta = d[:, None] * pi_theta
    kl = float(np.sum(q_theta[on_h] * (np.log(q_theta[on_h]) - log_p_omega[on_h])))
    entropy_d = -float(np.sum(d[d > 0] * np.log(d[d > 0]))) + perturb
    left = elbo(q, pi_theta=pi_theta, d=d, eps=eps)
    return Gap(abs(left - (log_partition - kl - entropy_d)), _rounding(mdp, q, eps))


def gap_d1(*, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. D.1's last display but two as printed, with E_d[KL(pi_theta || pi_omega)]: left - right.

    The charitable reading takes E_d of that KL. It should be KL(q_theta || p_omega).
    """
    return _d1_step(mdp, q, pi_theta, d, eps, log_other=_log_softmax(q, eps, axis=1), perturb=perturb)


def gap_d1_repaired(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. D.1's last display but two, repaired by KL(q_theta || p_omega): left minus right, zero."""
    return _d1_step(
        mdp,
        q,
        pi_theta,
        d,
        eps,
        log_other=_log_softmax(q, eps, axis=None) - np.log(d)[:, None],
        perturb=perturb,
    )


def _d1_step(
    mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, *, log_other: Array, perturb: float
) -> Gap:
    """Gap of App. D.1's last display but two, KL taken to exp(`log_other`): left minus right side, zero.

    The right side is E[q/eps] - E_d[sum_a pi_theta (log pi_theta - log_other)] - H(d) - E[log p_omega].
    """
    on, q_theta = pi_theta > 0, d[:, None] * pi_theta
    kl = float(np.sum(q_theta[on] * (np.log(pi_theta[on]) - log_other[on])))
    mean_q = float(np.sum(q_theta[on] * q[on])) / eps
    mean_log_p = float(np.sum(q_theta[on] * _log_softmax(q, eps, axis=None)[on]))
    entropy_d = -float(np.sum(d * np.log(d))) + perturb
    right = mean_q - kl - entropy_d - mean_log_p
    return Gap(abs(elbo(q, pi_theta=pi_theta, d=d, eps=eps) - right), _rounding(mdp, q, eps))


def _log_softmax(q: Array, eps: float, *, axis: int | None) -> Array:
    out: Array = q / eps - logsumexp(q / eps, axis=axis, keepdims=True)
    return out


def _rounding(mdp: TabularMDP, q: Array, eps: float) -> float:
    size = 1 + np.abs(q[mdp.available]).max() / eps + np.log(mdp.n_pairs)
    return float(16 * (mdp.n_pairs + mdp.n_states + 8) * U * size)


_TWO_STATES = {  # two copies of the state of `recorded.R`, seen once and three times in four
    "mdp": TabularMDP(np.full((2, 2, 2), 0.5), np.repeat(recorded.Q_STAR, 2, axis=0), 0.0),
    "q": np.repeat(recorded.Q, 2, axis=0),
    "pi_theta": np.repeat(recorded.UNIFORM, 2, axis=0),
    "d": np.array([0.25, 0.75]),
    "eps": recorded.EPS,
}
_IDENTITY = Check(
    gap,
    instances(mdp=mdps(masked=True), q=q_tables, pi_theta=policies, d=distributions, eps=temperatures()),
    named=gym_instances(q=True, pi_theta=True, d=True, eps=True),
)
_STATEMENT = r"\mathcal L(\omega,\theta) = \ell(\omega) - KL(q_\theta(h) \| p_\omega(h)) - \mathcal H(d(s))"

CLAIMS = (
    Claim(
        id="eq-05",
        title="L as log-partition minus KL minus entropy",
        source="Eq. (5)",
        statement=_STATEMENT,
        check=_IDENTITY,
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-11",
        title="the derivation of (5)",
        source="Eq. (11), App. D.1",
        statement=_STATEMENT,
        reading="The same statement as `eq-05`, with the same check and proof; what is checked beside it is its derivation.",
        check=_IDENTITY,
        expected=Verdict.GAP,
        weight=Weight.MISPRINT,
        steps=(
            Step(
                name="KL(pi_theta || pi_omega) in the last displays of D.1",
                statement=r"\mathcal L = E_{q_\theta}[\hat Q_\omega/\varepsilon_\omega] - KL(\pi_\theta(a|s) \| \pi_\omega(a|s)) - \mathcal H(d(s)) - E_{\pi_\theta}[\log p_\omega(h)]",
                check=Check(gap_d1, _IDENTITY.instances, recorded=_TWO_STATES),
                repaired=Correction(
                    statement=r"\mathcal L = E_{q_\theta}[\hat Q_\omega/\varepsilon_\omega] - KL(q_\theta(h) \| p_\omega(h)) - \mathcal H(d(s)) - E_{q_\theta}[\log p_\omega(h)]",
                    derivation=r"A misprint: the line before has $KL(q_\theta(h)\|p_\omega(h))$. The two differ by $KL(d\|p_\omega(s))$, see (24), which vanishes only if "
                    r"$d = p_\omega(s)$; the last expectation is over $q_\theta$, not $\pi_\theta$.",
                    check=Check(gap_d1_repaired, _IDENTITY.instances),
                ),
            ),
        ),
    ),
)
