import contextlib
import copy
import functools
import json
import operator
import random
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

import tests.support.claims as fake
from tests.support.report_rows import document_of
from verify.commands.documents import main_report
from verify.commands.verify import main_verify
from verify.engine import registry
from verify.report.instances import layout, number
from verify.report.page import render, write_report
from virel_common.errors import InputError

VOID = {"meta", "link", "img", "input", "br", "wbr", "source", "mspace"}


class Page(HTMLParser):
    """The tags and ids of an HTML page; parsing fails where tags do not nest."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.ids = [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids.add(dict(attrs).get("id"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    return render(document_of(registry.all_claims().values()), tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_the_page_is_well_formed_and_every_claim_has_a_row_and_a_section(page):
    assert page.open == []
    assert set(registry.all_claims()) <= page.ids
    rows = [attrs["data-verdict"] for tag, attrs in page.tags if tag == "tr" and "data-verdict" in attrs]
    assert len(rows) == len(registry.all_claims())


def test_nothing_is_fetched_from_anywhere(page, html):
    for tag, attrs in page.tags:
        for name in ("src", "srcset", "href", "data", "action"):
            value = attrs.get(name) or ""
            local = value.startswith(("#", "data:", "certificates/")) or value == ""
            assert local, (tag, name, value[:80])
    assert not re.search(r"url\((?!\"data:)|@import|fetch\(|XMLHttpRequest", html)


def test_every_internal_link_has_its_target(page):
    targets = [attrs["href"][1:] for tag, attrs in page.tags if tag == "a" and attrs["href"].startswith("#")]
    assert set(targets) <= page.ids


def test_every_formula_is_mathml_and_no_latex_command_is_left(html):
    assert html.count("<math ") > 1000
    assert 'class="latex"' not in html
    visible = re.sub(
        r'alttext="[^"]*"|<script>.*?</script>|<style>.*?</style>|<code>.*?</code>', "", html, flags=re.DOTALL
    )
    assert re.findall(r".{0,60}\\[A-Za-z]+.{0,20}|.{0,60}\$[^<]*\$", visible) == []


def test_the_table_is_complete_without_javascript(page):
    hidden = [attrs for tag, attrs in page.tags if "hidden" in attrs]
    assert [attrs["id"] for attrs in hidden] == ["filters"]


def test_headings_do_not_skip_a_level_and_tables_name_their_headers(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all("scope" in attrs for tag, attrs in page.tags if tag == "th")


def test_the_same_results_give_the_same_page(html, tmp_path):
    assert render(document_of(registry.all_claims().values()), tmp_path) == html


def test_a_run_ends_with_the_report_its_figures_inside(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(registry, "all_claims", fake.registry(fake.HOLDS, fake.REFUTED, fake.GAP, fake.ERROR))
    main_verify(["--jobs", "1", "--out", str(tmp_path)])
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {tmp_path / 'report.html'}"
    page = Page((tmp_path / "report.html").read_text())
    (image,) = [attrs for tag, attrs in page.tags if tag == "img"]
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert "squares" in image["alt"]
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_a_certificate_is_linked_only_if_its_file_is_there(tmp_path):
    document = document_of([fake.HOLDS])
    found = {"form": "printed", "file": "holds-printed.json", "certified": 200, "ok": True}
    document["claims"][0]["certificates"] = [found, found | {"file": "gone.json"}, found | {"file": ""}]
    (tmp_path / "certificates").mkdir()
    (tmp_path / "certificates" / "holds-printed.json").write_text("{}")
    links = [attrs["href"] for tag, attrs in Page(render(document, tmp_path)).tags if tag == "a"]
    assert [link for link in links if link.startswith("certificates/")] == ["certificates/holds-printed.json"]


def test_text_of_a_claim_is_escaped(tmp_path):
    document = document_of([fake.HOLDS])
    document["claims"][0] |= {"title": "<script>alert(1)</script>", "statement": r"a < b & \frac{1}{2}"}
    html = render(document, tmp_path)
    assert "<script>alert" not in html
    assert Page(html).open == []


@pytest.mark.parametrize(
    "text", [None, "{", "[]", '{"claims": [{"id": "x"}]}', '{"claims": []}', '{"seed": 0}']
)
def test_without_usable_results_report_says_so_in_one_line(tmp_path, capsys, text):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    assert main_report(["--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "results.json" in line
    assert not (tmp_path / "report.html").exists()


DAMAGE = {
    ".verdict": lambda row: row.pop("verdict"),
    ".expected": lambda row: row.update(expected="FOO"),
    ".error": lambda row: row.update(error="1e"),
    ".steps[0].ok": lambda row: row["steps"][0].pop("ok"),
    ".steps[0].repaired": lambda row: row["steps"][0].update(repaired=3),
    ".corrected": lambda row: row.update(corrected={"statement": "x"}),
    ".counterexample": lambda row: row.update(counterexample=[]),
    ".figures[0].name": lambda row: row.update(figures=[{}]),
    ".certificates": lambda row: row.update(certificates=None),
    ".certificates[0].ok": lambda row: row.update(
        certificates=[{"file": "x.json", "certified": 1, "form": "printed"}]
    ),
    ".bound": lambda row: row.update(bound=True),
    ".instances": lambda row: row.update(instances=10**400),
    ".title": lambda row: row.update(title="\ud800"),
}


@pytest.mark.parametrize("where", DAMAGE)
def test_a_damaged_row_is_one_line_that_says_where(tmp_path, capsys, where):
    document = document_of([fake.HOLDS, fake.GAP])
    DAMAGE[where](document["claims"][1])
    (tmp_path / "results.json").write_text(json.dumps(document))
    assert main_report(["--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"or damaged, at .claims[1]{where}")


def paths_of(value, path=()):
    """Paths to all parts of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    yield from ([path] if path else [])
    for key, part in items:
        yield from paths_of(part, (*path, key))


VALUES = [None, -1, 1.5, True, "", [], {}, [[]], [{}], "nan", float("inf"), 10**400, {"a": None}, "\ud800"]


@pytest.mark.parametrize("seed", range(3))
def test_a_results_file_damaged_anywhere_is_a_page_or_one_error(tmp_path, monkeypatch, seed):
    """No traceback, whatever part is missing or replaced: 300 damages."""
    monkeypatch.setattr("verify.report.fonts.math_font", lambda _: "")
    document, rng = document_of([fake.HOLDS, fake.REFUTED, fake.GAP]), random.Random(seed)
    proof = {"form": "printed", "file": "x.json", "certified": 1, "ok": True}
    document["claims"][1] |= {"certificates": [proof]}
    document["claims"][0] |= {"figures": [{"name": "f", "caption": "c", "panels": ["p"], "data": "f.csv"}]}
    paths, n_pages = list(paths_of(document)), 0
    for _ in range(100):
        damaged = copy.deepcopy(document)
        *above, last = rng.choice(paths)
        part = functools.reduce(operator.getitem, above, damaged)
        part.pop(last) if rng.random() < 0.4 else part.__setitem__(last, rng.choice(VALUES))
        (tmp_path / "results.json").write_text(json.dumps(damaged))
        with contextlib.suppress(InputError):
            write_report(tmp_path)
            n_pages += 1
    assert 0 < n_pages < 100


def test_a_results_file_of_another_schema_is_told_so(tmp_path, capsys):
    (tmp_path / "results.json").write_text(json.dumps(document_of([fake.HOLDS]) | {"schema": 1}))
    assert main_report(["--out", str(tmp_path)]) == 2
    assert "written by another version" in capsys.readouterr().err


def test_what_a_run_writes_is_read_back_errors_and_nan_included(tmp_path, monkeypatch):
    claims = (fake.HOLDS, fake.REFUTED, fake.GAP, fake.ERROR, fake.NOT_A_NUMBER, fake.BAD_CORRECTION)
    monkeypatch.setattr(registry, "all_claims", fake.registry(*claims))
    assert main_verify(["--jobs", "1", "--out", str(tmp_path)]) == 1
    assert main_report(["--out", str(tmp_path)]) == 0


def test_the_report_of_a_written_file_is_atomic_and_replaces_the_old_one(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(document_of([fake.HOLDS])))
    (tmp_path / "report.html").write_text("old")
    assert write_report(tmp_path).read_text().startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "results.json"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1 / 3, "1/3"),
        (-0.5, "\u22121/2"),
        (2.0, "2"),
        (0.1, "1/10"),
        (3.14159265, "3.14159"),
        ("inf", "inf"),
        (True, "True"),
    ],
)
def test_numbers_are_shown_as_the_fractions_they_are(value, shown):
    assert number(value) == shown


def test_an_mdp_is_a_table_of_the_pairs_that_exist():
    mdp = {"transition": [[[0.5, 0.5], [0, 0]], [[1, 0], [0, 1]]], "reward": [[1, 0], [0, 2]], "gamma": 0.5}
    html = layout({"mdp": mdp | {"mask": [[True, False], [True, True]]}})
    assert html.count("<tr>") == 1 + 3
    assert "0 with 1/2, 1 with 1/2" in html
