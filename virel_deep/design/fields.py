"""Checked, nested settings in dataclasses: kinds of parts, types from the hints, rules.

A `Part` is a dataclass of settings that is one of several *kinds* for the same place, its *axis*. A setting
of a part is called by its dotted name, `axis.setting`, in messages, on the command line and in tables.
"""

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from dataclasses import field as new_field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from virel_common.errors import require


class Part:
    """Base class of an algorithm's exchangeable parts: a subclass is a design axis, its subclasses are kinds.

    Example:
        >>> from dataclasses import dataclass
        >>> from virel_deep.design.records import encode
        >>> class Wheel(Part, axis="wheel"): ...
        >>> @dataclass(frozen=True)
        ... class Spoked(Wheel, kind="spoked"):
        ...     spokes: int = 28
        >>> list(Wheel.kinds), encode(Spoked())
        (['spoked'], {'kind': 'spoked', 'spokes': 28})
    """

    axis: ClassVar[str] = ""
    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type["Part"]]]
    """Kinds of the axis by name; a new subclass adds itself."""

    def __init_subclass__(cls, *, axis: str = "", kind: str = "") -> None:
        """Register a subclass: as a new axis, or as a new kind of the axis that it derives from."""
        if axis:
            cls.axis, cls.kinds = axis, {}
        if kind:
            cls.kind = kind
            cls.kinds[kind] = cls

    has_targets: ClassVar[bool] = False
    """Whether it has target networks, which `polyak` or `target_period` moves."""

    def fit(self, others: Mapping[str, "Part"]) -> None:
        """Raise `InputError` if this part can't work with the other parts; by default it can."""

    def unused(self, others: Mapping[str, "Part"]) -> dict[str, str]:  # noqa: ARG002
        """Settings that change nothing beside the other parts, each with the rule that refuses a change."""
        return {}


def require_kinds(others: Mapping[str, Part], whom: str, **needs: tuple[str, ...]) -> None:
    """Raise `InputError` unless the part of each axis in `needs` is of one of its kinds, as `whom` needs."""
    for axis, kinds in needs.items():
        *rest, last = map(repr, kinds)
        allowed = f"{', '.join(rest)} or {last}" if rest else last
        found = others[axis].kind
        require(found in kinds, axis, found, f"must be {allowed} for {whom}")


Table = Mapping[str, object]
"""Type of a setting that is a dictionary of JSON values."""
Tables = tuple[Table, ...]
"""Type of a setting that is several dictionaries of JSON values."""


def added(default: Any) -> Any:
    """Field of a setting that runs from before it existed lack: they are read as having its default.

    An empty dictionary as default is made anew for each object.
    """
    if default == {}:
        return new_field(default_factory=dict, metadata={"added": True})
    return new_field(default=default, metadata={"added": True})


def default_of(one: Any) -> Any:
    """Default of a dataclass's field, made anew if it is a dictionary."""
    return one.default if one.default is not MISSING else one.default_factory()


def demand(config: object, ok: bool, name: str, rule: str) -> None:
    """Raise `InputError` with a setting's dotted name, the rule and the value found, unless `ok`."""
    require(ok, dotted_name(config, name), getattr(config, name), rule)


def demand_at_least(config: object, least: int, *names: str) -> None:
    """Raise `InputError` unless each named setting is a finite number of at least `least`."""
    for name in names:
        value = getattr(config, name)
        rule = (
            f"must be at least {least}" if isinstance(value, int) else f"must be finite and at least {least}"
        )
        demand(config, math.isfinite(value) and value >= least, name, rule)


def demand_positive(config: object, *names: str) -> None:
    """Raise `InputError` unless each named setting is a finite number above 0."""
    for name in names:
        value = getattr(config, name)
        demand(config, math.isfinite(value) and value > 0, name, "must be finite and positive")


def check_types(config: Any) -> None:
    """Raise `InputError` for the first setting of a dataclass whose value does not match its type hint."""
    for name, hint in hints_of(type(config)).items():
        value = getattr(config, name)
        if get_origin(hint) is Literal:
            ok, rule = value in get_args(hint), f"one of {', '.join(map(repr, get_args(hint)))}"
        elif is_axis(hint):
            ok, rule = isinstance(value, hint), f"a part of a kind in {', '.join(hint.kinds)}"
            if isinstance(value, dict) and value:
                rule += f", and its settings be given by names like {name}.{next(iter(value))}"
        elif isinstance(hint, type) and is_dataclass(hint):
            ok, rule = isinstance(value, hint), f"of type {hint.__name__}"
        else:
            ok, rule = fits(value, hint), RULES[hint]
        demand(config, ok, name, f"must be {rule}")


OrAuto = float | Literal["auto"]
"""Type of a setting that is a number, or `auto` for one that is found while training."""

RULES = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    float | None: "a number or None",
    OrAuto: "a number or 'auto'",
    str: "text",
    int | None: "a whole number or None",
    str | None: "text or None",
    tuple[int, ...]: "a tuple of whole numbers, such as `64,64`, or `64,` for one number",
    Table: "a dictionary with text as names and JSON values",
    Tables: "a tuple of dictionaries with text as names and JSON values",
}
"""Types that a setting may have beside literals, parts and dataclasses, and what an error calls them."""


def fits(value: Any, hint: Any) -> bool:
    """Whether a value matches a type in `RULES`; booleans and whole numbers beyond 64 bits do not."""
    if hint is bool:
        return isinstance(value, bool)
    if hint == tuple[int, ...]:
        return isinstance(value, tuple) and all(fits(item, int) for item in value)
    if hint == Tables:
        return isinstance(value, tuple) and all(fits(item, Table) for item in value)
    if hint == Table:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value) and _is_json(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return False
    if hint == OrAuto and value == "auto":
        return True
    kinds = {float: int | float, OrAuto: int | float, float | None: int | float | None}.get(hint, hint)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_json(value: Mapping[str, Any]) -> bool:
    """Whether JSON holds a dictionary; tuples become lists there."""
    try:
        json.dumps(dict(value))
    except (TypeError, ValueError):
        return False
    return True


def hints_of(kind: Any) -> Mapping[str, Any]:
    """Type hints of a dataclass's fields, by name, in their order."""
    return _hints_of(kind)


@functools.cache  # reading them takes a tenth of a millisecond and more
def _hints_of(kind: Any) -> Mapping[str, Any]:
    hints = get_type_hints(kind)
    return MappingProxyType({field.name: hints[field.name] for field in fields(kind)})


def is_axis(hint: Any) -> bool:
    """Whether a type hint is an axis, so that the setting is a part of one of its kinds."""
    return isinstance(hint, type) and issubclass(hint, Part) and not hasattr(hint, "kind")


def dotted_name(config: object, name: str) -> str:
    """Name of a setting in messages and tables: of a part, its axis comes first."""
    return f"{config.axis}.{name}" if isinstance(config, Part) else name
