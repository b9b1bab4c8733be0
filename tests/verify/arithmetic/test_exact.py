"""Exact MDPs: hand-worked values, the standard library's fractions as second code, conversion, bad input."""

import json
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from verify.arithmetic import balls, exact
from verify.strategies import mdps, policies, q_tables
from virel_common.errors import InputError
from virel_theory.mdp.tabular import TabularMDP

# Action 0 stays, action 1 moves to the other; staying in state 1 pays 2, leaving 0 costs 1; gamma = 1/2.
# By hand: staying in state 1 is worth 2/(1 - 1/2) = 4; going there from state 0 is worth -1 + 4/2 = 1.
TWO_STATES = TabularMDP([[[1, 0], [0, 1]], [[0, 1], [1, 0]]], [[0, -1], [2, 0]], 0.5)


def test_the_hand_worked_mdp_has_its_optimal_values_and_policy():
    mdp = exact.from_float(TWO_STATES)
    q = exact.optimal_values(mdp)
    assert q == (fmpq(1, 2), fmpq(1), fmpq(4), fmpq(1, 2))
    assert exact.first_greedy(mdp, q) == (1, 2)
    assert exact.residual_error(mdp, q) == 0


def test_ties_are_found_exactly():
    mdp = exact.from_float(TabularMDP([[[1.0], [1.0], [1.0]]], [[1.0, 1.0, 0.0]], 0.9))
    assert exact.greedy_sets(mdp, exact.optimal_values(mdp)) == ((0, 1),)


@pytest.mark.parametrize(
    ("x", "p", "q"),
    [(1 / 3, 1, 3), (0.1, 1, 10), (0.99, 99, 100), (-2.5, -5, 2), (0.0, 0, 1), (1e300, int(1e300), 1)],
)
def test_a_rounded_simple_fraction_is_taken_for_that_fraction(x, p, q):
    assert exact.fraction_of(x) == fmpq(p, q)


def test_a_float_next_to_a_simple_fraction_is_itself():
    x = float(np.nextafter(1 / 3, 1))
    assert exact.fraction_of(x) == fmpq(*x.as_integer_ratio())


def test_a_row_that_does_not_sum_to_one_exactly_is_named():
    p = [1 / 3, 1 / 3, float(np.nextafter(1 / 3, 1))]
    mdp = TabularMDP([[[1.0, 0, 0]], [p], [[0, 0, 1.0]]], np.zeros((3, 1)), 0.5)
    with pytest.raises(InputError, match=r"transition\[1, 0\]"):
        exact.from_float(mdp)
    assert exact.as_given(mdp).n_pairs == 3


@pytest.mark.parametrize("pi", [[[0.5, 0.4]], [[1.5, -0.5]]])
def test_a_policy_that_is_none_exactly_is_named(pi):
    mdp = exact.from_float(TabularMDP([[[1.0], [1.0]]], [[0.0, 0.0]], 0.5))
    with pytest.raises(InputError, match=r"pi\[0\]"):
        exact.policy_of(mdp, pi, name="pi")


@given(mdps(masked=True))
def test_json_and_back_is_the_same_mdp(mdp):
    rational = exact.from_float(mdp)
    text = json.dumps(rational.as_json())
    assert exact.from_json(json.loads(text)).as_json() == rational.as_json()
    assert np.array_equal(rational.mask, mdp.available)


def solve_with_fractions(mdp, pi):
    """V^pi by Gauss-Jordan elimination with the standard library's fractions."""
    n = mdp.n_states
    rows = [[Fraction(s == t) for t in range(n)] + [Fraction(0)] for s in range(n)]
    for (s, _), r, row, weight in zip(mdp.pairs, mdp.reward, mdp.rows, pi, strict=True):
        rows[s][n] += as_fraction(weight * r)
        for t, p in row:
            rows[s][t] -= as_fraction(mdp.gamma * weight * p)
    for k in range(n):
        pivot = next(i for i in range(k, n) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[n] for row in rows]


def as_fraction(x):
    return Fraction(int(x.p), int(x.q))


@given(st.data(), mdps(max_states=4, masked=True))
def test_both_encodings_and_the_fractions_module_agree(data, mdp):
    pi = data.draw(policies(mdp, full_support=False))
    rational = exact.from_float(mdp)
    weights = exact.policy_of(rational, pi, name="pi")
    v = exact.evaluate_states(rational, weights)
    assert rational.backup(v) == exact.evaluate_pairs(rational, weights)
    assert [as_fraction(x) for x in v] == solve_with_fractions(rational, weights)


@given(mdps(max_states=4, masked=True))
def test_optimal_values_solve_the_optimality_equation_in_the_fractions_module(mdp):
    rational = exact.from_float(mdp)
    q = [as_fraction(x) for x in exact.optimal_values(rational)]
    best = [max(q[i] for i in own) for own in rational.of_state]
    for x, r, row in zip(q, rational.reward, rational.rows, strict=True):
        following = sum(as_fraction(p) * best[t] for t, p in row)
        assert x == as_fraction(r) + as_fraction(rational.gamma) * following


@given(st.data(), mdps(max_states=3, masked=True))
def test_the_residual_error_is_zero_only_at_the_optimum(data, mdp):
    rational = exact.from_float(mdp)
    q = exact.table_of(rational, data.draw(q_tables(mdp)), name="q")
    assert (exact.residual_error(rational, q) == 0) == (q == exact.optimal_values(rational))


def test_a_difference_too_small_for_64_bits_is_decided_at_more():
    assert balls.decide(lambda: arb(2).log() - arb(2).log() * (1 - fmpq(1, 10**40))) == (1, 256)


def test_a_zero_is_undecided_and_never_guessed():
    assert balls.decide(lambda: arb(2).log() + arb(3).log() - arb(6).log()) is None


def test_printed_endpoints_contain_the_ball():
    with ctx.workprec(64):
        ball = arb(2).sqrt()
        low, high = balls.endpoints(ball)
    value = [fmpq(int(m)) * fmpq(2) ** int(e) for m, e in (x.split("p") for x in (low, high))]
    assert value[0] ** 2 < 2 < value[1] ** 2


def test_zero_log_zero_is_zero():
    assert balls.entropy([fmpq(1), fmpq(0)]).is_zero()


@given(mdps(masked=True).flatmap(lambda mdp: st.tuples(st.just(mdp), q_tables(mdp))))
def test_a_boltzmann_policy_sums_to_one_in_every_state(drawn):
    mdp, q = exact.from_float(drawn[0]), drawn[1]
    pi = balls.boltzmann(mdp, exact.table_of(mdp, q, name="q"), fmpq(1, 100))
    assert all(balls.total(pi[i] for i in own).contains(1) for own in mdp.of_state)
