"""docs/theory/table_1.md is what the presets, the exact algorithms and the claims say."""

from dataclasses import replace

from benchmarks.deep import table_1
from benchmarks.deep.table_1 import CELLS, CURVES, EMPTY, PAGE, cell_of, page, rows_of
from virel_deep.design.presets import PRESETS, Preset
from virel_deep.design.priors import Asymmetric
from virel_theory.variational.table import EXACT_FORM, ROWS


def test_the_page_is_current():
    """If it fails: `python -m benchmarks.deep.table_1`."""
    assert page() == PAGE.read_text()


def test_no_cell_is_empty_and_each_preset_stands_in_one():
    names = [name for cell in CELLS for name in rows_of(cell)]
    assert sorted(names) == sorted(PRESETS)
    assert all(map(rows_of, CELLS))
    assert {name for cell in EMPTY for name in rows_of(cell)} == {"mb-sac", "mb-iadp", "mb-mpo"}


def test_learning_is_measured_where_a_table_or_a_heading_names_the_row_and_not_where_the_text_does(
    monkeypatch, tmp_path
):
    (tmp_path / "benchmarks").mkdir()
    for name in CURVES:
        (tmp_path / f"benchmarks/{name}.md").write_text("`sql` has not been run.\n")
    (tmp_path / "benchmarks/rows.md").write_text("| `mpo` | 950: met |\n\n`sql` has not been run.\n")
    (tmp_path / "benchmarks/models.md").write_text("## `mb-iadp` on Reacher\n")
    monkeypatch.setattr(table_1, "DOCS", tmp_path)
    found = {name: table_1._learning(name) for name in ("mpo", "mb-iadp", "sql")}
    rows, models = "[rows](../benchmarks/rows.md)", "[models](../benchmarks/models.md)"
    assert found == {"mpo": rows, "mb-iadp": models, "sql": "not measured"}


def test_a_preset_with_another_prior_moves_to_another_cell(monkeypatch):
    sac = PRESETS["sac"].algorithm
    moved = replace(sac, prior=Asymmetric(), temperature=PRESETS["iadp"].algorithm.temperature)
    assert cell_of(moved) == cell_of(sac)._replace(prior="learned")
    monkeypatch.setitem(PRESETS, "sac", Preset(moved, "this test"))
    assert page() != PAGE.read_text()


def test_every_preset_of_the_deep_agent_is_an_exact_algorithm_or_is_told_its_name():
    names = {row.name for row in ROWS}
    assert {*PRESETS} - names == {*EXACT_FORM}
    assert {*EXACT_FORM.values()} <= names


def test_the_exact_counterpart_of_virels_presets_is_a_row():
    for preset, name in {
        "virel": "virel",
        "virel-twin": "virel",
        "beta": "beta",
        "beta-twin": "beta",
    }.items():
        link = f"[`{name}`](../reference/virel_theory/variational.algorithms.virel.md)"
        assert table_1._exact(preset) == link
