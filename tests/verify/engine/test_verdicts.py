import math

import pytest

from verify.engine.runner import Outcome, decide
from verify.engine.verdict import Gap, Verdict, worst
from virel_common.errors import InputError

HELD = Outcome(5, Gap(1e-16, 1e-12))
FAILED = Outcome(2, Gap(0.5, 1e-12), {"x": 0})


@pytest.mark.parametrize(
    ("printed", "steps", "verdict"),
    [
        (HELD, (), Verdict.HOLDS),
        (HELD, (HELD, HELD), Verdict.HOLDS),
        (HELD, (HELD, FAILED), Verdict.GAP),
        (FAILED, (), Verdict.REFUTED),
        (FAILED, (FAILED,), Verdict.REFUTED),
    ],
)
def test_a_failed_statement_refutes_and_a_failed_step_of_a_true_one_is_a_gap(printed, steps, verdict):
    assert decide(printed, steps) is verdict


def test_verdicts_are_upper_case_text():
    assert [str(verdict) for verdict in Verdict] == ["CERTIFIED", "HOLDS", "REFUTED", "GAP"]
    assert all(verdict.meaning for verdict in Verdict)


@pytest.mark.parametrize(
    ("error", "bound", "ok"),
    [
        (0.0, 0.0, True),
        (1.0, 1.0, True),
        (1.0 + 1e-15, 1.0, False),
        (-3.0, 0.0, True),  # an inequality with room to spare
        (-math.inf, 0.0, True),
        (math.inf, 1.0, False),
    ],
)
def test_a_gap_is_ok_iff_the_error_is_within_the_bound(error, bound, ok):
    assert Gap(error, bound).ok is ok


@pytest.mark.parametrize(
    ("error", "bound", "message"),
    [
        (math.nan, 1.0, "`error` must be a number or infinite; found nan"),
        (math.nan, math.nan, "`error` must be a number or infinite; found nan"),
        (0.0, math.nan, "`bound` must be a finite number; found nan"),
        (1e300, math.inf, "`bound` must be a finite number; found inf"),
        (math.inf, math.inf, "`bound` must be a finite number; found inf"),
        (-1.0, -math.inf, "`bound` must be a finite number; found -inf"),
    ],
)
def test_a_gap_that_says_nothing_is_an_error_and_neither_holds_nor_refutes(error, bound, message):
    with pytest.raises(InputError, match=message):
        Gap(error, bound)


def test_the_ratio_is_the_share_of_the_bound_that_was_used():
    assert Gap(1.0, 4.0).ratio == 0.25
    assert Gap(0.0, 0.0).ratio == 0.0
    assert Gap(1.0, 0.0).ratio == math.inf
    assert Gap(math.inf, 1.0).ratio == math.inf
    assert Gap(-math.inf, 1.0).ratio == 0.0


def test_the_worst_gap_is_a_failing_one_whatever_the_ratios():
    failing = Gap(1.0 + 1e-9, 1.0)
    assert worst(Gap(0.1, 1.0), failing, Gap(1.0, 1.0)) is failing
    assert worst(Gap(math.inf, 1.0), Gap(0.1, 1.0)).ok is False
    assert worst(Gap(0.1, 1.0), Gap(2.0, 10.0)).bound == 10.0
