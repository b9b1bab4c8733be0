"""From a drawn instance (float64, a rounded view) to the exact one and its JSON."""

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
    """An exact instance: `mdp` and parts by name, as `verify/statements.toml` lists them.

    Tables and policies by pair, `d` by state, scalars, lists, and rows of tables.
    """

    mdp: ExactMDP
    parts: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """A part."""
        try:
            return self.parts[name]
        except KeyError:
            raise AttributeError(name) from None

    def as_json(self, *names: str) -> dict[str, Any]:
        """The parts named, as the checker reads them."""
        return {name: self.mdp.as_json() if name == "mdp" else text(self.parts[name]) for name in names}

    def with_parts(self, **parts: Any) -> "Exact":
        """The same with parts added or replaced."""
        return Exact(self.mdp, self.parts | parts)


def text(value: Any) -> Any:
    """Fractions as strings, sequences as lists of them, nested or not."""
    return str(value) if isinstance(value, fmpq) else [text(x) for x in value]


def exactly(instance: dict[str, Any]) -> Exact:
    """The exact instance that the floats are the rounded view of.

    Raises: InputError: if a distribution is none exactly.
    """
    mdp = from_float(instance["mdp"])
    return Exact(mdp, {name: _part(mdp, name, value) for name, value in instance.items() if name != "mdp"})


def _part(mdp: ExactMDP, name: str, value: Any) -> fmpq | Vector:
    if name in POLICIES:
        return policy_of(mdp, value, name=name)
    if name in TABLES:
        return table_of(mdp, value, name=name)
    if name in SCALARS:
        return fraction_of(value)
    return distribution_of(value, name=name) if name == "d" else fractions(value, name=name)
