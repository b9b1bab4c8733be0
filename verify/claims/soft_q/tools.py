"""Boltzmann policies with a reference policy, their gradients by complex steps, and paths, for `soft_q`.

The letters are those of Schulman et al.: `tau` the temperature, `prior` the reference policy (pi with a bar),
and for a table Q with values `Q = V + tau log(pi / prior)`: V the soft value, pi the Boltzmann policy.
Everything here is written from these definitions; no formula of `virel_theory.variational` is used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from verify.claims.instances import fractions
from verify.strategies import temperatures
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP

STEP = 1e-30
"""Imaginary step: f(x + i STEP).imag / STEP is the derivative of f, without cancellation."""

Numbers = Any
"""Arrays of floats or, for derivatives, of complex numbers."""


class Boltzmann(NamedTuple):
    """Soft values `v [S]` of a table, and its Boltzmann policy: log-ratios to the prior and probabilities."""

    v: Numbers
    log_ratio: Numbers
    """`[S, A]` log(pi/prior); 0 at missing actions."""
    pi: Numbers


def boltzmann(q: Numbers, prior: Array, tau: float) -> Boltzmann:
    """`V = tau log E_prior[exp(Q/tau)]` and `pi = prior exp((Q - V)/tau)`; complex tables are allowed."""
    on = prior > 0
    top = np.where(on, q.real, -np.inf).max(axis=1, keepdims=True)
    above = np.where(on, q - top, 0.0) / tau
    log_mass = np.log(np.sum(prior * np.exp(above), axis=1, keepdims=True))
    log_ratio = np.where(on, above - log_mass, 0.0)
    return Boltzmann((top + tau * log_mass)[:, 0], log_ratio, prior * np.exp(log_ratio))


def kl(x: Boltzmann) -> Numbers:
    """`KL(pi || prior)` per state, nats."""
    return np.sum(x.pi * x.log_ratio, axis=1)


def jacobian(f: Callable[[Numbers], Numbers], x: Array) -> Array:
    """Derivatives of `f(x)` in every entry of `x`, by complex steps: the entries come first, `[*x, *f]`."""
    out = []
    for index in np.ndindex(x.shape):
        moved = x.astype(np.complex128)
        moved[index] += 1j * STEP
        out.append(np.imag(f(moved)) / STEP)
    return np.array(out).reshape(*x.shape, *np.shape(out[0]))


class Paths(NamedTuple):
    """All paths of n decisions from a distribution over first states; every array has one entry per path."""

    probability: Array
    pair: NDArray[np.intp]
    """Number `s A + a` of the first state and action."""
    total: Array
    """Discounted sum of the rewards, minus the costs of the states after the first."""
    last: NDArray[np.intp]
    """State after the n-th decision."""


def paths(mdp: TabularMDP, pi: Array, start: Array, *, n: int, cost: Array) -> Paths:
    """Enumerate the paths of n decisions of `pi` from `start`; `cost [S]` is paid at states 2, ..., n."""
    ahead = mdp.dense_transition.reshape(-1, mdp.n_states)
    chance = (ahead[:, :, None] * pi).reshape(len(ahead), -1)
    first = pair = np.arange(len(ahead))
    probability, total = (start[:, None] * pi).ravel(), mdp.reward.ravel()
    for k in range(1, n):
        probability = (probability[:, None] * chance[pair]).ravel()
        total = (total[:, None] + mdp.gamma**k * (mdp.reward - cost[:, None]).ravel()).ravel()
        first, pair = np.repeat(first, len(ahead)), np.tile(np.arange(len(ahead)), len(pair))
    last = np.tile(np.arange(mdp.n_states), len(pair))
    probability = (probability[:, None] * ahead[pair]).ravel()
    return Paths(probability, np.repeat(first, mdp.n_states), np.repeat(total, mdp.n_states), last)


def tables(mdp: TabularMDP) -> st.SearchStrategy[Array]:
    """Finite tables `[S, A]` of halves in [-4, 4]; the entries of missing actions are not used."""
    return fractions(mdp.shape, 8, over=2)


def moderate() -> st.SearchStrategy[float]:
    """Temperatures from 1/10 on: at most e^-100 is the chance of an action of the tables here, above 0."""
    return temperatures().filter(lambda tau: tau >= 0.1)
