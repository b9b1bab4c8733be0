"""Every public name has an example in its docstring, and every one of them runs (`--doctest-modules`).

And what `make docs` refuses in a docstring, as it is not part of `make test`.
"""

import ast
import importlib
from pathlib import Path
from typing import NamedTuple

import pytest

import verify.strategies

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("virel_theory", "verify", "virel_deep")


def public(package):
    """Public names of a package, as its `__init__.pyi` lists them, with what each stands for."""
    module = importlib.import_module(package)
    stub = ast.parse(Path(module.__file__).with_name("__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: getattr(module, alias.name) for node in imports for alias in node.names}


def strategies():
    found = vars(verify.strategies).items()
    ours = {name: one for name, one in found if getattr(one, "__module__", "") == verify.strategies.__name__}
    return {name: one for name, one in ours.items() if not name.startswith("_")}


def without_example(names):
    """Names of functions and classes whose own docstring shows no call."""
    return [name for name, found in names.items() if callable(found) and ">>>" not in (found.__doc__ or "")]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_has_an_example(package):
    names = public(package)
    assert len(names) >= 8
    assert without_example(names) == []


def test_every_strategy_has_an_example():
    assert "mdps" in strategies()
    assert without_example(strategies()) == []


def described_twice(names):
    """Named tuples with a list of attributes; Sphinx describes their fields by themselves, too."""
    tuples = {name: found for name, found in names.items() if hasattr(found, "_fields")}
    return [name for name, found in tuples.items() if "Attributes:" in (found.__doc__ or "")]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_field_of_a_named_tuple_is_described_twice(package):
    assert described_twice(public(package)) == []


def test_a_named_tuple_with_a_list_of_attributes_is_found():
    class Pair(NamedTuple):
        """A pair.

        Attributes:
            first: the first.
        """

        first: int

    assert described_twice({"Pair": Pair, "int": int}) == ["Pair"]


def test_no_example_is_skipped():
    files = [path for package in (*PACKAGES, "virel_common") for path in (ROOT / package).rglob("*.py")]
    assert [path.name for path in files if "doctest: +SKIP" in path.read_text()] == []


def test_a_name_without_an_example_is_found():
    def bare():
        """Does nothing."""

    def shown():
        """Does nothing.

        Example:
            >>> shown()
        """

    assert without_example({"bare": bare, "shown": shown, "number": 3}) == ["bare"]
