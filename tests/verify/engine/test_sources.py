"""Nothing numbered in the sources is left out in silence."""

import pytest

from verify.engine.registry import all_claims
from verify.engine.sources import ENTRIES

LABELS = {entry.label for entry in ENTRIES}
EXPECTED = (
    *(f"Eq. ({n})" for n in range(1, 44)),
    *(f"Assumption {n}" for n in range(1, 6)),
    *(f"Definition {n}" for n in (1, 2)),
    "Lemma 1",
    *(f"Theorem {n}" for n in range(1, 6)),
    "Corollary 1",
    "Theorem 2 (talk)",
    "Talk: limit of eps L",
    "Talk: MERL",
    "Talk: pseudo-likelihood",
    *(f"App. {part}" for part in ("B", "C", "E.2", "E.4", "F.3", "F.4", "G", "H")),
    *(f"Design ({n})" for n in range(2, 17)),
)


@pytest.mark.parametrize("label", EXPECTED)
def test_every_numbered_entry_of_the_sources_is_a_claim_or_a_definition(label):
    assert label in LABELS


def test_no_label_stands_twice():
    assert len(LABELS) == len(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.label)
def test_an_entry_names_claims_that_exist(entry):
    assert set(entry.claims) <= set(all_claims())
    assert entry.claims or "deep agent" in entry.text


def test_every_claim_on_record_belongs_to_an_entry():
    named = {claim for entry in ENTRIES for claim in entry.claims}
    assert set(all_claims()) <= named
