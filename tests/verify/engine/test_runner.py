import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from tests.support.claims import ALWAYS, ERROR, GAP, INTEGERS, REFUTED, SOMETIMES, TOOTHLESS
from verify.engine.claim import Check
from verify.engine.results import as_recorded, result_row
from verify.engine.runner import CheckError, run_check, run_claim
from verify.engine.verdict import Gap, Verdict

ROOT = Path(__file__).resolve().parents[3]


def test_a_failing_check_shrinks_to_the_smallest_counterexample():
    outcome = run_check(SOMETIMES, seed=0)
    assert not outcome.ok
    assert outcome.counterexample == {"x": 17}
    assert outcome.gap.error == 1.0


def test_without_shrinking_the_first_failure_is_shown():
    outcome = run_check(SOMETIMES, seed=0, shrink=False)
    assert not outcome.ok
    assert outcome.counterexample["x"] >= 17


def test_instances_are_counted_up_to_the_first_failure_and_not_while_shrinking():
    calls = []
    check = dataclasses.replace(
        SOMETIMES, gap=lambda *, x, perturb: calls.append(x) or SOMETIMES.gap(x=x, perturb=perturb)
    )
    outcome = run_check(check, seed=0)
    first_failure = next(i for i, x in enumerate(calls, start=1) if x >= 17)
    assert outcome.n_instances == first_failure < len(calls)


def test_a_holding_check_reports_the_gap_that_used_most_of_its_bound():
    gaps = {0: Gap(1.0, 100.0), 1: Gap(0.5, 1.0), 2: Gap(3.0, 10.0)}
    check = Check(lambda *, x, perturb=0.0: gaps[x], st.fixed_dictionaries({"x": st.integers(0, 2)}))  # noqa: ARG005
    outcome = run_check(check, seed=0)
    assert (outcome.gap, outcome.n_instances) == (gaps[1], 3)


@pytest.mark.parametrize(
    ("error", "bound", "message"),
    [(np.nan, 1.0, "`error` must be"), (0.0, np.nan, "`bound` must be"), (1e300, np.inf, "`bound` must be")],
)
@pytest.mark.parametrize("expected", [Verdict.HOLDS, Verdict.REFUTED])
def test_a_gap_that_is_not_a_number_is_an_error_and_no_verdict(expected, error, bound, message):
    """A statement on record as false must not be refuted by a check that computes nothing."""
    check = Check(lambda *, x, perturb=0.0: Gap(error, bound), INTEGERS)  # noqa: ARG005
    claim = dataclasses.replace(REFUTED, check=check, expected=expected)
    with pytest.raises(CheckError, match=message):
        run_claim(claim, seed=0)


def test_an_infinite_error_refutes():
    check = Check(lambda *, x, perturb=0.0: Gap(np.inf, 1.0), INTEGERS)  # noqa: ARG005
    assert run_claim(dataclasses.replace(REFUTED, check=check), seed=0).verdict is Verdict.REFUTED


def test_named_instances_are_tried_after_the_drawn_ones_and_their_name_is_kept():
    check = dataclasses.replace(
        ALWAYS, n_random=5, named=lambda: [("fine", {"x": 1}), ("large", {"x": 5000})]
    )
    outcome = run_check(check, seed=0)
    assert (outcome.n_instances, outcome.counterexample_name, outcome.counterexample) == (
        7,
        "large",
        {"x": 5000},
    )


def test_a_drawn_counterexample_is_preferred_to_a_named_one():
    check = dataclasses.replace(SOMETIMES, named=lambda: [("large", {"x": 5000})])
    assert run_check(check, seed=0).counterexample == {"x": 17}


def test_named_instances_alone_are_enough():
    check = dataclasses.replace(ALWAYS, n_random=0, named=lambda: [("one", {"x": 1})])
    assert run_check(check, seed=0).n_instances == 1


def test_a_check_without_any_instance_is_an_error_and_does_not_hold():
    with pytest.raises(ValueError, match="no instance"):
        run_check(dataclasses.replace(ALWAYS, n_random=0), seed=0)


def test_an_exception_inside_a_gap_function_is_an_error_with_its_shrunk_instance():
    with pytest.raises(CheckError, match="ZeroDivisionError: a bug in the check") as caught:
        run_check(ERROR.check, seed=0)
    assert caught.value.instance == {"x": 5}
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("found", [0.5, None])
def test_a_gap_function_that_returns_no_gap_is_told_so(found):
    check = Check(lambda *, x, perturb=0.0: found, INTEGERS)  # noqa: ARG005
    with pytest.raises(CheckError, match=f"must return a verify.Gap; found {found}"):
        run_check(check, seed=0)


def test_a_gap_function_that_exits_is_an_error_too():
    def gap(*, x, perturb=0.0):  # noqa: ARG001
        raise SystemExit(0)

    with pytest.raises(CheckError, match="SystemExit: 0"):
        run_check(Check(gap, INTEGERS), seed=0)


def test_an_exception_on_a_named_instance_keeps_the_name():
    check = dataclasses.replace(ERROR.check, n_random=0, named=lambda: [("six", {"x": 6})])
    with pytest.raises(CheckError) as caught:
        run_check(check, seed=0)
    assert caught.value.name == "six"


def test_assume_inside_a_gap_function_only_skips_the_instance():
    def gap(*, x, perturb=0.0):
        hypothesis.assume(x % 2 == 0)
        return Gap(x % 2 + perturb, 0.0)

    assert run_check(Check(gap, INTEGERS, n_random=20), seed=0).ok


def test_perturb_reaches_the_gap_function_and_a_toothless_check_ignores_it():
    assert not run_check(ALWAYS, seed=0, perturb=1.0).ok
    assert run_check(TOOTHLESS, seed=0, perturb=1.0).ok


def test_the_same_seed_draws_the_same_instances_and_another_one_others():
    def draws(seed):
        seen = []
        run_check(
            Check(lambda *, x, perturb: seen.append(x) or Gap(perturb, 0.0), INTEGERS, n_random=30), seed=seed
        )
        return seen

    assert draws(3) == draws(3) != draws(4)


def test_corrections_steps_repairs_and_ablations_are_run():
    refuted = run_claim(REFUTED, seed=0)
    assert as_recorded(result_row(refuted))
    assert refuted.correction.ok
    assert [outcome and outcome.ok for outcome in refuted.ablations] == [False, True, None]
    gap = run_claim(GAP, seed=0)
    assert as_recorded(result_row(gap))
    assert [step.ok for step in gap.steps] == [False, True]
    assert [repair and repair.ok for repair in gap.repairs] == [True, None]


SCRIPT = """
import json, sys
import numpy as np
from verify.strategies import instances, mdps, q_tables
from verify.engine.claim import Check
from verify.engine.runner import run_check
from verify.engine.verdict import Gap
{imports}
def gap(*, mdp, q, perturb=0.0):
    return Gap(float(np.abs(q).sum() > 9), 0.0)
def total(*, mdp, q, perturb=0.0):
    seen.append(float(mdp.reward.sum() + q.sum()))
    return Gap(0.0, 0.0)
seen = []
strategy = instances(mdp=mdps(), q=q_tables)
run_check(Check(total, strategy, n_random=60), seed=5)
outcome = run_check(Check(gap, strategy), seed=5)
print(json.dumps([outcome.n_instances, outcome.counterexample["q"].tolist(), seen]))
"""


def run_script(tmp_path, imports="", **environment):
    keep = {
        name: value
        for name, value in os.environ.items()
        if name not in {"CI", "HYPOTHESIS_STORAGE_DIRECTORY"}
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(imports=imports)],
        cwd=tmp_path,
        env=keep | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_draws_depend_neither_on_the_ci_profile_nor_on_the_modules_imported_and_leave_no_files(tmp_path):
    plain = run_script(tmp_path)
    assert run_script(tmp_path, CI="true") == plain
    more = "import verify.report.figures, virel_common.command, virel_theory.solvers.solve"
    assert run_script(tmp_path, imports=more) == plain
    assert list(tmp_path.iterdir()) == []


def test_arrays_in_a_shrunk_counterexample_are_small():
    check = Check(
        lambda *, q, perturb: Gap(float(np.abs(q).max() >= 2) + perturb, 0.0),
        st.fixed_dictionaries({"q": st.lists(st.integers(-20, 20), min_size=1, max_size=6).map(np.array)}),
    )
    assert run_check(check, seed=0).counterexample["q"].tolist() == [2]


def test_the_counterexample_on_record_comes_before_any_search_and_is_not_shrunk():
    check = dataclasses.replace(SOMETIMES, recorded={"x": 400})
    outcome = run_check(check, seed=0)
    assert (outcome.counterexample, outcome.n_instances) == ({"x": 400}, 1)


def test_a_counterexample_on_record_that_holds_decides_nothing():
    """A statement that was mended must not stay refuted; one that is false is found by the search."""
    assert run_check(dataclasses.replace(ALWAYS, recorded={"x": 400}), seed=0).ok
    assert run_check(dataclasses.replace(SOMETIMES, recorded={"x": 1}), seed=0).counterexample == {"x": 17}
