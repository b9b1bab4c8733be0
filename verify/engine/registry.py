"""Registry of claims: the paper's, in `verify/claims/` (on record), and those in users' files."""

import difflib
import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from verify.engine.claim import Claim
from verify.engine.claim_files import claims_of, split_names
from verify.engine.sources import position
from virel_common.errors import InputError

PROOFS = ("proofs", "facts")
"""Endings of the names of modules in `verify/claims/` that prove claims with python-flint and define none."""


def modules() -> list[str]:
    """Names of the Python modules in `verify/claims/` that may define claims: all but the proof modules."""
    return [name for name in _below_claims() if not name.endswith(PROOFS)]


def proof_modules() -> list[str]:
    """Names of the Python modules in `verify/claims/` that prove claims: those that end in `proofs`."""
    return [name for name in _below_claims() if name.endswith("proofs")]


def _below_claims() -> list[str]:
    claims_folder = importlib.import_module("verify.claims")  # found by its name: claims import the engine
    found = pkgutil.walk_packages(claims_folder.__path__, "verify.claims.")
    return [one.name for one in found if not one.ispkg]


@cache
def all_claims() -> dict[str, Claim]:
    """Dictionary of all claims on record by id, in the order in which the paper and its talk print them.

    Example:
        >>> all_claims()["theorem-4"].source
        'Thm 4, App. E.3'
    """
    claims: dict[str, Claim] = {}
    for name in modules():
        for claim in getattr(importlib.import_module(name), "CLAIMS", ()):
            if claim.id in claims:
                raise ValueError(
                    f"two claims on record have the id {claim.id!r}: choose another id in module {name}"
                )
            claims[claim.id] = claim
    return dict(sorted(claims.items(), key=lambda item: position(item[0])))


def topics() -> dict[str, list[Claim]]:
    """Claims on record by topic, the folder of `verify/claims/` that defines them, in printed order."""
    folders = {
        claim.id: name.split(".")[2]
        for name in modules()
        for claim in getattr(importlib.import_module(name), "CLAIMS", ())
    }
    found: dict[str, list[Claim]] = {}
    for claim in all_claims().values():
        found.setdefault(folders[claim.id], []).append(claim)
    return found


def catalogue(files: Sequence[Path] = ()) -> dict[str, Claim]:
    """Dictionary of claims by id: all claims on record, then those that the given Python files define.

    Raises:
        InputError: if a file cannot be loaded, or two claims have one id.
    """
    claims = dict(all_claims())
    for path in files:
        for claim in claims_of(path):
            if claim.id in claims:
                raise InputError(
                    f"{path}: the claim id {claim.id!r} is taken; choose an id that no other claim has"
                )
            claims[claim.id] = claim
    return claims


def select(ids: list[str], files: Sequence[Path] = (), *, deep: bool = False) -> list[Claim]:
    """Claims (from the record or `files`) with the given ids, in this order; no id selects all on record.

    Claims about the deep agent are among all claims on record only if `deep`.

    Raises:
        InputError: naming the unknown ids, and known ones that look like them.
    """
    claims = catalogue(files)
    if unknown := [name for name in ids if name not in claims]:
        close = [match for name in unknown for match in difflib.get_close_matches(name, claims, n=3)]
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        raise InputError(
            f"`claim` must be a .py file or an id that `virel claims` lists; found {', '.join(unknown)}{hint}"
        )
    if ids:
        return [claims[name] for name in ids]
    return [claim for claim in all_claims().values() if deep or not claim.deep]


def resolve(names: Sequence[str], *, deep: bool = False) -> tuple[list[str], tuple[Path, ...]]:
    """Resolve a command's CLAIM arguments to ids of the claims to check and Python files that define some.

    `names` are ids and `.py` files. A file stands for all its claims, and no name for all claims on record.

    Raises:
        InputError: as `catalogue` and `select` do; or a claim needs torch, which cannot be imported.
    """
    ids, files = split_names(names)
    in_files = [claim.id for path in files for claim in claims_of(path)]
    claims = select(list(dict.fromkeys([*ids, *in_files])), files, deep=deep)
    if any(claim.deep for claim in claims):
        importlib.import_module("verify.claims.deep.tools").require_torch()
    return [claim.id for claim in claims], files
