"""Claims on Theorem 2's statement about the variational policy pi_theta* at the maximum of L.

Read for pi_theta*, the first sentence is false: at eps = 0 every theta is a maximiser. The second sentence has
no value as it stands on the continuous action sets for which it is printed: at eps = 0 pi_omega* is a Dirac, and L
is inf - inf. It is right along pi_theta = pi_omega as eps falls, not with the Dirac held fixed, and right on finite
action sets.

Both sides: as in `theorem_2.py`; the continuous case in closed form.
Bound:  suboptimality: rounding of the solve. Rates: `boltzmann_loss` / (1 - gamma), by the performance
        difference V* - V^pi = (I - gamma P^pi)^-1 (max Q* - E_pi[Q*]). L: 32 (|H| + 8) u (1 + max|q|/eps),
        as in `objective/lower_bound.py`.
Teeth:  `perturb` ignores the limit at eps = 0, or adds to a loss or to L.
"""

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from scipy.special import erf

from verify.claims import recorded
from verify.claims.instances import boltzmann_loss, on_mdp, solve_rounding, solved
from verify.claims.optima.theorem_2 import gap_with, loss, optimal_target, tables
from verify.engine.claim import ON_AN_INTERVAL, Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import distributions, policies, temperatures
from virel_theory.checks import Array, U
from virel_theory.continuous.boltzmann import elbo_continuous
from virel_theory.continuous.distributions import Atom, Gaussian, Uniform
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


def gap_moreover(*, top: int, eps: float, width: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 2's "moreover" along pi_theta = pi_omega, actions [-1, 1]: L there is the largest, and known.

    One state, gamma = 0, Q*(a) = top - a^2. Q_omega = Q* - delta has the residual error delta^2/2, so delta =
    sqrt(2 eps). pi_omega is a Gaussian cut off at the ends, and L there is log int exp(Q_omega/eps) = (top -
    delta)/eps + log(pi eps)/2 + log erf(eps^-1/2), which grows without limit as eps falls. L of the uniform policy
    on [-width, width] is at most that.
    """
    q = [Polynomial([top - np.sqrt(2 * eps), 0.0, -1.0])]
    own = Gaussian(0.0, np.sqrt(eps / 2), -1.0, 1.0)
    value = elbo_continuous(q, pi_theta=[own], d=[1.0], eps=eps)
    expected = (top - np.sqrt(2 * eps)) / eps + np.log(np.pi * eps) / 2 + np.log(erf(eps**-0.5)) + perturb
    other = elbo_continuous(q, pi_theta=[Uniform(-width, width)], d=[1.0], eps=eps)
    bound = 1e-11 * (1 + top / eps)
    return worst(Gap(abs(value - expected), bound), Gap(other - value, bound))


def gap_at_dirac(*, top: int, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of "moreover" at the Dirac itself: L of the uniform policy minus L of the Dirac at 0, at most 0.

    The MDP is that of `gap_moreover`. L at the uniform policy is (top - delta - 1/3)/eps + log 2.
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


_OF_A_PARABOLA = st.fixed_dictionaries(
    {"top": st.integers(2, 8), "eps": temperatures(), "width": st.sampled_from([0.125, 0.5, 1.0])}
)

CLAIMS = (
    Claim(
        id="theorem-2-variational-policy",
        title="The variational policy of a maximiser is optimal",
        source="Thm 2, first sentence",
        statement=r"\text{For any pair } \{\omega^*,\theta^*\} \text{ that maximises } \mathcal L(\omega,\theta) \text{ the corresponding variational policy induced must be optimal}",
        reading=r"The sentence without the formula that follows it, and the variational policy is $\pi_{\theta^*}$, as everywhere else. The"
        r" formula has $\pi_{\omega^*} \in \Pi^*$ (claim `theorem-2`), so that `variational` may be a slip for `Boltzmann`.",
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
        reading=r"$\mathcal L$ at $\varepsilon_{\omega^*} = 0$, where it is $\infty - \infty$ at the Dirac $\pi_{\omega^*}$, is what it tends to along"
        r" $\pi_\theta = \pi_\omega$ as $\varepsilon_\omega \to 0$.",
        check=Check(gap_moreover, _OF_A_PARABOLA),
        expected=Verdict.GAP,
        weight=Weight.COMPLETION,
        steps=(
            Step(
                "dirac-held-fixed",
                r"\mathcal L(\omega,\theta^*) \to \infty \text{ at the } \theta^* \text{ with } \pi_{\theta^*} = \pi_{\omega^*}",
                Check(
                    gap_at_dirac,
                    st.fixed_dictionaries({"top": st.integers(2, 8), "eps": temperatures()}),
                    recorded={"top": 2, "eps": 0.5},
                ),
                repaired=Correction(
                    statement=r"\mathcal L(\omega,\theta) \to \infty \text{ along } \pi_\theta = \pi_\omega",
                    derivation=r"""The proof's last line has the limit for every $\theta^*$ "such that the variational policy is non-deterministic", and on a
continuous A $\pi_{\omega^*}$ is a Dirac: the case of the sentence is left out. With that policy held fixed, Lemma 1 i) gives
$L(\omega,\theta^*) = -\infty$ for every $\varepsilon_\omega > 0$. A = [-1, 1], gamma = 0, Q* = 2 - a^2,
$\hat Q_\omega = Q^* - 1$, eps = 1/2: the uniform policy has $L = \tfrac43 + \log 2$, and the narrower one makes
it about 0, the lower L falls, without end. Along $\pi_{\theta(\varepsilon)} = \pi_\omega$, which is not a Dirac while
$\varepsilon > 0$, $L = \log\int e^{\hat Q_\omega/\varepsilon}da$, the largest over $\theta$ (Theorem 3), and it tends to $+\infty$.""",
                    check=Check(gap_moreover, _OF_A_PARABOLA),
                ),
            ),
        ),
        not_certified=ON_AN_INTERVAL,
    ),
    Claim(
        id="theorem-2-moreover-finite",
        title="Every theta* with pi_theta* = pi_omega* is a maximiser, finite action sets",
        source="ours, beside Thm 2, second sentence, which is about densities",
        statement=r"|A| < \infty:\ \mathcal L(\omega^*, \theta^*) = E_d[\max_a Q^*]/\varepsilon \to +\infty\ (\varepsilon \to 0)",
        check=Check(gap_moreover_finite, solved(d=on_mdp(distributions), eps=on_mdp(temperatures()))),
        expected=Verdict.HOLDS,
        printed=False,
    ),
)
