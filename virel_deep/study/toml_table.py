"""Checked reading of TOML tables: values are taken by type, and keys that nobody took are unknown."""

from collections.abc import Mapping, Sequence
from typing import Any, overload

from virel_common.errors import InputError, require

REQUIRED: Any = object()
"""Default of a key that must be there."""
CHOICES_SHOWN = 12


class Table:
    """A TOML table whose messages name file, key, rule and found value.

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
        """Wrap a parsed table of which no key has been taken yet."""
        self.values, self.place, self.path = values, place, path
        self._taken: set[str] = set()

    def name(self, key: str) -> str:
        """Name of a key in messages: file, table and key."""
        return f"{self.place}: {self.path}{key}"

    def raw(self, key: str, default: Any = None) -> Any:
        """Look at a value without checking or taking it."""
        return self.values.get(key, default)

    def take(self, key: str, default: Any = REQUIRED) -> Any:
        """Take a value unchecked, or the default where its key is missing.

        Raises:
            InputError: a required key is missing.
        """
        self._taken.add(key)
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise InputError(f"`{self.name(key)}` must be given")
        return default

    def text(self, key: str, default: str = REQUIRED) -> str:
        """Take a text that is not empty."""
        value = self.take(key, default)
        require(isinstance(value, str) and value.strip() != "", self.name(key), value, "must be text")
        return str(value)

    def texts(self, key: str, default: tuple[str, ...] = REQUIRED) -> tuple[str, ...]:
        """Take a list of different texts."""
        value = self.take(key, default)
        if key not in self.values:
            return default
        listed = isinstance(value, list) and value != [] and all(isinstance(one, str) for one in value)
        require(listed, self.name(key), value, "must be a list of texts")
        self.differ(key, value, "must differ")
        return tuple(value)

    def seeds(self, key: str) -> tuple[int, ...]:
        """Take a list of different whole numbers, none of them negative."""
        value = self.take(key)
        listed = value != [] and all(type(one) is int and one >= 0 for one in value)
        require(listed, self.name(key), value, "must be whole numbers that are not negative")
        self.differ(key, value, "must differ")
        return tuple(value)

    def count(self, key: str, default: int = REQUIRED) -> int:
        """Take a whole number of at least 1."""
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
        """Take a finite number."""
        value = self.take(key, default)
        if key not in self.values:
            return default
        finite = type(value) in {int, float} and abs(value) < float("inf")
        require(finite, self.name(key), value, "must be a finite number")
        return float(value)

    def truth(self, key: str, *, default: bool) -> bool:
        """Take a truth value."""
        value = self.take(key, default)
        require(isinstance(value, bool), self.name(key), value, "must be true or false")
        return bool(value)

    def choice(self, key: str, known: Sequence[str], default: Any = REQUIRED) -> Any:
        """Take a text that is one of the known ones."""
        value = self.take(key, default)
        rule = f"must be one of {', '.join(known[:CHOICES_SHOWN])}{', ...' * (len(known) > CHOICES_SHOWN)}"
        require(isinstance(value, str) and value in known, self.name(key), value, rule)
        return value

    def table(self, key: str) -> "Table":
        """Take a table within this one; an empty table where the key is missing."""
        value = self.take(key, {})
        require(isinstance(value, dict), self.name(key), value, f"must be a table, as in [{self.path}{key}]")
        return Table(value, self.place, f"{self.path}{key}.")

    def tables(self, key: str) -> dict[str, "Table"]:
        """Take all tables within the table of a key, by their names."""
        inside = self.table(key)
        return {name: inside.table(name) for name in inside.values}

    def list_of_tables(self, key: str) -> list["Table"]:
        """Take the list of tables written as `[[key]]`; an empty list where the key is missing."""
        value = self.take(key, [])
        listed = isinstance(value, list) and all(isinstance(one, dict) for one in value)
        require(listed, self.name(key), value, f"must be tables, as in [[{self.path}{key}]]")
        return [Table(one, self.place, f"{self.path}{key}[{i}].") for i, one in enumerate(value)]

    def keep_all(self) -> dict[str, Any]:
        """Take all values, whatever their names; the algorithm checks them as settings."""
        self._taken |= set(self.values)
        return dict(self.values)

    def differ(self, key: str, values: Sequence[Any], rule: str) -> None:
        """Raise `InputError` where a value comes twice."""
        require(len(set(values)) == len(values), self.name(key), list(values), rule)

    def no_other_keys(self) -> None:
        """Raise `InputError` for the first key that nobody took."""
        for key in self.values:
            rule = f"must be one of {', '.join(sorted(self._taken))}"
            require(key in self._taken, f"{self.place}: key in {self.path[:-1] or 'the file'}", key, rule)
