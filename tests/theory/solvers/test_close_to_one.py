"""Discounts of 1 - 10^-k: every method certifies its accuracy or says truthfully why not.

Exact rational policy iteration is the judge. These are the first MDPs of `benchmarks.theory.close_to_one`,
which runs 2,000 of them and says what is judged.
"""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.theory.close_to_one import fault, judged, random_mdp
from tests.support.exact_mdp import exact_optimal_q
from virel_common.errors import InputError
from virel_theory import (
    TabularMDP,
    boltzmann_fixed_points,
    discounted_occupancy,
    m_step_complete,
    merl_objective,
    policy_evaluation,
    policy_iteration_iterates,
    soft_policy_iteration,
    solve,
)
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


ONE = np.nextafter(1.0, 0.0)
SINGULAR = TabularMDP([[[1 + 2.3e-16]]], [[1.0]], ONE)
"""The row's sum passes as 1, and gamma times it is 1 to rounding."""


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mdp", [SINGULAR, SINGULAR.to_sparse()], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "found",
    [
        lambda mdp: policy_evaluation(mdp, pi=[[1.0]]),
        lambda mdp: solve(mdp, atol=1e-9, start=[0]),
        lambda mdp: solve(mdp, atol=1e-9, method="pi"),
        lambda mdp: soft_policy_iteration(mdp, c=1.0, atol=1e-9),
    ],
    ids=["evaluation", "start", "policy iteration", "soft policy iteration"],
)
def test_where_gamma_is_one_to_rounding_solvers_return_values_without_a_bound(found, mdp):
    solution = found(mdp)
    assert (solution.status, solution.error_bound) == (Status.NOT_CONTRACTING, np.inf)
    assert np.isfinite(solution.q).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mdp", [SINGULAR, SINGULAR.to_sparse()], ids=["dense", "sparse"])
@pytest.mark.parametrize(
    "compute",
    [
        lambda mdp: policy_iteration_iterates(mdp, policy0=[0], n_steps=1),
        lambda mdp: boltzmann_fixed_points(mdp, eps=1.0),
        lambda mdp: discounted_occupancy(mdp, pi=[[1.0]]),
        lambda mdp: merl_objective(mdp, pi=[[1.0]], c=1.0),
        lambda mdp: m_step_complete(mdp, pi=[[1.0]]),
    ],
    ids=["iterates", "fixed points", "occupancy", "MERL", "M-step"],
)
def test_where_gamma_is_one_to_rounding_exact_objects_say_so_in_one_line(compute, mdp):
    with pytest.raises(InputError, match=r"^`gamma` must be so far below 1 .*; found 0\.9999999999999999$"):
        compute(mdp)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("gamma", [1 - 1e-14, 1 - 4e-16])
def test_an_ill_conditioned_policy_warns_of_nothing_but_its_bound(gamma):
    rng = np.random.default_rng(0)
    mdp = TabularMDP(rng.dirichlet(np.ones(5), size=(5, 2)), rng.normal(size=(5, 2)), gamma)
    for one in (mdp, mdp.to_sparse()):
        found = policy_evaluation(one, pi=np.full((5, 2), 0.5))
        assert found.status in {Status.ROUNDING_LIMIT, Status.NOT_CONTRACTING}
        assert abs(found.value).max() > 1e12
        assert len(policy_iteration_iterates(one, policy0=[0] * 5, n_steps=1)) == 2
