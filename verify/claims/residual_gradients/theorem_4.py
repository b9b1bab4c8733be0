"""Claims on Theorem 4 and (30): the policy's derivative in expectation, the residual error's gradient.

Both sides: the printed (and corrected) right sides from `virel_theory`; the truth from code that shares
        nothing with them, in three ways: dual numbers through one Newton step at the root of `eps =
        g(omega, eps)`, implicit differentiation written with the partial derivatives of `g`, and, on one
        instance in 25, central differences at 50 digits with the root solved again at both ends.
Bound:      that of `self_consistent.py`, at most 1e-8 relative.
Teeth:      `perturb` doubles the truth (steps: the step's left side).
Derivation: `docs/derivations/theorem_4.md`.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from hypothesis import strategies as st

from verify.claims.residual_gradients.fold import FOLD
from verify.claims.residual_gradients.self_consistent import (
    Model,
    evaluate,
    relative_gap,
    seeded_instances,
    self_consistent,
    well_conditioned,
)
from verify.claims.residual_gradients.theorem_4_figure import figures
from verify.claims.residual_gradients.theorem_4_steps import RECORDED, STEPS, last_line, symbols
from verify.claims.residual_gradients.theorem_4_truth import EVERY, eps_truth, policy_truth
from verify.engine.claim import Assumption, Check, Claim, Correction, Instance, Step
from verify.engine.verdict import Gap, Verdict, Weight
from virel_theory.checks import Array
from virel_theory.gradients.as_printed import grad_eps_as_printed, theorem_4_as_printed
from virel_theory.gradients.residual_error import grad_eps_boltzmann, grad_policy_term
from virel_theory.mdp.tabular import TabularMDP

Formula = Callable[..., Array]
"""Type of a right side, printed or corrected."""
Truth = Callable[..., Array]
"""Type of `policy_truth` and `eps_truth`."""


def _method(eps: float, omega: Array) -> str:
    """Name of the cheaper way to an instance's true derivative: "dual" numbers or "implicit" differentiation.

    It depends on the instance's data alone, so that shrinking is deterministic.
    """
    return "dual" if (round(8 * eps) + len(omega)) % 2 else "implicit"


def derivative_gap(
    truth_of: Truth,
    formula: Formula,
    *,
    mdp: TabularMDP,
    model: Model,
    eps: float,
    differences: bool = False,
    perturb: float = 0.0,
) -> Gap:
    """Gap of Theorem 4 or (30): printed or corrected `formula` minus the true derivative in omega, zero.

    `truth_of` is `policy_truth` (Theorem 4) or `eps_truth` ((30)). `differences` takes the truth from
    central differences, else `_method` chooses a cheaper way.
    """
    method = "differences" if differences else _method(eps, model[1])
    point = evaluate(mdp, model, eps)
    truth = truth_of(mdp, model, eps, method=method) * (1 + perturb)
    found = formula(mdp, point.q, point.b_omega, beta=point.beta, eps=eps)
    size = point.size_policy if truth_of is policy_truth else point.size_eps
    return relative_gap(found, truth, size=size, bound=point.bound)


def conclusion_gap(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Theorem 4: coded right side times its denominator, minus the printed proof's last line, zero.

    So the code is what is printed.
    """
    point, s = evaluate(mdp, model, eps), symbols(mdp, model, eps)
    left = theorem_4_as_printed(mdp, point.q, point.b_omega, beta=point.beta, eps=eps) * s.d * (1 + perturb)
    size = point.size_policy * abs(eps**2 + mdp.gamma * s.v) * max(eps, 1 / eps) / eps**2
    return relative_gap(left, last_line(s)[1], size=size, bound=point.bound)


def sum_gap(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of Eq. (30): coded right side minus the sum of Theorem 4 as printed and `E[beta Gamma]`, zero."""
    point, s = evaluate(mdp, model, eps), symbols(mdp, model, eps)
    first = theorem_4_as_printed(mdp, point.q, point.b_omega, beta=point.beta, eps=eps)
    left = grad_eps_as_printed(mdp, point.q, point.b_omega, beta=point.beta, eps=eps) * (1 + perturb)
    size = float(np.abs(first).max(initial=0) + np.abs(s.b).max(initial=0))
    return relative_gap(left, first + s.b, size=size, bound=point.bound)


def _with_differences() -> st.SearchStrategy[Instance]:
    """Hypothesis strategy that draws self-consistent instances, one in `EVERY` for central differences."""
    which = st.integers(0, EVERY - 1).map(lambda k: k == EVERY - 1)
    return st.builds(lambda instance, flag: instance | {"differences": flag}, seeded_instances(), which)


_PRINTED = self_consistent(max_states=2, max_actions=2).filter(well_conditioned)
_ASSUMPTIONS = (
    Assumption("positive temperature", r"$\varepsilon_\omega > 0$"),
    Assumption(
        "no fold",
        r"$\partial_\varepsilon g(\omega, \varepsilon_\omega) \ne 1$, i.e. "
        r"$\varepsilon_\omega^2 + \gamma\,\mathbb E_\omega\hat Q_\omega \ne 0$ (the paper does not say so)",
        without=FOLD,
    ),
)
_SEE = "Derivation: `docs/derivations/theorem_4.md`."

CLAIMS = (
    Claim(
        id="theorem-4",
        title="Derivative of the Boltzmann policy under expectation",
        source="Thm 4, App. E.3",
        statement=r"E[\beta_\omega(h) E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))\hat Q_\omega(h')]] = "
        r"\frac{\varepsilon_\omega E[\beta_\omega(h)\Gamma_\omega(h)]\,\mathbb E_\omega\hat Q_\omega(h) "
        r"+ \mathbb E_\omega[\nabla_\omega\hat Q_\omega(h)]}"
        r"{(\varepsilon_\omega)^2(1 + \gamma E[\beta_\omega(h) E_\omega[\hat Q_\omega(h')]])}",
        check=Check(partial(derivative_gap, policy_truth, theorem_4_as_printed), _PRINTED, recorded=RECORDED),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        assumptions=_ASSUMPTIONS,
        steps=(
            *STEPS,
            Step(
                "conclusion",
                "the theorem as printed is the last line of its proof (its code is what is printed)",
                Check(conclusion_gap, seeded_instances(), n_random=50),
            ),
        ),
        correction=Correction(
            r"E[\beta_\omega(h) E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))\hat Q_\omega(h')]] = "
            r"\frac{\varepsilon_\omega\,\mathbb E_\omega[\nabla_\omega\hat Q_\omega] "
            r"- E[\beta_\omega\Gamma_\omega]\,\mathbb E_\omega\hat Q_\omega}"
            r"{\varepsilon_\omega^2 + \gamma\,\mathbb E_\omega\hat Q_\omega}",
            f"Substitute (28) into the log-derivative, multiply by Q, take both expectations, solve. {_SEE}",
            Check(
                partial(derivative_gap, policy_truth, grad_policy_term), _with_differences(), n_random=1000
            ),
        ),
        figures=figures,
    ),
    Claim(
        id="eq-30",
        title="Gradient of the residual error under the Boltzmann policy",
        source="Eq. (30), App. E.3",
        statement=r"\nabla\varepsilon_\omega = \frac{\varepsilon_\omega E[\beta_\omega(h)\Gamma_\omega(h)]\,"
        r"\mathbb E_\omega\hat Q_\omega(h) + \mathbb E_\omega[\nabla_\omega\hat Q_\omega(h)]}"
        r"{(\varepsilon_\omega)^2(1 + \gamma E[\beta_\omega(h) E_\omega[\hat Q_\omega(h')]])} "
        r"+ E[\beta_\omega(h)\Gamma_\omega(h)]",
        check=Check(partial(derivative_gap, eps_truth, grad_eps_as_printed), _PRINTED, recorded=RECORDED),
        expected=Verdict.REFUTED,
        weight=Weight.CORRECTION,
        assumptions=_ASSUMPTIONS,
        steps=(
            Step(
                "substitute Theorem 4",
                r"(30) as printed is Theorem 4 as printed, without the \gamma of (28), plus E[\beta_\omega\Gamma_\omega]",
                Check(sum_gap, seeded_instances(), n_random=50),
            ),
        ),
        correction=Correction(
            r"\nabla_\omega\varepsilon_\omega = \frac{\varepsilon_\omega^2 E[\beta_\omega\Gamma_\omega] "
            r"+ \gamma\,\varepsilon_\omega\,\mathbb E_\omega[\nabla_\omega\hat Q_\omega]}"
            r"{\varepsilon_\omega^2 + \gamma\,\mathbb E_\omega\hat Q_\omega}",
            f"The corrected Theorem 4 in (28), with its factor gamma, which print drops. {_SEE}",
            Check(partial(derivative_gap, eps_truth, grad_eps_boltzmann), _with_differences(), n_random=1000),
        ),
    ),
)
