"""Every check that is on record as holding can fail: with its planted error it does, without it does not."""

import dataclasses

import numpy as np
import pytest

from tests.support.claims import ALWAYS, GAP, HOLDS, REFUTED, TOOTHLESS
from verify.engine.registry import all_claims
from verify.engine.runner import run_check
from verify.engine.verdict import Verdict

N_CLEAN, N_PERTURBED = 10, 30


def checks_that_hold(claim):
    """`(name, check)` of the printed statement, steps, repairs and correction that are to hold."""
    if claim.expected is not Verdict.REFUTED:
        yield "printed", claim.check
    if claim.correction is not None:
        yield "correction", claim.correction.check
    for step in claim.steps:
        if step.repaired is None:
            yield f"step {step.name}", step.check
        else:
            yield f"repair of {step.name}", step.repaired.check


def drawn_only(check, n_random):
    """The check on few draws, without its named instances (each is large); unchanged if it has only those."""
    if check.n_random == 0:
        return check
    return dataclasses.replace(check, n_random=min(check.n_random, n_random), named=tuple)


def assert_teeth(check):
    """With perturb = 1 the check fails on one of a few draws; with 0 it holds on all of them."""
    clean = run_check(drawn_only(check, N_CLEAN), seed=0, shrink=False)
    assert clean.ok, f"fails without a planted error: {clean.gap} on {clean.counterexample}"
    with np.errstate(all="ignore"):  # a planted error may overflow: infinite gaps fail as they should
        planted = run_check(drawn_only(check, N_PERTURBED), seed=0, perturb=1.0, shrink=False)
    assert not planted.ok, f"toothless: holds in spite of its planted error, {planted.gap}"


ALL = [
    pytest.param(check, id=f"{claim.id}: {name}")
    for claim in all_claims().values()
    for name, check in checks_that_hold(claim)
]


@pytest.mark.parametrize("check", ALL)
def test_a_planted_error_is_caught(check):
    assert_teeth(check)


def test_a_toothless_check_is_caught():
    with pytest.raises(AssertionError, match="toothless"):
        assert_teeth(TOOTHLESS)


def test_a_check_that_fails_anyway_has_no_teeth_to_show():
    with pytest.raises(AssertionError, match="without a planted error"):
        assert_teeth(
            dataclasses.replace(ALWAYS, gap=lambda *, x, perturb: ALWAYS.gap(x=x + 1001, perturb=perturb))
        )


@pytest.mark.parametrize(
    ("claim", "names"),
    [
        (HOLDS, ["printed"]),
        (REFUTED, ["correction"]),
        (GAP, ["printed", "repair of the step that fails", "step the step that holds"]),
    ],
)
def test_every_kind_of_check_is_looked_at(claim, names):
    assert [name for name, _ in checks_that_hold(claim)] == names


def test_every_claim_has_a_check_that_holds():
    assert [claim.id for claim in all_claims().values() if not list(checks_that_hold(claim))] == []
