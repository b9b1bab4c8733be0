"""A change of a setting without effect is refused in one line; presets and old runs may have such."""

import re
from contextlib import suppress

import pytest

from tests.support.deep import agent_of, algorithm_of, discrete_of, small_run, train
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
TRACE = {"value.steps": 80, "value.trace": 1.0}

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


def test_a_target_of_more_steps_than_its_rollout_is_refused_and_one_of_as_many_is_not():
    rule = "^`value.steps` must be at most `data.length`, 20: no target goes beyond its rollout; found 21$"
    with pytest.raises(InputError, match=rule):
        algorithm("vmpo", "Hopper-v5", {"data.length": 20, "value.steps": 21})
    assert algorithm("vmpo", "Hopper-v5", {"data.length": 20, "value.steps": 20}).value.steps == 20


@pytest.mark.parametrize("preset", ["mpo", "mpo-parametric", "rerpi", "vmpo"])
def test_a_weight_of_averages_is_refused_for_copied_targets_for_discrete_actions_too(preset):
    with pytest.raises(InputError, match=f"^`polyak` {COPIED}; found 0.01$"):
        algorithm(preset, "CartPole-v1", {"polyak": 0.01}, discrete=True)


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


@pytest.mark.parametrize("preset", PRESETS)
def test_an_algorithm_says_that_it_has_targets_where_its_agent_has_some(preset):
    for make in (algorithm_of, discrete_of):
        with suppress(InputError):  # no form for discrete actions
            of = make(preset, hidden=(8,))
            says = any(part.has_targets for part in of.parts.values())
            assert says == bool(agent_of(of, 3, 2).targets)


IDLE = [
    ({"data.warmup": 64}, 64, "`data.warmup` is 64"),
    ({"data.warmup": 10, "data.batch": 100}, 64, r"a minibatch has 100 \(`data.batch`\)"),
    ({"data.warmup": 10, "data.batch": 4, "update_every": 1000}, 64, "`update_every` is 1000"),
    ({"data.warmup": 10, "data.batch": 4, "updates_per_step": 0.001}, 64, "`updates_per_step` is 0.001"),
    ({"data.warmup": 10, "data.batch": 4, "updates_per_step": 0.001}, 1000, None),
    ({"data.warmup": 10, "data.batch": 4, **TRACE}, 64, r"a window of all copies has 80 \(`value.steps`\)"),
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
