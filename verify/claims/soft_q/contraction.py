r"""Claims on Haarnoja et al. 2017, App. A: the soft backup contracts, and soft policy iteration improves.

Both sides: the norms and inequalities are the paper's; the backup and the soft values are those of
        `virel_theory.variational.core` with the prior exponent 0, so that sums over actions stand for the
        paper's integrals. The paper sets alpha = 1 in the appendix; here any alpha > 0.
Bound:  rounding. A backup of numbers of size B = max|r| + max|Q| + alpha log A costs at most 16 (S + A + 8) u
        B. Soft values come from a linear solve (`solve_rounding`), and the ratio in the exponent of the
        improved policy adds 4 u max|Q|/alpha to its logarithm, so 64 (S^2 + A + 8) u B/(1 - gamma)^2 in all.
Teeth:  `perturb` halves gamma on the right hand side; negates Q in the improved policy.
"""

import numpy as np
from scipy.special import softmax

from verify.claims.instances import choices, solve_rounding
from verify.engine.claim import Assumption, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict
from verify.strategies import instances, policies, q_tables, temperatures
from virel_theory.checks import Array, Mask, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.regularised import bellman_regularised, regularised_action_value


def contraction_gap(*, mdp: TabularMDP, q: Array, q_two: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the soft backup's contraction: `||T Q1 - T Q2|| - gamma ||Q1 - Q2||` (max norm), at most 0."""
    on, prior = mdp.available, _uniform(mdp)
    first = bellman_regularised(mdp, q, prior=prior, alpha=alpha, exponent=0.0)
    second = bellman_regularised(mdp, q_two, prior=prior, alpha=alpha, exponent=0.0)
    right = factor(mdp.gamma) * (1 - perturb / 2) * np.abs(q[on] - q_two[on]).max()
    return Gap(np.abs(first[on] - second[on]).max() - right, _rounding(mdp, alpha, q[on], q_two[on]))


def factor(gamma: float) -> float:
    """Printed modulus of the contraction."""
    return gamma


def improvement_gap(*, mdp: TabularMDP, pi: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 4 of soft Q-learning: soft values of pi minus those of `exp(Q/alpha)/Z`, at most 0."""
    on, prior = mdp.available, _uniform(mdp)
    q = regularised_action_value(mdp, pi=pi, prior=prior, alpha=alpha, exponent=0.0)
    better = improved((1 - 2 * perturb) * np.where(on, q, 0.0), on, alpha)
    new = regularised_action_value(mdp, pi=better, prior=prior, alpha=alpha, exponent=0.0)
    size = np.abs(mdp.reward[on]).max() + np.abs(q[on]).max() + alpha * np.log(mdp.n_actions)
    bound = solve_rounding(mdp, float(size)) * (1 + mdp.n_actions)
    return Gap(float(np.max(q[on] - new[on])), bound)


def improved(q: Array, on: Mask, alpha: float) -> Array:
    """Policy (17) of the printed theorem, proportional to `exp(Q/alpha)`."""
    out: Array = softmax(np.where(on, q / alpha, -np.inf), axis=1)
    return out


def _uniform(mdp: TabularMDP) -> Array:
    out: Array = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    return out


def _rounding(mdp: TabularMDP, alpha: float, *tables: Array) -> float:
    size = np.abs(mdp.reward).max() + max(np.abs(q).max() for q in tables) + alpha * np.log(mdp.n_actions)
    return float(16 * (mdp.n_states + mdp.n_actions + 8) * U * (1 + size))


_MDPS = choices(max_states=5, masked=True)
_IRRATIONAL = NoProof("values of a policy exp(Q/alpha)/Z: a linear system with irrational coefficients")

CLAIMS = (
    Claim(
        id="sql-contraction",
        title="the soft Bellman backup is a contraction by gamma",
        source="Haarnoja et al. 2017, App. A.2 (proof of Thm 3)",
        statement=r"\|\mathcal T Q_1 - \mathcal T Q_2\| \le \gamma\|Q_1 - Q_2\|,\quad \mathcal T Q(s,a) = r(s,a) + "
        r"\gamma E_{s'}\Big[\log\int\exp Q(s',a')\,da'\Big]",
        reading=r"With a temperature $\alpha$, and finitely many actions.",
        check=Check(contraction_gap, instances(mdp=_MDPS, q=q_tables, q_two=q_tables, alpha=temperatures())),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="sql-improvement",
        title="the Boltzmann policy of a policy's soft values is better",
        source="Haarnoja et al. 2017, Thm 4, App. A.1",
        statement=r"\tilde\pi(\cdot|s) \propto \exp(Q^\pi_{soft}(s,\cdot)) \Rightarrow Q^{\tilde\pi}_{soft}(s,a) \ge "
        r"Q^\pi_{soft}(s,a)\ \forall s, a",
        reading=r"With a temperature $\alpha$, and finitely many actions.",
        check=Check(improvement_gap, instances(mdp=_MDPS, pi=policies, alpha=temperatures())),
        not_certified=_IRRATIONAL,
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption("bounded", r"$Q$ is bounded and $\int\exp(Q(s,a))\,da$ is bounded for any $s$"),
        ),
    ),
)
