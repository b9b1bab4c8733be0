"""Exact instances: the rational numbers of which a drawn instance of floats is the rounded view."""

from dataclasses import dataclass, field
from typing import Any

from flint import fmpq

from verify.arithmetic.exact import (
    ExactMDP,
    Vector,
    distribution_of,
    fraction_of,
    fractions,
    from_float,
    policy_of,
    table_of,
)

POLICIES = ("pi", "pi_theta", "pi_phi", "prior")
TABLES = ("q", "q_star", "shift")
SCALARS = ("eps", "eps_k", "alpha", "c", "p_norm")


@dataclass(frozen=True, eq=False)
class Exact:
    """An exact instance: an MDP and further parts by name, as `verify/statements.toml` lists them.

    Tables and policies have one entry per pair, `d` has one per state. Further parts are scalars, lists, and
    lists of tables. A part is an attribute: `x.q`.
    """

    mdp: ExactMDP
    parts: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """The part called `name`."""
        try:
            return self.parts[name]
        except KeyError:
            raise AttributeError(name) from None

    def as_json(self, *names: str) -> dict[str, Any]:
        """The parts named, in this order, as the checker reads them."""
        return {name: self.mdp.as_json() if name == "mdp" else text(self.parts[name]) for name in names}

    def with_parts(self, **parts: Any) -> "Exact":
        """A copy of the instance with parts added or replaced."""
        return Exact(self.mdp, self.parts | parts)


def without_mdp(**parts: Any) -> Exact:
    """An instance without an MDP, whose facts use its parts alone."""
    return Exact(None, parts)  # type: ignore[arg-type]


def text(value: Any) -> Any:
    """A fraction as a string; a sequence, nested or not, as a list of strings."""
    return str(value) if isinstance(value, fmpq) else [text(x) for x in value]


def exactly(instance: dict[str, Any]) -> Exact:
    """The exact instance that a drawn instance of floats is the rounded view of.

    Raises: InputError: if a distribution does not sum to exactly 1.
    """
    mdp = from_float(instance["mdp"])
    return Exact(mdp, {name: _part(mdp, name, value) for name, value in instance.items() if name != "mdp"})


def _part(mdp: ExactMDP, name: str, value: Any) -> fmpq | Vector:
    """A part as fractions, in the shape that its name calls for."""
    if name in POLICIES:
        return policy_of(mdp, value, name=name)
    if name in TABLES:
        return table_of(mdp, value, name=name)
    if name in SCALARS:
        return fraction_of(value)
    return distribution_of(value, name=name) if name == "d" else fractions(value, name=name)
