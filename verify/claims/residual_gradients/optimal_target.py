"""Claims on App. E.3 with target $T^*$: the derivative of the residual, printed without gamma.

Both sides: formulas from `virel_theory`; the truth from dual numbers through the largest value of each state.
Bound:      rounding, `16 u (S + 2) max|b|`; features, rewards and Q are halves or quarters, so most
        instances are exact.
Teeth:      `perturb` doubles the truth.
Ablation:   unique maxima. Tables with ties are drawn, and the formula is held against the one-sided
        difference quotient from below, which is exact for a piecewise linear function and a step (1/1024)
        smaller than any gap between values.
"""

from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from verify.arithmetic.dual import variables
from verify.arithmetic.model import greedy_values, q_table, residual
from verify.claims import recorded
from verify.claims.residual_gradients.self_consistent import Model, as_array, relative_gap, seeded
from verify.engine.claim import Assumption, Check, Claim, Correction, Instance, Step
from verify.engine.verdict import Gap, Verdict, Weight
from verify.strategies import approximators, instances, mdps
from virel_theory.checks import Array, U
from virel_theory.gradients.approximators import TabularQ
from virel_theory.gradients.as_printed import grad_beta_optimal_as_printed
from virel_theory.gradients.residual_error import grad_beta_optimal
from virel_theory.mdp.tabular import TabularMDP

STEP = 1 / 1024


def gap(formula: Any, *, mdp: TabularMDP, model: Model, perturb: float = 0.0) -> Gap:
    """Gap of App. E.3: printed or corrected gradient `formula` minus the true gradient of `T* Q - Q`, zero.

    It is relative to the largest gradient of Q.
    """
    approximator, omega = model
    q = q_table(mdp, approximator, variables(omega))
    truth = as_array(mdp, residual(mdp, q, greedy_values(q)), len(omega)) * (1 + perturb)
    b = approximator.jacobian(omega)
    size = float(np.abs(b).max(initial=0))
    return relative_gap(formula(mdp, approximator.value(omega), b), truth, size=size, bound=_bound(mdp))


def missing_gamma_gap(*, mdp: TabularMDP, model: Model, perturb: float = 0.0) -> Gap:
    """Gap of App. E.3, no gamma: printed minus corrected minus `(1 - gamma) E[grad Q(a*, s')]`, zero."""
    q, b = model[0].value(model[1]), model[0].jacobian(model[1])
    best = b[np.arange(mdp.n_states), q.argmax(axis=1)]
    missing = np.einsum("sat,tn->san", np.asarray(mdp.dense_transition), best) * (1 - mdp.gamma + perturb)
    found = grad_beta_optimal_as_printed(mdp, q, b) - grad_beta_optimal(mdp, q, b)
    return relative_gap(found, missing, size=float(np.abs(b).max(initial=0)), bound=_bound(mdp))


def one_sided_gap(*, mdp: TabularMDP, omega: Array, perturb: float = 0.0) -> Gap:
    """Gap of App. E.3 without unique maxima: corrected formula minus difference quotients from below."""
    approximator = TabularQ(mdp.available)
    slopes = np.zeros((*mdp.shape, len(omega)))
    here = _residual(mdp, omega)
    for i in range(len(omega)):
        down = omega.copy()
        down[i] -= STEP
        slopes[:, :, i] = (here - _residual(mdp, down)) / STEP
    found = grad_beta_optimal(mdp, approximator.value(omega), approximator.jacobian(omega))
    size = 1 + np.abs(mdp.reward).max() + np.abs(omega).max()
    return Gap(np.abs(found - slopes).max() + perturb, _bound(mdp) * float(size) / STEP)


def _residual(mdp: TabularMDP, omega: Array) -> Array:
    q = q_table(mdp, TabularQ(mdp.available), omega.tolist())
    out = np.zeros(mdp.shape)
    for h, value in residual(mdp, q, greedy_values(q)).items():
        out[h] = value
    return out


def _bound(mdp: TabularMDP) -> float:
    return 16 * U * (mdp.n_states + 2)


def _unique(instance: Instance) -> bool:
    q = instance["model"][0].value(instance["model"][1])
    top = np.sort(q, axis=1)
    return bool(q.shape[1] == 1 or (top[:, -1] - top[:, -2] > 1e-6).all())


_INSTANCES = instances(mdp=mdps(max_states=3, masked=True), model=approximators).filter(_unique)


_RANDOM = (
    st.integers(0, 2**32 - 1)
    .map(seeded)
    .map(lambda drawn: {"mdp": drawn["mdp"], "model": drawn["model"]})
    .filter(_unique)
)


@st.composite
def _tied(draw: st.DrawFn) -> Instance:
    mdp = draw(mdps(max_states=2, max_actions=2))
    omega = draw(
        st.lists(st.integers(-2, 2).map(float), min_size=mdp.n_pairs, max_size=mdp.n_pairs).map(np.array)
    )
    return {"mdp": mdp, "omega": omega}


CLAIM = Claim(
    id="app-e3-optimal-target",
    title="Derivative of the residual under T*",
    source="App. E.3, after Eq. (26)",
    statement=r"\nabla_\omega\beta_\omega(h) = E_{s' \sim p(s'|h)}[\nabla_\omega\hat Q_\omega(a^*,s')] - \nabla_\omega\hat Q_\omega(h), "
    r"\quad a^* = \operatorname{argmax}_a \hat Q(a,s')",
    check=Check(partial(gap, grad_beta_optimal_as_printed), _INSTANCES, recorded=recorded.R_WITH_MODEL),
    expected=Verdict.REFUTED,
    weight=Weight.MISPRINT,
    assumptions=(
        Assumption(
            "unique maxima",
            "every state has one maximiser, as the symbol a^* presumes",
            Check(one_sided_gap, _tied()),
        ),
    ),
    steps=(
        Step(
            "the missing factor",
            r"printed minus corrected is (1-\gamma) E[\nabla_\omega\hat Q_\omega(a^*,s')] (ours)",
            Check(missing_gamma_gap, _INSTANCES, n_random=50),
        ),
    ),
    correction=Correction(
        r"\nabla_\omega\beta_\omega(h) = \gamma E_{s' \sim p(s'|h)}[\nabla_\omega\hat Q_\omega(a^*,s')] - \nabla_\omega\hat Q_\omega(h)",
        r"By the envelope theorem $\nabla\max_a\hat Q_\omega = \nabla\hat Q_\omega(a^*, \cdot)$ at a unique maximiser; the factor "
        r"$\gamma$ of $T^*\hat Q = r + \gamma E[\max_{a'}\hat Q]$, printed one line earlier, multiplies it. The printed error is "
        r"$(1-\gamma) E[\nabla\hat Q_\omega(a^*,s')]$. Where maxima tie no derivative exists: one-sided ones differ.",
        Check(partial(gap, grad_beta_optimal), _RANDOM, n_random=1000),
    ),
)
