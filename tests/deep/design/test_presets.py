"""Presets are what their sources say: a second copy of every number, by hand."""

from dataclasses import asdict

import pytest

from virel_common.errors import InputError
from virel_deep.design.presets import PRESETS, algorithm, run_config

AXES = ("value", "critics", "evaluation", "posterior", "temperature")
WANTED_AXES = {
    "virel": ("v-network", 1, "hard", "tanh-gaussian", "constant"),
    "beta": ("v-network", 1, "hard", "tanh-gaussian", "residual"),
    "virel-twin": ("target-q", 2, "hard", "tanh-gaussian", "constant"),
    "beta-twin": ("target-q", 2, "hard", "tanh-gaussian", "residual"),
    "sac-v": ("v-network", 2, "soft", "tanh-gaussian", "constant"),
    "sac": ("target-q", 2, "soft", "tanh-gaussian", "dual"),
    "ddpg": ("target-q", 1, "hard", "deterministic", "none"),
    "td3": ("target-q", 2, "hard", "deterministic", "none"),
}
APP_I = {  # Table 1, and the published code
    "hidden": (300, 300), "data.batch": 128, "polyak": 0.001, "learning_rate": 3e-4, "gamma": 0.99,
    "data.warmup": 0, "mean_penalty": 1e-3, "log_std_penalty": 1e-3, "alpha": 1.0, "policy_delay": 1,
}  # fmt: skip
SHARED = APP_I | {
    "hidden": (256, 256), "data.batch": 256, "polyak": 0.005, "data.warmup": 5000, "mean_penalty": 0.0,
    "log_std_penalty": 0.0,
}  # fmt: skip
OWN = {
    "td3": {"policy_delay": 2, "target_noise": 0.2, "target_noise_clip": 0.5, "exploration_noise": 0.1},
    "ddpg": {"target_noise": 0.0, "exploration_noise": 0.1},
}


@pytest.mark.parametrize("preset", WANTED_AXES)
def test_a_preset_is_its_point_on_the_axes_with_the_numbers_of_its_source(preset):
    settings = asdict(PRESETS[preset].algorithm)
    assert tuple(settings[axis] for axis in AXES) == WANTED_AXES[preset]
    wanted = (APP_I if preset in {"virel", "beta"} else SHARED) | OWN.get(preset, {})
    assert {name: settings[name] for name in wanted} == wanted
    # By default eps_omega comes from the minibatch, at every update, as it is.
    residual = [settings[f"residual_{name}"] for name in ("batch", "period", "smoothing")]
    assert residual == [0, 1, 0.0]


def test_no_preset_is_without_its_line_here():
    assert set(PRESETS) == set(WANTED_AXES)


@pytest.mark.parametrize(
    ("preset", "env", "scale"),
    [
        ("virel", "Hopper-v5", 5.0),
        ("beta", "HalfCheetah-v5", 5.0),
        ("virel-twin", "Walker2d-v5", 3.0),
        ("beta-twin", "Ant-v5", 1.0),
        ("beta", "Humanoid-v5", 1.0),
        ("beta", "HumanoidStandup-v5", 1.0),
        ("sac-v", "Hopper-v5", 5.0),
        ("sac-v", "Walker2d-v4", 5.0),
        ("sac-v", "Ant-v5", 5.0),
        ("sac-v", "Humanoid-v5", 20.0),
        ("sac-v", "InvertedPendulum-v5", 1.0),
        ("sac", "Hopper-v5", 1.0),
        ("td3", "Humanoid-v5", 1.0),
        ("virel", "somewhere/Hopper-v0", 5.0),
    ],
)
def test_reward_scales_are_those_of_the_tables(preset, env, scale):
    assert algorithm(preset, env).reward_scale == scale


@pytest.mark.parametrize(
    ("env", "scale"), [("Humanoid-v5", 4e-4), ("HumanoidStandup-v5", 4e-3), ("Hopper-v5", 4e-3)]
)
@pytest.mark.parametrize("preset", ["beta", "beta-twin"])
def test_lambda_is_ten_times_smaller_on_humanoid(preset, env, scale):
    assert algorithm(preset, env).residual_scale == scale


def test_settings_replace_fields_and_scales():
    chosen = algorithm("beta", "Hopper-v5", reward_scale=2.0, hidden=(8,), temperature="constant")
    assert (chosen.reward_scale, chosen.hidden, chosen.temperature) == (2.0, (8,), "constant")


def test_unknown_presets_and_settings_are_refused_by_name():
    with pytest.raises(InputError, match=r"`preset` must be one of virel, beta, .*; found 'ppo'"):
        algorithm("ppo", "Hopper-v5")
    with pytest.raises(InputError, match="batchsize"):
        algorithm("sac", "Hopper-v5", batchsize=64)


def test_a_run_takes_the_algorithm_that_it_is_given():
    chosen = algorithm("sac", "Hopper-v5", batch_size=32)
    config = run_config("sac", "Hopper-v5", steps=10, seeds=(4,), algorithm=chosen, copies=2)
    assert (config.algorithm.data.batch, config.copies, config.seeds) == (32, 2, (4,))
