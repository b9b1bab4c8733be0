"""Load claims from a user's Python file: `virel verify path/to/my_claims.py` checks its tuple `CLAIMS`."""

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from verify.engine.claim import Assumption, Check, Claim, Correction, NoProof, Step
from verify.engine.verdict import Verdict
from virel_common.errors import InputError

PARTS = (Check, Assumption, Step, Correction, NoProof)


def split_names(names: Sequence[str]) -> tuple[list[str], tuple[Path, ...]]:
    """Split a command's CLAIM arguments into claim ids and paths of `.py` files, in order, each once."""
    unique = dict.fromkeys(names)
    return [n for n in unique if not n.endswith(".py")], tuple(Path(n) for n in unique if n.endswith(".py"))


@cache
def claims_of(path: Path) -> tuple[Claim, ...]:
    """Load the tuple `CLAIMS` of a user's Python file and check the types of its claims' fields.

    Raises:
        InputError: if there is no such file; it raises an error while it is imported; it has no `CLAIMS`, or
            something other than claims in them; a field has a wrong type; a REFUTED claim has no correction;
            or two claims have one id.
    """
    claims = _run_module(path)
    if isinstance(claims, Claim) or not isinstance(claims, Sequence) or len(claims) == 0:
        raise InputError(
            f"{path}: `CLAIMS` must be a non-empty tuple of verify.Claim objects; found {claims!r:.80}"
        )
    for claim in claims:
        if not isinstance(claim, Claim):
            raise InputError(
                f"{path}: `CLAIMS` must hold objects of class verify.Claim only; found {claim!r:.80}"
            )
        for mistake in mistakes(claim):
            raise InputError(f"{path}: claim {claim.id!r}: {mistake}")
    ids = [claim.id for claim in claims]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise InputError(
            f"{path}: the ids of the claims in `CLAIMS` must differ; found twice: {', '.join(repeated)}"
        )
    return tuple(claims)


def mistakes(claim: Claim) -> Iterator[str]:
    """Yield a sentence for each field of a claim that is invalid, such as a wrong type or no correction."""
    yield from _wrong_types(claim, "")
    if claim.expected is Verdict.REFUTED and claim.correction is None:
        yield "`expected` is REFUTED: give the claim a `correction`, with a check of its own"


def _wrong_types(part: object, where: str) -> Iterator[str]:
    """Yield a sentence for each field of a claim, or of its parts, whose value has not the declared type.

    `part` is a claim or one of its parts, `where` the path to it.
    """
    for name, hint in get_type_hints(type(part)).items():
        value = getattr(part, name)
        if not _fits(value, hint):
            yield f"`{where}{name}` must be {_words(hint)}; found {value!r:.80}"
            return
        for inner in value if isinstance(value, list | tuple) else [value]:
            if isinstance(inner, PARTS):
                yield from _wrong_types(inner, f"{where}{name}.")


def _fits(value: object, hint: Any) -> bool:
    """Whether a value has a field's type annotation `hint`: a class, a union or a sequence of a class."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if kind is Sequence:
        return isinstance(value, list | tuple) and all(_fits(x, inner[0]) for x in value)
    if hint is str:
        return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)
    return isinstance(value, kind or hint)


def _words(hint: Any) -> str:
    """Type annotation in words for an error message, such as `a function or None` or `a tuple of Step`."""
    kind, inner = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if kind is Sequence:
        return f"a tuple of {_words(inner[0])}"
    known = {str: "a string of valid Unicode", NoneType: "None", Callable: "a function"}
    return known.get(kind or hint) or (kind or hint).__name__


def _run_module(path: Path) -> object:
    """Import a user's Python file and return its `CLAIMS`; its folder is appended to `sys.path`."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; `claim` must be the path of a Python file that defines `CLAIMS`"
        )
    name = f"virel_claims_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: not a Python file; the name of a file with claims must end in .py")
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
        raise InputError(f"{path}: defines no `CLAIMS`, the tuple of its claims; see examples/my_claims.py")
    return module.CLAIMS


def _place(path: Path, error: BaseException) -> str:
    """Location `path:line` where importing a user's file failed: last line that ran, or the syntax error."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}"
    lines = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path.absolute()
    ]
    lines += [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f"{path}:{lines[-1]}" if lines else str(path)


def _message(error: BaseException) -> str:
    return error.msg if isinstance(error, SyntaxError) else str(error)
