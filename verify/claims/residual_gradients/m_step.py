"""Claims on Fellows et al. (7) and App. E.2: the critic's gradient, times the squared temperature.

Both sides: the formula from `virel_theory`, fed with the true gradient of the temperature; the left side
        from dual numbers through L (4) itself. (7) is checked with the self-consistent temperature of
        `T^{pi_w}`, E.2 with the incremental one of (36), where no fixed point occurs.
Bound:      rounding, `16 u (n + 16 + 4k)` with `n = |H| S A`, relative to the size of the terms, `eps
        max|b| + max|q| |grad eps|`.
Teeth:      `perturb` doubles the left side.
"""

import numpy as np
from hypothesis import strategies as st

from verify.arithmetic.dual import Number, gradient_of, log, variables
from verify.arithmetic.model import (
    Table,
    boltzmann,
    half_mean_square,
    q_table,
    residual,
    self_consistent_dual,
    state_values,
)
from verify.claims.residual_gradients.self_consistent import Model, relative_gap, seeded_instances
from verify.engine.claim import Check, Claim, Instance, Step
from verify.engine.verdict import Gap, Verdict
from verify.strategies import approximators, distributions, instances, mdps, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.em_steps import m_step_gradient
from virel_theory.mdp.tabular import TabularMDP


def self_consistent_gap(
    *, mdp: TabularMDP, model: Model, eps: float, pi_theta: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of Fellows et al. (7), self-consistent eps: `eps^2 grad L - (eps E[grad Q] - E[Q] grad eps)`."""
    root = self_consistent_dual(mdp, model[0], model[1], eps)
    return _gap(mdp, model, root, pi_theta, d, perturb)


def incremental_gap(
    *, mdp: TabularMDP, model: Model, eps_k: float, pi_theta: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of App. E.2, eps = eps_{omega,k}: `eps^2 grad L - (eps E[grad Q] - E[Q] grad eps)`, zero."""
    q = q_table(mdp, model[0], variables(model[1]))
    eps = half_mean_square(residual(mdp, q, state_values(q, boltzmann(q, eps_k)))) + eps_k
    return _gap(mdp, model, eps, pi_theta, d, perturb)


def quotient_gap(
    *, mdp: TabularMDP, model: Model, eps_k: float, pi_theta: Array, d: Array, perturb: float = 0.0
) -> Gap:
    """Gap of App. E.2's last display but one: `grad L - (E[grad Q] / eps - E[Q] grad eps / eps^2)`."""
    q = q_table(mdp, model[0], variables(model[1]))
    eps = half_mean_square(residual(mdp, q, state_values(q, boltzmann(q, eps_k)))) + eps_k
    left = _elbo_gradient(q, eps, pi_theta, d) * (1 + perturb)
    b, values = model[0].jacobian(model[1]), np.where(mdp.available, model[0].value(model[1]), 0.0)
    weight = d[:, None] * pi_theta
    mean_b, mean_q = np.einsum("sa,san->n", weight, b), float((weight * values).sum())
    right = mean_b / eps.value - mean_q * eps.tangent / eps.value**2
    return relative_gap(
        left, right, size=_size(b, values, eps) / eps.value**2, bound=_bound(mdp, values, eps)
    )


def _gap(mdp: TabularMDP, model: Model, eps: Number, pi_theta: Array, d: Array, perturb: float) -> Gap:
    q, b = model[0].value(model[1]), model[0].jacobian(model[1])
    dual_q = q_table(mdp, model[0], variables(model[1]))
    left = eps.value**2 * _elbo_gradient(dual_q, eps, pi_theta, d) * (1 + perturb)
    right = m_step_gradient(mdp, q, b, pi_theta=pi_theta, d=d, eps=eps.value, grad_eps=eps.tangent)
    values = np.where(mdp.available, q, 0.0)
    return relative_gap(left, right, size=_size(b, values, eps), bound=_bound(mdp, values, eps))


def _elbo_gradient(q: Table, eps: Number, pi_theta: Array, d: Array) -> Array:
    total: Number = 0
    for (s, a), value in q.items():
        p = float(pi_theta[s, a])
        entropy = -p * log(p) if p > 0 else 0.0
        total = total + float(d[s]) * (p * value / eps + entropy)
    return gradient_of(total, len(eps.tangent))


def _size(b: Array, values: Array, eps: Number) -> float:
    slope = float(np.abs(eps.tangent).max(initial=0))
    return float(eps.value * np.abs(b).max(initial=0) + np.abs(values).max() * slope)


def _bound(mdp: TabularMDP, values: Array, eps: Number) -> float:
    terms = mdp.n_pairs * mdp.n_states * mdp.n_actions + 16
    return 16 * U * float(terms + 4 * np.abs(values).max() / eps.value)


@st.composite
def _self_consistent(draw: st.DrawFn) -> Instance:
    drawn = draw(seeded_instances())
    return drawn | {"pi_theta": draw(policies(drawn["mdp"])), "d": draw(distributions(drawn["mdp"]))}


_INCREMENTAL = instances(
    mdp=mdps(max_states=3, masked=True),
    model=approximators,
    eps_k=temperatures(),
    pi_theta=policies,
    d=distributions,
)
_RIGHT = (
    r"\varepsilon_{\omega_i} E_{d(s)\pi_{\theta_{k+1}}(a|s)}[\nabla_\omega\hat Q_\omega(h)] "
    r"- E_{d(s)\pi_{\theta_{k+1}}(a|s)}[\hat Q_\omega(h)]\,\nabla_\omega\varepsilon_\omega"
)

CLAIMS = (
    Claim(
        id="eq-07",
        title="M-step: the critic's gradient",
        source="Eq. (7), Section 3.3",
        statement=r"(\varepsilon_{\omega_i})^2\nabla_\omega\mathcal L(\omega,\theta_{k+1})|_{\omega=\omega_i} = "
        + _RIGHT,
        check=Check(self_consistent_gap, _self_consistent()),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="app-e2",
        title="Derivation of the critic's gradient",
        source="App. E.2",
        statement=r"(\varepsilon_{\omega_i})^2\nabla_\omega\mathcal L(\omega,\theta_{k+1}) = " + _RIGHT,
        check=Check(incremental_gap, _INCREMENTAL, n_random=100),
        expected=Verdict.HOLDS,
        steps=(
            Step(
                "quotient rule under the expectation",
                r"\nabla_\omega\mathcal L(\omega,\theta_{k+1}) = \frac{1}{\varepsilon_\omega}E_{d\,\pi_{\theta_{k+1}}}"
                r"[\nabla_\omega\hat Q_\omega(h)] - \frac{1}{(\varepsilon_\omega)^2}E_{d\,\pi_{\theta_{k+1}}}[\hat Q_\omega(h)]"
                r"\,\nabla_\omega\varepsilon_\omega",
                Check(quotient_gap, _INCREMENTAL, n_random=60),
            ),
        ),
    ),
)
