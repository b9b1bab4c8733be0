"""Instances of claims (MDPs, tables, policies) in rational numbers: each float becomes a simple fraction."""

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
    """Instance of a claim in rational numbers: an MDP and parts such as a table q, a temperature eps.

    `verify/statements.toml` lists the names. Tables and policies have one entry per state-action pair, `d`
    has one per state. Further parts are scalars, lists, and lists of tables. A part is an attribute: `x.q`.
    """

    mdp: ExactMDP
    parts: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        """Return the instance's part with this name, so that `x.q` is the table q."""
        try:
            return self.parts[name]
        except KeyError:
            raise AttributeError(
                f"the instance has no part {name!r}; its parts are {', '.join(self.parts)}"
            ) from None

    def as_json(self, *names: str) -> dict[str, Any]:
        """Plain data (JSON) of an instance's parts called `names`, as a certificate stores them."""
        return {name: self.mdp.as_json() if name == "mdp" else text(self.parts[name]) for name in names}

    def with_parts(self, **parts: Any) -> "Exact":
        """Copy of a claim's instance with parts added or replaced."""
        return Exact(self.mdp, self.parts | parts)


def without_mdp(**parts: Any) -> Exact:
    """Instance, in rational numbers, of a claim that needs no MDP: its named numbers and lists of numbers."""
    return Exact(None, parts)  # type: ignore[arg-type]


def text(value: Any) -> Any:
    """Convert a fraction to a string, and a (nested) sequence of fractions to a (nested) list of strings."""
    return str(value) if isinstance(value, fmpq) else [text(x) for x in value]


def exactly(instance: dict[str, Any]) -> Exact:
    """Convert a claim's instance from floats to rational numbers: each the fraction that rounds to it.

    Raises: InputError: if a distribution does not sum to exactly 1.
    """
    mdp = from_float(instance["mdp"])
    return Exact(mdp, {name: _part(mdp, name, value) for name, value in instance.items() if name != "mdp"})


def _part(mdp: ExactMDP, name: str, value: Any) -> fmpq | Vector:
    """Convert one part of a claim's instance to fractions, as a table, a scalar etc. by the part's name."""
    if name in POLICIES:
        return policy_of(mdp, value, name=name)
    if name in TABLES:
        return table_of(mdp, value, name=name)
    if name in SCALARS:
        return fraction_of(value)
    return distribution_of(value, name=name) if name == "d" else fractions(value, name=name)
