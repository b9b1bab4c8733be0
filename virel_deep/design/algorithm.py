"""What a run is: the algorithm as a point on the design axes, and the run around it. Data only."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from virel_common.errors import InputError, require

Value = Literal["v-network", "target-q"]
Evaluation = Literal["hard", "soft"]
Posterior = Literal["tanh-gaussian", "deterministic"]
Temperature = Literal["constant", "residual", "dual", "none"]
Precision = Literal["auto", "highest", "medium"]


NOT_NEGATIVE = (
    "residual_batch", "warmup_steps", "residual_scale", "alpha", "mean_penalty", "log_std_penalty",
    "exploration_noise", "target_noise", "target_noise_clip",
)  # fmt: skip
ONLY_DETERMINISTIC = {"value": "target-q", "evaluation": "hard", "temperature": "none", "residual_batch": 0}


@dataclass(frozen=True)
class Algorithm:
    """One point on the design axes. A preset is a row of these; nothing else tells two algorithms apart."""

    value: Value
    """`v-network`: V_phi with a Polyak target (App. H). `target-q`: Polyak copies of the critics."""
    critics: int
    """1, or 2 of which the smaller value counts."""
    evaluation: Evaluation
    """`hard`: E[Q] (VIREL). `soft`: E[Q - alpha log pi] (MERL, SAC)."""
    posterior: Posterior
    """`tanh-gaussian`: amortised, reparametrised. `deterministic`: DDPG, TD3."""
    temperature: Temperature
    """`constant`: alpha. `residual`: residual_scale * eps_omega. `dual`: tuned to an entropy. `none`."""
    alpha: float = 1.0
    """Constant temperature in scaled reward units; for `dual` its first value."""
    residual_scale: float = 4e-3
    """lambda = (1 - gamma) / r_avg of J_beta, in 1 / reward units."""
    residual_batch: int = 0
    """Transitions in a batch of its own for eps_omega, with the online V; 0: the minibatch (Algorithm 2)."""
    residual_period: int = 1
    """Updates between two estimates of eps_omega."""
    residual_smoothing: float = 0.0
    """Weight of the old eps_omega in an exponential average, in [0, 1)."""
    target_entropy: float | None = None
    """For `dual`, in nats; None: minus the number of action dimensions."""
    reward_scale: float = 1.0
    """Multiplies rewards in training; evaluation reports unscaled returns."""
    gamma: float = 0.99
    hidden: tuple[int, ...] = (256, 256)
    batch_size: int = 256
    polyak: float = 0.005
    """tau: weight of the online parameters in each target update."""
    learning_rate: float = 3e-4
    """Of Adam, the same for critic, value and policy."""
    warmup_steps: int = 5000
    """Environment steps with uniform actions and no update; at least one batch is always collected."""
    mean_penalty: float = 0.0
    """Weight of the squared pre-tanh mean in the policy loss (published code: 1e-3)."""
    log_std_penalty: float = 0.0
    """Weight of the squared log standard deviation in the policy loss (published code: 1e-3)."""
    policy_delay: int = 1
    """Critic updates for one update of policy and targets (TD3: 2)."""
    exploration_noise: float = 0.1
    """Standard deviation of the noise on a deterministic action, in units of the action range [-1, 1]."""
    target_noise: float = 0.0
    """Standard deviation of the noise on a deterministic target action (TD3: 0.2)."""
    target_noise_clip: float = 0.5

    def __post_init__(self) -> None:
        """Raise `InputError` for a value or a combination that means nothing."""
        _check_types(self)
        require(self.critics in {1, 2}, "critics", self.critics, "must be 1 or 2")
        require(0 <= self.gamma < 1, "gamma", self.gamma, "must be in [0, 1)")
        require(0 < self.polyak <= 1, "polyak", self.polyak, "must be in (0, 1]")
        smoothing = self.residual_smoothing
        require(0 <= smoothing < 1, "residual_smoothing", smoothing, "must be in [0, 1)")
        for name in ("batch_size", "residual_period", "policy_delay"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        for name in NOT_NEGATIVE:
            value = getattr(self, name)
            require(_at_least_zero(value), name, value, "must be finite and at least 0")
        for name in ("learning_rate", "reward_scale"):
            value = getattr(self, name)
            require(_at_least_zero(value) and value > 0, name, value, "must be finite and positive")
        sizes = self.hidden
        require(sizes != () and min(sizes) >= 1, "hidden", sizes, "must be sizes >= 1")
        target = self.target_entropy
        require(target is None or math.isfinite(target), "target_entropy", target, "must be finite or None")
        self._check_combination()

    def _check_combination(self) -> None:
        for name, only in ONLY_DETERMINISTIC.items():
            value = getattr(self, name)
            fits = value == only or self.posterior != "deterministic"
            require(fits, name, value, f"must be {only!r} for a deterministic posterior")
        tuned = self.temperature == "dual"
        require(not tuned or self.alpha > 0, "alpha", self.alpha, "must be positive where it is tuned")
        meaningful = self.evaluation == "hard" or self.temperature != "none"
        require(meaningful, "evaluation", self.evaluation, "must be 'hard' where there is no temperature")


COUNTS = (
    "steps", "copies", "capacity", "eval_every", "eval_episodes", "log_every", "checkpoint_every", "threads",
)  # fmt: skip


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run; `config.json` of the run folder."""

    preset: str
    env: str
    """Gymnasium id."""
    algorithm: Algorithm
    steps: int
    """Environment steps (transitions) a seed."""
    seeds: tuple[int, ...]
    copies: int = 1
    """Environment copies a seed (E); as many updates as transitions, whatever E is."""
    capacity: int = 1_000_000
    """Transitions kept a seed; never more than `steps`."""
    eval_every: int = 1000
    eval_episodes: int = 1
    """Deterministic episodes an evaluation (App. I: 1,000 steps, one full episode)."""
    log_every: int = 1000
    checkpoint_every: int = 10_000
    device: str = "cpu"
    threads: int = 1
    """CPU threads of a training process; two beside another busy process are far slower than one."""
    precision: Precision = "auto"
    """Of float32 products: `medium` lets torch use oneDNN; `auto`: where a probe shows float32 accuracy.

    `virel train` records what the probe chose: all processes of a run, later ones too, have the same bits."""

    def __post_init__(self) -> None:
        """Raise `InputError` for sizes that mean nothing."""
        _check_types(self)
        for name in COUNTS:
            require(getattr(self, name) >= 1, name, getattr(self, name), "must be at least 1")
        require(len(self.seeds) >= 1, "seeds", self.seeds, "must name a seed")
        require(len(set(self.seeds)) == len(self.seeds), "seeds", self.seeds, "must differ")
        require(all(seed >= 0 for seed in self.seeds), "seeds", self.seeds, "must be non-negative")
        for name in ("steps", "eval_every", "log_every", "checkpoint_every"):
            value = getattr(self, name)
            require(value % self.copies == 0, name, value, f"must be a multiple of `copies` = {self.copies}")
        least = max(self.copies, self.algorithm.batch_size)
        require(self.capacity >= least, "capacity", self.capacity, f"must hold a batch, {least}")


def to_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as plain JSON values; `from_json` reads it back."""
    return asdict(config)


def from_json(values: dict[str, Any]) -> RunConfig:
    """The configuration that `to_json` wrote.

    Raises:
        InputError: a key is unknown or missing, or a value has the wrong type or breaks a rule.

    Example:
        >>> from virel_deep.design.presets import run_config
        >>> config = run_config("sac", "HalfCheetah-v5", steps=1000, seeds=(0,))
        >>> from_json(to_json(config)) == config
        True
    """
    algorithm = values.get("algorithm")
    require(isinstance(algorithm, dict), "algorithm", algorithm, "must be an object of settings")
    assert isinstance(algorithm, dict)
    return _build(RunConfig, values | {"algorithm": _build(Algorithm, algorithm)})


Config = TypeVar("Config", Algorithm, RunConfig)


def _build(kind: type[Config], values: dict[str, Any]) -> Config:
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(values) - known)
    require(unknown == [], kind.__name__, unknown, f"must have no keys but {sorted(known)}")
    typed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        return kind(**typed)
    except TypeError as error:
        raise InputError(f"`{kind.__name__}` is not a configuration: {error}") from None


def _check_types(config: Algorithm | RunConfig) -> None:
    for name, hint in get_type_hints(type(config)).items():
        value, literal = getattr(config, name), get_origin(hint) is Literal
        rule = f"one of {', '.join(map(repr, get_args(hint)))}" if literal else RULES[hint]
        require(value in get_args(hint) if literal else _fits(value, hint), name, value, f"must be {rule}")


RULES = {
    int: "a whole number",
    float: "a number",
    float | None: "a number or None",
    str: "text",
    tuple[int, ...]: "a tuple of whole numbers",
    Algorithm: "an Algorithm",
}


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the type, one of `RULES`; no truth value, no whole number beyond 64 bits."""
    if hint == tuple[int, ...]:
        return isinstance(value, tuple) and all(_fits(item, int) for item in value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return False
    kinds = {float: int | float, float | None: int | float | None}.get(hint, hint)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _at_least_zero(value: float) -> bool:
    return math.isfinite(value) and value >= 0
