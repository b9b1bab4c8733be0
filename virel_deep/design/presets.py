"""Named algorithms (presets), with settings for some environments and the source of their numbers."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from virel_common.errors import InputError, shown
from virel_deep.design.adapt import discrete_form
from virel_deep.design.algorithm import Algorithm
from virel_deep.design.data import Replay
from virel_deep.design.environment_settings import (
    APP_H,
    APP_H_BETA,
    CARTPOLE,
    ERPG_PENDULUMS,
    RERPI_DOUBLE,
    SAC_2018,
    SMCP_PENDULUM,
    SQL_2017,
    VMPO_PENDULUMS,
    Settings,
)
from virel_deep.design.hierarchy import Latent, LatentPrior
from virel_deep.design.improvement import Budget, Learned, Previous, Weighted
from virel_deep.design.inference import Fixed, Iterative, Stein
from virel_deep.design.model import Model, Smc
from virel_deep.design.on_policy import Advantage, Rollouts, Score, TopShare
from virel_deep.design.parts import Deterministic, TanhGaussian, TargetQ, VNetwork
from virel_deep.design.priors import Asymmetric, Distilled, Tilted
from virel_deep.design.records import changed
from virel_deep.design.run import RunConfig
from virel_deep.design.temperature import Constant, Dual, Residual, Zero

COPIES = "copies"
"""What a preset may have by environment beside the settings of its algorithm."""


@dataclass(frozen=True)
class Preset:
    """Named algorithm: its definition, the source of its numbers, and settings for some environments."""

    algorithm: Algorithm
    source: str
    environments: Mapping[str, Settings] = field(default_factory=dict)
    """Settings by environment family (`Hopper-v5` is a `Hopper`); `copies` there is that of the family."""
    copies: int = 1
    """Parallel copies of the environment per seed, unless a run asks for another number."""

    def settings(self, env: str) -> Settings:
        """Settings for an environment, `copies` included where the family has its own number."""
        return self.environments.get(env_name(env).rsplit("/", 1)[-1].rsplit("-v", 1)[0], {})


VIREL = Algorithm(
    value=VNetwork(critics=1, evaluation="hard"),
    posterior=TanhGaussian(mean_penalty=1e-3, log_std_penalty=1e-3),
    temperature=Constant(),
    data=Replay(batch=128, warmup=0),
    hidden=(300, 300),
    polyak=0.001,
)
VIREL_TWIN = Algorithm(
    value=TargetQ(critics=2, evaluation="hard"), posterior=TanhGaussian(), temperature=Constant()
)
SAC_V = Algorithm(
    value=VNetwork(critics=2, evaluation="soft"), posterior=TanhGaussian(), temperature=Constant()
)
SAC = Algorithm(value=TargetQ(critics=2, evaluation="soft"), posterior=TanhGaussian(), temperature=Dual())
DDPG = Algorithm(value=TargetQ(critics=1, evaluation="hard"), posterior=Deterministic(), temperature=Zero())
TD3 = Algorithm(
    value=TargetQ(critics=2, evaluation="hard"),
    posterior=Deterministic(target_noise=0.2),
    temperature=Zero(),
    policy_delay=2,
)
MPO = Algorithm(
    value=TargetQ(critics=1, evaluation="hard", steps=5, trace=1.0),
    posterior=Weighted(samples=20),
    prior=Learned(trust_mean=0.1, trust_spread=1e-4, price_spread=100.0),
    temperature=Budget(epsilon=0.1),
    data=Replay(batch=64),
    learning_rate=5e-4,
    target_period=100,
)
RERPI = replace(
    MPO,
    value=TargetQ(critics=1, evaluation="hard"),
    prior=Learned(likelihood="decoupled", trust_mean=1e-3, trust_spread=1e-6),
    data=Replay(),
    target_period=250,
)
MPO_PARAMETRIC = replace(
    MPO,
    posterior=TanhGaussian(),
    prior=Previous(trust_mean=0.1, trust_spread=1e-4, price_spread=100.0),
    temperature=Zero(),
)
VMPO = Algorithm(
    value=Advantage(),
    posterior=TopShare(),
    prior=Learned(likelihood="decoupled", trust_mean=0.01, trust_spread=5e-5, price_spread=100.0),
    temperature=Budget(epsilon=0.02),
    data=Rollouts(length=256, epochs=10),
    learning_rate=5e-4,
    target_period=10,
)
ERPG = Algorithm(
    value=Advantage(evaluation="soft", steps=5),
    posterior=Score(),
    temperature=Constant(alpha=0.01),
    data=Rollouts(length=5),
    hidden=(64, 64),
    learning_rate=1e-3,
    policy_learning_rate=3e-4,
    gradient_norm=0.5,
)
SAC_ITERATIVE = replace(SAC, posterior=Iterative(steps=2, samples=10), prior=Fixed(), data=Replay(batch=128))
SQL = Algorithm(
    value=TargetQ(critics=2, evaluation="optimal"),
    posterior=Stein(samples=16),
    temperature=Constant(),
    data=Replay(batch=128),
    hidden=(128, 128),
    learning_rate=1e-3,
    polyak=0.02,
)
MB_SAC = replace(SAC, value=Model())
SMCP = replace(SAC, value=Model(horizon=0), posterior=Smc())
MB_MPO = replace(MPO, value=Model(critics=1, evaluation="hard"))
DISTRAL = Algorithm(
    value=TargetQ(critics=1, evaluation="optimal"),
    posterior=Tilted(),
    prior=Distilled(exponent=0.9),
    temperature=Constant(alpha=0.2),
    data=Replay(batch=128),
    gamma=0.999,
    learning_rate=1e-3,
)
IADP = Algorithm(
    value=TargetQ(critics=2, evaluation="soft", steps=5, trace=1.0),
    posterior=TanhGaussian(),
    prior=Asymmetric(),
    temperature=Constant(alpha=0.1),
    data=Replay(batch=64),
)
HDP = replace(
    IADP,
    value=TargetQ(critics=2, evaluation="soft"),
    posterior=Latent(),
    prior=LatentPrior(exponent=0.0, low_alpha=0.1),
)
MB_IADP = replace(IADP, value=Model(rollout="prior"))

PRESETS = {
    "virel": Preset(VIREL, "VIREL App. H, Algorithm 1; Table 1; penalties: published code", APP_H),
    "beta": Preset(
        replace(VIREL, temperature=Residual()),
        "VIREL App. H, Algorithm 2; Table 1; penalties: published code",
        APP_H_BETA,
    ),
    "virel-twin": Preset(VIREL_TWIN, "virel on the axes of sac: two critics, target Q", APP_H),
    "beta-twin": Preset(
        replace(VIREL_TWIN, temperature=Residual()),
        "beta on the axes of sac: two critics, target Q",
        APP_H_BETA,
    ),
    "sac-v": Preset(SAC_V, "Haarnoja et al. 2018 (arXiv 1801.01290), with two critics", SAC_2018),
    "sac": Preset(SAC, "Haarnoja et al. 2018 (arXiv 1812.05905)", CARTPOLE),
    "ddpg": Preset(DDPG, "Lillicrap et al. 2016, Gaussian noise"),
    "td3": Preset(
        TD3, "Fujimoto et al. 2018; the policy climbs the smaller critic, as everywhere here, not the first"
    ),
    "mpo": Preset(MPO, "Abdolmaleki et al. 2018 (arXiv 1806.06920), Table 2; the rest as docs/deep/ lists"),
    "mpo-parametric": Preset(
        MPO_PARAMETRIC, "Abdolmaleki et al. 2018 (arXiv 1806.06920), parametric E-step, Table 3"
    ),
    "rerpi": Preset(
        RERPI, "Abdolmaleki et al. 2018 (arXiv 1812.02256), decoupled M-step, one-step targets", RERPI_DOUBLE
    ),
    "vmpo": Preset(VMPO, "Song et al. 2019 (arXiv 1909.12238); the rest as docs/deep/ lists", VMPO_PENDULUMS),
    "erpg": Preset(
        ERPG,
        "Schulman et al. 2017 (arXiv 1704.06440), KL inside returns, 5 steps of each copy",
        ERPG_PENDULUMS,
        copies=8,
    ),
    "sac-iterative": Preset(
        SAC_ITERATIVE, "Marino et al. 2019, Section 4: two inference steps; 10 samples as in IAPO"
    ),
    "mb-sac": Preset(
        MB_SAC, "sac with values expanded by a learned model: Marino et al. 2019, Table 1 and Eq. (9)"
    ),
    "smcp": Preset(
        SMCP,
        "Piche et al. 2019, as summarised by Macfarlane et al. 2024; its policy and critics are those of sac",
        SMCP_PENDULUM,
    ),
    "mb-mpo": Preset(
        MB_MPO, "mpo with values expanded by a learned model: Marino et al. 2019, Table 1 and Eq. (9)"
    ),
    "mb-iadp": Preset(
        MB_IADP, "iadp with values expanded by a learned model along its prior: Marino et al. 2019, Table 1"
    ),
    "sql": Preset(SQL, "Haarnoja et al. 2017 (arXiv 1702.08165); numbers of its published code", SQL_2017),
    "distral": Preset(
        DISTRAL, "Teh et al. 2017 (arXiv 1707.04175), discrete; numbers of Robust-Multitask-RL's gridworlds"
    ),
    "iadp": Preset(IADP, "Galashov et al. 2019 (arXiv 1905.01240); numbers as docs/deep/ lists"),
    "hdp": Preset(HDP, "Tirumala et al. 2019 (arXiv 1903.07438), finite latent; numbers as docs/deep/ lists"),
}
"""Every preset by name. A new algorithm is one row more."""


def preset_row(name: str) -> Preset:
    """Look up a preset by name; raise `InputError` with the known names if there is none.

    Raises:
        InputError: there is none.
    """
    if name not in PRESETS:
        raise unknown_preset(name)
    return PRESETS[name]


def unknown_preset(name: str, others: Sequence[str] = (), rule: str = "") -> InputError:
    """Error on a name that no preset has, with those that look like it.

    `others` are further names that may be given, and `rule` the words on them after the names of the presets.
    """
    close = difflib.get_close_matches(str(name), [*PRESETS, *others], n=3)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    return InputError(f"`preset` must be one of {', '.join(PRESETS)}{rule}; found {shown(name)}{hint}")


def env_name(env: str) -> str:
    """Id of an environment without the module that registers it: `module:Hopper-v5` is `Hopper-v5`."""
    return env.rsplit(":", 1)[-1]


def algorithm(
    preset: str, env: str, settings: Settings | None = None, *, discrete: bool = False
) -> Algorithm:
    """Algorithm of a preset for an environment, as its source has it; `settings` override any of it.

    Args:
        preset: name of the algorithm.
        env: Gymnasium id, which decides the settings that a source has for some environments.
        settings: settings by dotted name; where actions are discrete, of the parts that it has then.
        discrete: whether the environment's actions are.

    Raises:
        InputError: the preset or a setting is unknown, or a setting breaks a rule or changes nothing.

    Example:
        >>> algorithm("beta", "Humanoid-v5").temperature
        Residual(scale=0.0004, batch=0, period=1, smoothing=0.0)
        >>> algorithm("beta", "Hopper-v5", {"data.batch": 256}).reward_scale
        5.0
    """
    row = preset_row(preset)
    of_env = {name: value for name, value in row.settings(env).items() if name != COPIES}
    found = changed(row.algorithm, of_env)
    if discrete:
        try:
            found = discrete_form(found)
        except InputError as error:
            raise InputError(f"{error}, so that {preset} has no form for discrete actions") from None
    chosen = changed(found, settings or {})
    chosen.require_used(found)
    return chosen


def copies(preset: str, env: str) -> int:
    """Parallel copies of an environment that a preset has per seed, unless a run asks for another number.

    Raises:
        InputError: the preset is unknown.

    Example:
        >>> copies("erpg", "Hopper-v5"), copies("sac", "Hopper-v5")
        (8, 1)
    """
    row = preset_row(preset)
    found = row.settings(env).get(COPIES, row.copies)
    assert isinstance(found, int)
    return found


def run_config(preset: str, env: str, *, steps: int, seeds: tuple[int, ...], **settings: Any) -> RunConfig:
    """Configuration of a run of a preset; `settings` are further fields of `RunConfig`.

    Without `copies` it has as many copies of the environment as the preset has there.

    Example:
        >>> run_config("td3", "Hopper-v5", steps=10_000, seeds=(0, 1)).algorithm.policy_delay
        2
    """
    chosen = settings.pop("algorithm", None) or algorithm(preset, env)
    settings = {COPIES: copies(preset, env)} | settings
    return RunConfig(preset=preset, env=env, algorithm=chosen, steps=steps, seeds=seeds, **settings)
