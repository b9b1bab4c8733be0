r"""Claim that the deep agent's particle planner has the exact law of its algorithm: N = 2 particles, h = 2 steps.

All draws are enumerated: the actions and successors of both particles in both steps, and in between the
ancestors. Systematic resampling has one uniform number u; of two particles with shares w and 1 - w of the
weight the heavier one is an ancestor twice if u lies in an interval of length |2 w - 1|, else both are ancestors.
Each outcome is one plan of a batch, with the middle of its interval for u, and counts with its probability.

Both sides: `plan` of `virel_deep.axes.posterior.smc_weights` in float64, through a table as model, guided by a table
        of values and a table of probabilities; against `particle_law`, which knows nothing of u. Shares, intervals
        and probabilities of the outcomes come from `log_increment` of `virel_theory`. Compared is the expected
        estimate of the first action, resampled always or never, and the sum of all probabilities with 1.
Bound:  a log weight is a sum of h increments, each off by 8 u Z, $Z = (|r| + 2 |v|)/\alpha + |\log(p/q)|$, on either
        side; an estimate is a share, off by as much as the difference of log weights: 64 u Z. Probabilities of T
        outcomes are products of 9 numbers: (T + 16) u. Intervals shorter than $10^{-12}$ are left out, as u must be
        farther from their ends than a share is off; their probabilities add up to less than that.
Teeth:  `perturb` makes the deep side's temperature a tenth larger.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.claims.deep.bridge import float64
from verify.claims.deep.models.table import TableWorld, one_hot
from verify.claims.deep.tools import Tensor, tensor
from verify.claims.instances import fractions
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.particle_law import particle_law
from virel_theory.variational.parts.particles import log_increment
from virel_theory.variational.parts.plans import Plan

ALWAYS = 2.0
SHORTEST = 1e-12
"""Length of the shortest interval of a uniform number that is looked at."""


class Outcomes(NamedTuple):
    """All outcomes of plans from state 0, a row each."""

    action: NDArray[np.intp]
    """Actions `[T, h, N]`."""
    ahead: NDArray[np.intp]
    """Successors `[T, h, N]`."""
    uniform: Array
    """Number that resampling uses, `[T]`."""
    probability: Array
    """`[T]`."""


class TableGuide:
    """Guide of particles whose actions are what their noise says, and whose values are a table."""

    def __init__(self, v: Array, proposal: Array, prior: Array) -> None:
        """Store values and log ratios."""
        self._v, self._ratio = tensor(v)[0], tensor(np.log(proposal) - np.log(prior))[0]

    def look(self, state: Tensor) -> Tensor:
        """The one-hot state itself."""
        return state

    def propose(self, state: Tensor, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The action that the noise says, one-hot, and its log ratio."""
        action = one_hot(noise[..., 0], self._ratio.shape[1])
        return action, (state @ self._ratio * action).sum(-1)

    def value(self, state: Tensor, seen: Tensor) -> Tensor:  # noqa: ARG002
        """Value of the state in the table."""
        return state @ self._v


def gap(
    *, mdp: TabularMDP, v: Array, prior: Array, proposal: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    """Gap of the deep planner's first action, resampled always or never: minus the exact law."""
    of, gaps = Plan(mdp, v, prior, alpha, 2, proposal=proposal), []
    ratio = np.abs(np.log(prior) - np.log(proposal)).max()
    size = float((np.abs(mdp.reward).max() + 2 * np.abs(v).max()) / alpha + ratio)
    for threshold in (ALWAYS, 0.0):
        rows = outcomes(of, resampled=threshold == ALWAYS)
        found = rows.probability @ _first_actions(of, rows, threshold, alpha * (1 + 0.1 * perturb))
        law = particle_law(of, state=0, particles=2, threshold=threshold, resampling="systematic")
        bound = U * (64 * size + len(rows.uniform) + 16) + SHORTEST
        gaps.append(Gap(float(np.abs(found - law.policy).max()), bound))
        gaps.append(Gap(abs(float(rows.probability.sum()) - 1), bound))
    return worst(*gaps)


def outcomes(of: Plan, *, resampled: bool) -> Outcomes:
    """List the outcomes of two particles in two steps, with their probabilities."""
    chance = of.proposal[:, :, None] * of.mdp.dense_transition
    moves = [
        [(a, t, chance[s, a, t]) for a, t in product(*map(range, chance[s].shape)) if chance[s, a, t] > 0]
        for s in range(of.mdp.n_states)
    ]
    rows: list[tuple[Any, ...]] = []
    for one in product(moves[0], repeat=2):
        a, t = (np.array([move[i] for move in one]) for i in (0, 1))
        weight = np.exp(log_increment(of, 0, np.zeros(2, np.int64), a, t.astype(np.int64)))
        share = float(weight[0] / weight.sum())
        for p_u, u, kept in _ancestors(share) if resampled else [(1.0, 0.5, (0, 1))]:
            for two in product(*(moves[t[n]] for n in kept)):
                p = p_u * np.prod([move[2] for move in (*one, *two)])
                action, ahead = (
                    np.array([[move[i] for move in step] for step in (one, two)]) for i in (0, 1)
                )
                rows.append((action, ahead, u, p))
    return Outcomes(*(np.array(column) for column in zip(*rows, strict=True)))


def _ancestors(share: float) -> list[tuple[float, float, tuple[int, int]]]:
    """Probability, middle of the interval and ancestors of both cases, for the first particle's share."""
    if share >= 0.5:
        edge = 2 * share - 1
        cases = [(edge, edge / 2, (0, 0)), (1 - edge, (1 + edge) / 2, (0, 1))]
    else:
        edge = 2 * share
        cases = [(edge, edge / 2, (0, 1)), (1 - edge, (1 + edge) / 2, (1, 1))]
    return [case for case in cases if case[0] > SHORTEST]


def _first_actions(of: Plan, rows: Outcomes, threshold: float, alpha: float) -> Array:
    """Estimates `[T, A]` of the first action by the deep planner, with the draws of each outcome."""
    from virel_deep.axes.posterior.smc_weights import Numbers, plan  # noqa: PLC0415

    n, (h, size) = len(rows.uniform), rows.action.shape[1:]
    none = np.zeros((n, h, size))
    world: Any = TableWorld(of.mdp)
    numbers = Numbers(
        tensor(none[:, 0]),
        tensor(rows.action[..., None].astype(float)),
        tensor(rows.ahead[..., None].astype(float)),
        tensor(none),
        tensor(rows.uniform[:, None]),
        tensor(none[:, 0, 0]),
    )
    start = tensor(np.eye(of.mdp.n_states)[np.zeros(n, np.intp)])
    guide = TableGuide(of.v, of.proposal, of.prior)
    settings = {"alpha": tensor([alpha]), "gamma": of.mdp.gamma, "threshold": threshold}
    with float64():
        found = plan(world, guide, start, numbers, **settings)
    out: Array = (found.log_weight[0].exp()[..., None] * found.first[0]).sum(-2).numpy()
    return out


CLAIMS = (
    Claim(
        id="deep-smcp",
        title="The deep agent's particle planner has the exact law of two particles",
        source="virel_deep smc_weights.plan: after Piche et al. 2019",
        statement=r"N = h = 2,\ \text{all draws of actions, successors and ancestors}:\quad"
        r" E\Big[\sum_n \bar w_n 1[a_0^n = a]\Big] = \text{the law of weighted particles, resampled systematically}",
        check=Check(
            gap,
            instances(
                mdp=mdps(max_states=2, max_actions=2),
                v=lambda mdp: fractions(mdp.n_states, 12, over=4),
                prior=policies,
                proposal=policies,
                alpha=st.sampled_from((1.0, 0.5, 2.0, 4.0)),
            ),
            n_random=15,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
