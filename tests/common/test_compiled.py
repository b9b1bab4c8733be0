"""Machine code in the cache: compiled again when anything that it reaches has changed, and safe to share."""

import importlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

from virel_common.compiled import Files, code_digest, njit

CALLER = """
from virel_common.compiled import njit
import callee
from callee import SHIFT, TABLE, Pair, plain


def made(factor):
    @njit()
    def times(x):
        return factor * x

    return times


times = made(3.0)


@njit(cache=True)
def kernel(x):
    if x < 0:
        raise ValueError("negative")
    return callee.inner(x) + SHIFT + TABLE[1] + plain(x) + times(x) + Pair(x, 1.0).first
"""
CALLEE = """
from typing import NamedTuple
import numpy as np
from numba.extending import register_jitable
from virel_common.compiled import njit
from virel_theory.lowered import lowered

SHIFT = 0.5
TABLE = np.array([1.0, 2.0])


class Pair(NamedTuple):
    first: float
    second: float


def constant():
    return 4.0


@lowered(lambda x: x)
def written(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.fmul(args[0], context.get_constant(signature.return_type, constant()))

    return x(x), codegen


@njit()
def innermost(x):
    return written(x)


@njit(error_model="python")
def inner(x):
    return innermost(x) + 1.0


@register_jitable
def plain(x):
    return x - 2.0
"""
CHANGES = {
    "a function called by one that is called": ("return written(x)", "return written(x) * 2.0"),
    "a number in a function": ("+ 1.0", "+ 1.5"),
    "a constant of another module": ("SHIFT = 0.5", "SHIFT = 0.25"),
    "an array of another module": ("[1.0, 2.0]", "[1.0, 3.0]"),
    "a plain function that numba compiles along": ("x - 2.0", "x - 3.0"),
    "a function by which instructions are written": ("return 4.0", "return 5.0"),
    "an option of a kernel": ('error_model="python"', 'error_model="numpy"'),
    "the fields of a tuple": ("    second: float", "    third: float"),
    "a number in the kernel's closure": ("made(3.0)", "made(3.5)"),
    "a message of the kernel": ('"negative"', '"below 0"'),
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A function that imports `caller` afresh, with a text of it and of `callee` replaced."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    places = itertools.count()

    def imported(old="", new=""):
        folder = tmp_path / str(next(places))
        folder.mkdir()
        for name, text in (("caller", CALLER), ("callee", CALLEE)):
            (folder / f"{name}.py").write_text(text.replace(old, new) if old else text)
        monkeypatch.syspath_prepend(folder)
        for name in ("caller", "callee"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("caller")

    return imported


def test_code_that_has_not_changed_has_the_same_digest_wherever_it_stands(modules):
    assert code_digest(modules().kernel) == code_digest(modules("@lowered", "\n\n@lowered").kernel)


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_what_a_kernel_reaches_changes_its_digest(modules, change):
    old, new = CHANGES[change]
    assert old in CALLER + CALLEE
    assert code_digest(modules().kernel) != code_digest(modules(old, new).kernel)


def test_what_is_unrelated_leaves_the_digest(modules):
    assert code_digest(modules().kernel) == code_digest(modules("TABLE = ", "OTHER = 7.0\nTABLE = ").kernel)


def run(folder, code, **env):
    """Run Python code in a process of its own whose modules and cache are those of a folder."""
    paths = {"PYTHONPATH": f"{folder}{os.pathsep}{Path.cwd()}", "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | paths | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SHOW = "import caller; print(caller.kernel(1.0), sum(caller.kernel.stats.cache_hits.values()))"


def test_a_later_process_loads_the_machine_code_until_a_called_function_changes(tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    (tmp_path / "callee.py").write_text(CALLEE)
    # 4 x + 1 of `inner`, the shift 0.5, the entry 2, x - 2, 3 x, and x again
    assert run(tmp_path, SHOW) == ["10.5", "0"]
    assert run(tmp_path, SHOW) == ["10.5", "1"]
    (tmp_path / "callee.py").write_text(CALLEE.replace("return 4.0", "return 40.0"))
    assert run(tmp_path, SHOW) == ["46.5", "0"]
    (stored,) = (tmp_path / "cache").rglob("*.nbc")  # the file of the former code is gone
    checked = run(tmp_path, SHOW, NUMBA_BOUNDSCHECK="1")
    assert checked == ["46.5", "0"]  # code without checks is not loaded where they are asked for
    assert run(tmp_path, SHOW, NUMBA_BOUNDSCHECK="1") == ["46.5", "1"]
    assert stored.exists()


@pytest.mark.parametrize("damage", [b"", b"\x80\x05", b"no machine code"], ids=["empty", "cut", "other"])
def test_a_damaged_file_is_compiled_again_and_replaced(modules, tmp_path, damage):
    first = modules().kernel
    assert first(1.0) == 10.5
    (stored,) = (tmp_path / "cache").rglob("*.nbc")
    stored.write_bytes(damage)
    again, third = (njit(cache=True)(first.py_func) for _ in range(2))
    assert again(1.0) == 10.5
    assert not again.stats.cache_hits
    assert third(1.0) == 10.5
    assert third.stats.cache_hits


def test_nothing_is_lost_if_no_file_can_be_written(modules, tmp_path, monkeypatch):
    kernel = modules().kernel

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel._cache._cache_file, "_save_data", full)
    assert kernel(1.0) == 10.5
    assert list((tmp_path / "cache").rglob("*.nbc")) == []


def test_processes_that_compile_at_once_keep_their_own_code(modules, tmp_path):
    # numba reads its index, takes the next free number, and writes: two processes would take the same number
    first, second = (Files(str(tmp_path), "kernel-1.py3", modules().kernel) for _ in range(2))
    assert first.load("float") is None
    assert second.load("int") is None
    first.save("float", "code for float")
    second.save("int", "code for int")
    assert (second.load("float"), first.load("int")) == ("code for float", "code for int")


def test_a_file_of_another_key_is_not_loaded(modules, tmp_path):
    files = Files(str(tmp_path), "kernel-1.py3", modules().kernel)
    files.save("float", "code for float")
    (stored,) = tmp_path.glob("*.nbc")
    stored.rename(tmp_path / files._name(("int", *files_flags())))
    assert files.load("int") is None


def files_flags():
    """What stands beside a key in a file: the checks of bounds and the level of optimisation."""
    return numba.config.BOUNDSCHECK, repr(numba.config.OPT)


def test_removing_stored_code_leaves_that_of_kernels_with_longer_names(modules, tmp_path):
    short, long = (Files(str(tmp_path), base, modules().kernel) for base in ("row-1.py3", "row-1.py311"))
    short.save("float", 1)
    long.save("float", 2)
    short.flush()
    assert (short.load("float"), long.load("float")) == (None, 2)


def test_a_kernel_without_cache_and_an_interpreted_one_store_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))

    def double(x):
        return 2 * x

    assert isinstance(njit()(double), Dispatcher)
    assert njit()(double)(np.float64(1.5)) == 3.0
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert njit(cache=True)(double) is double
    assert list(tmp_path.iterdir()) == []


def test_signatures_of_our_kernels_have_the_same_names_in_every_process(tmp_path):
    code = """
import numpy as np, virel_theory as vt
mdp = vt.garnet(40, 3, 4, gamma=0.9, rng=np.random.default_rng(0))
vt.solve(mdp, atol=1e-8)
"""
    (tmp_path / "cache").mkdir()
    run(tmp_path, code)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}
    run(tmp_path, code)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}
    assert len(before) >= 5
    assert before == after
