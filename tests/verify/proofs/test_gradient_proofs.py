"""Proofs about gradients against numbers found by hand and by the float solver."""

import numpy as np
import pytest
from flint import arb, fmpq

from tests.support.proofs import job_of
from verify import recheck
from verify.arithmetic.instance import exactly
from verify.claims.residual_gradients import critic_facts, incremental_facts
from verify.proofs.certificate import Undecided, write
from verify.proofs.facts import certify, differs
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import self_consistent_temperatures

# Theorem 4's smallest counterexample, beta = (1, 1), eps = 1/2, pi = (1, e)/(1 + e).


def two_armed(gamma):
    """One state; Q = (0, 1/2) is tabular."""
    x = exactly({"mdp": TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], gamma)})
    unit = [(fmpq(1), fmpq(0)), (fmpq(0), fmpq(1))]
    return x.with_parts(features=unit, omega=(fmpq(0), fmpq(1, 2)), beta=(fmpq(1), fmpq(1)))


def test_theorem_4_as_printed_is_off_by_what_one_finds_by_hand(tmp_path):
    """Var(Q) = v/4, Cov(Q, e_1) = -v/2, v = e/(1+e)^2; deps = -1/2. Printed: -9v/4; true: -v + v/2."""
    v = np.e / (1 + np.e) ** 2
    x = two_armed(0.0)
    (first, _), (first_30, _) = critic_facts.theorem_4(x), critic_facts.eq_30(x)
    assert float(first) == pytest.approx(-v / 2 + 9 / 4 * v, rel=1e-14)
    assert float(first_30) == pytest.approx(9 / 4 * v, rel=1e-14)
    job = job_of("theorem-4", "printed")
    outcome = certify("theorem-4", "printed", x, parts=job.parts, facts=job.facts)
    write(tmp_path / "c.json", [outcome])
    assert len(recheck.recheck(tmp_path / "c.json")) == 1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99])
def test_the_corrected_theorem_4_is_not_refuted_and_proved_at_any_discount(gamma, tmp_path):
    x, job = two_armed(gamma), job_of("theorem-4", "corrected")
    refutation = [differs(critic_facts.theorem_4_corrected)]
    assert isinstance(certify("theorem-4", "printed", x, parts=job.parts, facts=refutation), Undecided)
    proved = certify("theorem-4", "corrected", x, parts=job.parts, facts=job.facts)
    write(tmp_path / "c.json", [proved])
    assert len(recheck.recheck(tmp_path / "c.json")) == 1


def test_a_difference_that_is_undefined_proves_nothing():
    """A quotient by zero, as the printed right side of Theorem 4 has one where its denominator vanishes."""
    x, parts = two_armed(0.0), job_of("theorem-4", "printed").parts
    undefined = differs(lambda _: [arb(1) / arb(0), arb("nan")])
    assert isinstance(certify("theorem-4", "printed", x, parts=parts, facts=[undefined]), Undecided)
    beside = differs(lambda _: [arb("nan"), arb(1)])
    assert certify("theorem-4", "printed", x, parts=parts, facts=[beside]).result[0]["component"] == 1


def test_the_derivative_of_the_temperature_is_that_of_the_root_that_floats_find():
    """A central difference of the self-consistent temperature, gamma = 1/2; 1e-6 is its truncation."""
    x = two_armed(0.5)
    critic = critic_facts.Critic(x, 1)
    reward = [float(r) for r in critic.reward]
    mdp = TabularMDP([[[1.0], [1.0]]], [reward], 0.5)
    step = 2.0**-12
    ends = [
        next(
            root.eps
            for root in self_consistent_temperatures(mdp, np.array([[0.0, 0.5 + s]])).roots
            if abs(root.eps - 0.5) < 0.05
        )
        for s in (-step, step)
    ]
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(float(critic.d_eps), abs=1e-6)


def test_eq_31_as_printed_is_off_by_one_at_a_single_pair():
    x = exactly({"mdp": TabularMDP([[[1.0]]], [[0.0]], 0.0)})
    x = x.with_parts(features=[(fmpq(1),)], omega=(fmpq(0),), eps_k=fmpq(1))
    (difference,) = incremental_facts.eq_31(x, gamma=False, with_q=False)
    assert difference == -1
