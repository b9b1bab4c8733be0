r"""Exact law of the particle planner for few particles: every draw and every ancestor is enumerated.

The system of N particles is a random process on finitely many outcomes. An outcome is the multiset of the
particles' first actions, states and log-weights, with the log-factors of the evidence so far. Particles are
exchangeable, so their order is dropped.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, is_one_of
from virel_theory.variational.parts.particles import check_particles, effective_size, log_increment
from virel_theory.variational.parts.plans import Plan

MAX_OUTCOMES = 1_000_000
"""Largest number of combinations of a step that are enumerated."""

Particle = tuple[int, int, float]
"""First action, state and log-weight of a particle."""
System = tuple[float, tuple[Particle, ...]]
"""Log-evidence so far, and the particles, sorted."""
Law = dict[System, float]
"""Probability of each outcome."""
Move = tuple[float, int, int, float]
"""Probability, action, successor and log-factor of the weight of one particle's step."""
Outcomes = Callable[[System], Iterator[tuple[float, System]]]
"""Possible results of a step from a system, with their probabilities."""
Ancestors = Callable[[list[float]], Iterator[tuple[float, tuple[int, ...]]]]
"""Possible choices of ancestors, with their probabilities, from the shares of the particles."""


@dataclass(frozen=True, eq=False)
class ParticleLaw:
    r"""Law of the estimates of a plan by N particles: K outcomes, Piche et al. 2019.

    Example:
        >>> from virel_theory.mdp.tabular import TabularMDP
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)
        >>> particle_law(plan, state=0, particles=1).policy.tolist()
        [0.5, 0.5]
    """

    probability: Array
    """`[K]` probabilities of the outcomes."""
    log_evidence: Array
    r"""`[K]` estimates $\log\hat Z(s_0)$, nats."""
    estimates: Array
    r"""`[K, A]` estimates $\hat p(a_0|s_0,O)$."""

    @property
    def policy(self) -> Array:
        r"""Expected estimate $E[\hat p(a_0|s_0,O)]$, `[A]`: the policy of who draws one particle and acts."""
        out: Array = self.probability @ self.estimates
        return out

    @property
    def log_mean_evidence(self) -> float:
        r"""Logarithm of the expected estimate, $\log E[\hat Z(s_0)]$, nats."""
        return float(logsumexp(self.log_evidence, b=self.probability))

    @property
    def mean_log_evidence(self) -> float:
        r"""Expected log-estimate $E[\log\hat Z(s_0)]$, nats."""
        return float(self.probability @ self.log_evidence)


def particle_law(
    plan: Plan, *, state: int, particles: int, threshold: float = 0.5, resampling: str = "multinomial"
) -> ParticleLaw:
    r"""Exact law of `simulate_plans` from one state, by enumeration, after Piche et al. 2019.

    Args:
        plan: the planning problem, alpha > 0.
        state: start state.
        particles: number N >= 1 of particles, few: a step from K outcomes has at most $K (AS)^N$ of them, or
            $K N^N$ where it resamples.
        threshold: resample before steps $t \ge 1$ if ESS < threshold N; 0: never; above 1: always.
        resampling: `"multinomial"`, as `simulate_plans` has it; or `"systematic"`, by one uniform number for
            both of two particles, whose law does not depend on their order.

    Returns: the outcomes with their probabilities; error: (N h + S A) ulps of the quantities' sizes.
    Raises: InputError: as `simulate_plans`; if there are more than `MAX_OUTCOMES` outcomes.

    Example:
        >>> from virel_theory.mdp.tabular import TabularMDP
        >>> mdp = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)
        >>> plan = Plan(mdp, v=[0.0], prior=[[0.5, 0.5]], alpha=1.0, horizon=1)
        >>> law = particle_law(plan, state=0, particles=2)
        >>> law.probability.tolist(), round(law.log_mean_evidence, 4)
        ([0.25, 0.5, 0.25], 0.6201)
    """
    share = check_particles(plan, particles, threshold)
    first = as_whole(state, name="state")
    require(first < plan.mdp.n_states, "state", state, "must be a state of the MDP")
    require(
        is_one_of(resampling, RESAMPLING), "resampling", resampling, f"must be one of {', '.join(RESAMPLING)}"
    )
    orderless = resampling == "multinomial" or particles == 2
    require(orderless, "particles", particles, "must be 2 for systematic resampling")
    with np.errstate(over="ignore"):
        size = (plan.horizon + 1) * (np.abs(plan.mdp.reward).max() + 2 * np.abs(plan.v).max()) / plan.alpha
    rule = "must be so large that gains over it are in the range of float64"
    require(bool(np.isfinite(size)), "alpha", plan.alpha, rule)
    start = (0, first, 0.0)
    law: Law = {(float(plan.v[first] / plan.alpha), (start,) * particles): 1.0}
    for t in range(plan.horizon):
        if t > 0:
            _require_few(len(law) * particles**particles)
            law = _step(law, partial(_resampled, share=share, ancestors=RESAMPLING[resampling]))
        moves = _moves(plan, t)
        _require_few(len(law) * max(map(len, moves)) ** particles)
        law = _step(law, partial(_moved, moves=moves, first=t == 0))
    systems = sorted(law)
    log_w = np.array([[w for _, _, w in particles_of] for _, particles_of in systems])
    log_z = np.array([log_z for log_z, _ in systems]) + _log_mean(log_w)
    weights = np.exp(log_w - logsumexp(log_w, axis=1, keepdims=True))
    actions = np.array([[a for a, _, _ in particles_of] for _, particles_of in systems])
    estimates = np.stack([(weights * (actions == a)).sum(axis=1) for a in range(plan.mdp.n_actions)], axis=1)
    return ParticleLaw(np.array([law[system] for system in systems]), log_z, estimates)


def _step(law: Law, outcomes: Outcomes) -> Law:
    """Law after one step, of which `outcomes` lists the probabilities and results from each system."""
    out: Law = defaultdict(float)
    for system, mass in law.items():
        for p, result in outcomes(system):
            out[result] += mass * p
    return out


def _require_few(n: int) -> None:
    """Raise `InputError` if a step has more than `MAX_OUTCOMES` combinations."""
    require(n <= MAX_OUTCOMES, "particles", f"{n} in a step", f"must leave at most {MAX_OUTCOMES} outcomes")


def _moves(plan: Plan, t: int) -> list[list[Move]]:
    """Moves of a particle in step t, by its state."""
    csr, n_actions = sparse.csr_array(plan.mdp.csr_transition), plan.mdp.n_actions
    pair = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    chance = plan.proposal.ravel()[pair] * csr.data
    pair, ahead, chance = pair[chance > 0], csr.indices[chance > 0].astype(np.int64), chance[chance > 0]
    s, a = np.divmod(pair, n_actions)
    gain = log_increment(plan, t, s, a, ahead)
    out: list[list[Move]] = [[] for _ in range(plan.mdp.n_states)]
    for state, *move in zip(
        s.tolist(), chance.tolist(), a.tolist(), ahead.tolist(), gain.tolist(), strict=True
    ):
        out[state].append((move[0], move[1], move[2], move[3]))
    return out


def _moved(system: System, moves: list[list[Move]], *, first: bool) -> Iterator[tuple[float, System]]:
    """All moves of all particles of a system, with their probabilities."""
    log_z, particles = system
    for draws in itertools.product(*(moves[s] for _, s, _ in particles)):
        moved = [
            (a if first else a_0, ahead, w + gain)
            for (a_0, _, w), (_, a, ahead, gain) in zip(particles, draws, strict=True)
        ]
        yield math.prod(p for p, *_ in draws), (log_z, tuple(sorted(moved)))


def _resampled(system: System, *, share: float, ancestors: Ancestors) -> Iterator[tuple[float, System]]:
    """All choices of ancestors with their probabilities; the system itself if its sample size suffices."""
    log_z, particles = system
    log_w = np.array([w for _, _, w in particles])
    if effective_size(log_w) >= share * len(particles):
        yield 1.0, system
        return
    chances = np.exp(log_w - logsumexp(log_w)).tolist()
    log_mean = float(_log_mean(log_w[None])[0])
    for probability, chosen in ancestors(chances):
        kept = sorted((particles[n][0], particles[n][1], 0.0) for n in chosen)
        yield probability, (log_z + log_mean, tuple(kept))


def _multinomial(chances: list[float]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """All choices of as many ancestors as particles, drawn independently, with their probabilities."""
    for chosen in itertools.product(range(len(chances)), repeat=len(chances)):
        yield math.prod(chances[n] for n in chosen), chosen


def _systematic(chances: list[float]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Choices of the ancestors of two particles by systematic resampling, with their probabilities.

    The heavier one, of share w, is an ancestor once for sure, and twice with probability 2 w - 1.
    """
    heavier = int(chances[1] > chances[0])
    twice = 2 * chances[heavier] - 1
    yield twice, (heavier, heavier)
    yield 1 - twice, (0, 1)


RESAMPLING: dict[str, Ancestors] = {"multinomial": _multinomial, "systematic": _systematic}
"""Choices of ancestors, with their probabilities, from the shares of the particles, by name."""


def _log_mean(log_w: Array) -> Array:
    """Logarithm of the mean weight of each outcome, `[K]`."""
    out: Array = logsumexp(log_w, axis=1) - np.log(log_w.shape[1])
    return out
