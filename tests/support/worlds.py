"""Random arguments for every public function; what relabelling, padding and a CSR transition do to them.

A world maps argument names to values over one MDP: S states, A actions, N parameters. `AXES` says which
axes a value has ("S" states, "A" actions, "N" parameters), so that permuting states permutes it correctly.
Numbers are dyadic fractions: they survive float32 and lists unchanged.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from virel_theory import TabularMDP

AXES = {
    "q": "SA",
    "q_pi": "SA",
    "q_0": "SA",
    "q0": "SA",
    "target": "SA",
    "f": "SA",
    "beta": "SA",
    "beta_omega": "SA",
    "logits": "SA",
    "pi": "SA",
    "pi_theta": "SA",
    "pi_phi": "SA",
    "pi_0": "SA",
    "prior": "SA",
    "p": "SA",
    "other": "SA",
    "mask": "SA",
    "exists": "SA",
    "d": "S",
    "policy0": "S",
    "b_omega": "SAN",
    "score": "SAN",
    "features": "SAN",
    "grad_beta": "SAN",
    "curvature": "SANN",
    "grad_eps": "N",
    "theta": "N",
    "zeta_k": "N",
    "omega_k": "N",
    "b_k": "N",
    "b_next": "N",
    "q_k": "N",
    "v": "S",
    "policies": "NSA",
    "weights": "NS",
    "observation": "S",
    "phigh": "SN",
    "pdefault": "SN",
    "mass": "SA",
}
PADDING = {"q": -np.inf, "q_pi": -np.inf, "q_0": -np.inf, "q0": -np.inf, "target": -np.inf}
"""What a table holds where the action does not exist; 0 (False) for the rest."""


@dataclass(frozen=True)
class World:
    """An MDP and a value for every argument name."""

    mdp: TabularMDP
    values: dict[str, Any]

    @property
    def n_parameters(self):
        return len(self.values["theta"])

    def size(self, axis):
        return {"S": self.mdp.n_states, "A": self.mdp.n_actions, "N": self.n_parameters, "T": 3}[axis]


def make_world(shape=(4, 3), *, n_parameters=2, gamma=0.75, seed=0, is_sparse=False):
    """A random world in which every action exists."""
    rng = np.random.default_rng(seed)
    n_states, n_actions = shape
    mdp = TabularMDP(
        _rows(rng, (*shape, n_states)), rng.integers(-8, 9, shape) / 4, gamma, _rows(rng, (n_states,))
    )
    values = {name: _value(name, rng, shape, n_parameters) for name in AXES}
    values |= {"mask": None, "d": _rows(rng, (n_states,)), "policy0": rng.integers(0, n_actions, n_states)}
    values["mass"] = _rows(rng, shape) / n_states
    values |= {"weights": np.abs(values["weights"]), "observation": rng.integers(0, 2, n_states)}
    scalars = {
        "alpha": 0.5,
        "epsilon": 0.0625,
        "eta": 0.5,
        "exponent": 0.5,
        "eps": 0.5,
        "eps_k": 0.5,
        "c": 0.5,
        "gamma": 0.5,
        "beta_k": 1.5,
        "step_size": 0.25,
        "tie_tol": 0.0,
    }
    values |= scalars | {"horizon": 3, "n_steps": 3, "max_boxes": 2000, "atol": 1e-12, "k1": 3}
    return World(mdp.to_sparse() if is_sparse else mdp, values)


def permuted(world, states, actions):
    """The same world under new labels: new state i is old state `states[i]`."""
    values = {name: relabel(v, AXES.get(name, ""), states, actions) for name, v in world.values.items()}
    if "policy0" in values:
        values["policy0"] = np.argsort(actions)[values["policy0"]]
    old = world.mdp.to_dense()
    transition = old.transition[np.ix_(states, actions, states)]
    mask = None if old.mask is None else old.mask[np.ix_(states, actions)]
    reward = old.reward[np.ix_(states, actions)]
    return World(TabularMDP(transition, reward, old.gamma, old.initial[states], mask), values)


def relabel(value, axes, states, actions):
    """`value` with its state axis in the order `states` and its action axis in the order `actions`."""
    if value is None or not axes:
        return value
    out = np.asarray(value)
    for axis, kind in enumerate(axes):
        if kind in "SA":
            out = np.take(out, states if kind == "S" else actions, axis=axis)
    return out


def embedded(world):
    """The same world with one more action that exists nowhere."""
    values = {name: pad(v, name) for name, v in world.values.items()}
    old = world.mdp.to_dense()
    values["mask"] = np.ones(old.shape, dtype=bool)
    values["mask"] = np.pad(values["mask"], ((0, 0), (0, 1)))
    transition = np.pad(old.transition, ((0, 0), (0, 1), (0, 0)))
    mdp = TabularMDP(transition, np.pad(old.reward, ((0, 0), (0, 1))), old.gamma, old.initial, values["mask"])
    return World(mdp, values)


def pad(value, name):
    """`value` with one more entry on its action axis."""
    axes = AXES.get(name, "")
    if value is None or "A" not in axes:
        return value
    widths = [(0, 1) if axis == "A" else (0, 0) for axis in axes]
    return np.pad(value, widths, constant_values=PADDING.get(name, 0))


def _value(name, rng, shape, n_parameters):
    sizes = {"S": shape[0], "A": shape[1], "N": n_parameters}
    size = tuple(sizes[axis] for axis in AXES[name])
    if name == "exists":
        return np.ones(size, dtype=bool)
    if name.startswith(("pi", "p", "other")) and name != "policy0":
        return _rows(rng, size)
    n = int(np.prod(size))
    return (rng.permutation(4 * n)[:n].reshape(size) - 2 * n) / 8  # no ties


def _rows(rng, size):
    """Distributions over the last axis in 64ths, all positive."""
    counts = rng.multinomial(64 - size[-1], np.ones(size[-1]) / size[-1], size=size[:-1]) + 1
    return counts / 64
