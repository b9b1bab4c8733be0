"""Several tasks and priors of earlier runs on the command line: bad input is one line; transfer; results."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.deep import differing, metrics
from virel_deep.commands.results import main_compare, main_evaluate, main_export
from virel_deep.commands.train import main_train
from virel_deep.run.folder import read_config
from virel_deep.run.transfer import read_prior
from virel_deep.storage.checkpoint import load

LAKE = "virel/FrozenGoals-v0"
TINY = ["--set", "hidden=[8]", "data.batch=16", "data.warmup=20"]
FEW = ["--steps", "80", "--jobs", "1", "--precision", "highest", "--eval-every", "40"]
TWO = ["--task", "goal=0", "--task", "goal=3"]
ONE_NETWORK = "`run` must have a policy that is one network, to be exported"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of distral in two tasks, two seeds."""
    out = tmp_path_factory.mktemp("runs") / "two"
    assert main_train(command("distral", *TWO, "--seeds", "2", out=out)) == 0
    return out


def command(preset, *more, out, env=LAKE):
    return ["--preset", preset, "--env", env, *FEW, *TINY, *more, "--out", str(out)]


def refused(argv, capsys):
    """The one line on stderr of a command that is bad input."""
    assert main_train(argv) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    return captured.err.removeprefix("virel train: ").rstrip()


SHAPES = ["--task", "size=4", "--task", "size=8"]
BAD = [
    ("sac", SHAPES, "`task` must have the observation space of size=4, Box(0.0, 1.0, (18,), float32); "),
    ("sac", ["--task", "goal=0", "--task", "CartPole-v1"], "`task` must have the observation space of "),
    ("sac", ["--task", "goal=1", "--task", "goal=1"], "`tasks` must all be different; found 'goal=1'"),
    ("sac", ["--task", "goal=1"], "`task` must be given twice or more; a single task is --env and --env-arg"),
    ("sac", ["--task", "goal=9", "--task", "goal=1"], "`goal` must be a whole number from 0 to 4; found 9"),
    ("sac", ["--task", "goal=0", "--task", "goal"], "`task` must be a Gymnasium id; found 'goal'"),
    ("sac", [*TWO, "--task", "goal=1", "goal=2"], "`task` must not give goal twice; found 'goal=2'"),
    ("sac", [*TWO, "--copies", "3"], "`copies` must be a multiple of the number of tasks, 2; found 3"),
    ("sac", [*TWO, "--copies", "0"], "`copies` must be at least 1; found 0"),
    ("sac", [*TWO, "--eval-env", LAKE], "`eval_env` must be None where there are several tasks; found "),
    ("iadp", ["--set", "prior.blind=(3,40)"], f"`prior.blind` must name entries of an observation of {LAKE}"),
    ("iadp", ["--set", "prior.blind_last=16"], "`prior.blind_last` must leave the prior an entry to see; "),
    ("distral", ["--set", "value.evaluation=soft"], "`value.evaluation` must be 'optimal' for a tilted "),
    ("distral", ["--set", "temperature.alpha=0"], "`value.evaluation` must not be 'optimal' if the tempera"),
    ("distral", ["--set", "prior=fixed"], "`prior` must be 'distilled' or 'uniform' for a tilted posterior"),
    ("sac", ["--set", "prior=distilled"], "`posterior` must be 'tilted' for a distilled prior"),
    ("hdp", ["--set", "prior=uniform"], "`prior` must be 'latent' for a latent posterior; found 'uniform'"),
    ("hdp", ["--set", "value.evaluation=optimal"], "`value.evaluation` must be 'hard' or 'soft' for a "),
    ("hdp", ["--set", "posterior.latents=0"], "`posterior.latents` must be at least 1; found 0"),
    ("hdp", ["--set", "temperature=dual"], "`temperature` must be 'constant' for a latent posterior; found "),
    ("iadp", ["--set", "prior=latent"], "`posterior` must be 'latent' or 'latent-categorical' for "),
    ("distral", ["--prior", "nowhere"], "`run` must be a run folder; nowhere/config.json: No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "more", "message"), BAD, ids=range(len(BAD)))
def test_bad_input_is_one_line_and_leaves_nothing_behind(tmp_path, capsys, preset, more, message):
    assert refused(command(preset, *more, out=tmp_path / "run"), capsys).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_prior_for_other_actions_needs_an_algorithm_that_has_them(tmp_path, capsys):
    said = refused(command("distral", out=tmp_path / "run", env="Pendulum-v1"), capsys)
    assert said.startswith("`posterior` must be one of tanh-gaussian, ")
    assert said.endswith("for the continuous actions of Pendulum-v1; found 'tilted'")


@pytest.mark.parametrize(
    ("preset", "env", "more", "message"),
    [
        (
            "distral",
            "virel/TwoRooms-v0",
            [],
            "`prior` must be a run in virel/TwoRooms-v0, not in virel/FrozenG",
        ),
        ("iadp", LAKE, [], "`prior` must be a run whose prior is 'asymmetric-categorical'; the prior of "),
        (
            "sac",
            LAKE,
            [],
            "`prior` must be one of distilled, asymmetric, asymmetric-categorical, latent to come ",
        ),
        ("distral", LAKE, ["hidden=[9]"], "`prior` must have the layers of the new run, hidden=(9,); "),
        ("distral", LAKE, ["prior.blind=(1,)"], "`prior` must be blind to the entries of the new run, [1], "),
        (
            "distral",
            LAKE,
            ["--env-arg", "size=8"],
            "`prior` must see as many entries as that of the new run, 64",
        ),
    ],
)
def test_a_prior_that_does_not_suit_is_one_line(run, tmp_path, capsys, preset, env, more, message):
    settings = [word for word in more if word.startswith(("hidden", "prior"))]
    argv = command(preset, "--prior", str(run), *more[len(settings) :], out=tmp_path / "run", env=env)
    at = argv.index("--set") + 1
    argv[at : at + 1] = settings if settings and settings[0].startswith("hidden") else [argv[at], *settings]
    assert refused(argv, capsys).startswith(message)
    assert list(tmp_path.iterdir()) == []


def blocks(run, seed):
    return load(run / f"seed-{seed}" / "checkpoints").state["agent"]["default"]


def test_seeds_find_their_priors_by_number_and_others_by_their_place(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    assert main_train(command("distral", *TWO, "--seeds", "2", "--first-seed", "1", out=old)) == 0
    argv = command("distral", "--env-arg", "goal=4", "--prior", str(old), "--seeds", "3", out=new)
    assert main_train(argv) == 0
    for seed, of in ((0, 1), (1, 1), (2, 2)):  # seed 0 is not there: the one in place 0
        for name, x in blocks(old, of).items():
            assert np.array_equal(blocks(new, seed)[name], x)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_new_task_starts_from_the_prior_of_an_earlier_run(run, tmp_path, frozen):
    new = tmp_path / "new"
    more = [] if frozen else ["--set", "prior.frozen=False"]
    argv = command("distral", "--env-arg", "goal=4", "--prior", str(run), "--seeds", "3", *more, out=new)
    assert main_train(argv) == 0
    config = read_config(new)
    assert (config.prior_run, config.algorithm.prior.frozen) == (str(run), frozen)
    assert config.algorithm.blind_to == ()
    for seed, of in ((0, 0), (1, 1), (2, 0)):  # seed s has the prior of seed s modulo their number
        old, kept, mine = blocks(run, of), read_prior(new)[of], blocks(new, seed)
        for name, x in kept.items():
            assert np.array_equal(x, old[name])
            assert np.array_equal(x, mine[name]) == frozen
    assert (main_train(["--resume", str(new), "--steps", "120", "--seeds", "4", "--jobs", "1"])) == 0
    whole = tmp_path / "whole"
    argv = command("distral", "--env-arg", "goal=4", "--prior", str(run), "--seeds", "4", *more, out=whole)
    argv[argv.index("80")] = "120"
    assert main_train(argv) == 0
    for seed in range(4):
        states = [load(one / f"seed-{seed}" / "checkpoints").state for one in (new, whole)]
        assert differing(*(state["agent"] for state in states)) == []


def test_a_new_task_starts_from_the_low_level_of_an_earlier_run_alone(tmp_path, capsys):
    old, new = tmp_path / "old", tmp_path / "new"
    assert main_train(command("hdp", *TWO, out=old)) == 0
    assert main_train(command("hdp", "--env-arg", "goal=4", "--prior", str(old), out=new)) == 0
    before, after = (load(run / "seed-0" / "checkpoints").state["agent"] for run in (old, new))
    assert differing(before["low"], after["low"]) == []
    assert before["default"]["1.weight"].any()
    assert not after["default"]["1.weight"].any()  # the default begins uniform, and is frozen
    capsys.readouterr()
    more = ["--set", "posterior.latents=3"]
    argv = command("hdp", "--env-arg", "goal=4", "--prior", str(old), out=tmp_path / "other")
    argv[argv.index("--set") : argv.index("--set") + 1] = more
    assert main_train(argv) == 2
    assert "`prior` must have the latents of the new run, 3; found 4" in capsys.readouterr().err


def test_a_folder_that_has_the_default_of_a_hierarchy_too_gives_it_to_new_seeds(tmp_path):
    # Folders were so before the low level alone was taken.
    old, new = tmp_path / "old", tmp_path / "new"
    assert main_train(command("hdp", *TWO, out=old)) == 0
    assert main_train(command("hdp", "--env-arg", "goal=4", "--prior", str(old), out=new)) == 0
    default = load(old / "seed-0" / "checkpoints").state["agent"]["default"]
    with np.load(new / "prior.npz") as file:
        kept = dict(file)
    np.savez(new / "prior.npz", **kept, **{f"0/{name}": x for name, x in default.items()})
    assert main_train(["--resume", str(new), "--seeds", "2", "--jobs", "1"]) == 0
    for seed, same in ((0, False), (1, True)):
        mine = load(new / f"seed-{seed}" / "checkpoints").state["agent"]["default"]
        assert (differing(default, mine) == []) == same


def test_a_prior_that_is_gone_or_damaged_is_one_line(run, tmp_path, capsys):
    new = tmp_path / "new"
    argv = command("distral", "--env-arg", "goal=4", "--prior", str(run), out=new)
    assert main_train(argv) == 0
    (new / "prior.npz").write_bytes(b"damaged")
    capsys.readouterr()
    assert main_train(["--resume", str(new), "--seeds", "2", "--jobs", "1"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"virel train: {new}/prior.npz: can't be read")


def test_tasks_are_recorded_and_without_env_the_first_one_names_it(tmp_path):
    tasks = ["--task", LAKE, "goal=0", "--task", LAKE, "goal=3"]
    argv = command("iadp", *tasks, out=tmp_path / "run")
    place = argv.index("--env")
    del argv[place : place + 2]
    assert main_train(argv) == 0
    config = read_config(tmp_path / "run")
    assert (config.env, config.copies, config.task_names) == (LAKE, 2, ["goal=0", "goal=3"])
    assert config.algorithm.blind_to == (-2, -1)


def test_three_tasks_train_with_the_default_intervals(tmp_path):
    argv = command("sac", *TWO, "--task", "goal=4", "--steps", "81", out=tmp_path / "run")
    for option in ("--steps", "--eval-every"):
        place = argv.index(option)
        del argv[place : place + 2]
    assert main_train(argv) == 0
    config = read_config(tmp_path / "run")
    assert (config.copies, config.eval_every, config.checkpoint_every) == (3, 999, 9999)


def test_results_are_told_per_task_and_together(run, tmp_path, capsys):
    assert main_evaluate([str(run), "--episodes", "2"]) == 0
    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines() if ", goal=" in line] == ["goal=0", "goal=3"] * 2
    [first, _] = json.loads((run / "evaluation.json").read_text())["seeds"]
    assert len(first["returns"]) == 4
    assert first["tasks"] == {
        "goal=0": np.mean(first["returns"][:2]),
        "goal=3": np.mean(first["returns"][2:]),
    }
    assert main_compare([str(run), "--out", str(tmp_path / "compare")]) == 0
    table = (tmp_path / "compare/table.md").read_text()
    for name in ("mean of 2 tasks", "goal=0", "goal=3"):
        assert f"| {LAKE}, {name} | distral | 2 |" in table
    assert "Over 2 environments" in table
    assert main_export([str(run), str(tmp_path / "policy.onnx")]) == 2
    assert f"{ONE_NETWORK}; found one that infers actions by its critics\n" in capsys.readouterr().err


def test_a_hierarchy_is_not_exported_because_its_policy_is_two_networks(tmp_path, capsys):
    assert main_train(command("hdp", *TWO, out=tmp_path / "run")) == 0
    assert main_export([str(tmp_path / "run"), str(tmp_path / "policy.onnx")]) == 2
    found = "one of two networks, the first of which chooses the second one's latent"
    assert f"{ONE_NETWORK}; found {found}\n" in capsys.readouterr().err


def test_the_policy_of_all_tasks_is_one_file_whose_observation_ends_with_the_task(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    assert main_train(command("iadp", *TWO, out=tmp_path / "run")) == 0
    path = tmp_path / "policy.onnx"
    assert main_export([str(tmp_path / "run"), str(path)]) == 0
    [shape] = [one.shape for one in onnxruntime.InferenceSession(str(path)).get_inputs()]
    assert shape[1] == 16 + 2


def test_both_seeds_of_a_run_in_tasks_log_the_same_rows_in_any_grouping(run, tmp_path):
    assert main_train(command("distral", *TWO, out=tmp_path / "alone")) == 0
    assert metrics(tmp_path / "alone/seed-0") == metrics(Path(run) / "seed-0")
