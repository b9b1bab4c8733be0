r"""Claims on entropy bonuses: Schulman et al. 2017, Secs. 3 and 3.6, and Haarnoja et al. 2017, App. B.

With $V = (I - \gamma P_\pi)^{-1}(r_\pi - \tau KL)$ the product rule gives $\nabla p_0\cdot V =
\sum_s\rho(s)\nabla_\theta E_{\pi_\theta}[r + \gamma E V(s')] - \tau\sum_s\rho(s)\nabla KL(s)$, rho the
discounted visits: the rewards and the later KLs are both returns of the action. The one-step ("naive") bonus
keeps the second sum and drops the later KLs.

Both sides: derivatives by complex steps through the linear solve, against sums over states and actions
        (`returns.gradients`); returns with the bonus and with the penalty from `core.regularised` (prior
        exponents 0 and 1), against each other.
Bound:  `returns.rounding`, for differences of values too.
Teeth:  `perturb` negates the later KLs; adds a nat to one side; halves the values that define the rewards.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.claims.soft_q.returns import Gradients, discounted, gradients, policy, rounding, scored, visits
from verify.claims.soft_q.tools import boltzmann, jacobian, moderate, tables
from verify.engine.claim import Assumption, Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import instances, mdps, policies
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.regularised import regularised_objective


def naive_gap(*, mdp: TabularMDP, theta: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the one-step entropy bonus: gradient of the augmented return minus the naive one, zero."""
    x = gradients(mdp, theta, prior, alpha)
    return Gap(np.abs(x.true - x.naive).max() + perturb, rounding(mdp, theta, alpha))


def proper_gap(*, mdp: TabularMDP, theta: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the corrected bonus: gradient of the augmented return minus naive and later KLs, zero."""
    x = gradients(mdp, theta, prior, alpha)
    return Gap(np.abs(x.true - proper(x, 1 - 2 * perturb)).max(), rounding(mdp, theta, alpha))


def proper(x: Gradients, weight: float) -> Array:
    """Corrected gradient: the naive one and the score times the later KL divergences."""
    return x.naive + weight * x.later


def entropy_gradient_gap(*, mdp: TabularMDP, theta: Array, perturb: float = 0.0) -> Gap:
    """Gap of (28) of soft Q-learning: `grad E_rho[H(pi)] + E_rho[E_pi[grad log pi (1 + log pi)]]`, zero."""
    true, fixed, _ = _entropy_gradients(mdp, theta)
    return Gap(np.abs(true - fixed).max() + perturb, rounding(mdp, theta, 1.0))


def full_entropy_gradient_gap(*, mdp: TabularMDP, theta: Array, perturb: float = 0.0) -> Gap:
    """Gap of (28) corrected: the same with the score times the later entropies added, zero."""
    true, fixed, later = _entropy_gradients(mdp, theta)
    return Gap(np.abs(true - fixed - (1 - 2 * perturb) * later).max(), rounding(mdp, theta, 1.0))


def _entropy_gradients(mdp: TabularMDP, theta: Array) -> tuple[Array, Array, Array]:
    """Gradients of discounted entropies `rho H`: the true one, (28) as printed, later entropies' part."""
    ones = np.where(mdp.available, 1.0, 0.0)

    def discounted_entropy(z: Array) -> Array:
        x = policy(mdp, z, ones)
        out: Array = -visits(mdp, x.pi) @ np.sum(x.pi * x.log_ratio, axis=1)
        return out

    x = policy(mdp, theta, ones)
    weight, entropy = visits(mdp, x.pi), -np.sum(x.pi * x.log_ratio, axis=1)
    later = mdp.gamma * mdp.expect_next(discounted(mdp, x.pi, entropy))
    return (
        jacobian(discounted_entropy, theta),
        scored(x.pi, weight, -(1 + x.log_ratio)),
        scored(x.pi, weight, later),
    )


def uniform_gap(
    *, mdp: TabularMDP, theta: Array, alpha: float, ends: bool = False, perturb: float = 0.0
) -> Gap:
    """Gap of the uniform prior: by how much (return with bonus - return with KL penalty) moves with pi, zero.

    The policies are the softmax of `theta` and the uniform one. If `ends`, state 0 ends the episode: neither
    rewards nor bonuses are counted there.
    """
    even = mdp.available / mdp.n_actions
    both = policy(mdp, theta, even).pi, even
    found = [(_stopped_difference if ends else _difference)(mdp, pi, alpha) for pi in both]
    return Gap(abs(found[0] + perturb - found[1]), 2 * rounding(mdp, theta, alpha))


def length_gap(*, mdp: TabularMDP, theta: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of the uniform prior if episodes end in state 0: difference of returns minus its closed form.

    The closed form is `tau log A E[sum_{t < T} gamma^t]`, T the first time in state 0; the bonus and the
    penalty are summed up to T.
    """
    pi = policy(mdp, theta, mdp.available / mdp.n_actions).pi
    length = float(mdp.initial @ discounted(_stopped(mdp), pi, np.arange(mdp.n_states) != 0))
    right = per_step(mdp, alpha) * length * (1 + perturb)
    return Gap(abs(_stopped_difference(mdp, pi, alpha) - right), 2 * rounding(mdp, theta, alpha))


def per_step(mdp: TabularMDP, tau: float) -> float:
    """Price of one more step of an episode, `tau log A`."""
    return float(tau * np.log(mdp.n_actions))


def _difference(mdp: TabularMDP, pi: Array, tau: float) -> float:
    """Return with the entropy bonus minus return with the KL penalty against the uniform policy."""
    even = mdp.available / mdp.n_actions
    bonus, penalty = (
        regularised_objective(mdp, pi=pi, prior=even, alpha=tau, exponent=rho) for rho in (0.0, 1.0)
    )
    return bonus - penalty


def _stopped_difference(mdp: TabularMDP, pi: Array, tau: float) -> float:
    """The same where episodes end in state 0, at which neither reward, bonus nor penalty is counted."""
    log_pi = np.log(np.where(pi > 0, pi, 1.0))
    bonus = mdp.reward - tau * log_pi
    penalty = mdp.reward - tau * (log_pi + np.log(mdp.n_actions))
    counted = np.arange(mdp.n_states) != 0
    sums = [discounted(_stopped(mdp), pi, counted * np.sum(pi * gain, axis=1)) for gain in (bonus, penalty)]
    return float(mdp.initial @ (sums[0] - sums[1]))


def _stopped(mdp: TabularMDP) -> TabularMDP:
    """The same MDP with an absorbing state 0."""
    transition = mdp.dense_transition.copy()
    transition[0] = 0.0
    transition[0, :, 0] = mdp.available[0]
    return TabularMDP(transition, mdp.reward, mdp.gamma, mdp.initial, mdp.mask)


def fixed_point_gap(*, mdp: TabularMDP, q: Array, prior: Array, alpha: float, perturb: float = 0.0) -> Gap:
    """Gap of g_gamma's fixed point: the policy gradient at the optimal policy, zero.

    Rewards are chosen such that `q` are the optimal values: `r = Q - gamma P V`.
    """
    x = boltzmann(q, prior, alpha)
    reward = np.where(mdp.available, q - mdp.gamma * mdp.expect_next(x.v * (1 - perturb / 2)), 0.0)
    solved = TabularMDP(mdp.transition, reward, mdp.gamma, mdp.initial, mdp.mask)
    theta = np.where(mdp.available, optimal_logits(q, prior, alpha), 0.0)
    return Gap(np.abs(gradients(solved, theta, prior, alpha).true).max(), rounding(solved, theta, alpha))


def optimal_logits(q: Array, prior: Array, tau: float) -> Array:
    """Logits of the printed optimal policy, `prior exp(Q/tau)/Z`."""
    out: Array = np.log(np.where(prior > 0, prior, 1.0)) + q / tau
    return out


_MDPS = mdps(max_states=3, masked=True)
_ALL = instances(mdp=_MDPS, theta=tables, prior=policies, alpha=moderate())
_LOGITS = instances(mdp=_MDPS, theta=tables)
_PLAIN: dict[str, Any] = {"mdp": mdps(max_states=3), "theta": tables, "alpha": moderate()}
_CHOICES = choices(max_states=3, masked=True)
_CHOSEN = instances(mdp=_CHOICES, theta=tables, prior=policies, alpha=moderate())
_WITH_LOGARITHMS = NoProof("discounted sums of logarithms of probabilities: no rational instance")

CLAIMS = (
    Claim(
        id="erpg-naive-bonus",
        title="one-step entropy bonus as gradient of the entropy-augmented return (the paper says: it is not)",
        source="usual practice; Schulman et al. 2017, Sec. 3.6, warn: these are not proper estimators of the entropy-augmented return",
        statement=r"\nabla_\theta E\Big[\sum_t\gamma^t(r_t - \tau KL_t)\Big] = E\Big[\sum_t\gamma^t\Big(\nabla_\theta\log\pi_\theta(a_t|s_t)"
        r"\sum_{i\ge0}\gamma^ir_{t+i} - \tau\nabla_\theta KL_t\Big)\Big]",
        check=Check(naive_gap, _ALL),
        not_certified=_WITH_LOGARITHMS,
        expected=Verdict.REFUTED,
        printed=False,
        weight=Weight.REMARK,
        correction=Correction(
            statement=r"\text{the same, plus } -\tau E\Big[\sum_t\gamma^t\nabla_\theta\log\pi_\theta(a_t|s_t)\sum_{i\ge1}\gamma^iKL_{t+i}\Big]",
            derivation=r"""The KL divergences of later states are part of the return of $a_t$: the policy gradient theorem for the reward
$r - \tau KL$ has $\sum_{i\ge0}\gamma^i r_{t+i} - \tau\sum_{i\ge1}\gamma^iKL_{t+i}$ beside the score, and the
KL of $s_t$ itself, which does not depend on $a_t$, contributes its own gradient. This is what the paper says
in words: the naive form "only accounts
for the instantaneous effect of actions on mental effort, not delayed effects".""",
            check=Check(proper_gap, _CHOSEN),
        ),
    ),
    Claim(
        id="sql-28",
        title="gradient of the entropy under the states that the policy visits",
        source="Haarnoja et al. 2017, Eq. (28), App. B",
        statement=r"-\nabla_\phi E_{s_t\sim\rho_{\pi^\phi}}\big[E_{a_t\sim\pi^\phi(a_t|s_t)}[\log\pi^\phi(a_t|s_t)]\big] = "
        r"-E_{(s_t,a_t)\sim\rho_{\pi^\phi}}\big[\nabla_\phi\log\pi^\phi(a_t|s_t)(1 + \log\pi^\phi(a_t|s_t))\big]",
        reading=r"$\rho_\pi$ are the discounted visits of the policy.",
        check=Check(entropy_gradient_gap, _LOGITS),
        not_certified=_WITH_LOGARITHMS,
        expected=Verdict.REFUTED,
        weight=Weight.COMPLETION,
        correction=Correction(
            statement=r"\text{the same with } -(1 + \log\pi^\phi(a_t|s_t)) + \sum_{i\ge1}\gamma^iE[\mathcal H(\pi^\phi(\cdot|s_{t+i}))|s_t,a_t]",
            derivation=r"""$\rho_{\pi^\phi}$ depends on $\phi$; its derivative adds the score times the later entropies. With $\rho$ held fixed (28)
is right, and (27), (29) then are the entropy-regularised policy gradient if $\hat Q$ is the soft value, which
contains the later
entropies; with plain values the later entropies are missing.""",
            check=Check(full_entropy_gradient_gap, instances(mdp=_CHOICES, theta=tables)),
        ),
    ),
    Claim(
        id="erpg-uniform-kl",
        title="the KL penalty against the uniform policy is the entropy bonus up to a constant",
        source="Schulman et al. 2017, Secs. 3 and 6.2",
        statement=r"\text{To emulate the effect of a standard entropy bonus (up to a constant), one can define } \bar\pi \text{ to be the uniform "
        r"distribution}",
        reading=r"$\sum_{t=0}^\infty\gamma^t(r_t + \tau\mathcal H_t) - \sum_{t=0}^\infty\gamma^t(r_t - \tau KL_t)$ has the same mean"
        r" for every policy.",
        check=Check(uniform_gap, instances(**_PLAIN | {"mdp": choices(max_states=3)})),
        not_certified=_WITH_LOGARITHMS,
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "no episode ends",
                "the sums run over all t >= 0; if episodes end, the constant tau log A is paid per step, which rewards longer ones "
                "(the paper notes that it encourages longer episodes)",
                without=Check(uniform_gap, instances(**_PLAIN, ends=st.just(True))),
            ),
        ),
    ),
    Claim(
        id="erpg-uniform-kl-episodes",
        title="where episodes end, the uniform prior differs from the bonus by a price on their length",
        source="about Schulman et al. 2017, Sec. 6.2",
        statement=r"E\Big[\sum_{t<T}\gamma^t(r_t + \tau\mathcal H_t)\Big] - E\Big[\sum_{t<T}\gamma^t(r_t - \tau KL_t)\Big] = "
        r"\tau\log A\,E\Big[\sum_{t<T}\gamma^t\Big]",
        check=Check(length_gap, instances(**_PLAIN | {"mdp": choices(max_states=3)})),
        not_certified=_WITH_LOGARITHMS,
        expected=Verdict.HOLDS,
        printed=False,
    ),
    Claim(
        id="erpg-fixed-point",
        title="the optimal policy is a fixed point of the discounted policy gradient",
        source="Schulman et al. 2017, Sec. 3.6",
        statement=r"g_\gamma(\pi) \text{ gives a gradient flow such that } \pi^* = \pi^B_{Q_*} \text{ is the (possibly unique) fixed point}",
        reading="Checked is that it is one, with states weighted by discounted visits.",
        check=Check(
            fixed_point_gap,
            instances(mdp=_CHOICES, q=tables, prior=policies, alpha=moderate()),
        ),
        not_certified=_WITH_LOGARITHMS,
        expected=Verdict.HOLDS,
    ),
)
