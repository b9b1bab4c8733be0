r"""Claim on iterative inference with Gaussians and a quadratic action value: ascent, and two gaps that add up.

Both sides: `gaussian_inference`, `gaussian_family_gap` and `GaussianTask.best`, against the objective (16)
        written here from the moments of a Gaussian and its divergence from the prior.
Bound:  rounding. The objective is a sum of four terms, the largest of size B = k ((|mu| + |m|)^2 + sigma^2) +
        alpha (|log(sigma_0/sigma)| + (sigma^2 + (|mu| + |mu_0|)^2)/sigma_0^2 + 1): 64 u B. Means and spreads
        carry n <= 8 steps' rounding, at points where the objective is flat or its slope is counted by B: 64
        (n + 1) u B.
Teeth:  `perturb` makes the steps ten times as long, and takes the family gap of another width.
"""

import numpy as np
from hypothesis import strategies as st

from verify.engine.claim import ON_AN_INTERVAL, Assumption, Check, Claim
from verify.engine.verdict import Gap, Verdict, worst
from virel_theory.checks import U
from virel_theory.variational.parts.gaussian_inference import (
    GaussianTask,
    gaussian_family_gap,
    gaussian_inference,
    gaussian_objective,
    gaussian_safe_step,
)

STEPS = 8


def ascent_gap(
    *, k: float, peak: float, start: float, spread: float, alpha: float, width: float, perturb: float = 0.0
) -> Gap:
    """Gap of the ascent and of the sum of both gaps; the prior is N(start, spread^2)."""
    task = GaussianTask(k, peak, start, spread, alpha)
    mean, std = gaussian_inference(task, iterations=STEPS, step=gaussian_safe_step(task) * (1 + 9 * perturb))
    values = np.array([_objective(task, m, s) for m, s in zip(mean, std, strict=True)])
    best, bound = _objective(task, *task.best), _bound(task, np.append(std, width))
    family = gaussian_family_gap(task, std=width * (1 + perturb))
    amortisation = np.array([alpha * (m - task.best[0]) ** 2 / (2 * task.best[1] ** 2) for m in mean])
    fixed = np.array([_objective(task, m, width) for m in mean])
    return worst(
        Gap(-np.diff(values).min(), bound),
        Gap((values - best).max(), bound),
        Gap(np.abs(best - fixed - family - amortisation).max(), bound),
        Gap(-min(family, float(amortisation.min())), bound),
        Gap(np.abs(gaussian_objective(task, mean=mean, std=std) - values).max(), bound),
        Gap(abs(gaussian_safe_step(task) * longest_curvature(task) - 1), 16 * U),
    )


def longest_curvature(task: GaussianTask) -> float:
    """Largest curvature of the objective in the mean and in the log-spread, from the prior's spread down."""
    c = task.curvature + task.alpha / task.prior_std**2
    return float(c if task.prior_std**2 < 0.5 else 2 * c * task.prior_std**2)


def long_step_gap(
    *, k: float, peak: float, start: float, spread: float, alpha: float, width: float, perturb: float = 0.0
) -> Gap:
    """Gap of the ascent with steps of ten times the safe length."""
    task = GaussianTask(k, peak, start, spread, alpha)
    mean, std = gaussian_inference(task, iterations=2, step=10 * gaussian_safe_step(task))
    values = np.array([_objective(task, m, s) for m, s in zip(mean, std, strict=True)])
    return Gap(-np.diff(values).min() + perturb, _bound(task, np.append(std, width)))


def _objective(task: GaussianTask, mean: float, std: float) -> float:
    """E-step objective from the moments of N(mean, std^2) and its KL divergence from the prior."""
    ratio = std / task.prior_std
    divergence = -np.log(ratio) + (ratio**2 + ((mean - task.prior_mean) / task.prior_std) ** 2 - 1) / 2
    second_moment = std**2 + mean**2 - 2 * mean * task.peak + task.peak**2
    return float(-task.curvature / 2 * second_moment - task.alpha * divergence)


def _bound(task: GaussianTask, std: np.ndarray) -> float:
    reach, wide = abs(task.peak) + abs(task.prior_mean), float(std.max())
    logs = float(np.abs(np.log(std / task.prior_std)).max())
    size = task.curvature * ((2 * reach) ** 2 + wide**2)
    size += task.alpha * (logs + (wide**2 + (2 * reach) ** 2) / task.prior_std**2 + 1)
    return 64 * (STEPS + 1) * U * size * (1 + task.prior_std**2 * task.precision / task.alpha)


_TASKS = st.fixed_dictionaries(
    {
        "k": st.sampled_from([1.0, 0.0, 2.0, 0.5, 10.0]),
        "peak": st.sampled_from([1.0, 0.0, -1.0, 3.0]),
        "start": st.sampled_from([0.0, 1.0, -2.0]),
        "spread": st.sampled_from([1.0, 2.0, 0.5, 0.25]),
        "alpha": st.sampled_from([1.0, 0.5, 2.0, 0.1, 10.0]),
        "width": st.sampled_from([1.0, 0.5, 0.1, 2.0]),
    }
)

CLAIMS = (
    Claim(
        id="iterative-ascent",
        title="gradient inference never lowers the objective; its gap is a family gap plus an amortisation gap",
        source="ours, on Marino et al., Eqs. (15), (16)",
        statement=r"Q(a) = -\tfrac k2(a - m)^2:\ \tilde J(\mu_{j+1}, \sigma_{j+1}) \ge \tilde J(\mu_j, \sigma_j) \text{ for } "
        r"t \le \frac{1}{c\max(1, 2\sigma_0^2)},\ c = k + \frac{\alpha}{\sigma_0^2};\quad "
        r"\max\tilde J - \tilde J(\mu, \sigma) = \alpha KL(N(\mu^*, \sigma^2)\|\pi^*) + \alpha\frac{(\mu - \mu^*)^2}{2\sigma^{*2}}",
        check=Check(ascent_gap, _TASKS),
        expected=Verdict.HOLDS,
        assumptions=(
            Assumption("safe length", "t at most the safe length", without=Check(long_step_gap, _TASKS)),
        ),
        printed=False,
        not_certified=ON_AN_INTERVAL,
    ),
)
