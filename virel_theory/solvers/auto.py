"""The method `auto`: sweeps of greedy policies while they converge fast, then the fitting linear solver."""

from dataclasses import dataclass, field

from virel_theory.solvers import linear
from virel_theory.solvers.backups import SparseBackups
from virel_theory.solvers.kernels import rows as _rows
from virel_theory.solvers.point import Point
from virel_theory.solvers.policy_methods import (
    SMALL,
    advance_bicgstab,
    advance_pi,
    krylov_or_sweeps,
    mixing_steps,
)
from virel_theory.solvers.value_methods import gauss_seidel

SLOW = 0.8  # a span that falls by less than this factor per sweep calls for a linear solve
MAX_DENSE_LU = 3000  # states up to which a dense LU is used


@dataclass
class Auto:
    """Method `auto`: sweeps of greedy policies while they converge fast, then linear solves for their values.

    With at most `SMALL` states the linear solves begin at once.

    Between steps it remembers whether sweeps mix slowly (`slow`), and the order of the states in which the
    policy's matrix is banded (`band`).
    """

    slow: bool = False
    band: linear.Band = field(default_factory=linear.Band)

    def __call__(self, x: Point) -> None:
        """Take one step by the method that fits the MDP, and note its name in `x.ran`."""
        if len(x.v) <= SMALL:
            x.note("pi")
            advance_pi(x)
        elif not self.slow:
            x.note("mpi")
            self.slow = not mixing_steps(x, slow=SLOW)
        elif isinstance(x.b, SparseBackups):
            x.accept()
            gauss_seidel(x, 2)
            self._solve_slow(x, x.b)
        else:
            direct = len(x.v) <= MAX_DENSE_LU
            x.note("pi" if direct else "pi-bicgstab")
            (advance_pi if direct else advance_bicgstab)(x)

    def _solve_slow(self, x: Point, b: SparseBackups) -> None:
        """Evaluate `b.policy`: banded elimination if some state order has a narrow band, else BiCGSTAB."""
        _rows.policy_reward(x.task.reward, b.policy, x.w)
        if self.band.solve(b, x.v, x.w):
            x.note("banded LU")
            return
        x.note("ILU-BiCGSTAB")
        b.restrict()
        krylov_or_sweeps(x)
