"""Settings that presets have for some environments, by environment family (`Hopper-v5` is a `Hopper`)."""

from collections.abc import Mapping

Settings = Mapping[str, object]
"""Values of settings by dotted name, as `fields.changed` takes them."""

APP_H: Mapping[str, Settings] = {
    "Hopper": {"reward_scale": 5.0},
    "HalfCheetah": {"reward_scale": 5.0},
    "Walker2d": {"reward_scale": 3.0},
}
"""Reward scales of the VIREL paper, App. I, Table 1; 1 elsewhere."""
APP_H_BETA: Mapping[str, Settings] = {**APP_H, "Humanoid": {"temperature.scale": 4e-4}}
"""The same with lambda = (1 - gamma) / r_avg of that table; 4e-3 elsewhere."""
SAC_2018: Mapping[str, Settings] = {
    "Hopper": {"reward_scale": 5.0},
    "Walker2d": {"reward_scale": 5.0},
    "HalfCheetah": {"reward_scale": 5.0},
    "Ant": {"reward_scale": 5.0},
    "Humanoid": {"reward_scale": 20.0},
}
"""Reward scales of Haarnoja et al. 2018, Table 2; 1 elsewhere."""

_SQL_RATES: Settings = {"learning_rate": 3e-4, "target_period": 1000}
SQL_2017: Mapping[str, Settings] = {
    "Swimmer": {"reward_scale": 30.0, **_SQL_RATES},
    "Hopper": {"reward_scale": 30.0, **_SQL_RATES},
    "HalfCheetah": {"reward_scale": 30.0, **_SQL_RATES},
    "Walker2d": {"reward_scale": 10.0, **_SQL_RATES},
    "Ant": {"reward_scale": 300.0, **_SQL_RATES},
    "Humanoid": {"reward_scale": 100.0, **_SQL_RATES},
}
"""Numbers of the code that Haarnoja et al. 2017 published, which trains for millions of steps there."""

CARTPOLE: Mapping[str, Settings] = {
    "CartPole": {"learning_rate": 1e-3, "polyak": 0.05, "data.batch": 64, "data.warmup": 1000},
}
"""Ours, measured (docs/benchmarks/rows.md): with polyak 0.005 a value of 100 takes some 20,000 updates."""
SMCP_PENDULUM: Mapping[str, Settings] = {
    "InvertedPendulum": {"learning_rate": 1e-3, "polyak": 0.05, "data.warmup": 1000, "hidden": (64, 64)},
}
"""Ours, measured (docs/benchmarks/models.md), as for CartPole; a plan costs in proportion to its networks."""
VMPO_PENDULUMS: Mapping[str, Settings] = {
    "Pendulum": {
        "reward_scale": 0.01,
        "value.steps": 16,
        "prior.trust_mean": 0.1,
        "temperature.epsilon": 0.1,
        "data.epochs": 40,
        "target_period": 40,
    },
    "InvertedDoublePendulum": {
        "copies": 8,
        "gamma": 0.98,
        "reward_scale": 0.1,
        "value.steps": 8,
        "prior.trust_mean": 0.1,
        "prior.trust_spread": 1e-3,
        "temperature.epsilon": 0.5,
        "temperature.initial": 1.0,
        "data.length": 128,
        "data.epochs": 40,
        "target_period": 40,
        "learning_rate": 1e-3,
        "hidden": (64, 64),
    },
}
"""The bound by mean is that of JORLDY on Pendulum; the others are ours (docs/benchmarks/rows.md)."""
RERPI_DOUBLE: Mapping[str, Settings] = {
    "InvertedDoublePendulum": {"target_period": 50},
}
"""Ours (docs/benchmarks/rows.md): each copy lets Q look one step further, and an episode has 1,000."""
ERPG_PENDULUMS: Mapping[str, Settings] = {
    "InvertedDoublePendulum": {"reward_scale": 0.1, "temperature.alpha": 0.1},
    "Pendulum": {"reward_scale": 0.1, "gamma": 0.9},
}
"""Ours, measured there with `--normalize`: rewards of size 1, and an entropy that outlasts V's rise.

On Pendulum V stays within 10 times the largest reward with a discount of 0.9, and is learned."""
