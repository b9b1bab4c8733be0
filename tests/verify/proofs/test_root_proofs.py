"""Self-consistent temperatures: all roots are isolated, and the checker misses none that is hidden."""

import numpy as np
import pytest

from tests.support.proofs import THREE_ROOTS, job_of
from verify import recheck
from verify.arithmetic.instance import exactly
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
