"""README.md and docs/claims.md say what the registry says."""

import re
from pathlib import Path

from verify.engine.claim import expected_verdict
from verify.engine.registry import all_claims
from verify.engine.verdict import Weight
from verify.report.tables import claims_markdown

ROOT = Path(__file__).resolve().parents[3]


def test_every_verdict_of_the_highlights_is_the_one_on_record():
    text = (ROOT / "docs" / "highlights.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| .* \| ([A-Z]+) \|", text, re.MULTILINE)
    assert len(rows) > 15
    for claim_id, verdict in rows:
        assert verdict == expected_verdict(all_claims()[claim_id]), claim_id


def test_the_highlights_have_every_correction():
    text = (ROOT / "docs" / "highlights.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \|.*\| correction \|", text, re.MULTILINE)
    corrections = [name for name, claim in all_claims().items() if claim.weight is Weight.CORRECTION]
    assert sorted(rows) == sorted(corrections)
    assert len(corrections) == 14  # as docs/highlights.md and docs/theory/mathematics/index.md say in words


def test_the_list_of_claims_is_current():
    """If it fails: put the output of `virel claims --markdown` into docs/claims.md."""
    assert claims_markdown(all_claims().values()) in (ROOT / "docs/claims.md").read_text()


def test_the_readme_shows_its_example_with_the_output_it_prints(capsys):
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1:3]
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed
