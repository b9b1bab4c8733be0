r"""Claim that the deep agent's values along its prior are those of the exact `mb_iadp`, all draws enumerated.

Both sides: `ModelQ` of `virel_deep.axes.model` with `rollout="prior"` and `"posterior"`, fed as for `deep-mb-sac`;
        against three iterates of `mb_iadp` with the same rollouts, whose prior does not see all of a state. The
        policy that the deep side is given is another one than the prior, so that rollouts of the wrong one are
        found. Along the prior the critic is $v(s) = V^{p_{k-1}}(s)$ whatever the action, and nothing is paid.
Bound:  that of `deep-mb-sac`; along the prior without its divergence.
Teeth:  `perturb` makes the deep side's temperature a tenth larger, which counts along the policy.
"""

import numpy as np
from hypothesis import strategies as st

from verify.claims.deep.bridge import LEAST, float64
from verify.claims.deep.models.expansion import N_STEPS, NOISE, expanded, rounding
from verify.claims.deep.priors.blind import Ints
from verify.claims.deep.priors.iadp import cells
from verify.claims.priors.tools import WARM
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, mdps
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.model_based import ROLLOUTS, mb_iadp
from virel_theory.variational.core.regularised import regularised_value
from virel_theory.variational.parts.expansion import expanded_value, perturbed_model


def gap(*, mdp: TabularMDP, cell: Ints, alpha: float, h: int, perturb: float = 0.0) -> Gap:
    """Gap of the deep expansions along the iterates of `mb_iadp`, both kinds of rollouts."""
    return worst(*(_gap(mdp, cell, alpha, h, perturb, rollout) for rollout in ROLLOUTS))


def _gap(mdp: TabularMDP, cell: Ints, alpha: float, h: int, perturb: float, rollout: str) -> Gap:
    gaps, model = [Gap(0.0, 1.0)], perturbed_model(mdp, noise=NOISE, seed=1)
    pi = p = np.full(mdp.shape, 1 / mdp.n_actions)
    steps = mb_iadp(mdp, alpha=alpha, horizon=h, model=model, observation=cell, rollout=rollout)
    with float64():
        for step, _ in zip(steps, range(N_STEPS), strict=False):
            guide = p if rollout == "prior" else pi
            v = regularised_value(mdp, pi=guide, prior=p, alpha=alpha)
            ratio = np.log(guide) - np.log(p)
            q = v[:, None] + alpha * ratio
            found = expanded(model, q, (pi, p), alpha, h, perturb, rollout=rollout)
            bound = rounding(mdp, v, alpha * ratio, h, found.most)
            gaps.append(Gap(float(np.abs(found.q - step.q).max()), bound))
            ahead = mdp.gamma * expanded_value(model, v, pi=guide, prior=p, alpha=alpha, steps=h)
            gaps.append(Gap(float(np.abs((guide * found.target).sum(axis=1) - ahead).max()), 2 * bound))
            pi, p = step.policy, step.prior
            if min(pi.min(), p.min()) < LEAST:
                break
    return worst(*gaps)


CLAIMS = (
    Claim(
        id="deep-mb-iadp",
        title="The deep agent's values along its prior are the exact expansions of the prior",
        source="virel_deep ModelQ, expanded_q, Asymmetric: Marino et al., Eq. (9), Table 1",
        statement=r"E_{p}\Big[\sum_{i<h}\gamma^i\hat r_i + \gamma^h V^{p}(s_h)\Big] = \hat Q_k(s, a)"
        r" \text{ of } \mathtt{mb\_iadp},\ p = p_{k-1};\qquad E[y - r] = \gamma \hat V_h(s')",
        check=Check(
            gap,
            instances(mdp=mdps(max_states=3, max_actions=2), cell=cells, alpha=WARM, h=st.integers(1, 2)),
            n_random=30,
        ),
        expected=Verdict.HOLDS,
        deep=True,
    ),
)
