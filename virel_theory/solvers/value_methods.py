"""Value-based methods: Gauss-Seidel, Anderson mixing, value iteration with action elimination."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from virel_theory.checks import Array
from virel_theory.solvers.kernels import sweeps
from virel_theory.solvers.point import FORCING, Point, as_sparse
from virel_theory.solvers.problem import Problem

N_GAUSS_SEIDEL = 4  # Gauss-Seidel sweeps between two certifying sweeps
DEPTH = 5  # points mixed besides the newest
N_PLAIN = 5  # plain steps after a mix that made things worse
N_LIVE = 20  # sweeps over the surviving actions between two full ones


def advance_gs(x: Point) -> None:
    """Gauss-Seidel method: one step of value iteration, then sweeps up and down the states."""
    x.accept()
    gauss_seidel(x, N_GAUSS_SEIDEL)


def gauss_seidel(x: Point, n_sweeps: int) -> None:
    """Run Gauss-Seidel sweeps on `x.v`, up and down the states in turn; each sets the greedy `x.b.policy`."""
    b = as_sparse(x.b)
    for k in range(n_sweeps):
        args = (b.indptr, b.indices, b.data, x.task.reward, x.task.gamma, x.v, b.policy, k % 2 == 1)
        sweeps.gauss_seidel(*args)


@dataclass
class Anderson:
    """Anderson mixing of the last iterates, type II (Walker & Ni 2011); a few plain steps if the span grows.

    Between steps it remembers the last residuals with their images under value iteration (`points`), the
    smallest span so far (`best`), and how many plain steps are still to come (`plain`).
    """

    points: list[tuple[Array, Array]] = field(default_factory=list)
    best: float = np.inf
    plain: int = 0

    def __call__(self, x: Point) -> None:
        """Take one step: value iteration, then the mix of the last iterates that minimises the residual."""
        residual = x.w - x.v
        residual -= residual.mean()  # MacQueen's shift takes care of constants
        x.accept()
        if x.span > self.best:
            self.points.clear()
            self.plain = N_PLAIN
        self.best = min(x.span, self.best)
        self.points.append((residual, x.v.copy()))
        del self.points[: -DEPTH - 1]
        self.plain -= 1
        if len(self.points) >= 2 and self.plain < 0:
            self._mix(x.v, residual)

    def _mix(self, v: Array, residual: Array) -> None:
        """Replace `v` by the affine mix of the remembered iterates whose combined residual is smallest."""
        steps = np.stack([r - residual for r, _ in self.points[:-1]], axis=1)
        weights = np.linalg.lstsq(steps, -residual, rcond=1e-10)[0]
        newest = self.points[-1][1]
        for weight, (_, image) in zip(weights, self.points[:-1], strict=True):
            v += weight * (image - newest)


@dataclass(eq=False)
class LiveActions:
    """Actions that may still be optimal: the first `counts[s]` entries of `alive[s]`, `[S, A]`."""

    alive: NDArray[np.int32]
    counts: NDArray[np.int32]

    @staticmethod
    def all_of(task: Problem) -> "LiveActions":
        """Start of action elimination: every action of the problem that exists is still alive."""
        exists = task.reward > -np.inf
        alive = np.argsort(~exists, axis=1, kind="stable").astype(np.int32)
        return LiveActions(alive, exists.sum(axis=1).astype(np.int32))


@dataclass(eq=False)
class ActionElimination:
    r"""Value iteration over the actions not yet proved worse, Puterman 1994, Section 6.7.

    With $TV - V \in [l, h]$: $V^* \ge TV + \beta_l c_l$ and $Q^* \le Q_V + \beta_h c_h$ (`bounds`), so
    an action whose value is below the best by more than $\beta_h c_h - \beta_l c_l$ is not optimal. That is
    twice the radius; twice the bound of the outcome adds the rounding of both values. T restricted to the
    survivors has the same fixed point.

    Between steps it remembers the survivors (`live`).
    """

    live: LiveActions | None = None

    def __call__(self, x: Point) -> None:
        """Take one step of action elimination: sweeps over the surviving actions, fewer after each."""
        b = as_sparse(x.b)
        if self.live is None:
            self.live = LiveActions.all_of(x.task)
        alive, counts = self.live.alive, self.live.counts
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
