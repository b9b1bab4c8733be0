"""What some parts can do beside what their interface asks of all, as protocols that can be tested for.

Shapes as in `interfaces.py`, R rollouts.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from virel_deep.axes.interfaces import Draw, Following, Noise, Objective, World
from virel_deep.axes.tensors import Behaviour, Evaluated, Weighted
from virel_deep.networks.perceptron import Floats


@runtime_checkable
class Amortised(Protocol):
    """Interface of a posterior that acts by its policy network's outputs alone, in numpy."""

    def explore(self, head: Floats, noise: Floats) -> Floats:
        """Exploratory actions `[N, A]` in numpy, from policy network outputs and the noise of `acting`."""


@runtime_checkable
class Deliberate(Protocol):
    """Interface of a posterior that acts by its objective: it needs critics, temperature and prior."""

    def deliberate(self, state: Tensor, noise: Tensor, objective: Objective) -> Tensor:
        """Exploratory actions `[K, N, A]` at states `[K, N, O]`, with the noise that `acting` declares."""


@runtime_checkable
class Settling(Protocol):
    """Interface of a posterior that acts by its objective, and has a deterministic action."""

    def settle(self, state: Tensor, objective: Objective) -> Tensor:
        """Deterministic actions `[K, N, A]` at states `[K, N, O]`."""


@runtime_checkable
class Behaving(Protocol):
    """Interface of a posterior whose actions are stored with their values and densities before the tanh."""

    def behave(self, head: Floats, noise: Floats) -> Behaviour:
        """Exploratory actions as those of `explore`, with their densities."""


@runtime_checkable
class Likelihood(Behaving, Protocol):
    """Interface of a posterior whose actions have a density, so that stored ones can be weighed."""

    def log_likelihood(self, state: Tensor, pre: Tensor) -> Tensor:
        """Log densities `[K, R]` of stored actions `[K, R, A]` before the tanh under the target's policy."""


@runtime_checkable
class Recalling(Behaving, Protocol):
    """Interface of a posterior that is improved by the advantages of the actions that it took."""

    def recall(self, state: Tensor, pre: Tensor, objective: Objective) -> Weighted:
        """Stored actions `[K, R, A]` before the tanh as one weighted action at each state `[K, R, O]`.

        Differentiable in the policy's parameters if it is learnt through its log density.
        """


@runtime_checkable
class Walking(Protocol):
    """Interface of a posterior that rollouts of a model follow."""

    def walk(self, state: Tensor, noise: Tensor, objective: Objective) -> Weighted:
        """Draw one action at each state `[K, R, O]` with standard normal noise `[K, R, A]`.

        Differentiable in the states, never in the policy's parameters.
        """


@runtime_checkable
class Measuring(Protocol):
    """Interface of a posterior that measures something only where it is improved."""

    measured: tuple[str, ...]
    """Those of its metrics that only an update with an E-step has."""


@runtime_checkable
class Expanding(Protocol):
    """Interface of a value whose action values are expanded through a model."""

    world: World
    noise: Mapping[str, Draw]
    """Random numbers that the rollouts from a state need, in the order in which they are drawn."""

    def expanded(self, objective: Objective, posterior: Walking, noise: Noise) -> Objective:
        """Objective with expanded values at B states, given the random numbers of rollouts from each."""


@runtime_checkable
class Looking(Protocol):
    """Interface of a value that tells what it bootstraps from."""

    def look(self, state: Tensor, following: Following, objective: Objective) -> Evaluated:
        """Actions of a posterior at states `[K, R, O]`, with the values by which targets are computed."""


@runtime_checkable
class Remembering(Protocol):
    """Interface of a value or posterior that remembers more of a seed than its networks."""

    def seed_state(self, k: int) -> dict[str, Any]:
        """Copy what is remembered of seed k into a dictionary."""

    def load_seed_state(self, k: int, state: dict[str, Any]) -> None:
        """Restore seed k from a `seed_state` dictionary."""


@runtime_checkable
class Starting(Protocol):
    """Interface of a part whose networks do not begin with drawn weights alone."""

    def start(self) -> None:
        """Change the weights that were drawn, before targets copy them."""
