"""The MDPs on which solvers are compared: each a function of a name such as `garnet-100000-0.99`."""

from dataclasses import dataclass

import numpy as np

from virel_theory.mdp.tabular import TabularMDP
from virel_theory.models import draw

KINDS = ("garnet", "ring", "dense")
SEED = 2019


@dataclass(frozen=True)
class Instance:
    """What to generate; the seed is fixed."""

    kind: str
    n_states: int
    gamma: float

    @property
    def name(self) -> str:
        """`kind-states-gamma`."""
        return f"{self.kind}-{self.n_states}-{self.gamma}"


def parse(name: str) -> Instance:
    """The instance of a name."""
    kind, n_states, gamma = name.split("-")
    return Instance(kind, int(n_states), float(gamma))


def build(instance: Instance) -> TabularMDP:
    """Garnet (A = 10, b = 10, CSR), ring (A = 3, slip 0.1, random rewards, CSR), or dense Garnet (A = 10)."""
    rng = np.random.default_rng(SEED)
    n, gamma = instance.n_states, instance.gamma
    if instance.kind == "ring":
        return draw.ring(n, gamma=gamma, rng=rng)
    if instance.kind == "dense":
        return draw.garnet(n, 10, n, gamma=gamma, rng=rng)
    return draw.garnet(n, 10, 10, gamma=gamma, rng=rng, sparse=True)


def suite(states: list[int], gammas: list[float], kinds: list[str]) -> list[Instance]:
    """Rings stop at 10^5 states and dense MDPs at 1000; 100 states are for dense MDPs only."""

    def wanted(kind: str, n: int) -> bool:
        return n <= 1000 if kind == "dense" else 1000 < n <= (100_000 if kind == "ring" else n)

    return [Instance(k, n, g) for k in kinds for n in states for g in gammas if wanted(k, n)]


def n_bytes(mdp: TabularMDP) -> int:
    """Bytes of the MDP's arrays."""
    rows = mdp.transition
    parts = [rows] if isinstance(rows, np.ndarray) else [rows.data, rows.indices, rows.indptr]
    return int(sum(x.nbytes for x in [*parts, mdp.reward, mdp.initial]))
