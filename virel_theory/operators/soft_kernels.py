r"""Kernels of soft (log-sum-exp) values and of Boltzmann means, and the rounding bound of the former.

Rounding of $c\log\sum_a e^{q_a/c}$, computed as $m + c\log\sum_a e^{x_a}$, $m = \max q$, $x_a = (q_a - m)/c
\le 0$, with exp and log within 4 ulp (8u): $x_a$ is off by $2u|x_a|$, which moves the sum S by $\sum
2u|x_a|e^{x_a} \le 2uA/e$; exp adds $8uS$, the additions $(A - 1)uS$. As $S \ge 1$, log S is off by $(2A + 8)u
+ 8u\log A$; times c, plus one rounding of the product and one of the sum: at most $cu(2A + 10 + 10\log A) +
u|V|$. `soft_error` takes twice the constants.
"""

from typing import no_type_check

import numpy as np
from numba import njit

from virel_theory.solvers.bounds import UNIT


@njit(cache=True)
@no_type_check
def soft_max(q, c, out):
    """out[s] <- c log sum_a exp(q[s, a] / c)."""
    for s in range(len(out)):
        top = -np.inf
        for a in range(q.shape[1]):
            top = max(top, q[s, a])
        total = 0.0
        for a in range(q.shape[1]):
            total += np.exp((q[s, a] - top) / c)
        out[s] = top + c * np.log(total)


@njit(cache=True)
@no_type_check
def soft_weights(q, c, pi):
    """pi[s] <- softmax(q[s] / c)."""
    for s in range(q.shape[0]):
        top = -np.inf
        for a in range(q.shape[1]):
            top = max(top, q[s, a])
        total = 0.0
        for a in range(q.shape[1]):
            pi[s, a] = np.exp((q[s, a] - top) / c)
            total += pi[s, a]
        for a in range(q.shape[1]):
            pi[s, a] /= total


def soft_error(n_actions: int, *, c: float, v_max: float) -> float:
    """How far a computed soft maximum can be from the exact one of the same values."""
    return UNIT * (c * (4 * n_actions + 20 + 20 * float(np.log(n_actions))) + 2 * v_max)
