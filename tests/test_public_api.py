"""Public names: each documented with the label of what it computes, each reachable from `virel_theory`."""

import ast
import importlib
import re
from pathlib import Path

import pytest

import virel_theory

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
    "Solution": "the record that solvers return",
    "BatchSolution": "the record that the batched solver returns",
    "BoltzmannFixedPoints": "the record of a search",
    "checked": "raises a solver's error",
    "SoftValues": "the record that soft value iteration returns",
    "as_action_values": "an input check",
    "Gaussian": "a density's parameters",
    "Uniform": "a density's parameters",
    "Atom": "a density's parameters",
    "Mixture": "a density's parameters",
}
INTERNAL = {
    "as_action_values": "input check that several modules share",
    "action_mean": "building block of the gradients",
    "mean_over_pairs": "building block of the gradients",
    "as_jacobian": "input check of the gradients",
    "as_jacobian_of": "input check of the gradients",
    "finite": "input conversion of the gradients",
    "one_hot_argmax": "building block of the gradients",
    "checked": "how solvers return",
    "has_atom": "question that the continuous objective asks of a policy",
}
"""Public in their module, not exported from the package, and why."""


def public_definitions(package):
    """`{module: {name: first docstring line}}` of the functions and classes without underscore."""
    out = {}
    for path in sorted(package.glob("[!_]*.py")):
        if path.stem != "cli":  # the command line: no mathematics
            tree = ast.parse(path.read_text())
            out[path.stem] = {
                node.name: (ast.get_docstring(node) or "").split("\n")[0]
                for node in tree.body
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            }
    return out


def unlabelled(package, *, exempt=()):
    """`module.name: first line` of every public name whose first docstring line does not end with a label."""
    return [
        f"{module}.{name}: {line!r}"
        for module, names in public_definitions(package).items()
        for name, line in names.items()
        if name not in exempt and not LABEL.search(line)
    ]


def test_the_first_docstring_line_of_every_public_name_ends_with_its_label():
    assert unlabelled(PACKAGE, exempt=UNLABELLED) == []


@pytest.mark.parametrize("body", ["pass", '"""A target."""', '"""A target.\n\n    Eq. (3).\n    """'])
def test_a_planted_name_without_a_label_is_found(tmp_path, body):
    (tmp_path / "targets.py").write_text(f"def td_target():\n    {body}\n\n\ndef _private():\n    pass\n")
    (found,) = unlabelled(tmp_path)
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


def test_every_public_name_is_exported_or_listed_as_internal():
    defined = {name: module for module, names in public_definitions(PACKAGE).items() for name in names}
    forgotten = sorted(set(defined) - set(virel_theory.__all__) - set(INTERNAL))
    assert forgotten == []
    assert set(INTERNAL).isdisjoint(virel_theory.__all__)


def test_exemptions_name_things_that_exist():
    defined = {name for names in public_definitions(PACKAGE).values() for name in names}
    assert sorted(({*UNLABELLED} | {*INTERNAL}) - defined) == []


@pytest.mark.parametrize("name", virel_theory.__all__)
def test_every_exported_name_exists(name):
    assert getattr(virel_theory, name) is not None


def test_exports_for_type_checkers_and_at_run_time_are_the_same():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    typed = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("virel_theory.")
        for alias in node.names
    }
    assert typed == {name: f"virel_theory.{module}" for name, module in virel_theory._MODULE_OF.items()}
    assert len(set(virel_theory.__all__)) == len(virel_theory.__all__)


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        virel_theory.no_such_name  # noqa: B018


def test_every_name_in_a_modules_own_list_exists():
    for path in PACKAGE.glob("[!_]*.py"):
        module = importlib.import_module(f"virel_theory.{path.stem}")
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{path.stem}.{name}"
