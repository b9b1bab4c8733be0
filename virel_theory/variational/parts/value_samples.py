r"""Laws of Monte Carlo soft values: the estimate from N sampled actions, for all N-tuples of actions.

The soft value $V(s) = \alpha\log\sum_a e^{Q(s,a)/\alpha}$ is the mean of $w(a) = e^{Q(s,a)/\alpha}/\mu(a|s)$
over a proposal $\mu$, inside a logarithm. With actions $a_1, \dots, a_N$ drawn independently from $\mu$ the
estimate is $\hat V_N = \alpha\log\frac1N\sum_j w(a_j)$. It depends on the counts $n_a$ of the actions only,
so its exact law has one atom per composition of N, with the multinomial probability of the counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, logsumexp

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, as_rows, as_temperature, first_bad
from virel_theory.operators.policies import as_action_values

MAX_ATOMS = 1_000_000
MOST = 2**53
"""Number of samples from which float64 does not hold every count."""


@dataclass(frozen=True, eq=False)
class SampledValues:
    """Law of a sampled soft value: M estimates per state, with chances, Haarnoja et al. 2017, Eq. (10).

    Example:
        >>> law = sampled_soft_values([[1.0, 0.0]], proposal=[[0.5, 0.5]], alpha=1.0, n=1)
        >>> law.value.shape, law.probability.tolist()
        ((1, 2), [[0.5, 0.5]])
    """

    value: Array
    """`[S, M]` estimates, reward units; `-inf` where the probability is 0."""
    probability: Array
    """`[S, M]` probabilities; rows sum to 1."""

    @property
    def mean(self) -> Array:
        """Expected estimate `E[V_N]`, `[S]`, reward units."""
        on = self.probability > 0
        out: Array = np.sum(self.probability * np.where(on, self.value, 0.0), axis=1)
        return out


def sampled_soft_values(q: ArrayLike, *, proposal: ArrayLike, alpha: float, n: int) -> SampledValues:
    r"""Law of the soft value that N sampled actions estimate, Haarnoja et al. 2017, Eq. (10).

    $$\hat V_N(s) = \alpha\log\frac1N\sum_{j=1}^N \frac{\exp(Q(s, a_j)/\alpha)}{\mu(a_j|s)},
    \quad a_j \sim \mu(\cdot|s)$$

    Deviation: 1. the expectation of (10) is replaced by a mean over N samples, as in its Algorithm 1; 2.
    actions are finitely many, so a sum over them stands for the integral.

    Args:
        q: `[S, A]` soft values, reward units; `-inf` marks missing actions.
        proposal: `[S, A]` distribution mu that the actions are drawn from, positive on every existing action.
        alpha: temperature > 0, reward units per nat.
        n: number N >= 1 of samples; the law has `comb(N + A - 1, N)` atoms, at most a million.

    Returns: the law; estimates within (A + 16) ulps of max|q| + alpha (1 + max|log mu|), probabilities within
        (N + A) 64 ulps (relative).
    Raises: InputError: on wrong shapes, a proposal without full support, a bad temperature, n < 1, or a law
        of more than a million atoms.

    Example:
        >>> law = sampled_soft_values([[0.0, 0.0]], proposal=[[0.5, 0.5]], alpha=1.0, n=3)
        >>> law.mean.round(4).tolist()
        [0.6931]
    """
    table = as_action_values(q)
    mu, temperature = as_rows(proposal, table, name="proposal"), as_temperature(alpha, name="alpha")
    exists = np.isfinite(table)
    first_bad(exists & (mu == 0), mu, name="proposal", rule="must be positive on every existing action")
    n_samples = _as_count(n, table.shape[1])
    counts = np.array(list(_compositions(n_samples, table.shape[1])), dtype=np.float64)
    log_mu = np.log(mu, out=np.full_like(mu, -np.inf), where=exists)
    values = np.array([_soft_means(*row, counts, temperature) for row in zip(table, log_mu, strict=True)])
    return SampledValues(values, np.exp(_log_chances(log_mu, counts)))


def _as_count(n: int, n_actions: int) -> int:
    """Return the number `n` of samples: a positive integer that leaves a law of at most `MAX_ATOMS` atoms."""
    count = as_whole(n, name="n", least=1)
    rule = f"must leave at most {MAX_ATOMS} atoms with {n_actions} actions"
    require(count < MOST, "n", n, rule)
    log_atoms = gammaln(count + n_actions) - gammaln(count + 1) - gammaln(n_actions)
    require(log_atoms < np.log(MAX_ATOMS), "n", n, rule)
    return count


def _compositions(n: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write n as an ordered sum of `parts` numbers >= 0: n stars, parted by `parts` - 1 bars."""
    for bars in combinations(range(n + parts - 1), parts - 1):
        yield tuple(right - left - 1 for left, right in pairwise((-1, *bars, n + parts - 1)))


def _soft_means(q: Array, log_mu: Array, counts: Array, alpha: float) -> Array:
    """Estimates `alpha log sum_a n_a e^{q/alpha} / (N mu)`, `[M]`, of a state; `-inf` of none that exists.

    Values are centred at the best that was drawn: a quotient of their own may be out of range.
    """
    drawn = (counts > 0) & np.isfinite(q)
    best = np.where(drawn, q, -np.inf).max(axis=1)
    known = np.where(drawn.any(axis=1), best, 0.0)
    with np.errstate(over="ignore"):
        log_w = np.where(drawn, (np.where(drawn, q, 0.0) - known[:, None]) / alpha, -np.inf)
    terms = np.where(drawn, log_w - np.where(drawn, log_mu, 0.0), -np.inf)
    found = known + alpha * (logsumexp(terms, b=counts, axis=1) - np.log(counts[0].sum()))
    return np.where(drawn.any(axis=1), found, -np.inf)


def _log_chances(log_mu: Array, counts: Array) -> Array:
    """Logarithms `[S, M]` of the multinomial probabilities of the counts under each state's proposal."""
    drawn = counts > 0
    terms = np.where(drawn, counts * np.where(drawn, log_mu[:, None, :], 0.0), 0.0).sum(axis=2)
    ways = gammaln(counts.sum(axis=1) + 1) - gammaln(counts + 1).sum(axis=1)
    return np.asarray(terms + ways, dtype=np.float64)
