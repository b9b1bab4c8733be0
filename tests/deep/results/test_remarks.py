"""Everything that limits a comparison is said."""

import json

import numpy as np
import pytest

from tests.support.runs import named, place_run, ramp, write_raw, write_run, write_seed
from virel_deep.results.names import entries
from virel_deep.results.read import read_run
from virel_deep.results.remarks import remarks
from virel_deep.results.tables import overall_table


def test_runs_that_match_in_nothing_give_no_table_over_environments_and_that_is_said(tmp_path):
    folders = [
        place_run(tmp_path, path, env)
        for path, env in (("a", "Hopper-v5"), ("b", "Hopper-v5"), ("c", "Ant-v5"), ("d", "Ant-v5"))
    ]
    here = named(folders)
    assert overall_table(here) is None
    said = "No table over 2 environments: sac (a), the first, has no run of that name in Ant-v5."
    assert said in remarks(here)


def test_a_failed_seed_does_not_count_and_that_is_said(two_runs):
    failure = {"step": 4000, "what": "diverged", "detail": "q is nan"}
    (two_runs[0] / "seed-1" / "failure.json").write_text(json.dumps(failure))
    here = named(two_runs)
    assert here[0].run.seeds == (0, 2)
    assert any("sac: seed 1 failed at step 4000 (diverged)" in remark for remark in remarks(here))


def test_a_running_run_is_compared_where_all_its_seeds_are(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0), steps=50_000)
    write_seed(folder, 2, np.ones(7))
    (folder / "seed-3").mkdir()
    here = named([folder])
    assert here[0].run.seeds == (0, 1, 2)
    assert here[0].run.at.tolist() == [1000 * t for t in range(1, 8)]
    said = "\n".join(remarks(here))
    assert "sac: evaluated up to step 7000 of 50000" in said
    assert "sac: seed 3 has no evaluation yet" in said
    ends = "curves end: seeds 0, 1 at 20000; seed 2 at 7000."
    assert f"sac: cut at step 7000, the last with an evaluation of every seed; {ends}" in said


def test_evaluations_that_a_seed_lacks_in_between_are_said(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0, 3.0))
    metrics = folder / "seed-1" / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    lost = ('"step": 4000, "kind": "eval"', '"step": 9000, "kind": "eval"')
    metrics.write_text("".join(line for line in lines if not any(mark in line for mark in lost)))
    here = named([folder])
    assert 4000 not in here[0].run.at
    said = "sac: evaluations at 2 steps from 4000 on do not count, as seed 1 lacks some of them."
    assert any(line.endswith(said) for line in remarks(here))


def test_runs_that_a_stopped_seed_cuts_are_said_with_its_rule(tmp_path):
    folder = write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0))
    write_seed(folder, 2, np.ones(7))
    (folder / "seed-2" / "done.json").write_text('{"step": 7000, "stopped": "return >= 1 on 1 evaluation"}')
    ends = "seeds 0, 1 at 20000; seed 2 at 7000 (stopped: return >= 1 on 1 evaluation)."
    assert any(line.endswith(f"curves end: {ends}") for line in remarks(named([folder])))


def test_unequal_steps_versions_and_tasks_are_said(tmp_path):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", ramp(1.0, 2.0)),
        write_run(
            tmp_path / "b", "beta", "Hopper-v5", ramp(1.0, 2.0), every=500, versions={"mujoco": "3.3.0"}
        ),
        write_run(tmp_path / "c", "beta", "Hopper-v4", ramp(1.0, 2.0)),
    ]
    said = remarks(named(folders))
    assert "Hopper-v5: runs differ in the step of their last evaluation: 20000 (sac), 10000 (beta)." in said
    assert "Hopper-v5: `--steps 10000` compares at equal steps." in said
    assert (
        "Hopper-v5: runs differ in the number of steps between evaluations: 1000 (sac), 500 (beta)." in said
    )
    assert "Hopper-v5: runs differ in their version of mujoco: 4.0.0 (sac), 3.3.0 (beta)." in said
    assert "Hopper-v5: runs differ in their version of gymnasium: 1.4.0 (sac), unknown (beta)." in said
    assert "Hopper-v5 and Hopper-v4 are different tasks: their returns can't be compared." in said


def test_runs_with_one_or_two_evaluations_do_not_differ_in_the_steps_between_them(tmp_path):
    """A run evaluated every 1,000 steps up to step 1,200 has evaluations at 1,000 and 1,200."""
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, 9))),
        write_run(tmp_path / "b", "beta", "Hopper-v5", np.ones((2, 1))),
        write_run(tmp_path / "c", "td3", "Hopper-v5", np.ones((2, 2)), steps=1200),
        write_raw(tmp_path / "d", {"preset": "sb3", "env": "Hopper-v5", "steps": 1000}, np.ones((2, 1))),
    ]
    for seed in (0, 1):
        path = folders[2] / f"seed-{seed}" / "metrics.jsonl"
        path.write_text(path.read_text().replace('"step": 2000', '"step": 1200'))
    said = remarks(named(folders))
    assert not any("steps between evaluations" in line for line in said)
    assert not any("evaluated up to" in line for line in said)
    folders.append(write_run(tmp_path / "e", "ddpg", "Hopper-v5", np.ones((2, 1)), every=500))
    (line,) = [line for line in remarks(named(folders)) if "steps between evaluations" in line]
    assert line.endswith(": 1000 (sac), 1000 (beta), 1000 (td3), 500 (ddpg).")


@pytest.mark.parametrize(("spacing", "hint"), [(700, 7000), (1500, 9000), (1200, 6000)])
def test_the_hint_is_the_last_step_at_which_all_were_evaluated(tmp_path, spacing, hint):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, 9)), every=1000),
        write_run(tmp_path / "b", "beta", "Hopper-v5", np.ones((2, 14)), every=spacing),
    ]
    assert f"Hopper-v5: `--steps {hint}` compares at equal steps." in remarks(named(folders))
    at_hint = entries([read_run(folder).until(hint) for folder in folders])
    assert {entry.run.at[-1] for entry in at_hint} == {hint}


def test_without_a_common_step_there_is_no_hint(tmp_path):
    folders = [
        write_run(tmp_path / "a", "sac", "Hopper-v5", np.ones((2, 4)), every=1000),
        write_run(tmp_path / "b", "beta", "Hopper-v5", np.ones((2, 4)), every=999),
    ]
    said = remarks(named(folders))
    assert any("last evaluation: 4000 (sac), 3996 (beta)" in remark for remark in said)
    assert not any("--steps" in remark for remark in said)


def test_equal_runs_of_many_seeds_need_no_remark_but_what_is_shown(tmp_path):
    folders = [
        write_run(tmp_path / preset, preset, "Hopper-v5", ramp(*range(1, 11))) for preset in ("sac", "beta")
    ]
    assert len(remarks(named(folders))) == 1


def test_a_final_return_over_fewer_than_ten_evaluations_is_said(tmp_path):
    folders = [
        write_run(tmp_path / preset, preset, "Hopper-v5", np.ones((10, n)))
        for preset, n in (("sac", 10), ("beta", 9), ("td3", 1))
    ]
    (said,) = [line for line in remarks(named(folders)) if line.startswith("Fewer than 10 evaluations")]
    assert said == (
        "Fewer than 10 evaluations: a final return is then the mean of all of them, from the start of "
        "training on: 9 (Hopper-v5, beta), 1 (Hopper-v5, td3)."
    )


def test_three_seeds_are_said_to_give_wide_intervals(two_runs):
    said = remarks(named(two_runs))[-1]
    assert "Few seeds: such intervals are wide" in said
    assert "P = 1.00 [1.00, 1.00] is not proof" in said


def test_of_a_single_algorithm_no_probability_is_spoken_of(two_runs):
    said = remarks(named(two_runs[:1]))[-1]
    assert "Few seeds: such intervals are wide" in said
    assert "P = " not in said
