"""Every claim on record: the `CLAIMS` of each module in `verify/claims/`."""

import importlib
import pkgutil
from functools import cache

import verify.claims
from verify.claim import Claim
from virel_theory._validate import InputError


@cache
def all_claims() -> dict[str, Claim]:
    """Claims by id, in the order of their files and, within a file, of the source."""
    claims: dict[str, Claim] = {}
    for module in pkgutil.iter_modules(verify.claims.__path__):
        if module.name.startswith("_"):
            continue
        for claim in importlib.import_module(f"verify.claims.{module.name}").CLAIMS:
            if claim.id in claims:
                raise ValueError(f"two claims have the id {claim.id!r}; the second is in {module.name}.py")
            claims[claim.id] = claim
    return claims


def select(ids: list[str]) -> list[Claim]:
    """The claims with these ids, in this order; all if none is named.

    Raises:
        InputError: naming the unknown ids and the known ones.
    """
    claims = all_claims()
    if unknown := [name for name in ids if name not in claims]:
        raise InputError(
            f"`claim` must be a known id; found {', '.join(unknown)}; known: {', '.join(claims)}"
        )
    return [claims[name] for name in ids] if ids else list(claims.values())
