"""Presets are what their sources say: a second copy of every number, by hand."""

import pytest

from virel_common.errors import InputError
from virel_deep.design.presets import PRESETS, algorithm, copies, run_config
from virel_deep.design.records import dotted, encode
from virel_deep.design.temperature import Constant, Residual

LATER = {
    "updates_per_step": 1.0, "learning_rate_end": None, "learning_rate_updates": 0,
    "policy_learning_rate": None, "gradient_norm": None,
}  # fmt: skip
ADDED = LATER | {
    "value.steps": 1, "value.trace": None, "target_period": 0, "update_every": 1, "posterior.samples": 1,
    "temperature.epsilon": None,
}  # fmt: skip
"""Settings that came later, with the values that leave everything as it was."""
AXES = ("value", "value.critics", "value.evaluation", "posterior", "temperature", "prior", "data")
WANTED_AXES = {
    name: (*axes, "uniform", "replay")
    for name, axes in {
        "virel": ("v-network", 1, "hard", "tanh-gaussian", "constant"),
        "beta": ("v-network", 1, "hard", "tanh-gaussian", "residual"),
        "virel-twin": ("target-q", 2, "hard", "tanh-gaussian", "constant"),
        "beta-twin": ("target-q", 2, "hard", "tanh-gaussian", "residual"),
        "sac-v": ("v-network", 2, "soft", "tanh-gaussian", "constant"),
        "sac": ("target-q", 2, "soft", "tanh-gaussian", "dual"),
        "ddpg": ("target-q", 1, "hard", "deterministic", "zero"),
        "td3": ("target-q", 2, "hard", "deterministic", "zero"),
    }.items()
}
APP_I = {  # Table 1, and the published code
    "hidden": [300, 300], "data.batch": 128, "data.warmup": 0, "polyak": 0.001, "learning_rate": 3e-4,
    "gamma": 0.99, "policy_delay": 1, "posterior.mean_penalty": 1e-3, "posterior.log_std_penalty": 1e-3,
}  # fmt: skip
SHARED = APP_I | {
    "hidden": [256, 256], "data.batch": 256, "data.warmup": 5000, "polyak": 0.005,
    "posterior.mean_penalty": 0.0, "posterior.log_std_penalty": 0.0,
}  # fmt: skip
RESIDUAL = {  # eps_omega comes from the minibatch, at every update, as it is
    "temperature.scale": 4e-3, "temperature.batch": 0, "temperature.period": 1, "temperature.smoothing": 0.0,
}  # fmt: skip
NOISE = {
    "posterior.exploration_noise": 0.1, "posterior.target_noise": 0.0, "posterior.target_noise_clip": 0.5,
}  # fmt: skip
OWN = {
    "virel": {"temperature.alpha": 1.0},
    "beta": RESIDUAL,
    "virel-twin": {"temperature.alpha": 1.0},
    "beta-twin": RESIDUAL,
    "sac-v": {"temperature.alpha": 1.0},
    "sac": {"temperature.initial": 1.0, "temperature.target_entropy": None},
    "ddpg": NOISE,
    "td3": NOISE | {"policy_delay": 2, "posterior.target_noise": 0.2},
}
"""Settings that belong to a preset's own parts, or in which it differs from the others."""


@pytest.mark.parametrize("preset", WANTED_AXES)
def test_a_preset_is_its_point_on_the_axes_with_the_numbers_of_its_source(preset):
    settings = dotted(encode(PRESETS[preset].algorithm))
    shared = APP_I if preset in {"virel", "beta"} else SHARED
    if "deterministic" in WANTED_AXES[preset]:  # it has no penalties
        shared = {name: value for name, value in shared.items() if "penalty" not in name}
    wanted = dict(zip(AXES, WANTED_AXES[preset], strict=True)) | {"reward_scale": 1.0} | shared | OWN[preset]
    owners = {"value.": "target-q", "posterior.": "tanh-gaussian", "temperature.": "dual"}
    added = {
        name: value
        for name, value in ADDED.items()
        if "." not in name or owners[name.partition(".")[0] + "."] in wanted.values()
    }
    assert settings == wanted | added


TRUST = {"prior.price_mean": 10.0, "prior.price_rate": 1e-2}
BUDGET = {
    "temperature": "budget", "temperature.epsilon": 0.1, "temperature.initial": 10.0,
    "temperature.rate": 1e-2, "temperature.steps": 1, "posterior": "weighted",
    "posterior.samples": 20, "posterior.keep": 1.0, "posterior.weights": "softmax", "prior": "learned",
}  # fmt: skip
COMMON = {
    "value": "target-q", "value.critics": 1, "value.evaluation": "hard", "data": "replay",
    "data.warmup": 5000, "hidden": [256, 256], "gamma": 0.99, "reward_scale": 1.0, "learning_rate": 5e-4,
    "polyak": 0.005, "policy_delay": 1, "update_every": 1,
}  # fmt: skip
BOUNDS = {"prior.trust_mean": 0.1, "prior.trust_spread": 1e-4}
RETRACE = {"value.steps": 5, "value.trace": 1.0, "data.batch": 64, "target_period": 100}
WANTED_MPO = {
    "mpo": RETRACE | BUDGET | BOUNDS | {"prior.price_spread": 100.0} | {"prior.likelihood": "joint"},
    "mpo-parametric": RETRACE | BOUNDS | {"prior.price_spread": 100.0} | {
        "prior": "previous", "posterior": "tanh-gaussian", "posterior.mean_penalty": 0.0,
        "posterior.log_std_penalty": 0.0, "posterior.samples": 1, "temperature": "zero",
    },
    "rerpi": BUDGET | {
        "prior.likelihood": "decoupled", "prior.trust_mean": 1e-3, "prior.trust_spread": 1e-6,
        "prior.price_spread": 1000.0,
        "value.steps": 1, "value.trace": None, "data.batch": 256, "target_period": 250,
    },
}  # fmt: skip


NO_DELAY = {"hidden": [256, 256], "gamma": 0.99, "reward_scale": 1.0, "polyak": 0.005, "policy_delay": 1}
WANTED_ON_POLICY = {
    "vmpo": NO_DELAY | TRUST | {
        "value": "advantage", "value.evaluation": "hard", "value.steps": None,
        "posterior": "top-share", "posterior.keep": 0.5,
        "prior": "learned", "prior.likelihood": "decoupled", "prior.trust_mean": 0.01,
        "prior.trust_spread": 5e-5, "prior.price_spread": 100.0,
        "temperature": "budget", "temperature.epsilon": 0.02, "temperature.initial": 10.0,
        "temperature.rate": 1e-2, "temperature.steps": 1,
        "data": "rollouts", "data.length": 256, "data.epochs": 10,
        "learning_rate": 5e-4, "target_period": 10, "update_every": 1,
    },
    "erpg": NO_DELAY | {
        "value": "advantage", "value.evaluation": "soft", "value.steps": 5, "posterior": "score",
        "prior": "uniform", "temperature": "constant", "temperature.alpha": 0.01,
        "data": "rollouts", "data.length": 5, "data.epochs": 1, "hidden": [64, 64],
        "learning_rate": 1e-3, "policy_learning_rate": 3e-4, "gradient_norm": 0.5,
        "target_period": 0, "update_every": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("preset", WANTED_ON_POLICY)
def test_on_policy_presets_have_the_numbers_of_their_sources(preset):
    assert dotted(encode(PRESETS[preset].algorithm)) == LATER | WANTED_ON_POLICY[preset]


@pytest.mark.parametrize("preset", WANTED_MPO)
def test_mpo_and_its_kin_have_the_numbers_of_their_sources(preset):
    assert dotted(encode(PRESETS[preset].algorithm)) == COMMON | LATER | TRUST | WANTED_MPO[preset]


CRITICS = {
    "value.critics": 2,
    "value.steps": 1,
    "value.trace": None,
    "data.batch": 128,
    "learning_rate": 3e-4,
}
WANTED_INFERRED = {
    "sac-iterative": CRITICS | {
        "value.evaluation": "soft", "posterior": "iterative", "posterior.steps": 2, "posterior.samples": 10,
        "prior": "fixed", "prior.std": 1.0, "temperature": "dual", "temperature.initial": 1.0,
        "temperature.target_entropy": None, "temperature.epsilon": None, "target_period": 0,
    },
    "sql": CRITICS | {
        "value.evaluation": "optimal", "posterior": "stein", "posterior.samples": 16, "prior": "uniform",
        "temperature": "constant", "temperature.alpha": 1.0, "hidden": [128, 128], "target_period": 0,
        "learning_rate": 1e-3, "polyak": 0.02,
    },
}  # fmt: skip


@pytest.mark.parametrize("preset", WANTED_INFERRED)
def test_iterative_inference_and_soft_q_learning_have_the_numbers_of_their_sources(preset):
    assert dotted(encode(PRESETS[preset].algorithm)) == LATER | COMMON | WANTED_INFERRED[preset]


MODEL = {
    "value": "model", "value.horizon": 5, "value.members": 4, "value.elites": None, "value.model_rate": 1e-3,
    "value.rollout": "posterior", "data.batch": 256,
}  # fmt: skip
SOFT = {
    "value.critics": 2, "value.evaluation": "soft", "learning_rate": 3e-4, "target_period": 0,
    "prior": "uniform", "temperature": "dual", "temperature.initial": 1.0,
    "temperature.target_entropy": None, "temperature.epsilon": None,
    "posterior.mean_penalty": 0.0, "posterior.log_std_penalty": 0.0, "posterior.samples": 1,
}  # fmt: skip
WANTED_MODELS = {
    "mb-sac": MODEL | SOFT | {"posterior": "tanh-gaussian"},
    "mb-mpo": MODEL | BUDGET | TRUST | BOUNDS | {
        "prior.likelihood": "joint", "prior.price_spread": 100.0, "target_period": 100, "data.batch": 64,
    },
    "smcp": MODEL | SOFT | {
        "value.horizon": 0, "posterior": "smc", "posterior.particles": 64, "posterior.steps": 10,
    },
}  # fmt: skip
BLIND = {"prior.blind": [], "prior.blind_last": 0, "prior.frozen": False}
WANTED_MODELS["mb-iadp"] = MODEL | BLIND | {
    "value.critics": 2, "value.evaluation": "soft", "value.rollout": "prior", "posterior": "tanh-gaussian",
    "posterior.mean_penalty": 0.0, "posterior.log_std_penalty": 0.0, "posterior.samples": 1,
    "prior": "asymmetric", "temperature": "constant", "temperature.alpha": 0.1,
    "data.batch": 64, "learning_rate": 3e-4, "target_period": 0,
}  # fmt: skip
WANTED_PRIORS = {
    "distral": BLIND | {
        "value.critics": 1, "value.evaluation": "optimal", "value.steps": 1, "value.trace": None,
        "posterior": "tilted", "prior": "distilled", "prior.exponent": 0.9, "prior.discounted": False,
        "temperature": "constant", "temperature.alpha": 0.2, "data.batch": 128, "gamma": 0.999,
        "learning_rate": 1e-3, "target_period": 0,
    },
    "iadp": BLIND | {
        "value.critics": 2, "value.evaluation": "soft", "value.steps": 5, "value.trace": 1.0,
        "posterior": "tanh-gaussian", "posterior.mean_penalty": 0.0, "posterior.log_std_penalty": 0.0,
        "posterior.samples": 1, "prior": "asymmetric", "temperature": "constant", "temperature.alpha": 0.1,
        "data.batch": 64, "learning_rate": 3e-4, "target_period": 0,
    },
    "hdp": BLIND | {
        "value.critics": 2, "value.evaluation": "soft", "value.steps": 1, "value.trace": None,
        "posterior": "latent", "posterior.latents": 4, "prior": "latent", "prior.exponent": 0.0,
        "prior.low_alpha": 0.1,
        "temperature": "constant", "temperature.alpha": 0.1,
        "data.batch": 64, "learning_rate": 3e-4, "target_period": 0,
    },
}  # fmt: skip


@pytest.mark.parametrize("preset", WANTED_MODELS)
def test_model_based_presets_have_the_numbers_that_are_documented(preset):
    assert dotted(encode(PRESETS[preset].algorithm)) == LATER | COMMON | WANTED_MODELS[preset]


@pytest.mark.parametrize("preset", WANTED_PRIORS)
def test_learned_priors_have_the_numbers_of_their_sources(preset):
    assert dotted(encode(PRESETS[preset].algorithm)) == LATER | COMMON | WANTED_PRIORS[preset]


def test_no_preset_is_without_its_line_here():
    wanted = (WANTED_AXES, WANTED_MPO, WANTED_INFERRED, WANTED_ON_POLICY, WANTED_PRIORS, WANTED_MODELS)
    assert set().union(*wanted) == set(PRESETS)


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
        ("sql", "Swimmer-v5", 30.0),
        ("sql", "Walker2d-v5", 10.0),
        ("sql", "Ant-v5", 300.0),
        ("sql", "Humanoid-v5", 100.0),
        ("sql", "Pendulum-v1", 1.0),
        ("vmpo", "Pendulum-v1", 0.01),
        ("vmpo", "InvertedPendulum-v5", 1.0),
        ("vmpo", "InvertedDoublePendulum-v5", 0.1),
        ("erpg", "InvertedDoublePendulum-v5", 0.1),
        ("erpg", "InvertedPendulum-v5", 1.0),
        ("erpg", "Pendulum-v1", 0.1),
        ("sac-v", "Humanoid-v5", 20.0),
        ("sac-v", "InvertedPendulum-v5", 1.0),
        ("sac", "Hopper-v5", 1.0),
        ("td3", "Humanoid-v5", 1.0),
        ("virel", "somewhere/Hopper-v0", 5.0),
    ],
)
def test_reward_scales_are_those_of_the_tables(preset, env, scale):
    assert algorithm(preset, env).reward_scale == scale


def test_targets_follow_faster_and_v_looks_less_far_where_values_are_in_the_hundreds():
    assert [algorithm("rerpi", f"Inverted{x}Pendulum-v5").target_period for x in ("", "Double")] == [250, 50]
    double = algorithm("vmpo", "InvertedDoublePendulum-v5")
    assert (double.gamma, double.value.steps, algorithm("vmpo", "Hopper-v5").gamma) == (0.98, 8, 0.99)


@pytest.mark.parametrize(
    ("env", "rate", "period"), [("Hopper-v5", 3e-4, 1000), ("InvertedPendulum-v5", 1e-3, 0)]
)
def test_soft_q_learning_copies_its_targets_as_its_source_does_on_the_tasks_of_the_source(env, rate, period):
    found = algorithm("sql", env)
    assert (found.learning_rate, found.target_period) == (rate, period)


@pytest.mark.parametrize(
    ("env", "scale"), [("Humanoid-v5", 4e-4), ("HumanoidStandup-v5", 4e-3), ("Hopper-v5", 4e-3)]
)
@pytest.mark.parametrize("preset", ["beta", "beta-twin"])
def test_lambda_is_ten_times_smaller_on_humanoid(preset, env, scale):
    assert algorithm(preset, env).temperature.scale == scale


def test_some_rows_have_settings_of_ours_for_a_task_that_was_measured():
    cartpole = dotted(encode(algorithm("sac", "CartPole-v1", discrete=True)))
    wanted = {"learning_rate": 1e-3, "polyak": 0.05, "data.batch": 64, "data.warmup": 1000}
    assert {name: cartpole[name] for name in wanted} == wanted
    planner = dotted(encode(algorithm("smcp", "InvertedPendulum-v5")))
    wanted = {"learning_rate": 1e-3, "polyak": 0.05, "data.warmup": 1000, "hidden": [64, 64]}
    assert {name: planner[name] for name in wanted} == wanted
    assert [algorithm("erpg", env).gamma for env in ("Pendulum-v1", "InvertedPendulum-v5")] == [0.9, 0.99]
    pendulum = dotted(encode(algorithm("vmpo", "Pendulum-v1")))
    assert (pendulum["prior.trust_mean"], pendulum["temperature.epsilon"]) == (0.1, 0.1)
    assert (pendulum["value.steps"], pendulum["data.epochs"], pendulum["target_period"]) == (16, 40, 40)


def test_settings_replace_fields_and_scales():
    settings = {"reward_scale": 2.0, "hidden": (8,), "temperature": "constant", "temperature.alpha": 0.5}
    chosen = algorithm("beta", "Humanoid-v5", settings)
    assert (chosen.reward_scale, chosen.hidden, chosen.temperature) == (2.0, (8,), Constant(alpha=0.5))


def test_the_name_of_the_kind_that_a_part_has_keeps_its_settings():
    assert algorithm("beta", "Humanoid-v5", {"temperature": "residual"}).temperature == Residual(scale=4e-4)
    assert algorithm("virel", "Humanoid-v5", {"temperature": "residual"}).temperature == Residual()


def test_unknown_presets_and_settings_are_refused_by_name():
    with pytest.raises(InputError, match=r"`preset` must be one of virel, beta, .*; found 'ppo'"):
        algorithm("ppo", "Hopper-v5")
    with pytest.raises(InputError, match=r"`settings` must name one of value, value.critics, .*'batchsize'"):
        algorithm("sac", "Hopper-v5", {"batchsize": 64})


def test_a_run_has_the_copies_of_its_preset_unless_it_is_given_others():
    configs = [run_config(name, "Hopper-v5", steps=16, seeds=(0,)) for name in PRESETS]
    assert {config.preset: config.copies for config in configs if config.copies > 1} == {"erpg": 8}
    assert run_config("erpg", "Hopper-v5", steps=16, seeds=(0,), copies=1).copies == 1


@pytest.mark.parametrize(
    "env", ["InvertedDoublePendulum-v5", "InvertedDoublePendulum-v4", "my:x/InvertedDoublePendulum-v5"]
)
def test_a_preset_may_have_copies_of_its_own_in_an_environment(env):
    config = run_config("vmpo", env, steps=16, seeds=(0,))
    assert (config.copies, config.algorithm.data.length) == (8, 128)
    assert copies("vmpo", env) == 8
    assert run_config("vmpo", env, steps=16, seeds=(0,), copies=2).copies == 2
    assert copies("vmpo", "Pendulum-v1") == 1


def test_a_run_takes_the_algorithm_that_it_is_given():
    chosen = algorithm("sac", "Hopper-v5", {"data.batch": 32})
    config = run_config("sac", "Hopper-v5", steps=10, seeds=(4,), algorithm=chosen, copies=2)
    assert (config.algorithm.data.batch, config.copies, config.seeds) == (32, 2, (4,))
