"""Discounts of 1 - 10^-k: every method certifies its accuracy or says truthfully why not.

Exact rational policy iteration is the judge.

All bounds must be true. A status other than CONVERGED must be true as well: MAX_STEPS only if the steps ran
out, and a rounding limit only if the bound is of rounding size, (b + 8) ulps of max|Q| / (1 - gamma) at most.
"""

import os

import numpy as np
import pytest

from tests.support.exact_mdp import exact_error, exact_optimal_q
from virel_theory import TabularMDP, chain, from_gymnasium, ring, solve
from virel_theory.solvers.solution import Status

N_MDPS = int(os.environ.get("VIREL_CLOSE_TO_ONE", "40"))
"""Number of MDPs; for 2,000, by hand: `VIREL_CLOSE_TO_ONE=2000 pytest` with this file."""
METHODS = ("auto", "vi", "gs", "pi", "pi-bicgstab", "pi-gmres", "mpi", "ipi", "anderson", "ae")
U = np.finfo(float).eps


def _birth_death(rng, n, gamma, *, absorbing):
    """A queue (reflecting ends) or a gambler's fortune (absorbing ends): two actions, up and down moves."""
    p = np.zeros((n, 2, n))
    for s in range(n):
        for a in range(2):
            up, down = rng.dirichlet(np.ones(3))[:2]
            if absorbing and s in (0, n - 1):
                p[s, a, s] = 1.0
                continue
            p[s, a, min(s + 1, n - 1)] += up
            p[s, a, max(s - 1, 0)] += down
            p[s, a, s] += 1.0 - up - down
    p /= p.sum(axis=2, keepdims=True)
    reward = rng.integers(-4, 5, (n, 2)).astype(float)
    if absorbing:
        reward[:] = 0.0
        reward[n - 2, :] = p[n - 2, :, n - 1]
    return TabularMDP(p, reward, gamma)


def _mdp(k):
    rng = np.random.default_rng(k)
    gamma, n = 1 - 10.0 ** -(3 + (k // 5) % 10), int(rng.integers(2, 12))
    kind = k % 5
    if kind == 0:
        return ring(n + 1, gamma=gamma, rng=rng)
    if kind == 1:
        return chain(n, gamma=gamma, slip=float(rng.random()) / 2)
    if kind == 2:
        return _birth_death(rng, n + 1, gamma, absorbing=False)
    if kind == 3:
        return _birth_death(rng, n + 1, gamma, absorbing=True)
    return from_gymnasium("FrozenLake8x8-v1" if k % 20 == 19 else "FrozenLake-v1", gamma=gamma)


@pytest.mark.parametrize(
    "k", sorted({*range(N_MDPS), 816})
)  # 816: a tolerance relative to values before their shift
def test_every_method_certifies_or_says_truthfully_why_not(k):
    mdp = _mdp(k)
    exact = exact_optimal_q(mdp, solve(mdp, atol=1e-6).policy)
    largest = 1 + max(abs(float(x)) for row in exact for x in row if x is not None)
    for method in METHODS if k % 4 == 0 else (METHODS[0], METHODS[1 + k % 9]):
        steps = 3000
        found = solve(mdp, atol=0.0, rtol=1e-9, method=method, max_steps=steps)
        assert exact_error(found.q, exact) <= found.error_bound, method
        if found.status is Status.CONVERGED:
            assert found.error_bound <= 1e-9 * (1 + 1e-6) * largest, method
        elif found.status is Status.MAX_STEPS:
            assert found.n_steps == steps, method
        else:
            assert found.status is Status.ROUNDING_LIMIT, method
            assert found.error_bound <= 64 * (mdp.row_length + 8) * U * largest / (1 - mdp.gamma), method
