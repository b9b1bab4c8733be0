"""Claims on Theorem 2's statement about the variational policy pi_theta* at the maximum of L.

Read for pi_theta*, the first sentence is false: at eps = 0 every theta is a maximiser. The second sentence
is false on the continuous action sets for which it is printed, where pi_omega* is a Dirac of entropy -inf.
It holds on finite ones.

Both sides: as in `theorem_2.py`; the continuous case in closed form.
Bound:  suboptimality: rounding of the solve. Rates: `boltzmann_loss` / (1 - gamma), by the performance
        difference V* - V^pi = (I - gamma P^pi)^-1 (max Q* - E_pi[Q*]). L: 32 (|H| + 8) u (1 + max|q|/eps),
        as in `objective/lower_bound.py`.
Teeth:  `perturb` ignores the limit at eps = 0, or adds to a loss or to L.
"""

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims import recorded
from verify.claims.instances import boltzmann_loss, on_mdp, solve_rounding, solved
from verify.claims.optima.theorem_2 import gap_with, loss, optimal_target, tables
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction, NoProof
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.continuous.boltzmann import elbo_continuous
from virel_theory.continuous.distributions import Atom, Uniform
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.elbo import elbo
from virel_theory.operators.policies import boltzmann_policy


def gap_variational_corrected(
    *, mdp: TabularMDP, q_star: Array, d: Array, pi: Array, eps: float, perturb: float = 0.0
) -> Gap:
    """Gap of Theorem 2, L maximised over theta alone: max `V* - V^pi` of the maximiser minus its bound.

    The bound is boltzmann_loss/(1 - gamma). L is taken at (Q*, eps), and its maximiser is pi_omega: L at a
    drawn policy minus L at pi_omega is at most 0 too.
    """
    best = boltzmann_policy(q_star, eps=eps)
    size = 1 + np.abs(q_star).max() / eps
    better = elbo(q_star, pi_theta=pi, d=d, eps=eps) - elbo(q_star, pi_theta=best, d=d, eps=eps)
    bound = boltzmann_loss(mdp.n_actions, eps) / (1 - mdp.gamma)
    slack = solve_rounding(mdp, float(np.abs(q_star).max() + np.abs(mdp.reward).max()))
    lost = Gap(loss(mdp, q_star, best) + perturb * (1 + 2 * bound), bound + slack)
    return worst(lost, Gap(better, 32 * (mdp.n_pairs + 8) * U * size))


def gap_moreover(*, top: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 2's "moreover", actions [-1, 1]: L of the uniform policy minus L of the Dirac, at most 0.

    One state, gamma = 0, Q*(a) = top - a^2; the Dirac is at a* = 0. Q_omega = Q* - delta has the residual error
    delta^2/2, so delta = sqrt(2 eps). L at the uniform policy is (top - delta - 1/3)/eps + log 2. If the Dirac
    maximises L at every eps, the gap is at most 0.
    """
    q = [Polynomial([top - np.sqrt(2 * eps), 0.0, -1.0])]
    dirac = elbo_continuous(q, pi_theta=[Atom(0.0)], d=[1.0], eps=eps)
    uniform = elbo_continuous(q, pi_theta=[Uniform(-1.0, 1.0)], d=[1.0], eps=eps) + perturb * 1e6
    return Gap(uniform - dirac, 1e-11 * (1 + top / eps))


def gap_moreover_finite(*, mdp: TabularMDP, q_star: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 2's "moreover", finite actions: L of the greedy policy minus `E_d[max Q*]/eps`, zero.

    The policy's entropy is 0, and the value grows to +inf as eps falls to 0.
    """
    greedy = np.eye(mdp.n_actions)[q_star.argmax(axis=1)]
    value = elbo(q_star, pi_theta=greedy, d=d, eps=eps) + perturb
    expected = float(d @ q_star.max(axis=1)) / eps
    bound = 32 * (mdp.n_pairs + 8) * U * (1 + np.abs(q_star).max() / eps)
    return worst(Gap(abs(value - expected), bound), Gap(float(q_star.min()) / eps - value, bound))


CLAIMS = (
    Claim(
        id="theorem-2-variational-policy",
        title="The variational policy of a maximiser is optimal",
        source="Thm 2, first sentence",
        statement=r"\text{For any pair } \{\omega^*,\theta^*\} \text{ that maximises } \mathcal L(\omega,\theta) \text{ the corresponding variational policy induced must be optimal}",
        reading=r"The variational policy is $\pi_{\theta^*}$; the formula that follows the sentence has $\pi_{\omega^*}$ instead (claim `theorem-2`).",
        check=Check(
            gap_with(optimal_target),
            tables(-4, 8),
            recorded={
                "mdp": recorded.R,
                "q_star": recorded.Q_STAR,
                "others": recorded.Q[None],
                "pi": recorded.UNIFORM,
                "d": recorded.D,
            },
        ),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"\theta^*(\varepsilon) \in \arg\max_\theta \mathcal L|_{Q^*,\varepsilon}:\ V^* - V^{\pi_{\theta^*(\varepsilon)}} \le"
            r" \tfrac{\varepsilon}{1-\gamma}\min(\log A, \tfrac{A-1}{e}) \to 0",
            derivation=r"""At $\varepsilon_{\omega^*} = 0$, $L = +\infty$ for every $\theta$ with $E_{d\pi_\theta}[Q^*] > 0$, that is (Assumption 1) for all: the joint
maximum says nothing about $\theta^*$. S = 1, A = 2, gamma = 0, Q* = (2, 1): the uniform policy is a
maximiser and loses 1/2. Maximise over $\theta$ first, at $\varepsilon > 0$: the maximiser is $\pi_\omega$
(Theorem 3), and its limit is greedy; or maximise $\varepsilon L$, whose limit $E[Q^*]$ has
the greedy policies as its only maximisers (where d > 0).""",
            check=Check(
                gap_variational_corrected,
                solved(pi=on_mdp(policies), d=on_mdp(distributions), eps=on_mdp(temperatures())),
            ),
        ),
    ),
    Claim(
        id="theorem-2-moreover",
        title="Every theta* with pi_theta* = pi_omega* is a maximiser",
        source="Thm 2, second sentence (continuous actions, Dirac pi_w*)",
        statement=r"\pi_{\theta^*}(a|s) = \pi_{\omega^*}(a|s) \implies \theta^* \in \arg\max_{\omega,\theta}\mathcal L(\omega,\theta)",
        reading=r"At $\pi_{\theta^*} = \pi_{\omega^*}$, a Dirac, $\mathcal L$ is what it tends to as $\varepsilon_\omega \to 0$.",
        check=Check(
            gap_moreover,
            st.fixed_dictionaries({"top": st.integers(2, 8), "eps": temperatures()}),
            recorded={"top": 2, "eps": 0.5},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        correction=Correction(
            statement=r"A \text{ finite}: \mathcal L(\omega^*, \theta^*) = E_d[\max_a Q^*]/\varepsilon \to +\infty\ (\varepsilon \to 0)",
            derivation=r"""On a continuous A, $\pi_{\omega^*}$ is a Dirac, whose differential entropy is $-\infty$: the paper's own Lemma 1 i) gives
$L(\omega,\theta^*) = -\infty$ for every $\varepsilon_\omega > 0$, hence in the limit; the last line of the
proof asks for a *non-deterministic* $\pi_\theta$, which $\pi_{\theta^*}$ is not. A = [-1, 1], gamma = 0, Q* = 2 - a^2,
$\hat Q_\omega = Q^* - 1$, eps = 1/2: the uniform policy has $L = \tfrac43 + \log 2$, and the narrower one makes
it about 0, the lower L falls, without end. The order of limits decides: along $\pi_{\theta(\varepsilon)} = \pi_\omega$, which
is not a Dirac while $\varepsilon > 0$, $L = \log\int e^{Q/\varepsilon}da \to +\infty$, and so read the sentence is right. On a finite
A the entropy of a Dirac is 0 and the statement holds.""",
            check=Check(gap_moreover_finite, solved(d=on_mdp(distributions), eps=on_mdp(temperatures()))),
        ),
        not_certified=NoProof(ON_AN_INTERVAL.reason, form="printed"),
    ),
)
