"""Claims on Fellows et al. (8), (9), Marino et al. (2)-(4): log-evidence = lower bound + KL divergence.

Instances: a finite hidden variable h with joint weights p(x, h) at one observed x, and any distribution q(h).

Both sides: the marginal by (8), in log space; the bound and the divergence term by term from the definitions.
Bound:  rounding of sums of n terms of size B = 1 + max|log p(x, h)|: 16 (n + 8) u B, u = 2.2e-16.
Teeth:  `perturb` adds a nat to the divergence, or takes q in place of the posterior.
"""

from typing import Any

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


def gap_posterior_is_best(*, joint: Array, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of the lower bound of log p(x): equal to it at the posterior p(h|x), at most it at another q.

    The bound minus log p(x) must be 0 at the posterior and at most 0 at q. `perturb` takes q in the
    posterior's place, where equality fails.
    """
    posterior = q if perturb else joint / joint.sum()
    best = float(np.sum(posterior * (np.log(joint) - np.log(posterior))))
    other = float(np.sum(q * (np.log(joint) - np.log(q))))
    return worst(
        Gap(abs(best - np.log(joint.sum())), _bound(joint)), Gap(other - np.log(joint.sum()), _bound(joint))
    )


def _bound(joint: Array) -> float:
    return float(16 * (len(joint) + 8) * U * (1 + np.abs(np.log(joint)).max()))


def _claim(claim_id: str, source: str, statement: str, gap: Any) -> Claim:
    return Claim(
        claim_id,
        "marginal likelihood = bound + divergence",
        source,
        statement,
        Check(gap, hidden_variables()),
        Verdict.HOLDS,
    )


CLAIMS = (
    _claim(
        "eq-09",
        "Eqs. (8), (9), App. A",
        r"\ell_\omega(x) = \mathcal L(\omega, q(h)) + KL(q(h) \| p_\omega(h|x))",
        gap_decomposition,
    ),
    _claim(
        "design-02",
        "Marino et al., Eqs. (2), (3)",
        r"\log p_\theta(x) = \mathcal L(x; q, \theta) + KL(q(z|x) \| p_\theta(z|x))",
        gap_decomposition,
    ),
    Claim(
        id="design-04",
        title="the best approximate posterior is the posterior",
        source="Marino et al., Eq. (4)",
        statement=r"\arg\max_q \mathcal L(x;q,\theta) = q^{\mathcal B}(z|x) = \frac{p_\theta(z)\exp(\log p_\theta(x|z))}{\int p_\theta(z)\exp(\log p_\theta(x|z))dz}",
        check=Check(gap_posterior_is_best, hidden_variables()),
        expected=Verdict.HOLDS,
    ),
)
