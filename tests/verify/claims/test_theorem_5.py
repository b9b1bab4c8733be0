"""Theorem 5's checks find operators that do not converge, wrong residual errors, the wrong smooth maximum."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from flint import fmpq

from verify.arithmetic.instance import exactly
from verify.claims.theorem_5 import commute, descent, facts, fixed_k, statement
from verify.engine.runner import run_check
from verify.proofs.certificate import Undecided
from verify.proofs.facts import certify
from verify.proofs.sampling import draw
from verify.proofs.table import all_jobs
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.residual import incremental_residual_error
from virel_theory.objective.self_consistent import self_consistent_temperatures
from virel_theory.operators.bellman import bellman_incremental

MODULES = statement, commute
CLAIMS = {c.id: c for module in (*MODULES, descent) for c in module.CLAIMS}
INEQUALITY = CLAIMS["theorem-5-descent"].check


def ok(check, seed=0):
    return run_check(check, seed=seed, shrink=False).ok


# i): a temperature that stops at 1/4.


def never_below(floor, function):
    return lambda mdp, q, *, eps_k: function(mdp, q, eps_k=max(eps_k, floor))


@pytest.mark.parametrize("floor", [0.25, 2.0**-6, 2.0**-10, 1e-6])
def test_an_operator_that_does_not_converge_is_found(monkeypatch, floor):
    for name, function in (
        ("bellman_incremental", bellman_incremental),
        ("incremental_residual_error", incremental_residual_error),
    ):
        monkeypatch.setattr(statement, name, never_below(floor, function))
    assert not ok(CLAIMS["theorem-5-i"].check)


def test_an_operator_that_does_not_converge_is_not_certified(monkeypatch):
    (job,) = all_jobs()["theorem-5-i"]
    x = exactly({"mdp": ONE_STATE, "q": np.array([[1.0, 0.0]]), "eps_k": 2.0**-6})
    assert not isinstance(outcome(job, "theorem-5-i", x), Undecided)
    right = facts.losses
    monkeypatch.setattr(facts, "losses", lambda x, q, eps: right(x, q, max(eps, fmpq(1, 4))))
    assert isinstance(outcome(job, "theorem-5-i", x), Undecided)


def outcome(job, claim_id, x):
    return certify(claim_id, job.form, x, parts=job.parts, facts=job.facts)


@pytest.mark.parametrize("floor", [10.0, 1.0, 0.125, 0.1, 1e-3, 1e-4, 1e-6])
def test_a_minimiser_that_does_not_approach_the_least_is_found(monkeypatch, floor):
    """The corrected form of App. F.2 says that the excess goes to 0; with such a floor it does not."""
    name = "incremental_residual_error"
    monkeypatch.setattr(fixed_k, name, never_below(floor, incremental_residual_error))
    (claim,) = fixed_k.CLAIMS
    assert [ok(claim.correction.check, seed=seed) for seed in range(3)] == [False] * 3


# ii), iii), (38): residual errors that vanish at Q* as they should, and are wrong elsewhere.


def hundredfold(mdp, q, *, eps_k):
    return 100 * (incremental_residual_error(mdp, q, eps_k=eps_k) - eps_k) + eps_k


def sum_of_absolute_values(mdp, q, *, eps_k):
    on = mdp.available
    return float(np.abs(bellman_incremental(mdp, q, eps_k=eps_k)[on] - q[on]).sum()) + eps_k


@pytest.mark.parametrize("wrong", [hundredfold, sum_of_absolute_values])
@pytest.mark.parametrize("claim_id", ["theorem-5-ii", "theorem-5-iii", "eq-38"])
def test_a_wrong_residual_error_is_found(monkeypatch, claim_id, wrong):
    for module in MODULES:
        monkeypatch.setattr(module, "incremental_residual_error", wrong)
    assert not ok(CLAIMS[claim_id].check)


@pytest.mark.parametrize("claim_id", ["theorem-5-ii", "theorem-5-iii", "eq-38"])
def test_a_wrong_eps_omega_is_found(monkeypatch, claim_id):
    for module in MODULES:
        monkeypatch.setattr(module, "eps_by_hand", lambda *_: 0.0)
    assert not ok(CLAIMS[claim_id].check)


# (37), ii): the limit is the residual error under T*, not under T^{pi_omega}.

ONE_STATE = TabularMDP([[[1.0], [1.0]]], [[1.0, 0.0]], 0.5)


@pytest.mark.parametrize(("q", "limit", "own"), [((1.0, 0.0), 0.125, 0.124917), ((4.0, 3.0), 0.5, 0.578153)])
def test_the_limit_is_not_the_residual_error_under_the_boltzmann_policy(q, limit, own):
    """S = 1, A = 2, gamma = 1/2, r = (1, 0); the temperature solves its equation, written out here."""
    table = np.array([q])
    assert incremental_residual_error(ONE_STATE, table, eps_k=0.0) == limit
    (root,) = self_consistent_temperatures(ONE_STATE, table).roots
    assert root.eps == pytest.approx(own, abs=1e-6)
    mean = q[0] - (q[0] - q[1]) / (1 + np.exp((q[0] - q[1]) / root.eps))
    assert np.mean((np.array([1.0, 0.0]) + mean / 2 - table) ** 2) / 2 == pytest.approx(root.eps, rel=1e-12)
    assert not statement.gap_37_own_policy(mdp=ONE_STATE, q=table).ok
    assert not statement.gap_ii_own_policy(mdp=ONE_STATE, others=table[None]).ok


@pytest.mark.parametrize("claim_id", ["eq-37", "theorem-5-ii"])
def test_the_target_is_necessary(claim_id):
    (target,) = CLAIMS[claim_id].assumptions
    assert target.name == "target"
    assert not ok(target.without)


# The descent: only the soft value keeps the inequality.


def test_the_boltzmann_target_breaks_the_inequality_at_every_stuck_table(monkeypatch):
    stuck = [*draw(descent.near_stuck(), seed=0, n=200), *(x for _, x in descent.ends())]
    assert all(descent.gap_inequality(**x).ok for x in stuck)
    monkeypatch.setattr(descent, "soft", descent.boltzmann)
    assert not any(descent.gap_inequality(**x).ok for x in stuck)


@pytest.mark.parametrize(("k", "soft", "boltzmann"), [(0, -0.1708, 0.05248), (1, -0.2099, 0.01010)])
def test_where_the_descent_ends_the_soft_target_has_a_gradient(monkeypatch, k, soft, boltzmann):
    _, x = list(descent.ends())[k]
    assert descent.gap_inequality(**x).error == pytest.approx(soft, abs=1e-4)
    monkeypatch.setattr(descent, "soft", descent.boltzmann)
    assert descent.gap_inequality(**x).error == pytest.approx(boltzmann, abs=1e-4)


def test_the_check_finds_the_boltzmann_target_by_its_draws_and_by_its_named_tables(monkeypatch):
    monkeypatch.setattr(descent, "soft", descent.boltzmann)
    assert not ok(dataclasses.replace(INEQUALITY, named=tuple))
    assert not ok(dataclasses.replace(INEQUALITY, n_random=0))


def test_stuck_tables_are_among_those_that_are_certified():
    (job,) = all_jobs()["theorem-5-descent"]
    drawn = draw(job.instances_of(CLAIMS["theorem-5-descent"]), seed=0, n=50)
    assert any(x["mdp"].gamma == 0.95 for x in drawn)  # `mdps` does not draw it
    x = next(job.prepare(x) for x in drawn if x["mdp"].gamma == 0.95)
    assert not isinstance(outcome(job, "theorem-5-descent", x), Undecided)


def residual_84(x):
    """Half the mean squared residual at eps_k = 1, gamma = 0.84; action 0 stays, action 1 crosses over."""
    r, q = np.array([[1.233, -2.229], [-0.126, -1.514]]), x.reshape(2, 2)
    v = (scipy.special.softmax(q, axis=1) * q).sum(axis=1)
    beta = r + 0.84 * np.stack((v, v[::-1]), axis=1) - q
    return np.mean(beta**2) / 2


def test_two_states_of_two_actions_have_a_spurious_minimum_at_gamma_84():
    """Its gaps are 2.105 and 2.747; the other minimum is 0. Hessian by central differences."""
    start = np.array([2.104, -0.001, 2.746, 0.0])
    end = scipy.optimize.minimize(residual_84, start, method="BFGS", options={"gtol": 1e-9})
    assert end.fun == pytest.approx(0.12497, abs=1e-5)
    assert np.abs(end.jac).max() < 1e-6
    steps = 1e-3 * np.eye(4)
    hessian = [
        [
            (residual_84(end.x + a + b) - residual_84(end.x + a - b) - residual_84(end.x - a + b)
             + residual_84(end.x - a - b)) / 4e-6
            for b in steps
        ]
        for a in steps
    ]  # fmt: skip
    assert np.linalg.eigvalsh(hessian)[0] > 2e-3
    other = scipy.optimize.minimize(residual_84, np.array([7.6, 1.6, 3.7, 4.9]), method="BFGS")
    assert other.fun < 1e-9


def test_below_gamma_83_two_actions_leave_no_singular_jacobian():
    """The row sums of |M| are 2 M_0 - 1 <= 1.1997 < 1/0.8335; with three actions they are larger."""
    gap = np.linspace(0, 12, 120_001)
    m = descent.boltzmann(np.stack((gap, np.zeros_like(gap)), axis=1), 1.0)[1]
    largest = np.abs(m).sum(axis=1).max()
    assert 1.1996 < largest < 1.1997
    assert largest * 0.8335 < 1 < largest * 0.8336
    three = descent.boltzmann(np.array([[2.7, 0.0, 0.0]]), 1.0)[1]
    assert np.abs(three).sum() > 1.3
