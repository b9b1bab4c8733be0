"""Self-consistent temperatures: all roots are isolated, and the checker misses none that is hidden."""

import numpy as np
import pytest
from flint import ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from tests.support.proofs import THREE_ROOTS, job_of
from verify import recheck
from verify.arithmetic.instance import exactly
from verify.checker import formulas
from verify.checker.temperatures import Temperatures, half_mean_square, variance
from verify.claims.optima import root_proofs
from verify.claims.optima.root_proofs import with_roots
from verify.proofs.certificate import write
from verify.proofs.facts import Open, certify
from virel_theory.mdp.tabular import TabularMDP
from virel_theory.objective.self_consistent import self_consistent_temperatures


def test_the_three_roots_are_isolated_as_the_float_solver_finds_them():
    x = with_roots(exactly(THREE_ROOTS))
    found = self_consistent_temperatures(THREE_ROOTS["mdp"], THREE_ROOTS["q"]).roots
    ends = [
        (float(low.p) / float(low.q), float(high.p) / float(high.q))
        for low, high in zip(x.low, x.high, strict=True)
    ]
    assert [
        low <= root.eps <= high or abs(root.eps - low) < 1e-9
        for (low, high), root in zip(ends, found, strict=True)
    ] == [True] * 3


def roots_certificate(x):
    job = job_of("app-c-3", "printed")
    return certify("app-c-3", "printed", x, parts=job.parts, facts=job.facts)


def test_a_hidden_root_is_missed_by_no_checker(tmp_path):
    x = with_roots(exactly(THREE_ROOTS))
    fewer = roots_certificate(x.with_parts(low=x.low[:2], high=x.high[:2]))
    write(tmp_path / "c.json", [fewer])
    with pytest.raises(recheck.Rejected, match="3 roots, not 2"):
        recheck.recheck(tmp_path / "c.json")


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (lambda ends: ends[:-1], "too early|roots, not"),
        (lambda ends: ends[-1:], "may turn"),
        (lambda ends: [ends[0], *ends], "do not rise"),
    ],
)
def test_boxes_that_show_nothing_are_rejected(ends, why, tmp_path):
    x = with_roots(exactly(THREE_ROOTS))
    write(tmp_path / "c.json", [roots_certificate(x.with_parts(ends=ends(x.ends)))])
    with pytest.raises(recheck.Rejected, match=why):
        recheck.recheck(tmp_path / "c.json")


@pytest.mark.parametrize(("gap", "n_roots"), [(103.5, 1), (103.75, 3)])
def test_on_either_side_of_a_fold_the_roots_are_counted(gap, n_roots):
    """Two more roots appear at a gap of 25.9/gamma^2 = 103.6 (corollary-1)."""
    mdp = TabularMDP([[[1.0], [1.0]]], [[gap, 0.0]], 0.5)
    assert len(with_roots(exactly({"mdp": mdp, "q": np.array([[2 * gap, gap]])})).low) == n_roots


def test_with_too_few_boxes_nothing_is_claimed(monkeypatch):
    monkeypatch.setattr(root_proofs, "MAX_BOXES", 3)
    with pytest.raises(Open, match="fold"):
        with_roots(exactly(THREE_ROOTS))


SHIFTED = {"mdp": THREE_ROOTS["mdp"], "q": np.array([[208.25, 104.0]])}
"""Three roots too, all above 0, as q is not the optimal table."""


def roots_of(instance):
    return [root.eps for root in self_consistent_temperatures(instance["mdp"], instance["q"]).roots]


def moved(x, k, low, high):
    """The instance with another interval for root number k."""
    return x.with_parts(low=[*x.low[:k], low, *x.low[k + 1 :]], high=[*x.high[:k], high, *x.high[k + 1 :]])


def refused(x, path, why):
    write(path, [roots_certificate(x)])
    with pytest.raises(recheck.Rejected, match=why):
        recheck.recheck(path)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_an_interval_beside_its_root_is_refused(k, tmp_path):
    """Half of it, on either side of the root: in its box, but with no solution in it."""
    x = with_roots(exactly(SHIFTED))
    root = roots_of(SHIFTED)[k]
    middle = fmpq(*float(root).as_integer_ratio())
    below, above = (x.low[k], (x.low[k] + middle) / 2), ((middle + x.high[k]) / 2, x.high[k])
    for low, high in (below, above):
        assert low < high
        refused(moved(x, k, low, high), tmp_path / "c.json", "does not hold one root")


@pytest.mark.parametrize(("k", "of"), [(0, 2), (2, 0)])
def test_the_interval_of_another_box_is_refused(k, of, tmp_path):
    """The first and the third root are crossed alike; only the box tells them apart."""
    x = with_roots(exactly(SHIFTED))
    assert len(x.low) == 3
    refused(moved(x, k, x.low[of], x.high[of]), tmp_path / "c.json", "does not hold one root")


def dense(gaps, temperatures):
    """Var(Q)/e^2 of a state under its Boltzmann policy, in floats."""
    x = np.array(gaps, float)[:, None] / np.array(temperatures)
    p = np.exp(-x) / np.exp(-x).sum(0)
    return (p * x**2).sum(0) - (p * x).sum(0) ** 2


@given(
    gaps=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    a=st.integers(0, 60),
    width=st.integers(1, 60),
)
def test_the_enclosed_variance_holds_every_temperature_of_the_box(gaps, a, width):
    gaps, low, high = [0, *gaps], a / 4, (a + width) / 4
    with ctx.workprec(128):
        found = variance([fmpq(g) for g in gaps], fmpq(a, 4), fmpq(a + width, 4))
        edges = float(found.lower()), float(found.upper())
    values = dense(gaps, np.linspace(max(low, 1e-3), high, 400))
    slack = 1e-12 * (1 + max(gaps) ** 2 / max(low, 1e-3) ** 2)  # of the floats' difference of squares
    assert edges[0] - slack <= values.min()
    assert values.max() <= edges[1] + slack


def test_where_g_has_slope_1_the_box_may_turn_and_elsewhere_not():
    """Between the first two roots g(e) - e has a least value: found by floats, enclosed by a narrow box."""
    x = exactly(SHIFTED)
    g = Temperatures(formulas.Instance(x.as_json("mdp", "q"), ["mdp", "q"]))
    first, second, _ = roots_of(SHIFTED)

    def excess(e):
        with ctx.workprec(128):
            return float(half_mean_square(g.residual(fmpq(*float(e).as_integer_ratio())))) - e

    grid = np.linspace(first, second, 4001)
    turn = float(grid[int(np.argmin([excess(e) for e in grid]))])
    step = float(grid[1] - grid[0])
    with ctx.workprec(256):
        assert g.may_turn(*box(turn, 2 * step))
        assert not g.may_turn(*box(first, first / 100))
        assert not g.may_turn(*box(second, second / 100))


def box(middle, half):
    return tuple(fmpq(*float(e).as_integer_ratio()) for e in (middle - half, middle + half))
