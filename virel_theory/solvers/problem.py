"""Checked problem that every solver method works on, and the guaranteed error of its backups (`bounds`)."""

from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from virel_common.arguments import as_whole
from virel_common.errors import require
from virel_theory.checks import Array, as_non_negative, as_sign
from virel_theory.mdp.tables import require_mdp
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.mdp.validation import Transition, read_only
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.solution import ONE_THREAD, Solution, Status, ThreadUse

LARGEST = 1e140  # largest |V| allowed, see `check_scale`


class SolveOptions(TypedDict, total=False):
    """Keywords that all solvers share: `rtol`, `sense`, `max_steps`, `throw`, as `solve` explains them."""

    rtol: float
    sense: str
    max_steps: int | None
    throw: bool


@dataclass(frozen=True)
class Outcome:
    """Outcome of a backup: the `shift` to add to its table, the error bound, and whether that suffices.

    `met`: it is within the tolerance. `exhausted`: float64 sweeps cannot make it smaller. Repeated sweeps can
    stall at any span up to `plateau`: each adds rounding, which slow modes sum up.
    """

    bound: float
    shift: float
    met: bool
    exhausted: bool
    plateau: float = 0.0


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked maximisation problem; `reward` is `-inf` at actions that do not exist, `sign` is -1 for costs.

    `n_terms` is the largest row length, `r_max` is max|r|, `beta` encloses gamma times the row sums.
    """

    transition: Transition
    reward: Array
    gamma: float
    sign: float
    atol: float
    rtol: float
    n_terms: int
    r_max: float
    beta: tuple[float, float]

    def tolerance(self, v: Array, shift: float = 0.0) -> float:
        """Error bound to reach, `atol + rtol * max|V|`, for the values V = v + shift."""
        if self.rtol == 0:
            return self.atol
        return self.atol + self.rtol * max(abs(float(v.max()) + shift), abs(float(v.min()) + shift))

    def judge(self, v: Array, w: Array, low: float, high: float) -> Outcome:
        """Guaranteed error of action values `r + gamma P v + shift`; `w = T* v`, w - v in `[low, high]`."""
        v_max = peak(v)
        eta = cert.backup_error(self.n_terms, r_max=self.r_max, v_max=v_max, beta_hi=self.beta[1])
        found = cert.bracket(low, high, beta=self.beta, eta=eta)
        q_max = self.r_max + self.beta[1] * v_max + abs(found.mid)
        bound = cert.total_bound(found.radius, eta=eta, q_max=q_max)
        small_enough = bound <= self.tolerance(w, found.mid)
        exhausted = high - low <= 2 * eta or not np.isfinite(bound)
        return Outcome(bound, found.mid, small_enough, exhausted, plateau=4 * eta / (1 - self.gamma))


def problem(mdp: TabularMDP, *, atol: float, rtol: float, sense: str, as_csr: bool = False) -> Problem:
    """Make a checked maximisation problem of an MDP and tolerances; `as_csr` converts a dense transition."""
    require_mdp(mdp)
    sign = as_sign(sense)
    tolerances = as_non_negative(atol, name="atol"), as_non_negative(rtol, name="rtol")
    reward = mdp.reward if sign == 1.0 else -mdp.reward
    r_max = peak(reward)
    check_scale(r_max, mdp.gamma, name="reward", what="max|r|")
    if mdp.mask is not None:
        reward = np.where(mdp.mask, reward, -np.inf)
    transition = mdp.csr_transition if as_csr else mdp.transition
    reward = read_only(np.ascontiguousarray(reward))  # kernels compile anew for each kind of array
    n_terms = mdp.row_length
    beta = cert.contraction_interval(mdp.gamma, n_terms)
    options = (mdp.gamma, sign, *tolerances, n_terms, r_max, beta)
    return Problem(read_only(transition), reward, *options)


def check_steps(max_steps: int | None) -> None:
    """Raise `InputError` unless `max_steps` is a positive integer, or None."""
    if max_steps is not None:
        as_whole(max_steps, name="max_steps", least=1)


def check_scale(size: float, gamma: float, *, name: str, what: str) -> None:
    r"""Raise `InputError` if values $|V| \le size/(1 - \gamma)$ may overflow; `size`: largest gain per step.

    The methods square values and add them up over states (norms, inner products): 1e140 leaves room for 1e27
    states. Splitting a value for exact products (`refine`) takes 1e8 times it, a bracket of the bounds
    2/(1 - gamma) < 1e17 times it: both far below 1e308.
    """
    rule = f"must keep {what}/(1 - gamma) at most {LARGEST:g}, as float64 may overflow otherwise"
    require(size <= LARGEST * (1 - gamma), name, size / (1 - gamma), rule)


def solution(
    task: Problem,
    arrays: tuple[Array, Array, NDArray[np.intp]],
    outcome: Outcome,
    *,
    n_steps: int,
    method: str,
    threads: ThreadUse = ONE_THREAD,
    interrupted: bool = False,
) -> Solution:
    """Assemble a `Solution` from arrays `q, value, policy`, negated for costs, and the bound of `outcome`."""
    q, value, policy = arrays
    if outcome.met:
        status = Status.CONVERGED
    elif interrupted:
        status = Status.INTERRUPTED
    elif not np.isfinite(outcome.bound):
        status = Status.NOT_CONTRACTING
    else:
        status = Status.ROUNDING_LIMIT if outcome.exhausted else Status.MAX_STEPS
    if task.sign < 0:
        np.negative(q, out=q)
        np.negative(value, out=value)
    return Solution(value, q, policy, status, n_steps, float(outcome.bound), method, threads)
