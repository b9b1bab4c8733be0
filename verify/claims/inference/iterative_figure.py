"""Figure of the inference gap against the number of steps: mirror and gradient steps, with guaranteed rates."""

from collections.abc import Sequence

import numpy as np

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.variational.parts.amortisation import Form, inference_gap, inference_policies
from virel_theory.variational.parts.gaussian_inference import (
    GaussianTask,
    gaussian_inference,
    gaussian_objective,
    gaussian_safe_step,
)

ALPHA, ACTIONS, STEPS = 0.5, 6, 24
SHARES = (0.25, 0.5)


def figures(seed: int) -> Sequence[Figure]:
    """Figure with two panels: six actions with a random Q, and a Gaussian with a quadratic Q."""
    q = np.random.default_rng(seed).normal(size=(1, ACTIONS))
    n = np.arange(STEPS + 1.0)
    curves = []
    for share in SHARES:
        span = float(np.ptp(q)) * (1 - share) ** n
        curves += [
            Curve(f"mirror steps, alpha t = {share:g}", n, _gaps(q, share / ALPHA, "mirror")),
            Curve(f"guaranteed, alpha t = {share:g}", n, span**2 / (8 * ALPHA), "predicted"),
        ]
    curves.append(Curve("gradient steps of safe length", n, _gaps(q, None, "gradient")))
    finite = Panel("six actions", "inference steps n", "gap (reward units)", curves, yscale="log")
    caption = (
        "Left: gap of the E-step after n steps from the uniform prior, Q standard normal, "
        f"alpha = {ALPHA}, seed {seed}. Mirror steps of length t shrink all log-ratios to the posterior by 1 - alpha t, so that "
        "the gap is at most span(Q)^2 (1 - alpha t)^(2n) / (8 alpha); with alpha t = 1 it is 0 after one step. "
        "Right: mean and log-spread of a Gaussian, Q = -2 (a - 2)^2, prior N(0, 1), gradient steps of half of and the whole "
        "safe length; the gap in the mean shrinks by (1 - t c)^(2n), the share of the spread comes on top."
    )
    return [Figure("iterative-gap-steps", [finite, _gaussian(n)], caption)]


def _gaps(q: Array, step: float | None, form: Form) -> Array:
    prior = np.full(q.shape, 1 / q.shape[1])
    path = inference_policies(q, prior=prior, alpha=ALPHA, iterations=STEPS, step=step, form=form)
    return np.array([inference_gap(q, pi=pi, prior=prior, alpha=ALPHA)[0] for pi in path]).clip(1e-17)


def _gaussian(n: Array) -> Panel:
    task = GaussianTask(curvature=4.0, peak=2.0, prior_mean=0.0, prior_std=1.0, alpha=ALPHA)
    top = gaussian_objective(task, mean=task.best[0], std=task.best[1])
    curves = []
    for share in (0.5, 1.0):
        step = share * gaussian_safe_step(task)
        mean, std = gaussian_inference(task, iterations=STEPS, step=step)
        gap = top - gaussian_objective(task, mean=mean, std=std)
        rate = (1 - step * task.precision) ** (2 * n) * task.precision * task.best[0] ** 2 / 2
        curves += [
            Curve(f"{share:g} of the safe length", n, gap.clip(1e-17)),
            Curve(f"mean alone, {share:g} of the safe length", n, rate, "predicted"),
        ]
    return Panel("Gaussian, quadratic Q", "inference steps n", "gap (reward units)", curves, yscale="log")
