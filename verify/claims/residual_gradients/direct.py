"""Claims on App. F.3, the direct method: its gradient is printed twice, with opposite signs.

Both sides: formulas from `virel_theory`; the truth from dual numbers with a stop-gradient on `T_w Q_w`, for
        the targets of App. C and E.3 (`T*`, and Boltzmann with a constant temperature), all with the
        residual error `E[beta^2] / 2`.
Bound:      rounding, `16 u (n + 8 + 4k)` with `n = |H| S A` and `k = max|q| / eps_k`, relative to `max|b|
        max|terms of beta|`.
Teeth:      `perturb` doubles the truth.
Ablation:   the stop-gradient. Without it the direct gradient is not that of the residual error (a
        semi-gradient).
"""

from functools import partial
from typing import Any

import numpy as np

from verify.arithmetic.dual import gradient_of, stop_gradient, variables
from verify.arithmetic.model import (
    Table,
    boltzmann,
    greedy_values,
    half_mean_square,
    pairs,
    q_table,
    residual,
    state_values,
)
from verify.claims import recorded
from verify.claims.residual_gradients.self_consistent import Model, at_constant_temperature, relative_gap
from verify.engine.claim import Assumption, Check, Claim, Correction, Step
from verify.engine.verdict import Gap, Verdict, Weight, worst
from verify.strategies import approximators, instances, mdps, temperatures
from virel_theory.checks import U
from virel_theory.gradients.as_printed import direct_gradient_as_printed
from virel_theory.gradients.em_steps import direct_gradient
from virel_theory.mdp.tabular import TabularMDP


def gap(
    formula: Any, stopped: bool, *, mdp: TabularMDP, model: Model, eps_k: float, perturb: float = 0.0
) -> Gap:
    """Gap of App. F.3: printed gradient `formula` minus that of `E[(sg[T Q] - Q)^2] / 2`, for both targets T.

    `stopped=False` drops the stop-gradient sg.
    """
    q = q_table(mdp, model[0], variables(model[1]))
    targets = (greedy_values(q), state_values(q, boltzmann(q, eps_k)))
    return worst(*(_one(formula, stopped, mdp, model, q, v, eps_k, perturb) for v in targets))


def _one(
    formula: Any,
    stopped: bool,
    mdp: TabularMDP,
    model: Model,
    q: Table,
    v: Table | dict[int, Any],
    eps_k: float,
    perturb: float,
) -> Gap:
    target = {s: stop_gradient(x) for s, x in v.items()} if stopped else v
    beta = residual(mdp, q, target)  # type: ignore[arg-type]
    truth = gradient_of(half_mean_square(beta), len(model[1])) * (1 + perturb)
    values = np.zeros(mdp.shape)
    for h in pairs(mdp):
        values[h] = stop_gradient(beta[h])
    b, table = model[0].jacobian(model[1]), model[0].value(model[1])[mdp.available]
    k = float(np.abs(table).max()) / eps_k
    size = float(np.abs(b).max(initial=0) * (np.abs(mdp.reward).max() + 2 * np.abs(table).max()))
    bound = 16 * U * (mdp.n_pairs * mdp.n_states * mdp.n_actions + 8 + 4 * k)
    return relative_gap(formula(mdp, values, b), truth, size=size, bound=bound)


def signs_gap(*, mdp: TabularMDP, model: Model, eps_k: float, perturb: float = 0.0) -> Gap:
    """Gap of App. F.3: sum of the gradient's two printed forms, 0 as they differ in sign alone."""
    q, b = np.where(mdp.available, model[0].value(model[1]), 0.0), model[0].jacobian(model[1])
    beta = np.where(mdp.available, mdp.reward - (1 + eps_k) * q, 0.0)
    both = direct_gradient(mdp, beta, b) * (1 + perturb) + direct_gradient_as_printed(mdp, beta, b)
    return Gap(np.abs(both).max(initial=0), 0.0)


_INSTANCES = instances(mdp=mdps(max_states=3, masked=True), model=approximators, eps_k=temperatures())
_SMALL = instances(mdp=mdps(max_states=2, max_actions=2), model=approximators, eps_k=temperatures())
_LEFT = r"\nabla_\omega\varepsilon_\omega = \frac12\nabla_\omega E[(\mathrm{sg}[\mathcal T_\omega\hat Q_\omega(h)] - \hat Q_\omega(h))^2] = "
_RIGHT = r"E[(\hat Q_\omega(h) - \mathcal T_\omega\hat Q_\omega(h))\nabla_\omega\hat Q_\omega(h)]"
_STOP = Assumption(
    "stop-gradient",
    "the target is held fixed; without it the direct gradient is not the gradient of the residual error",
    Check(partial(gap, direct_gradient, False), _SMALL),
)

CLAIMS = (
    Claim(
        id="app-f3-direct",
        title="Direct gradient, first display",
        source="App. F.3",
        statement=_LEFT + "-" + _RIGHT,
        check=Check(
            partial(gap, direct_gradient_as_printed, True),
            _INSTANCES,
            recorded=recorded.R_WITH_MODEL | {"eps_k": 0.5},
        ),
        expected=Verdict.REFUTED,
        weight=Weight.MISPRINT,
        assumptions=(_STOP,),
        steps=(
            Step(
                "both displays",
                "the two printed displays differ in sign alone",
                Check(signs_gap, _INSTANCES, n_random=50),
            ),
        ),
        correction=Correction(
            _LEFT + _RIGHT,
            r"Chain rule: $\frac12\nabla E[(y - \hat Q)^2] = E[(y - \hat Q)(-\nabla\hat Q)] = E[(\hat Q - y)\nabla\hat Q]$. The minus sign of the "
            r"first display belongs to $y - \hat Q$, not to $\hat Q - y$; the M-step's display has it right. Followed as printed, "
            r"$\omega \leftarrow \omega - \alpha\nabla\varepsilon_\omega$ would ascend.",
            Check(partial(gap, direct_gradient, True), at_constant_temperature(), n_random=1000),
        ),
    ),
    Claim(
        id="app-f3-direct-m-step",
        title="Direct gradient, M-step display",
        source="App. F.3, M-Step (Critic) direct",
        statement=r"\nabla_\omega\varepsilon_\omega = " + _RIGHT,
        check=Check(partial(gap, direct_gradient, True), _INSTANCES, n_random=100),
        expected=Verdict.HOLDS,
        assumptions=(_STOP,),
    ),
)
