"""Layers, circles and surprises of imports: contracts in pyproject.toml, and rules that contracts lack."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("virel_common", "virel_theory", "verify", "virel_deep")
FORBIDDEN = {
    "virel_common": {"virel_theory", "verify", "virel_deep", "torch", "numpy", "scipy", "numba"},
    "virel_theory": {"verify", "virel_deep", "torch"},
    "virel_deep": {"virel_theory", "verify"},
    "verify": {"virel_deep", "torch"},
}
"""What no file of a package may import, not even by `import_module`, which import-linter does not see."""
KERNELS = "virel_common/compiled.py"
"""The decorator of kernels: it may import numba, and all kernels take `njit` from it."""
BRIDGE = "verify/claims/deep/"
"""Files that compare the two codes: they may import what `verify` may not, inside functions only."""
LARGEST_FOLDER = 20
NAMES = slice(15, 57)
"""Columns of the layers' names in docs/architecture.md: before them stands the package, after them a note."""


# Contracts of import-linter


def lint_imports(root, *options):
    """Check the contracts of the tree below `root`; return what it printed."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", *options]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == int("BROKEN" in done.stdout), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the packages and their contracts, to plant imports in."""
    root = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", root)
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            copy = root / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return root


@pytest.fixture
def plant(tree):
    """A function that appends source to a module of the copy, undone after the test."""
    before = {}

    def append(module, source):
        stem = tree.joinpath(*module.split("."))
        path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
        before[path] = path.read_text()
        path.write_text(before[path] + "\n" + source + "\n")

    yield append
    for path, text in before.items():
        path.write_text(text)


def test_every_contract_is_kept():
    found = lint_imports(ROOT)
    assert "0 broken" in found, found


@pytest.mark.parametrize(
    ("contract", "module", "imported"),
    [
        ("packages", "virel_common.errors", "virel_theory.checks"),
        ("packages", "virel_theory.checks", "verify.engine.claim"),
        ("packages", "virel_deep.streams", "virel_theory.checks"),
        ("packages", "virel_theory.checks", "virel_deep.streams"),
        ("bridge", "verify.engine.runner", "virel_deep.streams"),
        ("bridge", "verify.claims.optima.theorem_2", "virel_deep.streams"),
        ("recheck", "verify.recheck", "virel_theory.checks"),
        ("theory", "virel_theory.mdp.tabular", "virel_theory.solvers.solve"),
        ("theory", "virel_theory.gradients.projection", "virel_theory.objective.elbo"),
        ("verify", "verify.engine.claim", "verify.proofs.certificate"),
        ("verify", "verify.recheck", "verify.arithmetic.exact"),
        ("verify", "verify.proofs.certificate", "verify.claims.optima.theorem_2"),
        ("deep", "virel_deep.streams", "virel_deep.design.presets"),
        ("deep", "virel_deep.networks.stacks", "virel_deep.run.folder"),
        ("circles", "virel_deep.storage.chunks", "virel_deep.storage.checkpoint"),
        ("circles", "verify.engine.claim", "verify.engine.runner"),
    ],
)
def test_a_planted_import_breaks_its_contract(tree, plant, contract, module, imported):
    plant(module, f"def _planted():\n    import {imported}")
    assert "BROKEN" in lint_imports(tree, "--contract", contract)


def test_an_import_for_types_alone_breaks_no_contract(tree, plant):
    plant(
        "virel_theory.checks",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import verify.engine.claim",
    )
    assert "0 broken" in lint_imports(tree, "--contract", "packages")


@pytest.mark.parametrize("package", ["virel_theory", "verify", "virel_deep"])
def test_a_new_folder_needs_a_place_in_the_order(tree, package):
    folder = tree / package / "planted"
    folder.mkdir()
    (folder / "__init__.py").touch()
    try:
        found = lint_imports(tree, "--contract", package.removeprefix("virel_"))
    finally:
        shutil.rmtree(folder)
    assert "BROKEN" in found
    assert f"{package}.planted" in found


def layers_on_the_page():
    """Layers of each package, from the top down, as docs/architecture.md lists them."""
    block = (ROOT / "docs/architecture.md").read_text().split("## Layers")[1].split("```")[1]
    found, package = {}, ""
    for line in filter(str.strip, block.splitlines()):
        package = line[: NAMES.start].strip() or package
        found.setdefault(package, []).append(set(line[NAMES].split()))
    return found


def test_the_page_on_architecture_lists_the_layers_of_the_contracts():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {c["containers"][0]: c["layers"] for c in contracts if "containers" in c}
    pages = layers_on_the_page()
    assert set(pages) == {"virel_theory", "verify", "virel_deep"}
    for package, listed in pages.items():
        assert listed == [set(re.findall(r"\w+", layer)) for layer in layers[package]], package


# Rules of our own


def violations(root):
    """`FILE:LINE: what`, for every broken rule in the packages under `root`."""
    return [
        f"{path.relative_to(root).as_posix()}:{line}: {what}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for line, what in _of_file(path, path.relative_to(root).as_posix(), package)
    ]


def _of_file(path, name, package):
    tree = ast.parse(path.read_text())
    lazy = {id(node) for function in _functions(tree) for node in ast.walk(function)}
    for node in ast.walk(tree):
        for module in _imported(node):
            top = module.split(".")[0]
            allowed = (name.startswith(BRIDGE) and id(node) in lazy) or (
                name == KERNELS and top in {"numba", "numpy"}
            )
            if top in FORBIDDEN[package] and not allowed:
                yield node.lineno, f"{package} must not import {module}"
            if module == "numba" and name != KERNELS and any(x.name == "njit" for x in node.names):
                yield (
                    node.lineno,
                    f"`njit` is that of {KERNELS}: numba's cache does not see what a kernel calls",
                )
            if top in {"pickle", "cPickle", "cloudpickle", "dill", "shelve"}:
                yield node.lineno, f"no pickle: imports {module}"
        if (
            isinstance(node, ast.keyword)
            and node.arg in {"allow_pickle", "fastmath"}
            and not _is_false(node.value)
        ):
            yield node.value.lineno, f"`{node.arg}` may only be False"


def _is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


def _functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _imported(node):
    """Absolute names that a node imports; a relative import never leaves its package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [] if node.level else [node.module]
    if isinstance(node, ast.Call) and _callee(node) in {"import_module", "__import__"} and node.args:
        return [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
    return []


def _callee(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def test_no_module_breaks_a_rule():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("virel_common/a.py", "import numpy"),
        ("virel_theory/a.py", "def f():\n    from torch import nn"),
        ("virel_theory/a.py", "import importlib\nimportlib.import_module('torch')"),
        ("virel_deep/a.py", "import importlib\nimportlib.import_module('virel_theory.checks')"),
        ("virel_theory/a.py", "import verify.engine.claim"),
        ("verify/engine/runner.py", "import torch"),
        ("verify/claims/deep/losses.py", "import virel_deep.axes.losses"),
        ("verify/a.py", "import pickle"),
        ("virel_deep/a.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("virel_theory/a.py", "from numba import njit"),
        ("virel_theory/a.py", "@njit(cache=True, fastmath=True)\ndef f(x):\n    return x"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, path, source):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source + "\n")
    (found,) = violations(tmp_path)
    assert found.startswith(path)


def test_a_claim_about_the_deep_code_may_import_it_inside_a_function(tmp_path):
    file = tmp_path / BRIDGE / "losses.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import virel_theory\n\n\ndef gap():\n    import torch\n    import virel_deep.axes.losses\n"
    )
    assert violations(tmp_path) == []


# Size of folders, names listed once


def too_large(root):
    """`folder: files` of every folder with too many files beside its sub-folders; tests are free."""
    folders = {
        path.parent for top in (*PACKAGES, "docs", "examples", "results") for path in files(root / top)
    }
    counts = {folder: sum(path.parent == folder for path in files(folder)) for folder in folders}
    return [f"{folder.relative_to(root)}: {n}" for folder, n in sorted(counts.items()) if n > LARGEST_FOLDER]


MADE = {"__pycache__", "gallery", "reference"}
"""Folders that Python and `make docs` fill, and git ignores."""


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file() and not MADE & set(path.parts)]


def listed_twice(root):
    """Public names of a package that stand in two lists: its `__init__`, a stub, or an `__all__` anywhere."""
    out = []
    for package in PACKAGES:
        counts = Counter(
            name
            for path in (*(root / package).rglob("*.py"), *(root / package).rglob("*.pyi"))
            for name in _listed(path)
        )
        out += [f"{package}.{name}" for name, n in counts.items() if n > 1]
    return out


def _listed(path):
    """Names that a file makes public: elements of `__all__` and, in an `__init__`, each `import x as x`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and path.stem == "__init__":
            yield from (alias.name for alias in node.names if alias.asname == alias.name)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List | ast.Tuple):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if "__all__" in {getattr(target, "id", "") for target in targets}:
                yield from (x.value for x in node.value.elts if isinstance(x, ast.Constant))


def test_no_folder_holds_more_files_than_one_can_look_over():
    assert too_large(ROOT) == []


def test_a_folder_with_too_many_files_is_found(tmp_path):
    folder = tmp_path / "verify/claims"
    folder.mkdir(parents=True)
    for i in range(LARGEST_FOLDER):
        (folder / f"a{i}.py").touch()
    assert too_large(tmp_path) == []
    (folder / "one_more.py").touch()
    assert too_large(tmp_path) == ["verify/claims: 21"]


def test_no_public_name_is_listed_twice():
    assert listed_twice(ROOT) == []


def test_a_second_list_of_a_name_is_found(tmp_path):
    folder = tmp_path / "virel_theory"
    folder.mkdir()
    (folder / "__init__.pyi").write_text("from .a import f as f\nfrom .b import g as g\n")
    assert listed_twice(tmp_path) == []
    (folder / "a.py").write_text("__all__ = ['f', 'h']\n")
    assert listed_twice(tmp_path) == ["virel_theory.f"]


# What an import loads


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import virel_theory", {"torch", "numba", "numpy", "scipy"}),
        ("from virel_theory import TabularMDP, boltzmann_policy, elbo", {"torch", "numba"}),
        ("from virel_theory import *", {"torch", "gymnasium", "matplotlib"}),
        ("import verify", {"torch", "numba", "scipy", "matplotlib", "flint", "virel_deep"}),
        ("import verify.commands.verify", {"torch", "numba", "matplotlib", "virel_deep"}),
        (
            "from verify.engine.registry import all_claims; all_claims()",
            {"torch", "matplotlib", "virel_deep"},
        ),
        ("import virel_deep", {"torch", "gymnasium", "matplotlib"}),
        ("import virel_deep.design.presets", {"torch", "gymnasium", "matplotlib"}),
        ("import virel_common.errors, virel_common.files, virel_common.terminal", {"numpy", "matplotlib"}),
        (
            "from virel_common.command import main; main(['--help'])",
            {"numpy", "numba", "scipy", "torch", "flint", "matplotlib", "rich", "tyro", "verify"},
        ),
    ],
)
def test_importing_leaves_heavy_packages_alone(statement, absent):
    script = f"import sys\n{statement}\nsys.exit(', '.join({absent!r} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
