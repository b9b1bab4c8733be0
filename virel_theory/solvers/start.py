"""Where the iterates of `solve` begin: at the largest rewards, at values given, or at those of a policy."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import ArrayLike, NDArray

from virel_common.errors import require
from virel_theory.checks import as_array
from virel_theory.mdp.policy_system import SingularError
from virel_theory.mdp.tables import as_actions, as_values
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.backups import SparseBackups
from virel_theory.solvers.point import Point
from virel_theory.solvers.policy_methods import MAX_DIRECT, advance_pi, krylov_or_sweeps, policy_sweeps

Begin = Callable[[Point], None]
"""Setter of the first values of a point, which holds the largest reward of each state before."""

MAX_SWEEPS = 100  # of a policy on a dense MDP that is too large for a direct solve


def beginning(start: ArrayLike | None, mdp: TabularMDP) -> Begin | None:
    """Setter of the first values: of values `[S]` (floats) or a policy `[S]` (integers); None for None."""
    if start is None:
        return None
    given = as_array(start, name="start")
    rule = "must be values (floats) or actions (integers), one per state"
    require(given.dtype.kind != "b", "start", "truth values", rule)
    if given.dtype.kind in "iu":
        shape = (mdp.n_states,)
        require(given.shape == shape, "start", given.shape, f"{rule}: shape {list(shape)}")
        return _from_policy(as_actions(given, mdp, name="start"))
    values = as_values(start, mdp, name="start")

    def take(x: Point) -> None:
        """Cut to the range of the MDP's values: larger ones would only add rounding."""
        limit = x.task.r_max / (1 - x.task.gamma)
        np.clip(x.task.sign * values, -limit, limit, out=x.v)

    return take


def _from_policy(actions: NDArray[np.intp]) -> Begin:
    """Setter of the first values to about those of a policy; how well they are met plays no role."""

    def follow(x: Point) -> None:
        x.b.policy[:] = actions
        if len(x.v) <= MAX_DIRECT:
            with suppress(SingularError):  # gamma is 1 to rounding: the values stay as they were
                advance_pi(x)
            return
        x.b.restrict()
        if isinstance(x.b, SparseBackups):
            krylov_or_sweeps(x)
        else:
            policy_sweeps(x, max_sweeps=MAX_SWEEPS)

    return follow
