r"""Claims that exact soft Q-learning, policy gradients and the sampler's flow compute what their docstrings define.

Both sides: the algorithms of `virel_theory.variational`, three iterations, against formulas in this file: softmax and
        log-sum-exp, gradients by complex steps through linear solves, loops over particles.
Bound:  rounding. Soft Q-learning: 64 (S + A + 8) u (1 + B) per backup, k of them, over alpha for probabilities. The
        policy gradient: `coincidences.tools`, which counts the growth over steps. The flow: scores are at most M =
        sum_k k|q_k|/alpha + 4/(1 - a^2), a step moves by at most M + 1/h and doubles errors at most 4 + M + 2/h^2
        times: 256 N u (4 + M + 2/h^2)^n with h the smallest bandwidth on the way.
Teeth:  `perturb` doubles the temperature of one side; the step size.
"""

from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from verify.claims.coincidences.tools import allowance, compared, gammas, warm
from verify.claims.instances import choices, fractions
from verify.claims.soft_q.returns import discounted, visits
from verify.claims.soft_q.tools import boltzmann, jacobian, kl
from verify.engine.claim import A_DEFINITION, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import distributions, instances, policies
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.algorithms.erpg import erpg
from virel_theory.variational.algorithms.sql import sql
from virel_theory.variational.core.iterate import Iterate
from virel_theory.variational.parts.stein import stein_flow

N_STEPS = 3


def sql_gap(
    *,
    mdp: TabularMDP,
    v0: Array | None,
    d: Array | None,
    alpha: float,
    sweeps: int | None,
    perturb: float = 0.0,
) -> Gap:
    """Gap of exact soft Q-learning: iterates minus the recursion in its docstring, zero."""
    found = list(islice(sql(mdp, alpha=alpha * (1 + perturb), v0=v0, d=d, sweeps=sweeps), N_STEPS))
    even: Array = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    v, truth = np.zeros(mdp.n_states) if v0 is None else v0, []
    for k in range(1, N_STEPS + 1):
        q = np.where(mdp.available, mdp.reward + mdp.gamma * mdp.expect_next(v), 0.0)
        x = boltzmann(q, even, alpha)
        v = x.v + alpha * np.log(mdp.available.sum(axis=1))
        truth.append(_iterate(mdp, k, q, x.pi, even, alpha, _mean(d, kl(x))))
    return worst(
        compared(mdp, found, truth, eta=alpha, names=("q", "policy", "posterior", "prior")),
        _numbers(mdp, found, truth, alpha),
    )


def erpg_gap(
    *,
    mdp: TabularMDP,
    prior: Array,
    d: Array | None,
    alpha: float,
    step: float,
    form: str,
    perturb: float = 0.0,
) -> Gap:
    """Gap of the exact policy gradient: iterates minus ascent along complex-step gradients, zero."""
    options: dict[str, Any] = {
        "tau": alpha,
        "step": step * (1 + perturb),
        "form": form,
        "prior": prior,
        "d": d,
    }
    found, truth, q = list(islice(erpg(mdp, **options), N_STEPS)), [], np.zeros(mdp.shape)
    for k in range(1, N_STEPS + 1):
        q = q + step * _ascent(mdp, q, prior, alpha)
        x = boltzmann(q, prior, alpha)
        truth.append(_iterate(mdp, k, q, x.pi, prior, alpha, _mean(d, kl(x))))
    return worst(
        compared(mdp, found, truth, eta=alpha, names=("q", "policy", "posterior", "prior")),
        _numbers(mdp, found, truth, alpha),
    )


def _ascent(mdp: TabularMDP, q: Array, prior: Array, tau: float) -> Array:
    """`tau grad (1 - gamma) J - grad E_mu[(V_q - V_pi)^2]/2` in the table q, by complex steps."""

    def value(z: Any) -> Any:
        x = boltzmann(z, prior, tau)
        return discounted(mdp, x.pi, np.sum(x.pi * mdp.reward, axis=1) - tau * kl(x))

    v, mu = value(q), (1 - mdp.gamma) * visits(mdp, boltzmann(q, prior, tau).pi)
    gain = jacobian(lambda z: (1 - mdp.gamma) * (mdp.initial @ value(z)), q)
    loss = jacobian(lambda z: mu @ (boltzmann(z, prior, tau).v - v) ** 2 / 2, q)
    out: Array = tau * gain - loss
    return out


def _mean(d: Array | None, f: Array) -> float:
    return float(np.mean(f) if d is None else d @ f)


def _iterate(
    mdp: TabularMDP, k: int, q: Array, pi: Array, prior: Array, tau: float, divergence: float
) -> Iterate:
    """Iterate of which every table and number is computed here, but the two bounds."""
    masked = np.where(mdp.available, q, -np.inf)
    value = float(mdp.initial @ discounted(mdp, pi, np.sum(pi * mdp.reward, axis=1)))
    return Iterate(k, masked, pi, prior, pi, tau, divergence, value, 0.0, 0.0)


def _numbers(mdp: TabularMDP, found: list[Iterate], truth: list[Iterate], tau: float) -> Gap:
    """Worst of the steps' numbers; the return may be off by its own error bound."""
    gaps = []
    for x, y in zip(found, truth, strict=True):
        room = allowance(mdp, found, y.step, eta=tau)
        size = 1 + np.abs(mdp.reward).max() / (1 - mdp.gamma) ** 2 + np.log(mdp.n_actions)
        far = room * 4 * size * (1 + 1 / tau) + 256 * U * size
        gaps += [
            Gap(abs(x.kl - y.kl), far),
            Gap(abs(x.value - y.value) - x.error, far),
            Gap(abs(x.temperature - y.temperature) + abs(x.step - y.step), 0.0),
        ]
    return worst(*gaps)


def flow_gap(
    *, start: Array, q: Array, alpha: float, space: str, step: float, n: int, perturb: float = 0.0
) -> Gap:
    """Gap of Stein variational gradient descent: the flow minus loops over particles, zero."""
    f = Polynomial(q)
    options: dict[str, Any] = {
        "q": f,
        "alpha": alpha,
        "space": space,
        "step": step * (1 + perturb),
        "n_steps": n,
    }
    found, x, growth = stein_flow(start, **options), start.copy(), 1.0
    x = np.arctanh(x) if space == "u" else x
    for _ in range(n):
        h, a = _bandwidth(x), np.tanh(x) if space == "u" else x
        score = f.deriv()(a) / alpha - 2 * a / (1 - a**2)
        score = (1 - a**2) * score if space == "u" else score
        growth *= 4 + np.abs(score).max() * (1 + 1 / (1 - np.abs(a).max()) ** 2) + 2 / h**2
        x = x + step * np.array([_direction(y, x, score, h) for y in x])
        x = x if space == "u" else np.minimum(np.maximum(x, -1 + 1e-6), 1 - 1e-6)
    truth = np.tanh(x) if space == "u" else x
    return Gap(np.abs(found - truth).max(), 256 * len(x) * U * growth)


def _direction(y: float, x: Array, score: Array, h: float) -> float:
    total = 0.0
    for x_j, s_j in zip(x, score, strict=True):
        total += np.exp(-((x_j - y) ** 2) / (2 * h * h)) * (s_j - (x_j - y) / h**2)
    return total / len(x)


def _bandwidth(x: Array) -> float:
    apart = sorted(abs(a - b) for i, a in enumerate(x) for b in x[:i])
    if not apart or apart[len(apart) // 2] + apart[(len(apart) - 1) // 2] == 0:
        return 1.0
    median = (apart[len(apart) // 2] + apart[(len(apart) - 1) // 2]) / 2
    return float(median / np.sqrt(2 * np.log(len(x) + 1)))


def _values(mdp: TabularMDP) -> st.SearchStrategy[Array | None]:
    return st.none() | fractions(mdp.n_states, 8, over=2)


def _weights(mdp: TabularMDP) -> st.SearchStrategy[Array | None]:
    return st.none() | distributions(mdp)


_MDPS = choices(max_states=3, gammas=gammas(), masked=True)
_STARTS = st.lists(st.integers(-7, 7), min_size=1, max_size=4, unique=True).map(lambda k: np.array(k) / 8)


def _definition(claim_id: str, title: str, statement: str, gap: Any, strategy: Any) -> Claim:
    """Claim that code of the library computes its definition."""
    return Claim(
        id=claim_id,
        title=title,
        source="definitions in virel_theory.variational",
        statement=statement,
        check=Check(gap, strategy, n_random=100),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    )


CLAIMS = (
    _definition(
        "def-sql",
        "iterates of soft Q-learning",
        r"q_k = r + \gamma PV_{k-1},\ \pi_k \propto e^{q_k/\alpha},\ V_k = \alpha\log\sum_ae^{q_k/\alpha}",
        sql_gap,
        instances(mdp=_MDPS, v0=_values, d=_weights, alpha=warm(), sweeps=st.none() | st.integers(1, 3)),
    ),
    _definition(
        "def-erpg",
        "iterates of the regularised policy gradient",
        r"q_k = q_{k-1} + step\,(\tau\nabla_q(1-\gamma)J - \nabla_qE_\mu[\tfrac12(V_q - V_\pi)^2])",
        erpg_gap,
        instances(
            mdp=_MDPS,
            prior=lambda mdp: policies(mdp, full_support=False),
            d=_weights,
            alpha=warm(),
            step=st.sampled_from((1.0, 0.5)),
            form=st.sampled_from(("policy-gradient", "soft-q")),
        ),
    ),
    _definition(
        "def-stein-flow",
        "particles after steps of Stein variational gradient descent",
        r"x_i \leftarrow x_i + step\,\frac1N\sum_j[\kappa(x_j,x_i)\nabla\log p(x_j) + \partial_{x_j}\kappa(x_j,x_i)]",
        flow_gap,
        st.fixed_dictionaries(
            {
                "start": _STARTS,
                "q": st.integers(1, 4).flatmap(lambda n: fractions(n, 4, over=2)),
                "alpha": st.sampled_from((1.0, 2.0, 0.5)),
                "space": st.sampled_from(("u", "a")),
                "step": st.sampled_from((0.125, 0.5, 2.0)),
                "n": st.integers(0, 2),
            }
        ),
    ),
)
