"""The checked problem that every method works on, and the verdict of `bounds` on a point."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from virel_theory.checks import Array, require
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import Backups, backups
from virel_theory.solvers.kernels import dense, rows
from virel_theory.solvers.solution import Solution, Status

LARGEST = 1e140  # of |V|, see `check_scale`


@dataclass(frozen=True, eq=False)
class Problem:
    """A maximisation problem; `reward` is `-inf` where the action does not exist; `sign` is -1 for costs."""

    transition: Array | sparse.csr_array
    reward: Array
    gamma: float
    sign: float
    atol: float
    rtol: float
    n_terms: int
    r_max: float
    beta: tuple[float, float]

    def backups(self) -> Backups:
        """Backups with their own work arrays."""
        return backups(self.transition, self.reward, self.gamma)

    def tolerance(self, w_max: float) -> float:
        """The bound to reach when the values are as large as `w_max`."""
        return self.atol + self.rtol * w_max

    def judge(self, v: Array, w: Array, low: float, high: float) -> "Verdict":
        """The guaranteed error of `r + gamma P v + shift`, `low` and `high` the extremes of w - v."""
        v_max = peak(v)
        eta = cert.backup_error(self.n_terms, r_max=self.r_max, v_max=v_max, beta_hi=self.beta[1])
        found = cert.bracket(low, high, beta=self.beta, eta=eta)
        q_max = self.r_max + self.beta[1] * v_max + abs(found.mid)
        bound = cert.total_bound(found.radius, eta=eta, q_max=q_max)
        small_enough = bound <= self.tolerance(peak(w) - abs(found.mid))
        exhausted = high - low <= 2 * eta or not np.isfinite(bound)
        return Verdict(bound, found.mid, small_enough, exhausted, plateau=4 * eta / (1 - self.gamma))


@dataclass(frozen=True)
class Verdict:
    """Error bound after adding `shift`; whether it meets the tolerance, or cannot get better in float64.

    Repeated sweeps can stall at any span up to `plateau`: each adds rounding, which slow modes sum up.
    """

    bound: float
    shift: float
    met: bool
    exhausted: bool
    plateau: float = 0.0


def problem(mdp: TabularMDP, *, atol: float, rtol: float, sense: str, as_csr: bool = False) -> Problem:
    """The checked problem; `as_csr` converts a dense transition."""
    require(sense in ("max", "min"), "sense", sense, "must be 'max' (rewards) or 'min' (costs)")
    for name, value in {"atol": atol, "rtol": rtol}.items():
        require(0 <= value < np.inf, name, value, "must be non-negative and finite")
    sign = 1.0 if sense == "max" else -1.0
    reward = mdp.reward if sign == 1.0 else -mdp.reward
    r_max = peak(reward)
    check_scale(r_max, mdp.gamma, name="reward", what="max|r|")
    if mdp.mask is not None:
        reward = np.where(mdp.mask, reward, -np.inf)
    transition = mdp.to_sparse().transition if as_csr else mdp.transition
    n_terms = row_length(mdp)
    beta = cert.contraction_interval(mdp.gamma, n_terms)
    return Problem(transition, reward, mdp.gamma, sign, float(atol), float(rtol), n_terms, r_max, beta)


def check_scale(size: float, gamma: float, *, name: str, what: str) -> None:
    r"""Refuse gains `size` a step that make values $|V| \le size/(1 - \gamma)$ overflow somewhere on the way.

    The methods square values and add them up over states (norms, inner products): 1e140 leaves room for 1e27
    states. Splitting a value for exact products (`refine`) takes 1e8 times it, a bracket of the certificate
    2/(1 - gamma) < 1e17 times it: both far below 1e308.
    """
    rule = f"must keep {what}/(1 - gamma) at most {LARGEST:g}, as float64 may overflow otherwise"
    require(size <= LARGEST * (1 - gamma), name, size / (1 - gamma), rule)


def solution(
    task: Problem, arrays: tuple[Array, Array, NDArray[np.intp]], verdict: Verdict, n_steps: int, method: str
) -> Solution:
    """The solution whose arrays `q, value, policy` (of the maximisation) have the bound of `verdict`."""
    q, value, policy = arrays
    if verdict.met:
        status = Status.CONVERGED
    elif not np.isfinite(verdict.bound):
        status = Status.NOT_CONTRACTING
    else:
        status = Status.ROUNDING_LIMIT if verdict.exhausted else Status.MAX_STEPS
    if task.sign < 0:
        np.negative(q, out=q)
        np.negative(value, out=value)
    return Solution(value, q, policy, status, n_steps, float(verdict.bound), method)


def row_length(mdp: TabularMDP) -> int:
    """Largest number of entries of a row: exact zeros add no rounding."""
    if isinstance(mdp.transition, np.ndarray):
        return int(dense.longest_row(mdp.transition.reshape(-1, mdp.n_states)))
    return int(rows.longest_row(mdp.transition.indptr))


def peak(x: Array) -> float:
    """max|x|."""
    return float(dense.largest(x.reshape(-1)))
