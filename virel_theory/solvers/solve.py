r"""Solvers for discounted MDPs; the bound of every `Solution` is guaranteed (`bounds`, `refine`).

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

`auto` starts with `mpi`. If that mixes slowly it goes on with banded elimination where an order of the states
has a bandwidth up to 48 (corridors, rings, narrow grids), else with ILU(0)-BiCGSTAB; dense, or with up to 32
states, with `pi`. Besides the MDP, Garnets and rings of three actions then need less than 0.3 times its
bytes, the solution included; `pi`, ILU(0)-BiCGSTAB and wide bands need more.
"""

from numpy.typing import ArrayLike

from virel_theory.checks import as_policy, require
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers.choice import ADVANCES, NEEDS_CSR
from virel_theory.solvers.evaluate import evaluate
from virel_theory.solvers.iterates import policy_iteration_iterates, value_iteration_iterates
from virel_theory.solvers.policy_methods import default_steps, drive
from virel_theory.solvers.problem import problem
from virel_theory.solvers.solution import Solution, SolverError, Status, checked

__all__ = [
    "METHODS",
    "Solution",
    "SolverError",
    "Status",
    "policy_evaluation",
    "policy_iteration",
    "policy_iteration_iterates",
    "solve",
    "value_iteration",
    "value_iteration_iterates",
]

METHODS = tuple(ADVANCES)


def solve(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    method: str = "auto",
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values $Q^* = T^* Q^*$ with a guaranteed error bound, Puterman 1994, Chapter 6.

    Args:
        mdp: the MDP; its arrays are taken as given, exactly.
        atol: absolute tolerance on the error bound, reward units.
        rtol: tolerance relative to max|V|; the bound to reach is `atol + rtol * max|V|`.
        method: one of `METHODS`.
        sense: "max" (rewards) or "min" (costs).
        max_steps: full sweeps of T* at most; None: as many as any contraction by gamma could need in float64.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution`; its `error_bound` is true whatever the status says.

    Raises:
        InputError: on an unknown method or sense, tolerances that are negative or not finite, or rewards with
            max|r|/(1 - gamma) above 1e140, as float64 may overflow otherwise.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> solve(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-9).value.tolist()
        [2.0]
    """
    require(method in ADVANCES, "method", method, f"must be one of {list(ADVANCES)}")
    require(max_steps is None or max_steps >= 1, "max_steps", max_steps, "must be at least 1")
    task = problem(mdp, atol=atol, rtol=rtol, sense=sense, as_csr=method in NEEDS_CSR)
    steps = default_steps(mdp.gamma) if max_steps is None else max_steps
    return checked(drive(task, ADVANCES[method], max_steps=steps, method=method), throw=throw)


def value_iteration(
    mdp: TabularMDP,
    *,
    atol: float,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values by value iteration stopped by the span of $T^*V - V$, Puterman 1994, Section 6.6.

    Args:
        mdp: the MDP.
        atol: absolute tolerance, as in `solve`.
        rtol: relative tolerance, as in `solve`.
        sense: "max" or "min".
        max_steps: sweeps at most.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution`.

    Raises:
        InputError: as `solve`.
        SolverError: as `solve`.

    Example:
        >>> value_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5), atol=1e-9).q.tolist()
        [[2.0]]
    """
    return solve(mdp, atol=atol, rtol=rtol, method="vi", sense=sense, max_steps=max_steps, throw=throw)


def policy_iteration(
    mdp: TabularMDP,
    *,
    atol: float = 1e-9,
    rtol: float = 0.0,
    sense: str = "max",
    max_steps: int | None = None,
    throw: bool = False,
) -> Solution:
    r"""Optimal values by policy iteration with direct solves, Puterman 1994, Section 6.4.

    Args:
        mdp: the MDP.
        atol: absolute tolerance, as in `solve`.
        rtol: relative tolerance, as in `solve`.
        sense: "max" or "min".
        max_steps: improvement steps at most.
        throw: raise `SolverError` unless the tolerance is met.

    Returns:
        A `Solution`.

    Raises:
        InputError: as `solve`.
        SolverError: as `solve`.

    Example:
        >>> policy_iteration(TabularMDP([[[1.0]]], [[1.0]], 0.5)).value.tolist()
        [2.0]
    """
    return solve(mdp, atol=atol, rtol=rtol, method="pi", sense=sense, max_steps=max_steps, throw=throw)


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
        InputError: if `pi` is no policy.
        SolverError: with `throw`, if the tolerance is not met.

    Example:
        >>> policy_evaluation(TabularMDP([[[1.0]]], [[1.0]], 0.5), pi=[[1.0]]).value.tolist()
        [2.0]
    """
    weights = as_policy(pi, mdp, name="pi")
    task = problem(mdp, atol=atol, rtol=rtol, sense="max")
    return checked(evaluate(task, weights), throw=throw)
