"""Claims on Fellows et al. (6), (25) and App. E.4: the actor's gradient and the policy gradient theorem.

Both sides: formulas from `virel_theory`; the truth from dual numbers in `theta` through L (4), through J
        (1) (exact policy evaluation by elimination) or through E_pi[Q]. Policies: log-linear with random
        features, and the tabular softmax. The gap functions are in `e_step_gaps.py`.
Bound:      rounding. Sums of at most `n = |H| + M` terms of size `m = max|x| (max|q| + eps (1 + max|log
        pi|))`: `16 u (n + 16) (1 + m)`; for J, elimination in S unknowns costs at most `4 S^2 / (1 -
        gamma)` more, as `1 / (1 - gamma)` bounds the inverse.
Teeth:      `perturb` doubles the truth.
"""

from hypothesis import strategies as st

from verify.claims.residual_gradients.e_step_gaps import (
    actor_gap,
    exchange_gap,
    exchange_with_policy_values_gap,
    features,
    normalised_gap,
    policy_gradient_gap,
    tabular_features,
)
from verify.engine.claim import Assumption, Check, Claim, Step
from verify.engine.verdict import Verdict
from verify.strategies import distributions, instances, mdps, q_tables, temperatures

_ACTOR = (
    r"\varepsilon_{\omega_k}\nabla_\theta\mathcal L(\omega_k,\theta) = E_{s\sim d(s)}[E_{a\sim\pi_\theta(a|s)}[\hat Q_{\omega_k}(h)"
    r"\nabla_\theta\log\pi_\theta(a|s)] + \varepsilon_{\omega_k}\nabla_\theta\mathcal H(\pi_\theta(a|s))]"
)
_ANY = instances(mdp=mdps(max_states=3, masked=True), policy=features)
_SMALL = instances(
    mdp=mdps(max_states=2, max_actions=2, rewards=st.integers(0, 2).map(float)), policy=tabular_features
)

CLAIMS = (
    Claim(
        id="eq-06",
        title="E-step: the actor's gradient, tabular softmax",
        source="Eq. (6), Section 3.3",
        statement=_ACTOR,
        check=Check(
            actor_gap,
            instances(
                mdp=mdps(masked=True),
                q=q_tables,
                policy=tabular_features,
                d=distributions,
                eps=temperatures(),
            ),
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="eq-25",
        title="Derivation of the actor's gradient, log-linear policies",
        source="Eq. (25), App. E.1",
        statement=_ACTOR,
        reading="The same line as `eq-06`, here for log-linear policies, there for tabular ones; its derivation is a step.",
        check=Check(
            actor_gap,
            instances(
                mdp=mdps(masked=True), q=q_tables, policy=features, d=distributions, eps=temperatures()
            ),
        ),
        expected=Verdict.HOLDS,
        steps=(
            Step(
                "log-derivative trick",
                r"\nabla_\theta E_{\pi_\theta}[\hat Q_{\omega_k}(h)] = E_{\pi_\theta}[\hat Q_{\omega_k}(h)\nabla_\theta\log\pi_\theta(a|s)]",
                Check(
                    exchange_gap,
                    instances(
                        mdp=mdps(max_states=3, masked=True), q=q_tables, policy=features, d=distributions
                    ),
                    n_random=60,
                ),
            ),
        ),
    ),
    Claim(
        id="app-e4-policy-gradient",
        title="Policy gradient theorem with the discounted occupancy",
        source="App. E.4",
        statement=r"\nabla_\theta J(\theta) = E_{s\sim\rho^\pi(s)}[E_{a\sim\pi_\theta(a|s)}[Q^\pi(h)\nabla_\theta\log\pi_\theta(a|s)]]",
        check=Check(policy_gradient_gap, _ANY),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "unnormalised occupancy",
                r"$\rho^\pi(s) = \sum_t\gamma^t P(s_t = s)$",
                Check(normalised_gap, _SMALL),
            ),
        ),
    ),
    Claim(
        id="app-e4-exchange",
        title="Gradient and expectation exchanged for a fixed Q",
        source="App. E.4",
        statement=r"E_{s\sim d(s)}[E_{a\sim\pi_\theta}[\hat Q_\omega(h)\nabla_\theta\log\pi_\theta(a|s)]] "
        r"= E_{s\sim d(s)}[\nabla_\theta E_{a\sim\pi_\theta}[\hat Q_\omega(h)]]",
        check=Check(
            exchange_gap,
            instances(mdp=mdps(max_states=3, masked=True), q=q_tables, policy=features, d=distributions),
        ),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption(
                "Q independent of the policy",
                r"$\hat Q_\omega$ does not depend on $\theta$. In the policy gradient theorem $Q^\pi$ does, and the paper says that the exchange is "
                r"not strictly justified there: without this assumption both sides differ by $E_\rho[E_\pi[\nabla_\theta Q^\pi]]$",
                Check(exchange_with_policy_values_gap, _SMALL),
            ),
        ),
    ),
)
