"""Layers: `virel_theory` <- `verify`; `virel_deep` stands alone; torch is never a surprise."""

import ast
import subprocess
import sys
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
RESULTS_CROSS_LAYERS_IN = ("verify/claims/deep/",)
"""Files that compare the two codes: they may import virel_deep and torch, inside functions only."""


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
    crosses = name.startswith(RESULTS_CROSS_LAYERS_IN)
    for node in ast.walk(tree):
        for module in _imported(node, name):
            top = module.split(".")[0]
            if top in FORBIDDEN[package] and not (crosses and id(node) in lazy):
                yield node.lineno, f"{package} must not import {module}"
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


def _imported(node, name):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:  # relative: resolve against the file's package
            parts = name.removesuffix(".py").split("/")[: -node.level]
            return [".".join([*parts, node.module or ""]).strip(".")]
        return [node.module]
    if isinstance(node, ast.Call) and _callee(node) in {"import_module", "__import__"} and node.args:
        return [node.args[0].value] if isinstance(node.args[0], ast.Constant) else []
    return []


def _callee(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def test_no_module_breaks_a_layer_rule():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("virel_theory/a.py", "import verify.engine.claim"),
        ("virel_theory/a.py", "def f():\n    from torch import nn"),
        ("virel_theory/sub/a.py", "from virel_deep import losses"),
        ("virel_theory/a.py", "import importlib\nimportlib.import_module('torch')"),
        ("virel_deep/a.py", "from virel_theory.mdp.tabular import TabularMDP"),
        ("virel_deep/a.py", "import verify"),
        ("verify/engine/runner.py", "import virel_deep"),
        ("verify/claims/theorem_9.py", "def f():\n    import virel_deep.axes.losses"),
        ("verify/claims/deep/losses.py", "import virel_deep.axes.losses"),
        ("verify/a.py", "import pickle"),
        ("virel_deep/a.py", "import numpy as np\nnp.load('x', allow_pickle=True)"),
        ("virel_theory/a.py", "@njit(cache=True, fastmath=True)\ndef f(x):\n    return x"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, path, source):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(source + "\n")
    (found,) = violations(tmp_path)
    assert found.startswith(path)


def test_a_deep_claim_may_import_both_layers_inside_a_function(tmp_path):
    file = tmp_path / "verify/claims/deep/losses.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import virel_theory\n\n\ndef gap():\n    import torch\n    import virel_deep.axes.losses\n"
    )
    assert violations(tmp_path) == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import virel_theory", {"torch", "numba", "numpy", "scipy"}),
        ("from virel_theory import TabularMDP, boltzmann_policy, elbo", {"torch", "numba"}),
        ("from virel_theory import *", {"torch", "gymnasium", "matplotlib"}),
        ("import verify.commands.verify", {"torch", "numba", "matplotlib", "virel_deep"}),
        (
            "from verify.engine.registry import all_claims; all_claims()",
            {"torch", "matplotlib", "virel_deep"},
        ),
    ],
)
def test_importing_leaves_heavy_packages_alone(statement, absent):
    script = f"import sys\n{statement}\nsys.exit(', '.join({absent!r} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
