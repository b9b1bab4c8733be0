"""Public names: each documented with the label of what it computes, each reachable from `virel_theory`."""

import ast
import re
from pathlib import Path

import pytest

import virel_theory
from virel_common.errors import InputError

PACKAGE = Path(virel_theory.__file__).parent

LABEL = re.compile(
    r"(?:\b(?:talk|poster)(?:, [^$`]+)?"
    r"|(?:Eqs?\. \(\d|Thm \d|Lemma \d|Cor\. \d|Def\. \d|Assumption \d|App\. [A-H]|Section \d|Algorithm \d"
    r"|Chapter \d|\b(?:19|20)\d\d)(?:[ ,.;()&\d-]|[ivx]+\)|\band\b|[A-Z][\w']*)*)\.$"
)
"""A reference that ends the first line: of the paper, its talk or poster, or a work with its year."""

UNLABELLED = {
    "EMStep": "the record of one iteration of EM",
    "Status": "how a solver ended: no mathematical object",
    "SolverError": "an error",
    "SolverInterrupted": "an error",
    "InputError": "an error",
    "Progress": "what a running solve tells",
    "ThreadUse": "how many threads a solve used",
    "Solution": "the record that solvers return",
    "BoundedSolution": "the record of reachability and shortest paths",
    "FiniteHorizonSolution": "the record of a finite horizon",
    "AverageSolution": "the record of an average reward",
    "BatchSolution": "the record that the batched solver returns",
    "BoltzmannFixedPoints": "the record of a search",
    "Gaussian": "a density's parameters",
    "Uniform": "a density's parameters",
    "Atom": "a density's parameters",
    "Mixture": "a density's parameters",
}


def exported_definitions(package, exported):
    """`{module: {name: first docstring line}}` of the functions and classes that the package exports."""
    out = {}
    for path in sorted(package.rglob("[!_]*.py")):
        tree = ast.parse(path.read_text())
        out[".".join(path.relative_to(package).with_suffix("").parts)] = {
            node.name: (ast.get_docstring(node) or "").split("\n")[0]
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in exported
        }
    return out


def unlabelled(package, exported, *, exempt=()):
    """`module.name: first line` of every exported name whose first docstring line has no label at its end."""
    return [
        f"{module}.{name}: {line!r}"
        for module, names in exported_definitions(package, exported).items()
        for name, line in names.items()
        if name not in exempt and not LABEL.search(line)
    ]


def test_the_first_docstring_line_of_every_public_name_ends_with_its_label():
    assert unlabelled(PACKAGE, virel_theory.__all__, exempt=UNLABELLED) == []


@pytest.mark.parametrize("body", ["pass", '"""A target."""', '"""A target.\n\n    Eq. (3).\n    """'])
def test_a_planted_name_without_a_label_is_found(tmp_path, body):
    (tmp_path / "targets.py").write_text(f"def td_target():\n    {body}\n\n\ndef _private():\n    pass\n")
    (found,) = unlabelled(tmp_path, {"td_target"})
    assert found.startswith("targets.td_target")


@pytest.mark.parametrize(
    "line",
    [
        "Boltzmann policy, Eq. (3).",
        "Both steps, Eqs. (39)-(40).",
        "Derivative of the policy, the corrected Thm 4.",
        "Target set, Def. 2.",
        "Values, Puterman 1994, Section 6.6.",
        "Garnet, Archibald et al. 1995.",
        "MERL's choice, talk, MERL counterexample.",
        "Tangent projection, App. F.1.",
    ],
)
def test_labels_of_every_kind_are_recognised(line):
    assert LABEL.search(line)


@pytest.mark.parametrize(
    "line",
    ["", "Greedy policy.", "Policy, Eq. (22)", "As in Eq. (22), $x$.", "Uses App. B", "Eq. (3) is a policy."],
)
def test_a_first_line_without_a_label_at_its_end_is_not_accepted(line):
    assert not LABEL.search(line)


def test_exemptions_name_things_that_exist():
    assert sorted({*UNLABELLED} - {*virel_theory.__all__}) == []


@pytest.mark.parametrize("name", virel_theory.__all__)
def test_every_exported_name_exists(name):
    assert getattr(virel_theory, name) is not None


def test_no_name_is_exported_twice_and_each_comes_from_where_it_is_defined():
    tree = ast.parse((PACKAGE / "__init__.pyi").read_text())
    listed = [(node.module, alias.name) for node in tree.body[1:] for alias in node.names]
    names = [name for _, name in listed]
    assert sorted(names) == sorted(set(names)) == sorted(virel_theory.__all__)
    defined = exported_definitions(PACKAGE, virel_theory.__all__)
    elsewhere = [(module, name) for module, name in listed if name not in defined.get(module, ())]
    assert elsewhere == [("checks", "InputError")]  # the whole house's, defined in virel_common.errors
    assert virel_theory.InputError is InputError


def test_no_module_keeps_a_list_of_public_names_of_its_own():
    lists = [path for path in PACKAGE.rglob("*.py") if "__all__ =" in path.read_text()]
    assert lists == [PACKAGE / "__init__.py"]  # it takes the names from the stub


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        virel_theory.no_such_name  # noqa: B018
