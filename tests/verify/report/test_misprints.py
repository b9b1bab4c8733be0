"""The list of misprints: complete entries, claims that exist, prose that stands in the sources."""

import re
import tomllib
from pathlib import Path

import pytest

import verify.report
from verify.engine.registry import all_claims

ENTRIES = tomllib.loads(Path(verify.report.__file__).with_name("misprints.toml").read_text())["entry"]
BESIDE = (folder / "shared" / "paper" for folder in Path(__file__).resolve().parents)
PAPER = next((folder for folder in BESIDE if folder.is_dir()), None)
FILES = {
    "appendix": ("virel_appendix.txt", "virel_appendix_ocr.txt"),
    "talk": ("virel_talk.txt",),
    "poster": ("virel_poster.txt",),
    "design": ("variational_rl_design.txt",),
}


def test_every_entry_is_complete():
    for entry in ENTRIES:
        assert list(entry) == ["source", "place", "printed", "read", "kind", "note"]
        assert entry["source"] in FILES
        assert entry["kind"] in {"misprint", "undefined", "unsupported", "false"}
        assert all(entry.values())
        assert entry["printed"] != entry["read"]
        assert entry["printed"].count("$") % 2 == entry["read"].count("$") % 2 == 0


def test_no_place_has_the_same_misprint_twice():
    keys = [(e["source"], e["place"], e["printed"]) for e in ENTRIES]
    assert len(set(keys)) == len(keys)


def test_the_claims_that_notes_name_exist():
    named = set(re.findall(r"\b(?:app|eq|talk|theorem)-[a-z0-9-]+", " ".join(e["note"] for e in ENTRIES)))
    assert len(named) >= 5
    assert named <= set(all_claims())


def letters(text):
    """Letters and digits alone: conversions differ in spaces, ligatures and hyphens at line ends."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


@pytest.mark.skipif(PAPER is None, reason="the sources are not beside the repository")
def test_prose_stands_in_the_source_as_quoted():
    texts = {k: [letters((PAPER / f).read_text()) for f in files] for k, files in FILES.items()}
    for entry in ENTRIES:
        quoted = letters(entry["printed"])
        assert "$" in entry["printed"] or any(quoted in text for text in texts[entry["source"]]), entry
