"""Two accelerations of value iteration: Anderson mixing and action elimination."""

import numpy as np

from virel_theory.checks import Array
from virel_theory.solvers.kernels import sweeps
from virel_theory.solvers.policy_methods import FORCING, Point, as_sparse

DEPTH = 5  # points mixed besides the newest
N_PLAIN = 5  # plain steps after a mix that made things worse
N_LIVE = 20  # sweeps over the surviving actions between two full ones


def advance_anderson(x: Point) -> None:
    """Anderson's type-II mixing of the last points; plain steps once the span grows (Walker & Ni 2011)."""
    residual = x.w - x.v
    residual -= residual.mean()  # constants are the shift's business
    x.accept()
    points: list[tuple[Array, Array]] = x.memory.setdefault("points", [])
    best = x.memory.get("best", np.inf)
    if x.span > best:
        points.clear()
        x.memory["plain"] = N_PLAIN
    x.memory["best"] = min(x.span, best)
    points.append((residual, x.v.copy()))
    del points[: -DEPTH - 1]
    x.memory["plain"] = x.memory.get("plain", 0) - 1
    if len(points) < 2 or x.memory["plain"] >= 0:
        return
    steps = np.stack([r - residual for r, _ in points[:-1]], axis=1)
    weights = np.linalg.lstsq(steps, -residual, rcond=1e-10)[0]
    newest = points[-1][1]
    for weight, (_, image) in zip(weights, points[:-1], strict=True):
        x.v += weight * (image - newest)


def advance_ae(x: Point) -> None:
    r"""Value iteration over the actions not yet proved worse, Puterman 1994, Section 6.7.

    With $TV - V \in [l, h]$: $V^* \ge TV + \beta_l c_l$ and $Q^* \le Q_V + \beta_h c_h$ (`bounds`), so
    an action whose value is below the best by more than $\beta_h c_h - \beta_l c_l$ is not optimal. That is
    twice the radius; twice the bound of the verdict adds the rounding of both values. T restricted to the
    survivors has the same fixed point.
    """
    b = as_sparse(x.b)
    if "alive" not in x.memory:
        exists = x.task.reward > -np.inf
        x.memory["alive"] = np.argsort(~exists, axis=1, kind="stable").astype(np.int32)
        x.memory["counts"] = exists.sum(axis=1).astype(np.int32)
    alive, counts = x.memory["alive"], x.memory["counts"]
    old, new, low, high = x.v, x.w, x.low, x.high
    for _ in range(N_LIVE):
        margin = 2 * x.task.judge(old, new, low, high).bound
        sweeps.eliminate(b.q, new, margin, alive, counts)
        new += x.shift(low, high)
        old, new = new, old
        args = (b.indptr, b.indices, b.data, x.task.reward, x.task.gamma)
        low, high = sweeps.live_sweep(*args, old, b.q, new, alive, counts)
        if high - low <= FORCING * x.span:
            break
    np.add(new, x.shift(low, high), out=x.v)
