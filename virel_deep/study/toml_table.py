"""Checked reading of TOML tables: values are read by type, and keys that were never read are errors."""

from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any, overload

from virel_common.errors import InputError, require

REQUIRED: Any = object()
"""Default of a key that must be there."""
CHOICES_SHOWN = 12


def reject_dates(value: object, place: str, path: str = "") -> None:
    """Raise `InputError` for the first date or time in parsed TOML, which no setting takes and JSON lacks."""
    rule = "must be text, a number, a truth value, a list or a table"
    require(not isinstance(value, date | time), f"{place}: {path}", str(value), rule)
    if isinstance(value, dict):
        for key, inner in value.items():
            reject_dates(inner, place, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            reject_dates(inner, place, f"{path}[{i}]")


class Table:
    """TOML table with type-checked access; its errors name file, key, rule and value found.

    Args:
        values: the parsed table.
        place: where it stands: the file.
        path: dotted name within the file, empty for the whole.

    Example:
        >>> Table({"steps": 0}, "study.toml").count("steps")
        Traceback (most recent call last):
        ...
        virel_common.errors.InputError: `study.toml: steps` must be a whole number of at least 1; found 0
    """

    def __init__(self, values: Mapping[str, Any], place: str, path: str = "") -> None:
        """Wrap a parsed TOML table of which no key has been read yet."""
        self.values, self.place, self.path = values, place, path
        self._taken: set[str] = set()

    def name(self, key: str) -> str:
        """Name of a TOML key in error messages: file, table and key."""
        return f"{self.place}: {self.path}{key}"

    def raw(self, key: str, default: Any = None) -> Any:
        """Return a key's value without checking it, and without marking the key as read."""
        return self.values.get(key, default)

    def take(self, key: str, default: Any = REQUIRED) -> Any:
        """Return a key's value unchecked, or the default if the key is missing; mark it as read.

        Raises:
            InputError: a required key is missing.
        """
        self._taken.add(key)
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise InputError(f"`{self.name(key)}` must be given: the key is missing")
        return default

    def text(self, key: str, default: str = REQUIRED) -> str:
        """Read a non-empty string in one line from a TOML table."""
        value = self.take(key, default)
        require(isinstance(value, str) and value.strip() != "", self.name(key), value, "must be text")
        require(len(value.splitlines()) == 1, self.name(key), value, "must be one line")
        return str(value)

    def texts(self, key: str, default: tuple[str, ...] = REQUIRED) -> tuple[str, ...]:
        """Read a non-empty list of different strings from a TOML table."""
        value = self.take(key, default)
        if key not in self.values:
            return default
        listed = isinstance(value, list) and value != [] and all(isinstance(one, str) for one in value)
        require(listed, self.name(key), value, "must be a list of texts, and not empty")
        self.differ(key, value, "must all be different")
        return tuple(value)

    def seeds(self, key: str) -> tuple[int, ...]:
        """Read a list of different non-negative whole numbers from a TOML table."""
        value = self.take(key)
        listed = value != [] and all(type(one) is int and one >= 0 for one in value)
        require(listed, self.name(key), value, "must be a list of whole numbers, none of them negative")
        self.differ(key, value, "must all be different")
        return tuple(value)

    def count(self, key: str, default: int = REQUIRED) -> int:
        """Read a whole number of at least 1 from a TOML table."""
        value = self.take(key, default)
        counts = type(value) is int and value >= 1
        require(counts, self.name(key), value, "must be a whole number of at least 1")
        return int(value)

    @overload
    def number(self, key: str) -> float: ...
    @overload
    def number(self, key: str, default: float) -> float: ...
    @overload
    def number(self, key: str, default: None) -> float | None: ...
    def number(self, key: str, default: float | None = REQUIRED) -> float | None:
        """Read a finite number from a TOML table."""
        value = self.take(key, default)
        if key not in self.values:
            return default
        finite = type(value) in {int, float} and abs(value) < float("inf")
        require(finite, self.name(key), value, "must be a finite number")
        return float(value)

    def truth(self, key: str, *, default: bool) -> bool:
        """Read a boolean from a TOML table."""
        value = self.take(key, default)
        require(isinstance(value, bool), self.name(key), value, "must be true or false")
        return bool(value)

    def choice(self, key: str, known: Sequence[str], default: Any = REQUIRED) -> Any:
        """Read a string that must be one of the known choices from a TOML table."""
        value = self.take(key, default)
        rule = f"must be one of {', '.join(known[:CHOICES_SHOWN])}{', ...' * (len(known) > CHOICES_SHOWN)}"
        require(isinstance(value, str) and value in known, self.name(key), value, rule)
        return value

    def table(self, key: str) -> "Table":
        """Read a sub-table of a TOML table; an empty one if the key is missing."""
        value = self.take(key, {})
        require(isinstance(value, dict), self.name(key), value, f"must be a table, as in [{self.path}{key}]")
        return Table(value, self.place, f"{self.path}{key}.")

    def tables(self, key: str) -> dict[str, "Table"]:
        """Read all sub-tables under a key of a TOML table, by name."""
        inside = self.table(key)
        return {name: inside.table(name) for name in inside.values}

    def list_of_tables(self, key: str) -> list["Table"]:
        """Read an array of tables, written `[[key]]` in TOML; an empty list if the key is missing."""
        value = self.take(key, [])
        listed = isinstance(value, list) and all(isinstance(one, dict) for one in value)
        require(listed, self.name(key), value, f"must be tables, as in [[{self.path}{key}]]")
        return [Table(one, self.place, f"{self.path}{key}[{i}].") for i, one in enumerate(value)]

    def keep_all(self) -> dict[str, Any]:
        """Return all values of a TOML table and mark every key as read; settings are checked later."""
        self._taken |= set(self.values)
        return dict(self.values)

    def differ(self, key: str, values: Sequence[Any], rule: str) -> None:
        """Raise `InputError` if two values of a list in a TOML table are equal."""
        require(len(set(values)) == len(values), self.name(key), list(values), rule)

    def no_other_keys(self) -> None:
        """Raise `InputError` for the first key of a TOML table that was never read."""
        for key in self.values:
            rule = f"must be one of {', '.join(sorted(self._taken))}"
            require(key in self._taken, f"{self.place}: key in {self.path[:-1] or 'the file'}", key, rule)
