"""The list of misprints: complete entries, claims that exist, prose that stands in the sources."""

import re

import pytest

from tests.support.quoted_lines import FILES, papers
from verify.engine.registry import all_claims
from verify.report.letter import letter, misprints
from verify.report.record import record

ROWS = misprints()
KINDS = {"misprint", "slip", "undefined", "unsupported", "false"}


def test_every_entry_is_complete():
    for row in ROWS:
        assert row.source in FILES
        assert row.kind in KINDS
        assert all((row.place, row.printed, row.read, row.note))
        assert row.printed != row.read
        assert row.printed.count("$") % 2 == row.read.count("$") % 2 == 0


def test_the_letter_has_the_misprints_and_the_record_every_row():
    found = letter()
    in_letter = [*found.misprints, *found.design_misprints]
    assert {row.kind for row in in_letter} == {"misprint"}
    assert sum(row.source != "design" for row in ROWS) == len(found.misprints) + int(
        re.search(r"\d+", found.more)[0]
    )
    assert all(row.place.replace("|", "\\|") in record()["misprints.md"] for row in ROWS)


def test_a_row_that_a_claim_checks_is_a_misprint():
    assert {row.kind for row in ROWS if row.claims} == {"misprint"}
    assert {claim for row in ROWS for claim in row.claims} <= set(all_claims())


def test_no_place_has_the_same_misprint_twice():
    keys = [(row.source, row.place, row.printed) for row in ROWS]
    assert len(set(keys)) == len(keys)


def test_the_claims_that_notes_name_exist():
    named = set(re.findall(r"\b(?:app|eq|talk|theorem)-[a-z0-9-]+", " ".join(row.note for row in ROWS)))
    assert len(named) >= 5
    assert named <= set(all_claims())


def letters(text):
    """Letters and digits alone: conversions differ in spaces, ligatures and hyphens at line ends."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.skipif(papers() is None, reason="the sources are not beside the repository")
def test_prose_stands_in_the_source_as_quoted():
    names = {k: [f] for k, f in FILES.items()} | {"appendix": [FILES["appendix"], "virel_appendix_ocr.txt"]}
    texts = {k: [letters((papers() / f).read_text()) for f in files] for k, files in names.items()}
    prose = [row for row in ROWS if "$" not in row.printed]
    assert len(prose) >= 30
    for row in prose:
        assert any(letters(row.printed) in text for text in texts[row.source]), row
