r"""HDP, exact: a hierarchy with a finite latent and a shared low level, Tirumala et al. 2019, 1903.07438.

$$J(\pi^H, \pi^L, p^H)
= E\Big[\sum_t\gamma^t\Big(r - \alpha\log\frac{\pi^H(z_t|s_t)}{p^H(z_t|o(s_t))}\Big)\Big],
\qquad z_t \sim \pi^H(\cdot|s_t),\ a_t \sim \pi^L(\cdot|z_t, s_t)$$

The low level is shared by policy and default, so that only the high level is regularised; J is then a lower
bound of the objective with $KL(\pi\|p)$ of actions. The paper's text beyond its introduction was not at hand;
the alternation is ours.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from virel_common.arguments import as_whole
from virel_common.errors import InputError, require
from virel_theory.checks import (
    Array,
    as_float_array,
    as_non_negative,
    as_probabilities,
    as_temperature,
    first_bad,
)
from virel_theory.mdp.policy_system import lu_solve, mix, mixed_rows
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.operators.policies import kl_divergence
from virel_theory.variational.algorithms.iadp import within
from virel_theory.variational.core.e_step import expected_kl, posterior_policy
from virel_theory.variational.core.iterate import (
    Iterate,
    Iterates,
    as_sweeps,
    certified,
    evaluate,
    first_prior,
    state_distribution,
)
from virel_theory.variational.core.m_steps import prior_blind
from virel_theory.variational.core.regularised import back_up
from virel_theory.variational.parts.information import Ints, as_observation, latent_policy
from virel_theory.variational.parts.optimum import state_weights

LARGEST = float(np.finfo(np.float64).max)


def hdp(
    mdp: TabularMDP,
    *,
    alpha: float = 1.0,
    latents: int = 2,
    observation: str | ArrayLike | None = None,
    low_step: float | None = None,
    low: ArrayLike | None = None,
    prior: ArrayLike | None = None,
    d: ArrayLike | None = None,
    sweeps: int | None = None,
) -> Iterates:
    r"""Iterates of HDP: high level, its blind default, and a shared low level, Tirumala et al. 2019.

    Step k = 1, 2, ..., from $p^H_0$ = `prior`, $\pi^H_0 = p^H_0$ and $\pi^L_0$ = `low`. These four are
    alternated:

    * V: $Q_k$, the fixed point of $BQ = r + \gamma P(E_{\pi_{k-1}}Q - \alpha KL(\pi^H_{k-1}\|p^H_{k-1}))$
      with $\pi_{k-1}(a|s) = \sum_z\pi^H_{k-1}\pi^L_{k-1}$. With `sweeps` = n it is $B^nQ_{k-1}$, $Q_0 = 0$.
    * E: $\pi^H_k(z|s) = p^H_{k-1}(z|s)e^{q_z(s)/\alpha}/Z$, where
      $q_z(s) = \sum_a\pi^L_{k-1}(a|z, s)Q_k(s, a)$.
    * low level: $\pi^L_k(a|z, s) \propto \pi^L_{k-1}(a|z, s)e^{t\,Q_k(s, a)}$, t = `low_step`.
    * M: $p^H_k(z|s) = \sum_yd_k(y)\pi^H_k(z|y)/\sum_yd_k(y)$ over the states y with the observation of s,
      $d_k$ the weights of `iadp` for the new policy $\pi_k = \sum_z\pi^H_k\pi^L_k$. For an observation
      without weight, $d_k(y) = 1$.

    J never falls (without `sweeps` and `d`): for every z the low level does not lower $E_{\pi^L}Q_k$, then E
    raises the one-step objective in every state, and M maximises J over defaults. Without a step size of its
    own ($t \to \infty$) the low level would become greedy for every z, and all latents one.

    Args:
        mdp: the MDP.
        alpha: temperature > 0 of the high level, reward units.
        latents: number Z >= 1 of latents where `low` is not given, which has its own number.
        observation: `[S]` integers that the default sees, or a text such as `"0,0,1"`; None: all.
        low_step: t >= 0, per reward unit; 0 freezes the low level. None: 1/alpha.
        low: `[Z, S, A]` first low level. None: for Z = 1 uniform over the n(s) existing actions; for Z > 1
            half of that, and half on the action number z mod n(s) of the existing ones.
        prior: `[S, Z]` first default, equal in states with one observation; None: uniform over latents.
        d: `[S]` weights of states in the M-step and in `kl`; None: the visits of the policy.
        sweeps: backups per step; None: exact values and visits.

    Returns: endless iterator of `Iterate`: `posterior` and `policy` are $\pi_k$, `prior` is
        $\sum_zp^H_k\pi^L_k$, `kl` is $E_{d_k}KL(\pi^H_k\|p^H_{k-1})$.
    Raises: InputError: on a latent that no state uses, wrong shapes, or a setting out of range.

    Example:
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.0)
        >>> next(hdp(mdp, latents=2, low=[[[1.0, 0.0]], [[0.0, 1.0]]])).policy.round(4).tolist()
        [[0.7311, 0.2689]]
    """
    require_mdp(mdp)
    cell, temperature = as_observation(observation, mdp.n_states), as_temperature(alpha, name="alpha")
    n_latents = as_whole(latents, name="latents", least=1)
    lower = _first_low(mdp, n_latents) if low is None else _as_low(low, mdp)
    p = _as_default(prior, (mdp.n_states, len(lower)), cell)
    t = min(1 / temperature, LARGEST) if low_step is None else as_non_negative(low_step, name="low_step")
    weights = None if d is None else state_distribution(d, mdp)
    return _iterates(mdp, temperature, cell, p=p, low=lower, t=t, d=weights, sweeps=as_sweeps(sweeps))


def _iterates(
    mdp: TabularMDP,
    alpha: float,
    cell: Ints,
    *,
    p: Array,
    low: Array,
    t: float,
    d: Array | None,
    sweeps: int | None,
) -> Iterates:
    """Yield HDP's steps; the arguments are checked."""
    q, high, default = np.where(mdp.available, 0.0, -np.inf), p, p
    w, v, step = mdp.initial, np.zeros(mdp.n_states), 0
    while True:
        step += 1
        q = _values(mdp, q, within(high, default), default, low=low, alpha=alpha, sweeps=sweeps)
        high, before = posterior_policy(_by_latent(low, q), prior=default, alpha=alpha), default
        low = _tilted(low, q, t=t)
        pi = latent_policy(high, low)
        w = state_weights(mdp, pi, w, d=d, sweeps=sweeps)
        default = prior_blind(high, d=w, observation=cell)
        v = evaluate(mdp, policy=pi, v=v, sweeps=sweeps)
        judged, prior = certified(mdp, policy=pi, v=v), latent_policy(default, low)
        kl = expected_kl(high, before, d=w)
        yield Iterate(step, q, pi, prior, pi, alpha, kl, judged.value, judged.error, judged.bound)


def _values(
    mdp: TabularMDP, q: Array, high: Array, default: Array, *, low: Array, alpha: float, sweeps: int | None
) -> Array:
    """Action values of the hierarchy: exact, or `sweeps` backups of `q`."""
    pi, cost = latent_policy(high, low), alpha * kl_divergence(high, default)
    if sweeps is None:
        return back_up(mdp, lu_solve(mixed_rows(mdp.transition, pi), mdp.gamma, mix(pi, mdp.reward) - cost))
    for _ in range(sweeps):
        q = back_up(mdp, mix(pi, q) - cost)
    return q


def _by_latent(low: Array, q: Array) -> Array:
    """Values of the latents, `q_z(s) = E_{low(a|z, s)}[q(s, a)]`, `[S, Z]`."""
    out: Array = (low * np.where(np.isfinite(q), q, 0.0)).sum(axis=2).T
    return out


def _tilted(low: Array, q: Array, *, t: float) -> Array:
    """Low level proportional to `low e^{t q}`, `[Z, S, A]`; `low` itself for t = 0."""
    if t == 0:
        return low
    values = np.where(low > 0, q, -np.inf)
    with np.errstate(over="ignore"):  # of weights that are 0
        gain = t * (values - values.max(axis=2, keepdims=True))
    log_low = np.log(low, out=np.zeros_like(low), where=low > 0)
    return np.asarray(softmax(log_low + gain, axis=2), dtype=np.float64)


def _first_low(mdp: TabularMDP, latents: int) -> Array:
    """Low level to start from: half uniform, half on one action per latent; uniform for a single latent."""
    uniform, rank = first_prior(None, mdp), mdp.available.cumsum(axis=1) - 1
    count = mdp.available.sum(axis=1, keepdims=True)
    chosen = [(rank == z % count) & mdp.available for z in range(latents)]
    return np.stack([uniform if latents == 1 else (uniform + x) / 2 for x in chosen])


def _as_low(low: ArrayLike, mdp: TabularMDP) -> Array:
    """Return a copy of the given low level as `[Z, S, A]`: policies of the MDP, one per latent."""
    out = as_probabilities(low, name="low").copy()
    require(
        out.ndim == 3 and out.shape[1:] == mdp.shape,
        "low",
        out.shape,
        f"must have shape [Z, *{list(mdp.shape)}]",
    )
    first_bad((out > 0) & ~mdp.available, out, name="low", rule="must be 0 where the action does not exist")
    return out


def _as_default(prior: ArrayLike | None, shape: tuple[int, int], cell: Ints) -> Array:
    """Return a copy of the first default `[S, Z]`: equal where observations are, no latent without mass."""
    p = np.full(shape, 1 / shape[1]) if prior is None else as_float_array(prior, shape, name="prior")
    p, first = as_probabilities(p, name="prior").copy(), np.unique(cell, return_index=True)[1][cell]
    first_bad(p != p[first], p, name="prior", rule="must be equal in states with one observation")
    for z in np.flatnonzero(~(p > 0).any(axis=0)):
        raise InputError(
            f"`prior` must use every latent; found latent {int(z)} with probability 0 in every state"
        )
    return p
