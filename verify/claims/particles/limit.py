r"""What particles converge to: the MERL policy if nothing is left to chance, else a policy that seeks luck.

Ours (see `evidence`). The posterior of a plan has $Q_t = r + \alpha\log E_P[e^{V_{t+1}/\alpha}]$ (undiscounted),
maximum-entropy RL has $Q_t = r + E_P[V_{t+1}]$; both have $V_t = \alpha\log\sum_a p\,e^{Q_t/\alpha}$. Where every
pair has one successor the means agree. Else, by Jensen's inequality and monotonicity of the recursion, the plan's
values are the larger ones: luck counts as if it could be chosen. With a discount, $\tilde V_t = V_t/\gamma^t$
obeys $\tilde V_t = \alpha_t\log\sum_a p\exp((r + \gamma\tilde V_{t+1})/\alpha_t)$ at $\alpha_t = \alpha/\gamma^t$:
the soft values of a temperature that rises with every step.

Both sides: `plan_posterior` and `plan_values` against the soft recursion in `tools`; without final values and
        discount against `pseudo_posterior_policy` too.
Bound:  rounding. h = 3 steps, logarithms up to B = `tools.size` gamma^-3-fold (gamma >= 1/2):
        64 (A + S + 16) u (1 + 8 B), relative for probabilities.
Teeth:  `perturb` doubles the temperature of the recursion; subtracts 1 from the plan's values; swaps the arms.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.claims.particles.figures import SAFE, lottery, risk_figures
from verify.claims.particles.tools import size, soft_recursion, state_values, warm, without_chance
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.methods.pseudo_likelihood import pseudo_posterior_policy
from virel_theory.variational.parts.plans import Plan, plan_posterior, plan_values

HORIZON = 3


def limit_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    prior: Array,
    alpha: float,
    deterministic: bool = True,
    discount: float = 1.0,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the posterior of a plan: minus the MERL policy of every step, zero."""
    used = without_chance(mdp) if deterministic else mdp
    found = plan_posterior(Plan(used, v, prior, alpha, HORIZON, discount=discount))
    merl = soft_recursion(used, v, prior, temperatures=[alpha * (1 + perturb)] * HORIZON, discount=discount)
    return Gap(np.abs(found - np.array(merl)).max(), _bound(used, v, alpha))


def hotter_gap(
    *, mdp: TabularMDP, v: Array, prior: Array, alpha: float, discount: float, perturb: float = 0.0
) -> Gap:
    """Gap of a discounted plan without chance: minus the MERL policy at the temperatures alpha/gamma^t, zero."""
    used = without_chance(mdp)
    found = plan_posterior(Plan(used, v, prior, alpha, HORIZON, discount=discount))
    hot = [alpha * (1 + perturb) / discount**t for t in range(HORIZON)]
    merl = soft_recursion(used, v, prior, temperatures=hot, discount=discount)
    return Gap(np.abs(found - np.array(merl)).max(), _bound(used, v, alpha))


def luck_gap(*, mdp: TabularMDP, v: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the taste for luck: soft values minus those of the plan, at most 0; and the lottery, by both.

    Without final values the posterior is also that of `pseudo_posterior_policy`.
    """
    plan_q, _ = plan_values(Plan(mdp, v, prior, alpha, 1, discount=1.0))
    soft = np.where(mdp.available, mdp.reward + mdp.expect_next(v), 0.0)
    excess = np.where(mdp.available, soft - plan_q[0] + perturb, 0.0)
    bare = Plan(mdp, np.zeros(mdp.n_states), prior, alpha, HORIZON, discount=1.0)
    episodes = pseudo_posterior_policy(mdp, prior=prior, c=alpha, horizon=HORIZON)
    return worst(
        Gap(excess.max(), alpha * _bound(mdp, v, alpha)),
        Gap(np.abs(plan_posterior(bare) - episodes).max(), _bound(mdp, v, alpha)),
        _lottery_gap(perturb),
    )


def _lottery_gap(perturb: float) -> Gap:
    """Gap of the lottery (3 or -1, mean 1) against a sure 1.2 at alpha = 1: 1/2 minus both chances, below 0.

    The plan's posterior takes the lottery, the MERL policy the sure reward, each more often than not.
    """
    mdp, half = lottery(), np.full((4, 2), 0.5)
    plan = plan_posterior(Plan(mdp, np.zeros(4), half, 1.0, 2, discount=1.0))[0, 0, 1]
    merl = soft_recursion(mdp, np.zeros(4), half, temperatures=[1.0, 1.0], discount=1.0)[0][0, 0]
    return Gap(max(0.5 - plan, 0.5 - merl) + perturb, -64 * U)


def _bound(mdp: TabularMDP, v: Array, alpha: float) -> float:
    return float(64 * (mdp.n_actions + mdp.n_states + 16) * U * (1 + 8 * size(mdp, v, alpha)))


_MDPS, _CHOICES = mdps(max_states=3, max_actions=3, masked=True), choices(max_states=3, masked=True)
_PLANS: dict[str, Any] = {"v": state_values, "prior": policies, "alpha": warm()}

CLAIMS = (
    Claim(
        id="smc-limit",
        title="without chance and discount, the limit of particle planning is the MERL policy",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"p(a_t|s_t,O) = \frac{p(a_t|s_t)e^{Q_t/\alpha}}{\sum_a p\,e^{Q_t/\alpha}},\quad "
        r"Q_t = r + E_P[V_{t+1}],\quad V_t = \alpha\log\sum_a p\,e^{Q_t/\alpha}",
        check=Check(limit_gap, instances(mdp=_CHOICES, **_PLANS)),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "deterministic dynamics",
                r"every pair has one successor",
                without=Check(limit_gap, instances(mdp=_MDPS, **_PLANS, deterministic=st.just(value=False))),
            ),
            Assumption(
                "no discount",
                r"$\gamma = 1$ inside the plan (or h = 1)",
                without=Check(
                    limit_gap, instances(mdp=_MDPS, **_PLANS, discount=st.sampled_from((0.5, 0.75)))
                ),
            ),
        ),
        figures=risk_figures,
        printed=False,
    ),
    Claim(
        id="smc-limit-discount",
        title="a discounted plan without chance is MERL at a temperature that rises with every step",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"p(a_t|s_t,O) \propto p(a_t|s_t)e^{Q_t/\alpha_t},\quad Q_t = r + \gamma E_P[V_{t+1}],\quad "
        r"V_t = \alpha_t\log\sum_a p\,e^{Q_t/\alpha_t},\quad \alpha_t = \alpha/\gamma^t",
        check=Check(
            hotter_gap, instances(mdp=_CHOICES, **_PLANS, discount=st.sampled_from((0.5, 0.75, 1.0)))
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=NoProof("step by step the algebra of `smc-limit`, each at another temperature"),
    ),
    Claim(
        id="smc-limit-risk",
        title="with chance, the limit of particle planning prefers luck: a lottery of lower mean",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"r + \alpha\log E_P[e^{V/\alpha}] \ge r + E_P[V]; \text{ at } \alpha = 1 \text{ a lottery of 3 or } -1 "
        rf"\text{{ is taken against a sure {SAFE:g} with probability above 1/2, by MERL below}}",
        check=Check(luck_gap, instances(mdp=_CHOICES, **_PLANS)),
        expected=Verdict.HOLDS,
        printed=False,
    ),
)
