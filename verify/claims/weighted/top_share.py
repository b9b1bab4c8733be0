r"""Claims on V-MPO's E-step: its loss (4) of the temperature, and the case that everything is kept.

Both sides: `virel_theory.variational.parts.top_share` and `algorithms.vmpo` against, in this file, kept fractions
        found value by value, Eqs. (3) and (4) as sums, MPO's weights, and the derivative of (4) in the temperature
        by a complex step; it vanishes at the temperature that the algorithm takes on a budget.
Bound:  rounding. With M = max|A|, the exponents A/eta <= M/eta carry a relative error of u, weights thus
        8u (1 + 2M/eta), sums of n pairs n u: probabilities 16 (n + 16) u (1 + 2M/eta); fractions of the kept
        mass at most 1e-12 / (mass of a pair) off, as `top_share` allows: 1e-12 n 64, masses being above 1/(64 n).
        (4) and its derivative have the size of epsilon + (1 + 2M/eta) times max(1, eta). A root of the budget
        spends it within 1e-12, relative. In an MDP, Q is off by delta = `solve_rounding` and V-MPO moves A by at
        most `tie_tolerance`, 1e-10 times half a spread and 32 ulps of max|Q|, below 1.0001e-10 max|Q|:
        4 (delta + that)/eta. The M-step's objective, a sum of logarithms of size at most
        L, loses at most its multiplier times what the trust region is missed by; 16 (1 + multiplier) (1 + L)
        times 1e-12 and the error of the weights.
        On a budget, the E-step is computed from an iterate's own values, and visits that are off by
        `solve_rounding` of size 1 in each of S states: kept shares are off by kappa = 64e-12 n + 16 (n + 16) u +
        4 S `solve_rounding`/keep in sum, the slope epsilon - KL of (4) and psi by kappa (2 + epsilon + X) with
        X = 2M/eta. Ties, joined here, move advantages by at most n tol, tol the tie tolerance. As the derivative
        of the KL in A/eta is a covariance with A/eta under psi, that moves it by X n tol/eta, and psi by
        2 n tol/eta. In the limit eta = 0 the KL is -log of a mass above e^-epsilon: kappa e^epsilon (2 + epsilon).
Teeth:  `perturb` doubles the temperature of one side, or adds to epsilon, or doubles the budget.
"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.special import logsumexp

from verify.claims.instances import choices, policy_values, solve_rounding
from verify.engine.claim import Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, policies, q_tables, temperatures
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.vmpo import vmpo
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.top_share import (
    top_share,
    top_share_dual,
    top_share_posterior,
    top_share_temperature,
)

STEP = 1e-30
N_STEPS = 3
"""Number of iterations of V-MPO on a budget that are looked at."""


def dual_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    pi: Array,
    d: Array,
    keep: float,
    eps: float,
    epsilon: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of V-MPO (4): its value, its slope `epsilon - KL(psi || kept)`, and the KL at its minimum; zero."""
    p, table = d[:, None] * pi, np.where(mdp.available, q, -np.inf)
    kept = p * fractions(table, p, keep)
    kept, gain = kept[kept > 0] / kept.sum(), table[kept > 0]
    own = _loss(gain, kept, epsilon + perturb, eps)
    slope = _loss(gain, kept, epsilon, eps + 1j * STEP).imag / STEP
    psi = top_share_posterior(table, eta=eps, mass=p, keep=keep)
    spent = _kl(psi[psi > 0], kept)
    size = (epsilon + 1 + 2 * np.abs(gain).max() / eps) * max(1.0, eps)
    bound = (16 * (mdp.n_pairs + 16) * U + 64e-12 * mdp.n_pairs) * size
    value = top_share_dual(table, epsilon=epsilon, eta=eps, mass=p, keep=keep)
    root = top_share_temperature(table, epsilon=epsilon, mass=p, keep=keep)
    best = top_share_posterior(table, eta=root, mass=p, keep=keep)
    over = _kl(best[best > 0], kept if root else kept[gain == gain.max()]) - epsilon
    near = table + 1e-9 * (np.arange(table.size) % 3).reshape(table.shape)  # values differ by 1/4, if at all
    shares = [top_share(table, mass=p, keep=keep), top_share(near, mass=p, keep=keep, tie_tol=1e-8)]
    return worst(
        *[Gap(np.abs(f - fractions(table, p, keep)).max(), 64e-12 * mdp.n_pairs) for f in shares],
        Gap(abs(value - own.real), bound),
        Gap(abs(slope - (epsilon - spent)), bound),
        Gap(abs(over) if root else over, bound),
    )


def budget_gap(*, mdp: TabularMDP, pi: Array, keep: float, epsilon: float, perturb: float = 0.0) -> Gap:
    """Gap of V-MPO's E-steps on a budget, three iterations: values, slope of (4), posterior, divergence; zero."""
    old, gaps = pi, []
    size = 1 + float(np.abs(mdp.reward).max())
    for x in islice(vmpo(mdp, keep=keep, epsilon=epsilon, prior=pi), N_STEPS):
        q = mdp.reward + mdp.gamma * mdp.expect_next(policy_values(mdp, old))
        off = Gap(np.abs(np.where(mdp.available, x.q - q, 0.0)).max(), 4 * solve_rounding(mdp, size))
        gaps += [off, *_e_step_gaps(mdp, x, old, keep, epsilon * (1 + perturb))]
        old = x.policy
    return worst(*gaps)


def _e_step_gaps(mdp: TabularMDP, x: Iterate, old: Array, keep: float, epsilon: float) -> list[Gap]:
    """Gaps of an E-step whose temperature comes from (4), by its own values, at the visits of its old policy."""
    d = _visits(mdp, old)
    p, (table, tol) = d[:, None] * old, _advantages(x.q, old)
    joined = _joined(table, p, tol)
    if joined is None:
        return []
    kept = p * fractions(joined, p, keep)
    on, kept = kept > 0, kept / kept.sum()
    gain, n = joined[on], mdp.n_pairs
    own = 64e-12 * n + 16 * (n + 16) * U + 4 * mdp.n_states * solve_rounding(mdp, 1.0) / keep
    kl = Gap(abs(x.kl - _mean_kl(d, x.posterior, old)), 16 * own * (1 + np.abs(np.log(old[old > 0])).max()))
    same = [kl, Gap(np.abs(x.policy - x.posterior).max(), 0.0)]
    if x.temperature == 0:
        best = np.where(on & (joined == gain.max()), kept, 0.0)
        tied = table[best > 0]
        spent = Gap(-np.log(best.sum()) - epsilon, own * np.exp(epsilon) * (2 + epsilon))
        split = bool((tied != tied[0]).any())  # tied within rounding: the limit may take one of them alone
        return [*same, spent] if split else [*same, spent, _joint(best / best.sum(), x, 4 * own)]
    scale = 2 * float(np.abs(gain).max()) / x.temperature
    room = own * (2 + epsilon + scale) + 2 * (1 + scale) * n * tol / x.temperature
    slope = _loss(gain, kept[on], epsilon, x.temperature * (1 + 1j * STEP)).imag / (x.temperature * STEP)
    psi = np.zeros(mdp.shape)
    psi[on] = kept[on] * np.exp((gain - gain.max()) / x.temperature)
    return [*same, Gap(abs(slope), room), _joint(psi / psi.sum(), x, room)]


def _advantages(q: Array, old: Array) -> tuple[Array, float]:
    """Advantages of the old policy, 0 up to the distance that V-MPO takes for rounding; that distance."""
    exists = np.isfinite(q)
    table = q - (old * np.where(exists, q, 0.0)).sum(axis=1, keepdims=True)
    spread = (q.max(axis=1) - np.where(exists, q, np.inf).min(axis=1)).max() / 2
    tol = float(1e-10 * spread + 32 * 2 * U * np.abs(q[exists]).max())
    return np.where(np.abs(table) <= tol, 0.0, table), tol


def _joined(table: Array, p: Array, tol: float) -> Array | None:
    """Advantages with those that are tied within `tol` made equal; None if it is unclear which are."""
    values = np.unique(table[p > 0])
    apart = np.diff(values)
    if ((apart > tol / 4) & (apart < 4 * tol)).any():
        return None
    heads = values[np.concatenate([[True], apart > tol])]
    out: Array = heads[np.maximum(np.searchsorted(heads, table, side="right") - 1, 0)]
    return out


def _joint(psi: Array, x: Iterate, room: float) -> Gap:
    """Gap of an iterate's posterior in each state from that of `psi`, weighed by the state's share of `psi`."""
    return Gap(np.abs(psi - psi.sum(axis=1, keepdims=True) * x.posterior).max(), room)


def loss_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    pi: Array,
    d: Array,
    keep: float,
    eps: float,
    epsilon: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of V-MPO (4) and of the algorithm that takes its temperature from (4): the worse of the two."""
    loss = dual_gap(mdp=mdp, q=q, pi=pi, d=d, keep=keep, eps=eps, epsilon=epsilon, perturb=perturb)
    return worst(loss, budget_gap(mdp=mdp, pi=pi, keep=keep, epsilon=epsilon, perturb=perturb))


def keep_one_gap(*, mdp: TabularMDP, q: Array, pi: Array, d: Array, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of V-MPO with all pairs kept: psi(a|s) minus MPO's q(a|s), psi(s) minus `d E_pi[e^(A/eta)] / Z`; 0."""
    table = np.where(mdp.available, q, -np.inf)
    advantage = table - (pi * np.where(mdp.available, q, 0.0)).sum(axis=1, keepdims=True)
    psi = top_share_posterior(advantage, mass=d[:, None] * pi, keep=1.0, eta=eps * (1 + perturb))
    state = psi.sum(axis=1)
    log_mean = logsumexp(advantage / eps, b=pi, axis=1)
    expected = np.exp(np.log(d) + log_mean - logsumexp(log_mean, b=d))
    size = 1 + 2 * np.abs(advantage[mdp.available]).max() / eps
    bound = 16 * (mdp.n_pairs + 16) * U * size
    on = state > 1e-200  # below, e^(A/eta) has underflowed
    given = (psi / np.where(state > 0, state, 1)[:, None] - _mpo(table, pi, eps))[on]
    return worst(Gap(np.abs(given).max(), bound), Gap(np.abs(state - expected).max(), bound))


def iterate_gap(*, mdp: TabularMDP, pi: Array, eta: float, trust: float, perturb: float = 0.0) -> Gap:
    """Gap of a step of V-MPO that keeps all: its posterior minus MPO's, its divergences, its M-step; zero.

    With exact evaluation, and with two sweeps from 0 and from the initial distribution.
    """
    v = policy_values(mdp, pi)
    size = 1 + float(np.abs(mdp.reward + mdp.gamma * mdp.expect_next(v)).max())
    exact = _first_gap(mdp, pi, v, _visits(mdp, pi), eta, trust, None, solve_rounding(mdp, size), perturb)
    v, d = np.zeros(mdp.n_states), mdp.initial
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    for _ in range(2):
        v = (pi * (mdp.reward + mdp.gamma * mdp.expect_next(v))).sum(axis=1)
        d = (1 - mdp.gamma) * mdp.initial + mdp.gamma * (d @ p_pi)
    rounding = 64 * (mdp.n_pairs + 16) * U * size
    return worst(exact, _first_gap(mdp, pi, v, d, eta, trust, 2, rounding, perturb))


def _first_gap(
    mdp: TabularMDP,
    pi: Array,
    v: Array,
    d: Array,
    eta: float,
    trust: float,
    sweeps: int | None,
    rounding: float,
    perturb: float,
) -> Gap:
    q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), -np.inf)
    baseline = (pi * np.where(mdp.available, q, 0.0)).sum(axis=1)
    first = next(vmpo(mdp, keep=1.0, eta=eta, trust=trust, prior=pi, sweeps=sweeps))
    posterior = _mpo(q, pi, eta * (1 + perturb))
    log_mean = logsumexp((q - baseline[:, None]) / eta, b=pi, axis=1)
    psi = (d * np.exp(log_mean - log_mean.max()))[:, None] * posterior
    psi = psi / psi.sum()
    fitted, multiplier = _fitted(psi, pi, d, trust)
    on = psi > 0
    shortfall = float(psi[on] @ np.log(fitted[on] / first.policy[on]))
    size = 1 + float(np.abs(q[mdp.available]).max())
    delta = 4 * (rounding + 1.0001e-10 * size) / eta
    bound = delta + 64 * (mdp.n_pairs + 16) * U * (1 + 4 * size / eta)
    logs = 1 + float(np.abs(np.log(fitted[on])).max())
    return worst(
        Gap(abs(first.step - 1), 0.0),
        Gap(np.abs(first.posterior - posterior).max(), bound),
        Gap(abs(first.kl - _mean_kl(d, posterior, pi)), 8 * bound * (1 + 4 * size / eta)),
        Gap(_mean_kl(d, pi, first.policy) - trust, 8 * bound),
        Gap(shortfall, 16 * (1 + multiplier) * (1e-12 + bound) * logs),
    )


def all_kept_gap(
    *,
    mdp: TabularMDP,
    q: Array,
    pi: Array,
    d: Array,
    eps: float,
    eta: float,
    trust: float,
    perturb: float = 0.0,
) -> Gap:
    """Gap of V-MPO with all pairs kept: the worse of its E-step's gap and its first step's gap."""
    e_step = keep_one_gap(mdp=mdp, q=q, pi=pi, d=d, eps=eps, perturb=perturb)
    return worst(e_step, iterate_gap(mdp=mdp, pi=pi, eta=eta, trust=trust, perturb=perturb))


def fractions(table: Array, p: Array, keep: float) -> Array:
    """Kept fractions `[S, A]`: values in falling order, until their mass reaches `keep`."""
    out, left = np.zeros(table.shape), keep
    for x in sorted(set(table[p > 0].tolist()), reverse=True):
        here = (table == x) & (p > 0)
        mass = float(p[here].sum())
        out[here] = min(1.0, left / mass)
        left -= mass
        if left <= 1e-12:
            break
    return out


def _loss(gain: Array, kept: Array, epsilon: float, eta: Any) -> Any:
    """V-MPO (4) at a complex temperature: `eta epsilon + eta log sum kept e^(A/eta)`."""
    top = gain.max()
    return eta * epsilon + top + eta * np.log(np.sum(kept * np.exp((gain - top) / eta)))


def _mpo(q: Array, pi: Array, eta: float) -> Array:
    """MPO's posterior `pi e^(Q/eta) / Z`, through logarithms."""
    with np.errstate(divide="ignore"):
        x = np.log(pi) + (q - q.max(axis=1, keepdims=True)) / eta
    out: Array = np.exp(x - logsumexp(x, axis=1, keepdims=True))
    return out


def _visits(mdp: TabularMDP, pi: Array) -> Array:
    """Normalised discounted visits of a policy, by one linear solve from the left."""
    p_pi = np.einsum("sa,sat->st", pi, mdp.dense_transition)
    visits = np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * p_pi.T, mdp.initial)
    out: Array = visits / visits.sum()
    return out


def _fitted(psi: Array, pi: Array, d: Array, trust: float) -> tuple[Array, float]:
    """Maximiser of `sum psi log p` with `E_d KL(pi || p) <= trust`, and its multiplier, by bisection."""

    def policy(multiplier: float) -> Array:
        weights = psi + multiplier * d[:, None] * pi
        total = weights.sum(axis=1, keepdims=True)
        return np.where(total > 0, weights / np.where(total > 0, total, 1), pi)

    low, high = -80.0, 80.0
    if _mean_kl(d, pi, policy(0.0)) <= trust:
        return policy(0.0), 0.0
    for _ in range(90):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean_kl(d, pi, policy(np.exp(middle))) > trust else (low, middle)
    return policy(np.exp(high)), float(np.exp(high))


def _kl(p: Array, q: Array) -> float:
    return float(p @ np.log(p / q))


def _mean_kl(d: Array, p: Array, q: Array) -> float:
    on = p > 0
    return _kl(((d[:, None] * p)[on]), (d[:, None] * q)[on])


_CHOICES = choices(max_states=5, masked=True)

CLAIMS = (
    Claim(
        id="vmpo-dual",
        title="V-MPO's loss of the temperature",
        source="V-MPO, Eq. (4)",
        statement=r"\mathcal L_\eta(\eta) = \eta\epsilon_\eta + \eta\log\Big[\frac{1}{|\tilde D|}\sum_{s,a\sim\tilde D}"
        r"\exp\Big(\frac{A^{target}(s, a)}{\eta}\Big)\Big]",
        reading=r"With the kept mass in place of samples, as a loss whose derivative is $\epsilon_\eta - KL(\psi\|kept)$ and"
        r" vanishes at its minimum.",
        check=Check(
            loss_gap,
            instances(
                mdp=_CHOICES,
                q=q_tables,
                pi=lambda mdp: policies(mdp, full_support=False),
                d=distributions,
                keep=st.sampled_from((0.5, 0.25, 0.75, 1.0, 0.125)),
                eps=st.sampled_from((1.0, 0.5, 2.0, 4.0, 10.0)),
                epsilon=st.sampled_from((0.02, 0.1, 0.5, 2.0)),
            ),
        ),
        expected=Verdict.HOLDS,
    ),
    Claim(
        id="vmpo-keep-one",
        title="V-MPO that keeps all pairs: MPO's posterior, but other states",
        source="ours; V-MPO, Eq. (3), and MPO, Eq. (8)",
        statement=r"keep = 1:\quad \psi(a|s) = \frac{\pi(a|s)e^{Q(s,a)/\eta}}{\sum_b\pi(b|s)e^{Q(s,b)/\eta}},\qquad"
        r" \psi(s) \propto d(s)\,E_\pi[e^{A(s,a)/\eta}]",
        check=Check(
            all_kept_gap,
            instances(
                mdp=_CHOICES,
                q=q_tables,
                pi=policies,
                d=distributions,
                eps=temperatures(),
                eta=st.sampled_from((1.0, 0.5, 4.0)),
                trust=st.sampled_from((0.01, 0.1)),
            ),
            n_random=70,
        ),
        expected=Verdict.HOLDS,
        printed=False,
    ),
)
