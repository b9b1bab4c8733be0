"""The report: what it says of finished, partial and failed studies; its page is complete and offline."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.support.studies import TWO_ARMS, study_of, write_jobs
from virel_deep.commands.study import main_study
from virel_deep.results.curves import styles_of
from virel_deep.study.page import write_report
from virel_deep.study.record import read_record, register
from virel_deep.study.report import contents

ENVS = ("InvertedPendulum-v5", "Pendulum-v1")


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    return {
        (arm, env): 10 * (arm == "sac") + rng.normal(size=(4, 4)) for env in ENVS for arm in ("sac", "td3")
    }


def report(out, **more):
    return contents(out, read_record(out), **more)


def texts(out, **more):
    write_report(report(out, **more), out / "report")
    return {path.name: path.read_text() for path in (out / "report").iterdir() if path.is_file()}


class Page(HTMLParser):
    """Open elements, texts of table cells, and every address that the page would load."""

    VOID = frozenset({"meta", "link", "img"})

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.addresses += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        assert tag != "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_finished_study_is_decided_and_its_page_loads_nothing_from_elsewhere(tmp_path, scores):
    files = texts(write_jobs(tmp_path / "out", study_of(), scores))
    assert set(files) == {"index.html", "report.md", "table.md", "scores.csv"}
    page = Page()
    page.feed(files["index.html"])
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert all(a.startswith(("#", "data:")) for a in page.addresses)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", files["index.html"])
    assert sum(a.startswith("data:image/svg+xml") for a in page.addresses) == 2
    assert "supported" in files["index.html"]
    assert "All 4 jobs are finished." in files["report.md"]
    assert "Nothing happened otherwise." in files["report.md"]
    assert study_of().sha256 in files["report.md"]
    assert (
        "| first | sac above td3 | final | 1.00 [1.00, 1.00] | 0.000204 | 1 | supported |"
        in files["table.md"]
    )


def test_raw_scores_read_back_exactly(tmp_path, scores):
    files = texts(write_jobs(tmp_path / "out", study_of(), scores))
    rows = list(csv.DictReader(io.StringIO(files["scores.csv"])))
    assert len(rows) == 2 * 2 * 4 * 2
    found = [
        float(row["value"])
        for row in rows
        if (row["arm"], row["environment"], row["score"]) == ("td3", ENVS[1], "final")
    ]
    np.testing.assert_array_equal(found, report(tmp_path / "out").results[3].run.final())


def test_the_table_says_nothing_about_clocks_and_folders(tmp_path, scores):
    """So that a study in another place, at another time, gives the same bytes."""
    files = texts(write_jobs(tmp_path / "a", study_of(), scores))
    again = texts(write_jobs(tmp_path / "b", study_of(), scores))
    assert files["table.md"] == again["table.md"]
    assert files["scores.csv"] == again["scores.csv"]
    curves = [(tmp_path / name / "report" / ENVS[0] / "curves.svg").read_bytes() for name in "ab"]
    assert curves[0] == curves[1]


def test_a_partial_study_is_reported_as_such(tmp_path, scores):
    some = {key: values for key, values in scores.items() if key != ("td3", "Pendulum-v1")}
    files = texts(write_jobs(tmp_path / "out", study_of(), some, unfinished=["sac-Pendulum-v1"]))
    assert "Partial: 2 of 4 jobs are finished; all numbers below are provisional." in files["index.html"]
    assert "not decided yet" in files["index.html"]
    assert "first: waits for sac-Pendulum-v1, td3-Pendulum-v1." in files["table.md"]
    assert "--steps" not in files["report.md"]


def test_a_study_before_its_first_evaluation_has_a_report_too(tmp_path):
    out = write_jobs(tmp_path / "out", study_of(), {})
    files = texts(out)
    assert "Partial: 0 of 4 jobs are finished" in files["report.md"]
    assert "No seed has been evaluated yet." in files["index.html"]


def test_failed_seeds_amendments_and_other_versions_are_deviations(tmp_path, scores):
    out = write_jobs(tmp_path / "out", study_of(), scores, failed=[("sac-Pendulum-v1", 2, "diverged")])
    register(study_of(("level = 0.1", "level = 0.05")), out, "study.toml", amend="a <stricter> level")
    plan = json.loads((out / "plan.json").read_text())
    plan["versions"]["mujoco"] = "3.0.0"  # the jobs say 4.0.0
    (out / "plan.json").write_text(json.dumps(plan))
    files = texts(out, differing=["seeds: 4 -> 5"])
    said = files["report.md"]
    assert "sac-Pendulum-v1, seed 2: diverged at step 500, it counts as lower than any return" in said
    assert "because: a <stricter> level. Changes: decision.level: 0.1 -> 0.05." in said
    assert "has changed, unrecorded and without effect: seeds: 4 -> 5." in said
    assert "sac-Pendulum-v1: computed with mujoco 4.0.0, the study began with 3.0.0." in said
    assert "a &lt;stricter&gt; level" in files["index.html"]
    assert "changed\n1 time since" in files["index.html"]


def test_a_title_with_markup_stays_text(tmp_path):
    out = write_jobs(tmp_path / "out", study_of(('title = "Two arms"', 'title = "<b>A & B</b>"')), {})
    assert "<h1>&lt;b&gt;A &amp; B&lt;/b&gt;</h1>" in texts(out)["index.html"]


def test_arms_without_hypotheses_are_described(tmp_path, scores):
    text = study_of().text.partition("[[hypotheses]]")[0]
    files = texts(write_jobs(tmp_path / "out", study_of(text=text), scores))
    assert "The study states no hypothesis; its scores are descriptive." in files["table.md"]


def test_returns_that_allow_no_ratio_are_said_once_wherever_the_table_is_shown(tmp_path, scores, capsys):
    (tmp_path / "study.toml").write_text(TWO_ARMS)
    out = write_jobs(tmp_path / "out", study_of(), {key: values - 100 for key, values in scores.items()})
    files = texts(out)
    assert main_study(["report", str(tmp_path / "study.toml"), "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    note = "No final return / that of sac over 2 environments: a ratio says nothing where a seed of it has a"
    assert [text.count(note) for text in (files["table.md"], files["index.html"], said)] == [1, 1, 1]
    assert note not in texts(write_jobs(tmp_path / "positive", study_of(), scores))["table.md"]


def test_one_arm_has_no_table_over_environments_and_no_note_on_it(tmp_path, scores):
    study = study_of(text=study_of().text.partition("[arms.td3]")[0])
    some = {key: values - 100 for key, values in scores.items() if key[0] == "sac"}
    assert "over 2 environments" not in texts(write_jobs(tmp_path / "out", study, some))["table.md"]


def test_what_is_bounded_is_said(tmp_path, scores):
    said = report(write_jobs(tmp_path / "out", study_of(), scores)).parts[0].lead
    assert "in every environment the second arm is stochastically at least as large as the first" in said
    assert "the probability that any true null hypothesis is rejected at most 0.1" in said
    assert "in at least one environment, though not necessarily in each" in said
    assert "paired" not in said
    paired = study_of(('than = "td3"', 'than = "td3"\npaired = true'))
    parts = report(write_jobs(tmp_path / "paired", paired, scores)).parts
    assert "differences within pairs" in parts[0].lead
    assert parts[0].tables[0].rows[0][3] == parts[1].tables[0].rows[0][1] == "1.00 [1.00, 1.00] of pairs"


def test_scores_of_arms_that_are_not_equally_far_are_those_at_equal_steps(tmp_path):
    rising = np.outer([1.0, 1.1, 1.2, 1.3], np.arange(1, 21))
    scores = {(arm, env): rising for env in ENVS for arm in ("sac", "td3")}
    out = write_jobs(tmp_path / "out", study_of(), scores, unfinished=["td3-Pendulum-v1"])
    for path in (out / "jobs" / "td3-Pendulum-v1").glob("*/metrics.jsonl"):
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:10]))  # 5 of 20 evaluations
    found = report(out).parts[2]
    rows = {row[:2]: row[2:] for row in found.tables[0].rows}
    assert rows["Pendulum-v1", "sac"][:4] == rows["Pendulum-v1", "td3"][:4]
    assert rows["Pendulum-v1", "td3"][:2] == ("4", "500")
    assert rows["InvertedPendulum-v5", "sac"][1] == "2000"
    assert all(row[-1].startswith("0.50") for key, row in rows.items() if key[1] == "td3")
    assert "Pendulum-v1, td3: evaluated up to step 500 of 2000." in found.remarks


def test_an_arm_of_which_every_seed_diverged_keeps_its_row_and_stays_what_others_are_compared_with(
    tmp_path, scores
):
    lost = [("sac-Pendulum-v1", seed, "diverged") for seed in range(4)]
    out = write_jobs(tmp_path / "a", study_of(), scores, failed=[*lost, ("td3-Pendulum-v1", 1, "diverged")])
    found = report(out).parts[2]
    table = found.tables[0]
    assert table.columns[-1] == "P(better than sac)"
    assert table.rows[2] == ("Pendulum-v1", "sac", "0 (4 of 4 diverged)", "-", "-", "-", "-")
    assert table.rows[3][1:3] == ("td3", "3 (1 of 4 diverged)")
    assert "Seeds that diverged are left out here; hypotheses count them as lower" in found.lead
    alone = study_of(
        ('environments = ["InvertedPendulum-v5", "Pendulum-v1"]', 'environments = ["Pendulum-v1"]')
    )
    some = {key: values for key, values in scores.items() if key[1] == "Pendulum-v1"}
    (table,) = report(write_jobs(tmp_path / "b", alone, some, failed=lost)).parts[2].tables
    assert [row[1:3] for row in table.rows] == [("sac", "0 (4 of 4 diverged)"), ("td3", "4")]
    assert (table.columns[-1], table.rows[1][-1]) == ("P(better than sac)", "")
    all_lost = [*lost, *(("td3-Pendulum-v1", seed, "diverged") for seed in range(4))]
    (table,) = report(write_jobs(tmp_path / "c", alone, some, failed=all_lost)).parts[2].tables
    assert [row[2] for row in table.rows] == ["0 (4 of 4 diverged)"] * 2


def test_an_arm_has_the_same_colour_in_every_figure_of_a_report(tmp_path, scores):
    study = study_of(('preset = "sac"', 'preset = "sac"\nenvironments = ["Pendulum-v1"]'))
    some = {key: values for key, values in scores.items() if key != ("sac", "InvertedPendulum-v5")}
    texts(write_jobs(tmp_path / "out", study, some))
    (_, first), (_, second) = styles_of(["sac", "td3"]).items()
    for env, drawn in zip(ENVS, ([second], [first, second]), strict=True):
        svg = (tmp_path / "out" / "report" / env / "curves.svg").read_text().lower()
        assert [colour.lower() in svg for colour, _ in (first, second)] == [first in drawn, second in drawn]


def test_the_budget_stands_beside_the_cost(tmp_path, scores):
    budget = study_of(("[decision]", "[budget]\ncore_hours = 0.01\n[decision]"))
    (cost,) = [p for p in report(write_jobs(tmp_path, budget, scores)).circumstances if p.key == "cost"]
    assert "The plan's budget: 0.01 core hours, of which these are 33%." in cost.lead  # 4 jobs of 3 seconds


def test_cost_counts_each_job_once(tmp_path, scores):
    out = write_jobs(tmp_path / "out", study_of(), scores)
    (cost,) = [part for part in report(out).circumstances if part.key == "cost"]
    assert cost.lead.startswith("0.00 core hours in all")
    assert cost.tables[0].rows[0][:2] == ("sac-InvertedPendulum-v5", "2,000")
    states = [one.state for one in report(out).results]
    assert [state.seconds for state in states] == [3.0] * 4  # `wall` of the last row of each seed
    assert {state.step for state in states} == {2000}
