"""Displayed steps of Theorem 4's proof, as printed and, where they fail, repaired.

The symbols are those of the theorem: `X = E[beta E_w[(grad log pi) Q]]`, `V = EE_w Q`, `G = EE_w[grad Q]`,
`B = E[beta Gamma]`, `D = 1 + gamma E[beta E_w[Q]]`. Left sides come from dual numbers; `perturb` doubles
them. Steps before these, up to the log-derivative, are those of the claim `eq-29`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from verify.arithmetic.dual import log, variables
from verify.arithmetic.model import boltzmann, q_table, self_consistent_dual
from verify.claims import recorded
from verify.claims.residual_gradients.self_consistent import (
    Model,
    as_array,
    evaluate,
    relative_gap,
    self_consistent,
    well_conditioned,
)
from verify.claims.residual_gradients.theorem_4_truth import policy_truth
from verify.engine.claim import Check, Correction, Step
from verify.engine.verdict import Gap
from virel_theory.checks import Array
from virel_theory.gradients.pairs import centre_actions, expect_next, mean_over_pairs
from virel_theory.gradients.residual_error import grad_beta_fixed_policy
from virel_theory.mdp.tabular import TabularMDP


@dataclass(frozen=True, eq=False)
class Symbols:
    """Values of the symbols of Theorem 4's proof on one instance, with derivatives by dual numbers.

    Those are `score [S, A, N]` and `grad_eps [N]`.
    """

    score: Array
    grad_eps: Array
    x: Array
    v: float
    g: Array
    b: Array
    d: float
    mq: Array
    mb: Array
    available: NDArray[np.bool_]
    gamma: float
    eps: float
    size: float
    amplification: float
    bound: float


def symbols(mdp: TabularMDP, model: Model, eps: float) -> Symbols:
    """Evaluate all symbols of Theorem 4's proof on one instance."""
    point = evaluate(mdp, model, eps)
    q = np.where(mdp.available, point.q, 0.0)
    root = self_consistent_dual(mdp, model[0], model[1], eps)
    dual_pi = boltzmann(q_table(mdp, model[0], variables(model[1])), root)
    score = as_array(mdp, {h: log(p) for h, p in dual_pi.items()}, len(model[1]))
    beta, pi, b = point.beta, point.pi, point.b_omega
    mq = centre_actions(point.q, pi=pi)
    mb = np.where(mdp.available[:, :, None], centre_actions(b, pi=pi), 0.0)
    on_q = mean_over_pairs(mdp, beta * expect_next(mdp, q * mq, pi=pi))
    on_b = mean_over_pairs(mdp, beta[:, :, None] * expect_next(mdp, q[:, :, None] * mb, pi=pi))
    fixed = mean_over_pairs(mdp, beta[:, :, None] * grad_beta_fixed_policy(mdp, b, pi=pi))
    mean_q = float(mean_over_pairs(mdp, beta * expect_next(mdp, q, pi=pi)))
    return Symbols(
        score=score,
        grad_eps=root.tangent,
        x=policy_truth(mdp, model, eps, method="dual"),
        v=float(on_q),
        g=on_b,
        b=fixed,
        d=1 + mdp.gamma * mean_q,
        mq=mq,
        mb=mb,
        available=mdp.available,
        gamma=mdp.gamma,
        eps=eps,
        size=point.size_policy,
        amplification=point.amplification,
        bound=point.bound,
    )


Sides = Callable[[Symbols], tuple[Array, Array]]


def step_gap(sides: Sides, *, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
    """Gap of one step of Theorem 4's proof: left minus right side over the size of the terms, to be 0."""
    s = symbols(mdp, model, eps)
    left, right = sides(s)
    size = s.size * s.amplification + float(np.abs(s.mb).max(initial=0)) / eps
    size += (1 + float(np.abs(s.mq).max()) / eps**2) * _largest(s)
    return relative_gap(left * (1 + perturb), right, size=size, bound=s.bound)


def _largest(s: Symbols) -> float:
    return float(
        max(np.abs(s.grad_eps).max(initial=0), np.abs(s.b).max(initial=0), np.abs(s.x).max(initial=0))
    )


def _on(s: Symbols, table: Array) -> Array:
    return np.where(s.available[:, :, None], table, 0.0)


def substitute_26(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "substitute (26)": grad log pi, with E[beta grad beta] for grad eps."""
    return s.score, (s.eps * s.mb - s.mq[:, :, None] * s.grad_eps) / s.eps**2


def substitute_27(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "substitute (27)" as printed: the score, a bracket around (28) lost.

    Printed is `- gamma X + B M Q`; the log-derivative needs `- (gamma X + B) M Q`.
    """
    return s.score, _on(s, (s.eps * s.mb - s.gamma * s.x + s.mq[:, :, None] * s.b) / s.eps**2)


def substitute_27_repaired(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "substitute (27)" repaired: the score, with (28) for grad eps.

    The term is `- (gamma X + B) M Q`.
    """
    return s.score, (s.eps * s.mb - s.mq[:, :, None] * (s.gamma * s.x + s.b)) / s.eps**2


def rearrange(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "rearrange" as printed: a factor is lost, a sign of E[beta Gamma] wrong.

    The policy term X loses `M Q / eps^2`, and B has the wrong sign.
    """
    return _on(s, s.score + s.gamma * s.x), (s.eps * s.mb + s.mq[:, :, None] * s.b) / s.eps**2


def rearrange_repaired(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "rearrange" repaired: `(eps M grad Q - B M Q)/eps^2`, B = E[beta Gamma].

    The left side is `grad log pi + gamma X M Q / eps^2`.
    """
    left = s.score + s.gamma * s.mq[:, :, None] * s.x / s.eps**2
    return left, (s.eps * s.mb - s.mq[:, :, None] * s.b) / s.eps**2


def expectations(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "take expectations" as printed: right side with `+ E[beta Gamma] EE Q`.

    It is `(eps G + B V) / eps^2`. The left side is `X (1 + gamma E[beta E_w Q])`.
    """
    return s.x * s.d, (s.eps * s.g + s.b * s.v) / s.eps**2


def expectations_repaired(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "take expectations" repaired: right side with `- E[beta Gamma] EE Q`.

    It is `(eps G - B V) / eps^2`. The left side is `X (1 + gamma V / eps^2)`.
    """
    return s.x * (1 + s.gamma * s.v / s.eps**2), (s.eps * s.g - s.b * s.v) / s.eps**2


def divide(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's step "divide" as printed, times D = 1 + gamma E[beta E_pi[Q]].

    The step is `X = G / (eps D) + B V / (eps^2 D)`.
    """
    return s.x * s.d, s.g / s.eps + s.b * s.v / s.eps**2


def last_line(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's last line as printed: on one denominator, eps is at the wrong term.

    Printed is `G / eps + B V / eps^2 = (eps B V + G) / eps^2`: `eps` changes terms.
    In print both sides are over D.
    """
    return s.g / s.eps + s.b * s.v / s.eps**2, (s.eps * s.b * s.v + s.g) / s.eps**2


def last_line_repaired(s: Symbols) -> tuple[Array, Array]:
    """Both sides of Theorem 4's last line repaired: on one denominator, eps is the factor of EE[grad Q].

    It is `G / eps + B V / eps^2 = (eps G + B V) / eps^2`.
    """
    return s.g / s.eps + s.b * s.v / s.eps**2, (s.eps * s.g + s.b * s.v) / s.eps**2


RECORDED = recorded.R_WITH_MODEL | {"eps": recorded.EPS}


def _check(sides: Sides, n_random: int = 25) -> Check:
    def gap(*, mdp: TabularMDP, model: Model, eps: float, perturb: float = 0.0) -> Gap:
        return step_gap(sides, mdp=mdp, model=model, eps=eps, perturb=perturb)

    drawn = self_consistent(max_states=2, max_actions=2).filter(well_conditioned)
    return Check(gap, drawn, n_random=n_random, recorded=RECORDED)


def _repair(statement: str, derivation: str, sides: Sides) -> Correction:
    return Correction(statement, f"{derivation} See `docs/derivations/theorem_4.md`.", _check(sides))


_TERM = r"E[\beta_\omega E_\omega[(\nabla_\omega\log\pi_\omega(a'|s'))\hat Q_\omega(h')]]"
_GRAD = r"\varepsilon_\omega\mathcal M_\omega[\nabla_\omega\hat Q_\omega(h)]"
_B = r"E[\beta_\omega\Gamma_\omega]"
_MQ = r"\mathcal M_\omega\hat Q_\omega(h)"
_V = r"\mathbb E_\omega\hat Q_\omega"
_G = r"\mathbb E_\omega[\nabla_\omega\hat Q_\omega]"
_D = r"(1 + \gamma E[\beta_\omega E_\omega[\hat Q_\omega(h')]])"
_SCORE = r"\nabla_\omega\log\pi_\omega(a|s)"

STEPS = (
    Step(
        "substitute (26)",
        rf"{_SCORE} = \frac{{1}}{{\varepsilon_\omega^2}}({_GRAD} - E[\beta_\omega\nabla_\omega\beta_\omega]\,{_MQ})",
        _check(substitute_26),
    ),
    Step(
        "substitute (27)",
        rf"{_SCORE} = \frac{{1}}{{\varepsilon_\omega^2}}({_GRAD} - \gamma {_TERM} + {_B}\,{_MQ})",
        _check(substitute_27),
        _repair(
            rf"{_SCORE} = \frac{{1}}{{\varepsilon_\omega^2}}({_GRAD} - (\gamma {_TERM} + {_B})\,{_MQ})",
            "Minus sign and centred value multiply both terms of (28); print loses the bracket.",
            substitute_27_repaired,
        ),
    ),
    Step(
        "rearrange",
        rf"{_SCORE} + \gamma {_TERM} = \frac{{1}}{{\varepsilon_\omega^2}}({_GRAD} + {_B}\,{_MQ})",
        _check(rearrange),
        _repair(
            rf"{_SCORE} + \frac{{\gamma}}{{\varepsilon_\omega^2}} {_TERM}\,{_MQ} = \frac{{1}}{{\varepsilon_\omega^2}}({_GRAD} - {_B}\,{_MQ})",
            "The term that changes sides keeps its factor.",
            rearrange_repaired,
        ),
    ),
    Step(
        "take expectations",
        rf"{_TERM}\,{_D} = \frac{{1}}{{\varepsilon_\omega^2}}(\varepsilon_\omega {_G} + {_B}\,{_V})",
        _check(expectations),
        _repair(
            rf"{_TERM}\,(1 + \frac{{\gamma}}{{\varepsilon_\omega^2}} {_V}) = \frac{{1}}{{\varepsilon_\omega^2}}(\varepsilon_\omega {_G} - {_B}\,{_V})",
            "As printed it does follow from the line before it, which is false; from the repaired line this follows.",
            expectations_repaired,
        ),
    ),
    Step(
        "divide",
        rf"{_TERM} = \frac{{{_G}}}{{\varepsilon_\omega {_D}}} + \frac{{{_B}\,{_V}}}{{\varepsilon_\omega^2 {_D}}}",
        _check(divide),
        _repair(
            rf"{_TERM} = \frac{{\varepsilon_\omega {_G} - {_B}\,{_V}}}{{\varepsilon_\omega^2 + \gamma {_V}}}",
            "Division by the repaired factor.",
            expectations_repaired,
        ),
    ),
    Step(
        "last line",
        rf"\frac{{{_G}}}{{\varepsilon_\omega}} + \frac{{{_B}\,{_V}}}{{\varepsilon_\omega^2}} = \frac{{\varepsilon_\omega {_B}\,{_V} + {_G}}}{{\varepsilon_\omega^2}}",
        _check(last_line),
        _repair(
            rf"\frac{{{_G}}}{{\varepsilon_\omega}} + \frac{{{_B}\,{_V}}}{{\varepsilon_\omega^2}} = \frac{{\varepsilon_\omega {_G} + {_B}\,{_V}}}{{\varepsilon_\omega^2}}",
            r"A slip of its own: on the common denominator $\varepsilon_\omega$ belongs to the other term.",
            last_line_repaired,
        ),
    ),
)
