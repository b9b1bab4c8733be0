"""docs/theory/table_1.md is what the presets, the exact algorithms and the claims say."""

from dataclasses import replace

from benchmarks.deep.table_1 import CELLS, EMPTY, PAGE, cell_of, page, rows_of
from virel_deep.design.presets import PRESETS, Preset
from virel_deep.design.priors import Asymmetric


def test_the_page_is_current():
    """If it fails: `python -m benchmarks.deep.table_1`."""
    assert page() == PAGE.read_text()


def test_no_cell_is_empty_and_each_preset_stands_in_one():
    names = [name for cell in CELLS for name in rows_of(cell)]
    assert sorted(names) == sorted(PRESETS)
    assert all(map(rows_of, CELLS))
    assert {name for cell in EMPTY for name in rows_of(cell)} == {"mb-sac", "mb-iadp", "mb-mpo"}


def test_a_preset_with_another_prior_moves_to_another_cell(monkeypatch):
    sac = PRESETS["sac"].algorithm
    moved = replace(sac, prior=Asymmetric(), temperature=PRESETS["iadp"].algorithm.temperature)
    assert cell_of(moved) == cell_of(sac)._replace(prior="learned")
    monkeypatch.setitem(PRESETS, "sac", Preset(moved, "this test"))
    assert page() != PAGE.read_text()
