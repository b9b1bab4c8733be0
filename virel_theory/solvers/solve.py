r"""Optimal values of discounted MDPs, with an error bound that is guaranteed (`bounds`, `refine`).

| method | what it does | good for |
| --- | --- | --- |
| `auto` | picks, and says what ran: `auto: mpi, then banded LU` in `Solution.method` | everything |
| `vi` | value iteration with MacQueen's shift, stopped by the span | fast-mixing MDPs, few actions |
| `gs` | Gauss-Seidel sweeps up and down the states | corridors in their natural order |
| `pi` | policy iteration, LAPACK or sparse LU inside | small MDPs, gamma close to 1 |
| `pi-bicgstab`, `pi-gmres` | policy iteration, SciPy's Krylov methods inside | large MDPs, gamma close to 1 |
| `mpi` | modified policy iteration: sweeps of the greedy policy | fast-mixing MDPs |
| `ipi` | inexact policy iteration, ILU(0)-BiCGSTAB inside | slow-mixing MDPs |
| `anderson` | value iteration with safeguarded Anderson mixing | moderate mixing |
| `ae` | value iteration that drops actions proved worse | many actions |

`gs`, `ipi` and `ae` work on CSR: a dense transition is converted, which costs a copy. When the tolerance is
below what one float64 sweep can certify, every method ends in compensated arithmetic (`refine`), whose bound
is about half an ulp of max|Q|; below that the status is `ROUNDING_LIMIT` and the bound is the true one.

`auto` starts with `mpi`. If that mixes slowly it continues with banded elimination where an order of the
states has a bandwidth up to 48 (corridors, rings, narrow grids), else with ILU(0)-BiCGSTAB. Dense MDPs, and
those of up to 32 states, continue with `pi`. Besides the MDP, Garnets and rings of three actions then need
less than 0.3 times its bytes, the solution included; `pi`, ILU(0)-BiCGSTAB and wide bands need more.
"""

from collections.abc import Callable
from typing import NamedTuple, Unpack

from numpy.typing import ArrayLike

from virel_common.arguments import require_flag
from virel_common.errors import require
from virel_theory.checks import is_one_of, require_function
from virel_theory.mdp.tables import as_policy
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.auto import Auto
from virel_theory.solvers.evaluate import evaluate
from virel_theory.solvers.point import Advance, Point, default_steps, drive
from virel_theory.solvers.policy_methods import (
    advance_bicgstab,
    advance_gmres,
    advance_ipi,
    advance_mpi,
    advance_pi,
)
from virel_theory.solvers.problem import SolveOptions, check_steps, problem
from virel_theory.solvers.solution import Solution, checked
from virel_theory.solvers.start import beginning
from virel_theory.solvers.value_methods import ActionElimination, Anderson, advance_gs
from virel_theory.solvers.watch import Watch


class Method(NamedTuple):
    """Solution method of `solve`: a maker of its step function, and whether it needs a CSR transition.

    `start()` returns the `advance` of one run: a function, or an instance whose fields are what the method
    remembers between its steps.
    """

    start: Callable[[], Advance]
    needs_csr: bool = False


METHODS: dict[str, Method] = {
    "auto": Method(Auto),
    "vi": Method(lambda: Point.accept),
    "gs": Method(lambda: advance_gs, needs_csr=True),
    "pi": Method(lambda: advance_pi),
    "pi-bicgstab": Method(lambda: advance_bicgstab),
    "pi-gmres": Method(lambda: advance_gmres),
    "mpi": Method(lambda: advance_mpi),
    "ipi": Method(lambda: advance_ipi, needs_csr=True),
    "anderson": Method(Anderson),
    "ae": Method(ActionElimination, needs_csr=True),
}
"""Solution methods that `solve(method=...)` accepts, by name."""


def solve(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    method: str = "auto",
    sense: str = "max",
    start: ArrayLike | None = None,
    max_steps: int | None = None,
    throw: bool = False,
    watch: Watch | None = None,
) -> Solution:
    r"""Optimal values $Q^* = T^* Q^*$ with a guaranteed error bound, Puterman 1994, Chapter 6.

    Args:
        mdp: the MDP; its arrays are taken as given, exactly.
        atol: absolute tolerance on the error bound, reward units.
        rtol: tolerance relative to max|V|; the bound to reach is `atol + rtol * max|V|`.
        method: a key of `METHODS`, see the table of this module.
        sense: "max" (rewards) or "min" (costs).
        start: where to begin, for a sweep over gamma or edited rewards: values `[S]` as floats, such as
            `Solution.value`, or a policy `[S]` as integers, such as `Solution.policy`. The guarantee is that
            of any other run, however bad the start.
        max_steps: largest number of full sweeps of T*; None: as many as a contraction by gamma could need in
            float64.
        throw: raise `SolverError` unless the tolerance is met.
        watch: function that is called with a `Progress` after every certifying sweep: the bound so far, the
            seconds, an estimate of those left.

    Returns:
        A `Solution`; its `error_bound` is true whatever the status says. Threads change no bit of it.

    Raises:
        InputError: on an unknown method or sense, tolerances that are negative or not finite, a start that
            does not fit the MDP, a `watch` that can't be called, or rewards with max|r|/(1 - gamma) above
            1e140, as float64 may overflow otherwise.
        SolverError: with `throw`, if the tolerance is not met.
        SolverInterrupted: a `KeyboardInterrupt` whose `solution` has the values reached by then, certified.

    Example:
        >>> solve(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-9).value.tolist()
        [2.0]
    """
    require(is_one_of(method, METHODS), "method", method, f"must be one of {list(METHODS)}")
    require_flag(throw, name="throw")
    check_steps(max_steps)
    if watch is not None:
        require_function(watch, name="watch", of="a `Progress`")
    make, needs_csr = METHODS[method]
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense, as_csr=needs_csr)
    begin = beginning(start, mdp)
    steps = default_steps(mdp.gamma) if max_steps is None else max_steps
    return checked(drive(task, make(), max_steps=steps, method=method, begin=begin, watch=watch), throw=throw)


def value_iteration(mdp: TabularMDP, *, atol: float, **options: Unpack[SolveOptions]) -> Solution:
    r"""Optimal values by value iteration stopped by the span of $T^*V - V$, Puterman 1994, Section 6.6.

    Args:
        mdp: the MDP.
        atol: absolute tolerance on the error bound, reward units.
        options: `rtol`, `sense`, `max_steps` and `throw`, as in `solve`.

    Returns:
        A `Solution`.

    Raises:
        InputError: as `solve`.
        SolverError: as `solve`.

    Example:
        >>> value_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-9).q.tolist()
        [[2.0]]
    """
    return solve(mdp, atol=atol, method="vi", **options)


def policy_iteration(mdp: TabularMDP, *, atol: float = 1e-9, **options: Unpack[SolveOptions]) -> Solution:
    r"""Optimal values by policy iteration with direct solves, Puterman 1994, Section 6.4.

    Args:
        mdp: the MDP.
        atol: absolute tolerance on the error bound, reward units.
        options: `rtol`, `sense`, `max_steps` (improvement steps) and `throw`, as in `solve`.

    Returns:
        A `Solution`.

    Raises:
        InputError: as `solve`.
        SolverError: as `solve`.

    Example:
        >>> policy_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5)).value.tolist()
        [2.0]
    """
    return solve(mdp, atol=atol, method="pi", **options)


def policy_evaluation(
    mdp: TabularMDP, *, pi: ArrayLike, atol: float = 1e-9, rtol: float = 0.0, throw: bool = False
) -> Solution:
    r"""Values of a policy, $Q^\pi = T^\pi Q^\pi$, by a direct solve, Eq. (1).

    Args:
        mdp: the MDP.
        pi: `[S, A]` policy, zero where the action does not exist; taken as given, exactly.
        atol: absolute tolerance, as in `solve`.
        rtol: relative tolerance, as in `solve`.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution` with `q` = $Q^\pi$ (`-inf` where the action does not exist), `value` = $V^\pi$, and
        `policy` the greedy improvement of pi; `error_bound` bounds the error of both tables.

    Raises:
        InputError: if `pi` is not a policy of the MDP.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> policy_evaluation(TabularMDP([[[1.0]]], [[1.0]], 0.5), pi=[[1.0]]).value.tolist()
        [2.0]
    """
    require_flag(throw, name="throw")
    weights = as_policy(pi, mdp, name="pi")
    task = problem(mdp, atol=atol, rtol=rtol, sense="max")
    return checked(evaluate(task, weights), throw=throw)
