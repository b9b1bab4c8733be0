"""Discounts of 1 - 10^-k: every method certifies its accuracy or says truthfully why not.

Exact rational policy iteration is the judge. These are the first MDPs of `benchmarks.theory.close_to_one`,
which runs 2,000 of them and says what is judged.
"""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.theory.close_to_one import fault, judged, random_mdp
from tests.support.exact_mdp import exact_optimal_q
from virel_theory import solve
from virel_theory.solvers.solution import Status

N_MDPS = 40


@pytest.mark.parametrize(
    "k", sorted({*range(N_MDPS), 816})
)  # 816: a tolerance relative to values before their shift
def test_every_method_certifies_or_says_truthfully_why_not(k):
    assert [(method, wrong) for method, _, wrong in judged(k) if wrong] == []


@pytest.mark.parametrize(
    "planted",
    [
        lambda found: replace(found, q=found.q + 2 * found.error_bound + 1e-6),
        lambda found: replace(found, error_bound=1e3),
        lambda found: replace(found, status=Status.MAX_STEPS),
        lambda found: replace(found, status=Status.ROUNDING_LIMIT, error_bound=1e6),
        lambda found: replace(found, q=np.full_like(found.q, np.nan)),
    ],
    ids=["a wrong value", "a loose bound", "a limit not reached", "no rounding limit", "no value"],
)
def test_the_judge_finds_planted_faults(planted):
    mdp = random_mdp(2)
    found = solve(mdp, atol=0.0, rtol=1e-9)
    exact = exact_optimal_q(mdp, found.policy)
    assert fault(mdp, found, exact) == ""
    assert fault(mdp, planted(found), exact) != ""
