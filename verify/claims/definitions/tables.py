"""Claims on basic definitions: policies, operators, approximators, projection and MERL's objective.

Each public function stands against its printed definition in plain loops (or a second method), on MDPs with
missing actions, dense and CSR, at `eps = 0` as well. Without these a slip that two sides of a claim share
would pass.

Bound:  rounding, u = 2.2e-16. Operators: (4 A + S + 16) u (M + max|r|) for the function (its module) and as
        much for the loop, M the largest |V|. Logarithms of probabilities: size at most B = max|q|/eps +
        log|H|, 8 u (|H| + 8) (1 + B). Derivatives of a tanh layer with |omega|, |v| <= 2 and features in
        {-1, 0, 1}: at most 4 terms below 8 N each, two methods: 256 N u. Projection: two solves with E[b
        b^T], whose condition number kappa <= 1e4 is required: 64 (N^2 + |H|) u kappa^2 max|Q|. Linear
        systems I - gamma P: condition number (1 + gamma)/(1 - gamma), two methods: 16 |H| u (1 + gamma)/(1
        - gamma) times the solution's size. MERL: a soft fixed point that is off by e has a value off by e
        and a policy whose return is off by at most 2 gamma e/(1 - gamma); together below 2 e/(1 - gamma).
Teeth:  `perturb` adds 1 (or multiplies by 2) on the side of this file.
"""

import math

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from verify.claims.definitions import by_hand
from verify.engine.claim import A_DEFINITION, A_LIMIT, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import TEMPERATURES, instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.approximators import TanhQ
from virel_theory.gradients.em_steps import discounted_occupancy
from virel_theory.gradients.projection import project_tangent, tangent_weights
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.em import m_step_complete
from virel_theory.methods.merl import merl_objective, merl_policy
from virel_theory.objective.elbo import boltzmann_joint, log_partition
from virel_theory.objective.posterior import log_state_normaliser, optimality_likelihood
from virel_theory.operators.bellman import (
    bellman_boltzmann,
    bellman_incremental,
    bellman_optimal,
    bellman_policy,
    bellman_soft,
    state_value,
)
from virel_theory.operators.policies import (
    boltzmann_policy,
    entropy,
    greedy_policy,
    kl_divergence,
    log_boltzmann_policy,
)
from virel_theory.solvers.soft import soft_value_iteration


def operators_gap(
    *, mdp: TabularMDP, q: Array, pi: Array, eps: float, sparse: bool, perturb: float = 0.0
) -> Gap:
    """Gap of the library's Bellman operators: minus `r + gamma sum_s' p V` by plain loops, zero.

    They are T^pi, T*, T_omega, T_{omega,k} and the soft operator.
    """
    given = mdp.to_sparse() if sparse else mdp
    pairs = [
        (bellman_policy(given, q, pi=pi), by_hand.mean_values(q, pi)),
        (bellman_optimal(given, q), by_hand.boltzmann_values(q, 0.0)),
        (bellman_boltzmann(given, q, eps=eps), by_hand.boltzmann_values(q, eps)),
        (bellman_incremental(given, q, eps_k=eps), by_hand.boltzmann_values(q, eps)),
        (bellman_soft(given, q, c=eps), by_hand.soft_values(q, eps)),
    ]
    error = float(np.abs(state_value(given, q, pi=pi) - by_hand.mean_values(q, pi)).max())
    size = (
        max(np.abs(q[mdp.available]).max(), *(np.abs(v).max() for _, v in pairs)) + np.abs(mdp.reward).max()
    )
    for found, v in pairs:
        wanted = by_hand.back_up(mdp, v)
        if not np.array_equal(np.isneginf(found), ~mdp.available):
            return Gap(math.inf, 0.0)
        error = max(error, float(np.abs(found - wanted - perturb)[mdp.available].max()))
    return Gap(error, 2 * (4 * mdp.n_actions + mdp.n_states + 16) * U * size)


def policies_gap(*, mdp: TabularMDP, q: Array, pi: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of the library's policies, partition function, likelihood, entropy, KL: minus loops, zero.

    They are the Boltzmann policy (3), its logarithm and greedy limit, the partition function of (5), and App.
    B's likelihood and normaliser y(s).
    """
    on = mdp.available
    log_pi = by_hand.log_softmax_rows(q, eps)
    log_z = by_hand.log_sum(q[on] / eps)
    top = q.max(axis=1)
    uniform = on / on.sum(axis=1, keepdims=True)
    pairs = [
        (log_boltzmann_policy(q, eps=eps)[on], log_pi[on] + perturb),
        (boltzmann_policy(q, eps=eps), np.exp(log_pi)),
        (boltzmann_joint(q, eps=eps)[on], np.exp(q[on] / eps - log_z)),
        (np.array(log_partition(q, eps=eps)), np.array(log_z)),
        (optimality_likelihood(q, eps=eps), np.exp((q - top[:, None]) / eps)),
        (log_state_normaliser(q, eps=eps), -top / eps),
        (greedy_policy(q), by_hand.uniform_over_maxima(q)),
        (greedy_policy(q, tie_tol=0.5), by_hand.uniform_over_maxima(q, tie_tol=0.5)),
        (entropy(pi), by_hand.minus_sum_p_log(pi, pi)),
        (kl_divergence(pi, uniform), by_hand.minus_sum_p_log(pi, uniform) - by_hand.minus_sum_p_log(pi, pi)),
    ]
    error = max(float(np.abs(found - wanted).max()) for found, wanted in pairs)
    size = 1 + float(np.abs(q[on]).max()) / eps + math.log(mdp.n_pairs)
    return Gap(error, 8 * (mdp.n_pairs + 8) * U * size)


def approximator_gap(*, features: Array, n_hidden: int, omega: Array, v: Array, perturb: float = 0.0) -> Gap:
    """Gap of a tanh layer's Q, gradient and Hessian product: minus formula or complex steps, zero."""
    layer = TanhQ(features, n_hidden)
    size = layer.n_parameters
    omega, v = omega[:size], v[:size]
    step = 1e-30  # no difference is taken: exact to rounding
    b = np.stack(
        [by_hand.tanh_layer(features, n_hidden, omega + step * 1j * e).imag / step for e in np.eye(size)]
    )
    along = by_hand.tanh_gradient(features, n_hidden, omega + step * 1j * v).imag / step
    gaps = (
        layer.value(omega) - by_hand.tanh_layer(features, n_hidden, omega.astype(complex)).real,
        layer.jacobian(omega) - np.moveaxis(b, 0, -1),
        layer.hessian_vector(omega, v) - along - perturb,
    )
    return Gap(max(float(np.abs(gap).max()) for gap in gaps), 256 * size * U)


def projection_gap(*, b_omega: Array, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of the tangent projection P Q: Q - P Q orthogonal to the features, P (P Q) = P Q = b^T w."""
    n = b_omega.shape[2]
    rows, values = b_omega.reshape(-1, n), q.ravel()
    singular = np.linalg.svd(rows, compute_uv=False)
    assume(len(rows) >= n and singular[-1] > 1e-2 * singular[0])
    kappa = float((singular[0] / singular[-1]) ** 2)
    projected = project_tangent(b_omega, q).ravel() + perturb
    weights = tangent_weights(b_omega, q)
    again = project_tangent(b_omega, (rows @ weights).reshape(q.shape)).ravel()
    errors = (rows.T @ (values - projected) / len(values), projected - rows @ weights, again - rows @ weights)
    size = 1 + float(np.abs(values).max())
    return Gap(max(float(np.abs(e).max()) for e in errors), 64 * (n * n + len(values)) * U * kappa**2 * size)


def merl_gap(*, mdp: TabularMDP, pi: Array, c: float, sparse: bool, perturb: float = 0.0) -> Gap:
    """Gap of the MERL objective at MERL's policy: minus the soft optimal value, zero; other policies' below.

    The other policy's value is also compared with a sum over time steps.
    """
    given = mdp.to_sparse() if sparse else mdp
    soft = soft_value_iteration(given, c=c, atol=1e-8 * (1 + c), throw=True)
    best = float(mdp.initial @ by_hand.soft_values(soft.q, c)) + perturb
    reached = merl_objective(given, pi=merl_policy(soft.q, c=c), c=c)
    other = merl_objective(given, pi=pi, c=c)
    by_sweeps = by_hand.entropy_regularised_return(mdp, pi, c)
    size = (float(np.abs(mdp.reward).max()) + c * math.log(mdp.n_actions) + 1) / (1 - mdp.gamma)
    slack = 2 * soft.error_bound / (1 - mdp.gamma) + _solve_bound(mdp, size)
    return worst(
        Gap(abs(reached - best), slack),
        Gap(other - best, slack),
        Gap(abs(other - by_sweeps), 2 * _solve_bound(mdp, size)),
    )


def formats_gap(*, mdp: TabularMDP, pi: Array, perturb: float = 0.0) -> Gap:
    """Gap of Q^pi and the discounted occupancy, dense and sparse (CSR): residuals of their linear systems."""
    size = (float(np.abs(mdp.reward).max()) + 1) / (1 - mdp.gamma)
    errors = []
    for given in (mdp, mdp.to_sparse()):
        q, rho = m_step_complete(given, pi=pi), discounted_occupancy(given, pi=pi)
        backed_up = by_hand.back_up(mdp, by_hand.mean_values(q, pi))
        errors.append(float(np.abs(q - backed_up - perturb)[mdp.available].max()))
        errors.append(float(np.abs(rho - mdp.initial - mdp.gamma * by_hand.flow(mdp, pi, rho)).max()))
    return Gap(max(errors), _solve_bound(mdp, size))


def _solve_bound(mdp: TabularMDP, size: float) -> float:
    return 16 * (mdp.n_pairs + 4) * U * (1 + mdp.gamma) / (1 - mdp.gamma) * size


_LIMITS = st.sampled_from((*TEMPERATURES, 0.0))
_BOOLS = st.booleans()


def _features(n: int) -> st.SearchStrategy[Array]:
    return st.lists(st.integers(-1, 1), min_size=4 * n, max_size=4 * n).map(
        lambda x: np.array(x, dtype=np.float64).reshape(2, 2, n)
    )


_HALVES = st.lists(st.integers(-4, 4), min_size=6, max_size=6).map(lambda x: np.array(x) / 2)
_QUARTERS = st.lists(st.integers(-20, 20), min_size=4, max_size=4).map(
    lambda x: np.array(x).reshape(2, 2) / 4
)

CLAIMS = (
    Claim(
        id="def-operators",
        title="the Bellman operators are what they are defined to be",
        source="Eq. (2), Def. 2, App. C, Eq. (36)",
        statement=r"\mathcal T_\omega Q(h) = r(h) + \gamma E_{p(s'|h)}[V_\omega(s')]",
        check=Check(
            operators_gap,
            instances(mdp=mdps(masked=True), q=q_tables, pi=policies, eps=_LIMITS, sparse=_BOOLS),
        ),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-policies",
        title="Boltzmann policies, partition function, likelihood, entropy and KL by definition",
        source="Eq. (3), (4), (5), (22), App. B",
        statement=r"\pi_\omega(a|s) = \frac{\exp(\hat Q_\omega(h)/\varepsilon_\omega)}"
        r"{\int_A\exp(\hat Q_\omega(h)/\varepsilon_\omega)da}",
        check=Check(
            policies_gap, instances(mdp=mdps(masked=True), q=q_tables, pi=policies, eps=temperatures())
        ),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-approximators",
        title="gradients and Hessian products of the non-linear approximator",
        source="Assumption 5, App. F.1",
        statement=r"b_\omega(h) = \nabla_\omega\hat Q_\omega(h), \quad \nabla^2_\omega\hat Q_\omega(h)\, v",
        check=Check(
            approximator_gap,
            st.fixed_dictionaries(
                {"features": _features(2), "n_hidden": st.integers(1, 2), "omega": _HALVES, "v": _HALVES}
            ),
        ),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-projection",
        title="the projection on the tangent space is orthogonal and idempotent",
        source="App. F.1, Eq. (32)",
        statement=r"\mathcal P_\omega Q = b_\omega^\top E[b_\omega b_\omega^\top]^{-1} E[b_\omega Q]",
        check=Check(
            projection_gap,
            st.integers(1, 3).flatmap(
                lambda n: st.fixed_dictionaries({"b_omega": _features(n), "q": _QUARTERS})
            ),
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="def-merl",
        title="MERL's policy maximises MERL's objective",
        source="Talk, Maximum Entropy RL",
        statement=r"\max_\pi E\Big[\sum_t \gamma^t (r_t - c\log\pi(a_t|s_t))\Big] = E_{p_0}\Big["
        r"c\log\sum_a\exp(Q_{soft}(h)/c)\Big]",
        check=Check(
            merl_gap,
            instances(
                mdp=mdps(masked=True, gammas=st.sampled_from((0.0, 0.5, 0.75, 0.9))),
                pi=policies,
                c=temperatures(),
                sparse=_BOOLS,
            ),
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_LIMIT,
    ),
    Claim(
        id="def-evaluation",
        title="values and occupancies of a policy, dense and sparse",
        source="Eq. (39), App. E.4",
        statement=r"Q^\pi = \mathcal T^\pi Q^\pi, \quad \rho^\pi(s') = p_0(s') + \gamma\sum_h p(s'|h)\pi(a|s)\rho^\pi(s)",
        check=Check(formats_gap, instances(mdp=mdps(masked=True), pi=policies)),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
)
