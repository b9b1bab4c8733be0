"""Run configurations: what they refuse, in words that name it; and that JSON gives them back."""

import json
import math
from dataclasses import fields, replace

import pytest

from virel_common.errors import InputError
from virel_deep.design.presets import PRESETS, algorithm, run_config
from virel_deep.design.run import RunConfig, from_json, to_json

NAN = math.nan


def run_of(preset="sac", **settings):
    return run_config(preset, "Hopper-v5", **({"steps": 10, "seeds": (0,)} | settings))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_comes_back_from_json(preset):
    config = run_of(preset, seeds=(0, 3), copies=2, device="cuda")
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


BAD_RUNS = [
    ("steps", 0, "must be at least 1"),
    ("steps", 1.5, "must be a whole number"),
    ("copies", 0, "must be at least 1"),
    ("capacity", 255, "must be at least 256, to hold a batch"),
    ("eval_every", 0, "must be at least 1"),
    ("eval_episodes", 0, "must be at least 1"),
    ("log_every", -5, "must be at least 1"),
    ("checkpoint_every", NAN, "must be a whole number"),
    ("device", 0, "must be text"),
    ("threads", "2", "must be a whole number"),
    ("threads", 0, "must be at least 1"),
    ("precision", "high", "must be one of 'auto', 'highest', 'medium'"),
    ("seeds", (), "must name at least one seed"),
    ("seeds", (1, 1), "must all be different"),
    ("seeds", (0, -1), "must be non-negative"),
    ("seeds", ("0",), "must be a tuple of whole numbers"),
    ("env", None, "must be text"),
    ("preset", 3, "must be text"),
    ("algorithm", "sac", "must be of type Algorithm"),
    ("env_arguments", {1: 2}, "must be a dictionary with text as names"),
    ("env_arguments", {"a": {1, 2}}, "must be a dictionary with text as names and JSON values"),
    ("eval_env", 3, "must be text or None"),
    ("eval_stochastic", 1, "must be True or False"),
    ("normalize", 0, "must be True or False"),
    ("keep_best", None, "must be True or False"),
    ("stop_return", NAN, "must be finite or None"),
    ("stop_return", "9", "must be a number or None"),
    ("stop_evaluations", 0, "must be at least 1"),
    ("tasks", ({"id": "A-v0"},), "must be at least 2; a single one is --env"),
    ("tasks", [{}], "must be a tuple of dictionaries"),
    ("prior_run", 3, "must be text or None"),
    ("max_episode_steps", 0, "must be at least 1"),
    ("max_episode_steps", 1.5, "must be a whole number or None"),
]


@pytest.mark.parametrize(("name", "value", "rule"), BAD_RUNS, ids=str)
def test_a_run_that_means_nothing_is_refused_by_name_rule_and_value(name, value, rule):
    with pytest.raises(InputError, match=f"^`{name}` {rule}") as caught:
        replace(run_of(), **{name: value})
    assert str(caught.value).endswith(f"found {value!r}")


def test_every_setting_of_a_run_has_a_value_that_it_refuses():
    assert {field.name for field in fields(RunConfig)} == {name for name, _, _ in BAD_RUNS}


@pytest.mark.parametrize("name", ["steps", "eval_every", "log_every", "checkpoint_every"])
def test_steps_between_events_are_whole_steps_of_all_copies(name):
    sizes = {"steps": 12, "eval_every": 12, "log_every": 12, "checkpoint_every": 12, "copies": 4}
    with pytest.raises(InputError, match=f"`{name}` must be a multiple of `copies` = 4; found 14"):
        replace(run_of(), **(sizes | {name: 14}))


def test_a_window_longer_than_the_replay_is_refused_with_the_length_that_it_needs():
    chosen = algorithm("mpo", "Hopper-v5", {"value.steps": 30, "data.batch": 4})
    with pytest.raises(
        InputError, match=r"^`capacity` must be at least 88, to hold a window of targets; found 87$"
    ):
        run_of(
            "mpo",
            algorithm=chosen,
            copies=3,
            steps=12,
            eval_every=3,
            log_every=3,
            checkpoint_every=3,
            capacity=87,
        )


@pytest.mark.parametrize(
    "names",
    [
        ("steps", "trace"),
        ("target_period",),
        ("update_every",),
        ("updates_per_step", "learning_rate_end", "policy_learning_rate", "gradient_norm"),
    ],
    ids=str,
)
def test_runs_from_before_a_setting_existed_have_its_default(names):
    older = json.loads(json.dumps(to_json(run_of())))
    for name in names:
        (older["algorithm"]["value"] if name in {"steps", "trace"} else older["algorithm"]).pop(name)
    assert from_json(older) == run_of()


def without(name):
    return lambda run: {key: run[key] for key in run if key != name}


def with_temperature(value):
    return lambda run: run | {"algorithm": run["algorithm"] | {"temperature": value}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run | {"colour": 1}, "`config` must have no settings but .*found .'colour'"),
        (
            lambda run: run | {"algorithm": run["algorithm"] | {"beta": 1}},
            "`algorithm` must have no settings but .*found .'beta'",
        ),
        (without("env"), "`config` must also have the settings env; found"),
        (without("copies"), "`config` must also have the settings copies; found"),
        (with_temperature({"kind": "warm"}), "`temperature.kind` must be one of .*; found 'warm'"),
        (with_temperature({"initial": 1.0}), "`temperature.kind` must be one of .*; found None"),
        (
            with_temperature({"kind": "dual", "initial": 1.0, "target_entropy": None, "alpha": 1.0}),
            "`temperature` must have no settings but initial, target_entropy, epsilon; found .'alpha'",
        ),
        (
            with_temperature({"kind": "dual", "initial": 1.0}),
            "`temperature` must also have the settings target_entropy; found .'epsilon', 'initial'",
        ),
        (
            with_temperature({"kind": "dual", "initial": 0.0, "target_entropy": None}),
            "`temperature.initial` must be finite and positive; found 0.0",
        ),
        (with_temperature("dual"), "`temperature` must be a JSON object of settings; found 'dual'"),
        (lambda run: run | {"algorithm": None}, "`algorithm` must be a JSON object of settings; found None"),
        (lambda run: run | {"steps": "many"}, "`steps` must be a whole number; found 'many'"),
        (lambda run: run | {"seeds": 0}, "`seeds` must be a tuple of whole numbers, .*; found 0"),
    ],
)
def test_json_of_something_else_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        from_json(change(json.loads(json.dumps(to_json(run_of())))))
