"""Tables of scores by hand, other libraries' runs included."""

from tests.support.runs import named, ramp, write_raw, write_run
from virel_deep.results.remarks import ONE_SEED, remarks
from virel_deep.results.tables import as_markdown, overall_table, score_table


def test_the_table_shows_scores_with_intervals_and_who_wins(two_runs):
    table = score_table(named(two_runs))
    # 3 seeds: the interval is their range. 900 loses to all three; 1300 to one; 1500 to none: 5/9.
    assert table.rows[0] == ("Hopper-v5", "sac", "3", "20000", "930 [775, 1085]", table.rows[0][5], "")
    assert table.rows[1][4] == "956 [698, 1162]"
    assert table.rows[1][6].startswith("0.56 [")
    assert table.columns[-1] == "P(better than sac)"


def test_over_environments_each_counts_in_units_of_the_first_algorithm(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(*(scale * unit for unit in units)))
        for env, scale in (("Hopper-v5", 1.0), ("HalfCheetah-v5", 1000.0))
        for preset, units in (("sac", (1.0, 1.0)), ("beta", (2.0, 2.0)))
    ]
    table = overall_table(named(folders))
    assert table.rows == [("sac", "1", ""), ("beta", "2 [2, 2]", "1.00 [1.00, 1.00]")]


def test_there_is_no_table_over_environments_for_one_or_where_the_first_algorithm_is_missing(
    tmp_path, two_runs
):
    assert overall_table(named(two_runs)) is None
    other = write_run(tmp_path / "c", "beta", "Ant-v5", ramp(1.0, 2.0))
    assert overall_table(named([*two_runs, other])) is None
    assert score_table(named([*two_runs, other])).rows[2][6] == ""


def test_negative_returns_have_no_ratio(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(-100.0, -50.0))
        for env in ("Reacher-v5", "Pusher-v5")
        for preset in ("sac", "beta")
    ]
    table = overall_table(named(folders))
    assert [row[1] for row in table.rows] == ["-", "-"]
    said = (
        "No final return / that of sac over 2 environments: a ratio says nothing where a seed of it has a "
        "final return that is not positive (-77.5 in Reacher-v5, -77.5 in Pusher-v5)."  # 15.5/20 of -100
    )
    assert table.notes == (said,)
    assert f"\n- {said}\n" in as_markdown([table], [])


def test_only_the_environments_with_a_return_that_is_not_positive_are_named(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(top, 2 * top))
        for env, top in (("Hopper-v5", 100.0), ("Pusher-v5", -40.0))
        for preset in ("sac", "beta")
    ]
    (note,) = overall_table(named(folders)).notes
    assert "(-62 in Pusher-v5)" in note


def test_positive_returns_have_a_note_on_what_their_ratio_is(tmp_path):
    folders = [write_run(tmp_path / env, "sac", env, ramp(1.0, 2.0)) for env in ("Hopper-v5", "Ant-v5")]
    (note,) = overall_table(named(folders)).notes
    assert note.startswith("Final return / that of sac: a ratio of the IQMs in each environment")


def test_the_first_algorithm_itself_has_the_ratio_1_whatever_its_spread(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(1.0, 2.0, 3.0, 4.0, 90.0))
        for env in ("Hopper-v5", "Ant-v5")
        for preset in ("sac", "beta")
    ]
    (_, first, _), (_, same, _) = overall_table(named(folders)).rows
    assert first == "1"
    assert same.startswith("1 [")
    assert same != "1 [1, 1]"


def test_a_single_seed_has_no_interval(tmp_path):
    folders = [
        write_run(tmp_path / f"{preset}-{env}", preset, env, ramp(*tops))
        for env in ("Hopper-v5", "Ant-v5")
        for preset, tops in (("sac", (100.0, 200.0)), ("beta", (400.0,)))
    ]
    here = named(folders)
    assert [row[2:] for row in score_table(here).rows[:2]] == [
        ("2", "20000", "116 [77.5, 155]", "78.8 [52.5, 105]", ""),  # (1/20 + 1) / 2 of 100 and 200
        ("1", "20000", "310", "210", "1.00"),
    ]
    assert overall_table(here).rows[1] == ("beta", "2.67", "1.00")
    assert remarks(here)[-2] == ONE_SEED
    assert remarks(named(folders[1::2]))[-1] == ONE_SEED


def test_a_run_of_another_library_takes_part(tmp_path, two_runs):
    config = {
        "preset": "sb3-sac",
        "env": "Hopper-v5",
        "steps": 20_000,
        "policy": "MlpPolicy",
        "seeds": [0, 1, 2],
    }
    peer = write_raw(tmp_path / "sb3", config, ramp(1000, 1100, 1200))
    table = score_table(named([*two_runs, peer]))
    assert table.rows[2][1:5] == ("sb3-sac", "3", "20000", "852 [775, 930]")


def test_a_markdown_table_has_as_many_cells_in_every_row(two_runs):
    here = named(two_runs)
    lines = as_markdown([score_table(here)], remarks(here)).splitlines()
    assert {line.count("|") for line in lines if line.startswith("|")} == {8}
