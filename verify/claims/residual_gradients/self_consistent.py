"""Instances with a self-consistent temperature for the derivative claims, and their rounding bound.

Instances are built the other way round. `omega` and the residual `beta` (halves) are drawn, `eps` is half
the mean square of `beta`, and the reward is what makes both true: `r = q - gamma E[v'] + beta`, with `v`
the value of the Boltzmann policy at `eps`. At `gamma = 0`, `r`, `q` and `eps` are then simple fractions.

Bound, written down before the first run. With `k = max|q| / eps` a policy's entries carry `(8 + 4k)` ulps;
sums have at most `n = |H| S A` terms of at most six factors; `beta` carries `j = (max|r| + 2 max|q|) /
max|beta|` times as many ulps as `q`; dividing by `eps^2 + gamma EE_w Q` costs `kappa = (eps^2 + gamma |..|)
/ |eps^2 + gamma ..|`, and so does the float nearest to the root `eps`: `16 u (n + 8 + 4k) (1 + j) kappa^2`
relative to the sum of the absolute values of the terms. Instances where this exceeds 1e-8 (near a fold of
the self-consistent temperature) are not drawn.
"""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from verify.arithmetic.dual import Number, log
from verify.arithmetic.model import Table, boltzmann, pairs, q_table, residual, state_values
from verify.engine.claim import Instance
from verify.engine.verdict import Gap
from verify.strategies import GAMMAS, approximators, mdps, temperatures
from virel_theory.checks import Array, U
from virel_theory.gradients.approximators import Approximator, LinearQ, TabularQ, TanhQ
from virel_theory.mdp.tabular import TabularMDP

RELATIVE = 1e-8
"""Largest relative bound at which an instance is drawn."""
Model = tuple[Approximator, Array]
"""Type of a critic: an approximator and its parameters."""


@dataclass(frozen=True, eq=False)
class Point:
    """Q, grad Q, beta, pi_omega at a self-consistent eps_omega, and the rounding bound of its gradient.

    `amplification` is `1 + gamma |EE_w Q| / eps^2`: by how much terms exceed their sum in (28), where a
    known derivative is inserted.
    """

    q: Array
    b_omega: Array
    beta: Array
    pi: Array
    size_policy: float
    size_eps: float
    amplification: float
    bound: float


def evaluate(mdp: TabularMDP, model: Model, eps: float) -> Point:
    """Evaluate Q, its gradient, beta and pi_omega at the self-consistent `eps`, with sizes and bound."""
    approximator, omega = model
    q, b = approximator.value(omega), approximator.jacobian(omega)
    pi = _softmax(q, eps)
    q0 = np.where(mdp.available, q, 0.0)
    transition = np.asarray(mdp.dense_transition)
    beta = np.where(mdp.available, mdp.reward + mdp.gamma * transition @ (pi * q0).sum(axis=1) - q0, 0.0)
    weight = np.abs(beta) / mdp.n_pairs
    absolute_b, mean_b = np.abs(b), (pi[:, :, None] * np.abs(b)).sum(axis=1)
    on_b = _next(transition, pi, np.abs(q0)[:, :, None] * (absolute_b + mean_b[:, None]))
    on_q = _next(transition, pi, np.abs(q0) * (np.abs(q0) + (pi * np.abs(q0)).sum(axis=1)[:, None]))
    v_abs, g_abs = float((weight * on_q).sum()), float(np.einsum("sa,san->n", weight, on_b).max(initial=0))
    fixed = float(
        np.einsum("sa,san->n", weight, mdp.gamma * _next(transition, pi, absolute_b) + absolute_b).max(
            initial=0
        )
    )
    centred = q0 - (pi * q0).sum(axis=1)[:, None]
    below = eps**2 + mdp.gamma * float((beta * _next(transition, pi, q0 * centred)).sum()) / mdp.n_pairs
    kappa = (eps**2 + mdp.gamma * v_abs) / abs(below) if below else np.inf
    j = (np.abs(mdp.reward).max() + 2 * np.abs(q0).max()) / np.abs(beta).max()
    terms = mdp.n_pairs * mdp.n_states * mdp.n_actions + 8 + 4 * np.abs(q0).max() / eps
    size_policy = (eps * g_abs + fixed * v_abs) / abs(below) if below else np.inf
    size_eps = (eps**2 * fixed + mdp.gamma * eps * g_abs) / abs(below) if below else np.inf
    bound = 16 * U * terms * (1 + j) * kappa**2
    return Point(q, b, beta, pi, size_policy, size_eps, 1 + mdp.gamma * v_abs / eps**2, float(bound))


@st.composite
def self_consistent(draw: st.DrawFn, *, max_states: int = 3, max_actions: int = 3) -> Instance:
    """Hypothesis strategy that draws an MDP, a critic `model`, and its self-consistent temperature `eps`.

    The model is `(approximator, omega)`.
    """
    base = draw(
        mdps(max_states=max_states, max_actions=max_actions, rewards=st.just(0.0), masked=draw(st.booleans()))
    )
    approximator, omega = draw(approximators(base))
    halves = st.sampled_from([1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.0, -2.0])
    beta = draw(hnp.arrays(np.float64, base.shape, elements=halves, fill=st.nothing())) * base.available
    eps = float((beta**2).sum() / (2 * base.n_pairs))
    q = approximator.value(omega)
    mdp = with_residual(base, q, beta=beta, eps=eps)
    return {"mdp": mdp, "model": (approximator, omega), "eps": eps}


def seeded(seed: int) -> Instance:
    """Build an MDP and critic with self-consistent eps from a seed: normal features, parameters, residuals.

    Fast, but it does not shrink.
    """
    rng = np.random.default_rng(seed)
    shape, kind = (int(rng.integers(1, 5)), int(rng.integers(1, 4))), seed % 3
    mask = rng.random(shape) < 0.8
    mask[np.arange(shape[0]), rng.integers(0, shape[1], shape[0])] = True
    rows = rng.dirichlet(np.ones(shape[0]), size=shape) * mask[:, :, None]
    base = TabularMDP(rows, np.zeros(shape), float(rng.choice(GAMMAS)), mask=mask)
    features = rng.normal(size=(*shape, int(rng.integers(1, 4))))
    approximator: Approximator = TabularQ(mask)
    if kind:
        approximator = LinearQ(features, mask) if kind == 1 else TanhQ(features, 2, mask)
    omega, beta = rng.normal(size=approximator.n_parameters), rng.normal(size=shape) * mask
    eps = float((beta**2).sum() / (2 * base.n_pairs))
    mdp = with_residual(base, approximator.value(omega), beta=beta, eps=eps)
    return {"mdp": mdp, "model": (approximator, omega), "eps": eps}


def seeded_instances() -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws an MDP and critic with self-consistent eps by seed, bound <= 1e-8."""
    return st.integers(0, 2**32 - 1).map(seeded).filter(well_conditioned)


def at_constant_temperature() -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws an MDP, a critic `model`, and an `eps_k` independent of omega."""

    def build(seed: int, eps_k: float) -> Instance:
        drawn = seeded(seed)
        return {"mdp": drawn["mdp"], "model": drawn["model"], "eps_k": eps_k}

    return st.builds(build, st.integers(0, 2**32 - 1), temperatures())


def well_conditioned(instance: Instance) -> bool:
    """Whether the rounding bound of a critic's self-consistent derivatives is at most 1e-8."""
    return evaluate(instance["mdp"], instance["model"], instance["eps"]).bound <= RELATIVE


def with_residual(mdp: TabularMDP, q: Array, *, beta: Array, eps: float) -> TabularMDP:
    """Copy of an MDP with the reward that makes `beta` the residual of `q` under pi_omega at `eps`."""
    q0 = np.where(mdp.available, q, 0.0)
    v = (_softmax(q, eps) * q0).sum(axis=1)
    reward = np.where(mdp.available, q0 - mdp.gamma * mdp.expect_next(v) + beta, 0.0)
    return TabularMDP(mdp.transition, reward, mdp.gamma, mdp.initial, mdp.mask)


def relative_gap(left: Array, right: Array, *, size: float, bound: float) -> Gap:
    """Gap of two arrays, a formula and its truth: largest difference over the size of terms, against `bound`.

    The difference is absolute if that size is 0: both sides are exactly 0 then.
    """
    difference = float(np.max(np.abs(left - right), initial=0.0))
    return Gap(difference / size if size > 0 else difference, bound)


def policy_term(
    mdp: TabularMDP, model: Model, *, omega: list[Number], eps: Number, at: Table, pi: Table
) -> Number:
    r"""Term $E[\beta E_\omega[\log\pi_\omega(a'|s')\,\hat Q(h')]]$, all but the logarithm held constant.

    Its gradient is the left side of Theorem 4. `at` and `pi` are the constant values and policy, as plain
    numbers; `omega` and `eps` carry the derivative.
    """
    beta = residual(mdp, at, state_values(at, pi))
    dual_pi = boltzmann(q_table(mdp, model[0], omega), eps)
    v = state_values({h: at[h] * log(p) for h, p in dual_pi.items()}, pi)
    dense = mdp.dense_transition
    total: Number = 0
    for s, a in pairs(mdp):
        for t in range(mdp.n_states):
            total = total + beta[s, a] * float(dense[s, a, t]) * v[t]
    return total / mdp.n_pairs


def as_array(mdp: TabularMDP, table: Table, size: int) -> Array:
    """Derivatives of a table of dual numbers, as an array `[S, A, N]`; 0 where the action is missing."""
    out = np.zeros((*mdp.shape, size))
    for h, x in table.items():
        out[h] = x.tangent if hasattr(x, "tangent") else 0.0
    return out


def frozen(mdp: TabularMDP, model: Model, eps: Number) -> tuple[Table, Table]:
    """Values Q and policy pi_omega of a critic `model` as constants, plain numbers of the type of `eps`."""
    q = q_table(mdp, model[0], [type(eps)(float(x)) for x in model[1]])
    return q, boltzmann(q, eps)


def _softmax(q: Array, eps: float) -> Array:
    w = np.exp((q - q.max(axis=1, keepdims=True)) / eps)
    out: Array = w / w.sum(axis=1, keepdims=True)
    return out


def _next(transition: Array, pi: Array, f: Array) -> Array:
    out: Array = np.einsum("sat,tb,tb...->sa...", transition, pi, f)
    return out
