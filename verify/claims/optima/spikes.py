r"""Claim of ours on Definition 2 and App. C: T^{pi_omega} on continuous actions, along omega with eps_omega -> 0.

For a fixed omega eps_omega is a number, so that the limit of Definition 2 has two readings: at a fixed table with a free
temperature (`app-c-1`), or along tables whose temperatures fall. On finite action sets both hold, with the same
rate. On continuous ones the second fails: a narrow spike of Q is seen by max, not by the soft policy.

Example: S = 1, A = [0, 1], gamma = 1/2, r = 2 - a: Q* = 4 - a, one maximum, Q* > 0. Q_omega = Q* on [0, 1 - sigma], 5 on
        the rest, sigma = exp(-nats). With the mean m of Q_omega under pi_omega, beta = (m - 4)/2 off the spike and
        m/2 - 3 - a on it, so that g(eps) = ((1 - sigma) (m - 4)^2/4 + sigma (...)^2)/2. m falls from 5 to 4 about eps =
        1/nats; there g crosses the diagonal: eps_omega -> 0 as sigma does, while m - 4 = sqrt(8 eps_omega) -> 0 and
        T* Q - T^{pi_omega} Q = (5 - m)/2 -> 1/2.
Bound:  a quarter, for eps_omega <= 1/20: to be in the target set the difference must fall to 0. The root is bracketed
        to 1e-12.
Teeth:  `perturb` adds 1.
"""

import math

from hypothesis import strategies as st
from scipy.optimize import brentq

from verify.claims.optima.target_set import gap_limit
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import instances, mdps, q_tables, temperatures


def mean_value(eps: float, nats: int) -> float:
    """Mean of Q_omega under its Boltzmann policy at temperature eps, in log space."""
    length = 1 - math.exp(-nats)
    log_ratio = (
        -nats + 1 / eps - math.log(eps * -math.expm1(-length / eps))
    )  # spike over rest, e^{5/eps} to e^{4/eps}
    spike = 1 / (1 + math.exp(-log_ratio)) if log_ratio > -700 else 0.0
    rest = 4 - eps + length / math.expm1(length / eps) if length / eps < 700 else 4 - eps
    return spike * 5 + (1 - spike) * rest


def excess(eps: float, nats: int) -> float:
    """Residual error g(eps) under the policy at eps minus eps; the spike's share of the integral is below sigma 4."""
    sigma, m = math.exp(-nats), mean_value(eps, nats)
    return ((1 - sigma) * ((m - 4) / 2) ** 2 + sigma * (m / 2 - 4) ** 2) / 2 - eps


def gap_sequences(*, nats: int, perturb: float = 0.0) -> Gap:
    """Gap of Definition 2 along omega: `T* Q - T^{pi_omega} Q` at a self-consistent eps_omega, at most 1/4.

    eps_omega itself must be at most 1/20, so that the example is one.
    """
    root = float(brentq(excess, 1 / (2 * nats), 1.0, args=(nats,), xtol=1e-14))
    return worst(Gap((5 - mean_value(root, nats)) / 2 + perturb, 0.25), Gap(root, 0.05))


CLAIMS = (
    Claim(
        id="app-c-1-sequences",
        title="T^{pi_w} is in the target set, along tables with falling temperatures",
        source="ours: Def. 2 and App. C, read along omega, on continuous actions",
        statement=r"\varepsilon_{\omega_n} \to 0 \implies \mathcal T^{\pi_{\omega_n}}\hat Q_{\omega_n}(h) - \mathcal T^*\hat Q_{\omega_n}(h) \to 0,"
        r"\quad A \text{ an interval}",
        check=Check(
            gap_sequences,
            st.fixed_dictionaries({"nats": st.sampled_from([60, 100, 200, 400, 600])}),
            n_random=5,
        ),
        expected=Verdict.REFUTED,
        weight=Weight.REMARK,
        printed=False,
        correction=Correction(
            statement=r"A \text{ finite}: 0 \le \mathcal T^*\hat Q_\omega - \mathcal T^{\pi_\omega}\hat Q_\omega \le"
            r" \gamma\,\varepsilon_\omega\min(\log A, \tfrac{A-1}{e}) \text{ for every } \omega",
            derivation=r"""The loss of a Boltzmann policy is at most $\varepsilon\log A$, whatever the table: on finite sets the limit is uniform in $\omega$.
On an interval no rate is: Q = 4 - a on [0, 1] with a spike of height 5 and width $e^{-400}$ has the temperature 0.0026, and the two backups
differ by 0.43. Bounded slopes of $\hat Q_\omega$, with one constant for all $\omega$, would exclude it.""",
            check=Check(
                gap_limit, instances(mdp=mdps(max_states=3, masked=True), q=q_tables, eps=temperatures())
            ),
        ),
        not_certified=NoProof(ON_AN_INTERVAL.reason),
    ),
)
