r"""Claims on the iterates of IADP and HDP: each step is the maximiser that it is said to be, and J never falls.

The texts of Galashov et al. 2019 and Tirumala et al. 2019 could not be had. So the statements are ours.

Both sides: iterates of `iadp` and `hdp`, with exact evaluation by visits and with the drawn settings, against
        values, posteriors, mixtures, divergences and returns computed here from the iterate before by dense
        solves and term by term. J is looked at in every instance, along the exact steps computed here, so that
        a false mixture in the statement shows as a fall.
Bound:  rounding of linear solves, `tools.rounding`, for values. A posterior's logarithms have that error
        divided by alpha; so have probabilities (at most 1), mixtures and divergences, times 1 + max|log|.
        J's fall: values, at the largest logarithms along the way. A return may be off by the error that the
        iterate certifies: what exceeds that is compared with rounding.
Teeth:  `perturb` weighs the states of the mixture by 1 + perturb s, or adds to the return.
"""

from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from verify.claims.priors.tools import costs, mixture, rewards, rounding, state_values, visits
from verify.engine.claim import A_DEFINITION, Check, Claim, NoProof
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, mdps
from virel_theory.checks import Array
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.solve import policy_iteration
from virel_theory.variational.algorithms.distral import distral
from virel_theory.variational.algorithms.hdp import hdp
from virel_theory.variational.algorithms.iadp import iadp
from virel_theory.variational.parts.information import Ints

STEPS = 4


def iadp_gap(
    *,
    mdp: TabularMDP,
    d: Array,
    cells: int,
    alpha: float,
    sweeps: int | None,
    weigh: bool,
    perturb: float = 0.0,
) -> Gap:
    """Gap of IADP's steps, exact and with the drawn settings; and the largest fall of J along the exact ones."""
    task, cell = _started(mdp, d), np.arange(mdp.n_states) % cells
    steps = _iadp_steps(task, cell, alpha, _EXACT, perturb)
    drawn = _Settings(sweeps, d if weigh else None)
    others = [] if sweeps is None and not weigh else _iadp_steps(task, cell, alpha, drawn, perturb).gaps
    return worst(*steps.gaps, *others, _fall(steps))


def _iadp_steps(task: TabularMDP, cell: Ints, alpha: float, how: "_Settings", perturb: float) -> "_Steps":
    """Gaps of IADP's values, posterior, prior, divergence and return; J after each half of a step."""
    prior = np.full(task.shape, 1 / task.n_actions)
    pi, q, weights, gaps, objectives, room = prior, np.zeros(task.shape), task.initial, [], [], 0.0
    settings: dict[str, Any] = {"observation": cell.tolist(), "sweeps": how.sweeps, "d": how.d}
    for k, x in enumerate(islice(iadp(task, alpha=alpha, **settings), STEPS), start=1):
        q = _values(task, q, pi, costs(pi, prior, alpha, 1.0), how.sweeps)
        pi = _boltzmann(q, np.log(prior), alpha)
        weights = _weights(task, pi, weights, how.sweeps) if how.d is None else how.d
        seen = _blind(pi, weights * (1 + perturb * np.arange(task.n_states)), cell)
        gaps += _same(task, x, (pi, seen, float(weights @ costs(pi, prior, 1.0, 1.0))), alpha, prior)
        room = max(room, rounding(task, alpha, pi, prior, seen))
        gaps += [Gap(np.abs(x.q - q).max(), 32 * rounding(task, alpha, pi, prior)), Gap(abs(x.step - k), 0.0)]
        objectives += [_objective(task, pi, p, alpha) for p in (prior, seen)]
        prior = seen
    return _Steps(gaps, objectives, 4 * room)


def hdp_gap(
    *,
    mdp: TabularMDP,
    d: Array,
    cells: int,
    latents: int,
    low_step: float | None,
    alpha: float,
    sweeps: int | None,
    weigh: bool,
    perturb: float = 0.0,
) -> Gap:
    """Gap of HDP's steps, both levels, exact and with the drawn settings; and the largest fall of J.

    J charges the high level alone. It is looked at along the exact steps.
    """
    task, cell = _started(mdp, d), np.arange(mdp.n_states) % cells
    levels = latents, low_step
    steps = _hdp_steps(task, cell, levels, alpha, _EXACT, perturb)
    drawn = _Settings(sweeps, d if weigh else None)
    others = (
        [] if sweeps is None and not weigh else _hdp_steps(task, cell, levels, alpha, drawn, perturb).gaps
    )
    return worst(*steps.gaps, *others, _fall(steps))


def _hdp_steps(
    task: TabularMDP,
    cell: Ints,
    levels: tuple[int, float | None],
    alpha: float,
    how: "_Settings",
    perturb: float,
) -> "_Steps":
    """Gaps of HDP's values, both levels, prior, divergence and return; J after each half of a step."""
    latents, low_step = levels
    low, q, weights = _first_low(task, latents), np.zeros(task.shape), task.initial
    high = default = np.full((task.n_states, latents), 1 / latents)
    t = 1 / alpha if low_step is None else low_step
    settings: dict[str, Any] = {"observation": cell.tolist(), "latents": latents, "low_step": low_step}
    gaps, objectives, room = [], [], 0.0
    found = hdp(task, alpha=alpha, sweeps=how.sweeps, d=how.d, **settings)
    for k, x in enumerate(islice(found, STEPS), start=1):
        q = _values(task, q, _acting(high, low), costs(high, default, alpha, 1.0), how.sweeps)
        by_latent = np.array([(level * q).sum(axis=1) for level in low]).T
        high = softmax(by_latent / alpha + np.log(default), axis=1)
        low = np.array([softmax(np.log(level) + t * q, axis=1) for level in low])
        pi, spent = _acting(high, low), costs(high, default, 1.0, 1.0)
        weights = _weights(task, pi, weights, how.sweeps) if how.d is None else how.d
        objectives.append(float(task.initial @ state_values(task, pi, alpha * spent)))
        room = max(room, rounding(task, alpha, pi, high, default))
        default = _blind(high, weights * (1 + perturb * np.arange(task.n_states)), cell)
        gaps += _same(task, x, (pi, _acting(default, low), float(weights @ spent)), alpha, pi)
        gaps += [
            Gap(np.abs(x.q - q).max(), 32 * rounding(task, alpha, pi, default)),
            Gap(abs(x.step - k), 0.0),
        ]
        objectives.append(float(task.initial @ state_values(task, pi, costs(high, default, alpha, 1.0))))
        room = max(room, rounding(task, alpha, pi, high, default))
    return _Steps(gaps, objectives, 4 * room)


class _Settings(NamedTuple):
    """Backups per evaluation, None for exact ones, and the weights of the states, None for the visits."""

    sweeps: int | None
    d: Array | None


_EXACT = _Settings(None, None)


class _Steps(NamedTuple):
    """Gaps of an algorithm's steps, the objective J after each half of a step, and the rounding of J."""

    gaps: list[Gap]
    objectives: list[float]
    room: float


def _fall(steps: _Steps) -> Gap:
    """Largest fall of J from one half of a step to the next, at most 0."""
    return Gap(-np.diff(steps.objectives).min(), steps.room)


def distral_gap(
    *,
    mdp: TabularMDP,
    reward_2: Array,
    d: Array,
    alpha: float,
    rho: float,
    sweeps: int,
    weigh: bool,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Distral's steps with backups in place of exact values: values, posteriors, prior, divergence, return."""
    tasks, gaps = [mdp, TabularMDP(mdp.transition, reward_2, mdp.gamma, d)], []
    prior = np.full(mdp.shape, 1 / mdp.n_actions)
    q, weights = [np.zeros(mdp.shape)] * 2, [task.initial for task in tasks]
    found = distral(tasks, alpha=alpha, exponent=rho, sweeps=sweeps, d=d if weigh else None)
    for k, x in enumerate(islice(found, STEPS), start=1):
        lean = rho * (1 + perturb) * np.log(prior)
        q = [_soft_values(task, table, lean, alpha, sweeps) for task, table in zip(tasks, q, strict=True)]
        pi = [_boltzmann(table, lean, alpha) for table in q]
        backed = [_weights(*each, sweeps) for each in zip(tasks, pi, weights, strict=True)]
        weights = [d] * 2 if weigh else backed
        kl = float(np.mean([w @ costs(y, prior, 1.0, 1.0) for w, y in zip(weights, pi, strict=True)]))
        prior = mixture(pi, weights)
        v = [state_values(task, y, np.zeros(mdp.n_states)) for task, y in zip(tasks, pi, strict=True)]
        value = np.mean([task.initial @ y for task, y in zip(tasks, v, strict=True)])
        loss = max(
            (policy_iteration(t, atol=1e-9, throw=False).value - y).max()
            for t, y in zip(tasks, v, strict=True)
        )
        bound = 32 * (1 + 1 / alpha) * rounding(mdp, alpha, *pi, prior)
        gaps += [Gap(np.abs(x.policy - np.array(pi)).max(), bound), Gap(np.abs(x.prior - prior).max(), bound)]
        gaps += [
            Gap(abs(x.kl - kl), bound),
            Gap(abs(x.value - value) - x.error, bound),
            Gap(loss - x.bound, bound),
        ]
        gaps += [Gap(np.abs(x.q - q).max(), bound), Gap(abs(x.step - k), 0.0)]
    return worst(*gaps)


def _soft_values(task: TabularMDP, q: Array, lean: Array, alpha: float, sweeps: int) -> Array:
    """Action values after so many backups `r + gamma E[alpha log sum_a e^(lean + q / alpha)]`."""
    for _ in range(sweeps):
        q = task.reward + task.gamma * task.expect_next(alpha * logsumexp(q / alpha + lean, axis=1))
    return q


def _values(task: TabularMDP, q: Array, pi: Array, cost: Array, sweeps: int | None) -> Array:
    """Action values of a policy that pays `cost`: exact, or so many backups of q."""
    if sweeps is None:
        return task.reward + task.gamma * task.expect_next(state_values(task, pi, cost))
    for _ in range(sweeps):
        q = task.reward + task.gamma * task.expect_next((pi * q).sum(axis=1) - cost)
    return q


def _weights(task: TabularMDP, pi: Array, before: Array, sweeps: int | None) -> Array:
    """Normalised visits of a policy: exact, or so many backups of those before."""
    if sweeps is None:
        return (1 - task.gamma) * visits(task, pi)
    for _ in range(sweeps):
        ahead = np.einsum("s,sa,sat->t", before, pi, task.dense_transition)
        before = (1 - task.gamma) * task.initial + task.gamma * ahead
    return before


def _same(
    task: TabularMDP, x: Any, wanted: tuple[Array, Array, float], alpha: float, prior: Array
) -> list[Gap]:
    """Gaps of an iterate's policy, prior, divergence and return from those computed here."""
    pi, seen, kl = wanted
    values = 4 * rounding(task, alpha, pi, prior, seen)
    relative = values * (1 + 1 / alpha) * 8
    v = state_values(task, pi, np.zeros(task.n_states))
    best = policy_iteration(task, atol=1e-9, throw=False)
    return [
        Gap((best.value - v).max() - best.error_bound - x.bound, values),
        Gap(np.abs(x.policy - pi).max(), relative),
        Gap(np.abs(x.posterior - pi).max(), relative),
        Gap(np.abs(x.prior - seen).max(), relative),
        Gap(abs(x.kl - kl), relative),
        Gap(
            abs(x.value - float(task.initial @ v)) - x.error,
            relative * (1 + np.abs(task.reward).max()) / (1 - task.gamma),
        ),
        Gap(abs(x.temperature - alpha), 0.0),
    ]


def _started(mdp: TabularMDP, d: Array) -> TabularMDP:
    return TabularMDP(mdp.transition, mdp.reward, mdp.gamma, d)


def _boltzmann(q: Array, log_prior: Array, alpha: float) -> Array:
    out: Array = softmax(q / alpha + log_prior, axis=1)
    return out


def _acting(high: Array, low: Array) -> Array:
    """Policy of a hierarchy, `sum_z high(z|s) low(a|z, s)`."""
    return np.asarray(sum(high[:, z, None] * level for z, level in enumerate(low)))


def _blind(pi: Array, weights: Array, cell: Ints) -> Array:
    """Weighted mean of the rows of all states with one observation, per state."""
    out = np.empty_like(pi)
    for seen in np.unique(cell):
        own = np.flatnonzero(cell == seen)
        out[own] = mixture([pi[[s]] for s in own], [weights[[s]] for s in own])
    return out


def _first_low(mdp: TabularMDP, latents: int) -> Array:
    """Low level that `hdp` starts from: half uniform, half on the action z mod A; uniform for one latent."""
    even = np.full(mdp.shape, 1 / mdp.n_actions)
    rows = np.eye(mdp.n_actions)[np.arange(latents) % mdp.n_actions]
    return np.array([even if latents == 1 else (even + row) / 2 for row in rows])


def _objective(task: TabularMDP, pi: Array, prior: Array, alpha: float) -> float:
    return float(task.initial @ state_values(task, pi, costs(pi, prior, alpha, 1.0)))


def _hiding() -> st.SearchStrategy[TabularMDP]:
    """MDPs in which a prior can hide something that matters: states, actions and a future; one in eight may not."""
    usual = mdps(max_states=4, min_actions=2, gammas=st.sampled_from([0.5, 0.75, 0.9]))
    usual = usual.filter(lambda mdp: mdp.n_states > 1)
    rare = mdps(max_states=2, max_actions=2, gammas=st.sampled_from([0.5, 0.0]))
    return st.integers(0, 7).flatmap(lambda k: rare if k == 7 else usual)


_PARTS: dict[str, Any] = {
    "mdp": _hiding(),
    "d": distributions,
    "cells": st.sampled_from([1, 1, 2]),
    "alpha": st.sampled_from([1.0, 0.5, 2.0, 4.0]),
    "sweeps": st.sampled_from([None, 1, 2]),
    "weigh": st.sampled_from([False, False, True]),
}
_ITERATES = NoProof("iterates of an algorithm in logarithms of logarithms, beyond the checker's algebra")

CLAIMS = (
    Claim(
        id="iadp-monotone",
        title="IADP's alternation never lowers its objective",
        source="ours, on Galashov et al. 2019",
        statement=r"J(\pi_{k+1}, p_{k+1}) \ge J(\pi_{k+1}, p_k) \ge J(\pi_k, p_k),\quad "
        r"\pi_{k+1} = \frac{p_ke^{Q_{\pi_k}/\alpha}}{Z},\ p_{k+1}(a|x^D) = \sum_{x^G}d_{k+1}(x^G|x^D)\pi_{k+1}(a|x)",
        check=Check(iadp_gap, instances(**_PARTS), n_random=60),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=_ITERATES,
    ),
    Claim(
        id="hdp-monotone",
        title="HDP's alternation never lowers its objective, which charges the high level alone",
        source="ours, on Tirumala et al. 2019",
        statement=r"J(\pi^H_{k+1}, \pi^L_{k+1}, p^H_{k+1}) \ge J(\pi^H_{k+1}, \pi^L_{k+1}, p^H_k) \ge J(\pi^H_k, \pi^L_k, p^H_k),\quad "
        r"\pi^H_{k+1} \propto p^H_ke^{E_{\pi^L_k}[Q_k]/\alpha},\ \pi^L_{k+1} \propto \pi^L_ke^{tQ_k}",
        check=Check(
            hdp_gap,
            instances(
                **_PARTS,
                latents=st.sampled_from([2, 3, 2, 3, 1]),
                low_step=st.sampled_from([0.5, None, 0.0, 1.0]),
            ),
            n_random=60,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=_ITERATES,
    ),
    Claim(
        id="distral-backups",
        title="Distral with backups in place of exact values",
        source="ours, on Teh et al. 2017",
        statement=r"Q_i \leftarrow B_i^nQ_i,\ \pi_i \propto p^\rho e^{Q_i/\alpha},\ w_i \leftarrow \big((1 - \gamma)p_0 + \gamma P_{\pi_i}^\top\big)^nw_i,\ "
        r"p = \frac{\sum_iw_i\pi_i}{\sum_iw_i}",
        check=Check(
            distral_gap,
            instances(
                **{name: _PARTS[name] for name in ("mdp", "d", "alpha", "weigh")},
                reward_2=rewards,
                rho=st.sampled_from([1.0, 0.5, 0.0]),
                sweeps=st.sampled_from([1, 2]),
            ),
            n_random=60,
        ),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
)
