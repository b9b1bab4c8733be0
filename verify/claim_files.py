"""Claims in a file of one's own: `virel verify path/to/my_claims.py` loads its `CLAIMS`."""

import importlib.util
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from verify.claim import Claim
from virel_theory._validate import InputError


def split_names(names: Sequence[str]) -> tuple[list[str], tuple[Path, ...]]:
    """Claim ids and files (names that end in `.py`), each once, in their order."""
    unique = dict.fromkeys(names)
    return [n for n in unique if not n.endswith(".py")], tuple(Path(n) for n in unique if n.endswith(".py"))


@cache
def claims_of(path: Path) -> tuple[Claim, ...]:
    """The `CLAIMS` of a Python file.

    Raises:
        InputError: no such file; an error while it is imported (with its line); no `CLAIMS`, or something
            else than claims in it; one id twice.
    """
    claims = _run_module(path)
    if isinstance(claims, Claim) or not isinstance(claims, Sequence) or len(claims) == 0:
        raise InputError(
            f"{path}: `CLAIMS` must be a non-empty tuple of verify.claim.Claim; found {claims!r:.80}"
        )
    for claim in claims:
        if not isinstance(claim, Claim):
            raise InputError(f"{path}: `CLAIMS` must hold verify.claim.Claim only; found {claim!r:.80}")
    ids = [claim.id for claim in claims]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise InputError(f"{path}: ids must differ; found twice: {', '.join(repeated)}")
    return tuple(claims)


def _run_module(path: Path) -> object:
    """The value of `CLAIMS`; the file's folder is on the import path, as for a script."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    name = f"virel_claims_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a script may end with `sys.exit`
        del sys.modules[name]
        raise InputError(f"{_place(path, error)}: {type(error).__name__}: {_message(error)}") from error
    if not hasattr(module, "CLAIMS"):
        raise InputError(f"{path}: defines no `CLAIMS`; see examples/my_claims.py")
    return module.CLAIMS


def _place(path: Path, error: BaseException) -> str:
    """`path:line` of the last line of this file that ran, or of the syntax error in it."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}"
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.absolute()
    ]
    lines += [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _message(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)
