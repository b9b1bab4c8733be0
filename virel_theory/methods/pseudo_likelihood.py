r"""Pseudo-likelihood methods on finite horizons, to compare VIREL with: evidence, posterior, maximiser.

Trajectories are $\tau = (s_0, a_0, \dots, s_{N-1}, a_{N-1})$ with return $R(\tau) = \sum_{i<N} r_i$, episodic
and undiscounted as in the talk (`mdp.gamma` is not used), and $p(O|\tau) = \exp(R(\tau)/c)$; the talk has
c = 1. Conditioning on O conditions the dynamics too: the posterior tilts towards lucky successors, as if they
could be chosen. Backward messages, in log space: $W_t(s,a) = \exp(r(s,a)/c) E_{p(s'|h)}[V_{t+1}(s')]$,
$V_t(s) = E_\pi[W_t(s,a)]$, $V_N = 1$.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import logsumexp, softmax

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, as_temperature
from virel_theory.mdp.tables import as_policy, require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators import kernels


def pseudo_log_likelihood(mdp: TabularMDP, *, pi: ArrayLike, c: float, horizon: int) -> float:
    r"""Log-evidence of optimality in nats, talk, Pseudo-Likelihood Methods.

    $$\log E_{p_\theta(\tau)}\Big[\exp\Big(\sum_{i<N} r_i / c\Big)\Big]$$

    Args: mdp: finite MDP. pi: `[S, A]` policy. c: temperature > 0, reward units. horizon: N >= 1 decisions.
    Returns: the log-evidence; error N (S + A + 16 + max|r|/c) ulps of N max|r|/c + 1.
    Raises: InputError: if `pi` is not a policy, `c` is not positive and finite, or `horizon` is not a
        positive integer.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> round(pseudo_log_likelihood(mdp, pi=[[0.5, 0.5]], c=1.0, horizon=2), 4)
        1.2402
    """
    log_pi = _log(as_policy(pi, mdp, name="pi"))
    _, log_v = _messages(mdp, lambda log_w: logsumexp(log_pi + log_w, axis=1), c=c, horizon=horizon)
    return float(logsumexp(_log(mdp.initial) + log_v))


def expected_episode_return(mdp: TabularMDP, *, pi: ArrayLike, horizon: int) -> float:
    r"""Expected return $J(\theta) = E_{p_\theta(\tau)}[\sum_{i<N} r_i]$, talk, Pseudo-Likelihood Methods.

    Args: mdp: finite MDP. pi: `[S, A]` policy. horizon: N >= 1 decisions.
    Returns: J in reward units; error N (S + A + 2) ulps of N max|r|.
    Raises: InputError: if `pi` is not a policy, or `horizon` is not a positive integer.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> expected_episode_return(mdp, pi=[[0.5, 0.5]], horizon=2)
        1.0
    """
    policy = as_policy(pi, mdp, name="pi")
    horizon = as_whole(horizon, name="horizon", least=1)
    v = np.zeros(mdp.n_states)
    for _ in range(horizon):
        v = (policy * (mdp.reward + mdp.expect_next(v))).sum(axis=1)
    return float(mdp.initial @ v)


def pseudo_posterior_policy(mdp: TabularMDP, *, prior: ArrayLike, c: float, horizon: int) -> Array:
    r"""Policy of the forward-KL fit, $p(a_t|s_t,O)$ under the posterior, talk, Pseudo-Likelihood Methods.

    $\arg\min_\theta KL(p(\tau|O) \| p_\theta(\tau))$ over time-dependent policies: by moment matching,
    $\pi_t(a|s) = \pi(a|s) W_t(s,a) / V_t(s)$ with `prior` as $\pi$; one EM step from it.

    Args: mdp: finite MDP. prior: `[S, A]` policy before the step, e.g. uniform. c: temperature > 0. horizon:
        N >= 1.
    Returns: `[N, S, A]` probabilities; relative error as of exp of `pseudo_log_likelihood`.
    Raises: InputError: if `prior` is not a policy, `c` is not positive and finite, or `horizon` is not a
        positive integer.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> pseudo_posterior_policy(mdp, prior=[[0.5, 0.5]], c=1.0, horizon=1).round(4).tolist()
        [[[0.7311, 0.2689]]]
    """
    log_pi = _log(as_policy(prior, mdp, name="prior"))
    log_w, _ = _messages(mdp, lambda w: logsumexp(log_pi + w, axis=1), c=c, horizon=horizon)
    return np.asarray(softmax(log_pi + log_w, axis=2), dtype=np.float64)


def pseudo_optimal_policy(mdp: TabularMDP, *, c: float, horizon: int) -> Array:
    r"""Maximiser of the pseudo-likelihood, greedy for the messages $W_t$, talk, Pseudo-Likelihood Methods.

    Optimal for the exponential utility $E[\exp(R/c)]$, hence risk-seeking.

    Deviation: 1. uniform over exact ties.

    Args: mdp: finite MDP. c: temperature > 0, reward units. horizon: N >= 1 decisions.
    Returns: `[N, S, A]` probabilities.
    Raises: InputError: if `c` is not positive and finite, or `horizon` is not a positive integer.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> pseudo_optimal_policy(mdp, c=1.0, horizon=1).tolist()
        [[[1.0, 0.0]]]
    """
    log_w, _ = _messages(mdp, lambda w: w.max(axis=1), c=c, horizon=horizon)
    best = log_w == log_w.max(axis=2, keepdims=True)
    out: Array = best / best.sum(axis=2, keepdims=True)
    return out


def _messages(
    mdp: TabularMDP, mix: Callable[[Array], Array], *, c: float, horizon: int
) -> tuple[Array, Array]:
    """Backward messages `log W [N, S, A]` and `log V_0 [S]` for the evidence of optimality over N steps.

    `mix` maps `log W_t [S, A]` to `log V_t [S]`.
    """
    require_mdp(mdp)
    temperature, horizon = as_temperature(c, name="c"), as_whole(horizon, name="horizon", least=1)
    largest = float(np.abs(np.where(mdp.available, mdp.reward, 0.0)).max())
    rule = "must be so large that horizon * max|r| / c is at most 1e300"
    require(largest <= 1e300 / horizon * temperature, "c", c, rule)
    csr = sparse.csr_array(mdp.csr_transition)
    log_w, log_v = np.empty((horizon, *mdp.shape)), np.zeros(mdp.n_states)
    log_next = np.empty(mdp.n_states * mdp.n_actions)
    for t in reversed(range(horizon)):
        kernels.log_expect_rows(csr.indptr, csr.indices, csr.data, log_v, log_next)
        log_w[t] = np.where(mdp.available, mdp.reward / temperature + log_next.reshape(mdp.shape), -np.inf)
        log_v = mix(log_w[t])
    return log_w, log_v


def _log(p: Array) -> Array:
    """Elementwise logarithm of probabilities, with `log 0 = -inf` and no warning."""
    out: Array = np.log(p, out=np.full_like(p, -np.inf), where=p > 0)
    return out
