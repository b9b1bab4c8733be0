r"""Claims on MPO's gradient M-step, A.2: the guarantee (21), the decrease (23), and what holds in their place.

Policies are softmaxes of linear logits, $\log\pi_\theta(a|x) = \theta\cdot\phi(x, a) - \log Z$: tabular ones, and ones
that share parameters. `x0` is the start distribution, f the functional that a gradient step decreases,
$f(\pi, q, \theta) = E_\pi[\sum_t\gamma^t KL(q\|\pi_\theta)]$.

Both sides: (21) says that J does not fall for small steps, so that its derivative along the step,
        $dJ/d\beta = -\nabla_\theta f\cdot\nabla_\theta J$, is not negative; both gradients by complex steps through
        the definitions. Its repair compares that derivative with $\alpha\|\nabla f\|^2$. (23) compares two values
        of f itself.
Bound:  rounding. J and f are values of rewards of size B = 1 + max|r| + alpha (1 + largest |log|) and of the KL:
        `tools.rounding`; a derivative in a logit is as large as a sum of visits, 1/(1 - gamma), times that:
        R = 16 n `rounding` / (1 - gamma), n parameters; the product of two gradients R (|grad f| + |grad J|).
        For the repair Newton's method starts from the optimum itself, to which it stays as close as rounding
        lets it; its complex part contracts quadratically: three steps. For (23) f is convex in the logits:
        its Hessian is E of the features' covariances, at most $L = \sum_x d(x)\max_a\|\phi(x, a)\|^2$ in norm.
Teeth:  `perturb` drops the factor alpha, and takes a step against the gradient.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.mpo.tools import (
    MILD_ALPHAS,
    STEP,
    action_value,
    divergence,
    mild,
    penalised_value,
    plain_value,
    rounding,
    size_of,
    solve,
    tilted,
)
from verify.engine.claim import A_LIMIT, Check, Claim, Correction, NoProof, Step
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import instances
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP


def improvement_gap(
    *, mdp: TabularMDP, phi: Array, theta: Array, x0: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO (21) as printed: $-dJ/d\beta$ at $\beta = 0$, at most 0, for the E-step (19)."""
    pi = policy_of(mdp, phi, theta)
    q = e_step(mdp, pi, alpha)
    f = gradient(lambda t: divergence_along(mdp, pi, q, policy_of(mdp, phi, t), x0), theta)
    j = gradient(lambda t: _objective(mdp, policy_of(mdp, phi, t), x0, alpha), theta)
    return Gap(float(f @ j) + perturb, _product_bound(mdp, alpha, f, j, (pi, q)))


def full_step_gap(
    *, mdp: TabularMDP, phi: Array, theta: Array, x0: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO (21) repaired: $dJ^*/d\beta - \alpha\|\nabla f\|^2$, zero, $J^*(\theta) = \max_q J(\theta, q)$.

    f is weighted by the visits of the maximising q.
    """
    pi = policy_of(mdp, phi, theta)
    v = _optimum(mdp, pi, alpha)
    q = tilted(pi, action_value(mdp, v), alpha)

    def objective(t: Any) -> Any:
        moved, values = policy_of(mdp, phi, t), v
        for _ in range(3):
            values = penalised_value(mdp, tilted(moved, action_value(mdp, values), alpha), moved, alpha)
        return x0 @ values

    f = gradient(lambda t: divergence_along(mdp, q, q, policy_of(mdp, phi, t), x0), theta)
    j = gradient(objective, theta)
    error = np.abs(j + alpha * (1 + perturb) * f).max() + perturb
    return Gap(error, _gradient_bound(mdp, alpha, len(theta), (pi, q)))


def decrease_gap(
    *, mdp: TabularMDP, phi: Array, theta: Array, x0: Array, alpha: float, step: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO (23) as printed: $f(\theta_{i+1}) - f(\theta_i) + \beta g$, at most 0, $g = \|\nabla f\|/2$."""
    return _decrease(mdp, phi, theta, x0, alpha, step, perturb, 1)


def decrease_squared_gap(
    *, mdp: TabularMDP, phi: Array, theta: Array, x0: Array, alpha: float, step: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO (23) with $g = \|\nabla f\|^2/2$, at most 0: $\beta$ is `step` / L, `step` at most 1."""
    return _decrease(mdp, phi, theta, x0, alpha, step, perturb, 2)


def soft_optimal_gap(*, mdp: TabularMDP, phi: Array, theta: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of MPO (22): the one-step value of another policy minus that of the posterior, at most 0."""
    pi = policy_of(mdp, phi, theta)
    values = action_value(mdp, plain_value(mdp, pi))
    best, other = tilted(pi, (1 - 2 * perturb) * values, alpha), policy_of(mdp, phi, -theta)
    one_step = [(p * values).sum(axis=1) - alpha * divergence(p, pi) for p in (other, best)]
    return Gap((one_step[0] - one_step[1]).max(), 8 * rounding(mdp, size_of(mdp, alpha, pi, best, other)))


def policy_of(mdp: TabularMDP, phi: Array, theta: Any) -> Any:
    """Softmax policy of the logits `phi theta` over the actions that exist; `phi` is `[S, A, n]`."""
    logits = phi @ theta
    top = np.where(mdp.available, logits.real, -np.inf).max(axis=1, keepdims=True)
    weights = np.where(mdp.available, np.exp(np.where(mdp.available, logits - top, 0)), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def e_step(mdp: TabularMDP, pi: Any, alpha: float) -> Any:
    """Posterior (19): tilted by the action values of the policy itself."""
    return tilted(pi, action_value(mdp, plain_value(mdp, pi)), alpha)


def divergence_along(mdp: TabularMDP, pi: Any, q: Any, moved: Any, x0: Array) -> Any:
    r"""Functional f of A.2: $E_\pi[\sum_t\gamma^t KL(q\|\pi_\theta)]$ from `x0`, `moved` the policy of theta."""
    return x0 @ solve(mdp, pi, divergence(q, moved))


def gradient(function: Any, theta: Array) -> Array:
    """Gradient of a function of real parameters, by complex steps: exact but for rounding."""
    steps = theta + 1j * STEP * np.eye(len(theta))
    return np.array([function(t).imag / STEP for t in steps])


def smoothness(mdp: TabularMDP, phi: Array, pi: Array, x0: Array) -> float:
    """Bound L on the norm of f's Hessian: visits times the largest squared norm of the features of a state."""
    norms = np.where(mdp.available, (phi**2).sum(axis=2), 0.0).max(axis=1)
    return float(x0 @ solve(mdp, pi, norms))


def _objective(mdp: TabularMDP, pi: Any, x0: Array, alpha: float) -> Any:
    """Objective J(theta, q) of A.2, for the posterior (19) of the policy."""
    return x0 @ penalised_value(mdp, e_step(mdp, pi, alpha), pi, alpha)


def _decrease(
    mdp: TabularMDP,
    phi: Array,
    theta: Array,
    x0: Array,
    alpha: float,
    step: float,
    perturb: float,
    power: int,
) -> Gap:
    pi = policy_of(mdp, phi, theta)
    q = e_step(mdp, pi, alpha)

    def f(t: Any) -> Any:
        return divergence_along(mdp, pi, q, policy_of(mdp, phi, t), x0)

    slope = gradient(f, theta)
    curvature = smoothness(mdp, phi, pi, x0)
    beta = step / (curvature if curvature > 0 else 1.0)
    moved = theta - (1 - 2 * perturb) * beta * slope
    guaranteed = beta * float(np.linalg.norm(slope)) ** power / 2
    error = float(f(moved) - f(theta)) + guaranteed + perturb
    return Gap(error, 16 * rounding(mdp, size_of(mdp, 1.0, pi, q, policy_of(mdp, phi, moved))))


def _optimum(mdp: TabularMDP, pi: Array, alpha: float) -> Any:
    """Values of the penalised optimum under the prior `pi`, by Newton's method until rounding stops it."""
    v, moved = penalised_value(mdp, pi, pi, alpha), np.inf
    while True:
        new = penalised_value(mdp, tilted(pi, action_value(mdp, v), alpha), pi, alpha)
        last, moved, v = moved, float(np.abs(new - v).max()), new
        if moved <= 1e-9 * (1 + float(np.abs(v).max())) and moved >= last / 2:
            return v


def _gradient_bound(mdp: TabularMDP, alpha: float, n: int, pair: tuple[Array, Array]) -> float:
    return 16 * n * rounding(mdp, size_of(mdp, alpha, *pair)) / (1 - mdp.gamma)


def _product_bound(mdp: TabularMDP, alpha: float, f: Array, j: Array, pair: tuple[Array, Array]) -> float:
    return _gradient_bound(mdp, alpha, len(f), pair) * float(np.linalg.norm(f) + np.linalg.norm(j))


def two_states() -> tuple[TabularMDP, Array]:
    """The counterexample to (21) and its features: in both states one action stays and the other moves over.

    Only the second state pays: 2 for staying, 1 for leaving. One logit, of staying, serves both states.
    """
    stay_or_go = np.eye(2)[[[0, 1], [1, 0]]]
    return TabularMDP(stay_or_go, np.array([[0.0, 0.0], [2.0, 1.0]]), 0.5), np.array([[[1.0], [0.0]]] * 2)


def counterexample() -> list[tuple[str, dict[str, Any]]]:
    """The named instance on which (21) fails: start in the first state, both actions equally likely."""
    mdp, phi = two_states()
    x0 = np.array([1.0, 0.0])
    return [("two states", {"mdp": mdp, "phi": phi, "theta": np.zeros(1), "x0": x0, "alpha": 1.0})]


def _features(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Features `[S, A, n]`: one per pair, or one or two that states share."""
    pairs = int(np.prod(mdp.shape))
    tabular = st.just(np.eye(pairs).reshape(*mdp.shape, pairs))
    shared = st.integers(1, 2).flatmap(
        lambda n: st.binary(min_size=pairs * n, max_size=pairs * n).map(
            lambda b: (np.frombuffer(b, np.uint8) % 3 - 1.0).reshape(*mdp.shape, n)
        )
    )
    return st.one_of(tabular, shared)


@st.composite
def _instances(draw: st.DrawFn, /, **parts: Any) -> dict[str, Any]:
    mdp = draw(mild(min_actions=2, max_actions=2, masked=False))
    phi = draw(_features(mdp))
    theta = np.array(draw(st.lists(st.integers(-2, 2), min_size=phi.shape[2], max_size=phi.shape[2]))) / 2.0
    x0 = np.eye(mdp.n_states)[draw(st.integers(0, mdp.n_states - 1))]
    drawn = draw(instances(mdp=st.just(mdp), **parts))
    return {"mdp": mdp, "phi": phi, "theta": theta, "x0": x0} | drawn


_WITH_ALPHA = _instances(alpha=MILD_ALPHAS)
_WITHOUT_START = _WITH_ALPHA.map(lambda x: {name: part for name, part in x.items() if name != "x0"})
_WITH_STEP = _instances(alpha=MILD_ALPHAS, step=st.sampled_from((1.0, 0.5, 0.125, 0.01))).filter(
    lambda x: bool(np.abs(x["phi"]).any())
)

CLAIMS = (
    Claim(
        id="mpo-21",
        title="improvement of J by E-step and gradient M-step",
        source="MPO, Prop. 3, Eq. (21)",
        statement=r"\text{For } \eta \text{ sufficiently small, we have } \mathcal J(\theta_{i+1},q_{i+1}) \ge"
        r" \mathcal J(\theta_i,q_i) + cg_i",
        reading=r"$\eta$ is the step size $\beta$ of the M-step, and c is positive.",
        check=Check(improvement_gap, _WITH_ALPHA, n_random=40, named=counterexample),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        steps=(
            Step(
                "step-1-e-step",
                r"E_{a\sim q_{i+1}}[Q^{\pi_{i+1}}(x,a)] - \alpha KL(q_{i+1}\|\pi_{i+1}) \ge"
                r" E_{a\sim q_i}[Q^{\pi_{i+1}}(x,a)] - \alpha KL(q_i\|\pi_{i+1})",
                Check(soft_optimal_gap, _WITHOUT_START, n_random=60),
            ),
        ),
        correction=Correction(
            statement=r"\frac{d}{d\beta}\mathcal J^*(\theta_{i+1})\Big|_{\beta=0} = \alpha\|\nabla_\theta f\|^2,\quad"
            r" \mathcal J^*(\theta) = \max_q V_\alpha^{\pi_\theta,q}(x_0),\quad"
            r" f(\theta) = E_{q^*}\Big[\sum_t\gamma^t KL(q^*\|\pi_\theta)\Big]",
            derivation=r"""The proof's step 3 writes $V_\alpha^{q,\pi} = (I-\gamma P^{\pi})^{-1}r_\alpha^{q,\pi}$; the value of
policy $q$ has $P^q$ there. And $q_{i+1}$ maximises a one-step value with $Q^{\pi_{i+1}}$, not $\mathcal J$, so that the
change of $q$ counts to first order. Counterexample: two states, in each an action that stays and one that moves
over; only the second state pays, 2 for staying and 1 for leaving; $\gamma = 1/2$, $\alpha = 1$, start in the first
state, one logit (of staying, in both states) at 0. There $\|\nabla f\|^2 = 0.0086$ and $d\mathcal J/d\beta = -0.0025$.
With a full E-step, $q^*$ the maximiser of $\mathcal J$ itself, and the KL weighted by the visits of $q^*$: $\theta$ enters
$\mathcal J(\theta, q^*) = E_{q^*}[\sum_t\gamma^t(r - \alpha KL(q^*\|\pi_\theta))]$ through $-\alpha f$ alone, and by the
envelope theorem $q^*$ may be held fixed: $\nabla\mathcal J^* = -\alpha\nabla f$, and the step is $-\beta\nabla f$.""",
            check=Check(full_step_gap, _WITH_ALPHA, n_random=60),
        ),
        not_certified=NoProof(A_LIMIT.reason, "corrected"),
    ),
    Claim(
        id="mpo-23",
        title="guaranteed decrease of a gradient step",
        source="MPO, proof of Prop. 3, Eq. (23)",
        statement=r"\text{for sufficiently small } \beta,\ f(\pi_i,q_i,\theta_{i+1}) \le f(\pi_i,q_i,\theta_i) - \beta g_i,"
        r"\quad g_i = \frac12\|\nabla_\theta f(\pi_i,q_i,\theta_i)\|",
        check=Check(decrease_gap, _WITH_STEP, n_random=100),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        correction=Correction(
            statement=r"f(\pi_i,q_i,\theta_{i+1}) \le f(\pi_i,q_i,\theta_i) - \frac\beta2\|\nabla_\theta f\|^2,\quad"
            r" 0 < \beta \le 1/L,\ L = E_{\pi_i}\Big[\sum_t\gamma^t\max_a\|\phi(x_t,a)\|^2\Big]",
            derivation=r"""A square is missing. $f$ is convex in the logits, so $f(\theta - \beta\nabla f) \ge f(\theta) -
\beta\|\nabla f\|^2$ for every $\beta$: where $0 < \|\nabla f\| < 1/2$ the printed inequality fails for all $\beta > 0$,
as it does near every minimum. The Hessian of $KL(q\|\pi_\theta)$ is the covariance of $\phi$ under $\pi_\theta$, at most
$\max_a\|\phi\|^2$ in norm; so $f(\theta - \beta\nabla f) \le f - \beta(1 - \beta L/2)\|\nabla f\|^2$. The same square is
missing from $g_i$ in (21).""",
            check=Check(decrease_squared_gap, _WITH_STEP, n_random=100),
        ),
    ),
)
