r"""Sequential Monte Carlo planning: N particles simulate a plan, weighted and resampled by its target.

All particles start in $s_0$ with weight 1. In step $t = 0 \dots h-1$ each draws $a_t$ from the proposal q and
$s_{t+1}$ from the model, and its weight is multiplied by

$$\exp\Big(\frac1\alpha\big[\gamma^t r(s_t,a_t) + \gamma^{t+1}V(s_{t+1}) - \gamma^tV(s_t)\big]\Big)
    \frac{p(a_t|s_t)}{q(a_t|s_t)}$$

The product over all steps is the target of `Plan` over the proposal, times $e^{-V(s_0)/\alpha}$, whatever V
is on the way. Before each step $t \ge 1$ the effective sample size
$\mathrm{ESS} = (\sum_n w_n)^2/\sum_n w_n^2$ is compared with `threshold` N; if it is smaller, N ancestors are
drawn independently in proportion to the weights (multinomial resampling), the weights are reset to 1, and
their mean becomes a factor of the estimate $\hat Z$ of the evidence. The mean weight at the end is its last
factor. An absorbing state with r = V = 0 needs no rule: where the proposal is the prior there, weights stay
as they are.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import logsumexp

from virel_common.errors import require
from virel_theory.checks import Array, Mask, as_generator, as_non_negative, as_real, first_bad
from virel_theory.variational.parts.plans import Plan, require_count, require_plan

Indices = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class ParticlePlans:
    r"""Result of n simulated plans with N particles each, Piche et al. 2019.

    Example:
        >>> from virel_theory.mdp.tabular import TabularMDP
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)
        >>> plans = simulate_plans(plan, states=[0, 0], particles=4, rng=np.random.default_rng(0))
        >>> plans.first_action.shape, plans.policy.sum(axis=1).round(9).tolist()
        ((2, 4), [1.0, 1.0])
    """

    first_action: Indices
    """`[n, N]` first actions $a_0$ of the particles that are left."""
    log_weight: Array
    """`[n, N]` their normalised log-weights, nats."""
    log_evidence: Array
    r"""`[n]` log-estimates $\log\hat Z(s_0)$, nats; infinite where they are out of the range of float64."""
    n_actions: int
    """Number A of actions."""

    @property
    def policy(self) -> Array:
        r"""Estimates $\hat p(a_0|s_0,O) = \sum_n \bar w_n 1[a_0^n = a]$ of each plan, `[n, A]`."""
        out = np.zeros((len(self.first_action), self.n_actions))
        rows = np.arange(len(out))[:, None]
        np.add.at(out, (rows, self.first_action), np.exp(self.log_weight))
        out /= out.sum(axis=1, keepdims=True)
        return out


def simulate_plans(
    plan: Plan, *, states: ArrayLike, particles: int, rng: np.random.Generator, threshold: float = 0.5
) -> ParticlePlans:
    r"""Independent particle plans, one from each of `states`, by simulation, after Piche et al. 2019.

    The algorithm stands in the module's docstring. Draws are by inversion, in this order: per step one
    `rng.random((n, N))` for the actions and one for the successors; before each step $t \ge 1$ one for
    the ancestors, which plans that keep their weights do not use.

    Args:
        plan: the planning problem, alpha > 0.
        states: `[n]` start states.
        particles: number N >= 1 of particles.
        rng: source of the draws.
        threshold: resample if ESS < threshold N; 0: never; above 1: always.

    Returns: first actions, weights and evidence of the n plans.
    Raises: InputError: if alpha is 0, `particles` is not a positive integer, a state does not exist, or
        `threshold` is negative or not finite.

    Example:
        >>> from virel_theory.mdp.tabular import TabularMDP
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)
        >>> simulate_plans(plan, states=[0], particles=4, rng=np.random.default_rng(0)).policy.shape
        (1, 2)
    """
    share, source = check_particles(plan, particles, threshold), as_generator(rng)
    starts = as_real(states, name="states")
    require(starts.ndim == 1 and starts.size > 0, "states", starts.shape, "must have shape [n], n >= 1")
    known = np.isin(starts, np.arange(plan.mdp.n_states))
    first_bad(~known, starts, name="states", rule="must be states of the MDP")
    s = np.repeat(starts.astype(np.int64)[:, None], particles, axis=1)
    moves, proposal = sparse.csr_array(plan.mdp.csr_transition, copy=True), sparse.csr_array(plan.proposal)
    first, weight = np.zeros_like(s), Weights(np.zeros(s.shape), np.zeros(s.shape), plan.alpha)
    evidence = Weights(plan.v[s[:, 0]], np.zeros(len(s)), plan.alpha)
    for t in range(plan.horizon):
        if t > 0:
            log_w, top = weight.centred()
            chosen = _ancestors(log_w, source.random(s.shape))
            poor = effective_size(log_w) < share * particles
            evidence = evidence.times(np.where(poor, top, 0.0), np.where(poor, _log_mean(log_w), 0.0))
            rows = np.where(poor[:, None], chosen, np.arange(particles))
            s, first = np.take_along_axis(s, rows, 1), np.take_along_axis(first, rows, 1)
            weight = weight.unless(poor[:, None])
        a = _invert(proposal, s, source.random(s.shape))
        ahead = _invert(moves, s * plan.mdp.n_actions + a, source.random(s.shape))
        weight = weight.times(*_increment(plan, t, s, a, ahead))
        first, s = (a if t == 0 else first), ahead
    log_w, top = weight.centred()
    shares = log_w - logsumexp(log_w, axis=1, keepdims=True)
    log_z = evidence.times(top, _log_mean(log_w)).log()
    return ParticlePlans(first, shares, log_z, plan.mdp.n_actions)


def log_increment(plan: Plan, t: int, s: Indices, a: Indices, ahead: Indices) -> Array:
    r"""Log-factor of a particle's weight in step t, from state s by action a to `ahead`, Piche et al. 2019.

    $$\frac1\alpha\big[\gamma^t r(s,a) + \gamma^{t+1}V(s') - \gamma^tV(s)\big] + \log\frac{p(a|s)}{q(a|s)}$$

    Args: plan: the planning problem, alpha > 0. t: step. s, a, ahead: integer arrays of one shape.
    Returns: array of that shape, nats.

    Example:
        >>> from virel_theory.mdp.tabular import TabularMDP
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[4.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)
        >>> here = np.array([0])
        >>> log_increment(plan, 0, here, here, here).tolist()
        [-1.0]
    """
    return Weights(*_increment(plan, t, s, a, ahead), plan.alpha).log()


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights `ratio e^(gain/alpha)` of particles; gains over alpha may be out of the range of float64.

    Example:
        >>> Weights(np.array([[0.0, 1e10]]), np.zeros((1, 2)), 1e-300).centred()[0].tolist()
        [[-inf, 0.0]]
    """

    gain: Array
    """Gains, reward units."""
    log_ratio: Array
    """Logarithms of the ratios, nats, of the same shape."""
    alpha: float

    def times(self, gain: Array, log_ratio: Array) -> "Weights":
        """Weights multiplied by others."""
        return Weights(self.gain + gain, self.log_ratio + log_ratio, self.alpha)

    def unless(self, reset: Mask) -> "Weights":
        """The same weights, but 1 where `reset` is true."""
        return Weights(np.where(reset, 0.0, self.gain), np.where(reset, 0.0, self.log_ratio), self.alpha)

    def log(self) -> Array:
        """Logarithms, nats; infinite where they are out of range."""
        with np.errstate(over="ignore"):
            out: Array = self.gain / self.alpha + self.log_ratio
        return out

    def centred(self) -> tuple[Array, Array]:
        """Logarithms `[..., N]` less the largest gain of each plan over alpha, and that gain `[...]`."""
        top = self.gain.max(axis=-1)
        return Weights(self.gain - top[..., None], self.log_ratio, self.alpha).log(), top


def _increment(plan: Plan, t: int, s: Indices, a: Indices, ahead: Indices) -> tuple[Array, Array]:
    """Gain and log-ratio of `log_increment`."""
    gain = plan.mdp.reward[s, a] + plan.discount * plan.v[ahead] - plan.v[s]
    return plan.discount**t * gain, np.log(plan.prior[s, a]) - np.log(plan.proposal[s, a])


def effective_size(log_w: Array) -> Array:
    r"""Effective sample size $(\sum_n w_n)^2/\sum_n w_n^2$ of log-weights `[..., N]`, Kong et al. 1994."""
    shares = log_w - log_w.max(axis=-1, keepdims=True)  # else rounding grows with the weights
    with np.errstate(over="ignore"):  # of shares that are 0
        out: Array = np.exp(2 * logsumexp(shares, axis=-1) - logsumexp(2 * shares, axis=-1))
    return out


def check_particles(plan: Plan, particles: int, threshold: float) -> float:
    """Check the settings of a particle plan and return its threshold as a float."""
    require_plan(plan)
    require(plan.alpha > 0, "alpha", plan.alpha, "must be positive")
    require_count(particles, name="particles")
    return as_non_negative(threshold, name="threshold")


def _log_mean(log_w: Array) -> Array:
    """Logarithm of the mean weight of each plan, `[n]`."""
    out: Array = logsumexp(log_w, axis=1) - np.log(log_w.shape[1])
    return out


def _ancestors(log_w: Array, uniform: Array) -> Indices:
    """Indices `[n, N]` of ancestors, drawn in proportion to the weights of each plan."""
    weights = np.exp(log_w - log_w.max(axis=1, keepdims=True))
    rows = np.repeat(np.arange(len(log_w))[:, None], log_w.shape[1], axis=1)
    return _invert(sparse.csr_array(weights), rows, uniform)


def _invert(weights: sparse.csr_array, rows: Indices, uniform: Array) -> Indices:
    """Columns drawn by inversion from the given rows of non-negative weights, which need not sum to 1."""
    weights.eliminate_zeros()
    ends = np.append(0.0, np.cumsum(weights.data))
    low, high = weights.indptr[rows], weights.indptr[rows + 1]
    at = np.searchsorted(ends, ends[low] + uniform * (ends[high] - ends[low]), side="right") - 1
    out: Indices = weights.indices[np.clip(at, low, high - 1)].astype(np.int64)
    return out
