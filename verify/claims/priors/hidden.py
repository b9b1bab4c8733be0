r"""Claim on IADP: what hiding a part of the state from the prior costs, as mutual information.

The text of Galashov et al. 2019 beyond its abstract, which names the "connections to information bottleneck
approaches", could not be had. So the statement is ours.

Both sides: `conditional_information` and `prior_blind`, against entropies, marginals and logarithms summed
        here over joint probabilities of (hidden part, action), cell by cell.
Bound:  rounding. Sums of S A terms whose logarithms are at most B = 1 + max|log pi| + max|log p|:
        16 (S A + 16) u B.
Teeth:  `perturb` is added to the weights of the states, so that the information is that of another
distribution.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import xlogy

from verify.claims.instances import choices
from verify.claims.priors.transfer_figure import iadp_figures
from verify.engine.claim import Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.m_steps import prior_blind
from virel_theory.variational.parts.information import Ints, conditional_information


def information_gap(
    *, mdp: TabularMDP, pi: Array, prior: Array, d: Array, observation: Ints, perturb: float = 0.0
) -> Gap:
    """Gap of the decomposition for a blind prior: mean KL divergence minus information minus the rest.

    Also: no blind prior costs less than the information, which the mixture of the M-step attains.
    """
    blind = prior[observation]  # one row per observation
    weights = (d + perturb * np.arange(1, mdp.n_states + 1)) / (
        d + perturb * np.arange(1, mdp.n_states + 1)
    ).sum()
    information = conditional_information(pi, d=weights, observation=observation)
    seen = prior_blind(pi, d=d, observation=observation)
    cost, rest = _mean_kl(pi, blind, d), _mean_kl(seen, blind, d)
    bound = _bound(pi, blind)
    return worst(
        Gap(abs(cost - information - rest), bound),
        Gap(abs(information - _by_entropies(pi, d, observation)), bound),
        Gap(_mean_kl(pi, seen, d) - cost, bound),
    )


def unweighted_gap(
    *, mdp: TabularMDP, pi: Array, prior: Array, d: Array, observation: Ints, perturb: float = 0.0
) -> Gap:
    """Gap of "the plain mean over hidden parts is the best blind prior": its cost minus that of `prior_blind`."""
    plain = prior_blind(pi, d=np.full(mdp.n_states, 1 / mdp.n_states), observation=observation)
    seen = prior_blind(pi, d=d, observation=observation)
    return Gap(_mean_kl(pi, plain, d) - _mean_kl(pi, seen, d) + perturb, _bound(pi, prior))


def _mean_kl(pi: Array, prior: Array, d: Array) -> float:
    """Mean KL divergence over states, term by term."""
    log_ratio = np.log(np.where(pi > 0, pi, 1.0)) - np.log(np.where(pi > 0, prior, 1.0))
    return float(d @ (pi * log_ratio).sum(axis=1))


def _by_entropies(pi: Array, d: Array, observation: Ints) -> float:
    """Conditional information as `H(a|x^D) - H(a|x)`, summed over observations."""
    out = float(d @ xlogy(pi, pi).sum(axis=1))
    for cell in np.unique(observation):
        joint = d[observation == cell] @ pi[observation == cell]
        out -= float(xlogy(joint, joint).sum() - xlogy(joint.sum(), joint.sum()))
    return out


def _bound(pi: Array, prior: Array) -> float:
    size = 1 + float(np.abs(np.log(pi[pi > 0])).max() + np.abs(np.log(prior[prior > 0])).max())
    return 16 * (pi.size + 16) * U * size


def _cells(mdp: TabularMDP) -> st.SearchStrategy[Ints]:
    """Observations `[S]`: each the number of a state, so that `prior[observation]` is a blind prior."""
    n, cells = mdp.n_states, (mdp.n_states + 1) // 2
    return st.integers(0, cells**n - 1).map(lambda k: np.array([k // cells**s % cells for s in range(n)]))


_PARTS: dict[str, Any] = {
    "pi": policies,
    "prior": policies,
    "d": lambda mdp: distributions(mdp, full_support=False),
    "observation": _cells,
}
_HIDDEN = instances(mdp=mdps(max_states=5, max_actions=4), **_PARTS)
_CHOICES = instances(mdp=choices(max_states=5, max_actions=4), **_PARTS)

CLAIMS = (
    Claim(
        id="iadp-information",
        title="a blind prior costs the information that it can't see",
        source="ours, on Galashov et al. 2019",
        statement=r"E\big[KL(\pi(\cdot|x)\|p(\cdot|x^D))\big] = I(x^G; a|x^D) + E\big[KL(\pi(\cdot|x^D)\|p(\cdot|x^D))\big]"
        r"\ge I(x^G; a|x^D), \text{ with equality for } p(a|x^D) = \sum_{x^G}d(x^G|x^D)\pi(a|x)",
        check=Check(information_gap, _CHOICES),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "weights of the hidden part",
                "the prior mixes with d(x^G|x^D), not evenly",
                without=Check(unweighted_gap, _HIDDEN),
            ),
        ),
        figures=iadp_figures,
        printed=False,
    ),
)
