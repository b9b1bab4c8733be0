"""Claims on Theorem 3, (23), (24): the maximiser of L minimises a divergence; the values differ.

As printed, (23) and the theorem equate the *values* max L and min KL. They differ by l - H(d) and by
E_d[log-sum-exp(q/eps)].

Both sides: L from `virel_theory.objective.elbo`; divergences from their definitions, in this file. The
        maximum over all policies is E_d[logsumexp(q/eps)] (Legendre dual of the negative entropy, Boyd &
        Vandenberghe 2004, Example 3.25), never L at pi_omega.
Bound:  rounding. At most |H| + S terms of size B = 1 + max|q|/eps + log|H| in each of at most four sums: 32
        (|H| + S + 8) u B, u = 2.2e-16.
Teeth:  `perturb` adds a nat to one side (a factor of two to the probabilities of the factorisation).
"""

import numpy as np
from scipy.special import logsumexp

from verify.claims import recorded
from verify.claims.instances import gym_instances
from verify.claims.objective.touching_figure import figures
from verify.engine.claim import Assumption, Check, Claim, Correction
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import boltzmann_joint, elbo, log_partition
from virel_theory.operators.policies import boltzmann_policy


def rounding(mdp: TabularMDP, q: Array, eps: float) -> float:
    """Rounding bound of Theorem 3's gaps: `32 (|H| + S + 8) u (1 + max|q|/eps + log|H|)`."""
    size = 1 + np.abs(q[mdp.available]).max() / eps + np.log(mdp.n_pairs)
    return float(32 * (mdp.n_pairs + mdp.n_states + 8) * U * size)


def expected_kl(q: Array, pi_theta: Array, d: Array, eps: float) -> float:
    """Expected divergence `E_d[KL(pi_theta || pi_omega)]` from the Boltzmann policy, with 0 log 0 = 0."""
    scaled = q / eps
    log_pi_omega = scaled - logsumexp(scaled, axis=1, keepdims=True)
    on = pi_theta > 0
    terms = np.where(
        on, pi_theta * (np.log(np.where(on, pi_theta, 1.0)) - np.where(on, log_pi_omega, 0.0)), 0.0
    )
    return float(d @ terms.sum(axis=1))


def gap_values(*, mdp: TabularMDP, q: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 3 as printed: `max_theta L - min_theta E_d[KL(pi_theta || pi_omega)]`, zero.

    The minimum is 0 if all policies are representable.
    """
    maximum = float(d @ logsumexp(q / eps, axis=1)) + perturb
    minimum = expected_kl(q, boltzmann_policy(q, eps=eps), d, eps)
    return Gap(abs(maximum - minimum), rounding(mdp, q, eps))


def gap_same_optimiser(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 3 corrected: `L + E_d[KL(pi_theta || pi_omega)] - max L` at any policy, zero.

    At pi_omega too.
    """
    constant = float(d @ logsumexp(q / eps, axis=1))
    total = elbo(q, pi_theta=pi_theta, d=d, eps=eps) + expected_kl(q, pi_theta, d, eps) + perturb
    at_optimum = elbo(q, pi_theta=boltzmann_policy(q, eps=eps), d=d, eps=eps)
    bound = rounding(mdp, q, eps)
    return worst(Gap(abs(total - constant), bound), Gap(abs(at_optimum - constant), bound))


def gap_23(*, mdp: TabularMDP, q: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (23) as printed: `max_theta L - min_theta KL(q_theta || p_omega)`, zero."""
    maximum = float(d @ logsumexp(q / eps, axis=1)) + perturb
    minimum = _joint_kl(q, boltzmann_policy(q, eps=eps), d, eps)
    return Gap(abs(maximum - minimum), rounding(mdp, q, eps))


def gap_23_corrected(*, mdp: TabularMDP, q: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of (23) corrected, l = log sum_h exp(Q/eps): `max L - (l - H(d) - min KL(q_theta || p_omega))`."""
    maximum = float(d @ logsumexp(q / eps, axis=1))
    minimum = _joint_kl(q, boltzmann_policy(q, eps=eps), d, eps)
    right = log_partition(q, eps=eps) + float(np.sum(d * np.log(d))) - minimum + perturb
    return Gap(abs(maximum - right), rounding(mdp, q, eps))


def gap_24(*, mdp: TabularMDP, q: Array, pi_theta: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (24): `KL(q_theta || p_omega) - (KL(d || p_omega(s)) + E_d[KL(pi_theta || pi_omega)])`."""
    left = _joint_kl(q, pi_theta, d, eps)
    log_p_s = logsumexp(q / eps, axis=1) - logsumexp(q / eps)
    right = float(np.sum(d * (np.log(d) - log_p_s))) + expected_kl(q, pi_theta, d, eps) + perturb
    return Gap(abs(left - right), rounding(mdp, q, eps))


def gap_factorisation(*, mdp: TabularMDP, q: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. D.4's factorisation of joint Boltzmann: `p_omega(h) - pi_omega(a|s) p_omega(s)`, zero."""
    p_s = np.exp(logsumexp(q / eps, axis=1) - logsumexp(q / eps))
    right = boltzmann_policy(q, eps=eps) * p_s[:, None] * (1 + perturb)
    return Gap(np.abs(boltzmann_joint(q, eps=eps) - right).max(), rounding(mdp, q, eps))


def _joint_kl(q: Array, pi_theta: Array, d: Array, eps: float) -> float:
    """Divergence `KL(q_theta || p_omega)` of q_theta = d pi_theta from the joint Boltzmann, in log space."""
    log_p = np.where(np.isfinite(q), q, 0.0) / eps - logsumexp(q / eps)
    q_theta = d[:, None] * pi_theta
    on = q_theta > 0
    return float(np.sum(q_theta[on] * (np.log(q_theta[on]) - log_p[on])))


_WITHOUT_THETA = instances(mdp=mdps(masked=True), q=q_tables, d=distributions, eps=temperatures())
_WITH_THETA = instances(
    mdp=mdps(masked=True), q=q_tables, pi_theta=policies, d=distributions, eps=temperatures()
)
_REPRESENTABLE = Assumption(
    "exact representability (Assumption 4)",
    r"for every $\omega$ there is $\theta$ with $\pi_\theta = \pi_\omega$",
)

CLAIMS = (
    Claim(
        id="theorem-3",
        title="max of L over theta and min of the expected KL",
        source="Thm 3, App. D.4",
        statement=r"\max_\theta \mathcal L(\omega,\theta) = \min_\theta E_{d(s)}[KL(\pi_\theta(a|s) \| \pi_\omega(a|s))]",
        check=Check(
            gap_values,
            _WITHOUT_THETA,
            named=gym_instances(q=True, d=True, eps=True),
            recorded=recorded.R_WITH_Q,
        ),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        assumptions=(_REPRESENTABLE,),
        correction=Correction(
            statement=r"\mathcal L(\omega,\theta) + E_{d(s)}[KL(\pi_\theta \| \pi_\omega)] = E_{d(s)}\Big[\log\sum_a e^{\hat Q_\omega(h)/\varepsilon_\omega}\Big]"
            r"\ \ \forall\theta, \quad\text{so}\quad \arg\max_\theta \mathcal L = \arg\min_\theta E_{d(s)}[KL(\pi_\theta \| \pi_\omega)]",
            derivation=r"Insert $\hat Q_\omega/\varepsilon_\omega = \log\pi_\omega + \log\sum_a e^{\hat Q_\omega/\varepsilon_\omega}$ into (4): "
            r"$\mathcal L = E_d[-KL(\pi_\theta\|\pi_\omega) + \log\sum_a e^{\hat Q_\omega/\varepsilon_\omega}]$. The last term has no $\theta$: the arguments of the "
            r"optima agree; the printed equality of their values needs that term to vanish. One state, two actions, gamma = 0, r = (2, 1), $\hat Q = (1, 0)$: "
            r"$\varepsilon = 1/2$, $\max\mathcal L = \log(1 + e^2) = 2.127$, $\min KL = 0$. No representability is needed for the corrected form.",
            check=Check(
                gap_same_optimiser, _WITH_THETA, named=gym_instances(q=True, pi_theta=True, d=True, eps=True)
            ),
        ),
        figures=figures,
    ),
    Claim(
        id="eq-23",
        title="max of L over theta and min of the joint KL",
        source="Eq. (23), App. D.4",
        statement=r"\max_\theta \mathcal L(\omega,\theta) = \min_\theta KL(q_\theta(h) \| p_\omega(h))",
        check=Check(gap_23, _WITHOUT_THETA, recorded=recorded.R_WITH_Q),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"\max_\theta \mathcal L(\omega,\theta) = \ell(\omega) - \mathcal H(d) - \min_\theta KL(q_\theta(h) \| p_\omega(h))",
            derivation=r"(11) reads $\mathcal L = \ell - KL - \mathcal H(d)$, where $\ell$ and $\mathcal H(d)$ have no $\theta$; $\max(-KL) = -\min KL$. "
            r"The proof drops $\mathcal H(d)$, then $\ell$ and the sign. To allow for $\mathcal H(d)$ alone does not mend it: with one state $\mathcal H(d) = 0$.",
            check=Check(gap_23_corrected, _WITHOUT_THETA),
        ),
    ),
    Claim(
        id="eq-24",
        title="chain rule of the joint KL",
        source="Eq. (24), App. D.4",
        statement=r"KL(q_\theta(h) \| p_\omega(h)) = KL(d(s) \| p_\omega(s)) + E_{d(s)}[KL(\pi_\theta(a|s) \| \pi_\omega(a|s))]",
        check=Check(gap_24, _WITH_THETA, named=gym_instances(q=True, pi_theta=True, d=True, eps=True)),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="app-d4-factorisation",
        title="p_omega(h) factorises into pi_omega and p_omega(s)",
        source="App. D.4",
        statement=r"p_\omega(h) = \pi_\omega(a|s)\, p_\omega(s)",
        check=Check(gap_factorisation, instances(mdp=mdps(masked=True), q=q_tables, eps=temperatures())),
        expected=Verdict.HOLDS,
    ),
)
