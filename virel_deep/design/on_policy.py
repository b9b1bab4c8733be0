"""Settings of the parts of on-policy algorithms: rollouts, advantages, policies that use them; no torch.

The axes are those of `virel_deep/design/parts.py`. What the parts compute is in docs/deep/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from virel_common.errors import require
from virel_deep.design.data import Data
from virel_deep.design.fields import Part, check_types, demand, demand_at_least, require_kinds
from virel_deep.design.parts import Posterior, Value
from virel_deep.design.temperature import Temperature


@dataclass(frozen=True)
class Rollouts(Data, kind="rollouts"):
    """Rollouts of the present policy, each read whole a few times and then forgotten (on-policy)."""

    length: int = 128
    """Transitions of each copy of the environment in a rollout."""
    epochs: int = 1
    """Updates per rollout; each reads all of its transitions, in order."""

    paced = False
    capped = False

    def __post_init__(self) -> None:
        """Raise `InputError` for a rollout without transitions or updates."""
        check_types(self)
        demand_at_least(self, 1, "length", "epochs")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if the value reads no rollouts, or a temperature wants a batch of its own."""
        require_kinds(others, "rollouts", value=("advantage",))
        temperature = others["temperature"]
        assert isinstance(temperature, Temperature)
        own = temperature.estimate.batch
        require(own == 0, "temperature.batch", own, "must be 0 for rollouts, which are read whole")

    @property
    def warmup(self) -> int:
        """No steps with uniform actions: rollouts are the policy's own."""
        return 0

    def kept(self, *, capacity: int, copies: int) -> int:  # noqa: ARG002
        """Number of transitions that are kept: those of one rollout of every copy."""
        return self.length * copies

    def shape(self, window: int, copies: int) -> tuple[int, ...]:  # noqa: ARG002
        """Leading sizes of a minibatch: the rollout of each copy is a window."""
        return (copies, self.length)

    def transitions(self, copies: int) -> int:
        """Number of transitions of a minibatch at which targets begin: all of them."""
        return self.length * copies

    def updates(
        self,
        step: int,
        *,
        window: int,  # noqa: ARG002
        copies: int,
        every: int,  # noqa: ARG002
        ratio: float = 1.0,  # noqa: ARG002
    ) -> int:
        """Number of updates due: `epochs` at the end of a rollout, none within it."""
        return self.epochs if step % self.transitions(copies) == 0 else 0

    def idle(
        self,
        steps: int,
        *,
        window: int,  # noqa: ARG002
        copies: int,
        every: int,  # noqa: ARG002
        ratio: float = 1.0,  # noqa: ARG002
    ) -> str | None:
        """Reason why a run of so many steps makes no update: it ends within the first rollout."""
        n = self.transitions(copies)
        return f"a rollout of all copies has {n} (`data.length`)" if steps < n else None

    def without_warmup(self) -> "Rollouts":
        """These settings as they are: rollouts have no warm-up."""
        return self


@dataclass(frozen=True)
class Advantage(Value, kind="advantage"):
    """State-value network V, whose n-step errors along a rollout are the advantages of the actions taken."""

    has_targets = False

    evaluation: Literal["hard", "soft"] = "hard"
    """State value: `hard` adds up rewards, `soft` rewards minus alpha KL(policy || prior) of every state."""
    steps: int | None = None
    """Rewards that a target adds up, as far as the episode goes; None is up to the rollout's end."""

    def __post_init__(self) -> None:
        """Raise `InputError` for targets of less than one step."""
        check_types(self)
        if self.steps is not None:
            demand_at_least(self, 1, "steps")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if transitions come in no order, or the posterior asks for action values."""
        super().fit(others)
        require_kinds(others, "advantages", data=("rollouts",))
        posterior = others["posterior"]
        assert isinstance(posterior, Posterior)
        require(
            posterior.on_policy,
            "posterior",
            posterior.kind,
            "must be 'top-share' or 'score' (or -categorical) for advantages",
        )

    def unused(self, others: Mapping[str, Part]) -> dict[str, str]:
        """Steps beyond the rollout's end."""
        length = getattr(others["data"], "length", None)
        if self.steps is None or length is None or self.steps <= length:
            return {}
        return {"steps": f"must be at most `data.length`, {length}: no target goes beyond its rollout"}

    @property
    def tails(self) -> tuple[str, ...]:
        """Columns for rollouts: truncation, and the action before the tanh with its density."""
        return ("truncated", "pre", "log_density")


@dataclass(frozen=True)
class TopShare(Posterior, kind="top-share"):
    """Weights exp(advantage / alpha) on the share of a whole rollout's pairs of largest advantage (V-MPO)."""

    on_policy = True

    keep: float = 0.5
    """Share of the rollout's state-action pairs, those of largest advantage, that has weight, in (0, 1]."""

    def __post_init__(self) -> None:
        """Raise `InputError` for a share outside (0, 1]."""
        check_types(self)
        demand(self, 0 < self.keep <= 1, "keep", "must be in (0, 1]")

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if a part cannot work with weights on the pairs of a rollout."""
        fit_top_share("learned", others)


@dataclass(frozen=True)
class Score(Posterior, kind="score"):
    """Tanh-Gaussian policy that climbs advantages by its score, grad log pi of the actions taken (ERPG)."""

    on_policy = True

    def fit(self, others: Mapping[str, Part]) -> None:
        """Raise `InputError` if advantages are missing, or would be those of an older policy."""
        fit_score(others)


def fit_top_share(prior: str, others: Mapping[str, Part]) -> None:
    """Raise `InputError` if a part cannot work with weights on the pairs of a rollout.

    Args:
        prior: kind of the prior whose actions the pairs are.
        others: parts of the algorithm by axis.
    """
    tempered = ("budget", "constant", "residual")
    require_kinds(others, "a top-share posterior", value=("advantage",), prior=(prior,), temperature=tempered)
    evaluation = getattr(others["value"], "evaluation", None)
    rule = "must be 'hard' for a top-share posterior"
    require(evaluation == "hard", "value.evaluation", evaluation, rule)
    alpha = getattr(others["temperature"], "alpha", 1.0)
    require(alpha > 0, "temperature.alpha", alpha, "must be positive for a top-share posterior")


def fit_score(others: Mapping[str, Part]) -> None:
    """Raise `InputError` if advantages are missing, or would be those of an older policy."""
    require_kinds(others, "a score posterior", value=("advantage",))
    prior = others["prior"].kind
    rule = "must be one that never changes, as 'uniform', for a score posterior"
    moves = prior.removesuffix("-categorical") in {"learned", "previous"}
    require(not moves, "prior", prior, rule)
    epochs = getattr(others["data"], "epochs", 1)
    require(epochs == 1, "data.epochs", epochs, "must be 1 for a score posterior")
