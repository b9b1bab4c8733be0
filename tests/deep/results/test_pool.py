"""Run folders that differ only in their seeds are one algorithm; others stay apart."""

import json

import numpy as np
import pytest

from tests.support.runs import learning, write_raw, write_run
from virel_deep.commands.results import main_compare
from virel_deep.results.names import entries
from virel_deep.results.pool import pooled
from virel_deep.results.read import read_run
from virel_deep.results.remarks import remarks

HOPPER = "Hopper-v5"


def with_seeds(folder, first, curves, **more):
    """A run of seeds first, first + 1, ..."""
    write_run(folder, "sac", more.pop("env", HOPPER), curves, **more)
    document = json.loads((folder / "config.json").read_text())
    document["config"]["seeds"] = list(range(first, first + len(curves)))
    (folder / "config.json").write_text(json.dumps(document))
    for seed in reversed(range(len(curves))):
        (folder / f"seed-{seed}").rename(folder / f"seed-{first + seed}")
    return read_run(folder)


def test_two_folders_of_different_seeds_are_one_run_in_the_order_of_seeds(tmp_path):
    curves = learning(np.random.default_rng(0), 5, 6, 100.0)
    late, early = with_seeds(tmp_path / "a", 2, curves[2:]), with_seeds(tmp_path / "b", 0, curves[:2])
    (run,) = pooled([late, early])
    whole = read_run(write_run(tmp_path / "c", "sac", HOPPER, curves))
    assert (run.seeds, run.preset, run.env) == (whole.seeds, "sac", HOPPER)
    np.testing.assert_array_equal(run.returns, whole.returns)
    np.testing.assert_array_equal(run.at, whole.at)


def test_pooled_folders_say_which_evaluations_do_not_count(tmp_path):
    curves = learning(np.random.default_rng(0), 4, 6, 100.0)
    folders = [
        with_seeds(tmp_path / name, first, curves[first : first + 2]) for name, first in (("a", 0), ("b", 2))
    ]
    for seed in (2, 3):
        metrics = tmp_path / "b" / f"seed-{seed}" / "metrics.jsonl"
        lines = metrics.read_text().splitlines(keepends=True)
        metrics.write_text("".join(line for line in lines if '"step": 3000, "kind": "eval"' not in line))
    (run,) = pooled([folders[0], read_run(tmp_path / "b")])
    assert 3000 not in run.at
    assert "evaluations at 1 of its steps, from 3000 on, do not count, as some folders lack them" in run.mixed


def test_an_array_job_of_one_seed_each_is_one_row_of_the_table(tmp_path):
    curves = learning(np.random.default_rng(0), 3, 6, 100.0)
    runs = [tmp_path / f"s{seed}" for seed in range(3)]
    for seed, run in enumerate(runs):
        with_seeds(run, seed, curves[seed : seed + 1])
    whole = write_run(tmp_path / "whole", "sac", HOPPER, curves)
    for out, given in (("apart", runs), ("together", [whole])):
        assert main_compare([*map(str, given), "--out", str(tmp_path / out)]) == 0
    apart, together = ((tmp_path / out / "table.md").read_text() for out in ("apart", "together"))
    assert apart == together
    assert "| sac | 3 |" in apart


def test_only_steps_at_which_all_were_evaluated_count(tmp_path):
    curves = learning(np.random.default_rng(1), 4, 6, 100.0)
    a = with_seeds(tmp_path / "a", 0, curves[:2], steps=6000)
    b = with_seeds(tmp_path / "b", 2, curves[2:, :4], steps=6000)
    (run,) = pooled([a, b])
    assert run.at.tolist() == [1000, 2000, 3000, 4000]
    np.testing.assert_array_equal(run.returns, curves[:, :4])


@pytest.mark.parametrize("other", [{"first": 1}, {"data.batch": 32}, {"env": "Ant-v5"}, {"steps": 9000}])
def test_a_shared_seed_or_any_other_difference_keeps_runs_apart(tmp_path, other):
    curves = learning(np.random.default_rng(2), 2, 6, 100.0)
    first = {"first": 2} | other
    runs = [
        with_seeds(tmp_path / "a", 0, curves),
        with_seeds(tmp_path / "b", first.pop("first"), curves, **first),
    ]
    assert pooled(runs) == runs


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (
            {"gymnasium": "1.4.0", "mujoco": "4.0.1"},
            "version of mujoco: 4.0.0 (seeds 0, 1), 4.0.1 (seeds 2, 3)",
        ),
        ({"gymnasium": "1.4.0"}, "version of mujoco: 4.0.0 (seeds 0, 1), unknown (seeds 2, 3)"),
        ({"gymnasium": "1.4.0", "mujoco": "4.0.0"}, None),
    ],
)
def test_pooled_folders_of_other_versions_are_said(tmp_path, second, said):
    curves = learning(np.random.default_rng(3), 4, 6, 100.0)
    a = with_seeds(tmp_path / "a", 0, curves[:2])
    b = with_seeds(tmp_path / "b", 2, curves[2:], versions=second)
    (run,) = pooled([a, b])
    remarks_of = [line for line in remarks(entries([run])) if "folders that differ" in line]
    assert [said in line for line in remarks_of] == ([True] if said else [])


def test_pooled_folders_that_end_at_other_steps_are_said(tmp_path):
    curves = learning(np.random.default_rng(1), 4, 6, 100.0)
    a = with_seeds(tmp_path / "a", 0, curves[:2], steps=6000)
    b = with_seeds(tmp_path / "b", 2, curves[2:, :4], steps=6000)
    (run,) = pooled([a, b])
    assert "last evaluation: 6000 (seeds 0, 1), 4000 (seeds 2, 3)" in run.mixed[0]


RECORD = {"class": "mine.Cart", "wrappers": ["TimeLimit"], "max_episode_steps": 200, "source": "ab" * 32}


def with_record(folder, first, **changes):
    """A run of seeds first, first + 1 whose environment was recorded."""
    with_seeds(folder, first, learning(np.random.default_rng(first), 2, 6, 100.0), env="mine:Cart-v0")
    document = json.loads((folder / "config.json").read_text()) | {"environment": [RECORD | changes]}
    (folder / "config.json").write_text(json.dumps(document))
    return read_run(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"source": "cd" * 32},
            "the checksum of their environment's file: abababab (sac (a)), cdcdcdcd (sac (b))",
        ),
        ({"max_episode_steps": 5}, "the time limit of episodes: 200 (sac (a)), 5 (sac (b))"),
        ({"wrappers": []}, """the wrappers of their environment: ["TimeLimit"] (sac (a)), [] (sac (b))"""),
    ],
)
def test_runs_whose_environments_code_differs_are_not_pooled_and_that_is_said(tmp_path, change, said):
    runs = pooled([with_record(tmp_path / "a", 0), with_record(tmp_path / "b", 2, **change)])
    assert [run.seeds for run in runs] == [(0, 1), (2, 3)]
    assert f"mine:Cart-v0: runs differ in {said}; their returns can't be compared." in remarks(entries(runs))


def test_runs_with_the_same_record_or_without_one_are_pooled(tmp_path):
    new = [with_record(tmp_path / "a", 0), with_record(tmp_path / "b", 2, version="2.0")]
    old = with_seeds(tmp_path / "c", 4, learning(np.random.default_rng(4), 2, 6, 100.0), env="mine:Cart-v0")
    (run,) = pooled([*new, old])
    assert run.seeds == (0, 1, 2, 3, 4, 5)
    assert not any("differ" in line for line in remarks(entries([run])))


def test_different_tasks_of_two_algorithms_are_said(tmp_path):
    config = {"env": "Pendulum-v1", "steps": 6000, "env_arguments": {}, "eval_stochastic": False}
    curves = learning(np.random.default_rng(0), 2, 6, 100.0)
    other = config | {"preset": "td3", "env_arguments": {"g": 1.0}, "eval_stochastic": True}
    folders = [
        write_raw(tmp_path / "a", config | {"preset": "sac"}, curves),
        write_raw(tmp_path / "b", other, curves),
        write_raw(tmp_path / "c", {"preset": "peer", "env": "Pendulum-v1", "steps": 6000}, curves),
    ]
    said = remarks(entries([read_run(folder) for folder in folders]))
    for line in (
        """the arguments of their environment: {} (sac), {"g": 1.0} (td3)""",
        "whether actions are drawn in evaluations: no (sac), yes (td3)",
    ):
        assert f"Pendulum-v1: runs differ in {line}; their returns can't be compared." in said


def test_a_pooled_run_that_only_folders_tell_apart_is_named_by_all_of_its_own(tmp_path):
    runs = pooled(
        [
            with_record(tmp_path / "s0", 0),
            with_record(tmp_path / "full", 0),
            with_record(tmp_path / "s2", 2),
        ]
    )
    assert [one.label for one in entries(runs)] == ["sac (s0, s2)", "sac (full)"]
