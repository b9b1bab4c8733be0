"""Claims on gradient definitions: scores, one-sample updates, projection of tables with missing actions.

Bound:  u = 2.2e-16. Scores: entries are at most X = (max|b| + max|q| max|d eps|/eps)/eps, means of A terms
        whose weights carry 3 max|q|/eps + A + 8 ulps: twice that. Updates of N <= 3 terms of size at most
        T: 4 (N + 6) u T. Projection: as in `tables.py`, 64 (N^2 + |H|) u kappa^2 max|Q|.
Teeth:  `perturb` adds 1 on the side of this file.
"""

import math

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from verify.engine.claim import A_DEFINITION, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.projection import omega_update, project_tangent, zeta_update
from virel_theory.gradients.residual_error import grad_log_boltzmann, grad_log_incremental
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import boltzmann_policy


def score_gap(*, mdp: TabularMDP, q: Array, slopes: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of the library's scores of pi_omega, Eq. (29), and of p_{omega,k}, App. E.3, to loops, zero.

    Both are 0 where the action does not exist.
    """
    b = np.resize(slopes, (*mdp.shape, 2))
    d_eps = slopes[:2]
    total = grad_log_boltzmann(q, b, eps=eps, grad_eps=d_eps)
    partial = grad_log_incremental(q, b, eps_k=eps)
    pi = boltzmann_policy(q, eps=eps)
    error = 0.0
    for s, a in np.ndindex(*mdp.shape):
        on = [k for k in range(mdp.n_actions) if mdp.available[s, k]]
        for n in range(2):
            wanted = slope = 0.0
            if a in on:
                wanted = (b[s, a, n] - math.fsum(pi[s, k] * b[s, k, n] for k in on)) / eps + perturb
                slope = (q[s, a] - math.fsum(pi[s, k] * q[s, k] for k in on)) * d_eps[n] / eps**2
            error = max(error, abs(partial[s, a, n] - wanted), abs(total[s, a, n] - (wanted - slope)))
    q_max = float(np.abs(q[mdp.available]).max())
    size = (float(np.abs(b).max()) + q_max * float(np.abs(d_eps).max()) / eps) / eps
    return Gap(error, 2 * (3 * q_max / eps + mdp.n_actions + 8) * U * 2 * size)


def updates_gap(*, x: list[list[float]], step: float, gamma: float, perturb: float = 0.0) -> Gap:
    """Gap of the library's one-sample updates of zeta (34) and omega (35) to the printed formulas, zero."""
    omega, zeta, b, b_next, q_k = (np.array(row) for row in x)
    along = math.fsum(b * zeta)
    first = zeta_update(zeta, b_k=b, beta_k=float(q_k[0]), step_size=step)
    second = omega_update(omega, zeta_k=zeta, b_k=b, b_next=b_next, q_k=q_k, gamma=gamma, step_size=step)
    error = 0.0
    for n in range(len(omega)):
        error = max(error, abs(first[n] - (zeta[n] + step * (q_k[0] - along) * b[n] + perturb)))
        wanted = omega[n] + step * (b[n] - gamma * b_next[n]) * along - q_k[n]
        error = max(error, abs(second[n] - wanted))
    size = 1 + float(np.abs(x).max())
    return Gap(error, 4 * (len(omega) + 6) * U * (1 + step) * len(omega) * size**3)


def masked_projection_gap(*, mdp: TabularMDP, q: Array, slopes: Array, perturb: float = 0.0) -> Gap:
    """Gap of the tangent projection P Q, actions missing: Q - P Q orthogonal to the features that span P Q.

    Missing pairs must be -inf.
    """
    b = np.resize(slopes, (*mdp.shape, 2))
    rows, values = b[mdp.available], q[mdp.available]
    singular = np.linalg.svd(rows, compute_uv=False)
    assume(len(rows) >= 2 and singular[-1] > 1e-2 * singular[0])
    found = project_tangent(b, np.where(mdp.available, q, 0.0), mask=mdp.available)
    on = found[mdp.available] + perturb
    coordinates = np.linalg.lstsq(rows, on)[0]
    kappa = float((singular[0] / singular[-1]) ** 2)
    bound = (
        64 * (4 + len(values)) * U * kappa**2 * (1 + float(np.abs(values).max())) * float(np.abs(b).max() + 1)
    )
    return worst(
        Gap(float(np.abs(rows.T @ (values - on)).max()) / len(values), bound),
        Gap(float(np.abs(rows @ coordinates - on).max()), bound),
        Gap(0.0 if np.array_equal(np.isneginf(found), ~mdp.available) else math.inf, 0.0),
    )


_SLOPES = st.lists(st.integers(-3, 3), min_size=31, max_size=31).map(lambda x: np.array(x, dtype=np.float64))
_QUARTERS = st.integers(-8, 8).map(lambda k: k / 4)
_VECTORS = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.lists(_QUARTERS, min_size=n, max_size=n), min_size=5, max_size=5)
)

CLAIMS = (
    Claim(
        id="def-score",
        title="scores of the Boltzmann policies by definition",
        source="Eq. (29), App. E.3",
        statement=r"\nabla_\omega\log\pi_\omega(a|s) = \frac{1}{\varepsilon_\omega^2}\big(\varepsilon_\omega"
        r"\mathcal M_\omega[\nabla_\omega\hat Q_\omega(h)]"
        r" - \nabla_\omega\varepsilon_\omega\mathcal M_\omega\hat Q_\omega(h)\big)",
        check=Check(
            score_gap, instances(mdp=mdps(masked=True), q=q_tables, slopes=_SLOPES, eps=temperatures())
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="def-updates",
        title="the updates from one sample, entry by entry",
        source="Eq. (34), (35)",
        statement=r"\zeta_{k+1} = \zeta_k + \alpha_{\zeta_k}(\beta - b^\top\zeta_k) b, \quad"
        r"\omega_{k+1} = \omega_k + \alpha_{\omega_k}(b_k - \gamma b'_k) b_k^\top\zeta_k - q_k\quad\text{(before the projections)}",
        check=Check(
            updates_gap,
            st.fixed_dictionaries(
                {
                    "x": _VECTORS,
                    "step": st.sampled_from((0.5, 0.25, 2.0)),
                    "gamma": st.sampled_from((0.0, 0.5, 0.9)),
                }
            ),
        ),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-masked-projection",
        title="the projection where actions are missing",
        source="App. F.1",
        statement=r"E[b_\omega (Q - \mathcal P_\omega Q)] = 0, \quad \mathcal P_\omega Q \in"
        r" \mathrm{span}\, b_\omega",
        check=Check(
            masked_projection_gap, instances(mdp=mdps(masked=True, min_actions=2), q=q_tables, slopes=_SLOPES)
        ),
        expected=Verdict.HOLDS,
    ),
)
