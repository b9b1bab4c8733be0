"""Figure of soft Q-learning's sampler: particles moved as u and, wrongly, as actions, and their targets."""

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import Polynomial

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.variational.parts.stein import action_weights, stein_flow, tanh_rule

Q = Polynomial([0.0, 0.5, 3.0, 0.0, -2.5])
ALPHA, N, STEPS = 0.7, 100, 400
EDGES = np.linspace(-1, 1, 17)


def figures(seed: int) -> Sequence[Figure]:
    """Densities by quadrature, and histograms of the particles."""
    start = np.random.default_rng(seed).uniform(-0.9, 0.9, N)
    centres, fine = (EDGES[1:] + EDGES[:-1]) / 2, np.linspace(-0.999, 0.999, 400)
    right = stein_flow(start, q=Q, alpha=ALPHA, space="u", step=0.3, n_steps=STEPS)
    wrong = stein_flow(start, q=Q, alpha=ALPHA, space="a", step=0.02, n_steps=5 * STEPS)
    curves = [
        Curve("exp(Q/alpha), the policy", fine, _density(fine, 0), "predicted"),
        Curve("particles moved as u", centres, _histogram(right), "measured"),
        Curve("exp(Q/alpha)(1 - a^2)", fine, _density(fine, 1), "predicted"),
        Curve("particles moved as actions", centres, _histogram(wrong), "measured"),
    ]
    panel = Panel("the sampler's density", "action a", "density", curves)
    caption = (
        f"{N} particles after {STEPS} (right) and {5 * STEPS} (wrong) steps, shares per bin of width 1/8, against the densities "
        f"by quadrature; mean action {right.mean():.2f} and {wrong.mean():.2f}, by quadrature {_mean(0):.2f} and {_mean(1):.2f}. "
        f"Q = a/2 + 3 a^2 - 5/2 a^4, alpha = {ALPHA}, seed {seed}."
    )
    return [Figure("sql-stein-density", [panel], caption)]


def _density(a: Array, power: int) -> Array:
    _, w = tanh_rule()
    u, _ = tanh_rule()
    mass = float(w @ (np.exp(Q(np.tanh(u)) / ALPHA) * np.cosh(u) ** (-2.0 * power)))
    out: Array = np.exp(Q(a) / ALPHA) * (1 - a**2) ** power / mass
    return out


def _histogram(a: Array) -> Array:
    counts, _ = np.histogram(a, bins=EDGES)
    out: Array = counts / (N * (EDGES[1] - EDGES[0]))
    return out


def _mean(power: int) -> float:
    u, _ = tanh_rule()
    return float(action_weights(q=Q, alpha=ALPHA, power=power) @ np.tanh(u))
