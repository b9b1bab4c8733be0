"""A change of a setting without effect is refused in one line; presets and old runs may have such."""

import re

import pytest

from tests.support.deep import algorithm_of, small_run, train
from virel_common.errors import InputError
from virel_deep.commands.train import main_train
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.presets import PRESETS, algorithm
from virel_deep.design.records import changed, decode, encode

COPIED = r"must not be set where target networks are copied \(`target_period` is \d+\), not averaged"
NO_TARGETS = "must not be set: there are no target networks"
NO_BOUND = "must not be set where .*None: there is no bound"

BOTH = {"prior.trust_mean": None, "prior.trust_spread": None}
NO_NOISE = "must not be set where `posterior.target_noise` is 0: there is no noise to clip"
BEYOND = "must be at most `data.length`, 5: no target goes beyond its rollout"
PRIOR = "must not be set where `value.rollout` is 'prior'"
CLIP = "posterior.target_noise_clip"

REFUSED = [
    ("mpo", {"polyak": 0.01}, "polyak", COPIED),
    ("mpo-parametric", {"polyak": 0.01}, "polyak", COPIED),
    ("rerpi", {"polyak": 0.01}, "polyak", COPIED),
    ("vmpo", {"polyak": 0.01}, "polyak", COPIED),
    ("mb-mpo", {"polyak": 0.01}, "polyak", COPIED),
    ("sac", {"target_period": 4, "polyak": 0.01}, "polyak", COPIED),
    ("erpg", {"polyak": 0.01}, "polyak", NO_TARGETS),
    ("erpg", {"target_period": 4}, "target_period", NO_TARGETS),
    ("erpg", {"value.steps": 6}, "value.steps", BEYOND),
    ("ddpg", {CLIP: 0.1}, CLIP, NO_NOISE),
    ("td3", {"posterior.target_noise": 0.0, CLIP: 0.1}, CLIP, NO_NOISE),
    ("mpo", {"prior.trust_mean": None, "prior.price_mean": 2.0}, "prior.price_mean", NO_BOUND),
    ("mpo", {"prior.trust_spread": None, "prior.price_spread": 2.0}, "prior.price_spread", NO_BOUND),
    ("mpo", BOTH | {"prior.price_rate": 0.1}, "prior.price_rate", NO_BOUND),
    ("mb-iadp", {"value.evaluation": "hard"}, "value.evaluation", PRIOR),
]


@pytest.mark.parametrize(("preset", "settings", "name", "rule"), REFUSED)
def test_a_change_without_effect_is_one_line(preset, settings, name, rule):
    with pytest.raises(InputError, match=f"^`{name}` {rule}.*; found [^;]+$"):
        algorithm(preset, "Hopper-v5", settings)


@pytest.mark.parametrize("name", ["price", "price_rate"])
def test_a_price_of_no_bound_is_refused_for_discrete_actions_too(name):
    with pytest.raises(InputError, match=f"^`prior.{name}` {NO_BOUND}"):
        algorithm("mpo", "CartPole-v1", {"prior.trust": None, f"prior.{name}": 0.5}, discrete=True)


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("mpo", {"polyak": 0.005}),  # as it is anyway
        ("mpo", {"target_period": 0, "polyak": 0.01}),
        ("erpg", {"value.steps": 10, "data.length": 10}),
        ("ddpg", {"posterior.target_noise": 0.2, "posterior.target_noise_clip": 0.1}),
        ("mpo", {"prior.trust_mean": None, "prior.price_spread": 2.0, "prior.price_rate": 0.1}),
        ("mb-iadp", {"value.rollout": "posterior", "value.evaluation": "hard"}),
    ],
)
def test_a_change_with_an_effect_is_taken(preset, settings):
    found = algorithm(preset, "Hopper-v5", settings)
    assert found == changed(algorithm(preset, "Hopper-v5"), settings)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_as_it_was_and_an_old_run_with_such_a_setting_is_read(preset):
    of = algorithm_of(preset)
    of.require_used(of)
    old = encode(of) | {"polyak": 0.25}
    assert decode(Algorithm, old, "algorithm").polyak == 0.25


IDLE = [
    ({"data.warmup": 64}, 64, "`data.warmup` is 64"),
    ({"data.warmup": 10, "data.batch": 100}, 64, r"a minibatch has 100 \(`data.batch`\)"),
    ({"data.warmup": 10, "data.batch": 4, "update_every": 1000}, 64, "`update_every` is 1000"),
    ({"data.warmup": 10, "data.batch": 4, "updates_per_step": 0.001}, 64, "`updates_per_step` is 0.001"),
    ({"data.warmup": 10, "data.batch": 4, "updates_per_step": 0.001}, 1000, None),
    ({"data.warmup": 63, "data.batch": 64}, 64, None),
    ({"data.warmup": 10, "data.batch": 4, "update_every": 32}, 64, None),
]


@pytest.mark.parametrize(("settings", "steps", "why"), IDLE)
def test_a_run_without_an_update_says_why_before_it_begins(tmp_path, settings, steps, why):
    config = small_run(tmp_path, "sac", "Pendulum-v1", steps=steps, settings=settings)
    assert (config.idle is None) == (why is None)
    assert why is None or re.fullmatch(why, config.idle)
    assert (train(tmp_path, config).agent.updates == 0) == (why is not None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            ["--preset", "erpg", "--capacity", "500"],
            "`capacity` must not be given for rollouts, which keep one",
        ),
        (
            ["--preset", "vmpo", "--capacity", "500"],
            "`capacity` must not be given for rollouts, which keep one",
        ),
        (
            ["--preset", "sac", "--stop-evaluations", "3"],
            "`stop_evaluations` must not be given without --stop",
        ),
    ],
)
def test_an_option_without_effect_is_one_line_and_leaves_nothing_behind(tmp_path, capsys, more, said):
    out = tmp_path / "run"
    assert main_train([*more, "--env", "Pendulum-v1", "--steps", "50", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not out.exists()


def test_a_frozen_prior_that_was_never_trained_is_said(tmp_path, capsys):
    argv = ["--preset", "distral", "--env", "CartPole-v1", "--steps", "20", "--out", str(tmp_path / "run")]
    assert main_train([*argv, "--set", "prior.frozen=True", "hidden=8,"]) == 0
    said = "note: the prior stays untrained, as it was drawn: `prior.frozen` is True without --prior"
    assert said in capsys.readouterr().err
