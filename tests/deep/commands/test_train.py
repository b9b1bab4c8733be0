"""`virel train`: bad input is one line and leaves nothing behind; what is said and recorded."""

import json
import sys

import pytest
import torch

from tests.support.train_command import PENDULUM, TINY, arguments
from virel_deep.commands.train import _say_what_came_out, main_train
from virel_deep.design.environment import EnvSpec
from virel_deep.run.folder import locked, read_config
from virel_deep.storage.checkpoint import load
from virel_deep.versions import run_versions


def refused(argv, capsys):
    """The one line on stderr of a command that is bad input."""
    assert main_train(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("virel train: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("virel train: ").rstrip()


BAD = [
    ({"preset": None}, "`preset` must be one of virel, beta, "),
    ({"preset": "ppo"}, "`preset` must be one of virel, beta, "),
    ({"env": None}, "`env` must be a Gymnasium id, like HalfCheetah-v5; found None"),
    ({"env": "HalfChetah-v5"}, "`env` must be a Gymnasium id; found 'HalfChetah-v5'; similar ids: "),
    ({"env": "Blackjack-v1"}, "`observation` of Blackjack-v1 must be a flat `Box` (one axis, not empty) or "),
    ({"steps": None}, "`steps` must be given"),
    ({"steps": "1.5"}, "`steps` must be a whole number from 1 to 1e+15; found 1.5"),
    ({"steps": "0"}, "`steps` must be a whole number from 1 to 1e+15; found 0.0"),
    ({"steps": "nan"}, "`steps` must be a whole number from 1 to 1e+15; found nan"),
    ({"steps": "inf"}, "`steps` must be a whole number from 1 to 1e+15; found inf"),
    ({"steps": "-1e3"}, "`steps` must be a whole number from 1 to 1e+15; found -1000.0"),
    ({"steps": "1e30"}, "`steps` must be a whole number from 1 to 1e+15; found 1e+30"),
    ({"steps": "many"}, "`steps` must be a number; found 'many' (see virel train --help)"),
    ({"env": "Hopper"}, "`env` must be an id with its version, such as Hopper-v5; found 'Hopper'"),
    ({"env": "gymnasium:Hopper"}, "`env` must be an id with its version, such as gymnasium:Hopper-v5; "),
    ({"eval_env": "Pendulum"}, "`eval_env` must be an id with its version, such as Pendulum-v1; found"),
    ({"env": "Pendulum-v0"}, "`env` must be an environment that can be made; 'Pendulum-v0' raised "),
    ({"seeds": "0"}, "`seeds` must be from 1 to 10000; found 0"),
    ({"seeds": f"{10**30}"}, "`seeds` must be from 1 to 10000; found 1000000"),
    ({"seeds": "1.5"}, "`seeds` must be a whole number; found '1.5' (see virel train --help)"),
    ({"seeds": ""}, "`seeds` must have a value; found none (see virel train --help)"),
    ({"copies": "0"}, "`copies` must be at least 1; found 0"),
    ({"precision": "fast"}, "`precision` must be one of auto, highest, medium, stacked, compiled; found "),
    ({"sedes": "2"}, "options must be those that --help lists; found --sedes, 2; similar: --seeds"),
    ({"set": ""}, "`set` must be NAME=VALUE; found ''"),
    ({"first_seed": "-1"}, "`first_seed` must be at least 0; found -1"),
    ({"jobs": "0"}, "`jobs` must be at least 1; found 0"),
    ({"threads": "0"}, "`threads` must be at least 1; found 0"),
    ({"preset": "erpg", "steps": "41"}, "`steps` must be a multiple of `copies` = 8; found 41"),
    ({"copies": "3"}, "`steps` must be a multiple of `copies` = 3; found 40"),
    ({"eval_every": "0"}, "`eval_every` must be at least 1; found 0"),
    ({"set": "gamma=nan"}, "`gamma` must be a number; found 'nan'"),
    ({"set": "gamma=1e999"}, "`gamma` must be in [0, 1); found inf"),
    ({"set": "data.batch=2.5"}, "`data.batch` must be a whole number; found 2.5"),
    ({"set": "value.evaluation=warm"}, "`value.evaluation` must be one of 'hard', 'soft', 'optimal'; "),
    ({"set": "batchsize=64"}, "`settings` must name one of value, value.critics, "),
    ({"set": "temperature.sclae=1"}, "`settings` must name one of temperature.initial, "),
    ({"set": "temperature=cold"}, "`temperature` must be one of "),
    ({"set": "gamma.x=1"}, "`gamma` must be set as a whole: it has no settings; found 'gamma.x'"),
    ({"set": "posterior=deterministic"}, "`temperature` must be 'zero' for a deterministic "),
    ({"set": "gamma"}, "`set` must be NAME=VALUE; found 'gamma'"),
    ({"set": "gamma=0.5 --set gamma=0.9"}, "`set` must not give gamma twice; found 'gamma=0.9'"),
    ({"set": "hidden={[]:1}"}, "`hidden` must be JSON or a Python literal if it begins with a bracket;"),
    ({"set": f"temperature.initial={10**400}"}, "`temperature.initial` must be a number; found 1000"),
    ({"set": "capacity=100"}, "`settings` must be settings of the algorithm; capacity is an option of its"),
    ({"set": "learning_rate_end=0"}, "`learning_rate_updates` must be at least 1 with a `learning_rate_end`"),
    ({"env_arg": "mass=9.0"}, f"`env` must be an environment that can be made; '{PENDULUM}' raised "),
    ({"env_arg": "mass"}, "`env_arg` must be NAME=VALUE; found 'mass'"),
    ({"env_arg": "={}"}, "`env_arg` must be NAME=VALUE; found '={}'"),
    ({"env_arg": "a={1}"}, "`env_arguments` must be a dictionary with text as names and JSON values; found "),
    ({"eval_env": "Pendulum-v1"}, f"`eval_env` must have the observation space of {PENDULUM}, Box("),
    ({"eval_env": "InvertedPendulm-v5"}, "`eval_env` must be a Gymnasium id; found 'InvertedPendulm-v5';"),
    ({"capacity": "8"}, "`capacity` must be at least 256, to hold a batch; found 8"),
    ({"stop_return": "nan"}, "`stop_return` must be finite or None; found nan"),
    ({"max_episode_steps": "0"}, "`max_episode_steps` must be at least 1; found 0"),
    ({"device": "tpu"}, "`device` must be cpu, cuda or auto; found 'tpu'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "near"), [("warmup_steps", "value.steps, data.warmup"), ("batch_size", "data.batch")]
)
def test_names_of_other_libraries_lead_to_those_here(tmp_path, capsys, name, near):
    said = refused(arguments(tmp_path / "run", set=f"{name}=16"), capsys)
    assert said.endswith(f"; similar: {near}; found {name!r}")


@pytest.mark.parametrize(("changes", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_one_line_and_leaves_nothing_behind(tmp_path, capsys, changes, message):
    assert refused(arguments(tmp_path / "run", **changes), capsys).startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_one_line(tmp_path, capsys):
    said = refused(arguments(tmp_path / "run", device="cuda"), capsys)
    assert said == "`device` must be cpu here: torch finds no CUDA device; found 'cuda'"
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_is_one_line(tmp_path, capsys):
    said = refused(arguments(tmp_path / ("x" * 300)), capsys)
    assert said.endswith("x/config.json: File name too long")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main_train(arguments(tmp_path / "file/run")) == 2
    said = f"virel train: can't write {tmp_path / 'file/run'}: Not a directory\n"
    assert capsys.readouterr().err == said


@pytest.fixture
def run(tmp_path, capsys):
    """A run of 40 steps that is done."""
    assert main_train([*arguments(tmp_path / "run"), *TINY]) == 0
    assert capsys.readouterr().out == ""
    return tmp_path / "run"


def test_a_run_is_not_overwritten(run, capsys):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    said = refused(arguments(run, preset="td3"), capsys)
    rule = (
        "must not hold a run (continue that one with --resume, in Python `resume`, or choose another folder)"
    )
    assert said == f"`out` {rule}; found {str(run)!r}"
    (run / "config.json").unlink()  # even then: what it holds would be mixed
    assert "must not hold a run" in refused(arguments(run), capsys)
    (run / "config.json").write_bytes(before[run / "config.json"])
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_what_is_no_run_is_not_resumed(tmp_path, capsys):
    said = refused(["--resume", str(tmp_path / "nowhere")], capsys)
    assert said.startswith("`run` must be a run folder; ")
    (tmp_path / "config.json").write_text("{}")
    assert "must have an object `config`" in refused(["--resume", str(tmp_path)], capsys)


@pytest.mark.parametrize(
    "option",
    [
        "--preset=sac", f"--env={PENDULUM}", "--set=gamma=0.5", "--copies=1", "--device=auto",
        "--keep-best", "--no-keep-best", "--no-normalize", "--no-eval-stochastic",
    ],
)  # fmt: skip
def test_a_run_is_resumed_as_it_is(run, capsys, option):
    said = refused(["--resume", str(run), option], capsys)
    name = option.removeprefix("--").removeprefix("no-").partition("=")[0].replace("-", "_")
    assert said.startswith(f"`{name}` must not be given with --resume: the run folder fixes it; found ")
    assert name != "set" or said.endswith("found ['gamma=0.5']")


def test_a_goal_may_grow_and_the_run_keeps_its_command_and_versions(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["virel", "of", "today"])
    before = json.loads((run / "config.json").read_text())
    assert refused(["--resume", str(run), "--steps", "30"], capsys).startswith(
        "`steps` must be at least 40, the run's goal so far"
    )
    assert main_train(["--resume", str(run), "--steps", "60"]) == 0
    assert load(run / "seed-0/checkpoints").step == 60
    after = json.loads((run / "config.json").read_text())
    assert after.pop("config") == before.pop("config") | {"steps": 60}
    assert after == before


def test_a_goal_that_the_run_cannot_have_changes_nothing(run, tmp_path, capsys):
    two = tmp_path / "two"
    assert main_train([*arguments(two, copies="2"), *TINY]) == 0
    capsys.readouterr()
    before = (two / "config.json").read_bytes()
    said = refused(["--resume", str(two), "--steps", "61"], capsys)
    assert said == "`steps` must be a multiple of `copies` = 2; found 61"
    with locked(run, (0,)):
        said = refused(["--resume", str(run), "--steps", "60"], capsys)
    assert said == f"{run / 'seed-0'}: another process trains this seed; wait for it, or stop it"
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace(PENDULUM, "Gone-v1"))
    assert "`env` must be a Gymnasium id" in refused(["--resume", str(run), "--steps", "60"], capsys)
    assert (two / "config.json").read_bytes() == before
    assert read_config(run).steps == 40


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_of_a_device_that_is_not_there_is_one_line(run, capsys):
    text = (run / "config.json").read_text()
    (run / "config.json").write_text(text.replace('"device": "cpu"', '"device": "cuda"'))
    said = refused(["--resume", str(run)], capsys)
    assert said == "`device` must be cpu here: torch finds no CUDA device; found 'cuda'"


def test_options_of_run_and_environment_are_recorded_and_fixed(tmp_path, capsys):
    run = tmp_path / "run"
    given = {
        "env": "Pendulum-v1",
        "env_arg": "g=9.0",
        "max_episode_steps": "30",
        "capacity": "64",
        "eval_env": "Pendulum-v1",
        "stop_return": "1e9",
        "stop_evaluations": "2",
    }
    assert main_train([*arguments(run, **given), "--keep-best", "--eval-stochastic", *TINY]) == 0
    found = read_config(run)
    assert found.env_specs == (EnvSpec("Pendulum-v1", {"g": 9.0}, 30),)
    assert found.eval_specs == (EnvSpec("Pendulum-v1", {}, 30),)
    assert (found.capacity, found.keep_best, found.eval_stochastic) == (64, True, True)
    assert (found.stop_return, found.stop_evaluations) == (1e9, 2)
    assert "note:" not in capsys.readouterr().err
    for option in ("--env-arg=g=8.0", "--max-episode-steps=9", "--capacity=9", "--keep-best"):
        assert "must not be given with --resume" in refused(["--resume", str(run), option], capsys)
    document = json.loads((run / "config.json").read_text())
    document["config"]["env_arguments"] = {"g": 8.0}
    (run / "config.json").write_text(json.dumps(document))
    assert main_train(["--resume", str(run), "--steps", "60"]) == 1
    said = capsys.readouterr().err
    assert "`env_arguments` is {'g': 9.0} there, {'g': 8.0} here" in said


def test_settings_may_be_given_in_several_places(tmp_path):
    argv = [
        *arguments(tmp_path / "run"),
        "--set",
        "hidden=[8,8]",
        "--set",
        "data.batch=16",
        "data.warmup=20",
    ]
    assert main_train(argv) == 0
    found = read_config(tmp_path / "run").algorithm
    assert (found.hidden, found.data.batch, found.data.warmup) == ((8, 8), 16, 20)


def test_copies_need_not_divide_a_thousand(tmp_path):
    every = {"steps": "64", "eval_every": None}
    assert main_train([*arguments(tmp_path / "run", copies="16", **every), *TINY]) == 0
    config = read_config(tmp_path / "run")
    assert (config.log_every, config.eval_every, config.checkpoint_every) == (992, 992, 10_000)


def test_a_preset_has_as_many_copies_as_its_source_unless_others_are_asked_for(tmp_path):
    sizes = {"preset": "erpg", "eval_every": "40", "checkpoint_every": "40"}
    for name, copies in (("a", None), ("b", "2")):
        argv = arguments(tmp_path / name, copies=copies, **sizes)
        assert main_train([*argv, "--set", "hidden=[8,8]"]) == 0
    assert [read_config(tmp_path / name).copies for name in "ab"] == [8, 2]


def test_a_run_that_ends_within_its_first_rollout_says_that_it_makes_no_update(tmp_path, capsys):
    argv = [*arguments(tmp_path / "run", preset="vmpo", copies="2"), "--set", "hidden=[8,8]"]
    assert main_train([*argv, "data.length=21"]) == 0
    why = "a rollout of all copies has 42 (`data.length`)"
    assert f"note: 40 steps make no update: {why}\n" in capsys.readouterr().err


def test_a_run_that_ends_in_the_warm_up_says_that_it_makes_no_update(tmp_path, capsys):
    argv = [*arguments(tmp_path / "run"), "--set", "data.warmup=40"]
    assert main_train(argv) == 0
    assert "note: 40 steps make no update: `data.warmup` is 40\n" in capsys.readouterr().err
    argv = [*arguments(tmp_path / "other"), "--set", "data.warmup=39", "data.batch=16"]
    assert main_train(argv) == 0
    assert "note:" not in capsys.readouterr().err


def test_resume_says_what_has_other_versions_than_the_run_began_with(run, capsys):
    assert main_train(["--resume", str(run)]) == 0
    assert "note:" not in capsys.readouterr().err
    document = json.loads((run / "config.json").read_text())
    document["versions"] |= {"torch": "1.0"}
    del document["versions"]["cpu"]
    (run / "config.json").write_text(json.dumps(document))
    assert main_train(["--resume", str(run)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert notes == [
        f"note: {name} changed from {was} to {run_versions()[name]} since this run began; "
        "results may no longer be bit-identical"
        for name, was in (("torch", "1.0"), ("cpu", None))
    ]


@pytest.mark.parametrize(
    ("name", "was"),
    [("max_episode_steps", 500), ("wrappers", ["Mystery"]), ("class", "mine.Other"), ("version", "0.1")],
)
@pytest.mark.parametrize("earlier", [False, True], ids=["a list", "as earlier versions wrote it"])
def test_resume_says_what_of_the_environment_is_not_as_it_was(run, capsys, name, was, earlier):
    document = json.loads((run / "config.json").read_text())
    [recorded] = document["environment"]
    now = recorded[name]
    recorded[name] = was
    if earlier:
        document["environment"] = recorded
    (run / "config.json").write_text(json.dumps(document))
    assert main_train(["--resume", str(run)]) == 0
    said = f"note: the environment's {name} changed from {was!r} to {now!r} since this run began\n"
    assert said in capsys.readouterr().err


def test_a_run_that_its_rule_stopped_says_so_and_takes_no_larger_goal(tmp_path, capsys):
    rule = {"stop_return": "-100", "eval_every": "20", "seeds": "2"}
    for name in ("a", "b"):
        more = rule | ({"first_seed": "2"} if name == "b" else {})
        assert main_train([*arguments(tmp_path / name, **more), *TINY]) == 0
    one, both = [str(tmp_path / "a")], [str(tmp_path / "a"), str(tmp_path / "b")]
    before = (tmp_path / "a/config.json").read_bytes()
    capsys.readouterr()
    for runs in (one, both):
        names, by = ", ".join(runs), "was stopped by its rule (return >= -100 on 1 evaluation)"
        assert main_train(["--resume", *runs]) == 0
        said = f"every seed of {names} {by} at step 20; nothing is left to train\n"
        assert capsys.readouterr().err.startswith(said)
        said = refused(["--resume", *runs, "--steps", "60"], capsys)
        assert said == f"`steps` must not be raised: every seed of {names} {by}; found 60"
    assert (tmp_path / "a/config.json").read_bytes() == before
    (tmp_path / "b/seed-3/done.json").write_text('{"step": 20}')
    assert main_train(["--resume", *both, "--steps", "60"]) == 0  # seed 3 is not stopped
    assert main_train(["--resume", *one, "--steps", "80", "--seeds", "3"]) == 0  # nor a seed that is new
    assert json.loads((tmp_path / "a/seed-2/done.json").read_text())["step"] == 20


def test_a_run_whose_checkpoints_are_all_damaged_is_not_begun_anew(run, capsys):
    for path in run.glob("seed-0/checkpoints/step-*/state.json"):
        path.write_text("{}")
    said = refused(["--resume", str(run), "--steps", "60"], capsys)
    assert "state.json" in said


def test_the_setting_that_the_probe_chose_is_recorded(tmp_path, monkeypatch):
    of = {("auto", "cpu", 1): "medium"}
    monkeypatch.setattr("virel_deep.networks.precision.chosen", lambda *asked: of[asked])
    monkeypatch.setattr("virel_deep.commands.train.train", lambda *_, **__: 0)
    run = tmp_path / "run"
    assert main_train([*arguments(run, precision="auto", device="cpu", jobs="1")]) == 0
    assert read_config(run).precision == "medium"


# --- what a finished training says, and values that are read alike by all commands


def test_a_finished_training_says_its_folder_and_its_last_evaluation(tmp_path, capfd):
    run = tmp_path / "run"
    options = [*arguments(run, steps="60", seeds="2"), *TINY, "--eval-every", "30"]
    assert main_train([*options, "--jobs", "1"]) == 0
    *_, last = capfd.readouterr().err.splitlines()
    assert last.startswith(f"{run} is done: last evaluation ")
    assert last.endswith(f", mean of 2 seeds; see virel compare, evaluate, watch or export {run}")
    _say_what_came_out([run.rename(tmp_path / "my run")])
    assert capfd.readouterr().err.endswith(f" or export '{tmp_path}/my run'\n")


@pytest.mark.parametrize(("text", "value"), [("false", False), ("False", False), ("true", True)])
def test_truth_values_of_an_environment_are_understood_in_both_spellings(tmp_path, text, value):
    run = tmp_path / "run"
    words = [
        "--preset",
        "sql",
        "--env",
        "FrozenLake-v1",
        "--steps",
        "4",
        "--out",
        str(run),
        "--set",
        "hidden=4,",
    ]
    assert main_train([*words, "--env-arg", f"is_slippery={text}"]) == 0
    assert read_config(run).env_arguments == {"is_slippery": value}


def test_text_in_place_of_a_truth_value_is_refused(tmp_path, capfd):
    words = ["--preset", "sql", "--env", "FrozenLake-v1", "--steps", "4", "--out", str(tmp_path / "run")]
    assert main_train([*words, "--env-arg", "is_slippery=no"]) == 2
    assert "`is_slippery` must be True or False, as its default is; found 'no'" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
