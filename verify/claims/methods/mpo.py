"""Claims on App. G: posterior with a prior policy, MPO's objective (42), its gradient (43), its M-step.

Both sides: `virel_theory.methods.mpo` against, in this file, Bayes' rule; the lower bound by its definition
        E_q[log(p(O|h) p(h) / q(h))]; the derivative of (42) in the logits by a complex step (exact but for
        rounding).
Bound:  rounding. Logarithms of size at most B = 2 max|q|/eps + max|theta| + 8 (policies of the strategies
        are above e^-4), in sums of |H| + S of them: 16 (|H| + S + 16) u (1 + B); times eps for (43), in
        reward units.
Teeth:  `perturb` doubles the temperature; adds a nat; drops the prior from (43); perturbs the best prior.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims import recorded
from verify.claims.instances import fractions
from verify.engine.claim import Check, Claim, Correction
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.mpo import mpo_e_step_gradient, mpo_m_step_prior, mpo_objective, mpo_posterior

STEP = 1e-30


def posterior_gap(*, mdp: TabularMDP, q: Array, pi_phi: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. G's action posterior: minus Bayes' rule with the prior U(s) pi_phi(a|s), zero."""
    table = np.where(mdp.available, q, -np.inf)
    joint = np.exp((table - table.max(axis=1, keepdims=True)) / (eps * (1 + perturb))) * pi_phi / mdp.n_states
    bayes = joint / joint.sum() / (joint.sum(axis=1, keepdims=True) / joint.sum())
    return Gap(np.abs(mpo_posterior(table, pi_phi=pi_phi, eps=eps) - bayes).max(), _bound(mdp, q, eps))


def objective_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, pi_phi: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of (42), MPO's objective, in theta, phi: change of `lower bound - (42)` if they swap, zero.

    It is 0 if no term in theta or phi was dropped.
    """
    here = _remainder(mdp, q, pi_theta, pi_phi, d, eps) + perturb
    there = _remainder(mdp, q, pi_phi, pi_theta, d, eps)
    return Gap(abs(here - there), 4 * _bound(mdp, q, eps))


def omega_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, pi_phi: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of (42), MPO's objective, in omega: change of `lower bound - (42)` if 0 replaces Q, zero.

    It is 0 if no term in omega was dropped. To maximise (42) over omega needs that.
    """
    here = _remainder(mdp, q, pi_theta, pi_phi, d, eps) + perturb
    there = _remainder(mdp, 0 * np.where(mdp.available, q, 0.0), pi_theta, pi_phi, d, eps)
    return Gap(abs(here - there), 4 * _bound(mdp, q, eps))


def corrected_omega_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, pi_phi: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of (42) corrected: `lower bound - ((42) + E_d[log(y(s)/d(s))])`, y = exp(-max Q/eps); zero."""
    top = np.where(mdp.available, q, -np.inf).max(axis=1)
    on = d > 0
    right = float(np.sum(d[on] * (-top[on] / eps - np.log(d[on])))) + perturb
    return Gap(abs(_remainder(mdp, q, pi_theta, pi_phi, d, eps) - right), 4 * _bound(mdp, q, eps))


def gradient_gap(
    *, mdp: TabularMDP, q: Array, theta: Array, pi_phi: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Eq. (43): printed MPO gradient in the logits minus complex-step one of `eps * (42)`, zero."""
    table = np.where(mdp.available, q, -np.inf)
    printed = mpo_e_step_gradient(table, theta=theta, pi_phi=pi_phi, d=d, eps=eps)
    prior = np.where(perturb > 0, mdp.available / mdp.available.sum(axis=1, keepdims=True), pi_phi)
    exact = np.zeros(mdp.shape)
    for index in zip(*np.nonzero(mdp.available), strict=True):
        logits = theta.astype(np.complex128)
        logits[index] += 1j * STEP
        exact[index] = _complex_objective(mdp, q, logits, prior, d, eps).imag / STEP
    return Gap(np.abs(printed - exact).max(), eps * _bound(mdp, q, eps, float(np.abs(theta).max())))


def prior_gap(
    *, mdp: TabularMDP, q: Array, pi_theta: Array, pi_phi: Array, d: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. G's M-step: (42) at the best prior minus (42) at pi_phi, minus `E_d[KL(pi_theta || pi_phi)]`.

    It is zero. As the KL is at least 0, the best prior is pi_theta, "under which KL = 0".
    """
    best = mpo_m_step_prior(pi_theta)
    value = mpo_objective(_masked(mdp, q), pi_theta=pi_theta, pi_phi=best, d=d, eps=eps) - 10 * perturb
    other = mpo_objective(_masked(mdp, q), pi_theta=pi_theta, pi_phi=pi_phi, d=d, eps=eps)
    on = pi_theta > 0
    ratio = np.log(pi_theta[on] / pi_phi[on])
    kl = float(np.sum((d[:, None] * pi_theta)[on] * ratio))
    return worst(Gap(abs(value - other - kl), 2 * _bound(mdp, q, eps)), Gap(-kl, 2 * _bound(mdp, q, eps)))


def _remainder(mdp: TabularMDP, q: Array, pi_theta: Array, pi_phi: Array, d: Array, eps: float) -> float:
    """App. G's lower bound of the log-evidence with the prior policy pi_phi, minus MPO's objective (42)."""
    table, q_theta = _masked(mdp, q), d[:, None] * pi_theta
    on = q_theta > 0
    log_likelihood = (table - table.max(axis=1, keepdims=True)) / eps
    lower = np.sum(q_theta[on] * (log_likelihood[on] + np.log(pi_phi[on]) - np.log(q_theta[on])))
    return float(lower) - mpo_objective(table, pi_theta=pi_theta, pi_phi=pi_phi, d=d, eps=eps)


def _complex_objective(
    mdp: TabularMDP, q: Array, logits: np.ndarray, prior: Array, d: Array, eps: float
) -> complex:
    """MPO's objective (42) times eps, at complex logits of pi_theta, for complex-step derivatives."""
    shifted = logits - np.where(mdp.available, logits.real, -np.inf).max(axis=1, keepdims=True)
    weights = np.where(mdp.available, np.exp(np.where(mdp.available, shifted, 0)), 0)
    pi = weights / weights.sum(axis=1, keepdims=True)
    log_ratio = np.log(np.where(mdp.available, pi, 1)) - np.log(np.where(mdp.available, prior, 1))
    inner = pi * (np.where(mdp.available, q, 0.0) - eps * log_ratio)
    return complex(np.sum(d[:, None] * inner))


def _masked(mdp: TabularMDP, q: Array) -> Array:
    return np.where(mdp.available, q, -np.inf)


def _bound(mdp: TabularMDP, q: Array, eps: float, logit: float = 0.0) -> float:
    size = 9 + 2 * float(np.abs(q[mdp.available]).max()) / eps + logit
    return 16 * (mdp.n_pairs + mdp.n_states + 16) * U * size


def _logits(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return fractions(mdp.shape, 8, over=2)


_MDPS = mdps(masked=True)
_FULL = instances(
    mdp=_MDPS, q=q_tables, pi_theta=policies, pi_phi=policies, d=distributions, eps=temperatures()
)

CLAIMS = (
    Claim(
        id="app-g-posterior",
        title="action posterior with a prior policy",
        source="App. G",
        statement=r"p_{\omega,\phi}(a|s,O) = \frac{\exp(\hat Q_\omega(h)/\varepsilon_\omega)\pi_\phi(a|s)}"
        r"{\int\exp(\hat Q_\omega(h)/\varepsilon_\omega)\pi_\phi(a|s) da}",
        check=Check(posterior_gap, instances(mdp=_MDPS, q=q_tables, pi_phi=policies, eps=temperatures())),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-42",
        title="MPO's objective as lower bound, for theta and phi",
        source="Eq. (42), App. G",
        statement=r"\mathcal L(\omega,\theta,\phi) = E_{d(s)}[E_{\pi_\theta}[\hat Q_\omega(h)/\varepsilon_\omega]"
        r" - KL(\pi_\theta(a|s)\|\pi_\phi(a|s))]",
        reading=r"The lower bound of the model's log-evidence is this, up to a term without $\theta$ and $\phi$.",
        check=Check(objective_gap, _FULL),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-42-omega",
        title="MPO's objective as lower bound, for omega",
        source="Eq. (42) and M-step, App. G",
        statement=r"\text{we maximise the LML using the posterior derived from the E-step: } \arg\max_{\omega,\phi}\mathcal L(\omega,\phi,\theta_{k+1})",
        reading=r"What (42) leaves out of the lower bound of the log-marginal likelihood (LML) has no $\omega$.",
        check=Check(
            omega_gap,
            _FULL,
            recorded=recorded.R_WITH_Q | {"pi_theta": recorded.UNIFORM, "pi_phi": recorded.UNIFORM},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"\mathcal L_{ELBO}(\omega,\theta,\phi) = (42) + E_{d(s)}[\log(y_\omega(s)/d(s))],\quad"
            r" \log y_\omega(s) = -\max_{a'}\hat Q_\omega(a',s)/\varepsilon_\omega",
            derivation=r"""App. B drops $E_{d(s)}[\log(y_\omega(s)/d(s))]$ because it has no $\theta$. It has $\omega$:
for one state, two actions, $\gamma = 0$, $r = (2, 1)$ and $\hat Q_\omega = (1, 0)$, $\varepsilon_\omega = 1/2$ and the
term is -2; for $\hat Q_\omega = 0$ it is 0. So the M-step's $\arg\max_\omega$ of (42) is not that of the model's lower
bound; it is one of the model with the unnormalised factor $\exp(\hat Q_\omega/\varepsilon_\omega)$ of Eq. (5).""",
            check=Check(corrected_omega_gap, _FULL),
        ),
    ),
    Claim(
        id="eq-43",
        title="gradient of MPO's E-step",
        source="Eq. (43), App. G",
        statement=r"\varepsilon_{\omega_k}\nabla_\theta\mathcal L(\omega_k,\phi_k,\theta) = E_{d(s)}[E_{\pi_\theta}["
        r"\hat Q_{\omega_k}(h)\nabla_\theta\log\pi_\theta(a|s)]"
        r" - \varepsilon_{\omega_k}\nabla_\theta KL(\pi_\theta(a|s)\|\pi_{\phi_k}(a|s))]",
        check=Check(
            gradient_gap,
            instances(
                mdp=mdps(max_states=3, masked=True),
                q=q_tables,
                theta=_logits,
                pi_phi=policies,
                d=distributions,
                eps=temperatures(),
            ),
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="app-g-m-step-prior",
        title="best prior is the variational policy",
        source="App. G",
        statement=r"\arg\max_\phi \mathcal L(\omega,\theta_{k+1},\phi):\quad \pi_\phi(a|s) = \pi_{\theta_{k+1}}(a|s)",
        check=Check(prior_gap, _FULL),
        expected=Verdict.HOLDS,
    ),
)
