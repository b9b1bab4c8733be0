"""The documentation site in headless Chromium: pages fit, log no error, show their images; search works.

`make docs` builds the site and runs this; alone it builds the site first, which takes half a minute.
"""

import html
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)"),
]
WIDTHS = {"desktop": 1280, "phone": 390}
DRIVER = """<iframe id="frame" style="width:WIDTHpx;height:900px"></iframe><script>
const pages = PAGES, found = {}, frame = document.getElementById("frame");
let at = -1;
function next() {
  at += 1;
  if (at === pages.length) { document.documentElement.dataset.probe = JSON.stringify(found); return; }
  frame.src = pages[at];
}
frame.onload = function () {
  if (at < 0) { next(); return; }
  setTimeout(function () {
    const page = frame.contentDocument, root = page.documentElement;
    found[pages[at]] = { wide: root.scrollWidth - root.clientWidth,
      hits: page.querySelectorAll("#search-results li").length,
      broken: Array.from(page.images).filter(i => i.naturalWidth === 0).length };
    next();
  }, pages[at].startsWith("search") ? 3000 : 50);
};
next();
</script>"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    built = ROOT / "out" / "docs"
    if not (built / "index.html").is_file():
        pytest.importorskip("sphinx")
        built = tmp_path_factory.mktemp("site")
        command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", ROOT / "docs", built]
        subprocess.run(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    return built


def visit(site, pages, *, width, profile):
    """What is found on each page, and what went to the console, from one browser that opens all of them."""
    driver = site / "probe.html"
    driver.write_text(DRIVER.replace("WIDTH", str(width)).replace("PAGES", json.dumps(pages)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    options += ["--enable-logging=stderr", "--virtual-time-budget=600000", f"--user-data-dir={profile}"]
    try:
        done = subprocess.run(
            [CHROMIUM, *options, "--dump-dom", driver.as_uri()], capture_output=True, text=True, check=True
        )
    finally:
        driver.unlink()
    probe = done.stdout.split('data-probe="', 1)[1].split('"', 1)[0]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(probe)), console


def all_pages(site):
    kept = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return [page for page in kept if not page.startswith(("_modules", "probe", "_sources"))]


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_every_page_fits_has_its_images_and_logs_no_error(site, width, tmp_path):
    pages = all_pages(site)
    assert len(pages) > 60
    found, console = visit(site, pages, width=width, profile=tmp_path)
    assert found.keys() == set(pages)
    assert {page: one["wide"] for page, one in found.items() if one["wide"] > 0} == {}
    assert [page for page, one in found.items() if one["broken"]] == []
    assert console == []


def test_search_works_from_the_disk(site, tmp_path):
    found, console = visit(
        site, ["search.html?q=boltzmann", "search.html?q=zzzunheardof"], width=1280, profile=tmp_path
    )
    assert found["search.html?q=boltzmann"]["hits"] > 5
    assert found["search.html?q=zzzunheardof"]["hits"] == 0
    assert console == []


def test_nothing_is_loaded_from_the_network(site):
    for page in all_pages(site):
        text = (site / page).read_text(encoding="utf-8")
        for kind in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http'):
            assert kind not in text, page


def test_signatures_have_the_names_of_types_that_people_write(site):
    pages = {page: (site / page).read_text(encoding="utf-8") for page in all_pages(site)}
    assert [page for page, text in pages.items() if "_SupportsArray" in text] == []
    assert any("ArrayLike" in text for text in pages.values())
