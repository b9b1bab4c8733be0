"""Figure of sampled soft values: their bias and standard deviation against the number of sampled actions."""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp, softmax

from verify.engine.plotdata import Curve, Figure, Panel
from virel_theory.checks import Array
from virel_theory.variational.parts.value_samples import SampledValues, sampled_soft_values

COUNTS = np.array([1, 2, 4, 8, 16, 32, 64, 128])
ALPHA = 1.0


def figures(seed: int) -> Sequence[Figure]:
    """Bias `V - E[V_N]` and deviation of V_N, exact, for proposals between the uniform one and the policy."""
    q = np.random.default_rng(seed).normal(scale=2.0, size=(1, 3))
    v = float(ALPHA * logsumexp(q / ALPHA))
    tilted = {"uniform": 0.0, "half the logits": 0.5, "0.9 of the logits": 0.9}
    laws = {
        name: [
            sampled_soft_values(q, proposal=softmax(t * q / ALPHA, axis=1), alpha=ALPHA, n=int(n))
            for n in COUNTS
        ]
        for name, t in tilted.items()
    }
    bias = [Curve(name, COUNTS, np.array([v - law.mean[0] for law in all_n])) for name, all_n in laws.items()]
    spread = [
        Curve(name, COUNTS, np.array([_deviation(law) for law in all_n])) for name, all_n in laws.items()
    ]
    bias.append(_rate(bias[0].y, 1.0, "1/N"))
    spread.append(_rate(spread[0].y, 0.5, "$N^{-1/2}$"))
    panels = [
        Panel("bias, always downwards", "samples N", "V - E[V_N]", bias, "log", "log"),
        Panel("spread", "samples N", "deviation of V_N", spread, "log", "log"),
    ]
    caption = (
        "One state with 3 actions; the proposal is the softmax of a share of the policy's logits. With the policy itself "
        f"(share 1) every estimate is V and both errors are 0. Exact laws, no sampling; Q normal, alpha = {ALPHA}, seed {seed}."
    )
    return [Figure("sql-value-samples-bias", panels, caption)]


def _deviation(law: SampledValues) -> float:
    return float(np.sqrt(np.sum(law.probability * (law.value - law.mean[:, None]) ** 2)))


def _rate(y: Array, power: float, label: str) -> Curve:
    """Dashed line through the last point that falls like `N^-power`."""
    return Curve(label, COUNTS, y[-1] * (COUNTS / COUNTS[-1]) ** -power, "predicted")
