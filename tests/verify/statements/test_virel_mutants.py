"""A deliberate error in the statement of a claim of the VIREL paper turns its verdict, as does mending it.

`make test-mutants` runs all of them and prints the kill rate; `make test` runs every twelfth.
"""

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tests.support.source_mutants import mutated_code, target
from verify.engine.registry import all_claims
from verify.engine.runner import CheckError, run_check
from verify.engine.verdict import Verdict

TABLE = tomllib.loads(Path(__file__).with_name("virel.toml").read_text())
SURVIVORS = TABLE["survivors"]
MUTANTS = [row for row in TABLE["mutants"] if f"{row[0]}: {row[3]}" not in SURVIVORS]
ARGUED = [row for row in TABLE["mutants"] if row not in MUTANTS]
MENDED = TABLE["mended"]
N_DRAWS, EVERY = 80, 12
NOT_HERE = (  # the second paper has mutants of its own; def-* and deep-* test our code
    *("mpo-", "rerpi", "vmpo", "tanh-kl", "sql-", "erpg", "smc", "spo", "distral", "iadp", "hdp", "same-"),
    *("iterative", "model-", "variational", "design-11-exponent", "def-", "deep-"),
)


def check_of(claim, *, mended=False):
    """The check that a mutant changes: the one that holds, or, to be mended, the printed one."""
    correction = claim.expected is Verdict.REFUTED and not mended
    return claim.correction.check if correction else claim.check


def outcome_ok(monkeypatch, row, *, mended=False):
    """Whether the claim's check holds on a few draws once one text of its statement is replaced."""
    claim_id, where, old, new = row
    check = check_of(all_claims()[claim_id], mended=mended)
    function = target(where, check.gap)
    monkeypatch.setattr(function, "__code__", mutated_code(function, old, new))
    few = dataclasses.replace(check, n_random=min(check.n_random, N_DRAWS))
    if check.n_random > 0:
        few = dataclasses.replace(few, named=tuple)
    with np.errstate(all="ignore"):
        return run_check(few, seed=0, shrink=False).ok


def killed(monkeypatch, row):
    """Whether a mutant turns the verdict: the check fails, or can no longer be computed."""
    try:
        return not outcome_ok(monkeypatch, row)
    except CheckError:
        return True


def params(rows, *, sample):
    """Test parameters of the rows: all but each `EVERY`-th are marked, for `make test-mutants` alone."""
    return [
        pytest.param(row, id=f"{row[0]}-{i}", marks=() if sample and i % EVERY == 0 else (pytest.mark.long,))
        for i, row in enumerate(rows)
    ]


@pytest.mark.parametrize("row", params(MUTANTS, sample=True))
def test_a_wrong_statement_turns_the_verdict(monkeypatch, row):
    assert killed(monkeypatch, row)


@pytest.mark.parametrize("row", params(MENDED, sample=False))
def test_a_mended_statement_holds(monkeypatch, row):
    assert outcome_ok(monkeypatch, row, mended=True)


@pytest.mark.long
@pytest.mark.parametrize("row", ARGUED, ids=lambda row: row[0])
def test_a_survivor_is_one_still(monkeypatch, row):
    assert not killed(monkeypatch, row)


def test_at_most_one_in_twenty_survives_and_each_survivor_is_a_row_with_a_reason():
    assert len(ARGUED) == len(SURVIVORS) <= 0.05 * len(TABLE["mutants"])
    assert all(len(reason) > 40 for reason in SURVIVORS.values())


def test_every_claim_of_the_paper_has_two_mutants():
    of_paper = {claim_id for claim_id in all_claims() if not claim_id.startswith(NOT_HERE)}
    counts = {claim_id: sum(row[0] == claim_id for row in MUTANTS) for claim_id in of_paper}
    assert {claim_id for claim_id, n in counts.items() if n < 2} == set()
    assert {row[0] for row in MUTANTS} == of_paper


@pytest.mark.parametrize(("rows", "mended"), [(MUTANTS, False), (MENDED, True)])
def test_every_row_names_a_text_that_occurs_once(rows, mended):
    for claim_id, where, old, new in rows:
        function = target(where, check_of(all_claims()[claim_id], mended=mended).gap)
        mutated_code(function, old, new)


def test_a_mutant_that_changes_nothing_is_not_killed(monkeypatch):
    assert not killed(monkeypatch, ["eq-05", "", "log_partition - kl", "log_partition + 0 - kl"])


def test_a_text_that_occurs_twice_is_refused():
    with pytest.raises(AssertionError, match="occurs 0 times"):
        mutated_code(mutated_code, "no such text", "")
