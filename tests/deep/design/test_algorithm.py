"""Configurations: what they refuse, in words that name it; and that JSON gives them back."""

import json
import math
from dataclasses import fields, replace

import pytest

from tests.support.deep import algorithm_of
from virel_common.errors import InputError
from virel_deep.design.algorithm import Algorithm, RunConfig, from_json, to_json
from virel_deep.design.presets import PRESETS, run_config

NAN, INF = math.nan, math.inf


def run_of(preset="sac", **settings):
    return run_config(preset, "Hopper-v5", steps=10, **({"seeds": (0,)} | settings))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_comes_back_from_json(preset):
    config = run_of(preset, seeds=(0, 3), copies=2, device="cuda")
    assert from_json(json.loads(json.dumps(to_json(config)))) == config


BAD_ALGORITHMS = [
    ("value", "q", "must be one of 'v-network', 'target-q'"),
    ("evaluation", None, "must be one of 'hard', 'soft'"),
    ("posterior", "gaussian", "must be one of 'tanh-gaussian', 'deterministic'"),
    ("temperature", "auto", "must be one of 'constant', 'residual', 'dual', 'none'"),
    ("critics", 3, "must be 1 or 2"),
    ("critics", True, "must be a whole number"),
    ("gamma", 1.0, r"must be in \[0, 1\)"),
    ("gamma", -0.1, r"must be in \[0, 1\)"),
    ("gamma", NAN, r"must be in \[0, 1\)"),
    ("gamma", "0.9", "must be a number"),
    ("polyak", 0.0, r"must be in \(0, 1\]"),
    ("polyak", 1.1, r"must be in \(0, 1\]"),
    ("temperature.smoothing", 1.0, r"must be in \[0, 1\)"),
    ("temperature.smoothing", NAN, r"must be in \[0, 1\)"),
    ("data.batch", 0, "must be at least 1"),
    ("data.batch", 64.0, "must be a whole number"),
    ("temperature.period", 0, "must be at least 1"),
    ("policy_delay", 0, "must be at least 1"),
    ("temperature.batch", -1, "must be finite and at least 0"),
    ("data.warmup", -1, "must be finite and at least 0"),
    ("data.warmup", 1e3, "must be a whole number"),
    ("residual_scale", NAN, "must be finite and at least 0"),
    ("alpha", -1.0, "must be finite and at least 0"),
    ("alpha", INF, "must be finite and at least 0"),
    ("alpha", 0.0, "must be positive where it is tuned"),
    ("mean_penalty", NAN, "must be finite and at least 0"),
    ("log_std_penalty", INF, "must be finite and at least 0"),
    ("exploration_noise", -0.1, "must be finite and at least 0"),
    ("target_noise", NAN, "must be finite and at least 0"),
    ("target_noise_clip", -1.0, "must be finite and at least 0"),
    ("learning_rate", 0.0, "must be finite and positive"),
    ("learning_rate", NAN, "must be finite and positive"),
    ("reward_scale", -5.0, "must be finite and positive"),
    ("reward_scale", INF, "must be finite and positive"),
    ("hidden", (), "must be sizes >= 1"),
    ("hidden", (8, 0), "must be sizes >= 1"),
    ("hidden", 8, "must be a tuple of whole numbers"),
    ("hidden", (8.0,), "must be a tuple of whole numbers"),
    ("target_entropy", NAN, "must be finite or None"),
    ("target_entropy", "-3", "must be a number or None"),
]


@pytest.mark.parametrize(("name", "value", "rule"), BAD_ALGORITHMS, ids=str)
def test_a_setting_that_means_nothing_is_refused_by_name_rule_and_value(name, value, rule):
    with pytest.raises(InputError, match=f"^`{name}` {rule}; found ") as caught:
        algorithm_of("sac", **{name: value})
    assert str(caught.value).endswith(f"found {value!r}")


def test_every_setting_of_an_algorithm_has_a_value_that_it_refuses():
    assert {field.name for field in fields(Algorithm)} == {name for name, _, _ in BAD_ALGORITHMS}


@pytest.mark.parametrize(
    ("name", "value"),
    [("value", "v-network"), ("evaluation", "soft"), ("temperature", "constant"), ("temperature.batch", 256)],
)
def test_a_deterministic_policy_has_no_density_for_these(name, value):
    with pytest.raises(InputError, match=f"`{name}` must be .* for a deterministic posterior"):
        algorithm_of("td3", **{name: value})


def test_a_soft_value_needs_a_temperature():
    with pytest.raises(InputError, match="`evaluation` must be 'hard' where there is no temperature"):
        algorithm_of("sac", temperature="none")


def test_whole_numbers_are_numbers():
    assert algorithm_of("sac", alpha=1, gamma=0, target_entropy=-3).alpha == 1


BAD_RUNS = [
    ("steps", 0, "must be at least 1"),
    ("steps", 1.5, "must be a whole number"),
    ("copies", 0, "must be at least 1"),
    ("capacity", 255, "must hold a batch, 256"),
    ("eval_every", 0, "must be at least 1"),
    ("eval_episodes", 0, "must be at least 1"),
    ("log_every", -5, "must be at least 1"),
    ("checkpoint_every", NAN, "must be a whole number"),
    ("device", 0, "must be text"),
    ("threads", "2", "must be a whole number"),
    ("threads", 0, "must be at least 1"),
    ("precision", "high", "must be one of 'auto', 'highest', 'medium'"),
    ("seeds", (), "must name a seed"),
    ("seeds", (1, 1), "must differ"),
    ("seeds", (0, -1), "must be non-negative"),
    ("seeds", ("0",), "must be a tuple of whole numbers"),
    ("env", None, "must be text"),
    ("preset", 3, "must be text"),
    ("algorithm", "sac", "must be an Algorithm"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda run: run | {"colour": 1}, "`RunConfig` must have no keys but .*found .'colour'"),
        (
            lambda run: run | {"algorithm": run["algorithm"] | {"beta": 1}},
            "`Algorithm` must have no keys but .*found .'beta'",
        ),
        (lambda run: {key: run[key] for key in run if key != "env"}, "`RunConfig` is not a .*'env'"),
        (lambda run: run | {"algorithm": None}, "`algorithm` must be an object of settings; found None"),
        (lambda run: run | {"steps": "many"}, "`steps` must be a whole number; found 'many'"),
        (lambda run: run | {"seeds": 0}, "`seeds` must be a tuple of whole numbers; found 0"),
    ],
)
def test_json_of_something_else_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        from_json(change(json.loads(json.dumps(to_json(run_of())))))
