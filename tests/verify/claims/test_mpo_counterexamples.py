"""Counterexamples to statements of MPO, by hand, and a bound that a policy attains."""

import math

import numpy as np
import pytest

from tests.support.proofs import job_of
from verify.claims.mpo import divergences, facts, m_step
from verify.proofs.certificate import Certificate
from verify.proofs.facts import certify
from virel_theory.mdp.tabular import TabularMDP


def chain_objective(theta):
    """J and f' of MPO, A.2, on two states: staying pays 0 and 2, leaving 0 and 1; gamma 1/2, alpha 1.

    V(s) = sum of p(a|s) (income + V(next) / 2) in both states: two equations, solved by Cramer's rule.
    """
    stay = 1 / (1 + math.exp(-theta))
    reward = [[0.0, 0.0], [2.0, 1.0]]

    def values(p, income):
        (a, b), (c, d) = income
        m = np.array([[1 - p[0] / 2, -(1 - p[0]) / 2], [-(1 - p[1]) / 2, 1 - p[1] / 2]])
        return np.linalg.solve(m, [p[0] * a + (1 - p[0]) * b, p[1] * c + (1 - p[1]) * d])

    v = values([stay, stay], reward)
    q_stay = [reward[s][0] + v[s] / 2 for s in (0, 1)]
    q_leave = [reward[s][1] + v[1 - s] / 2 for s in (0, 1)]
    q = [
        stay * math.exp(x) / (stay * math.exp(x) + (1 - stay) * math.exp(y))
        for x, y in zip(q_stay, q_leave, strict=True)
    ]
    gain = [
        [reward[s][0] - math.log(q[s] / stay), reward[s][1] - math.log((1 - q[s]) / (1 - stay))]
        for s in (0, 1)
    ]
    visits = (
        values([stay, stay], [[1.0, 1.0], [0.0, 0.0]])[0],
        values([stay, stay], [[0.0, 0.0], [1.0, 1.0]])[0],
    )
    slope = sum(w * (stay - q[s]) for s, w in enumerate(visits))
    return values(q, gain)[0], slope


@pytest.mark.parametrize("beta", [1.0, 0.1, 0.01, 1e-3, 1e-4])
def test_the_objective_of_21_falls_for_every_small_step(beta):
    before, slope = chain_objective(0.0)
    after, _ = chain_objective(-beta * slope)
    assert slope**2 == pytest.approx(0.00861, abs=1e-5)
    assert (after - before) / beta == pytest.approx(-0.00248 - 0.00095 * beta, abs=1e-4)


def test_the_named_counterexample_of_21_is_this_chain():
    ((_, x),) = m_step.counterexample()
    assert m_step.improvement_gap(**x).error == pytest.approx(0.00248, abs=1e-5)


def test_the_decrease_of_23_lacks_a_square():
    # one state, rewards 1 and 0, gamma 0, alpha 1, policy (1/2, 1/2): q = (e, 1)/(e + 1), f = KL(q || pi)
    q = math.e / (math.e + 1)
    slope = 0.5 - q  # of f in the logit of the first action, minus that of the second
    norm = math.sqrt(2) * abs(slope)
    for beta in (1.0, 0.1, 0.01):
        step = 2 * beta * abs(slope)  # by which the difference of the logits moves
        p = 1 / (1 + math.exp(-step))
        fall = q * math.log(p / 0.5) + (1 - q) * math.log((1 - p) / 0.5)
        assert beta * norm**2 / 2 <= fall < beta * norm / 2


def test_the_form_of_25_is_thirty_two_times_too_large_for_a_fair_coin():
    p, delta = np.array([0.5, 0.5]), np.array([1.0])
    assert divergences._second_order(p, delta) == pytest.approx(1 / 8)
    assert divergences.inverse_form_gap(p=p, delta=delta).error == pytest.approx(4 - 1 / 8)


def test_the_part_of_27_that_is_called_the_mean_s_vanishes_if_the_mean_alone_moves():
    # n = 1, variance 1, mean moved by 1: the KL is 1/2
    old, new = (np.array([0.0]), np.eye(1)), (np.array([1.0]), np.eye(1))
    printed_c_mu, printed_c_sigma = divergences._parts(old, new)
    assert printed_c_mu == 0.0
    assert printed_c_sigma == pytest.approx(divergences._kl(old, new)) == pytest.approx(0.5)


def maximum_over(pi, *, q=(1.0, 1.0)):
    """What a policy misses of the largest objective, share 1/2 of the prior (1/5, 4/5), and its proof."""
    job = job_of("design-11-exponent", "printed")
    mdp = TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5)
    tables = {"q": np.array([q]), "pi": np.array([pi]), "prior": np.array([[0.2, 0.8]])}
    x = job.prepare({"mdp": mdp, "c_kl": 1.0, "c_ent": 1.0} | tables)
    proof = certify("design-11-exponent", "printed", x, parts=job.parts, facts=job.facts)
    return facts.exponent_maximum(x), proof


def test_the_posterior_of_equal_values_misses_exactly_nothing():
    """It is proportional to the root of the prior: (1, 2) / 3."""
    (missed,), proof = maximum_over((1 / 3, 2 / 3))
    assert missed.is_zero()
    assert isinstance(proof, Certificate)
    for pi, q in (((0.5, 0.5), (1.0, 1.0)), ((0.2, 0.8), (1.0, 1.0)), ((1 / 3, 2 / 3), (1.0, 2.0))):
        (missed,), proof = maximum_over(pi, q=q)
        assert missed > 0
        assert isinstance(proof, Certificate)
