"""Settings as data: to and from JSON, changed and listed by dotted names, such as `temperature.scale`."""

import ast
import difflib
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from virel_common.errors import InputError, require
from virel_deep.design.fields import Part, default_of, dotted_name, hints_of, is_axis

MANY = 5
"""Number of settings beyond which a message names those that are similar to what was found."""

Config = TypeVar("Config")


def encode(config: Any) -> dict[str, Any]:
    """Convert a dataclass of settings to plain JSON values; an exchangeable part records its kind."""
    out: dict[str, Any] = {"kind": config.kind} if isinstance(config, Part) else {}
    for name in hints_of(type(config)):
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
    if is_axis(kind):
        kinds: dict[str, Any] = kind.kinds  # type: ignore[attr-defined]
        found = values.get("kind")
        rule = f"must be one of {', '.join(kinds)} (one of your own must be defined before the run is read)"
        require(found in kinds, f"{name}.kind", found, rule)
        kind, values = kinds[str(found)], {key: value for key, value in values.items() if key != "kind"}
    hints = hints_of(kind)
    later = {one.name: default_of(one) for one in fields(kind) if one.metadata.get("added")}  # type: ignore[arg-type]
    values = later | values
    unknown, missing = sorted(set(values) - set(hints)), sorted(set(hints) - set(values))
    require(unknown == [], name, unknown, f"must have no settings but {', '.join(hints) or 'its kind'}")
    require(missing == [], name, sorted(values), f"must also have the settings {', '.join(missing)}")
    return kind(**{key: _decoded(hints[key], values[key], key) for key in hints})


def _decoded(hint: Any, value: object, name: str) -> object:
    if is_axis(hint) or is_dataclass(hint):
        return decode(hint, value, name)
    return tuple(value) if isinstance(value, list) else value


def additions(config: Any) -> dict[str, object]:
    """Defaults, by dotted name, of the settings that an older record of these settings may lack."""
    out: dict[str, object] = {}
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            out |= additions(value)
        elif one.metadata.get("added"):
            out[dotted_name(config, one.name)] = default_of(one)
    return out


def dotted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten encoded settings to dotted names: `{"temperature": "residual", "temperature.scale": 0.004}`."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            out |= {name if key == "kind" else f"{name}.{key}": x for key, x in dotted(value).items()}
        else:
            out[name] = value
    return out


def changed(config: Config, settings: Mapping[str, object]) -> Config:
    """Copy of a dataclass with some settings replaced: `{"gamma": 0.98, "temperature.scale": 0.01}`.

    A part is exchanged for another kind by its name (settings that are not given then have their defaults) or
    by a part as a whole. The name of the kind that it already has changes nothing.

    Raises:
        InputError: there is no such setting or kind, or a value breaks a rule.
    """
    hints = hints_of(type(config))
    whole = {name: value for name, value in settings.items() if "." not in name}
    inner: dict[str, dict[str, object]] = {}
    for name in settings.keys() - whole.keys():
        axis, _, setting = name.partition(".")
        inner.setdefault(axis, {})[setting] = settings[name]
    _require_names(config, [*whole, *inner])
    for name, value in whole.items():
        if is_axis(hints[name]) and isinstance(value, str):
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
    for name in names:
        if name not in hints_of(type(config)):
            known, found = [setting.name for setting in described(config)], dotted_name(config, name)
            if not known:
                raise InputError(_of_no_settings(config, name))
            words = found.replace(".", "_").split("_")
            alike = [one for one in known if one.rpartition(".")[2] in words]
            alike += [one for one in difflib.get_close_matches(found, known, n=3) if one not in alike]
            near = ", ".join(alike)
            similar = f"similar: {near}; " if near and len(known) > MANY else ""
            raise InputError(f"`settings` must name one of {', '.join(known)}; {similar}found {found!r}")


def _of_no_settings(part: Part, name: str) -> str:
    """Message on a setting of a part that has none, with the kinds that have it."""
    others = [kind for kind, one in part.kinds.items() if name in hints_of(one)]
    found = dotted_name(part, name)
    other = f"{part.axis}={' or '.join(others)} has {name}; " if others else ""
    return (
        f"`settings` must name none of {part.axis}, as {part.axis}={part.kind} has no settings; "
        f"{other}found {found!r}"
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
    for name in hints_of(type(config)):
        value = getattr(config, name)
        if isinstance(value, Part):
            yield Setting(name, value.kind, summary(type(value)))
            yield from _described(value)
        else:
            yield Setting(dotted_name(config, name), value, texts.get(name, ""))


def summary(kind: type[Part]) -> str:
    """First line of the docstring of a kind of part."""
    return inspect.cleandoc(kind.__doc__ or "").split("\n")[0]


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
