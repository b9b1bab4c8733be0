"""Claims on Fellows et al. (8), (9), Marino et al. (2)-(4): log-evidence = lower bound + KL divergence.

Instances: a finite hidden variable h with joint weights p(x, h) at one observed x, and any distribution q(h). For
        Marino et al. the joint is a prior p(z) times a likelihood p(x|z), as their (3) and (4) have it.

Both sides: the marginal by (8), in log space; the bound and the divergence term by term from the definitions.
Bound:  rounding of sums of n terms of size B = 1 + max|log p(x, h)|: 16 (n + 8) u B, u = 2.2e-16.
Teeth:  `perturb` adds a nat to the divergence, or takes q in place of the posterior.
"""

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.engine.claim import Check, Claim, Instance
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import Array, U


@st.composite
def hidden_variables(draw: st.DrawFn) -> Instance:
    """Hypothesis strategy that draws joint weights p(x, h) and a distribution q(h) with full support.

    The weights are integers over 64, so that p(x) <= 1 for n <= 4.
    """
    n = draw(st.integers(1, 4))
    joint = draw(st.lists(st.integers(1, 16), min_size=n, max_size=n))
    q = np.array(draw(st.lists(st.integers(1, 6), min_size=n, max_size=n)), dtype=np.float64)
    return {"joint": np.array(joint) / 64, "q": q / q.sum()}


def gap_decomposition(*, joint: Array, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Fellows et al. (9): log p(x) minus lower bound `E_q[log(p(x, h)/q(h))]` minus KL, zero."""
    log_marginal = logsumexp(np.log(joint))
    lower_bound = float(np.sum(q * (np.log(joint) - np.log(q))))
    kl = float(np.sum(q * (np.log(q) - np.log(joint / joint.sum()))))
    return Gap(abs(log_marginal - lower_bound - kl - perturb), _bound(joint))


@st.composite
def latent_variables(draw: st.DrawFn) -> Instance:
    """Hypothesis strategy that draws a prior p(z), a likelihood p(x|z) and a distribution q(z|x)."""
    drawn = draw(hidden_variables())
    weights = draw(st.lists(st.integers(1, 6), min_size=len(drawn["q"]), max_size=len(drawn["q"])))
    return {"prior": np.array(weights) / sum(weights), "likelihood": drawn["joint"] * 4, "q": drawn["q"]}


def elbo_of(q: Array, prior: Array, likelihood: Array) -> float:
    """Lower bound (3) of Marino et al., `E_q[log p(x|z)] - KL(q(z|x) || p(z))`."""
    return float(np.sum(q * np.log(likelihood)) - np.sum(q * (np.log(q) - np.log(prior))))


def gap_design_2(*, prior: Array, likelihood: Array, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (2), (3): log p(x) minus their lower bound minus `KL(q(z|x) || p(z|x))`, zero."""
    evidence = float(prior @ likelihood)
    kl = float(np.sum(q * (np.log(q) - np.log(prior * likelihood / evidence))))
    error = np.log(evidence) - elbo_of(q, prior, likelihood) - kl - perturb
    return Gap(abs(error), 2 * _bound(prior * likelihood))


def gap_posterior_is_best(*, prior: Array, likelihood: Array, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of Marino et al. (4): their lower bound minus log p(x), 0 at q^B, and at another q minus a KL.

    q^B is the Boltzmann distribution of log p(x|z) with the prior p(z). The bound at q must be the KL to q^B
    below. `perturb` takes q in its place, where equality fails.
    """
    weights = prior * np.exp(np.log(likelihood))
    best = q if perturb else weights / weights.sum()
    log_evidence, bound = float(np.log(prior @ likelihood)), 2 * _bound(prior * likelihood)
    below = float(np.sum(q * (np.log(q) - np.log(weights / weights.sum()))))
    return worst(
        Gap(abs(elbo_of(best, prior, likelihood) - log_evidence), bound),
        Gap(abs(elbo_of(q, prior, likelihood) + below - log_evidence), bound),
        Gap(-below, bound),
    )


def _bound(joint: Array) -> float:
    return float(16 * (len(joint) + 8) * U * (1 + np.abs(np.log(joint)).max()))


def _claim(claim_id: str, source: str, statement: str, check: Check) -> Claim:
    title = "marginal likelihood = bound + divergence"
    return Claim(claim_id, title, source, statement, check, Verdict.HOLDS)


CLAIMS = (
    _claim(
        "eq-09",
        "Eqs. (8), (9), App. A",
        r"\ell_\omega(x) = \mathcal L(\omega, q(h)) + KL(q(h) \| p_\omega(h|x))",
        Check(gap_decomposition, hidden_variables()),
    ),
    _claim(
        "design-02",
        "Marino et al., Eqs. (2), (3)",
        r"\log p_\theta(x) = \mathcal L(x; q, \theta) + KL(q(z|x) \| p_\theta(z|x)),\quad"
        r" \mathcal L(x; q, \theta) = E_q[\log p_\theta(x|z)] - KL(q(z|x) \| p_\theta(z))",
        Check(gap_design_2, latent_variables()),
    ),
    Claim(
        id="design-04",
        title="the best approximate posterior is the posterior",
        source="Marino et al., Eq. (4)",
        statement=r"\arg\max_q \mathcal L(x;q,\theta) = q^{\mathcal B}(z|x) = \frac{p_\theta(z)\exp(\log p_\theta(x|z))}{\int p_\theta(z)\exp(\log p_\theta(x|z))dz}",
        check=Check(gap_posterior_is_best, latent_variables()),
        expected=Verdict.HOLDS,
    ),
)
