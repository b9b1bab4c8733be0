r"""Claims on MPO, A.1 and Prop. 3: values with a KL penalty, their optimum, the E-step, EM with a full M-step.

Both sides: the library's `regularised_value`, `posterior_policy`, `soft_maximum` and the iterates of `mpo`
        against linear systems and sums written out in `tools`.
Bound:  rounding of two linear solves, `tools.rounding`, times 8; B is 1 + max|r| + alpha (1 + the largest
        |log p| of both policies). For (16) Newton's iterates stop at a distance e from each other, and the
        value at the last policy is within 2e/(1 - gamma) of the optimum: that is added.
Teeth:  `perturb` turns the sign of the penalty; of the advantage in the posterior; adds one to a value.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.claims.mpo import overview_figure
from verify.claims.mpo.tools import (
    MILD_ALPHAS,
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
from verify.engine.claim import A_LIMIT, Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables, temperatures
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.mpo import mpo
from virel_theory.variational.core.e_step import (
    expected_kl,
    one_step_objective,
    posterior_policy,
    soft_maximum,
)
from virel_theory.variational.core.regularised import regularised_value


def below_plain_gap(
    *, mdp: TabularMDP, q: Array, pi: Array, prior: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    r"""Gap of MPO's Prop. 1: $V_\alpha^{\pi,q} - V^q$ and $T_\alpha^{\pi,q}V - T^qV$, at most 0.

    Here `pi` is MPO's q, `prior` its $\pi$, and V the maximum of the table `q`.
    """
    v, bound = np.where(mdp.available, q, -np.inf).max(axis=1), rounding(mdp, _size(mdp, q, alpha, pi, prior))
    penalised = regularised_value(mdp, pi=pi, prior=prior, alpha=alpha)
    plain = plain_value(mdp, pi)
    table = np.where(mdp.available, action_value(mdp, v), -np.inf)
    backed = one_step_objective(table, pi=pi, prior=prior, alpha=alpha)
    mean = (pi * np.where(mdp.available, table, 0.0)).sum(axis=1)
    turn = 1 - 2 * perturb
    return worst(
        Gap((turn * (penalised - plain)).max(), bound),
        Gap((turn * (backed - mean)).max(), bound),
        Gap(np.abs(plain - penalised - alpha * solve(mdp, pi, divergence(pi, prior))).max(), bound),
    )


def every_action_gap(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (16): $r - \alpha\log(q^*/\pi) + \gamma E[V^*] - V^*$ at every action, zero; V* is largest.

    Here `prior` is MPO's $\pi$, and `pi` another policy q, whose value is not larger.
    """
    v, moved = _penalised_optimum(mdp, prior, alpha)
    best = posterior_policy(_masked(mdp, action_value(mdp, v)), prior=prior, alpha=alpha)
    found = regularised_value(mdp, pi=best, prior=prior, alpha=alpha)
    log_ratio = np.log(np.where(mdp.available, best, 1)) - np.log(np.where(mdp.available, prior, 1))
    each = action_value(mdp, found) - (1 + perturb) * alpha * log_ratio - found[:, None]
    bound = 8 * rounding(mdp, size_of(mdp, alpha, best, prior)) + 4 * moved / (1 - mdp.gamma)
    other = penalised_value(mdp, pi, prior, alpha)
    above = Gap((other - found).max(), bound + rounding(mdp, size_of(mdp, alpha, pi, prior)))
    return worst(Gap(np.abs(each[mdp.available]).max(), bound), above)


def e_step_gap(*, mdp: TabularMDP, pi: Array, other: Array, alpha: float, perturb: float = 0.0) -> Gap:
    r"""Gap of MPO (19), (20): the posterior attains the largest one-step value; $V^\pi - V_\alpha^{\pi,q}$, <= 0.

    `other` is a further policy, whose one-step value is not larger.
    """
    v = plain_value(mdp, pi)
    values = (1 - 2 * perturb) * action_value(mdp, v)
    best = posterior_policy(_masked(mdp, values), prior=pi, alpha=alpha)
    table = action_value(mdp, v)
    attained = (best * table).sum(axis=1) - alpha * divergence(best, pi)
    highest = soft_maximum(_masked(mdp, table), prior=pi, alpha=alpha)
    beaten = (other * table).sum(axis=1) - alpha * divergence(other, pi)
    bound = 8 * rounding(mdp, size_of(mdp, alpha, best, pi) + size_of(mdp, alpha, other, pi))
    return worst(
        Gap(np.abs(attained - highest).max(), bound),
        Gap((beaten - attained).max(), bound),
        Gap((v - regularised_value(mdp, pi=best, prior=pi, alpha=alpha)).max(), bound),
    )


def em_gap(*, mdp: TabularMDP, pi: Array, alpha: float, perturb: float = 0.0) -> Gap:
    r"""Gap of EM with a full M-step: $V^{\pi_i} \le V_\alpha^{\pi_i,q_i} \le V^{q_i} = V^{\pi_{i+1}}$, and by how much.

    The first difference is at least $\alpha\log(1 + \phi Var_\pi(Q)/\alpha^2)$, phi = (e^-R - 1 + R)/R^2 with
    R = (E Q - min Q)/alpha; the sum of both is at most the largest spread of Q^pi over (1 - gamma).
    """
    x = next(mpo(mdp, eta=alpha, prior=pi))
    old, new = plain_value(mdp, pi), plain_value(mdp, x.policy)
    middle = penalised_value(mdp, x.posterior, pi, alpha)
    q = action_value(mdp, old)
    mean = (pi * q).sum(axis=1)
    variance = (pi * (q - mean[:, None]) ** 2).sum(axis=1)
    reach = (mean - np.where(mdp.available, q, np.inf).min(axis=1)) / alpha
    rise = alpha * np.log1p(_phi(reach) * variance / alpha**2)
    spread = np.where(mdp.available, q, -np.inf).max(axis=1) + reach * alpha - mean
    bound = 8 * rounding(mdp, size_of(mdp, alpha, x.posterior, pi))
    policy = tilted(pi, q, alpha)
    return worst(
        Gap(np.abs(x.policy - policy).max(), bound * max(1.0, 1 / alpha)),
        Gap((old + rise - middle + 10 * perturb * (1 + spread)).max(), bound),
        Gap((middle - new).max(), bound),
        Gap((new - old).max() - spread.max() / (1 - mdp.gamma), bound),
    )


def support_gap(*, mdp: TabularMDP, pi: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    r"""Gap of MPO, A.1's support condition: $E_q[\sum_t\gamma^t(r - \alpha\log(q/\pi))]$ is a number, within bounds.

    Here `pi` is MPO's q and `prior` its $\pi$. The value is infinite, and the gap too, where it is not defined.
    """
    lost = (pi > 0) & (prior == 0)
    kl = expected_kl(pi, prior, d=np.full(mdp.n_states, 1 / mdp.n_states))
    if lost.any() or not np.isfinite(kl):
        return Gap(np.inf, 0.0)
    v = regularised_value(mdp, pi=pi, prior=prior, alpha=alpha)
    back = (pi * action_value(mdp, v)).sum(axis=1) - alpha * divergence(pi, prior)
    return Gap(np.abs(v - back).max() + perturb, 2 * rounding(mdp, size_of(mdp, alpha, pi, prior)))


def _penalised_optimum(mdp: TabularMDP, prior: Array, alpha: float) -> tuple[Array, float]:
    r"""Values close to $V_\alpha^{\pi,*}$ by Newton's method on posteriors, and the size of the last step.

    From the second step on the values rise to the optimum, at last quadratically, until rounding stops them.
    """
    v, moved = penalised_value(mdp, prior, prior, alpha), np.inf
    while True:
        pi = tilted(prior, action_value(mdp, v), alpha)
        new = penalised_value(mdp, pi, prior, alpha)
        last, moved, v = moved, float(np.abs(new - v).max()), new
        if moved <= 1e-9 * (1 + float(np.abs(v).max())) and moved >= last / 2:
            return v, moved


def _phi(reach: Array) -> Array:
    """Factor (e^-R - 1 + R)/R^2, which is at least 1/2 - R/6 and decreasing, from 1/2 at R = 0."""
    small = reach < 1e-3
    r = np.where(small, 1.0, reach)
    return np.where(small, 0.5 - reach / 6, (np.exp(-r) - 1 + r) / r**2)


def _masked(mdp: TabularMDP, table: Array) -> Array:
    return np.where(mdp.available, table, -np.inf)


def _size(mdp: TabularMDP, q: Array, alpha: float, *policies_: Array) -> float:
    return size_of(mdp, alpha, *policies_) + float(np.abs(q[mdp.available]).max())


def _same_support(draw_both: dict[str, Array]) -> bool:
    return bool(((draw_both["pi"] > 0) == (draw_both["prior"] > 0)).all())


def _partial(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    return policies(mdp, full_support=False)


_PAIRS = instances(mdp=mdps(max_states=3, masked=True), pi=_partial, prior=_partial, alpha=temperatures())
_PRIOR_COVERS = _PAIRS.filter(lambda x: not ((x["pi"] > 0) & (x["prior"] == 0)).any())
_FULL = instances(
    mdp=choices(max_states=3, masked=True), q=q_tables, pi=policies, prior=policies, alpha=temperatures()
)
_SUPPORT = instances(
    mdp=mdps(max_states=2, max_actions=2, masked=True), pi=_partial, prior=_partial, alpha=temperatures()
).filter(_same_support)

CLAIMS = (
    Claim(
        id="mpo-prop-1",
        title="values with a KL penalty lie below the plain ones",
        source="MPO, Prop. 1",
        statement=r"\text{For any } q, \pi, V:\quad V_\alpha^{\pi,q} \le V^q \text{ and } T_\alpha^{\pi,q}V \le T^qV",
        check=Check(below_plain_gap, _FULL),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="mpo-16",
        title="Bellman equation of the penalised optimum, at every action",
        source="MPO, Eq. (16)",
        statement=r"V_\alpha^{\pi,*}(x) = r_\alpha^{\pi,q_\alpha^{\pi,*}}(x,a) + \gamma E_{y\sim p(\cdot|x,a)}"
        r"[V_\alpha^{\pi,*}(y)] \text{ for all } a \in A",
        check=Check(every_action_gap, instances(mdp=mild(), pi=policies, prior=policies, alpha=MILD_ALPHAS)),
        expected=Verdict.HOLDS,
        not_certified=A_LIMIT,
    ),
    Claim(
        id="mpo-19-20",
        title="the E-step and its improvement",
        source="MPO, Prop. 3, Eqs. (19), (20)",
        statement=r"q_i(a|x) = \frac{\pi_i(a|x)e^{\frac1\alpha Q^{\pi_i}(x,a)}}{E_{b\sim\pi_i(\cdot|x)}"
        r"[e^{\frac1\alpha Q^{\pi_i}(x,b)}]},\qquad V_\alpha^{\pi_i,q_i} \ge V^{\pi_i}",
        check=Check(e_step_gap, instances(mdp=mild(), pi=policies, other=policies, alpha=MILD_ALPHAS)),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="mpo-em",
        title="EM with a copied policy improves, strictly unless Q is constant on the support",
        source="ours, from MPO, Props. 1 and 3",
        statement=r"V^{\pi_{i+1}} = V^{q_i} \ge V_\alpha^{\pi_i,q_i} \ge V^{\pi_i};\quad \text{equality iff"
        r" } Q^{\pi_i}(x,\cdot) \text{ is constant on the support of } \pi_i(\cdot|x) \text{ for all } x",
        check=Check(em_gap, instances(mdp=mild(), pi=policies, alpha=MILD_ALPHAS)),
        expected=Verdict.HOLDS,
        figures=overview_figure.figures,
        printed=False,
    ),
    Claim(
        id="mpo-a1",
        title="support of the policies, and values that are numbers",
        source="MPO, A.1",
        statement=r"\text{for all } x,a,\ \{\pi(a|x) > 0\} \Leftrightarrow \{q(a|x) > 0\}",
        reading=r"So that $V_\alpha^{\pi,q}$ is finite.",
        check=Check(support_gap, _SUPPORT),
        expected=Verdict.HOLDS,
        not_certified=NoProof("finiteness: an infinite value is no number of a formula"),
        assumptions=(
            Assumption(
                "q takes no action that pi excludes",
                r"$\{q(a|x) > 0\} \Rightarrow \{\pi(a|x) > 0\}$",
                without=Check(support_gap, _PAIRS),
            ),
            Assumption(
                "q takes every action that pi takes (not needed)",
                r"$\{\pi(a|x) > 0\} \Rightarrow \{q(a|x) > 0\}$",
                without=Check(support_gap, _PRIOR_COVERS),
            ),
        ),
    ),
)
