"""The page in headless Chromium: it loads without errors, its filters work, nothing is wider than a phone."""

import re
import shutil
import subprocess

import pytest

from tests.support.report_rows import document_of
from verify.engine import registry
from verify.report.page import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get insempty chromium)"),
]
PROBE = """<script>
window.addEventListener("load", function () {
  var root = document.documentElement;
  var rows = document.querySelectorAll("#index tbody tr:not([hidden])");
  var empty = Array.from(document.querySelectorAll("math")).filter(function (m) {
    return m.getClientRects().length > 0 && m.getBoundingClientRect().width === 0; });
  root.dataset.probe = [rows.length, document.getElementById("shown").textContent, empty.length,
    root.scrollWidth > root.clientWidth, window.probeErrors.length].join("|");
});</script>"""
CATCH = (
    "<script>window.probeErrors = []; window.onerror = function (e) { window.probeErrors.push(e); };</script>"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    html = render(document_of(registry.all_claims().values()), folder)
    path = folder / "report.html"
    path.write_text(html.replace("<head>", f"<head>{CATCH}").replace("</body>", f"{PROBE}</body>"))
    return path


def visit(page, fragment="", *, width=1280):
    """`rows shown, text of the counter, empty formulas, too wide, errors`, and what went to the console."""
    frame = page.with_name("frame.html")  # a window cannot be as narrow as a phone, a frame can
    frame.write_text(
        f'<iframe src="{page.as_uri()}{fragment}" style="width:{width}px;height:800px"></iframe>'
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += [
        "--enable-logging=stderr",
        "--virtual-time-budget=20000",
        f"--user-data-dir={page.parent / 'profile'}",
    ]
    script = (
        "<script>window.onload = function () { document.documentElement.dataset.probe = "
        "document.querySelector('iframe').contentDocument.documentElement.dataset.probe; };</script>"
    )
    frame.write_text(frame.read_text() + script)
    done = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", frame.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return found[1].split("|"), console


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_loads_without_errors_and_fits(page, width):
    (rows, counter, empty, too_wide, errors), console = visit(page, width=width)
    n = len(registry.all_claims())
    assert (rows, counter) == (str(n), f"{n} of {n} claims")
    assert (empty, too_wide, errors, console) == ("0", "false", "0", [])


def test_filters_by_verdict_and_by_text(page):
    claims = registry.all_claims().values()
    refuted = [claim for claim in claims if claim.expected == "REFUTED"]
    (rows, *_), console = visit(page, "#verdicts?verdict=REFUTED")
    assert (int(rows), console) == (len(refuted), [])
    (rows, *_), _ = visit(page, "#verdicts?verdict=REFUTED&text=theorem-3")
    assert int(rows) == sum("theorem-3" in claim.id for claim in refuted)
    (rows, *_), _ = visit(page, "#verdicts?text=no-such-word")
    assert rows == "0"
