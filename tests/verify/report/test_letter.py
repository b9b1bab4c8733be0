"""The letter to the authors: quotations are verbatim, examples run, and every finding is in it."""

import contextlib
import dataclasses
import io
import json
import re
from pathlib import Path

import pytest

from tests.support import quoted_lines
from verify.commands.documents import main_explain
from verify.engine.claim import Kind, kind_of
from verify.engine.registry import topics
from verify.engine.verdict import Verdict, Weight
from verify.report.letter import FOLDER, letter, letter_markdown, misprints
from verify.report.letter_pdf import blocks, write_letter_pdf
from verify.report.pdf_pages import STYLE, layout
from verify.report.record import record
from virel_common.plot_style import style

ROOT = Path(__file__).resolve().parents[3]
FOUND = letter()
ENTRIES = (*FOUND.corrections, *FOUND.completions, *FOUND.design)
NUMBERED = [pytest.param(entry, id=entry.title) for entry in ENTRIES]
QUOTES = [pytest.param(quote, id=f"{quote.source}:{quote.line}") for quote in quoted_lines.quotes()]
LINES = json.loads(quoted_lines.PATH.read_text())
PAPERS = ("theorem_1", "objective", "optima", "residual_gradients", "projection", "theorem_5", "methods")
NOISE = {"∈": "2", "⊆": "", "ω": "", "ε": ""}
"""What the conversion of the appendix makes of symbols, as far as letters and digits are concerned."""


def letters(text, *, noise=()):
    """Letters and digits of a text: conversions differ in spaces, ligatures and hyphens at line ends."""
    for symbol in noise:
        text = text.replace(symbol, NOISE[symbol])
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quotation_stands_in_the_lines_that_it_names(quote):
    noise = NOISE if quote.source == "appendix" else ()
    quoted, source = (
        letters(quote.text, noise=noise),
        letters(" ".join(LINES[f"{quote.source}:{quote.line}"])),
    )
    assert quoted in source
    assert quoted or quote.formula


@pytest.mark.skipif(quoted_lines.papers() is None, reason="the sources are not beside the repository")
@pytest.mark.parametrize("quote", QUOTES)
def test_the_lines_on_file_are_those_of_the_source(quote):
    assert LINES[f"{quote.source}:{quote.line}"] == quoted_lines.lines_of(quoted_lines.papers(), quote)


def test_a_quotation_that_is_not_verbatim_is_found():
    quote = dataclasses.replace(
        FOUND.corrections[3].quotes[0], text="the variational policy should be optimal"
    )
    with pytest.raises(AssertionError):
        test_a_quotation_stands_in_the_lines_that_it_names(quote)


@pytest.mark.parametrize("entry", NUMBERED)
def test_an_example_is_short_and_prints_what_the_letter_says(entry):
    assert len(entry.example.split("\n")) <= 10
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(entry.example, entry.title, "exec"), {})
    assert out.getvalue().split() == entry.prints.split()


@pytest.mark.parametrize("entry", NUMBERED)
def test_an_example_needs_none_of_our_code(entry):
    modules = re.findall(r"^(?:from|import) ([a-z]+)", entry.example, re.MULTILINE)
    assert set(modules) <= {"numpy", "scipy", "math"}


def false_claims():
    """Printed statements of the two papers, talk and poster that are REFUTED or have a GAP, by id."""
    found = [claim for topic in PAPERS for claim in topics()[topic]]
    named = {claim.id: claim for claim in found if kind_of(claim) is Kind.SOURCE}
    return {k: claim for k, claim in named.items() if claim.expected in (Verdict.REFUTED, Verdict.GAP)}


def test_every_finding_of_the_registry_stands_in_the_part_of_the_letter_of_its_weight():
    parts = {
        Weight.CORRECTION: [c for entry in FOUND.corrections for c in entry.claims],
        Weight.COMPLETION: [c for entry in (*FOUND.completions, *FOUND.design) for c in entry.claims],
        Weight.MISPRINT: [c for row in misprints() for c in row.claims],
        Weight.REMARK: list(FOUND.remark_claims),
    }
    claims = false_claims()
    for weight, named in parts.items():
        assert len(set(named)) == len(named)
        assert sorted(named) == sorted(k for k, claim in claims.items() if claim.weight is weight), weight


def test_the_design_papers_authors_get_only_theirs():
    design = {c for entry in FOUND.design for c in entry.claims}
    design |= {c for row in FOUND.design_misprints for c in row.claims}
    assert design == {k for k, claim in false_claims().items() if "Marino" in claim.source}


def test_no_verdict_is_stamped_on_anything():
    text = letter_markdown(FOUND)
    assert not re.search(r"REFUTED|GAP\b|[Rr]efuted|CERTIFIED", text)


def test_the_summary_counts_what_is_there():
    n = (len(FOUND.corrections), len(FOUND.completions), len(FOUND.misprints))
    assert FOUND.summary.startswith("{} corrections, {} completions".format(*n[:2]))
    assert f"{n[2]} misprints" in FOUND.summary
    readme = (ROOT / "README.md").read_text()
    assert FOUND.summary.rstrip(".") in " ".join(readme.split())


def test_docs_errata_is_the_letter():
    """If it fails: `virel explain --errata docs/errata.md`."""
    assert (ROOT / "docs/errata.md").read_text() == letter_markdown(FOUND)


def test_docs_claims_is_the_full_record():
    """If it fails: `virel explain --record docs/claims`."""
    folder = ROOT / "docs/claims"
    assert {path.name: path.read_text() for path in folder.iterdir()} == record()


def test_a_derivation_is_written_once_a_page():
    for text in record().values():
        derivations = [
            x for x in re.findall(r"^\*\*Derivation\.\*\* (.*)$", text, re.MULTILINE) if "As for" not in x
        ]
        assert len(set(derivations)) == len(derivations)


def test_the_pdf_has_at_most_five_pages_and_one_for_the_design_paper():
    with style(STYLE):
        assert len(layout(list(blocks(FOUND)))) <= 6


def test_a_pdf_is_reproducible(tmp_path):
    few = dataclasses.replace(
        FOUND, paragraphs=(), remarks=(), corrections=FOUND.corrections[1:2], completions=(), design=()
    )
    few = dataclasses.replace(few, misprints=FOUND.misprints[:3], design_misprints=())
    for name in ("one.pdf", "two.pdf"):
        assert write_letter_pdf(few, tmp_path / name) == 2
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


def test_the_command_writes_letter_and_record(tmp_path, capsys):
    assert main_explain(["--errata", str(tmp_path / "x.md"), "--record", str(tmp_path / "claims")]) == 0
    assert (tmp_path / "x.md").read_text() == letter_markdown(FOUND)
    assert sorted(path.name for path in (tmp_path / "claims").iterdir()) == sorted(record())
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_misprints_have_every_field_and_their_prose_stands_in_the_source():
    for row in misprints():
        assert all((row.place, row.printed, row.read, row.note))
        assert row.kind in {"misprint", "undefined", "unsupported", "false"}
        assert row.printed != row.read
        assert row.printed.count("$") % 2 == row.read.count("$") % 2 == 0
    assert (FOLDER / "letter" / "misprints.toml").is_file()


@pytest.mark.skipif(quoted_lines.papers() is None, reason="the sources are not beside the repository")
def test_the_prose_of_misprints_stands_in_the_source():
    texts = {k: letters((quoted_lines.papers() / f).read_text()) for k, f in quoted_lines.FILES.items()}
    texts["appendix"] += letters((quoted_lines.papers() / "virel_appendix_ocr.txt").read_text())
    prose = [row for row in misprints() if "$" not in row.printed]
    assert len(prose) >= 8
    assert [row.printed for row in prose if letters(row.printed) not in texts[row.source]] == []
