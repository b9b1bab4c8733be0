r"""Comparison of the iterates of two exact algorithms, with a bound on what rounding can make of them.

Let $e_k$ bound the errors of the logarithms of the policies after k steps, B the largest of rewards, action values
and regularisers, eta the temperature. A policy's rows are off by at most $e_k$ in the 1-norm; its values and its
visits, solutions of systems with inverse at most $1/(1 - \gamma)$, by at most $2e_kB/(1 - \gamma)$ and
$e_k/(1 - \gamma)$; so what a step adds to log-policies, values over eta times weights up to 1, is off by at most
$4e_kB/((1 - \gamma)\eta)$, and by normalising twice that. With one step's own rounding $\rho = 64(S^2 + A +
8)u(1 + B)/((1 - \gamma)^2\eta)$ and $L = 2 + 8B/((1 - \gamma)\eta)$, $e_{k+1} \le Le_k + \rho$, so $e_k \le
kL^{k-1}\rho$. Probabilities are off by at most $e_k$, action values by $(1 + \eta)e_k$.
"""

from collections.abc import Sequence
from itertools import islice

import numpy as np
from hypothesis import strategies as st

from verify.engine.verdict import Gap, worst
from virel_theory.checks import Array, U
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.variational.core.iterate import Iterate, Iterates

STEPS = 3
"""Number of iterations that are compared."""


def first(run: Iterates, n: int = STEPS) -> list[Iterate]:
    """First `n` iterates of an algorithm."""
    return list(islice(run, n))


def compared(
    mdp: TabularMDP,
    left: Sequence[Iterate],
    right: Sequence[Iterate],
    *,
    eta: float,
    names: Sequence[str] = ("q", "policy"),
    slack: float = 0.0,
) -> Gap:
    """Worst difference of the named tables over the steps, against what rounding allows.

    `slack` is a difference of log-policies per step that an algorithm's own definition allows.
    """
    return worst(
        *(
            Gap(
                _apart(getattr(x, name), getattr(y, name)),
                allowance(mdp, (*left, *right), k, eta=eta, slack=slack),
            )
            for k, (x, y) in enumerate(zip(left, right, strict=True), start=1)
            for name in names
        )
    )


def allowance(mdp: TabularMDP, runs: Sequence[Iterate], k: int, *, eta: float, slack: float = 0.0) -> float:
    """Bound on what rounding makes of tables after k steps, by the sizes that occur in `runs`."""
    size = 1 + max(float(np.abs(x.q[..., mdp.available]).max()) for x in runs)
    size += float(np.abs(mdp.reward).max()) + eta * np.log(mdp.n_actions)
    room = (1 - mdp.gamma) * eta
    own = 64 * (mdp.n_states**2 + mdp.n_actions + 8) * U * size / ((1 - mdp.gamma) * room) + slack
    return float((1 + eta) * k * (2 + 8 * size / room) ** (k - 1) * own)


def _apart(left: Array, right: Array) -> float:
    """Largest difference of two tables, 0 where both are -inf."""
    same = left == right
    return float(np.abs(np.where(same, 0.0, left - np.where(same, 0.0, right))[~same]).max(initial=0.0))


def gammas() -> st.SearchStrategy[float]:
    """Discounts up to 3/4: with larger ones three steps may amplify rounding beyond use."""
    return st.sampled_from((0.5, 0.0, 0.75))


def warm() -> st.SearchStrategy[float]:
    """Temperatures from 1 on: with small ones three steps may amplify rounding beyond use."""
    return st.sampled_from((1.0, 2.0, 4.0, 10.0))
