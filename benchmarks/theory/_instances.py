"""MDPs on which solvers are compared, each determined by a name such as `garnet-100000-0.99`."""

from dataclasses import dataclass

import numpy as np

from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models import draw

KINDS = ("garnet", "ring", "dense")
SEED = 2019


@dataclass(frozen=True)
class Instance:
    """Kind, size and discount of an MDP to generate; the seed is fixed."""

    kind: str
    n_states: int
    gamma: float

    @property
    def name(self) -> str:
        """Name in the form `kind-states-gamma`."""
        return f"{self.kind}-{self.n_states}-{self.gamma}"


def parse(name: str) -> Instance:
    """Read an instance from its name."""
    kind, n_states, gamma = name.split("-")
    return Instance(kind, int(n_states), float(gamma))


def build(instance: Instance) -> TabularMDP:
    """Generate an MDP: Garnet (A = b = 10) or ring (A = 3, slip 0.1) as CSR, or dense Garnet (A = 10)."""
    rng = np.random.default_rng(SEED)
    n, gamma = instance.n_states, instance.gamma
    if instance.kind == "ring":
        return draw.ring(n, gamma=gamma, rng=rng)
    if instance.kind == "dense":
        return draw.garnet(n, 10, n, gamma=gamma, rng=rng)
    return draw.garnet(n, 10, 10, gamma=gamma, rng=rng, sparse=True)


def suite(states: list[int], gammas: list[float], kinds: list[str]) -> list[Instance]:
    """Yield all instances: rings up to 10^5 states, dense MDPs up to 1000, and 100 states for those only."""

    def wanted(kind: str, n: int) -> bool:
        return n <= 1000 if kind == "dense" else 1000 < n <= (100_000 if kind == "ring" else n)

    return [Instance(k, n, g) for k in kinds for n in states for g in gammas if wanted(k, n)]


def n_bytes(mdp: TabularMDP) -> int:
    """Number of bytes of the MDP's arrays."""
    rows = mdp.transition
    parts = [rows] if isinstance(rows, np.ndarray) else [rows.data, rows.indices, rows.indptr]
    return int(sum(x.nbytes for x in [*parts, mdp.reward, mdp.initial]))
