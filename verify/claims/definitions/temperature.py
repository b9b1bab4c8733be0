"""Claims on App. C's temperature map g, its slope, its roots g(eps) = eps: against loops and complex steps.

`self_consistent_temperatures` proves its roots with enclosures. This file asks the plain questions: is g what
(2) says, is its slope the derivative, does every root satisfy eps = g(eps)?

Bound:  u = 2.2e-16, B = 2 max|q| + max|r| >= |beta|. A residual is off by delta = (5 A + S + 16) u B on
        either side, so g, a mean of c |beta|^p / p, by 2 c B^(p-1) delta + 2 (|H| + 8) u c B^p. The slope's
        variance term V <= 4 A / e^2 is off by 64 (A + 4)^2 u in each method, psi by c (p - 1) B^(p-2)
        delta. A root is off by its enclosure's width, which (1 + |slope|) turns into a gap. A box's width
        may hide the slope's change, so slopes are compared at the root itself.
Teeth:  `perturb` doubles c on the side of this file.
"""

import math

import numpy as np
from hypothesis import strategies as st

from verify.claims.definitions import by_hand
from verify.engine.claim import A_DEFINITION, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from verify.strategies import TEMPERATURES, instances, mdps, q_tables
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import (
    self_consistent_temperatures,
    temperature_map,
    temperature_map_derivative,
)

STEP = (
    1e-30  # step in the imaginary direction: no difference is taken, so the derivative is exact to rounding
)


def map_gap(*, mdp: TabularMDP, q: Array, eps: float, p_norm: int, c: float, perturb: float = 0.0) -> Gap:
    """Gap of App. C's temperature map g and its slope: minus plain loops and complex steps, zero.

    The limits are eps = 0 and infinity.
    """
    wanted, slope = by_hand.temperature_map(mdp, q, eps, p_norm=p_norm, c=c * (1 + perturb), step=STEP)
    found = temperature_map(mdp, q, eps=eps, p_norm=p_norm, c=c)
    found_slope = temperature_map_derivative(mdp, q, eps=eps, p_norm=p_norm, c=c)
    g_bound, slope_bound = _bounds(mdp, q, p_norm, c)
    return worst(Gap(abs(found - wanted), g_bound), Gap(abs(found_slope - slope), slope_bound))


def root_gap(*, mdp: TabularMDP, q: Array, perturb: float = 0.0) -> Gap:
    """Gap of each root of `g(eps) = eps`, App. C: residual and slope error; inf if a full search has none."""
    found = self_consistent_temperatures(mdp, q)
    if found.complete and not found.roots:
        return Gap(math.inf, 0.0)
    g_bound, slope_bound = _bounds(mdp, q, 2, 1.0)
    gaps = [Gap(0.0, 0.0)]
    for root in found.roots:
        g, slope = by_hand.temperature_map(mdp, q, root.eps, p_norm=2, c=1.0 + perturb, step=STEP)
        width = (root.upper - root.lower) * (1 + abs(slope))
        gaps += [Gap(abs(g - root.eps), width + g_bound), Gap(abs(slope - root.slope), slope_bound)]
    return worst(*gaps)


def _bounds(mdp: TabularMDP, q: Array, p_norm: int, c: float) -> tuple[float, float]:
    n_actions = mdp.n_actions
    size = 2 * float(np.abs(q[mdp.available]).max()) + float(np.abs(mdp.reward).max())
    delta = (5 * n_actions + mdp.n_states + 16) * U * size
    g_bound = 2 * c * size ** (p_norm - 1) * delta + 2 * (mdp.n_pairs + 8) * U * c * size**p_norm
    variance = 128 * (n_actions + 4) ** 2 * U * c * size ** (p_norm - 1)
    return g_bound, variance + 2 * c * (p_norm - 1) * size ** (p_norm - 2) * delta * n_actions


_EPS = st.sampled_from((*TEMPERATURES, 0.0, math.inf))

CLAIMS = (
    Claim(
        id="def-temperature-map",
        title="the temperature map and its slope by definition",
        source="Eq. (2), App. C",
        statement=r"g(\omega,\varepsilon) = \tfrac{c}{p|\mathcal H|}\|\mathcal T^{\pi_\varepsilon}\hat Q_\omega"
        r" - \hat Q_\omega\|_p^p, \quad \partial_\varepsilon g",
        check=Check(
            map_gap,
            instances(
                mdp=mdps(masked=True),
                q=q_tables,
                eps=_EPS,
                p_norm=st.sampled_from((2, 3, 4)),
                c=st.sampled_from((1.0, 2.0)),
            ),
        ),
        expected=Verdict.HOLDS,
        not_certified=A_DEFINITION,
    ),
    Claim(
        id="def-self-consistent",
        title="every self-consistent temperature found is one",
        source="App. C",
        statement=r"\varepsilon_\omega = g(\omega, \varepsilon_\omega)",
        check=Check(root_gap, instances(mdp=mdps(masked=True), q=q_tables)),
        expected=Verdict.HOLDS,
        printed=False,
        not_certified=A_DEFINITION,
    ),
)
