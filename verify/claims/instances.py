"""Named instances that claims share: the Gymnasium MDPs with fixed tables, policies and distributions on them."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from verify.engine.claim import Instance
from virel_theory.mdp.tabular import TabularMDP

GYM_IDS = ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1")


@cache
def gym_mdp(env_id: str) -> TabularMDP:
    """A Gymnasium toy-text MDP at gamma = 0.99, ingested once a process."""
    from virel_theory.models.load import from_gymnasium  # noqa: PLC0415  # read only when a check runs

    mdp: TabularMDP = from_gymnasium(env_id, gamma=0.99)
    return mdp.to_sparse()


def gym_instances(*, seed: int = 0, **parts: Any) -> Callable[[], list[tuple[str, Instance]]]:
    """`named=` of a check: for each Gymnasium MDP, `mdp` and the parts asked for: `q`, `pi_theta`, `d`, `eps` (True), or a value."""

    def build() -> list[tuple[str, Instance]]:
        return [
            (env_id, {"mdp": gym_mdp(env_id)} | _parts(gym_mdp(env_id), parts, seed)) for env_id in GYM_IDS
        ]

    return build


def _parts(mdp: TabularMDP, parts: dict[str, Any], seed: int) -> Instance:
    rng = np.random.default_rng(seed)
    drawn = {
        "q": np.where(mdp.available, rng.normal(size=mdp.shape), -np.inf),
        "pi_theta": _rows(rng.exponential(size=mdp.shape) * mdp.available),
        "d": rng.dirichlet(np.ones(mdp.n_states)),
        "eps": 0.5,
    }
    return {name: drawn[name] if part is True else part for name, part in parts.items()}


def _rows(weights: Any) -> Any:
    return weights / weights.sum(axis=1, keepdims=True)
