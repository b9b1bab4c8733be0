r"""Claims that the deep agent's soft Q-learning and RERPI's weights by rank are exact on enumerated actions.

`deep-sql-discrete`. Both sides: `TargetQ` (optimal) and the `Tilted` posterior with a uniform prior of `virel_deep.axes`, in
        float64; against six iterates of `virel_theory.variational.algorithms.sql`. The critic is the exact
        $q_k$. Compared are its expected TD errors with $q_{k+1} - q_k$, and the posterior's weights with
        $\pi_k$.
Bound:  the value as in `deep-sql`: with $Z = \max|q_k|/\alpha + \log A$ it is off by $b = 2 u \alpha (10 Z + A
        + 10)$, a TD error by $\gamma b + 2 u (S + 12)(\max|r| + \gamma\max|V| + 2\max|q|)$, with $|V|$ at most
        $\max|q| + \alpha\log A$. A weight as in `deep-mpo`: 2 u (4 Z + A + 8).

`deep-rerpi-rank`. Both sides: the `Enumerated` posterior with weights by rank and the `Learned` categorical
        prior, in float64; against six iterates of `rerpi` with weights by rank. Step k starts from the exact
        policy $\pi_{k-1}$ and $Q_k$, in which actions that the exact side takes to be tied have been given the
        value of the best of them: the deep side ties equal values alone. Compared are the weights with $q_k$,
        and the gradient of the M-step at $\log\pi_k$, with the multiplier of the bound as price, with zero.
Bound:  let N = A, p the policy, l the largest |log| of a probability or weight. The weight of a rank is a
        difference of sums of N terms of at most log(N + 1/2), by at least log(1 + 1/(2N)) > 1/(2N + 1): off by
        $c = 4 u (N + 4) N\log(N + \frac12)(2 N + 1)$ relative. A log weight is off by b = c + 2 u (4 l + N + 8).
        The gradient as in `deep-mpo-m-step`: $g = (1 + \lambda)(3 l' + b + u (2 A + B + 16 + 4 S A))$ with
        l' = u (4 l + A + 8) and B rows.
Teeth:  `perturb` makes the deep side's temperature a tenth larger; it turns the order of the actions round.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.bridge import (
    LEAST,
    N_STEPS,
    Counts,
    batch,
    counts,
    expected_td_error,
    float64,
    no_values,
    table_network,
    table_slope,
)
from verify.claims.deep.tools import tensor
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.rerpi import rerpi
from virel_theory.variational.algorithms.sql import sql
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.rank_weights import tie_tolerance


def sql_gap(*, mdp: TabularMDP, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep soft Q-learning on enumerated actions: its targets and policy minus the exact ones."""
    gaps: list[Gap] = []
    before: Iterate | None = None
    with float64():
        for step, _ in zip(sql(mdp, alpha=alpha), range(N_STEPS), strict=False):
            if before is not None:
                gaps += _soft_gaps(mdp, before, step.q, alpha, perturb)
            before = step
    return worst(*gaps)


def _soft_gaps(mdp: TabularMDP, step: Iterate, following: Array, alpha: float, perturb: float) -> list[Gap]:
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.tilted import Tilted  # noqa: PLC0415
    from virel_deep.axes.prior.constant import Uniform  # noqa: PLC0415

    n, a = step.q.shape
    deep_alpha = alpha * (1 + 0.1 * perturb)
    posterior, objective = Tilted(a, at_next=True), Objective(no_values, Uniform(), tensor([deep_alpha]))

    def infer(state: Any) -> Any:
        return posterior.infer_next(state, {}, objective)

    td_error = expected_td_error(mdp, step.q, infer, deep_alpha, evaluation="optimal")
    here = posterior.improve(infer(tensor(np.eye(n))), tensor(step.q), objective.alpha)
    size = float(np.abs(step.q).max())
    z, v = size / alpha + np.log(a), size + alpha * np.log(a)
    of_value = 2 * U * alpha * (10 * z + a + 10)
    of_sum = 2 * U * (n + 12) * (float(np.abs(mdp.reward).max()) + mdp.gamma * v + 2 * size)
    error = np.abs(here.log_weight[0].exp().numpy() - step.policy).max()
    return [
        Gap(float(np.abs(td_error - (following - step.q)).max()), mdp.gamma * of_value + of_sum),
        Gap(float(error), 2 * U * (4 * z + a + 8)),
    ]


def rank_gap(*, mdp: TabularMDP, n: Counts, trust: float, perturb: float = 0.0) -> Gap:
    """Gap of the deep weights by rank and their M-step: minus the exact weights; the slope, zero."""
    old, gaps = np.full(mdp.shape, 1 / mdp.n_actions), []
    steps = rerpi(mdp, weights="rank", trust=trust, d=n / n.sum())
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            if step.policy.min() < LEAST:
                break
            gaps += _rank_gaps(n, old, step, perturb)
            old = step.policy
    return worst(*gaps)


def _rank_gaps(n: Counts, old: Array, step: Iterate, perturb: float) -> list[Gap]:
    """Gaps of one step's weights and of the slope of its M-step."""
    from virel_deep.axes.interfaces import Objective  # noqa: PLC0415
    from virel_deep.axes.posterior.categorical import Enumerated  # noqa: PLC0415
    from virel_deep.axes.prior.categorical import Learned  # noqa: PLC0415
    from virel_deep.design.discrete import LearnedCategorical  # noqa: PLC0415

    moved, left = step.policy - old, step.posterior - step.policy
    price = max(float((moved * left).sum() / (moved**2).sum()), 0.0) if left.any() and moved.any() else 0.0
    bounded = {"trust": 1.0, "price": price} if price > 0 else {}
    prior = Learned(
        LearnedCategorical(**bounded), table_network(np.log(step.policy)), table_network(np.log(old))
    )
    posterior, objective = Enumerated(prior, weights="rank"), Objective(no_values, prior, tensor([0.0]))
    state, rows = batch(n)
    q = tied(step.q, tie_tolerance(step.q)) * (1 - 2 * perturb)
    found = posterior.infer(state, {}, objective)
    found = posterior.improve(found, tensor(q[rows]), objective.alpha)
    slope = table_slope(prior.loss(state, found).loss, prior.networks["policy"])

    states, a = old.shape
    size = float(max(np.abs(np.log(x)).max() for x in (old, step.policy, step.posterior)))
    of_rank = 4 * U * (a + 4) * a * np.log(a + 0.5) * (2 * a + 1)
    of_weight, of_log = of_rank + 2 * U * (4 * size + a + 8), U * (4 * size + a + 8)
    of_slope = (1 + price) * (3 * of_log + of_weight + U * (2 * a + int(n.sum()) + 16 + 4 * states * a))
    error = np.abs(found.log_weight[0].exp().numpy() - step.posterior[rows]).max()
    return [Gap(float(error), of_weight), Gap(float(np.abs(slope).max()), of_slope)]


def tied(q: Array, tol: float) -> Array:
    """Values `[S, A]` in which actions at most `tol` below the one before them, by value, have its value.

    Example:
        >>> tied(np.array([[1.0, 3.0, 1.1]]), 0.2).tolist()
        [[1.1, 3.0, 1.1]]
    """
    out = q.copy()
    for row, values in zip(out, q, strict=True):
        best_first = np.argsort(-values, kind="stable")
        for before, action in pairwise(best_first):
            if values[before] - values[action] <= tol:
                row[action] = row[before]
    return out


CLAIMS = (
    Claim(
        id="deep-sql-discrete",
        title="The deep agent's soft Q-learning on enumerated actions is soft value iteration",
        source="virel_deep Tilted, TargetQ: Haarnoja et al. 2017, Thm 3, Eq. (10)",
        statement=r"E_{s'}[y] - q_k(s, a) = r + \gamma E_{s'}\Big[\alpha\log\sum_{a'}e^{q_k(s', a')/\alpha}\Big] - q_k = q_{k+1} - q_k;"
        r"\qquad w_a = \frac{e^{q_k(s, a)/\alpha}}{\sum_b e^{q_k(s, b)/\alpha}} = \pi_k(a|s)",
        check=Check(sql_gap, instances(mdp=mdps(), alpha=temperatures()), n_random=30),
        expected=Verdict.HOLDS,
        deep=True,
    ),
    Claim(
        id="deep-rerpi-rank",
        title="The deep agent's weights by rank on enumerated actions are RERPI's, and its M-step rests there",
        source="virel_deep rank_weights, Enumerated, categorical Learned: RERPI, Section 4.1",
        statement=r"w_a = \frac{\pi_{k-1}(a|s)\ln((A + \frac12)/i_a)}{\sum_b\pi_{k-1}(b|s)\ln((A + \frac12)/i_b)} = q_k(a|s);"
        r"\qquad \nabla_\theta\Big[-E_d\sum_a w_a\log\pi_\theta + \lambda E_d KL(\pi_{k-1}\|\pi_\theta)\Big] = 0 \text{ at } \pi_k",
        check=Check(
            rank_gap,
            instances(mdp=mdps(), n=counts, trust=st.sampled_from((0.001, 0.01, 0.1, 1.0, 10.0))),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
