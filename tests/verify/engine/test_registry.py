import importlib
import re

import pytest

from tests.support import claims as fake_claims
from verify.engine import registry
from verify.engine.claim import Kind, kind_of
from verify.engine.registry import all_claims, select
from verify.engine.verdict import Verdict
from virel_theory import InputError

CLAIMS = pytest.mark.parametrize("claim", all_claims().values(), ids=lambda claim: claim.id)
MODULES = [name for name in registry.modules() if hasattr(importlib.import_module(name), "CLAIMS")]


@CLAIMS
def test_ids_are_kebab_case_and_every_text_is_there(claim):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", claim.id)
    assert claim.title.strip()
    assert claim.source.strip()
    assert claim.statement.strip()


@CLAIMS
def test_what_a_statement_is_read_as_stands_in_a_line_of_its_own(claim):
    """A statement of the sources is as printed; what we add, to have something to check, is its `reading`."""
    if kind_of(claim) is Kind.SOURCE:
        assert not re.search(r"\((and, )?read\b|\[of |\(the |i\.e\. read", claim.statement)


@CLAIMS
def test_a_refuted_claim_has_a_correction_with_a_derivation(claim):
    if claim.expected is Verdict.REFUTED:
        assert claim.correction is not None
        assert claim.correction.statement.strip()
        assert claim.correction.derivation.strip()


@CLAIMS
def test_a_claim_has_a_weight_iff_it_is_refuted_or_has_a_gap(claim):
    assert (claim.weight is None) == (claim.expected in {Verdict.HOLDS, Verdict.CERTIFIED})


@CLAIMS
def test_a_claim_about_our_own_code_is_never_counted_as_a_statement(claim):
    assert (kind_of(claim) is Kind.CODE) == (claim.deep or claim.id.startswith(("def-", "deep-")))
    assert (kind_of(claim) is Kind.SOURCE) == (claim.printed and kind_of(claim) is not Kind.CODE)


@CLAIMS
def test_a_claim_with_a_gap_has_a_step_with_a_repair(claim):
    if claim.expected is Verdict.GAP:
        repairs = [step.repaired for step in claim.steps if step.repaired is not None]
        assert repairs
        assert all(repair.statement.strip() and repair.derivation.strip() for repair in repairs)


def documentation(module):
    """Docstring of a file of claims and of the files beside it that the docstring names."""
    docstring, folder = importlib.import_module(module).__doc__, module.rpartition(".")[0]
    named = re.findall(r"`(\w+)\.py`", docstring)
    return "\n".join([docstring, *(importlib.import_module(f"{folder}.{name}").__doc__ for name in named)])


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_claims_says_how_its_bound_is_derived_and_what_its_teeth_are(module):
    text = documentation(module)
    assert "Bound" in text
    assert "Teeth" in text


def test_two_claims_with_one_id_are_an_error_that_names_the_id(monkeypatch):
    twins = importlib.import_module(MODULES[0])
    monkeypatch.setattr(twins, "CLAIMS", (fake_claims.HOLDS, fake_claims.HOLDS))
    with pytest.raises(ValueError, match=f"'holds'.*{MODULES[0]}"):
        all_claims.__wrapped__()


def test_claims_are_selected_in_the_order_asked_for_and_all_by_default(monkeypatch):
    monkeypatch.setattr(registry, "all_claims", fake_claims.registry(fake_claims.HOLDS, fake_claims.GAP))
    assert [claim.id for claim in select(["gap", "holds"])] == ["gap", "holds"]
    assert [claim.id for claim in select([])] == ["holds", "gap"]


def test_an_unknown_claim_is_an_input_error_that_names_it_and_known_ones_like_it(monkeypatch):
    monkeypatch.setattr(registry, "all_claims", fake_claims.registry(fake_claims.HOLDS))
    with pytest.raises(InputError, match=r"`claim`.*found hold, nor-this; did you mean holds\?"):
        select(["holds", "hold", "nor-this"])
