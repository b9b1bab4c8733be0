"""The pages on the mathematics: each formula has its code and claims, with the verdicts on record."""

import re
from pathlib import Path

import pytest

from docs.extensions.links import linked, targets
from verify.engine.claim import expected_verdict
from verify.engine.registry import all_claims
from verify.report.record import anchor

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "theory" / "mathematics"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "index")
FENCE = re.compile(r"^```.*?^```\n", re.MULTILINE | re.DOTALL)
JUDGED = re.compile(r"\[`([^`]+)`\]\s+(HOLDS|CERTIFIED|GAP|REFUTED)\b")
CITED = re.compile(r"^Claims?: .*?(?:\n\n|\Z)|^Code: .*?(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)


def bare(text):
    """Displayed formulas of a page that no paragraph on code or claims follows, at once or after others."""
    blocks = [one.strip() for one in FENCE.sub("", text).split("\n\n")]
    found, cited = [], False
    for one in reversed(blocks):
        if not one.startswith("$$"):
            cited = re.match(r"Code: |Claims?: ", one) is not None
        elif not cited:
            found.append(one)
    return found[::-1]


def misjudged(text):
    """Claims whose verdict on a page is not the one on record, and those that are cited without one."""
    claims = all_claims()
    wrong = [name for name, verdict in JUDGED.findall(text) if expected_verdict(claims[name]) != verdict]
    cited = {name for part in CITED.findall(text) for name in re.findall(r"\[`([^`]+)`\]", part)}
    judged = {name for name, _ in JUDGED.findall(text)}
    return wrong + sorted(name for name in cited & claims.keys() if name not in judged)


def test_there_are_ten_and_the_index_leads_to_each_of_them():
    index = (FOLDER / "index.md").read_text()
    assert len(PAGES) == 10
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == []
    assert [page.stem for page in PAGES if f"\n{page.stem}\n" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_and_claims_follow_each_formula(page):
    assert bare(page.read_text()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_verdicts_on_record(page):
    assert misjudged(page.read_text()) == []


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "index.md"], ids=lambda page: page.stem)
def test_links_lead_to_functions_and_claims(page):
    """If it fails: `python docs/extensions/links.py docs/theory/mathematics/*.md`."""
    text = page.read_text()
    assert text == linked(text, folder="theory/mathematics", known=targets())


def test_the_anchor_of_each_claim_is_a_heading_of_its_page():
    found = [one.split("#") for one in targets().values() if one.startswith("claims/")]
    headings = {
        page: {anchor(line[3:]) for line in text.splitlines() if line.startswith("## ")}
        for page in {page for page, _ in found}
        for text in [(FOLDER.parent.parent / page).read_text()]
    }
    assert len(found) > 200
    assert [one for page, one in found if one not in headings[page]] == []


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("$$a$$\n\nCode: [`elbo`].\n\n$$b$$\n", ["$$b$$"]),
        ("$$a$$\n\nSome prose.\n\nCode: [`elbo`].\n", ["$$a$$"]),
        ("$$a$$\n\n$$b$$\n\nCode: [`elbo`].\n", []),
        ("```\n$$a$$\n```\n\n$$b$$\n\nClaim: [`eq-05`] CERTIFIED.\n", []),
    ],
)
def test_a_formula_without_code_and_claims_is_found(text, formulas):
    assert bare(text) == formulas


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Claim: [`theorem-3`] REFUTED.", []),
        ("Claim: [`theorem-3`] HOLDS.", ["theorem-3"]),
        ("Claims: [`theorem-3`] REFUTED, [`eq-05`].", ["eq-05"]),
        ("Code: [`elbo`]. Claim: [`eq-05`]\nCERTIFIED.", []),
    ],
)
def test_a_verdict_that_is_wrong_or_missing_is_found(text, found):
    assert misjudged(text) == found


def test_a_name_that_is_neither_function_nor_claim_is_refused():
    with pytest.raises(ValueError, match="theorem-33"):
        linked("[`elbo`] and [`theorem-33`]", folder="theory", known=targets())


def test_definitions_are_written_anew_and_once():
    known = {"elbo": "reference/a.md#elbo"}
    once = linked("See [`elbo`].\n", folder="theory", known=known)
    assert once == "See [`elbo`].\n\n[`elbo`]: ../reference/a.md#elbo\n"
    assert linked(once, folder="theory", known=known) == once
