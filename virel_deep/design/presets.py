"""Named algorithms, each one row: a point on the design axes, per-environment scales, and its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from virel_common.errors import InputError
from virel_deep.design.algorithm import Algorithm, RunConfig

APP_H_REWARD_SCALE = {"Hopper": 5.0, "HalfCheetah": 5.0, "Walker2d": 3.0}
"""VIREL paper, App. I, Table 1; 1 elsewhere."""
APP_H_RESIDUAL_SCALE = {"Humanoid": 4e-4}
"""VIREL paper, App. I, Table 1: lambda = (1 - gamma) / r_avg; 4e-3 elsewhere."""
SAC_2018_REWARD_SCALE = {"Hopper": 5.0, "Walker2d": 5.0, "HalfCheetah": 5.0, "Ant": 5.0, "Humanoid": 20.0}
"""Haarnoja et al. 2018, Table 2; 1 elsewhere."""


@dataclass(frozen=True)
class Preset:
    """An algorithm with the scales its source sets for an environment family (`Hopper-v5` is a `Hopper`)."""

    algorithm: Algorithm
    source: str
    reward_scale: Mapping[str, float] = field(default_factory=dict)
    residual_scale: Mapping[str, float] = field(default_factory=dict)


VIREL = Algorithm(
    "v-network", 1, "hard", "tanh-gaussian", "constant",
    hidden=(300, 300), batch_size=128, polyak=0.001, warmup_steps=0, mean_penalty=1e-3, log_std_penalty=1e-3,
)  # fmt: skip
VIREL_TWIN = Algorithm("target-q", 2, "hard", "tanh-gaussian", "constant")

PRESETS = {
    "virel": Preset(
        VIREL, "VIREL App. H, Algorithm 1; Table 1; penalties: published code", APP_H_REWARD_SCALE
    ),
    "beta": Preset(
        replace(VIREL, temperature="residual"),
        "VIREL App. H, Algorithm 2; Table 1; penalties: published code",
        APP_H_REWARD_SCALE,
        APP_H_RESIDUAL_SCALE,
    ),
    "virel-twin": Preset(VIREL_TWIN, "virel on the axes of sac: two critics, target Q", APP_H_REWARD_SCALE),
    "beta-twin": Preset(
        replace(VIREL_TWIN, temperature="residual"),
        "beta on the axes of sac: two critics, target Q",
        APP_H_REWARD_SCALE,
        APP_H_RESIDUAL_SCALE,
    ),
    "sac-v": Preset(
        Algorithm("v-network", 2, "soft", "tanh-gaussian", "constant"),
        "Haarnoja et al. 2018 (arXiv 1801.01290), with two critics",
        SAC_2018_REWARD_SCALE,
    ),
    "sac": Preset(
        Algorithm("target-q", 2, "soft", "tanh-gaussian", "dual"), "Haarnoja et al. 2018 (arXiv 1812.05905)"
    ),
    "ddpg": Preset(
        Algorithm("target-q", 1, "hard", "deterministic", "none"), "Lillicrap et al. 2016, Gaussian noise"
    ),
    "td3": Preset(
        Algorithm("target-q", 2, "hard", "deterministic", "none", policy_delay=2, target_noise=0.2),
        "Fujimoto et al. 2018; the policy climbs the smaller critic, as everywhere here, not the first",
    ),
}


def algorithm(preset: str, env: str, **settings: Any) -> Algorithm:
    """The preset's algorithm with the scales of this environment; `settings` replace single fields.

    Raises:
        InputError: the preset or a setting is unknown, or a setting breaks a rule.

    Example:
        >>> algorithm("beta", "Humanoid-v5").residual_scale
        0.0004
        >>> algorithm("beta", "Hopper-v5", batch_size=256).reward_scale
        5.0
    """
    if preset not in PRESETS:
        raise InputError(f"`preset` must be one of {', '.join(PRESETS)}; found {preset!r}")
    row = PRESETS[preset]
    family = env.rsplit("/", 1)[-1].rsplit("-v", 1)[0]
    scales = {
        "reward_scale": row.reward_scale.get(family, row.algorithm.reward_scale),
        "residual_scale": row.residual_scale.get(family, row.algorithm.residual_scale),
    }
    try:
        return replace(row.algorithm, **scales | settings)
    except TypeError as error:
        raise InputError(f"`settings` must be fields of Algorithm: {error}") from None


def run_config(preset: str, env: str, *, steps: int, seeds: tuple[int, ...], **settings: Any) -> RunConfig:
    """A run of a preset; `settings` are further fields of `RunConfig`.

    Example:
        >>> run_config("td3", "Hopper-v5", steps=10_000, seeds=(0, 1)).algorithm.policy_delay
        2
    """
    chosen = settings.pop("algorithm", None) or algorithm(preset, env)
    return RunConfig(preset=preset, env=env, algorithm=chosen, steps=steps, seeds=seeds, **settings)
