"""Checked, nested settings in dataclasses: types from the hints, dotted names, conversion to and from JSON.

A `Part` is a dataclass of settings that is one of several *kinds* for the same place, its *axis*. A setting
of a part is called by its dotted name, `axis.setting`, in messages, on the command line and in tables.
"""

import ast
import difflib
import inspect
import json
import math
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from dataclasses import field as new_field
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from virel_common.errors import InputError, require


class Part:
    """Base class of an algorithm's exchangeable parts: a subclass is a design axis, its subclasses are kinds.

    Example:
        >>> from dataclasses import dataclass
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

    def fit(self, others: Mapping[str, "Part"]) -> None:
        """Raise `InputError` if this part can't work with the other parts; by default it can."""


MANY = 5
"""Number of settings beyond which a message names those that are similar to what was found."""

Config = TypeVar("Config")
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


def additions(config: Any) -> dict[str, object]:
    """Defaults, by dotted name, of the settings that an older record of these settings may lack."""
    out: dict[str, object] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            out |= additions(value)
        elif one.metadata.get("added"):
            out[_dotted(config, one.name)] = _default(one)
    return out


def _default(one: Any) -> Any:
    """Default of a dataclass's field, made anew if it is a dictionary."""
    return one.default if one.default is not MISSING else one.default_factory()


def demand(config: object, ok: bool, name: str, rule: str) -> None:
    """Raise `InputError` with a setting's dotted name, the rule and the value found, unless `ok`."""
    require(ok, _dotted(config, name), getattr(config, name), rule)


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
    for name, hint in _hints(type(config)).items():
        value = getattr(config, name)
        if get_origin(hint) is Literal:
            fits, rule = value in get_args(hint), f"one of {', '.join(map(repr, get_args(hint)))}"
        elif _is_axis(hint):
            fits, rule = isinstance(value, hint), f"a part of a kind in {', '.join(hint.kinds)}"
        elif isinstance(hint, type) and is_dataclass(hint):
            fits, rule = isinstance(value, hint), f"of type {hint.__name__}"
        else:
            fits, rule = _fits(value, hint), RULES[hint]
        demand(config, fits, name, f"must be {rule}")


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
    tuple[int, ...]: "a tuple of whole numbers",
    Table: "a dictionary with text as names and JSON values",
    Tables: "a tuple of dictionaries with text as names and JSON values",
}
"""Types that a setting may have beside literals, parts and dataclasses, and what an error calls them."""


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value matches a type in `RULES`; booleans and whole numbers beyond 64 bits do not."""
    if hint is bool:
        return isinstance(value, bool)
    if hint == tuple[int, ...]:
        return isinstance(value, tuple) and all(_fits(item, int) for item in value)
    if hint == Tables:
        return isinstance(value, tuple) and all(_fits(item, Table) for item in value)
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


def encode(config: Any) -> dict[str, Any]:
    """Convert a dataclass of settings to plain JSON values; an exchangeable part records its kind."""
    out: dict[str, Any] = {"kind": config.kind} if isinstance(config, Part) else {}
    for name in _hints(type(config)):
        value = getattr(config, name)
        plain = (
            list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
        )
        out[name] = encode(value) if is_dataclass(value) else plain
    return out


def decode(kind: type[Config], values: object, name: str) -> Config:
    """Convert plain JSON values back to a dataclass of settings; `name` stands for it in error messages.

    Raises:
        InputError: a setting is unknown or missing, or a value has the wrong type or breaks a rule.
    """
    require(isinstance(values, dict), name, values, "must be a JSON object of settings")
    assert isinstance(values, dict)
    if _is_axis(kind):
        kinds: dict[str, Any] = kind.kinds  # type: ignore[attr-defined]
        found = values.get("kind")
        require(found in kinds, f"{name}.kind", found, f"must be one of {', '.join(kinds)}")
        kind, values = kinds[str(found)], {key: value for key, value in values.items() if key != "kind"}
    hints = _hints(kind)
    later = {one.name: _default(one) for one in fields(kind) if one.metadata.get("added")}  # type: ignore[arg-type]
    values = later | values
    unknown, missing = sorted(set(values) - set(hints)), sorted(set(hints) - set(values))
    require(unknown == [], name, unknown, f"must have no settings but {', '.join(hints) or 'its kind'}")
    require(missing == [], name, sorted(values), f"must also have the settings {', '.join(missing)}")
    return kind(**{key: _decoded(hints[key], values[key], key) for key in hints})


def _decoded(hint: Any, value: object, name: str) -> object:
    if _is_axis(hint) or is_dataclass(hint):
        return decode(hint, value, name)
    return tuple(value) if isinstance(value, list) else value


def changed(config: Config, settings: Mapping[str, object]) -> Config:
    """Copy of a dataclass with some settings replaced: `{"gamma": 0.98, "temperature.scale": 0.01}`.

    A part is exchanged for another kind by its name (settings that are not given then have their defaults) or
    by a part as a whole. The name of the kind that it already has changes nothing.

    Raises:
        InputError: there is no such setting or kind, or a value breaks a rule.
    """
    hints = _hints(type(config))
    whole = {name: value for name, value in settings.items() if "." not in name}
    inner: dict[str, dict[str, object]] = {}
    for name in settings.keys() - whole.keys():
        axis, _, setting = name.partition(".")
        inner.setdefault(axis, {})[setting] = settings[name]
    _require_names(config, [*whole, *inner])
    for name, value in whole.items():
        if _is_axis(hints[name]) and isinstance(value, str):
            kinds = hints[name].kinds
            require(value in kinds, name, value, f"must be one of {', '.join(kinds)}")
            now = getattr(config, name)
            whole[name] = now if value == now.kind else kinds[value]()
    for name, of_part in inner.items():
        part = whole.get(name, getattr(config, name))
        if not is_dataclass(part):
            raise InputError(
                f"`{name}` must be set as a whole: it has no settings; found {_named(name, of_part)}"
            )
        assert not isinstance(part, type)
        _require_names(part, list(of_part))
        whole[name] = changed(part, of_part)
    return replace(config, **whole)  # type: ignore[type-var]


def _named(axis: str, settings: Mapping[str, object]) -> str:
    return ", ".join(repr(f"{axis}.{name}") for name in settings)


def _require_names(config: Any, names: list[str]) -> None:
    known = [setting.name for setting in described(config)]
    for name in names:
        if name not in _hints(type(config)):
            found = _dotted(config, name)
            words = found.replace(".", "_").split("_")
            alike = [one for one in known if one.rpartition(".")[2] in words]
            alike += [one for one in difflib.get_close_matches(found, known, n=3) if one not in alike]
            near = ", ".join(alike)
            similar = f"similar: {near}; " if near and len(known) > MANY else ""
            raise InputError(
                f"`settings` must name one of {', '.join(known) or 'the settings, but there are none'}; "
                f"{similar}found {found!r}"
            )


class Setting(NamedTuple):
    """Name, value and meaning of one setting, for tables and messages."""

    name: str
    """Dotted name, as `changed` takes it."""
    value: object
    """The value; for a part, its kind."""
    meaning: str
    """The string that stands under the field; for a part, the first line of its kind's docstring."""


def described(config: Any) -> list[Setting]:
    """List every setting of a dataclass with its meaning; a part's own settings follow the part."""
    return list(_described(config))


def _described(config: Any) -> Iterator[Setting]:
    texts = meanings(type(config))
    for name in _hints(type(config)):
        value = getattr(config, name)
        if isinstance(value, Part):
            yield Setting(name, value.kind, inspect.cleandoc(type(value).__doc__ or "").split("\n")[0])
            yield from _described(value)
        else:
            yield Setting(_dotted(config, name), value, texts.get(name, ""))


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten encoded settings to dotted names: `{"temperature": "residual", "temperature.scale": 0.004}`."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= {name if key == "kind" else f"{name}.{key}": x for key, x in dotted(value).items()}
        else:
            out[name] = value
    return out


def meanings(kind: Any) -> dict[str, str]:
    """Read the field docstrings of a dataclass from its source, by field; empty without source."""
    out: dict[str, str] = {}
    bases: list[Any] = [base for base in kind.__mro__ if is_dataclass(base)]
    for one in reversed(bases):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        except (OSError, TypeError, SyntaxError):  # a class typed in by hand
            continue
        (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
        for field, text in pairwise(body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                out[field.target.id] = " ".join(str(text.value.value).split())
    return out


def _hints(kind: Any) -> dict[str, Any]:
    """Type hints of a dataclass's fields, by name, in their order."""
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _is_axis(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Part) and not hasattr(hint, "kind")


def _dotted(config: object, name: str) -> str:
    return f"{config.axis}.{name}" if isinstance(config, Part) else name
