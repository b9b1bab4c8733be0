"""Claims on (26)-(29) and E.3's optimal target: gradients of the residual error and the log-policy.

Both sides: the printed right sides from `virel_theory`, fed with truths where they hold other derivatives;
        the left sides from dual numbers through the self-consistent temperature
        (`verify.arithmetic.model`).
Bound:      that of `self_consistent.py`, at most 1e-8 relative to the size of the terms.
Teeth:      `perturb` doubles the left side.
"""

import numpy as np

from verify.arithmetic.dual import Dual, log, variables
from verify.arithmetic.model import (
    Table,
    boltzmann,
    greedy_values,
    half_mean_square,
    q_table,
    residual,
    self_consistent_dual,
    state_values,
)
from verify.claims.residual_gradients.fold import FOLD
from verify.claims.residual_gradients.optimal_target import CLAIM as OPTIMAL_TARGET
from verify.claims.residual_gradients.self_consistent import (
    Model,
    Point,
    as_array,
    evaluate,
    relative_gap,
    seeded_instances,
    self_consistent,
    well_conditioned,
)
from verify.engine.claim import Assumption, Check, Claim, Step
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import Array, U
from virel_theory.gradients.pairs import centre_actions
from virel_theory.gradients.residual_error import (
    grad_beta_boltzmann,
    grad_eps_chain,
    grad_eps_from_score,
    grad_log_boltzmann,
)
from virel_theory.mdp.tabular import TabularMDP


def dual_tables(mdp: TabularMDP, model: Model, eps: float) -> tuple[Dual, Table, Table, Table]:
    """Self-consistent eps_omega, Q, pi_omega and beta, as dual numbers in omega."""
    root = self_consistent_dual(mdp, model[0], model[1], eps)
    q = q_table(mdp, model[0], variables(model[1]))
    pi = boltzmann(q, root)
    return root, q, pi, residual(mdp, q, state_values(q, pi))


def _score_size(point: Point, eps: float, grad_eps: Array) -> float:
    """Size of the terms of the score `grad log pi`: `2 (eps |grad Q| + |Q| |grad eps|) / eps^2`.

    The factor 2 is for centring.
    """
    q = np.abs(point.q[np.isfinite(point.q)]).max()
    return float(
        2 * (eps * np.abs(point.b_omega).max(initial=0) + q * np.abs(grad_eps).max(initial=0)) / eps**2
    )


def gap_26(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (26): grad eps_omega minus `E[beta grad beta]`, zero; the gradients in three ways.

    The residual error is the self-consistent root, and the mean square under T^pi and under T*.
    """
    point = evaluate(mdp, model, eps)
    root, _, _, beta = dual_tables(mdp, model, eps)
    size = len(model[1])
    right = grad_eps_chain(mdp, point.beta, as_array(mdp, beta, size))
    through_root = relative_gap(
        root.tangent * (1 + perturb), right, size=point.size_eps * point.amplification, bound=point.bound
    )
    direct = half_mean_square(beta).tangent * (1 + perturb)
    under_pi = relative_gap(direct, right, size=point.size_eps * point.amplification, bound=point.bound)
    return worst(through_root, under_pi, _optimal_gap(mdp, model, perturb))


def _optimal_gap(mdp: TabularMDP, model: Model, perturb: float) -> Gap:
    """Gap of Eq. (26) under T*: gradient of the residual error minus `E[beta grad beta]`, zero.

    It is relative to the largest product, with bound `16 u (|H| + 8)`.
    """
    q = q_table(mdp, model[0], variables(model[1]))
    beta = residual(mdp, q, greedy_values(q))
    values = np.zeros(mdp.shape)
    for h, x in beta.items():
        values[h] = x.value
    slopes = as_array(mdp, beta, len(model[1]))
    size = float(np.abs(values).max() * np.abs(slopes).max(initial=0))
    left = half_mean_square(beta).tangent * (1 + perturb)
    return relative_gap(
        left, grad_eps_chain(mdp, values, slopes), size=size, bound=16 * U * (mdp.n_pairs + 8)
    )


def gap_27(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (27): grad beta minus the sum of its policy term and Gamma (grad beta at fixed pi), zero."""
    point = evaluate(mdp, model, eps)
    root, _, _, beta = dual_tables(mdp, model, eps)
    left = as_array(mdp, beta, len(model[1])) * (1 + perturb)
    right = grad_beta_boltzmann(mdp, point.q, point.b_omega, eps=eps, grad_eps=root.tangent)
    q = float(np.abs(point.q[np.isfinite(point.q)]).max())
    size = 2 * float(np.abs(point.b_omega).max(initial=0)) + q * _score_size(point, eps, root.tangent)
    return relative_gap(left, right, size=size, bound=point.bound)


def gap_28(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (28): grad eps_omega, self-consistent, minus its two printed terms, zero.

    The terms have the true score.
    """
    point = evaluate(mdp, model, eps)
    root, _, pi, _ = dual_tables(mdp, model, eps)
    score = as_array(mdp, {h: log(p) for h, p in pi.items()}, len(model[1]))
    right = grad_eps_from_score(mdp, point.q, point.b_omega, beta=point.beta, pi=point.pi, score=score)
    left, size = root.tangent * (1 + perturb), point.size_eps * point.amplification
    return relative_gap(left, right, size=size, bound=point.bound)


def gap_29(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (29): `pi grad log pi - pi (grad(Q/eps) - E[grad(Q/eps)])`, by dual numbers."""
    point = evaluate(mdp, model, eps)
    root, q, pi, _ = dual_tables(mdp, model, eps)
    size = len(model[1])
    left = as_array(mdp, {h: p.value * log(p) for h, p in pi.items()}, size) * (1 + perturb)
    scaled = as_array(mdp, {h: value / root for h, value in q.items()}, size)
    right = point.pi[:, :, None] * centre_actions(scaled, pi=point.pi)
    return relative_gap(left, right, size=_score_size(point, eps, root.tangent), bound=point.bound)


def gap_quotient(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. E.3's quotient rule: `grad(Q/eps) - (eps grad Q - Q grad eps) / eps^2`."""
    point = evaluate(mdp, model, eps)
    root, q, _, _ = dual_tables(mdp, model, eps)
    left = as_array(mdp, {h: value / root for h, value in q.items()}, len(model[1])) * (1 + perturb)
    q0 = np.where(mdp.available, point.q, 0.0)[:, :, None]
    right = (eps * point.b_omega - q0 * root.tangent) / eps**2
    return relative_gap(left, right, size=_score_size(point, eps, root.tangent), bound=point.bound)


def gap_score(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of App. E.3 after (29): `grad log pi - (eps M[grad Q] - grad eps M Q)/eps^2`, M f = f - E_pi[f]."""
    point = evaluate(mdp, model, eps)
    root, _, pi, _ = dual_tables(mdp, model, eps)
    left = as_array(mdp, {h: log(p) for h, p in pi.items()}, len(model[1])) * (1 + perturb)
    right = grad_log_boltzmann(point.q, point.b_omega, eps=eps, grad_eps=root.tangent)
    return relative_gap(left, right, size=_score_size(point, eps, root.tangent), bound=point.bound)


_SMALL = self_consistent().filter(well_conditioned)
_FOLD = Assumption("no fold", r"$1 \ne \partial_\varepsilon g$: otherwise no gradient exists", without=FOLD)


def _claim(
    claim_id: str, title: str, source: str, statement: str, check: Check, steps: tuple[Step, ...] = ()
) -> Claim:
    return Claim(claim_id, title, source, statement, check, Verdict.HOLDS, (_FOLD,), steps)


CLAIMS = (
    _claim(
        "eq-26",
        "Chain rule for the residual error",
        "Eq. (26), App. E.3",
        r"\nabla_\omega\varepsilon_\omega = \frac{1}{2|H|}\nabla_\omega\|\beta_\omega(h)\|_2^2 "
        r"= E[\beta_\omega(h)\nabla_\omega\beta_\omega(h)]",
        Check(gap_26, seeded_instances()),
    ),
    OPTIMAL_TARGET,
    _claim(
        "eq-27",
        "Derivative of the residual under the Boltzmann policy",
        "Eq. (27), App. E.3",
        r"\nabla_\omega\beta_\omega(h) = \gamma E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))\hat Q_\omega(h')] + \Gamma_\omega(h)",
        Check(gap_27, seeded_instances()),
    ),
    _claim(
        "eq-28",
        "Gradient of the residual error, with the policy's derivative in it",
        "Eq. (28), App. E.3",
        r"\nabla_\omega\varepsilon_\omega = \gamma E[\beta_\omega(h) E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))"
        r"\hat Q_\omega(h')]] + E[\beta_\omega(h)\Gamma_\omega(h)]",
        Check(gap_28, seeded_instances()),
    ),
    _claim(
        "eq-29",
        "Derivative of the Boltzmann policy",
        "Eq. (29), App. E.3",
        r"\pi_\omega(a|s)\nabla_\omega\log\pi_\omega(a|s) = \pi_\omega(a|s)\Big(\nabla_\omega\Big(\frac{\hat Q_\omega(h)}"
        r"{\varepsilon_\omega}\Big) - E_{a\sim\pi_\omega(a|s)}\Big[\nabla_\omega\Big(\frac{\hat Q_\omega(h)}{\varepsilon_\omega}\Big)\Big]\Big)",
        Check(gap_29, seeded_instances()),
        (
            Step(
                "quotient rule",
                r"\nabla_\omega(\hat Q_\omega/\varepsilon_\omega) = \frac{1}{(\varepsilon_\omega)^2}"
                r"(\varepsilon_\omega\nabla_\omega\hat Q_\omega(h) - \hat Q_\omega(h)\nabla_\omega\varepsilon_\omega)",
                Check(gap_quotient, _SMALL, n_random=60),
            ),
            Step(
                "log-derivative",
                r"\nabla_\omega\log\pi_\omega(a|s) = \frac{1}{(\varepsilon_\omega)^2}(\varepsilon_\omega\mathcal M_\omega"
                r"[\nabla_\omega\hat Q_\omega(h)] - \nabla_\omega\varepsilon_\omega\mathcal M_\omega\hat Q_\omega(h))",
                Check(gap_score, _SMALL, n_random=60),
            ),
        ),
    ),
)
