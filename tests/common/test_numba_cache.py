"""Where numba caches kernels if installation and home can't be written, or their disk is full."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from virel_common import numba_cache
from virel_common.errors import InputError
from virel_common.numba_cache import use_writable_cache

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A package, a home and a folder for temporary files; `deny` makes some of them unwritable or full."""
    for name in ("package/inner", "home/.cache", "tmp", "given"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    access, room = os.access, numba_cache._has_room

    def deny(*names, full=()):
        def among(folder, names):
            return any(Path(folder).is_relative_to(tmp_path / name) for name in names)

        monkeypatch.setattr(
            "os.access", lambda folder, mode: not among(folder, names) and access(folder, mode)
        )
        monkeypatch.setattr(numba_cache, "_has_room", lambda folder: not among(folder, full) and room(folder))
        use_writable_cache(tmp_path / "package")
        found = os.environ.get("NUMBA_CACHE_DIR")
        return found and Path(found).relative_to(tmp_path).parts[0]

    return deny


def test_nothing_is_changed_if_numba_finds_a_place(places):
    assert places() is None
    assert places("home") is None
    assert places("package") is None
    assert places("package/inner") is None  # numba goes to the home, as for a package that root has used
    assert places("home", full=["home"]) is None


@pytest.mark.parametrize(
    ("denied", "full"),
    [
        (["package", "home"], []),
        (["package/inner", "home"], []),
        ([], ["package"]),
        (["package"], ["home"]),
    ],
)
def test_a_temporary_folder_takes_the_place_of_others(places, tmp_path, denied, full):
    assert places(*denied, full=full) == "tmp"
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    del os.environ["NUMBA_CACHE_DIR"]
    assert places(*denied, full=full) == "tmp"
    assert len(list((tmp_path / "tmp").iterdir())) == 1  # the next run finds it


@pytest.mark.parametrize("denied", [["given", "package", "home"], ["package", "home"], ["given"], []])
def test_a_folder_that_is_given_comes_first_if_it_can_be_written(places, monkeypatch, tmp_path, denied):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "given" / "new"))
    assert places(*denied) == ("tmp" if len(denied) == 3 else "given")


@pytest.mark.parametrize("taken", ["a file", "a link", "open to others"])
def test_a_folder_that_others_could_have_filled_is_not_used(places, tmp_path, taken):
    path = tmp_path / "tmp" / f"virel-numba-{os.geteuid()}"
    if taken == "a file":
        path.touch()
    elif taken == "a link":
        path.symlink_to(tmp_path / "given")
    else:
        path.mkdir()
        path.chmod(0o777)
    if taken == "a file":
        with pytest.raises(InputError, match="must be a folder that can be written"):
            places("package", "home")
        return
    assert places("package", "home") == "tmp"
    assert Path(os.environ["NUMBA_CACHE_DIR"]).stat().st_mode & 0o777 == 0o700


def test_no_folder_at_all_is_one_error(places, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/none")
    with pytest.raises(InputError, match="`NUMBA_CACHE_DIR` or `TMPDIR` must be a folder"):
        places("package", "home")


SCRIPT = """
import os, sys, tempfile
root, access, make = sys.argv[1], os.access, tempfile.TemporaryFile
def denied(*args, dir=None, **options):
    if str(dir).startswith(root):
        raise PermissionError(13, "denied", dir)
    return make(*args, dir=dir, **options)
tempfile.TemporaryFile = denied
os.access = lambda path, mode, **options: not str(path).startswith(root) and access(path, mode, **options)
if sys.argv[2] == "numba first":
    import numba
import virel_theory.operators.kernels
import numba
print(numba.config.CACHE_DIR)
"""


@pytest.mark.parametrize("order", ["numba first", "ours first"])
@pytest.mark.parametrize("home", ["/dev/null", None])
def test_kernels_load_from_an_installation_that_cannot_be_written(tmp_path, order, home):
    env = {k: v for k, v in os.environ.items() if k not in {"HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}}
    env |= {
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        **({"HOME": home} if home else {"HOME": "/proc/1/fd"}),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(ROOT), order],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).parent == tmp_path
