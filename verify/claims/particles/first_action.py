r"""The first actions of weighted particles are consistent, with an error that falls like 1/sqrt(N).

Ours (see `evidence`). Times its evidence, the estimate of the first action's law is unbiased at any N, with
resampling: $E[\hat Z\hat p(a)] = Z\,p(a|s_0,O)$. So $\hat p$ is a ratio of unbiased estimates.

The rate, for independent particles (never resampled; one step): with normalised weights w, E[w] = 1,
$\hat p(a) - p(a) = \bar G/\bar w$, where $\bar w$ and $\bar G$ are means over the particles of w and of
$G = w(1[a_0=a] - p(a))$, E[G] = 0. With $\sigma^2 = E[G^2]$, $\mu_4 = E[G^4]$, $\tau^2 = Var(w)$ and m the
smallest weight, $|1/\bar w^2 - 1| \le |\bar w - 1|(1/m + 1/m^2)$, and by Cauchy and Schwarz

$$\Big|\frac{N\,E[(\hat p - p)^2]}{\sigma^2} - 1\Big| \le \Big(\frac1m + \frac1{m^2}\Big)
\sqrt{\Big(3 + \frac{\mu_4}{\sigma^4N}\Big)\frac{\tau^2}N},$$

since $E[\bar G^4] = (3(N-1)\sigma^4 + \mu_4)/N^3$. So the root mean square error is sigma/sqrt(N) up to a factor
1 + O(1/sqrt(N)).

Both sides: `particle_law` against sums over paths; for the rate the binomial law of two actions, exact for
        every N, against sigma^2.
Bound:  rounding (`tools.rounding`, with 64 u per particle and step); for the rate the bound above, which
        holds for every N, plus N (A + 16) u relative.
Teeth:  `perturb` replaces the estimate's weights by equal ones, and sigma^2 by 1.5 sigma^2.
"""

import numpy as np
import scipy  # scipy.stats takes half a second to load, and loads when it is used
from hypothesis import strategies as st

from verify.claims.instances import choices
from verify.claims.particles.figures import consistency_figures
from verify.claims.particles.tools import (
    DISCOUNTS,
    N_STEPS,
    moved,
    path_evidence,
    rounding,
    state_values,
    two_particles,
    warm,
)
from verify.engine.claim import A_LIMIT, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import instances, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.parts.particle_law import particle_law
from virel_theory.variational.parts.plans import Plan, plan_posterior

COUNTS = (64, 1024, 16384)
"""Numbers of particles at which the rate is measured."""


def first_action_gap(
    *,
    mdp: TabularMDP,
    v: Array,
    prior: Array,
    proposal: Array,
    alpha: float,
    discount: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of two particles' first actions from state 0: `E[Z_hat p_hat(a)]/Z - p(a|O)`, zero.

    Resampled never, always systematically, or always by independent draws. And the law of the last, minus
    all draws and ancestors as one array.
    """
    plan = Plan(mdp, v, prior, alpha, N_STEPS, proposal=proposal, discount=discount)
    exact = path_evidence(mdp, v, prior, alpha=alpha, discount=discount, s=0)
    target, bound = exact / exact.sum(), rounding(mdp, v, alpha) + 256 * U
    gaps = [Gap(np.abs(plan_posterior(plan)[0, 0] - target).max(), bound)]
    for threshold, resampling in ((0.0, "multinomial"), (2.0, "systematic"), (2.0, "multinomial")):
        law = particle_law(plan, state=0, particles=2, threshold=threshold, resampling=resampling)
        ratio = np.exp(law.log_evidence - v[0] / alpha) / exact.sum()
        estimates = law.estimates + perturb * (1 / mdp.n_actions - law.estimates)
        weighted = (law.probability * ratio) @ estimates
        evidence = law.log_mean_evidence - v[0] / alpha - np.log(exact.sum())
        gaps += [Gap(np.abs(weighted - target).max(), bound), Gap(abs(evidence), bound)]
    steps = [moved(mdp, v, prior, proposal, alpha=alpha, discount=discount, t=t) for t in range(N_STEPS)]
    probability, estimate, share = two_particles(steps[0], steps[1], 0)
    mean_log = np.sum(probability * np.log(np.where(probability > 0, estimate, 1.0))) + v[0] / alpha
    gaps.append(Gap(abs(law.mean_log_evidence - mean_log), bound))
    policy = [_share_of(a, probability, share, mdp.n_states) for a in range(mdp.n_actions)]
    return worst(*gaps, Gap(np.abs(law.policy - policy).max(), bound))


def _share_of(a: int, probability: Array, share: Array, n_states: int) -> float:
    """Mean weight of the particles whose first action is `a`, over all outcomes of two particles."""
    takes = np.arange(probability.shape[0]) // n_states == a
    on_i = np.einsum("ijabcd,i->", probability * share[..., 0], takes.astype(np.float64))
    on_j = np.einsum("ijabcd,j->", probability * share[..., 1], takes.astype(np.float64))
    return float(on_i + on_j)


def rate_gap(*, prior: Array, proposal: Array, gain: float, perturb: float = 0.0) -> Gap:
    """Gap of the rate on a bandit with two actions: `|N E[(p_hat - p)^2]/sigma^2 - 1|` minus its bound, <= 0."""
    raw = np.exp(np.array([gain, 0.0])) * prior / proposal
    w = raw / (proposal @ raw)
    tilted = prior * np.exp(np.array([gain, 0.0]))
    p = float(tilted[0] / tilted.sum())
    g = w * (np.array([1.0, 0.0]) - p)
    sigma2, mu4, tau2 = (float(proposal @ x) for x in (g**2, g**4, (w - 1) ** 2))
    m, gaps = float(w.min()), []
    for n in COUNTS:
        k = np.arange(n + 1)
        estimate = k * w[0] / (k * w[0] + (n - k) * w[1])
        error = n * float(scipy.stats.binom.pmf(k, n, proposal[0]) @ (estimate - p) ** 2)
        allowed = (1 / m + 1 / m**2) * np.sqrt((3 + mu4 / (sigma2**2 * n)) * tau2 / n)
        gaps.append(Gap(abs(error / (sigma2 * (1 + perturb / 2)) - 1), float(allowed) + 64 * n * U))
    return worst(*gaps)


_PLANS = instances(
    mdp=choices(max_states=2, max_actions=2),
    v=state_values,
    prior=policies,
    proposal=policies,
    alpha=warm(),
    discount=DISCOUNTS,
)
_PAIR = st.integers(1, 3).map(lambda k: np.array([k / 4, 1 - k / 4]))
_BANDITS = st.fixed_dictionaries(
    {"prior": _PAIR, "proposal": _PAIR, "gain": st.integers(-4, 4).map(lambda k: k / 4)}
)

CLAIMS = (
    Claim(
        id="smc-consistent",
        title="weighted first actions of particles converge to the posterior of the plan",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"E[\hat Z\,\hat p(a_0|s_0,O)] = Z\,p(a_0|s_0,O) \text{ for every } N \text{, with resampling},\quad "
        r"\hat p(a|s_0,O) = \sum_n\bar w_n 1[a_0^n = a]",
        check=Check(first_action_gap, _PLANS, n_random=40),
        expected=Verdict.HOLDS,
        figures=consistency_figures,
        printed=False,
        not_certified=NoProof("the algebra of `smc-unbiased`, once per first action"),
    ),
    Claim(
        id="smc-rate",
        title="the error of weighted first actions falls like one over the root of N",
        source="ours, on the planner of Piche et al. 2019",
        statement=r"\lim_{N\to\infty} N\,E[(\hat p(a) - p(a|O))^2] = E_q[w^2(1[a_0=a] - p(a|O))^2],\quad E_q[w] = 1 "
        r"\text{ (independent particles)}",
        check=Check(rate_gap, _BANDITS, n_random=100),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_LIMIT,
    ),
)
