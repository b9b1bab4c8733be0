r"""What a policy knows that its prior can't see: conditional information, latent policies, the chain rule.

A state x splits into what the prior observes, $x^D$, and the rest, $x^G$. On finite MDPs $x^D$ is an integer
per state, its *observation*. A latent policy draws z from its high level $\pi^H(z|s)$ and then the action
from its low level $\pi^L(a|z,s)$. High levels are `[S, Z]`, low levels `[Z, S, A]`.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import InputError, require
from virel_theory.checks import Array, as_array, as_distribution, as_plain_policy, as_probabilities
from virel_theory.operators.policies import kl_divergence

Ints = NDArray[np.int64]
DIGITS = 20
"""Characters of the longest integer of 64 bits, with its sign."""


def as_observation(observation: str | ArrayLike | None, n_states: int) -> Ints:
    """Return observations as integers `[S]`, from a list or a text such as `"0,0,1"`; None: one per state."""
    if observation is None:
        return np.arange(n_states)
    listed: Any = _as_listed(observation) if isinstance(observation, str) else observation
    out = as_array(listed, name="observation")
    require(out.dtype.kind in "iu", "observation", observation, "must be one integer per state")
    require(out.shape == (n_states,), "observation", out.shape, f"must have shape [{n_states}]")
    return np.unique(out, return_inverse=True)[1].astype(np.int64)


def _as_listed(text: str) -> Any:
    """Integers of a text such as `"0,0,1"`; the text itself if it holds anything else."""
    parts = [x.strip() for x in text.split(",")]
    whole = all(x.isascii() and x.removeprefix("-").isdigit() and len(x) <= DIGITS for x in parts)
    return [int(x) for x in parts] if whole else text


def require_same_actions(available: NDArray[np.bool_], observation: Ints) -> None:
    """Check that states with one observation have the same actions, so that one prior fits them all."""
    first = np.unique(observation, return_index=True)[1][observation]
    for s in np.flatnonzero((available != available[first]).any(axis=1)):
        pair = [int(first[s]), int(s)]
        raise InputError(
            "`observation` must differ between states with different actions; "
            f"found {int(observation[s])} in the states {pair}"
        )


def conditional_information(pi: ArrayLike, *, d: ArrayLike, observation: ArrayLike) -> float:
    r"""Conditional mutual information $I(x^G; a|x^D)$ of hidden state and action, Galashov et al. 2019.

    $$E_{d(x)}\big[KL(\pi(a|x) \| \pi(a|x^D))\big], \qquad
    \pi(a|x^D) = \sum_{x^G} d(x^G|x^D)\,\pi(a|x)$$

    Args: pi: `[S, A]` policy. d: `[S]` distribution over states x. observation: `[S]` integers, $x^D$.
    Returns: nats, at most $E_d[\mathcal H(\pi(a|x^D))]$; error (S A + 16) ulps of 1 + max|log pi| over the
        support.
    Raises: InputError: on wrong shapes or rows that are not distributions.

    Example:
        >>> conditional_information([[1.0, 0.0], [0.0, 1.0]], d=[0.5, 0.5], observation=[0, 0])  # log 2
        0.6931471805599453
        >>> conditional_information([[1.0, 0.0], [0.0, 1.0]], d=[0.5, 0.5], observation=[0, 1])
        0.0
    """
    policy = as_plain_policy(pi, name="pi")
    weights = as_distribution(d, len(policy), name="d")
    require(observation is not None, "observation", None, "must be one integer per state")
    cell = as_observation(observation, len(policy))
    joint = np.zeros((int(cell.max()) + 1, policy.shape[1]))
    np.add.at(joint, cell, weights[:, None] * policy)
    on = weights > 0
    seen = joint / np.where(joint.sum(axis=1, keepdims=True) > 0, joint.sum(axis=1, keepdims=True), 1.0)
    return max(0.0, float(weights[on] @ kl_divergence(policy[on], seen[cell[on]])))


def latent_policy(high: ArrayLike, low: ArrayLike) -> Array:
    r"""Policy of a latent-variable hierarchy, $\sum_z\pi^H(z|s)\pi^L(a|z,s)$, Tirumala et al. 2019.

    Args: high: `[S, Z]` probabilities of latents. low: `[Z, S, A]` policies, one per latent.
    Returns: `[S, A]` probabilities; error (Z + 2) ulps.
    Raises: InputError: on wrong shapes or rows that are not distributions.

    Example:
        >>> latent_policy([[0.25, 0.75]], [[[1.0, 0.0]], [[0.0, 1.0]]]).tolist()
        [[0.25, 0.75]]
    """
    upper, lower = as_levels(high, low)
    out: Array = np.einsum("sz,zsa->sa", upper, lower)
    return out


def latent_posterior(high: ArrayLike, low: ArrayLike) -> Array:
    r"""Posterior of the latent given the action, $\pi(z|a,s)$, Tirumala et al. 2019.

    $$\pi(z|a,s) = \frac{\pi^H(z|s)\pi^L(a|z,s)}{\sum_y\pi^H(y|s)\pi^L(a|y,s)}$$

    Args: high: `[S, Z]` probabilities of latents. low: `[Z, S, A]` policies, one per latent.
    Returns: `[S, A, Z]` probabilities; $\pi^H(z|s)$ where the action has probability 0; error (Z + 4) ulps.
    Raises: InputError: on wrong shapes or rows that are not distributions.

    Example:
        >>> latent_posterior([[0.5, 0.5]], [[[1.0, 0.0]], [[0.5, 0.5]]])[0, 1].tolist()
        [0.0, 1.0]
    """
    upper, lower = as_levels(high, low)
    joint = np.einsum("sz,zsa->saz", upper, lower)
    total = joint.sum(axis=2, keepdims=True)
    return np.where(total > 0, joint / np.where(total > 0, total, 1.0), upper[:, None, :])


def chain_kl(
    high: ArrayLike, low: ArrayLike, *, default_high: ArrayLike, default_low: ArrayLike | None = None
) -> Array:
    r"""KL divergence of latent and action together, the bound of a hierarchy's KL, Tirumala et al. 2019.

    $$KL(\pi^H \| p^H) + E_{\pi^H(z|s)}\big[KL(\pi^L(a|z,s) \| p^L(a|z,s))\big] \ge KL(\pi \| p)$$

    Args: high: `[S, Z]`. low: `[Z, S, A]`. default_high: `[S, Z]`, $p^H$. default_low: `[Z, S, A]`, $p^L$;
        None: the low level is shared, and the second term is 0.
    Returns: `[S]` nats, `inf` where the default lacks a latent or an action; error (Z A + 16) ulps of
        1 + max|log| over the support.
    Raises: InputError: on wrong shapes or rows that are not distributions.

    Example:
        >>> low = [[[1.0, 0.0]], [[0.0, 1.0]]]
        >>> chain_kl([[1.0, 0.0]], low, default_high=[[0.5, 0.5]]).round(4).tolist()
        [0.6931]
    """
    upper, lower = as_levels(high, low)
    first: Array = kl_divergence(upper, _like(default_high, upper, name="default_high"))
    if default_low is None:
        return first
    each = kl_divergence(lower, _like(default_low, lower, name="default_low")).T  # [S, Z]
    out: Array = first + (upper * np.where(upper > 0, each, 0.0)).sum(axis=1)
    return out


def as_levels(high: ArrayLike, low: ArrayLike) -> tuple[Array, Array]:
    """Return the levels of a latent policy as arrays `[S, Z]` and `[Z, S, A]` of distributions."""
    upper, lower = _rows(high, name="high", ndim=2), _rows(low, name="low", ndim=3)
    n_states, n_latents = upper.shape
    want = (n_latents, n_states, lower.shape[2])
    require(lower.shape == want, "low", lower.shape, f"must have shape [Z, S, A] = {list(want)}")
    return upper, lower


def _rows(p: ArrayLike, *, name: str, ndim: int) -> Array:
    out = as_probabilities(p, name=name)
    shape = "[S, A]" if ndim == 2 else "[Z, S, A]"
    require(out.ndim == ndim, name, out.shape, f"must have shape {shape}")
    return out


def _like(p: ArrayLike, other: Array, *, name: str) -> Array:
    out = as_probabilities(p, name=name)
    require(out.shape == other.shape, name, out.shape, f"must have shape {list(other.shape)}")
    return out
