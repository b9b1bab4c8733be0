r"""Claim on the residual as a temperature inside every row of Table 1: alpha = lambda eps_omega.

Every row infers the posterior $p^\rho e^{Q/\alpha}/Z$ with a prior p of its own. With $\beta = T^*Q - Q$,
$\varepsilon_\omega = \frac{1}{2|H|}\sum\beta^2$ and $\alpha = \lambda\varepsilon_\omega$ the loss of that
policy vanishes with the residual: write $\delta = \|\beta\|_\infty \le \sqrt{2|H|\varepsilon_\omega}$ and
$L = \rho\log(1/p_{min}) + (1 - \rho)\log A$.

1. The posterior maximises $E_\pi Q - \alpha\sum\pi\log(\pi/p^\rho)$. Compared with the greedy action,
   $E_\pi Q \ge \max Q - \alpha\rho\log(1/p_{min}) - \alpha\log\sum_ap^\rho \ge \max Q - \alpha L$, as
   $\sum_a\pi\log(\pi/p^\rho) \ge -\log\sum_ap^\rho$ and $\sum_ap^\rho \le A^{1 - \rho}$. 2. So
   $T^\pi Q \ge T^*Q - \gamma\alpha L \ge Q - \delta - \gamma\alpha L$, hence
   $Q^\pi \ge Q - (\delta + \gamma\alpha L)/(1 - \gamma)$; and $Q^* \le Q + \delta/(1 - \gamma)$. 3.
   $V^* - V^\pi \le \max Q + \frac{\delta}{1 - \gamma} - E_\pi Q + \frac{\delta + \gamma\alpha L}{1 - \gamma} \le \frac{2\delta + \alpha L}{1 - \gamma}$.

At $\varepsilon_\omega = 0$ the posterior is its greedy limit, and Q = Q*: the loss is 0. A constant
temperature leaves a loss at Q = Q* (the ablation). The temperature of a soft evaluation is covered too: if
$Q = T_\alpha Q$ for the soft backup and $\alpha = \lambda\varepsilon$ with the residual of that backup, then
$\alpha = 0$, $T_0 = T^*$, and Q = Q*.

Both sides: `bellman_residual`, `residual_error`, `tempered_posterior` and a policy evaluation, against the
        exact Q* that the instance was made from.
Bound:  rounding. Q* and its backup are exact in float64 (`verify.claims.instances.solved`). The evaluation
of the
        policy: `solve_rounding` with max|r| <= 2 max|Q*|.
Teeth:  `perturb` takes the posterior of -Q.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import integer_tables, on_mdp, policy_values, solve_rounding, solved
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import policies
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import bellman_residual, residual_error
from virel_theory.operators.bellman import bellman_optimal
from virel_theory.variational.core.budget import tempered_posterior
from virel_theory.variational.core.e_step import posterior_policy

SCALES = tuple(2.0**-k for k in range(0, 13, 3))
"""Sizes of the error of Q, from 1 down to 2^-12; then 0."""


def residual_gap(
    *,
    mdp: TabularMDP,
    q_star: Array,
    shift: Array,
    prior: Array,
    scale: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the guarantee: loss of the posterior at the residual's temperature minus its bound, down to 0."""
    gaps = []
    for size in (*SCALES, 0.0):
        q = q_star + size * shift
        beta = bellman_residual(bellman_optimal(mdp, q), q)
        alpha = scale * residual_error(beta)
        pi = _posterior((1 - 2 * perturb) * q, prior, alpha, exponent)
        room = guarantee(mdp, alpha / scale, alpha * _width(mdp, prior, exponent))
        gaps.append(_loss_gap(mdp, q_star, pi, room))
    return worst(*gaps)


def guarantee(mdp: TabularMDP, eps: float, cost: float) -> float:
    """Right side of the guarantee, `(2 sqrt(2 |H| eps) + alpha L)/(1 - gamma)`, `cost` being alpha L."""
    return float((2 * np.sqrt(2 * mdp.n_pairs * eps) + cost) / (1 - mdp.gamma))


def constant_gap(
    *,
    mdp: TabularMDP,
    q_star: Array,
    shift: Array,
    prior: Array,
    scale: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of "a constant temperature will do": loss of the posterior of Q* at the temperature `scale`."""
    pi = _posterior(q_star + 0 * shift, prior, scale, exponent)
    return _loss_gap(mdp, q_star, pi, -perturb)


def blind_prior_gap(
    *,
    mdp: TabularMDP,
    q_star: Array,
    shift: Array,
    prior: Array,
    scale: float,
    exponent: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap at Q = Q* for a prior that lacks the last best action of every state, where it has another one."""
    best = q_star >= q_star.max(axis=1, keepdims=True)
    last = np.cumsum(best[:, ::-1], axis=1)[:, ::-1] * best == 1
    kept = prior * ~last
    lacking = np.where(kept.sum(axis=1, keepdims=True) > 0, kept, prior)
    pi = _posterior(q_star, lacking / lacking.sum(axis=1, keepdims=True), 0.0 * scale * exponent, 1.0)
    return _loss_gap(mdp, q_star, pi, 0.0 * shift.sum() - perturb)


def _posterior(q: Array, prior: Array, alpha: float, rho: float) -> Array:
    """Posterior at a temperature that may be 0."""
    if alpha == 0:
        return tempered_posterior(q, prior=prior, eta=0.0)
    return posterior_policy(q, prior=prior, alpha=alpha, exponent=rho)


def _width(mdp: TabularMDP, prior: Array, rho: float) -> float:
    """Largest cost per unit of temperature, `rho log(1/p_min) + (1 - rho) log A`."""
    return float(rho * np.log(1 / prior[mdp.available].min()) + (1 - rho) * np.log(mdp.n_actions))


def _loss_gap(mdp: TabularMDP, q_star: Array, pi: Array, room: float) -> Gap:
    """Gap of `V* - V^pi <= room` in all states."""
    loss = float((q_star.max(axis=1) - policy_values(mdp, pi)).max())
    return Gap(loss - room, solve_rounding(mdp, 2 * float(np.abs(q_star).max())))


_INSTANCES = solved(
    shift=integer_tables(-2, 2),
    prior=on_mdp(policies),
    scale=on_mdp(st.sampled_from([1.0, 0.25, 4.0])),
    exponent=on_mdp(st.sampled_from([1.0, 0.5, 0.0])),
)

CLAIMS = (
    Claim(
        id="variational-residual",
        title="the residual as a temperature, in every row",
        source="ours, on Fellows et al., Eq. (3), and Marino et al., Table 1",
        statement=r"\pi \propto p^\rho e^{Q/\alpha},\ \alpha = \lambda\varepsilon_\omega:\quad "
        r"V^* - V^\pi \le \frac{2\sqrt{2|H|\varepsilon_\omega} + \lambda\varepsilon_\omega L}{1 - \gamma} \to 0,\quad "
        r"L = \rho\log\frac{1}{p_{min}} + (1 - \rho)\log A",
        check=Check(residual_gap, _INSTANCES),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "residual temperature",
                r"$\alpha = \lambda\varepsilon_\omega$, not a constant",
                without=Check(constant_gap, _INSTANCES),
            ),
            Assumption(
                "full support",
                "the prior is positive on every existing action",
                without=Check(blind_prior_gap, _INSTANCES),
            ),
        ),
        printed=False,
        not_certified=NoProof("a square root of the residual; each instance is a chain of five temperatures"),
    ),
)
