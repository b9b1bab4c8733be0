r"""Accuracy beyond one float64 sweep: values as pairs `v + tail`, residuals by compensated arithmetic.

Used when the tolerance is below what one plain sweep of `bounds` can certify, $\eta/(1-\gamma)$ with
$\eta \approx (b+6)u|V|$.

Rounding. Every product and sum is split exactly into a float and its error (`kernels.pairs`: TwoProd by a
fused multiply-add, TwoSum: Knuth 1969), which cannot overflow below `problem.LARGEST`; the errors and the
products with the tails are added up in float64, in two interleaved sums: at most K = 3b + 32 terms, each at
most $2uM$ with $M = |r|_\infty + (1 + \gamma(1+\delta))|V|_\infty$, in at most K additions, so that the
pair `(q, q_tail)` and the residual `d = T(v + tail) - (v + tail)` are off by at most
$\eta_2 := 4(Ku)^2M$ plus $u|d|$ for the last rounding of d (cf. Ogita, Rump & Oishi 2005, Proposition 5.5).
The bracket is that of `bounds` with $\eta_2$ for $\eta$; returned is `fl(q + fl(q_tail + m))`, off by
$u|Q| + u(|m| + 2Ku M)$. With $\eta_2/(1-\gamma)$ negligible the bound is about half an ulp of max|Q|: no
float64 table can do better by more than a factor that depends on the entry.

Correction. With $d = T(v + tail) - (v + tail)$ and $\pi$ greedy: solve $(I - \gamma P_\pi)\delta = d$
roughly, add to the tail, renormalise: a Newton step of which only the residual must be accurate (iterative
refinement). Where $\pi$ changes it is a step of policy iteration: the plain sweeps may have stalled before
the optimal policy was found, if gamma is so close to 1 that rounding explains any residual. So corrections
go on while the bound halves, or while the policy changes and the residual is not rounding alone: with a
changed policy of equal value (a tie) it is.

Actions in doubt. The table $\hat Q_V$ of the last plain sweep is within $\eta$ of $Q_V$. An action more than
$2\eta$ below the best of its state in that table is not the best in exact arithmetic, so that the residual
needs compensated sums of the other actions only (`paired_sweep` with a margin of $3\eta$ for the
rounding of the comparison): a tenth of the work where states have ten actions. The bracket is that of
$\eta_2$; the entries left as they were add $\eta$ to the bound, which at most tolerances does not matter.
A correction that changes values by $c + e(s)$, $|e| \le h$, changes $Q_V$ by $\gamma c$ and at most
$\beta_+h + \gamma\delta|c|$ more: the other entries get $\gamma c$ added, and that much, with the rounding of
the step, is added to what they may be off by. Where this would spoil the bound, or the bound falls no more,
all actions are computed. In that second case a dense correction is solved directly: sweeps that end near
their goal may leave as much as there was. All are computed too after a correction by banded elimination,
whose factors take the memory of the table.
"""

import numpy as np
from numpy.typing import NDArray

from virel_theory.checks import Array
from virel_theory.mdp.policy_system import direct_solve
from virel_theory.solvers import bounds as cert
from virel_theory.solvers.backups import Backups, DenseBackups
from virel_theory.solvers.kernels.compensated import move, paired_sweep
from virel_theory.solvers.kernels.rows import peak
from virel_theory.solvers.linear import Band, krylov
from virel_theory.solvers.problem import Outcome, Problem

NOTHING: NDArray[np.int64] = np.empty(0, dtype=np.int64)
MAX_CORRECTIONS = 500  # far more than policy iteration needs; a run ends when nothing improves any more
MAX_DIRECT = 1000  # states up to which corrections are solved directly
MAX_SWEEPS = 100
SMALL = 32  # states up to which a direct solve costs no more than a few sweeps
SLOW = 0.5  # a dense correction whose span falls by less than this factor per sweep is solved directly
USEFUL = 0.5  # share of the tolerance that entries which no compensated sum has computed may take


def refine(task: Problem, b: Backups, v: Array) -> Outcome:
    """Refine the values `v` in place by compensated sweeps; leave the table in `b.q`, return its outcome.

    On entry `b.q` is the plain backup of v.
    """
    tail, d, q_tail = np.zeros_like(v), np.empty_like(v), np.empty_like(b.q)
    delta, scratch, before = np.empty_like(v), np.empty_like(v), np.full_like(b.policy, -1)
    also = cert.backup_error(task.n_terms, r_max=task.r_max, v_max=peak(v), beta_hi=task.beta[1])
    best, change = np.inf, 0.0
    for _ in range(MAX_CORRECTIONS):
        v_max = peak(v)
        some = also <= USEFUL * task.tolerance(v)
        also = also if some else 0.0
        margin = 3 * also if some else np.inf
        low, high = _sweep(task, b, v, tail, q_tail, d, margin=margin, change=change)
        found, bound = _judge_pairs(task, v_max, low, high, also=also)
        met = bound <= task.tolerance(v, found.mid)
        improves = max(-low, high) > _noise(task, v_max) and bool((b.policy != before).any())
        stuck = not (bound < best / 2 or improves)
        if met or (stuck and not some):
            break
        best, before = min(best, bound), b.policy.copy()
        intact = _correction(task, b, d, delta, scratch, stuck=stuck)
        change, drift = move(v, tail, delta, task.gamma, task.beta[1], task.n_terms, task.r_max)
        also = also + drift if intact and not stuck else np.inf
    q_tail += found.mid
    b.q += q_tail
    return Outcome(bound, 0.0, met, exhausted=True)


def _sweep(
    task: Problem,
    b: Backups,
    v: Array,
    tail: Array,
    q_tail: Array,
    d: Array,
    *,
    margin: float,
    change: float,
) -> tuple[float, float]:
    """Run the compensated sweep `paired_sweep`, dense or CSR; returns the extremes of its residual d."""
    rows = (NOTHING, NOTHING, b.flat) if isinstance(b, DenseBackups) else (b.indptr, b.indices, b.data)
    known = (*rows, task.reward, task.gamma, v, tail)
    low, high = paired_sweep(*known, b.q, q_tail, b.policy, d, margin, change)
    return float(low), float(high)


def _judge_pairs(
    task: Problem, v_max: float, low: float, high: float, *, also: float
) -> tuple[cert.Bracket, float]:
    """MacQueen bracket and error bound of values `v + tail` whose Bellman residual lies in `[low, high]`.

    `v_max` is max|v|, infinite if a value is not a number; `also` is the error of entries of the table that
    no compensated sum has computed.
    """
    eta = _noise(task, v_max)
    v_max = v_max * (1 + 4 * cert.UNIT)
    n_roundings = (3 * task.n_terms + 32) * cert.UNIT
    scale = task.r_max + (1 + task.beta[1]) * v_max
    found = cert.bracket(low, high, beta=task.beta, eta=eta)
    q_max = task.r_max + task.beta[1] * v_max + abs(found.mid)
    last = cert.UNIT * (abs(found.mid) + 2 * n_roundings * scale)
    return found, cert.total_bound(found.radius, eta=eta + last + also, q_max=q_max)


def _noise(task: Problem, v_max: float) -> float:
    r"""Bound $\eta_2$ on the rounding error of the residual that a compensated sweep computes."""
    n_roundings = (3 * task.n_terms + 32) * cert.UNIT
    scale = task.r_max + (1 + task.beta[1]) * v_max * (1 + 4 * cert.UNIT)
    return 4 * n_roundings**2 * scale + cert.TINY


def _correction(task: Problem, b: Backups, d: Array, delta: Array, scratch: Array, *, stuck: bool) -> bool:
    r"""Newton correction of the values: about $(I - \gamma P_\pi)^{-1}$ times their residual, pi greedy.

    Dense MDPs are solved directly where sweeps are slow, or have not helped (`stuck`).

    Returns:
        Whether `b.q` is still the table that it was: `Band` factors in its memory.
    """
    b.restrict()
    if isinstance(b, DenseBackups):
        delta[:] = 0.0
        goal = {"atol": task.atol, "forcing": 1e-4}
        swept = not stuck and len(d) > SMALL
        if not (swept and b.evaluate(delta, scratch, d, **goal, slow=SLOW, most=MAX_SWEEPS)):
            delta[:] = direct_solve(b.policy_matrix(), task.gamma, d)
        return True
    if len(d) <= MAX_DIRECT:
        delta[:] = direct_solve(b.policy_matrix(), task.gamma, d)
        return True
    delta[:] = 0.0
    x, y, first = delta, scratch, 0.0
    for k in range(MAX_SWEEPS):
        low, high = b.sweep(x, y, d)
        x, y = y, x
        first = high - low if k == 0 else first
        if high - low <= 1e-4 * first:
            break
    np.add(x, task.gamma / (1 - task.gamma) * (low + high) / 2, out=delta)
    if high - low <= 1e-4 * first:
        return True
    if Band().solve(b, delta, d.copy()):
        return False
    krylov(b, delta, scratch, rhs=d, atol=task.atol, forcing=1e-4)
    return True
