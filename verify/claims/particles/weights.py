r"""When the weights of particles stay equal: the best proposal, the best guide, and nothing left to chance.

Ours (see `evidence`). Undiscounted, with the guide V that solves $V(s) = \alpha\log\sum_a p\exp((r + \alpha\log
E_P[e^{V(s')/\alpha}])/\alpha)$ (the logarithm of the backward message) and the proposal $q \propto p\exp((r +
\alpha\log E_P[e^{V/\alpha}])/\alpha)$ (the posterior), the factor of a weight is

$$\exp\frac{r + V(s') - V(s)}\alpha\,\frac{p(a|s)}{q(a|s)} = \frac{e^{V(s')/\alpha}}{E_P[e^{V(s')/\alpha}]}.$$

Its mean is 1, its variance the relative one of $e^{V(s')/\alpha}$: 0 if each pair has one successor, or V is
the same at all its successors. An instance draws V and a table x, and takes $r = x + V(s) - \alpha\log\sum_a p
e^{x/\alpha} - \alpha\log E_P[e^{V/\alpha}]$, for which V solves the equation and $q \propto p\,e^{x/\alpha}$.

Both sides: `log_increment` at every (s, a, s') against the right side.
Bound:  rounding. Sums of logarithms up to B = 8 + (2 max|x| + 4 max|V|)/alpha: 64 (A + S + 8) u (1 + B).
Teeth:  `perturb` takes the prior as proposal (a constant is added if it is the posterior already).
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.instances import choices
from verify.claims.particles.tools import log, state_values, warm, without_chance
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.particles import log_increment
from virel_theory.variational.parts.plans import Plan


def constant_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    x: Array,
    prior: Array,
    alpha: float,
    deterministic: bool = True,
    own_prior: bool = False,
    discount: float = 1.0,
    shift: float = 0.0,
    perturb: float = 0.0,
) -> Gap:
    """Gap of constant weights: the largest logarithm of a factor in steps 0 and 1, zero.

    `own_prior` takes the prior as proposal, `shift` changes the guide V in state 0 by that much.
    """
    used = without_chance(mdp) if deterministic else mdp
    problem, proposal = solved(used, v, x, prior, alpha)
    guide = v + shift * (np.arange(len(v)) == 0)
    plan = Plan(problem, guide, prior, alpha, 2, proposal=prior if own_prior else proposal, discount=discount)
    found = [np.abs(increments(plan, t)).max() for t in range(2)]
    return Gap(max(found) + perturb, _bound(used, v, x, alpha))


def variance_gap(
    *, mdp: TabularMDP, v: Array, x: Array, prior: Array, alpha: float, perturb: float = 0.0
) -> Gap:
    """Gap of a weight's factor: its logarithm minus `V(s')/alpha - log E[exp(V/alpha)]`; mean and variance.

    Mean 1, and the variance of `exp(V(s')/alpha)` over its squared mean, in every pair.
    """
    problem, proposal = solved(mdp, v, x, prior, alpha)
    plan = Plan(problem, v, prior, alpha, 2, proposal=proposal, discount=1.0)
    dense, w = mdp.dense_transition, np.exp(increments(plan, 1))
    factor = np.where(dense > 0, np.exp(v / alpha) * (1 + perturb * (np.arange(len(v)) == 0)), 0.0)
    mean = (dense * factor).sum(axis=2)[mdp.available]
    second = (dense * factor**2).sum(axis=2)[mdp.available]
    own = (dense * w).sum(axis=2)[mdp.available]
    spread = (dense * w**2).sum(axis=2)[mdp.available] - own**2
    bound = _bound(mdp, v, x, alpha)
    grown = second / mean**2
    return worst(
        Gap(np.abs(own * (1 + perturb) - 1).max(), bound),
        Gap((np.abs(spread - (grown - 1)) / grown).max(), 4 * bound),
    )


def solved(mdp: TabularMDP, v: Array, x: Array, prior: Array, alpha: float) -> tuple[TabularMDP, Array]:
    """The MDP with rewards for which `v` is the log-message, and the posterior proposal."""
    scores = log(prior) + np.where(mdp.available, x, 0.0) / alpha
    normaliser = logsumexp(scores, axis=1, keepdims=True)
    lucky = alpha * np.log(np.where(mdp.available, mdp.dense_transition @ np.exp(v / alpha), 1.0))
    reward = np.where(mdp.available, x, 0.0) + v[:, None] - alpha * normaliser - lucky
    problem = TabularMDP(mdp.transition, reward, mdp.gamma, mdp.initial, mdp.mask)
    return problem, np.exp(scores - normaliser)


def increments(plan: Plan, t: int) -> Array:
    """Log-factors of step t at every `(s, a, s')` that is possible, `[S, A, S]`; 0 elsewhere."""
    possible = plan.mdp.dense_transition * plan.proposal[:, :, None] > 0
    out = np.zeros(possible.shape)
    s, a, ahead = np.nonzero(possible)
    out[possible] = log_increment(plan, t, s, a, ahead)
    return out


def _bound(mdp: TabularMDP, v: Array, x: Array, alpha: float) -> float:
    b = 8 + (2 * np.abs(x[mdp.available]).max() + 4 * np.abs(v).max()) / alpha
    return float(64 * (mdp.n_actions + mdp.n_states + 8) * U * (1 + b))


_MDPS, _CHOICES = mdps(max_states=3, max_actions=3, masked=True), choices(max_states=3, masked=True)
_PARTS: dict[str, Any] = {"v": state_values, "x": q_tables, "prior": policies, "alpha": warm()}


def _without(**change: object) -> Check:
    drawn: dict[str, Any] = {name: st.just(value) for name, value in change.items()}
    return Check(constant_gap, instances(mdp=_MDPS, **_PARTS, **drawn))


CLAIMS = (
    Claim(
        id="smc-weights",
        title="the weights of particles stay equal under the best proposal and guide, without chance",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"\exp\frac{r + V(s') - V(s)}\alpha\,\frac{p(a|s)}{q(a|s)} = 1",
        check=Check(constant_gap, instances(mdp=_CHOICES, **_PARTS)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "deterministic dynamics",
                "every pair has one successor",
                without=_without(deterministic=False),
            ),
            Assumption("posterior proposal", r"$q = p(a|s,O)$", without=_without(own_prior=True)),
            Assumption(
                "message guide", r"$V = \alpha\log$ of the backward message", without=_without(shift=1.0)
            ),
            Assumption(
                "no discount",
                r"$\gamma = 1$: with a discount, from the second step on, the best proposal is hotter",
                without=_without(discount=0.5),
            ),
        ),
        printed=False,
    ),
    Claim(
        id="smc-weights-variance",
        title="with chance, the weights under the best proposal vary as the exponential of the next value",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"E_P[w] = 1,\quad Var_P(w) = \frac{Var_P(e^{V(s')/\alpha})}{E_P[e^{V(s')/\alpha}]^2}",
        check=Check(variance_gap, instances(mdp=_CHOICES, **_PARTS)),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof("the factor is an exponential over its mean: mean and variance by definition"),
    ),
)
