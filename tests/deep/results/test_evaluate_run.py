"""`virel evaluate`: each seed's newest policy, recorded in the run folder, failures said."""

import json
import subprocess
import sys
from shutil import copytree

import numpy as np
import pytest

from tests.support.runs import random_layers, write_checkpoint, write_raw, write_run
from virel_common.errors import InputError
from virel_deep.commands.results import main_evaluate
from virel_deep.design.presets import run_config
from virel_deep.design.run import to_json
from virel_deep.results.evaluate_run import evaluate_runs
from virel_deep.results.evaluate_seed import Asked
from virel_deep.run.evaluate import evaluate_policy
from virel_deep.run.policy import load_policy
from virel_deep.streams import stream

pytestmark = pytest.mark.mujoco

SIZES = (4, 8, 1)
DEADLY = "tests.support.deadly:Deadly"


@pytest.fixture
def run(tmp_path):
    """InvertedPendulum-v5, two seeds with a random policy each."""
    folder = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((2, 1)))
    for seed in (0, 1):
        write_checkpoint(folder, seed, random_layers(np.random.default_rng(seed), SIZES))
    return folder


def test_every_seed_plays_the_same_episodes_with_its_own_policy(run):
    [(_, done)], failed = evaluate_runs([run], Asked(3, 5))
    assert (failed, [one.seed for one in done], [one.step for one in done]) == ([], [0, 1], [1000, 1000])
    source = stream(5, "after-training")
    for one in done:
        expected = evaluate_policy(load_policy(run, one.seed).act, "InvertedPendulum-v5", source, 3)
        assert one.episodes == expected
    assert done[0].episodes != done[1].episodes


def test_the_newest_checkpoint_is_evaluated(run):
    write_checkpoint(run, 1, random_layers(np.random.default_rng(9), SIZES), step=2000)
    [(_, done)], _ = evaluate_runs([run], Asked(1, 0))
    assert [one.step for one in done] == [1000, 2000]


def test_the_record_holds_what_was_played(run, capsys):
    assert main_evaluate([str(run), "--episodes", "2", "--seed", "3"]) == 0
    record = json.loads((run / "evaluation.json").read_text())
    [(_, done)], _ = evaluate_runs([run], Asked(2, 3))
    assert [one["returns"] for one in record["seeds"]] == [one.returns.tolist() for one in done]
    assert record["iqm"]["value"] == pytest.approx(np.mean([one.returns.mean() for one in done]), rel=1e-15)
    assert (record["env"], record["seed"], record["best"]) == ("InvertedPendulum-v5", 3, False)
    out = capsys.readouterr().out
    assert all(f"{one.returns.mean():.1f}" in out for one in done)


def test_the_record_says_that_the_best_policies_played(run):
    for seed in (0, 1):
        copytree(run / f"seed-{seed}" / "checkpoints", run / f"seed-{seed}" / "best" / "checkpoints")
    document = json.loads((run / "config.json").read_text())
    document["config"]["keep_best"] = True
    (run / "config.json").write_text(json.dumps(document))
    assert main_evaluate([str(run), "--episodes", "1", "--best"]) == 0
    assert json.loads((run / "evaluation.json").read_text())["best"] is True


def test_an_environment_that_changed_since_the_run_began_is_said(run, capsys):
    document = json.loads((run / "config.json").read_text())
    was = {"class": "gymnasium.Old", "wrappers": [], "max_episode_steps": 5, "version": "0.1"}
    (run / "config.json").write_text(json.dumps(document | {"environment": [was]}))
    assert main_evaluate([str(run), "--episodes", "1"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert any("max_episode_steps changed from 5 to 1000 since this run began" in line for line in notes)


def test_where_no_record_can_be_written_the_table_is_printed_all_the_same(run, capsys):
    (run / "evaluation.json").mkdir()
    assert main_evaluate([str(run), "--episodes", "1"]) == 2
    [(_, done)], _ = evaluate_runs([run], Asked(1, 0))
    said = capsys.readouterr()
    assert all(f"{one.returns.mean():.1f}" in said.out for one in done)
    assert "written" not in said.out
    (line,) = said.err.splitlines()
    assert line.startswith("virel evaluate: can't write ")


def test_a_seed_without_a_checkpoint_is_said_and_the_others_are_evaluated(tmp_path, capsys):
    folder = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((2, 1)))
    write_checkpoint(folder, 1, random_layers(np.random.default_rng(0), SIZES))
    assert main_evaluate([str(folder), "--episodes", "1"]) == 1
    assert "virel evaluate: seed 0: " in capsys.readouterr().err
    assert [one["seed"] for one in json.loads((folder / "evaluation.json").read_text())["seeds"]] == [1]


def test_a_run_without_a_policy_is_said_and_the_others_are_evaluated(tmp_path, capsys):
    folders = [tmp_path / name for name in ("empty", "whole")]
    for seed, folder in enumerate(folders):
        config = run_config("sac", "InvertedPendulum-v5", steps=1000, seeds=(seed,))
        write_raw(folder, to_json(config), [])
    write_checkpoint(folders[1], 1, random_layers(np.random.default_rng(0), SIZES))
    assert main_evaluate([*map(str, folders), "--episodes", "1"]) == 1
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"virel evaluate: {folders[0]}, seed 0: ")
    assert said.out.splitlines()[-1] == f"written: {folders[1] / 'evaluation.json'}"
    assert not (folders[0] / "evaluation.json").exists()


def test_a_policy_of_nan_is_a_failed_seed(run):
    write_checkpoint(run, 0, [(np.full((4, 1), np.nan, np.float32), np.zeros(1, np.float32))], step=2000)
    [(_, done)], (failure,) = evaluate_runs([run], Asked(1, 0))
    assert [one.seed for one in done] == [1]
    assert failure.startswith("seed 0: the policy's action must be in [-1, 1]; found [[nan]]")


def test_a_run_without_a_checkpoint_is_bad_input(tmp_path, capsys):
    folder = write_run(tmp_path / "run", "sac", "InvertedPendulum-v5", np.ones((1, 1)))
    assert main_evaluate([str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("virel evaluate: seed 0: ")
    assert not (folder / "evaluation.json").exists()


@pytest.mark.parametrize(("name", "value"), [("episodes", 0), ("seed", -1)])
def test_bad_numbers_are_named(run, name, value):
    with pytest.raises(InputError, match=f"`{name}` must .*; found {value}"):
        evaluate_runs([run], Asked(1, 0)._replace(**{name: value}))


def deadly_run(folder, deaths):
    """A run of three seeds in an environment that takes one of the deaths in its first step."""
    (folder / "deaths").mkdir()
    for name in deaths:
        (folder / "deaths" / name).touch()
    arguments = {"folder": str(folder / "deaths"), "at": 1}
    config = run_config("sac", DEADLY, steps=1000, seeds=(0, 1, 2), env_arguments=arguments)
    run = write_raw(folder / "run", to_json(config), np.ones((3, 1)))
    for seed in (0, 1, 2):
        write_checkpoint(run, seed, random_layers(np.random.default_rng(seed), (2, 8, 1)))
    return run


@pytest.mark.slow
def test_an_environment_that_ends_its_process_fails_one_seed_and_not_the_command(tmp_path, capfd):
    run = deadly_run(tmp_path, ["abort", "exit"])
    assert main_evaluate([str(run), "--episodes", "2"]) == 1
    assert capfd.readouterr().err.splitlines() == [
        f"virel evaluate: seed {seed}: {DEADLY} ended the process of its evaluation {how}"
        for seed, how in ((0, "by SIGABRT"), (1, "with status 0"))
    ]
    [apart] = json.loads((run / "evaluation.json").read_text())["seeds"]
    [(_, here)], _ = evaluate_runs([run], Asked(2, 0))
    assert (apart["seed"], apart["returns"]) == (2, here[2].returns.tolist())


@pytest.mark.slow
def test_of_several_tasks_one_that_ends_its_process_is_survived_and_all_are_named(tmp_path, capfd):
    (tmp_path / "deaths").mkdir()
    (tmp_path / "deaths/exit").touch()
    deadly = {"id": DEADLY, "arguments": {"folder": str(tmp_path / "deaths"), "at": 1}}
    tasks = ({"id": "tests.support.envs:Dice", "arguments": {}}, deadly)
    config = run_config("sac", tasks[0]["id"], steps=1000, seeds=(0, 1), tasks=tasks, copies=2)
    run = write_raw(tmp_path / "run", to_json(config), np.ones((2, 1)))
    for seed in (0, 1):
        write_checkpoint(run, seed, random_layers(np.random.default_rng(seed), (4, 8, 1)))
    assert main_evaluate([str(run), "--episodes", "2"]) == 1
    named = f"tests.support.envs:Dice or {DEADLY} ended the process of its evaluation with status 0"
    assert capfd.readouterr().err == f"virel evaluate: seed 0: {named}\n"
    assert [one["seed"] for one in json.loads((run / "evaluation.json").read_text())["seeds"]] == [1]


def test_help_and_compare_need_no_torch_and_no_mujoco(tmp_path):
    folder = write_run(tmp_path / "run", "sac", "Hopper-v5", np.ones((2, 3)))
    script = (
        "import sys; from virel_deep.commands.results import main_compare, main_evaluate\n"
        "main_evaluate(['--help'])\n"
        f"main_compare([{str(folder)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "sys.exit(', '.join({'torch', 'mujoco', 'gymnasium'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
